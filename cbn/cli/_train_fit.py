# SPDX-License-Identifier: BSD-3-Clause
"""One model from its images to its file: progress, checkpoints, going on from them, and interruption.

Beside the model file OUT lies OUT.checkpoint while hidden layers are trained. It is removed once the model is written,
so that at any moment one of them holds what was learned.
"""

import contextlib
import hashlib
import os
import warnings

from .._version import __version__
from ..exceptions import CalibrationWarning, CbnError, ModelFileError
from ..fit.presets import resolve
from ..io.checkpoint import fingerprint
from . import _common as common


def checkpoint_path(out):
    """Where the checkpoint of a model file lies; None for pipes and devices, which nothing can lie beside."""
    return f"{out}.checkpoint" if os.path.isfile(out) or not os.path.exists(out) else None


def check_checkpoints(arguments, outs):
    """Without --resume, refuses to train where that would cost the checkpoint of an earlier training.

    With it, says so where there is nothing to go on from: that is no error, so that a script can try again and again.
    """
    checkpoints = [path for path in map(checkpoint_path, outs) if path is not None]
    if arguments.resume:
        if not any(map(os.path.exists, (*checkpoints, *outs))):
            which = outs[0] if len(outs) == 1 else f"{outs[0]} ... {outs[-1]}"
            common.say(arguments, f"{which}: nothing to go on from; training begins at the start")
        return
    for path in checkpoints:
        if os.path.lexists(path):
            raise CbnError(
                f"{path!r}: the checkpoint of a training that did not end; go on from it with --resume, or delete it "
                "to begin anew"
            )


class Progress:
    """The bar of a job of one or several models: iterations of all hidden layers, nodes of boosted trees, or models.

    Parameters
    ----------
    arguments : argparse.Namespace
    model : ConvolutionalBayesianNetwork
        Any of the models; all have the same arguments.
    n_models : int
    shape : (height, width) of the images
    """

    def __init__(self, arguments, model, n_models, shape):
        self.arguments = arguments
        setting = resolve(model)
        self.n_layers = len(setting["hidden"])
        self.per_layer = setting["iterations"] + 1  # the last one has no kernel step
        self.per_model, unit = self.n_layers * self.per_layer, "iteration"
        if setting["cpd"] == "boosted":
            self.per_model, unit = shape[0] * shape[1], "pixel"
        elif not self.n_layers:
            self.per_model, unit = 1, "model"
        self.finished_models = 0
        self.bar = common.progress(None, arguments, n_models * self.per_model, unit, "training")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if exception[0] is None:
            self.bar.refresh()  # the last steps came too soon after one another to be drawn
        self.bar.close()

    def begin(self, label):
        """A new model."""
        if label is not None:
            self.bar.set_description(f"training label {label}", refresh=False)

    def __call__(self, state, n_nodes=None):
        """Takes note of what ``fit`` reports: a TrainingState, or numbers of nodes done and in all."""
        if n_nodes is not None:  # those of cross-validation and of several thresholds included: a share of the model
            steps = self.per_model * state // n_nodes
            self._move(steps, trained=self.finished_models * self.per_model + steps - self.bar.n)
            return
        layers = state.layers()
        gain = layers[-1].curve[-1].gain
        self.bar.set_postfix_str(f"layer {len(layers)} of {self.n_layers}, gain {gain:.2f} nats/image", refresh=False)
        self._move(len(state.finished) * self.per_layer + state.iteration, trained=1)

    def end(self):
        """The model is done, whether it was trained or found complete."""
        self._move(self.per_model, trained=1 if self.per_model == 1 else 0)
        self.finished_models += 1

    def _move(self, steps, trained):
        """To a number of steps of the present model, the last ``trained`` of them new.

        Any others before them were done by an earlier run and must not count as speed.
        """
        if self.bar.disable:
            return
        earlier = self.finished_models * self.per_model + steps - trained - self.bar.n
        self.bar.initial += earlier
        self.bar.n += earlier
        self.bar.update(trained)

    def say(self, message):
        """A message on stderr that does not mix with the bar."""
        self.bar.clear()
        common.say(self.arguments, message)

    def where(self, layers):
        """How far hidden layers are trained, in words."""
        n_done = len(layers[-1].curve)
        if n_done == self.per_layer:
            return f"after hidden layer {len(layers)} of {self.n_layers}"
        return f"in hidden layer {len(layers)} of {self.n_layers}, after iteration {n_done} of {self.per_layer - 1}"


