# SPDX-License-Identifier: BSD-3-Clause
"""One network from its images to its file: progress, checkpoints, going on from them, and interruption."""

import os
import warnings
from dataclasses import replace

from .._version import __version__
from ..exceptions import CalibrationWarning, ModelFileError
from ..fit.recipe import FitInterrupted, fit
from ..fit.writing import as_json
from ..io.checkpoint import fingerprint
from ..io.provenance import COMMAND
from ._apart import check_apart
from ._given import record_of
from ._images import ALL, images_for
from ._jobs import Bar, check_checkpoints, checkpoint_path, interrupted_message, remove_checkpoint
from ._models import load_network
from ._packed import image_hashes, pixel_hash
from ._running import renaming

__all__ = ["Progress", "check_checkpoints", "checkpoint_path", "interrupted_message", "train_network"]


class Progress(Bar):
    """The bar of a job of one or several networks: iterations of all hidden layers, or pixels or trees of slow CPDs, or networks.

    Where such CPDs do not take the time, it is iterations and then the trees of the contrast, of however many folds.

    Parameters
    ----------
    parsed : argparse.Namespace
    settings : Settings
        Of any of the networks; all have the same but for their thresholds.
    n_models : int
    shape : (height, width) of the images
    """

    def __init__(self, parsed, settings, n_models, shape):
        features = settings.features
        self.n_layers, self.per_layer = len(features.layers), features.iterations + 1  # the last has no kernel step
        per_model, unit = self.n_layers * self.per_layer, "iteration"
        self.uncounted = per_model  # steps that are none of the nodes done
        if settings.kind.reports:
            self.uncounted = 0
            per_model, unit = settings.kind.steps(settings.cpd, shape[0] * shape[1])
        elif settings.contrast is not None and settings.contrast.n_steps():
            per_model += settings.contrast.n_steps()
            unit = "step" if self.n_layers else "tree"
        elif not self.n_layers:
            per_model, unit = 1, "model"
        super().__init__(parsed, n_models, per_model, unit)

    def begin(self, label):
        """A new network."""
        if label is not None:
            self.bar.set_description(f"training label {label}", refresh=False)

    def __call__(self, state, n_nodes=None):
        """Takes note of what ``fit`` reports: a TrainingState, or numbers of nodes (and trees of contrasts) done and in all."""
        if n_nodes is not None:  # those of cross-validation and of several thresholds included: a share of the model
            steps = self.uncounted + (self.per_model - self.uncounted) * state // n_nodes
            self.move(steps, trained=self.finished_models * self.per_model + steps - self.bar.n)
            return
        layers = state.layers()
        gain = layers[-1].curve[-1].gain
        self.bar.set_postfix_str(f"layer {len(layers)} of {self.n_layers}, gain {gain:.2f} nats/image", refresh=False)
        self.move(len(state.finished) * self.per_layer + state.iteration, trained=1)

    def end(self):
        """The network is done, whether it was trained or found complete."""
        self.move(self.per_model, trained=1 if self.per_model == 1 else 0)
        self.finished_models += 1

    def where(self, layers):
        """How far hidden layers are trained, in words."""
        n_done = len(layers[-1].curve)
        if n_done == self.per_layer:
            return f"after hidden layer {len(layers)} of {self.n_layers}"
        return f"in hidden layer {len(layers)} of {self.n_layers}, after iteration {n_done} of {self.per_layer - 1}"


def train_network(parsed, arguments, chosen, calibration, out, kernels_out, clock, progress):
    """Fits a network on an ImageSet or PackedSet, calibrates and saves it.

    With --resume, a model file that this very training wrote is taken as it is, and a checkpoint is gone on from.

    Returns
    -------
    Fitted

    Raises
    ------
    KeyboardInterrupt
        With a message that says what was written.
    """
    label = None if parsed.digit is None else chosen.labels[0].item()
    record = {"source": chosen.source, "label": label, "seed": parsed.seed}
    if calibration is not None:
        check_apart(parsed, image_hashes(chosen), calibration.images)
    progress.begin(label)
    with clock.part("fit"):
        mark = training_mark(arguments, chosen, calibration, record) if progress.n_layers else None
        fitted = _complete_network(parsed, out, mark)
        if fitted is not None:
            progress.say(f"{out}: complete, and of the same training: kept")
        else:
            fitted = _fit_and_save(parsed, arguments, chosen, calibration, out, record, mark, progress)
    if kernels_out is not None:
        fitted.save_kernels(kernels_out)
    if progress.n_layers:
        remove_checkpoint(out)
    progress.end()
    return fitted


