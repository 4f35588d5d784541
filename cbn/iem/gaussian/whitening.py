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
# Sweeps of rotations after which a matrix is diagonal to rounding; they double the number of right digits each.
SWEEPS = 16
# A matrix is diagonal when nothing beside the diagonal is larger than this share of its largest element.
DIAGONAL = 1e-14
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
        variances, vectors = eigenvectors(covariance)
        kept = np.argsort(-variances, kind="stable")[:directions]
        least = LEAST_VARIANCE * variances.mean()
        if least > 0:
            basis = vectors[:, kept] / (np.sqrt(np.maximum(variances[kept], 0) + least) * UNIT)
        else:  # features that never change
            basis = np.zeros_like(vectors[:, kept])
        offset = -(mean[:, None] * basis).sum(axis=0)
        return cls(np.ascontiguousarray(basis, np.float32), np.ascontiguousarray(offset, np.float32))

    def __call__(self, features: Rounded, unit: float, num_threads: int = 1) -> Rounded:
        """Whitened features (n, height, width, directions), rounded, of (n, height, width, features) in some unit."""
        values = features.astype(np.float32)
        values *= np.float32(unit)
        out = np.empty((*features.shape[:3], self.basis.shape[1]), np.float32)
        _engine.convolve(values, _ONE_TAP, self.basis[None], self.offset, 1, out, num_threads)
        return rounded(out)


def rounded(values: Array) -> Rounded:
    """To whole numbers of at most 12 bits. ``values`` is overwritten."""
    np.rint(values, out=values)
    np.clip(values, -_engine.MAX_ROUNDED, _engine.MAX_ROUNDED, out=values)
    return values.astype(np.int16)


def eigenvectors(symmetric: Doubles) -> tuple[Doubles, Doubles]:
    """Eigenvalues (n,) and eigenvectors (n, n), in columns, of a symmetric matrix.

    Jacobi's method with the pairs of a round-robin tournament (Brent & Luk 1985): pairs of a round share no row, so that
    all of them turn at once. Only additions, multiplications, divisions and square roots of elements, in a fixed order:
    the same bytes on every machine, which LAPACK does not promise.

    Examples
    --------
    >>> values, vectors = eigenvectors(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> sorted(values.round(12).tolist())
    [1.0, 3.0]
    """
    size = len(symmetric)
    even = size + size % 2
    a, vectors = np.zeros((even, even)), np.eye(even)
    a[:size, :size] = symmetric
    scale = float(np.abs(symmetric).max(initial=0.0))
    if scale > 0:
        a /= scale
    order = np.arange(even)
    for _ in range(SWEEPS):
        if even < 2 or np.abs(a - np.diag(np.diag(a))).max() <= DIAGONAL:
            break
        for _ in range(even - 1):
            a = _rotated(a, vectors, order[: even // 2], order[even // 2 :][::-1])
            order = np.concatenate((order[:1], order[-1:], order[1:-1]))
    return np.diag(a)[:size] * scale, np.ascontiguousarray(vectors.T[:size, :size])


def _rotated(a: Doubles, vectors: Doubles, p: npt.NDArray[np.int64], q: npt.NDArray[np.int64]) -> Doubles:
    """One round: rotations after which a[p, q] is zero, for disjoint pairs (p, q); ``vectors``, in rows, turn with it."""
    off, gap = a[p, q], a[q, q] - a[p, p]
    # the smaller root t of off t^2 + gap t - off, the tangent of the angle, where off may be 0
    below = np.abs(gap) + np.sqrt(gap * gap + 4 * off * off)
    tangent = np.divide(2 * off * np.where(gap < 0, -1.0, 1.0), below, out=np.zeros_like(off), where=below > 0)
    cosine = (1 / np.sqrt(tangent * tangent + 1))[:, None]
    sine = tangent[:, None] * cosine
    _rotate_rows(vectors, p, q, cosine, sine)
    _rotate_rows(a, p, q, cosine, sine)
    a = np.ascontiguousarray(a.T)  # of a symmetric matrix the columns are turned as the rows are
    _rotate_rows(a, p, q, cosine, sine)
    a[p, q] = a[q, p] = 0
    return a


def _rotate_rows(
    matrix: Doubles, p: npt.NDArray[np.int64], q: npt.NDArray[np.int64], cosine: Doubles, sine: Doubles
) -> None:
    of_p, of_q = matrix[p], matrix[q]
    matrix[p] = cosine * of_p - sine * of_q
    matrix[q] = sine * of_p + cosine * of_q
