# SPDX-License-Identifier: BSD-3-Clause
"""One introspective energy model from its pictures to its file: progress, checkpoints, interruption."""

import contextlib
import hashlib
import os

import numpy as np

from .._version import __version__
from ..exceptions import ModelFileError
from ..iem.settings import resolve
from ..io.checkpoint import fingerprint
from . import _common as common
from ._iem_options import SCALE_KEY, architecture_of
from ._train_fit import Progress, checkpoint_path, interrupted_message

# The colour scale of maps ends at twice the energy that this share of the pixels of training pictures stays below, so
# that good pictures keep to its lower half.
SCALE_SHARE, SCALE_FACTOR = 0.999, 2.0
# Training pictures that the scale is measured on at most, evenly spaced.
SCALE_PICTURES = 64


class EpochProgress(Progress):
    """The bar of a job of one or several models: epochs of all levels."""

    def __init__(self, arguments, n_models):
        self.arguments, self.n_models, self.finished_models, self.per_model = arguments, n_models, 0, 1
        self.bar = common.progress(None, arguments, None, "epoch", "training")  # the total comes with the first model

    def begin(self, model, n_train, picture_shape, name):
        """A new model: models of one job may differ in epochs, but the bar counts as if all were like this one."""
        epochs = resolve(model, model.backbone).for_pictures(n_train, picture_shape).epochs
        earlier = self.bar.n * sum(epochs) // self.per_model
        self.per_model = sum(epochs)
        self.bar.n, self.bar.total = earlier, self.n_models * self.per_model
        if name is not None:
            self.bar.set_description(f"training {name}", refresh=False)
        self.bar.refresh()

    def __call__(self, state):
        n_levels = len(state.epochs)
        self.bar.set_postfix_str(f"level {state.level + 1} of {n_levels}, loss {state.loss:.4f}", refresh=False)
        self._move(state.n_done, trained=1)

    def end(self):
        """The model is done, whether it was trained or found complete."""
        self._move(self.per_model, trained=0)
        self.finished_models += 1

    def where(self, model):
        """How far a model is trained, in words."""
        level = len(model.levels_) - 1
        epochs = resolve(model, model.backbone_).for_pictures(model.n_images_, model.picture_shape_).epochs
        return f"in level {level}, after epoch {len(model.levels_[-1].curve)} of {epochs[level]}"


def train_model(arguments, model, dataset, out, source, clock, progress):
    """Fits a model on the training pictures of an InspectionSet and saves it.

    With --resume, a model file that this very training wrote is taken as it is, and a checkpoint is gone on from.

    Returns
    -------
    IntrospectiveEnergyModel

    Raises
    ------
    KeyboardInterrupt
        With a message that says what was written.
    """
    mark = _training_mark(model, dataset)
    with clock.part("fit"):
        found = _complete_model(arguments, out, mark)
        if found is None:
            model = _fit_and_save(arguments, model, dataset, out, source, mark, progress)
        else:
            progress.say(f"{out}: complete, and of the same training: kept")
            model = found.set_params(n_jobs=arguments.threads)
    if checkpoint_path(out) is not None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(checkpoint_path(out))
    progress.end()
    return model


def _fit_and_save(arguments, model, dataset, out, source, mark, progress):
    checkpoint = checkpoint_path(out)
    if arguments.resume and os.path.exists(out) and (checkpoint is None or not os.path.exists(checkpoint)):
        progress.say(f"{out}: of another training, and there is no checkpoint; training begins at the start")
    interrupted = False
    try:
        model.fit(dataset.train, progress=progress, checkpoint=checkpoint, resume=bool(arguments.resume))
    except KeyboardInterrupt:
        if not hasattr(model, "offset_"):  # before the end of the first epoch, or a second one
            raise KeyboardInterrupt(interrupted_message("interrupted; no model has been written", checkpoint)) from None
        interrupted = True
    model.provenance_ |= {"source": source, "category": dataset.category, "seed": arguments.seed}
    model.provenance_[SCALE_KEY] = _scale(model, dataset.train)
    if interrupted:
        model.provenance_["unfinished"] = where = progress.where(model)
        model.save(out)
        raise KeyboardInterrupt(interrupted_message(f"interrupted {where}; {out} is the model so far", checkpoint))
    model.provenance_["training_sha256"] = mark
    model.save(out)
    return model


def _scale(model, train):
    """Top of the colour scale of maps, in standard deviations."""
    count = min(SCALE_PICTURES, len(train))
    maps = model.energy_map(train[np.arange(count) * len(train) // count])
    return float(SCALE_FACTOR * np.quantile(maps, SCALE_SHARE))


def _training_mark(model, dataset):
    """A hash of everything that the bytes of a model file depend on."""
    given = model.get_params(deep=False)
    setting = {name: value for name, value in given.items() if name not in ("n_jobs", "backbone")}
    setting |= {"architecture": architecture_of(model), "version": __version__, "shape": dataset.train.shape}
    kernels = hashlib.sha256()
    if model.backbone is not None:
        setting["preparation"] = model.backbone.preparation
        for values in (v for level in model.backbone.parameters for step in level for v in step.values()):
            kernels.update(np.ascontiguousarray(values))
    setting["kernels"] = kernels.hexdigest()
    return fingerprint(hashlib.sha256(np.ascontiguousarray(dataset.train)).hexdigest(), setting)


def _complete_model(arguments, out, mark):
    """With --resume: the model of a file that the training of this mark has written, or None."""
    if not arguments.resume or not os.path.isfile(out) or os.path.exists(checkpoint_path(out)):
        return None
    try:
        model = common.load_energy_model(out)
    except ModelFileError:  # of something else, or damaged; it is written anew
        return None
    return model if model.provenance_.get("training_sha256") == mark else None
