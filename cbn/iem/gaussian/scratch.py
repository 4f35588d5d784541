# SPDX-License-Identifier: BSD-3-Clause
"""Features without any pretrained network: two layers of whitened principal components of patches, at four scales.

In closed form, after PCANet (Chan, Jia, Gao, Lu, Zeng & Ma 2015, "PCANet: a simple deep learning baseline for image
classification?"): filters are eigenvectors of the covariance of patches, whitened so that their outputs have variance 1.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np

from ... import _engine
from ..nn.arrays import Array
from .features import Extractor, doubled, halved
from .positions import PooledMoments
from .whitening import rounded, whitened_basis

SCALES = 4  # the picture itself, halved, halved again ...
FIRST, SECOND = 24, 32  # filters of the two layers, at every scale
FIRST_SIDE, SECOND_SIDE = 7, 3
# Added to the standard deviation of a picture, of which 1 is white, so that flat pictures do not become noise.
LEAST_DEVIATION = 0.02
STEPS = 4096  # of the value 1 in which a picture's mean and deviation are summed, exactly
# Added to variances of patches, as a share of their mean: filters of directions that hardly vary would be noise.
FILTER_LEAST = 1e-2
# What 1 of a rounded value stands for: of normalized pictures, and of outputs of filters.
PIXEL_UNIT, OUTPUT_UNIT = 1 / 256, 1 / 128
# Patches of every second row and column show what all do.
PATCH_STEP = 2


@dataclass(frozen=True, eq=False)
class Filters:
    """One layer at one scale.

    Attributes
    ----------
    weights : ndarray, (taps, channels, filters) float32
    bias : ndarray, (filters,) float32
    """

    weights: Array
    bias: Array

    def __call__(self, maps: Array, num_threads: int) -> Array:
        """Outputs (n, height, width, filters) of maps (n, height, width, channels), whose borders are repeated."""
        side = math.isqrt(len(self.weights))
        n, height, width = maps.shape[:3]
        out = np.empty((n, height, width, len(self.bias)), np.float32)
        _engine.convolve(_bordered(maps, side), _taps(side), self.weights, self.bias, 1, out, num_threads)
        return out


class Patches:
    """Exact sums over patches of rounded values, and the filters that follow.

    Parameters
    ----------
    side, channels : int
    unit : float
        What 1 of a rounded value stands for.
    """

    def __init__(self, side: int, channels: int, unit: float) -> None:
        self.side, self.unit, self.moments = side, unit, PooledMoments(side * side * channels)

    def add(self, maps: Array, num_threads: int) -> None:
        """Count in patches of maps (n, height, width, channels)."""
        values = rounded(_bordered(maps, self.side) * np.float32(1 / self.unit))
        patches = np.lib.stride_tricks.sliding_window_view(values, (self.side, self.side), (1, 2))
        self.moments.add(patches[:, ::PATCH_STEP, ::PATCH_STEP].transpose(0, 1, 2, 4, 5, 3), num_threads)

    def filters(self, number: int) -> Filters:
        """The first whitened principal components."""
        basis, offset = whitened_basis(*self.moments.covariance(self.unit), number, FILTER_LEAST)
        weights = np.ascontiguousarray(basis.reshape(self.side * self.side, -1, number), np.float32)
        return Filters(weights, offset.astype(np.float32))


class PCAFeatures(Extractor):
    """Signed outputs, their root magnitudes, and the same of a second layer over the magnitudes.

    Parameters
    ----------
    first, second : sequence of Filters, one for each scale
    smooth : bool
    """

    unit = OUTPUT_UNIT
    n_features = SCALES * 2 * (FIRST + SECOND)

    def __init__(self, first: Iterable[Filters], second: Iterable[Filters], smooth: bool = False) -> None:
        self.first, self.second, self.smooth = tuple(first), tuple(second), smooth

    @classmethod
    def learned(
        cls, batches: Callable[[], Iterable[Array]], channels: int, num_threads: int = 1, smooth: bool = False
    ) -> "PCAFeatures":
        """From batches of pictures (n, height, width, channels) that can be gone through twice."""
        sums = [Patches(FIRST_SIDE, channels, PIXEL_UNIT) for _ in range(SCALES)]
        for values in batches():
            for own, scaled in zip(sums, pyramid(values), strict=True):
                own.add(scaled, num_threads)
        first = [own.filters(FIRST) for own in sums]
        sums = [Patches(SECOND_SIDE, FIRST, OUTPUT_UNIT) for _ in range(SCALES)]
        for values in batches():
            for own, filters, scaled in zip(sums, first, pyramid(values), strict=True):
                own.add(halved(np.abs(filters(scaled, num_threads))), num_threads)
        return cls(first, [own.filters(SECOND) for own in sums], smooth)

    def merged(self, values: Array, num_threads: int = 1) -> Array:
        """Features (n, rows, columns, n_features) of pictures (n, height, width, 1 or 3), values about [0, 1]."""
        rows, columns = self.shape(*values.shape[1:3])
        parts = []
        for scale, scaled in enumerate(pyramid(values)):
            outputs = self.first[scale](scaled, num_threads)
            magnitudes = np.abs(outputs)
            second = self.second[scale](halved(magnitudes), num_threads)
            for maps in (outputs, np.sqrt(magnitudes), second, np.sqrt(np.abs(second))):
                parts.append(resized(maps, rows, columns))
        return np.concatenate(parts, axis=3)


def pyramid(values: Array) -> list[Array]:
    """Pictures (n, height, width, channels), each in units of its deviation from its mean, at every scale."""
    steps = np.rint(values * np.float32(STEPS)).astype(np.int64)
    axes, size = (1, 2, 3), math.prod(values.shape[1:])
    mean = steps.sum(axis=axes, keepdims=True) / size
    square = (steps * steps).sum(axis=axes, keepdims=True) / size
    deviation = np.sqrt(np.maximum(square - mean * mean, 0)) + LEAST_DEVIATION * STEPS
    scales = [((steps - mean) / deviation).astype(np.float32)]
    while len(scales) < SCALES:
        scales.append(halved(scales[-1]))
    return scales


def resized(maps: Array, rows: int, columns: int) -> Array:
    """Maps (n, height, width, channels) halved, or doubled, until they have so many rows and columns."""
    while maps.shape[1] > rows or maps.shape[2] > columns:
        maps = halved(maps)
    while maps.shape[1] < rows or maps.shape[2] < columns:
        maps = doubled(maps, min(rows, 2 * maps.shape[1]), min(columns, 2 * maps.shape[2]))
    return maps


def _bordered(maps: Array, side: int) -> Array:
    border = side // 2
    return np.pad(maps, [(0, 0), (border, border), (border, border), (0, 0)], mode="edge")


def _taps(side: int) -> np.ndarray:
    return np.array(list(product(range(side), repeat=2)), np.int32)
