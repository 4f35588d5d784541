# SPDX-License-Identifier: BSD-3-Clause
"""Whitening: directions in which features, over all positions of all pictures, have variance 1 and no correlation."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ... import _engine
from ..nn.arrays import Array

Doubles = npt.NDArray[np.float64]
Rounded = npt.NDArray[np.int16]

# Whitened features are whole multiples of this: 12 bits reach 16 standard deviations.
UNIT = 1 / 128
# Added to every variance, as a share of their mean, so that directions without any do not become noise.
LEAST_VARIANCE = 1e-4
_ONE_TAP = np.zeros((1, 2), np.int32)


@dataclass(frozen=True, eq=False)
class Whitening:
    """The map from features to whitened ones.

    Attributes
    ----------
    basis : ndarray, (features, directions) float32
        A whitened feature is features times a column, plus the column's offset, in units of UNIT.
    offset : ndarray, (directions,) float32
    """

    basis: Array
    offset: Array

    @classmethod
    def of(cls, mean: Doubles, covariance: Doubles, directions: int) -> "Whitening":
        """Of features with a mean (features,) and a covariance (features, features)."""
        basis, offset = whitened_basis(mean, covariance, directions)
        return cls(np.ascontiguousarray(basis / UNIT, np.float32), np.ascontiguousarray(offset / UNIT, np.float32))

    def __call__(self, features: Rounded, unit: float, num_threads: int = 1) -> Rounded:
        """Whitened features (n, height, width, directions), rounded, of (n, height, width, features) in some unit."""
        values = features.astype(np.float32)
        values *= np.float32(unit)
        out = np.empty((*features.shape[:3], self.basis.shape[1]), np.float32)
        _engine.convolve(values, _ONE_TAP, self.basis[None], self.offset, 1, out, num_threads)
        return rounded(out)


def whitened_basis(
    mean: Doubles, covariance: Doubles, directions: int, least_variance: float = LEAST_VARIANCE
) -> tuple[Doubles, Doubles]:
    """(basis (features, directions), offset (directions,)): offset + basis^T x has mean 0, variances 1, no correlation."""
    variances, vectors = eigenvectors(covariance)
    least, vectors = least_variance * variances.mean(), vectors[:, :directions]
    if least > 0:
        basis = vectors / np.sqrt(np.maximum(variances[:directions], 0) + least)
    else:  # features that never change
        basis = np.zeros_like(vectors)
    return basis, -(mean[:, None] * basis).sum(axis=0)


def rounded(values: Array) -> Rounded:
    """To whole numbers of at most 12 bits. ``values`` is overwritten."""
    np.rint(values, out=values)
    np.clip(values, -_engine.MAX_ROUNDED, _engine.MAX_ROUNDED, out=values)
    return values.astype(np.int16)


def eigenvectors(symmetric: Doubles) -> tuple[Doubles, Doubles]:
    """Eigenvalues (n,) and eigenvectors (n, n), in columns, of a symmetric matrix, the largest value first.

    By the engine, which gives the same bytes on every machine; LAPACK does not promise that.

    Examples
    --------
    >>> values, vectors = eigenvectors(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> values.round(12).tolist()
    [3.0, 1.0]
    """
    values, rows = np.empty(len(symmetric)), np.empty(symmetric.shape)
    _engine.eigenvectors(np.ascontiguousarray(symmetric), values, rows)
    order = np.argsort(-values, kind="stable")
    return values[order], np.ascontiguousarray(rows[order].T)
