# SPDX-License-Identifier: BSD-3-Clause
"""What energies are usual at every position: where pictures always vary, a high energy says less than elsewhere."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..nn.arrays import Array
from .whitening import Doubles

Counts = npt.NDArray[np.int64]
# Energies count in multiples of 1 / STEPS and up to MOST, so that sums and sums of squares are exact in any order.
STEPS, MOST = 1024, 64
# A position's variance is at least this share of the usual one.
LEAST_SHARE = 0.01
# Pictures that are worked on at a time.
TOGETHER = 64


@dataclass(frozen=True, eq=False)
class Usual:
    """The line by which energies of a position become energies relative to what is usual there.

    With n pictures, m_p and v_p mean and variance of their energies at a position, each by a model without the picture,
    m and v the means of these over all positions, and a strength s: (n m_p + s m) / (n + s) is brought to m and
    (n v_p + s v) / (n + s) to v. So relative energies are as large as energies are, about 1 where all is as usual.

    Attributes
    ----------
    slope, offset : ndarray, (height, width) float32
    """

    slope: Array
    offset: Array

    @classmethod
    def of(cls, energies: Array, strength: float) -> "Usual":
        """Of energies (n, height, width) of normal pictures."""
        counted = _counted(energies)
        slope, offset = _line(len(energies), counted.sum(axis=0), (counted * counted).sum(axis=0), strength)
        return cls(slope, offset)

    def __call__(self, energies: Array) -> Array:
        """Relative energies (n, height, width)."""
        return energies * self.slope + self.offset


def relative_without_own(energies: Array, strength: float) -> Array:
    """Relative energies (n, height, width) of normal pictures, each by what is usual among the others."""
    counted = _counted(energies)
    sums, squares = counted.sum(axis=0), (counted * counted).sum(axis=0)
    out = np.empty_like(energies)
    for begin in range(0, len(energies), TOGETHER):
        part = slice(begin, begin + TOGETHER)
        own = counted[part]
        slope, offset = _line(len(energies) - 1, sums - own, squares - own * own, strength)
        out[part] = energies[part] * slope + offset
    return out


def _counted(energies: Array) -> Counts:
    return np.rint(np.minimum(energies, np.float32(MOST)) * np.float32(STEPS)).astype(np.int64)


def _line(n: int, sums: Counts, squares: Counts, strength: float) -> tuple[Array, Array]:
    """(slope, offset), both (..., height, width), of sums over n pictures."""
    mean = sums / (n * STEPS)
    variance = np.maximum(squares / (n * STEPS * STEPS) - mean * mean, 0)
    usual_mean, usual_variance = _over_positions(mean), _over_positions(variance)
    mean = (n * mean + strength * usual_mean) / (n + strength)
    variance = (n * variance + strength * usual_variance) / (n + strength)
    least = np.maximum(variance, LEAST_SHARE * usual_variance)
    slope = np.sqrt(np.divide(usual_variance, least, out=np.ones_like(least), where=least > 0))
    return slope.astype(np.float32), (usual_mean - slope * mean).astype(np.float32)


def _over_positions(values: Doubles) -> Doubles:
    """Means (..., 1, 1), added in a fixed order."""
    flat = values.reshape(*values.shape[:-2], -1)
    return (flat.cumsum(axis=-1)[..., -1] / flat.shape[-1])[..., None, None]
