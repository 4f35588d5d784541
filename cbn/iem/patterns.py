# SPDX-License-Identifier: BSD-3-Clause
"""Energy "pattern": which kernels err how much around a position, against what is usual there.

"pooled" and "relative" ask whether errors are large. Where a defect is smoother or flatter than the rest, they are small,
and in a texture whose phase differs from picture to picture the errors of single nodes say little. Here errors are pooled
to positions about twelve pixels apart, whatever the level: the mean squared error of every kernel in a window, in units of
the kernel's own over all normal pictures, then its eighth root, which tames it like a logarithm and is the same on every
machine. Of these *patterns* (a value for every kernel) the picture's own median over positions is taken, as far as those of
normal pictures reach, and the mean of the position over normal pictures. What is left is whitened with its covariance over
all positions; the energy of a position is its mean square, in units of half the usual one there and half that of all.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from .. import _engine
from .energy import LEAST_ERROR, NodeScale
from .gaussian.whitening import eigenvectors
from .nn.arrays import Array, Indices, Shape

Doubles = npt.NDArray[np.float64]
PATTERN = "pattern"  # its name among ENERGIES
# Pixels from one position to the next; levels of larger strides keep their own positions.
PIXELS = 12
# Added to a kernel's pooled squared error, in units of its mean: what is smaller is all the same.
LEAST_SQUARE = 0.02
# Added to every variance of patterns, as a share of their mean.
LEAST_VARIANCE = 0.01
_ONE_TAP = np.zeros((1, 2), np.int32)


def reach_of(shape: Shape, stride: int) -> int:
    """Windows have 2 reach + 1 nodes a side and are ``reach`` nodes apart, on a level with ``stride`` pixels to a node."""
    return min(max(1, PIXELS // stride), *shape[:2])


def positions_of(length: int, reach: int) -> Indices:
    """Nodes at the centres of the windows along one direction of so many nodes."""
    return np.arange(reach // 2, length, reach)


def patterns(errors: Array, variance: Array, reach: int) -> Array:
    """Patterns of errors.

    Parameters
    ----------
    errors : ndarray, (n, height, width, kernels) float32
    variance : ndarray, (kernels,) float32
        Mean squared error of every kernel over normal pictures.
    reach : int

    Returns
    -------
    ndarray, (n, rows, columns, kernels) float32
    """
    result = []
    for own in errors:  # one at a time: sums are in double precision
        squares: Doubles = np.square(own, dtype=np.float64)
        for axis in (0, 1):
            squares = _window_means(squares, axis, reach)
        result.append(squares)
    roots = np.array(result) / variance + LEAST_SQUARE
    for _ in range(3):
        np.sqrt(roots, out=roots)
    return roots.astype(np.float32)


def _window_means(values: Doubles, axis: int, reach: int) -> Doubles:
    """Means over the windows along one axis; at borders over what is there of them."""
    length = values.shape[axis]
    centres = positions_of(length, reach)
    begin, end = np.maximum(centres - reach, 0), np.minimum(centres + reach + 1, length)
    means = [values.take(range(a, b), axis).mean(axis=axis) for a, b in zip(begin, end, strict=True)]
    return np.stack(means, axis=axis)


def variance_of(scale: NodeScale) -> Array:
    """(kernels,) float32: mean squared error of every kernel over the normal pictures of a NodeScale."""
    squares = np.square(scale.mean, dtype=np.float64) + np.square(scale.deviation, dtype=np.float64)
    return np.maximum(squares.mean(axis=(0, 1)), LEAST_ERROR**2).astype(np.float32)


@dataclass(frozen=True, eq=False)
class PatternScale:
    """What is usual of the patterns of a level.

    Attributes
    ----------
    variance : ndarray, (kernels,) float32
        Mean squared error of every kernel.
    reach : int
    low, high : ndarray, (kernels,) float32
        Least and largest of the medians of normal pictures.
    mean : ndarray, (rows, columns, kernels) float32
        Of the patterns of normal pictures less their medians.
    basis : ndarray, (kernels, kernels) float32
        Whitens them: columns are directions.
    usual : ndarray, (rows, columns) float32
        What energies of positions are divided by.
    """

    variance: Array
    reach: int
    low: Array
    high: Array
    mean: Array
    basis: Array
    usual: Array

    @classmethod
    def of(cls, found: Array, variance: Array, reach: int, num_threads: int = 1) -> tuple[Self, Array]:
        """The scale of patterns (n, rows, columns, kernels) of normal pictures, and their energies (n, rows, columns).

        The mean that a picture is compared with is that of the others; the covariance, of all positions, and ``usual``
        owe little to it and are not.
        """
        n, kernels = len(found), found.shape[3]
        medians = np.median(found, axis=(1, 2))
        left = found - medians[:, None, None]
        mean = left.mean(axis=0, dtype=np.float64).astype(np.float32)
        left -= mean
        left *= np.float32(n / (n - 1))
        flat, covariance = left.reshape(-1, kernels), np.zeros((kernels, kernels))
        for column in range(kernels):  # sums in a fixed order, which those of a product of matrices are not
            covariance[column] = (flat * flat[:, column, None]).mean(axis=0, dtype=np.float64)
        variances, vectors = eigenvectors((covariance + covariance.T) / 2)
        least = LEAST_VARIANCE * variances.mean()
        deviation = np.sqrt(np.maximum(variances, 0) + least) if least > 0 else np.ones(kernels)
        basis = np.ascontiguousarray(vectors / deviation, np.float32)
        energies = _mean_squares(left, basis, num_threads)
        usual = energies.mean(axis=0, dtype=np.float64)
        usual = (usual + usual.mean()) / 2
        usual = np.where(usual > 0, usual, 1).astype(np.float32)
        scale = cls(variance, reach, medians.min(axis=0), medians.max(axis=0), mean, basis, usual)
        return scale, energies / usual

    def position_energies(self, errors: Array, num_threads: int = 1) -> Array:
        """Energy of every position (n, rows, columns) float32, about 1 where all is as usual, for errors of new pictures."""
        found = patterns(errors, self.variance, self.reach)
        found -= np.clip(np.median(found, axis=(1, 2)), self.low, self.high)[:, None, None]
        found -= self.mean
        return _mean_squares(found, self.basis, num_threads) / self.usual

    def centres(self, first: float, stride: int) -> tuple[float, int]:
        """(first, stride) of the positions in pixels, from those of the level's nodes."""
        return first + self.reach // 2 * stride, stride * self.reach


def _mean_squares(left: Array, basis: Array, num_threads: int) -> Array:
    """(n, rows, columns): mean square of the whitened patterns."""
    white = np.empty(left.shape, np.float32)
    nothing = np.zeros(basis.shape[1], np.float32)
    _engine.convolve(np.ascontiguousarray(left), _ONE_TAP, basis[None], nothing, 1, white, num_threads)
    white *= white
    return white.mean(axis=3)
