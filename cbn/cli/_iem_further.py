# SPDX-License-Identifier: BSD-3-Clause
"""cbn-iem-train --add and --merge: models that keep their sums learn from more pictures, and become one."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..exceptions import ModelFileError
from ..iem.gaussian import further
from ..iem.gaussian.fitted import FittedGaussianModel
from ..iem.gaussian.parameters import Gaussian
from ..iem.gaussian.sums import Digests, digests_of
from ..iem.names import EMBEDDED
from ..iem.pretrained.efficientnet import EfficientNetLite0
from ..io.provenance import COMMAND
from . import _common as common
from ._fields import as_option, given_fields
from ._given import record_of
from ._iem_calibration import calibrated
from ._iem_files import load_fitted
from ._iem_fit import SCALE_KEY, FitProgress, color_scale
from ._iem_options import chosen_sidewards
from ._merge import check_paths, refuse_others
from ._too_few import threshold_line

if TYPE_CHECKING:
    from ..datasets import InspectionSet

# Of a model's record, what is not so any more once it has more pictures.
_OUTDATED = ("training_sha256", "calibrated_with", "category", SCALE_KEY)
_AND = " and "  # between sources in the record
# What --merge goes with; all other options are of pictures and settings.
_WITH_MERGE = ("merge", "out", "threads", "json", "quiet", "program", "config", "given", "kept")


def read_base(arguments: argparse.Namespace) -> FittedGaussianModel:
    """The model of --add; what it was fitted with becomes the value of options. Options that contradict it are refused."""
    for name in ("resume", "categories"):
        if getattr(arguments, name) not in (None, False):
            raise common.UsageError(f"--{name}: not with --add, which adds to one model in one pass; leave it out")
    base = _load("--add", arguments.add, arguments)
    if chosen_sidewards(arguments) != "gaussian":
        raise common.UsageError(
            f"--add: {arguments.add!r} is of Gaussian sidewards models; leave options of neural ones out"
        )
    height, width, channels = base.picture_shape
    own: dict[str, Any] = {
        "size": (height, width),
        "color": "grey" if channels == 1 else "rgb",
        "brightness": base.brightness or "none",
        "false_alarm_rate": base.calibration.false_alarm_rate,
        "backbone": EMBEDDED,
    }
    for name, value in own.items():
        given = getattr(arguments, name)
        if given not in (None, "auto", value):
            _refuse(arguments, name, given, value)
    gaussian = base.gaussians.gaussian.get_params()
    for name, given in given_fields(arguments, Gaussian).items():
        if given != gaussian[name]:
            _refuse(arguments, name, given, gaussian[name])
    if arguments.weights is not None:
        with common.naming("--weights"):
            digest = EfficientNetLite0(arguments.weights).digest()
        if base.backbone is None or digest != base.backbone.digest():
            _refuse(arguments, "weights", arguments.weights, "other weights")
    arguments.weights = arguments.blocks = None  # they are in the model
    for name, value in own.items():
        setattr(arguments, name, value)
    return base


def _refuse(arguments: argparse.Namespace, name: str, given: Any, own: Any) -> None:
    def shown(value: Any) -> str:
        return "x".join(map(str, value)) if name == "size" else as_option(value)

    raise common.UsageError(
        f"--{name.replace('_', '-')}: {shown(given)}, but {arguments.add!r} was fitted with {shown(own)}, to which --add "
        "keeps; leave it out"
    )


def _load(option: str, path: str, arguments: argparse.Namespace) -> FittedGaussianModel:
    """A model that keeps its sums."""
    try:
        fitted = load_fitted(path)
    except ModelFileError as error:
        raise ModelFileError(f"{option}: {error}") from None
    mend = "only Gaussian models that keep them can learn more; train it again with --keep-sums"
    if not isinstance(fitted, FittedGaussianModel):
        raise ModelFileError(f"{option}: {path!r}: of neural sidewards models, which keep no sums; {mend}")
    if fitted.sums is None:
        raise ModelFileError(f"{option}: {path!r}: keeps no sums; {mend}")
    if fitted.calibration.source == "separate images":
        common.warn(
            arguments,
            f"{path}: its threshold was that of separate pictures; now it comes from pictures of the fit again, unless "
            "--calibration is given",
        )
    return replace(fitted, n_jobs=arguments.threads)


def add(
    arguments: argparse.Namespace,
    base: FittedGaussianModel,
    dataset: "InspectionSet",
    calibration: npt.NDArray[np.uint8] | None,
    source: str | None,
    clock: common.Clock,
    progress: FitProgress,
) -> FittedGaussianModel:
    """The model with the training pictures of an InspectionSet added, saved as --out."""
    with clock.part("fit"):
        assert base.sums is not None
        _warn_of_repeated(
            arguments, digests_of(dataset.train), base.sums.digests, "of these pictures", f"{arguments.add!r}"
        )
        try:
            fitted = further.with_more(base, dataset.train, progress.pictures)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("interrupted; no model has been written") from None
        fitted = _recorded(arguments, fitted, [*_sources(base), *([source] if source else [])])
        if calibration is not None:
            fitted = calibrated(fitted, calibration, arguments.calibration)
        fitted.save(arguments.out)
    progress.end()
    return fitted


def merge(arguments: argparse.Namespace, defaults: argparse.Namespace) -> None:
    """--merge A B [C ...]: one model of the pictures of all, saved as --out.

    ``defaults``: what arguments are where nothing is given.
    """
    refuse_others(arguments, defaults, _WITH_MERGE, "--merge", "which needs models alone")
    paths = arguments.merge
    check_paths(paths, "pictures")
    clock = common.Clock()
    with clock.part("model"):
        first = _load("--merge", paths[0], arguments)
    with clock.part("merge"):
        try:
            sources = _sources(first)
            fitted = further.merged(first, _others(arguments, first, sources))
        except KeyboardInterrupt:
            raise KeyboardInterrupt("interrupted; no model has been written") from None
        _recorded(arguments, fitted, sources).save(arguments.out)
    _print_merged(arguments, fitted, clock)


def _others(arguments: argparse.Namespace, first: FittedGaussianModel, sources: list[str]) -> Iterator[Any]:
    """All models after the first, each checked against it, so that two are in memory at a time."""
    assert first.sums is not None
    known = first.sums.digests
    for path in arguments.merge[1:]:
        other = _load("--merge", path, arguments)
        try:
            further.check_mergeable(first, other)
        except ValueError as error:
            rest = str(error).removeprefix("merge: ")
            raise common.UsageError(f"--merge: {path!r} beside {arguments.merge[0]!r}: {rest}") from None
        assert other.sums is not None
        _warn_of_repeated(arguments, other.sums.digests, known, f"pictures of {path}", "models before it")
        known = np.concatenate([known, other.sums.digests])
        sources += _sources(other)
        yield other


def _warn_of_repeated(arguments: argparse.Namespace, own: Digests, known: Digests, what: str, where: str) -> None:
    """A warning of pictures that are known already, as far as models keep them."""
    if repeated := int(np.isin(own, known).sum()):
        common.warn(arguments, f"{repeated:,} or more {what} are in {where} already, and count twice")


def _sources(fitted: FittedGaussianModel) -> list[str]:
    """What a model was fitted on, as its record says."""
    source = fitted.provenance.get("source")
    return source.split(_AND) if isinstance(source, str) else []


def _recorded(arguments: argparse.Namespace, fitted: FittedGaussianModel, sources: list[str]) -> FittedGaussianModel:
    """With a record of it as it is now."""
    kept = {name: value for name, value in fitted.provenance.items() if name not in _OUTDATED}
    source = _AND.join(dict.fromkeys(sources)) or None
    calibration = fitted.calibration if arguments.calibration is None else None  # another is to come
    told = {COMMAND: record_of(arguments, calibration), "source": source, SCALE_KEY: color_scale(fitted)}
    return replace(fitted, provenance=kept | told)


def _print_merged(arguments: argparse.Namespace, fitted: FittedGaussianModel, clock: common.Clock) -> None:
    own = fitted.calibration
    if arguments.json:
        common.print_json(
            {"model": arguments.out, "merged": arguments.merge, "n_images": fitted.n_images,
             "picture_shape": list(fitted.picture_shape), "calibration": own.source, "n_calibration": len(own.scores),
             "threshold": float(-own.offset), "false_alarm_rate": own.false_alarm_rate, "seconds": clock.seconds}
        )  # fmt: skip
        return
    print(f"pictures         {fitted.n_images:,} of {len(arguments.merge)} models")
    shown = f"energy {-own.offset:.3f} ({common.ENERGY})"
    print(threshold_line(shown, len(own.scores), own.source, own.false_alarm_rate, own.decides))
    print(f"model            {arguments.out}")
