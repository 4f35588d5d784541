# SPDX-License-Identifier: BSD-3-Clause
"""Gaussians of positions: exact sums over pictures, and what follows from them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ... import _engine
from ..nn.arrays import Array
from .parameters import Gaussian
from .whitening import UNIT, Doubles, Rounded, Whitening

Sums = npt.NDArray[np.int64]
# The mean of a position is drawn towards that of all positions as by so many pictures.
PRIOR = 0.5
PANEL = 16  # rows of a factor that the engine keeps together
# Pictures whose energies are worked on at a time.
TOGETHER = 16


def n_products(size: int) -> int:
    """Numbers of a triangle of products."""
    return size * (size + 1) // 2


@dataclass(eq=False)
class Moments:
    """Sums and sums of products of rounded features at every position, over pictures. Whole numbers: any order is right.

    Attributes
    ----------
    sums : ndarray, (positions, features) int64
    products : ndarray, (positions, features * (features + 1) / 2) int64
        Lower triangles, row by row.
    n : int
        Pictures.
    """

    sums: Sums
    products: Sums
    n: int = 0

    @classmethod
    def empty(cls, positions: int, size: int) -> "Moments":
        """Of no picture yet."""
        return cls(np.zeros((positions, size), np.int64), np.zeros((positions, n_products(size)), np.int64))

    def add(self, features: Rounded, num_threads: int = 1) -> None:
        """Count in rounded features (n, height, width, size)."""
        _engine.moments_add(features.reshape(len(features), *self.sums.shape), self.sums, self.products, num_threads)
        self.n += len(features)


class PooledMoments:
    """The same over the rows of all pictures and positions.

    Parameters
    ----------
    size : int
        Features of a row.
    """

    def __init__(self, size: int) -> None:
        self.sums, self.products, self.n = np.zeros(size, np.int64), np.zeros(n_products(size), np.int64), 0

    @classmethod
    def of(cls, moments: Moments) -> "PooledMoments":
        """Of sums at every position."""
        positions, size = moments.sums.shape
        own = cls(size)
        own.sums, own.products, own.n = moments.sums.sum(axis=0), moments.products.sum(axis=0), moments.n * positions
        return own

    def add(self, features: Rounded, num_threads: int = 1) -> None:
        """Count in rounded features (..., size)."""
        rows = features.reshape(-1, len(self.sums))
        columns = min(len(rows), 16)  # that threads share; their sums are added
        whole = len(rows) // columns * columns
        moments = Moments.empty(columns, rows.shape[1])
        parts = moments.sums, moments.products
        _engine.moments_add(rows[:whole].reshape(-1, columns, rows.shape[1]), *parts, num_threads)
        if whole < len(rows):
            rest = len(rows) - whole
            _engine.moments_add(rows[None, whole:], parts[0][:rest], parts[1][:rest], num_threads)
        self.sums += moments.sums.sum(axis=0)
        self.products += moments.products.sum(axis=0)
        self.n += len(rows)

    def covariance(self, unit: float) -> tuple[Doubles, Doubles]:
        """(mean, covariance) of features of which 1 stands for ``unit``."""
        size = len(self.sums)
        mean = self.sums / self.n
        lower = np.zeros((size, size))
        lower[np.tril_indices(size)] = self.products / self.n
        lower -= np.tril(mean[:, None] * mean)
        covariance = (lower + np.tril(lower, -1).T) * (unit * unit)
        return mean * unit, covariance

    def whitening(self, unit: float, directions: int) -> Whitening:
        """The whitening of features of which 1 stands for ``unit``."""
        return Whitening.of(*self.covariance(unit), directions)


@dataclass(frozen=True, eq=False)
class PositionGaussians:
    """A mean and a covariance of whitened features at every position.

    Attributes
    ----------
    shape : (height, width)
    n : int
        Pictures that they were made of.
    gaussian : Gaussian
    mean : ndarray, (positions, directions) float32
    factors : ndarray, (positions, floats) float32
        Inverse Cholesky factors as the engine packs them.
    """

    shape: tuple[int, int]
    n: int
    gaussian: Gaussian
    mean: Array
    factors: Array

    @classmethod
    def of(
        cls, moments: Moments, shape: tuple[int, int], gaussian: Gaussian, num_threads: int = 1
    ) -> "PositionGaussians":
        """Of sums over pictures of whitened features."""
        return cls._of(moments, shape, gaussian, UNIT, moments.sums.shape[1], num_threads)

    @classmethod
    def whitened(
        cls,
        moments: Moments,
        shape: tuple[int, int],
        gaussian: Gaussian,
        whitening: Whitening,
        unit: float,
        num_threads: int = 1,
    ) -> "PositionGaussians":
        """Of sums over pictures of features, of which 1 stands for ``unit``."""
        basis, offset = (own.astype(np.float64) * UNIT for own in (whitening.basis, whitening.offset))
        return cls._of(moments, shape, gaussian, unit, basis.shape[1], num_threads, basis, offset)

    @classmethod
    def _of(
        cls,
        moments: Moments,
        shape: tuple[int, int],
        gaussian: Gaussian,
        unit: float,
        size: int,
        num_threads: int,
        *whitening: Doubles,
    ) -> "PositionGaussians":
        mean = np.empty((len(moments.sums), size), np.float32)
        factors = np.empty((len(moments.sums), _engine.factor_floats(size)), np.float32)
        law = _law(moments.n, gaussian, unit)
        _engine.gaussian_factors(moments.sums, moments.products, law, mean, factors, num_threads, *whitening)
        return cls(shape, moments.n, gaussian, mean, factors)

    def energies(self, features: Rounded, num_threads: int = 1, *, without_own: bool = False) -> Array:
        """Mahalanobis distances (n, height, width) of whitened features (n, height, width, directions).

        With ``without_own`` the pictures are among those that the Gaussians are of, and each is measured by the Gaussians
        without it.
        """
        out, reach = np.empty(features.shape[:3], np.float32), self.gaussian.reach
        assert reach is not None  # of resolved parameters
        law = _law(self.n, self.gaussian)
        for begin in range(0, len(features), TOGETHER):
            part = slice(begin, begin + TOGETHER)
            _engine.gaussian_energies(
                features[part], self.mean, self.factors, law, reach, without_own, out[part], num_threads
            )
        return out


def diagonals(factors: Array, size: int) -> Doubles:
    """(positions, size) diagonals of packed factors; see cbn_factor_floats() in src_c/cbn.h."""
    places, begin = [], 0
    for first in range(0, size, PANEL):
        places += [begin + (first + i) * PANEL + i for i in range(min(PANEL, size - first))]
        begin += (first + PANEL) * PANEL
    return factors[:, places].astype(np.float64)


def _law(n: int, gaussian: Gaussian, unit: float = UNIT) -> tuple[int, float, float, float, float]:
    assert gaussian.strength is not None  # of resolved parameters
    return n, unit, gaussian.strength, gaussian.ridge, PRIOR
