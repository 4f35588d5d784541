# SPDX-License-Identifier: BSD-3-Clause
"""One introspective energy model from its pictures to its file: progress, checkpoints, interruption."""

import argparse
import hashlib
import os
import warnings
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .._version import __version__
from ..datasets import InspectionSet
from ..exceptions import CalibrationWarning, ModelFileError
from ..iem import fitting
from ..iem.fitted import FittedEnergyModel
from ..iem.gaussian import fitting as gaussian_fitting
from ..iem.gaussian.fitted import FittedGaussianModel
from ..iem.gaussian.further import maps_of_kept
from ..iem.names import SCRATCH
from ..iem.nn.arrays import Shape
from ..iem.parameters import Arguments
from ..iem.pretrained.efficientnet import EfficientNetLite0
from ..iem.settings import backbone_of, resolve
from ..iem.training.levelwise import TrainingState
from ..io.checkpoint import fingerprint
from ..io.provenance import COMMAND
from . import _common as common
from ._given import offset_of, record_of
from ._iem_calibration import calibrated
from ._iem_files import load_fitted
from ._iem_options import SCALE_KEY
from ._jobs import Bar, checkpoint_path, interrupted_message, remove_checkpoint

# The colour scale of maps ends at twice the energy that this share of the pixels of training pictures stays below, so
# that good pictures keep to its lower half.
SCALE_SHARE, SCALE_FACTOR = 0.999, 2.0
# Training pictures that the scale is measured on at most, evenly spaced.
SCALE_PICTURES = 64


Fitted = FittedEnergyModel | FittedGaussianModel
Pictures = npt.NDArray[np.uint8]


class FitProgress(Bar):
    """The bar of a job of one or several models: epochs of all levels, or passes over pictures."""

    def __init__(self, arguments: argparse.Namespace, n_models: int, unit: str) -> None:
        super().__init__(arguments, n_models, 1, unit)  # how many a model has comes with the first one
        self.done, self.passes = 0, 1

    def begin(self, arguments: Arguments, n_train: int, picture_shape: Shape, name: str | None) -> None:
        """A new model: models of one job may differ in epochs, but the bar counts as if all were like this one."""
        if arguments.sidewards == "gaussian":
            self.passes = gaussian_fitting.passes(gaussian_fitting.checked(arguments)[0])
            per_model = self.passes * n_train
        else:
            per_model = sum(resolve(arguments, backbone_of(arguments), n_train, picture_shape).epochs)
        earlier = self.bar.n * per_model // self.per_model
        self.per_model, self.done = per_model, 0
        self.bar.n, self.bar.total = earlier, self.n_models * self.per_model
        if name is not None:
            self.bar.set_description(f"training {name}", refresh=False)
        self.bar.refresh()

    def __call__(self, state: TrainingState) -> None:
        n_levels = len(state.epochs)
        self.bar.set_postfix_str(f"level {state.level + 1} of {n_levels}, loss {state.loss:.4f}", refresh=False)
        self.move(state.n_done, trained=1)

    def pictures(self, number: int, done: int, n: int) -> None:
        """So many pictures of pass ``number`` are done."""
        self.bar.set_postfix_str(f"pass {number + 1} of {self.passes}", refresh=False)
        total = number * n + done
        self.move(total, trained=total - self.done)
        self.done = total


def where(fitted: FittedEnergyModel) -> str:
    """How far a model is trained, in words."""
    level = len(fitted.levels) - 1
    return f"in level {level}, after epoch {len(fitted.levels[-1].curve)} of {fitted.settings.epochs[level]}"


def train_model(
    options: argparse.Namespace,
    arguments: Arguments,
    dataset: InspectionSet,
    calibration: Pictures | None,
    out: str,
    source: str | None,
    clock: common.Clock,
    progress: FitProgress,
) -> Fitted:
    """Fits a model on the training pictures of an InspectionSet, takes the threshold from others if given, and saves it.

    With --resume, a model file that this very training wrote is taken as it is, and a checkpoint is gone on from.

    Raises
    ------
    KeyboardInterrupt
        With a message that says what was written.
    """
    mark = _training_mark(arguments, dataset, calibration)
    with clock.part("fit"):
        fitted = _complete_model(options, out, mark)
        if fitted is None:
            fitted = _fit_and_save(options, arguments, dataset, calibration, out, source, mark, progress)
        else:
            progress.say(f"{out}: complete, and of the same training: kept")
            fitted = replace(fitted, n_jobs=options.threads)
    remove_checkpoint(out)
    progress.end()
    return fitted


