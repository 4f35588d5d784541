# SPDX-License-Identifier: BSD-3-Clause
"""Detectors of defects that the package is compared with; all take the same rounded features of pictures.

Every class has ``fit(features)`` for features (n, rows, columns, size) int16 of normal pictures, in units of
``PretrainedFeatures.unit``, and ``distances(features)``: how far every position is from what was learned. ``n_bytes`` is
the size of what is kept, in single precision.
"""

from typing import Self

import numpy as np
from arrays import Indices, Rounded, Singles
from context import SEED
from scipy.linalg.lapack import dtrtri
from scipy.ndimage import gaussian_filter, uniform_filter
from threadpoolctl import threadpool_limits

from cbn.iem.gaussian.features import PretrainedFeatures, in_batches
from cbn.iem.gaussian.maps import at_pixels
from cbn.iem.gaussian.positions import PooledMoments
from cbn.iem.gaussian.whitening import UNIT

SIGMA = 4  # pixels by which the maps of both papers are smoothed
RIDGE = 0.01  # PaDiM adds it to every variance
SHARE = 0.01  # of all patches, which PatchCore keeps
PROJECTED = 128  # random directions in which PatchCore chooses them
PROPOSED = 4096  # patches among which the next ones are chosen
CHOSEN = 128  # patches whose distances to all others are computed together
BLOCK = 8192  # patches to which they are computed at a time
TOGETHER = 8  # pictures


def enlarged(distances: Singles, height: int, width: int) -> Singles:
    """Maps of pictures (n, height, width): distances of positions, linear between their centres, then smoothed."""
    return gaussian_filter(at_pixels(distances, PretrainedFeatures.stride, height, width), (0, SIGMA, SIGMA))


class Padim:
    """PaDiM (Defard, Setkov, Loesch & Audigier 2021): Mahalanobis distances to a Gaussian at every position.

    Parameters
    ----------
    n_features : int
        So many of the features, chosen at random; 256 are all.
    """

    def __init__(self, n_features: int) -> None:
        self.n_features = n_features
        self.name = f"PaDiM, {n_features} features"

    def fit(self, features: Rounded) -> Self:
        n, rows, columns, size = features.shape
        self.kept = np.sort(np.random.default_rng(SEED).permutation(size)[: self.n_features])
        self.mean = np.empty((rows * columns, self.n_features), np.float32)
        self.factors = np.empty((rows * columns, self.n_features, self.n_features), np.float32)
        every = features.reshape(n, rows * columns, size)
        with threadpool_limits(1):  # several threads wait for each other most of the time over matrices so small
            for position in range(rows * columns):
                values = every[:, position, self.kept] * PretrainedFeatures.unit
                self.mean[position] = values.mean(axis=0)
                covariance = np.cov(values, rowvar=False) + RIDGE * np.eye(self.n_features)
                inverse, _ = dtrtri(np.linalg.cholesky(covariance), lower=1)
                self.factors[position] = inverse.T
        return self

    @property
    def n_bytes(self) -> int:
        """Of the means and one triangle of every matrix."""
        return 4 * len(self.mean) * (self.n_features + self.n_features * (self.n_features + 1) // 2)

    def distances(self, features: Rounded) -> Singles:
        n, rows, columns, size = features.shape
        values = features.reshape(n, rows * columns, size)[:, :, self.kept] * np.float32(PretrainedFeatures.unit)
        white = np.matmul((values - self.mean).transpose(1, 0, 2), self.factors)
        return np.sqrt(np.einsum("pnd,pnd->np", white, white)).reshape(n, rows, columns)


class PatchCore:
    """PatchCore (Roth et al. 2022): distances of patches to the nearest among some of those of normal pictures.

    Parameters
    ----------
    whitened : bool
        Whiten the features first, all directions: this is not in the paper, and finds more.
    """

    def __init__(self, whitened: bool) -> None:
        self.whitened = whitened
        self.name = "PatchCore, 1 %, whitened" if whitened else "PatchCore, 1 %"

    def fit(self, features: Rounded) -> Self:
        n, rows, columns, size = features.shape
        if self.whitened:
            moments = PooledMoments(size)
            for part in in_batches(n, TOGETHER):
                moments.add(features[part])
            self.whitening = moments.whitening(PretrainedFeatures.unit, size)
        projection = np.random.default_rng(SEED).standard_normal((size, PROJECTED), np.float32)
        parts = in_batches(n, TOGETHER)
        projected = np.concatenate([self._patches(features[part]) @ projection for part in parts])
        chosen = np.sort(spread(projected, max(1, round(SHARE * len(projected)))))
        picture, position = np.divmod(chosen, rows * columns)
        # picture by picture: there is no room for all patches at once
        kept = [self._patches(features[[own]])[position[picture == own]] for own in np.unique(picture)]
        self.bank = np.concatenate(kept)
        self.squares = np.einsum("bd,bd->b", self.bank, self.bank)
        return self

    @property
    def n_bytes(self) -> int:
        """Of the patches, and of the whitening where there is one."""
        size = self.bank.shape[1]
        return self.bank.nbytes + 4 * size * (size + 1) * self.whitened

    def distances(self, features: Rounded) -> Singles:
        patches = self._patches(features)
        least = (self.squares - 2 * (patches @ self.bank.T)).min(axis=1)
        least += np.einsum("pd,pd->p", patches, patches)
        return np.sqrt(np.maximum(least, 0)).reshape(features.shape[:3])

    def _patches(self, features: Rounded) -> Singles:
        """(patches, size): means of features over the 3 x 3 positions around each; beyond the border they count as 0."""
        unit = PretrainedFeatures.unit
        if self.whitened:
            features, unit = self.whitening(features, unit), UNIT
        values = uniform_filter(features * np.float32(unit), (1, 3, 3, 1), mode="constant")
        return values.reshape(-1, values.shape[3])


def spread(points: Singles, count: int) -> Indices:
    """Indices of so many points (n, size), each the farthest from all before it; the first is drawn at random.

    Distances to the points chosen only fall. So, while one of the farthest points is still as far as any other point was
    when these were found, it is the farthest of all, and many points are chosen between two looks at all of them.
    """
    norms = np.einsum("pd,pd->p", points, points)
    fresh = [int(np.random.default_rng(SEED).integers(len(points)))]
    least = np.full(len(points), np.inf, np.float32)
    chosen = []
    while True:
        _come_closer(least, points, norms, fresh)
        chosen += fresh
        if len(chosen) == count:
            return np.array(chosen)
        proposed = np.argpartition(least, -min(PROPOSED, len(points)))[-PROPOSED:]
        own, inner, fresh = least[proposed], points[proposed], []
        bound = own.min()
        while len(fresh) < min(CHOSEN, count - len(chosen)):
            best = int(own.argmax())
            if own[best] < bound:
                break
            fresh.append(int(proposed[best]))
            np.minimum(own, norms[proposed] + norms[fresh[-1]] - 2 * (inner @ inner[best]), out=own)
            own[best] = -1


def _come_closer(least: Singles, points: Singles, norms: Singles, fresh: list[int]) -> None:
    """Bring squared distances to the nearest chosen point up to date with points that were chosen since."""
    for part in in_batches(len(points), BLOCK):
        squares = norms[fresh] - 2 * (points[part] @ points[fresh].T)
        np.minimum(least[part], squares.min(axis=1) + norms[part], out=least[part])
    least[fresh] = -1  # below all others: no point is chosen twice
