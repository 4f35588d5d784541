# SPDX-License-Identifier: BSD-3-Clause
"""How a Gaussian energy model is fitted: features of all pictures once, whitening, sums, factors, thresholds."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import _validation as validation
from ..._engine import factor_floats
from ...distributed import is_dask, source_of
from ...exceptions import DataError
from ...metrics.calibration import Calibration
from ..names import SCRATCH
from ..parameters import Arguments
from ..pretrained.efficientnet import EfficientNetLite0
from .features import Extractor, PretrainedFeatures, in_batches
from .fitted import FittedGaussianModel, prepared
from .further import of_sums
from .models import directions_of, model_of, usual_and_scores
from .parameters import Gaussian
from .positions import n_products
from .scratch import PCAFeatures
from .shards import fit_shards
from .sums import MOST_KEPT, KeptSums, digests_of
from .whitening import Rounded

# Features of as many training pictures as have room here are kept, those of others computed anew in every pass.
KEPT_BYTES = 64 * 2**20
# Pictures that are worked on at a time.
TOGETHER = 8
# Pictures from which filters are learned without a pretrained network, evenly spaced among all.
MOST_FOR_FILTERS, TOGETHER_FOR_FILTERS = 64, 8

# Called with (passes done, pictures done in the pass under way, pictures).
Progress = Callable[[int, int, int], object]


def fit(
    X: npt.ArrayLike,
    arguments: Arguments | None = None,
    *,
    n_jobs: int | None = None,
    progress: Progress | None = None,
) -> FittedGaussianModel:
    """Learn from normal pictures, and take the threshold from the same ones, each scored by the model without it.

    Parameters
    ----------
    X : array-like or dask array, (n, height, width) or (n, height, width, channels)
        bool, integers 0..255, or floats in [0, 1]; grey, or 1 or 3 channels. Blocks of a dask array stay on the workers
        of a cluster; with ``keep_sums`` alone.
    arguments : Arguments
    n_jobs : int, optional
        Threads; None is all cores. Results do not depend on it.
    progress : callable, optional
        Called after every batch of pictures.

    Raises
    ------
    DataError
        Pictures that cannot be used: shape, type, range, NaN, fewer than two. Weights that cannot be used.
    ValueError
        An argument outside its range.
    """
    arguments = (arguments or Arguments()).kept()
    gaussian, brightness, rate = checked(arguments)
    if is_dask(X):
        return _fit_dask(X, arguments, gaussian, brightness, rate, n_jobs)
    pictures = validation.as_pictures(X)
    if len(pictures) < 2:
        raise DataError("X: 1 picture; the spread of features needs at least 2")
    threads = validation.check_threads(n_jobs)
    extractor = _extractor(arguments, gaussian, pictures, threads)
    source = _Features(
        pictures,
        brightness,
        extractor,
        threads,
        progress,
        n_kept(len(pictures), pictures.shape[1:], type(extractor), gaussian),
    )
    if gaussian.keep_sums:
        sums = KeptSums.empty(*extractor.shape(*pictures.shape[1:3]), extractor.n_features)
        for part, features in source.batches(0):
            sums.add(features, digests_of(pictures[part]), threads)
        return of_sums(
            sums,
            picture_shape=pictures.shape[1:],
            brightness=brightness,
            extractor=extractor,
            gaussian=gaussian,
            false_alarm_rate=rate,
            arguments=arguments,
            provenance={},
            n_jobs=n_jobs,
        )
    whitening, gaussians = model_of(source.batches, extractor, gaussian, threads)
    batches: Iterator[Rounded] = (features for _, features in source.batches(2))
    usual, scores = usual_and_scores(batches, whitening, gaussians, extractor, gaussian, threads)
    fitted = FittedGaussianModel(
        picture_shape=pictures.shape[1:],
        brightness=brightness,
        extractor=extractor,
        whitening=whitening,
        gaussians=gaussians,
        usual=usual,
        calibration=Calibration.of(scores, "leave-one-out", rate),
        n_images=len(pictures),
        provenance={"data_sha256": hashlib.sha256(pictures.data).hexdigest()},
        arguments=arguments,
        n_jobs=n_jobs,
    )
    fitted.calibration.threshold_at(rate, stacklevel=3)  # warns of too few pictures
    return fitted


def _fit_dask(
    X: Any, arguments: Arguments, gaussian: Gaussian, brightness: str | None, rate: float, n_jobs: int | None
) -> FittedGaussianModel:
    if not gaussian.keep_sums:
        raise ValueError(
            "gaussian: keep_sums=False; models of a dask array are learned from sums that are kept: give "
            "gaussian=Gaussian(keep_sums=True), or X.compute()"
        )
    source, _ = source_of(X, together=2)  # such sums are hundreds of MB
    return fit_shards(
        source, pretrained(arguments, gaussian), gaussian, brightness, arguments,
        false_alarm_rate=rate, n_jobs=n_jobs,
    )  # fmt: skip


def checked(arguments: Arguments) -> tuple[Gaussian, str | None, float]:
    """(parameters, brightness, false-alarm rate). Raises ValueError."""
    given: object = arguments.gaussian
    if arguments.backbone_weights is not None and arguments.backbone in (None, SCRATCH):
        raise ValueError(f"backbone_weights: {arguments.backbone_weights!r}; name their network by backbone")
    if given is not None and not isinstance(given, Gaussian):
        raise ValueError(f"gaussian: {given!r:.60}; give a cbn.iem.Gaussian, such as Gaussian(directions=64)")
    if arguments.brightness is not None:
        validation.check_choice(arguments.brightness, "brightness", ("median",))
    rate = validation.check_real(arguments.false_alarm_rate, "false_alarm_rate", 0, 1, open_ends=True)
    gaussian = (given or Gaussian()).resolved(arguments.backbone != SCRATCH)
    if gaussian.keep_sums and arguments.backbone == SCRATCH:
        raise ValueError(
            f"keep_sums: True; not with backbone={SCRATCH!r}, whose filters come from all pictures at once"
        )
    return gaussian, arguments.brightness, rate


def kind_of(arguments: Arguments) -> type[Extractor]:
    """What makes features: with a pretrained network or without."""
    return PCAFeatures if arguments.backbone == SCRATCH else PretrainedFeatures


def pretrained(arguments: Arguments, gaussian: Gaussian) -> PretrainedFeatures:
    """Features of the network that arguments name. Raises DataError for its weights, ValueError for blocks it has not."""
    assert gaussian.blocks is not None  # of resolved parameters
    return PretrainedFeatures(EfficientNetLite0(arguments.backbone_weights), gaussian.blocks, bool(gaussian.smooth))


def _extractor(arguments: Arguments, gaussian: Gaussian, pictures: npt.NDArray[Any], num_threads: int) -> Extractor:
    if arguments.backbone != SCRATCH:
        return pretrained(arguments, gaussian)
    some = np.linspace(0, len(pictures) - 1, min(len(pictures), MOST_FOR_FILTERS)).astype(np.int64)
    return PCAFeatures.learned(
        lambda: (
            prepared(pictures[some[part]], arguments.brightness) for part in in_batches(len(some), TOGETHER_FOR_FILTERS)
        ),
        pictures.shape[3],
        num_threads,
        bool(gaussian.smooth),
    )


def sizes(picture_shape: tuple[int, ...], kind: type[Extractor], gaussian: Gaussian) -> tuple[int, int, int]:
    """(rows, columns, directions) of the positions of pictures."""
    return *kind.shape(*picture_shape[:2]), directions_of(gaussian, kind)


def passes(gaussian: Gaussian) -> int:
    """How often a fit goes over the pictures: once for sums that are kept, else for whitening, positions, thresholds."""
    return 1 if gaussian.keep_sums else 3


def n_kept(n_images: int, picture_shape: tuple[int, ...], kind: type[Extractor], gaussian: Gaussian) -> int:
    """Of how many pictures a fit keeps the features, which are then computed once; of none if it goes over them once."""
    if gaussian.keep_sums:
        return 0
    most = KEPT_BYTES // kind.bytes_of(gaussian, *picture_shape[:2])
    return n_images if n_images <= most else most // TOGETHER * TOGETHER


def memory(n_images: int, picture_shape: tuple[int, ...], kind: type[Extractor], gaussian: Gaussian) -> dict[str, int]:
    """Bytes that a fit needs beside the pictures, by what they are for."""
    rows, columns, size = sizes(picture_shape, kind, gaussian)
    n_features = min(n_images, MOST_KEPT) if gaussian.keep_sums else n_kept(n_images, picture_shape, kind, gaussian)
    in_sums = kind.size(gaussian) if gaussian.keep_sums else size
    return {
        "features": (n_features + TOGETHER) * kind.bytes_of(gaussian, *picture_shape[:2]),
        "sums": 8 * rows * columns * (in_sums + n_products(in_sums)),
        "model": 4 * rows * columns * (size + factor_floats(size)),
    }


class _Features:
    """Rounded features of the training pictures: of the first ones kept, of others computed for every pass."""

    def __init__(
        self,
        pictures: npt.NDArray[Any],
        brightness: str | None,
        extractor: Extractor,
        num_threads: int,
        progress: Progress | None,
        n_kept: int,
    ) -> None:
        self.pictures, self.brightness, self.extractor = pictures, brightness, extractor
        self.num_threads, self.progress = num_threads, progress
        rows, columns = extractor.shape(*pictures.shape[1:3])
        self.kept: Rounded = np.empty((n_kept, rows, columns, extractor.n_features), np.int16)

    def batches(self, number: int) -> Iterator[tuple[slice, Rounded]]:
        """(which pictures, their features) in pass ``number``; the first one fills what is kept."""
        n = len(self.pictures)
        for part in in_batches(n, TOGETHER):
            kept = part.stop <= len(self.kept)
            if kept and number:
                yield part, self.kept[part]
            else:
                features = self.extractor.features(prepared(self.pictures[part], self.brightness), self.num_threads)
                if kept:
                    self.kept[part] = features
                yield part, features
            if self.progress is not None:
                self.progress(number, part.stop, n)
