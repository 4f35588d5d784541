# SPDX-License-Identifier: BSD-3-Clause
"""Whitening and Gaussians of features, and the scores that pictures of the fit would have if they were not of it."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from .features import Extractor
from .fitted import energies_of
from .parameters import Gaussian
from .positions import Moments, PooledMoments, PositionGaussians
from .whitening import Rounded, Whitening

# With fewer pictures every one is scored by a model that is fitted anew without it. With more the formula for that leaves
# the shared covariance and the whitening as they are, of which a single picture is a small part.
LEAST_FOR_FORMULA = 20

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


def scores_without_own(
    features: Rounded,
    whitening: Whitening,
    gaussians: PositionGaussians,
    extractor: Extractor,
    gaussian: Gaussian,
    num_threads: int,
) -> npt.NDArray[np.float64]:
    """Scores (n,) of pictures that the Gaussians are of, each by the model without it; of few pictures, all of them."""
    if gaussians.n < LEAST_FOR_FORMULA:
        return scores_by_refits(features, extractor, gaussian, num_threads)
    white = whitening(features, extractor.unit, num_threads)
    return -energies_of(gaussians, white, num_threads, without_own=True)[1]


def scores_by_refits(
    features: Rounded, extractor: Extractor, gaussian: Gaussian, num_threads: int
) -> npt.NDArray[np.float64]:
    """Scores of few pictures, each by the model of the others: where the shared parts owe much to a single picture."""
    scores, everything = np.empty(len(features)), slice(None)
    for own in range(len(features)):
        others = np.delete(features, own, axis=0)
        whitening, gaussians = model_of(
            lambda number, others=others: iter([(everything, others)]), extractor, gaussian, num_threads  # type: ignore[misc]
        )  # fmt: skip
        white = whitening(features[own : own + 1], extractor.unit, num_threads)
        scores[own] = -energies_of(gaussians, white, num_threads)[1][0]
    return scores
