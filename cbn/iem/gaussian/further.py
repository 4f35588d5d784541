# SPDX-License-Identifier: BSD-3-Clause
"""Models of sums that are kept: the fit in one pass, more pictures, and several models made one."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import _validation as validation
from ...io.provenance import without_command
from ...metrics.calibration import Calibration
from ..nn.arrays import Array, Shape
from ..parameters import Arguments
from .features import Extractor, in_batches
from .fitted import TOGETHER, FittedGaussianModel, energies_of, prepared
from .maps import at_pixels, shown
from .models import directions_of, usual_and_scores
from .parameters import Gaussian
from .positions import PooledMoments, PositionGaussians
from .sums import KeptSums, digests_of

DIGEST = "pictures_digest"  # in the provenance: sums know no order of pictures


def of_sums(
    sums: KeptSums,
    *,
    picture_shape: Shape,
    brightness: str | None,
    extractor: Extractor,
    gaussian: Gaussian,
    false_alarm_rate: float,
    arguments: Arguments,
    provenance: dict[str, Any],
    n_jobs: int | None,
) -> FittedGaussianModel:
    """The model of sums: a function of the set of pictures alone, whatever their order, batches and threads."""
    threads = validation.check_threads(n_jobs)
    own = sums.moments
    shape = extractor.shape(*picture_shape[:2])
    directions = directions_of(gaussian, type(extractor))
    whitening = PooledMoments.of(own).whitening(extractor.unit, directions)
    gaussians = PositionGaussians.whitened(own, shape, gaussian, whitening, extractor.unit, threads)
    batches = (sums.features[part] for part in in_batches(len(sums.features), TOGETHER))
    usual, scores = usual_and_scores(batches, whitening, gaussians, extractor, gaussian, threads)
    fitted = FittedGaussianModel(
        picture_shape=picture_shape,
        brightness=brightness,
        extractor=extractor,
        whitening=whitening,
        gaussians=gaussians,
        usual=usual,
        calibration=Calibration.of(scores, "leave-one-out", false_alarm_rate),
        n_images=own.n,
        provenance=provenance | {DIGEST: f"{sums.digest:016x}"},
        arguments=arguments,
        n_jobs=n_jobs,
        sums=sums,
    )
    fitted.calibration.threshold_at(false_alarm_rate, stacklevel=4)  # warns of too few pictures
    return fitted


def with_more(
    fitted: FittedGaussianModel, X: npt.ArrayLike, progress: Callable[[int, int, int], object] | None = None
) -> FittedGaussianModel:
    """The model of the pictures of another and of more: the same as if all had been given to one fit.

    The threshold comes from the scores, each without the picture itself, of at most 128 of all pictures, those with the
    smallest hash.

    Parameters
    ----------
    X : array-like, (n, height, width) or (n, height, width, channels)
    progress : callable, optional
        Called with (0, pictures done, pictures) after every batch.

    Raises
    ------
    DataError
        Pictures that cannot be used.
    ValueError
        A model that keeps no sums.
    """
    sums = _sums_of(fitted, "partial_fit").copy()
    pictures = validation.as_pictures(X, picture_shape=fitted.picture_shape)
    threads = validation.check_threads(fitted.n_jobs)
    for part in in_batches(len(pictures), TOGETHER):
        features = fitted.extractor.features(prepared(pictures[part], fitted.brightness), threads)
        sums.add(features, digests_of(pictures[part]), threads)
        if progress is not None:
            progress(0, part.stop, len(pictures))
    return _again(fitted, sums)


def merged(fitted: FittedGaussianModel, others: Iterable[FittedGaussianModel]) -> FittedGaussianModel:
    """The model of the pictures of several, of the same settings: the same as if all had been given to one fit.

    Raises
    ------
    ValueError
        Models that keep no sums, or differ in a setting, which is named.
    """
    sums = _sums_of(fitted, "merge").copy()
    for other in others:  # which may come one by one from files
        check_mergeable(fitted, other)
        sums.add_sums(_sums_of(other, "merge"))
    return _again(fitted, sums)


def check_mergeable(fitted: FittedGaussianModel, other: FittedGaussianModel) -> None:
    """Refuses models that cannot be merged. Raises ValueError."""
    for own in (fitted, other):
        _sums_of(own, "merge")
    for name in ("picture_shape", "brightness"):
        ours, theirs = getattr(fitted, name), getattr(other, name)
        if ours != theirs:
            raise ValueError(
                f"merge: {name} {theirs} of one model, {ours} of the other; models must be of the same settings"
            )
    ours, theirs = fitted.gaussians.gaussian, other.gaussians.gaussian
    if ours.get_params() != theirs.get_params():
        raise ValueError(f"merge: {theirs} of one model, {ours} of the other; models must be of the same settings")
    assert fitted.backbone is not None and other.backbone is not None  # sums are kept with a network alone
    if fitted.backbone.digest() != other.backbone.digest():
        raise ValueError("merge: models of different weights of the pretrained network")


def maps_of_kept(fitted: FittedGaussianModel, most: int) -> Array:
    """Energy maps of up to ``most`` of the pictures whose features are kept, each by the model without it."""
    sums, threads = _sums_of(fitted, "maps"), validation.check_threads(fitted.n_jobs)
    count = min(most, len(sums.features))
    white = fitted.whitening(
        sums.features[np.arange(count) * len(sums.features) // count], fitted.extractor.unit, threads
    )
    energies = energies_of(fitted.gaussians, white, threads, without_own=True)
    gaussian = fitted.gaussians.gaussian
    energies = shown(energies, gaussian.smooth, gaussian.sharpen)
    return at_pixels(energies, fitted.extractor.stride, *fitted.picture_shape[:2])


def _sums_of(fitted: FittedGaussianModel, what: str) -> KeptSums:
    if fitted.sums is None:
        raise ValueError(
            f"{what}: the model keeps no sums; fit it with gaussian=Gaussian(keep_sums=True) (--keep-sums)"
        )
    return fitted.sums


def _again(fitted: FittedGaussianModel, sums: KeptSums) -> FittedGaussianModel:
    return of_sums(
        sums,
        picture_shape=fitted.picture_shape,
        brightness=fitted.brightness,
        extractor=fitted.extractor,
        gaussian=fitted.gaussians.gaussian,
        false_alarm_rate=fitted.calibration.false_alarm_rate,
        arguments=fitted.arguments,
        provenance=without_command(fitted.provenance),
        n_jobs=fitted.n_jobs,
    )