def _fit_and_save(
    options: argparse.Namespace,
    arguments: Arguments,
    dataset: InspectionSet,
    calibration: Pictures | None,
    out: str,
    source: str | None,
    mark: str,
    progress: FitProgress,
) -> Fitted:
    checkpoint = checkpoint_path(out)
    if options.resume and os.path.exists(out) and (checkpoint is None or not os.path.exists(checkpoint)):
        progress.say(f"{out}: of another training, and there is no checkpoint; training begins at the start")
    of_category = {"data": source, "categories": None} if options.categories is not None else {}
    record: dict[str, Any] = {
        COMMAND: record_of(options, **of_category),
        "source": source,
        "category": dataset.category,
        "seed": options.seed,
    }
    with warnings.catch_warnings():
        if calibration is not None:  # the training pictures do not set the threshold, so their number is no matter
            warnings.simplefilter("ignore", CalibrationWarning)
        fitted, reached = _fit(options, arguments, dataset, checkpoint, progress)
    if calibration is not None:
        fitted = calibrated(fitted, calibration, options.calibration)
    if reached is None:
        return _save(fitted, dataset, record | {"training_sha256": mark}, out)
    _save(fitted, dataset, record | {"unfinished": reached}, out)
    message = f"interrupted {reached}; {out} is the model so far"
    raise KeyboardInterrupt(interrupted_message(message, checkpoint))


def _fit(
    options: argparse.Namespace,
    arguments: Arguments,
    dataset: InspectionSet,
    checkpoint: str | None,
    progress: FitProgress,
) -> tuple[Fitted, str | None]:
    """(model, None), or (model so far, where training was interrupted)."""
    try:
        if arguments.sidewards == "gaussian":
            report = progress.pictures
            return gaussian_fitting.fit(dataset.train, arguments, n_jobs=options.threads, progress=report), None
        fitted = fitting.fit(
            dataset.train, arguments, n_jobs=options.threads, progress=progress, checkpoint=checkpoint,
            resume=bool(options.resume),
        )  # fmt: skip
        return fitted, None
    except fitting.Interrupted as stop:
        return stop.fitted, where(stop.fitted)
    except KeyboardInterrupt:  # before the end of the first epoch, or a second one
        gaussian = arguments.sidewards == "gaussian"  # which keep no checkpoints
        message = interrupted_message("interrupted; no model has been written", None if gaussian else checkpoint)
        raise KeyboardInterrupt(message) from None


def _save(fitted: Fitted, dataset: InspectionSet, record: dict[str, Any], out: str) -> Fitted:
    """Writes a model with its record and the colour scale of its maps, and returns it."""
    record[SCALE_KEY] = color_scale(fitted, dataset.train)
    record[COMMAND] |= offset_of(fitted.calibration)
    fitted = replace(fitted, provenance=fitted.provenance | record)
    fitted.save(out)
    return fitted


def color_scale(fitted: Fitted, train: npt.NDArray[Any] | None = None) -> float:
    """Top of the colour scale of maps, in standard deviations; models that keep sums have pictures of their own."""
    # Gaussians are so near to pictures of their fit that these say little of new ones
    if isinstance(fitted, FittedGaussianModel) and fitted.sums is not None:
        maps = maps_of_kept(fitted, SCALE_PICTURES)
    else:
        assert train is not None
        count = min(SCALE_PICTURES, len(train))
        pictures = train[np.arange(count) * len(train) // count]
        maps = (
            fitted.energy_map(pictures, without_own=True)
            if isinstance(fitted, FittedGaussianModel)
            else fitted.energy_map(pictures)
        )
    # of small pictures, or few, even those without the picture itself: scores say how large energies of new pictures are
    return float(SCALE_FACTOR * max(np.quantile(maps, SCALE_SHARE), -np.median(fitted.calibration.scores)))


def _training_mark(arguments: Arguments, dataset: InspectionSet, calibration: Pictures | None) -> str:
    """A hash of everything that the bytes of a model file depend on."""
    setting = {own.name: getattr(arguments, own.name) for own in fields(arguments) if own.name != "backbone"}
    if arguments.sidewards == "gaussian":
        scratch = arguments.backbone == SCRATCH
        kernels = SCRATCH if scratch else EfficientNetLite0(arguments.backbone_weights).digest()
        setting |= {"backbone_weights": None, "kernels": kernels}
    elif (backbone := backbone_of(arguments)) is not None:
        setting |= {"architecture": backbone.architecture, "preparation": backbone.preparation}
        setting["kernels"] = backbone.digest()
    setting |= {"version": __version__, "shape": dataset.train.shape}
    if calibration is not None:
        setting["calibration"] = hashlib.sha256(np.ascontiguousarray(calibration).data).hexdigest()
    return fingerprint(hashlib.sha256(np.ascontiguousarray(dataset.train).data).hexdigest(), setting)


def _complete_model(options: argparse.Namespace, out: str, mark: str) -> Fitted | None:
    """With --resume: the model of a file that the training of this mark has written, or None."""
    checkpoint = checkpoint_path(out)
    if not options.resume or not os.path.isfile(out) or (checkpoint is not None and os.path.exists(checkpoint)):
        return None
    try:
        fitted = load_fitted(out)
    except ModelFileError:  # of something else, or damaged; it is written anew
        return None
    return fitted if fitted.provenance.get("training_sha256") == mark else None
