# SPDX-License-Identifier: BSD-3-Clause
"""Features of pictures on one grid of positions, rounded to a fixed grid so that their sums are exact."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from ..nn.arrays import Array
from ..pretrained.efficientnet import BLOCKS, WANTED, EfficientNetLite0
from .whitening import Rounded, rounded


class Extractor(Protocol):
    """Makes features of prepared pictures."""

    @property
    def unit(self) -> float:
        """What 1 of a rounded feature stands for."""

    @property
    def stride(self) -> int:
        """Pixels from one position to the next."""

    @property
    def n_features(self) -> int:
        """Features of a position."""

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """(rows, columns) of positions of pictures of so many pixels."""

    def features(self, values: Array, num_threads: int = 1) -> Rounded:
        """Rounded features (n, rows, columns, n_features) of pictures (n, height, width, 1 or 3), values about [0, 1]."""


class PretrainedFeatures:
    """Outputs of blocks 2, 4, 7 and 10 of EfficientNet-Lite0, brought to positions eight pixels apart.

    Parameters
    ----------
    network : EfficientNetLite0
    """

    unit, stride = 1 / 32, 8
    n_features = sum(BLOCKS[block][1] for block in WANTED)

    def __init__(self, network: EfficientNetLite0) -> None:
        self.network = network

    def shape(self, height: int, width: int) -> tuple[int, int]:
        return -(-height // self.stride), -(-width // self.stride)

    def features(self, values: Array, num_threads: int = 1) -> Rounded:
        fine, own, *coarse = self.network.activations(values, WANTED, num_threads)
        rows, columns = own.shape[1:3]
        parts = [_halved(fine), own, *(_doubled(maps, rows, columns) for maps in coarse)]
        merged = np.concatenate(parts, axis=3)
        merged *= np.float32(1 / self.unit)
        return rounded(merged)


def _halved(maps: Array) -> Array:
    """Means of 2 x 2 positions; a last odd row or column counts as twice the same."""
    padding = [(0, 0), (0, maps.shape[1] % 2), (0, maps.shape[2] % 2), (0, 0)]
    maps = np.pad(maps, padding, mode="edge")
    rows = maps[:, ::2] + maps[:, 1::2]
    return (rows[:, :, ::2] + rows[:, :, 1::2]) * np.float32(0.25)


def _doubled(maps: Array, rows: int, columns: int) -> Array:
    """Twice as many rows and columns, linear between the positions' centres; cut to what is needed."""
    for axis, length in ((1, rows), (2, columns)):
        padding = [(0, 0)] * 4
        padding[axis] = (1, 1)
        padded, size = np.pad(maps, padding, mode="edge"), maps.shape[axis]
        shape = list(maps.shape)
        shape[axis] = 2 * size
        doubled = np.empty(shape, maps.dtype)
        view, padded = np.moveaxis(doubled, axis, 0), np.moveaxis(padded, axis, 0)
        view[0::2] = padded[:size] * np.float32(0.25) + padded[1 : size + 1] * np.float32(0.75)
        view[1::2] = padded[1 : size + 1] * np.float32(0.75) + padded[2:] * np.float32(0.25)
        maps = np.take(doubled, range(length), axis)
    return maps


def in_batches(n: int, together: int) -> Iterator[slice]:
    """Parts of n pictures."""
    return (slice(begin, min(begin + together, n)) for begin in range(0, n, together))


def memory_of(extractor: Extractor, height: int, width: int) -> int:
    """Bytes of the rounded features of one picture."""
    rows, columns = extractor.shape(height, width)
    return rows * columns * extractor.n_features * np.dtype(np.int16).itemsize