def train_model(arguments, model, chosen, calibration, out, kernels_out, clock, progress):
    """Fits a copy of the model on an ImageSet, calibrates and saves it.

    With --resume, a model file that this very training wrote is taken as it is, and a checkpoint is gone on from.

    Returns
    -------
    ConvolutionalBayesianNetwork

    Raises
    ------
    KeyboardInterrupt
        With a message that says what was written.
    """
    from sklearn.base import clone

    model = clone(model)
    label = None if arguments.digit is None else chosen.labels[0].item()
    record = {"source": chosen.source, "label": label, "seed": arguments.seed}
    n_layers = progress.n_layers
    progress.begin(label)
    with clock.part("fit"):
        mark = training_mark(model, chosen, calibration, record) if n_layers else None
        found = _complete_model(arguments, out, mark)
        if found is not None:
            progress.say(f"{out}: complete, and of the same training: kept")
            model = found.set_params(n_jobs=arguments.threads)
        else:
            _fit_and_save(arguments, model, chosen, calibration, out, record, mark, progress)
    if kernels_out is not None:
        model.save_kernels(kernels_out)
    if n_layers and checkpoint_path(out) is not None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(checkpoint_path(out))
    progress.end()
    return model


def _fit_and_save(arguments, model, chosen, calibration, out, record, mark, progress):
    checkpoint = checkpoint_path(out) if progress.n_layers else None
    if arguments.resume and os.path.exists(out) and (checkpoint is None or not os.path.exists(checkpoint)):
        progress.say(f"{out}: of another training, and there is no checkpoint; training begins at the start")
    interrupted = False
    try:
        with warnings.catch_warnings():
            if calibration is not None:  # the training images do not set the threshold, so their number is no matter
                warnings.simplefilter("ignore", CalibrationWarning)
            model._fit(
                chosen.images, progress=progress, checkpoint=checkpoint, resume=bool(arguments.resume),
                held_out=calibration is None or progress.n_layers > 0,  # images held out scale layers as well
            )  # fmt: skip
    except KeyboardInterrupt:
        # fit sets what it has before it lets go, unless the training of layers was not under way, or after a second one
        if not getattr(model, "hidden_layers_", ()) or not hasattr(model, "offset_"):
            raise KeyboardInterrupt(interrupted_message("interrupted; no model has been written", checkpoint)) from None
        interrupted = True
    if chosen.binarization is not None:
        model.binarization_ = chosen.binarization
    if calibration is not None:
        model.calibrate(common.images_for(arguments, model, calibration, "--calibration"))
    model.provenance_.update(record)
    if interrupted:
        model.provenance_["unfinished"] = where = progress.where(model.hidden_layers_)
        model.save(out)
        raise KeyboardInterrupt(interrupted_message(f"interrupted {where}; {out} is the best model so far", checkpoint))
    if mark is not None:
        model.provenance_["training_sha256"] = mark
    model.save(out)


def interrupted_message(message, checkpoint):
    """The message, and how to go on."""
    if checkpoint is None or not os.path.exists(checkpoint):
        return message
    return f"{message}; the same command with --resume goes on from its checkpoint"


def training_mark(model, chosen, calibration, record):
    """A hash of everything that the bytes of a model file depend on."""
    setting = {name: value for name, value in model.get_params().items() if name != "n_jobs"}
    setting["kernels"] = [(k.weights.tolist(), k.bias.tolist(), k.pool) for k in setting["kernels"] or ()]
    setting |= {"record": record, "binarization": chosen.binarization, "version": __version__}
    setting["calibration"] = None if calibration is None else (_digest(calibration), calibration.binarization)
    return fingerprint(_digest(chosen), setting)


def _digest(images):
    """Hash of the images of an ImageSet."""
    digest = hashlib.sha256(repr(images.images.shape).encode())
    digest.update(images.images)
    return digest.hexdigest()


def _complete_model(arguments, out, mark):
    """With --resume: the model of a file that the training of this mark has written, or None."""
    if not arguments.resume or mark is None or not os.path.isfile(out) or os.path.exists(checkpoint_path(out)):
        return None
    try:
        model = common.load_model(out)
    except ModelFileError:  # of something else, or damaged; it is written anew
        return None
    return model if model.provenance_.get("training_sha256") == mark else None
