# SPDX-License-Identifier: BSD-3-Clause
"""From energies of positions to maps of pictures and to one energy for each."""

import math

import numpy as np
import numpy.typing as npt

from ..energy import enlarged
from ..nn.arrays import Array

# A Gaussian of half a position's width, cut at the neighbours: exp(-2) / (1 + 2 exp(-2)).
BESIDE = np.float32(0.10650697891920075)


def smoothed(energies: Array) -> Array:
    """Energies (n, height, width) smoothed over neighbours; at borders the position itself stands for the missing one."""
    for axis in (1, 2):
        padding = [(0, 0)] * 3
        padding[axis] = (1, 1)
        padded = np.pad(energies, padding, mode="edge")
        length = energies.shape[axis]
        before, after = (np.take(padded, range(first, first + length), axis) for first in (0, 2))
        energies = energies * (1 - 2 * BESIDE) + (before + after) * BESIDE
    return energies


def settled(energies: Array, smooth: int) -> Array:
    """Energies (n, height, width) smoothed, unless their features were averaged over neighbours already."""
    return energies if smooth else smoothed(energies)


def picture_energies(energies: Array, top: float) -> npt.NDArray[np.float64]:
    """(n,) float64: mean of the largest of smoothed energies, a share ``top`` of them, at least one."""
    flat = energies.reshape(len(energies), -1)
    count = max(1, math.floor(top * flat.shape[1] + 0.5))
    largest = np.sort(np.partition(flat, -count, axis=1)[:, -count:], axis=1)
    return largest.astype(np.float64).cumsum(axis=1)[:, -1] / count


def sharpened(energies: Array, sharpen: float) -> Array:
    """Energies (n, height, width) by unsharp masking: averaging of features and wide receptive fields blur them."""
    if not sharpen:
        return energies
    return np.maximum(energies + np.float32(sharpen) * (energies - smoothed(smoothed(energies))), 0)


def shown(energies: Array, smooth: int, sharpen: float) -> Array:
    """Energies (n, height, width) as maps show them."""
    return sharpened(settled(energies, smooth), sharpen)


def at_pixels(energies: Array, stride: int, height: int, width: int) -> Array:
    """Maps (n, height, width) of pixels from energies of positions."""
    return enlarged(energies, (stride - 1) / 2, stride, height, width)
