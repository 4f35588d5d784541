# SPDX-License-Identifier: BSD-3-Clause
"""Whitening and Gaussians of features, and the scores that pictures of the fit would have if they were not of it."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from ..nn.arrays import Array
from .features import Extractor
from .fitted import energies_of
from .maps import picture_energies, settled
from .parameters import Gaussian
from .positions import Moments, PooledMoments, PositionGaussians
from .usual import Usual, relative_without_own
from .whitening import Rounded, Whitening

# With fewer pictures every one is scored by a model that is fitted anew without it. With more the formula for that leaves
# the shared covariance and the whitening as they are, of which a single picture is a small part: unless there are few
# rows (pictures times positions) to a direction. Then PARTS models are fitted anew, each without a part of the pictures.
LEAST_FOR_FORMULA = 20
LEAST_ROWS = 200
PARTS = 10

# From the number of a pass: which pictures, and their features.
Batches = Callable[[int], Iterator[tuple[slice, Rounded]]]


def model_of(
    batches: Batches, extractor: Extractor, gaussian: Gaussian, num_threads: int
) -> tuple[Whitening, PositionGaussians]:
    """Whitening and Gaussians of the features that come in two passes."""
    pooled = PooledMoments(extractor.n_features)
    for _, features in batches(0):
        pooled.add(features, num_threads)
    whitening = pooled.whitening(extractor.unit, directions_of(gaussian, type(extractor)))
    moments = None
    for _, features in batches(1):
        shape = features.shape[1:3]
        moments = moments or Moments.empty(shape[0] * shape[1], whitening.basis.shape[1])
        moments.add(whitening(features, extractor.unit, num_threads), num_threads)
    assert moments is not None  # there are two pictures at least
    return whitening, PositionGaussians.of(moments, (shape[0], shape[1]), gaussian, num_threads)


def directions_of(gaussian: Gaussian, kind: type[Extractor]) -> int:
    """Directions that are kept of the features."""
    assert gaussian.directions is not None  # of resolved parameters
    return min(gaussian.directions, kind.size(gaussian))


def usual_and_scores(
    batches: Iterable[Rounded],
    whitening: Whitening,
    gaussians: PositionGaussians,
    extractor: Extractor,
    gaussian: Gaussian,
    num_threads: int,
) -> tuple[Usual | None, npt.NDArray[np.float64]]:
    """(usual energies or None, scores (n,)) of pictures that the Gaussians are of, each by a model without it.

    If ``by_refits`` all pictures must be given: energies are then of models of the others among them.
    """
    if by_refits(gaussians, whitening):
        energies = energies_by_refits(np.concatenate(list(batches)), extractor, gaussian, num_threads)
    else:
        parts = (whitening(features, extractor.unit, num_threads) for features in batches)
        energies = np.concatenate([energies_of(gaussians, white, num_threads, without_own=True) for white in parts])
    usual = None
    if has_usual(gaussian, gaussians.n):
        assert gaussian.strength is not None  # of resolved parameters
        usual = Usual.of(energies, gaussian.strength)
        energies = relative_without_own(energies, gaussian.strength)
    return usual, -picture_energies(settled(energies, gaussian.smooth), gaussian.top)


def has_usual(gaussian: Gaussian, n_images: int) -> bool:
    """Whether energies are relative. Those of fewer pictures say little of what is usual at a position."""
    return bool(gaussian.relative) and n_images >= LEAST_FOR_FORMULA


def by_refits(gaussians: PositionGaussians, whitening: Whitening) -> bool:
    """Whether the formula says too little of how a model without a picture would see it."""
    positions, directions = gaussians.mean.shape
    return gaussians.n < LEAST_FOR_FORMULA or gaussians.n * positions < LEAST_ROWS * directions


def energies_by_refits(features: Rounded, extractor: Extractor, gaussian: Gaussian, num_threads: int) -> Array:
    """Energies (n, rows, columns) of pictures by models of others: of all others, or of all but a part of the pictures."""
    energies, everything = np.empty(features.shape[:3], np.float32), slice(None)
    parts = len(features) if len(features) < LEAST_FOR_FORMULA else PARTS
    for first in range(parts):
        own = slice(first, None, parts)
        others = np.delete(features, own, axis=0)
        whitening, gaussians = model_of(
            lambda number, others=others: iter([(everything, others)]), extractor, gaussian, num_threads  # type: ignore[misc]
        )  # fmt: skip
        white = whitening(np.ascontiguousarray(features[own]), extractor.unit, num_threads)
        energies[own] = energies_of(gaussians, white, num_threads)
    return energies