def _fit_and_save(parsed, arguments, chosen, calibration, out, record, mark, progress):
    checkpoint = checkpoint_path(out) if progress.n_layers else None
    if parsed.resume and os.path.exists(out) and (checkpoint is None or not os.path.exists(checkpoint)):
        progress.say(f"{out}: of another training, and there is no checkpoint; training begins at the start")
    unfinished = None
    try:
        with warnings.catch_warnings():
            if calibration is not None:  # the training images do not set the threshold, so their number is no matter
                warnings.simplefilter("ignore", CalibrationWarning)
            fitted = fit(
                arguments, chosen.images, progress=progress, checkpoint=checkpoint, resume=bool(parsed.resume),
                held_out=calibration is None or progress.n_layers > 0,  # images held out scale layers as well
            )  # fmt: skip
    except FitInterrupted as interrupted:
        fitted = interrupted.fitted
        if not fitted.hidden_layers:
            raise KeyboardInterrupt(interrupted_message("interrupted; no model has been written", checkpoint)) from None
        unfinished = progress.where(fitted.hidden_layers)
    except KeyboardInterrupt:  # where nothing is worth keeping, or a second one
        raise KeyboardInterrupt(interrupted_message("interrupted; no model has been written", checkpoint)) from None
    fitted = replace(fitted, rule=chosen.binarization or fitted.rule, provenance=fitted.provenance | record)
    if calibration is not None:
        with renaming(X="--calibration"):
            fitted = fitted.calibrated(images_for(parsed, fitted, calibration, "--calibration"))
    command = _command(parsed, calibration, record["label"], fitted.calibration)
    fitted = replace(fitted, provenance=fitted.provenance | {COMMAND: command})
    if unfinished is not None:
        replace(fitted, provenance=fitted.provenance | {"unfinished": unfinished}).save(out)
        message = f"interrupted {unfinished}; {out} is the best model so far"
        raise KeyboardInterrupt(interrupted_message(message, checkpoint))
    if mark is not None:
        fitted = replace(fitted, provenance=fitted.provenance | {"training_sha256": mark})
    fitted.save(out)
    return fitted


def _command(parsed, given, label, own):
    """The record of the command; of one model for each label it is that of the model alone, where that is the same."""
    by_label = given is not None and given.labels is not None
    return record_of(parsed, own, **({"digit": str(label)} if parsed.digit == ALL and not by_label else {}))


def training_mark(arguments, chosen, calibration, record):
    """A hash of everything that the bytes of a model file depend on."""
    settings = arguments.resolve()
    setting = {
        "arguments": as_json(arguments),
        "settings": as_json(settings),
        "kernels": [(k.weights.tolist(), k.bias.tolist(), k.pool) for k in settings.features.kernels or ()],
        "record": record,
        "binarization": chosen.binarization,
        "calibration": None if calibration is None else (pixel_hash(calibration), calibration.binarization),
        "version": __version__,
    }
    return fingerprint(pixel_hash(chosen), setting)


def _complete_network(parsed, out, mark):
    """With --resume: the network of a file that the training of this mark has written, or None."""
    if not parsed.resume or mark is None or not os.path.isfile(out) or os.path.exists(checkpoint_path(out)):
        return None
    try:
        fitted = load_network(out, parsed.threads)
    except ModelFileError:  # of something else, or damaged; it is written anew
        return None
    return fitted if fitted.provenance.get("training_sha256") == mark else None
