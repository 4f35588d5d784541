# SPDX-License-Identifier: BSD-3-Clause
"""Features of pictures on one grid of positions, rounded to a fixed grid so that their sums are exact."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np

from ..names import WANTED
from ..nn.arrays import Array
from ..pretrained.efficientnet import BLOCKS, STEM_STRIDE, EfficientNetLite0
from .parameters import Gaussian
from .whitening import Rounded, rounded


class Extractor(ABC):
    """Makes features of pictures."""

    unit: float  # what 1 of a rounded feature stands for
    stride = 8  # pixels from one position to the next
    smooth: bool  # whether features are averaged with those of the positions beside them
    n_features: int

    @classmethod
    def shape(cls, height: int, width: int) -> tuple[int, int]:
        """(rows, columns) of positions of pictures of so many pixels."""
        return -(-height // cls.stride), -(-width // cls.stride)

    @classmethod
    def size(cls, gaussian: Gaussian) -> int:
        """Features of a position with some (resolved) parameters."""
        return cls.n_features

    @classmethod
    def bytes_of(cls, gaussian: Gaussian, height: int, width: int) -> int:
        """Bytes of the rounded features of one picture."""
        return math.prod(cls.shape(height, width)) * cls.size(gaussian) * np.dtype(np.int16).itemsize

    def features(self, values: Array, num_threads: int = 1) -> Rounded:
        """Rounded features (n, rows, columns, n_features) of pictures (n, height, width, 1 or 3), values about [0, 1]."""
        merged = self.merged(values, num_threads)
        if self.smooth:
            merged = averaged(merged)
        merged *= np.float32(1 / self.unit)
        return rounded(merged)

    @abstractmethod
    def merged(self, values: Array, num_threads: int = 1) -> Array:
        """The same as they come, neither averaged nor rounded."""


class PretrainedFeatures(Extractor):
    """Outputs of some blocks of EfficientNet-Lite0, brought to positions eight pixels apart.

    Parameters
    ----------
    network : EfficientNetLite0
    blocks : sequence of int, increasing
    smooth : bool

    Raises
    ------
    ValueError
        A block that the network has not.
    """

    unit = 1 / 32
    n_features = sum(BLOCKS[block][1] for block in WANTED)

    def __init__(self, network: EfficientNetLite0, blocks: Sequence[int] = WANTED, smooth: bool = False) -> None:
        self.network, self.blocks, self.smooth = network, tuple(blocks), smooth
        self.n_features = sum(BLOCKS[block][1] for block in self.blocks)
        if self.blocks[-1] >= network.n_blocks:
            raise ValueError(
                f"blocks: block {self.blocks[-1]} is not among the {network.n_blocks} that are there (0 to "
                f"{network.n_blocks - 1}); give the file with the weights of all by backbone_weights (--weights)"
            )

    @classmethod
    def size(cls, gaussian: Gaussian) -> int:
        """Features of a position with some (resolved) parameters."""
        assert gaussian.blocks is not None
        return sum(BLOCKS[block][1] for block in gaussian.blocks)

    def merged(self, values: Array, num_threads: int = 1) -> Array:
        """Features (n, rows, columns, n_features) of pictures (n, height, width, 1 or 3), values about [0, 1]."""
        height, width = values.shape[1:3]
        parts = []
        for block, maps in zip(self.blocks, self.network.activations(values, self.blocks, num_threads), strict=True):
            stride = STEM_STRIDE * math.prod(BLOCKS[own][3] for own in range(block + 1))
            while stride < self.stride:
                maps, stride = halved(maps), 2 * stride
            while stride > self.stride:
                stride //= 2
                maps = doubled(maps, -(-height // stride), -(-width // stride))
            parts.append(maps)
        return np.concatenate(parts, axis=3)


def averaged(maps: Array) -> Array:
    """Maps (n, height, width, channels) averaged over neighbours with weights 1, 2, 1; at borders a position stands for
    the missing one beside it."""
    for axis in (1, 2):
        first, last = (np.take(maps, [own], axis) for own in (0, -1))
        padded = np.concatenate([first, maps, last], axis=axis)
        pairs = np.moveaxis(padded, axis, 0)
        pairs = pairs[:-1] + pairs[1:]
        maps = np.moveaxis((pairs[:-1] + pairs[1:]) * np.float32(0.25), 0, axis)
    return np.ascontiguousarray(maps)


def halved(maps: Array) -> Array:
    """Means of 2 x 2 positions; a last odd row or column counts as twice the same."""
    padding = [(0, 0), (0, maps.shape[1] % 2), (0, maps.shape[2] % 2), (0, 0)]
    maps = np.pad(maps, padding, mode="edge")
    rows = maps[:, ::2] + maps[:, 1::2]
    return (rows[:, :, ::2] + rows[:, :, 1::2]) * np.float32(0.25)


def doubled(maps: Array, rows: int, columns: int) -> Array:
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
