# SPDX-License-Identifier: BSD-3-Clause
"""The contrast of images that are in several places: the steps of :mod:`cbn.layers.contrast`, to the same bytes.

The background needs a bounded number of images, which come here. Means of maps are sums of doubles, added in the order of
the chunks in which one process makes them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..bits.alignment import aligned, place_of
from ..bits.planes import BitPlanes
from ..bits.shards import Shard, Shards, piece_of
from ..cpd.base import Outline, Task
from ..cpd.grid import Grid
from ..cpd.odds import added_in_order
from ..cpd.tied import TiedCPD
from .contrast import Contrast, LogRatio, chunk_words, keeps_maps, left_out, lowest, moved_images, n_moved

Floats = npt.NDArray[np.float64]


def learned_from(
    contrast: Contrast, grid: Grid, counted: Shards, held_out: Shards, seed: int, num_threads: int
) -> tuple[LogRatio, Floats]:
    """What :meth:`LogRatio.learned` gives; shards of the pixels of both kinds of images."""
    own, background = contrast.trees(max(grid.height, grid.width))
    grid = Grid(1, grid.height, grid.width)
    counted, held_out = counted.made(lowest_of, grid), held_out.made(lowest_of, grid)
    few = BitPlanes.joined([own for own in counted.map(first_of, n_moved(grid)) if own is not None])
    moved = moved_images(few, contrast, grid, seed, num_threads)
    outline = Outline(grid, 1, True, (), num_threads, seed)
    none = np.zeros((grid.height, grid.width))
    ratio = LogRatio(
        TiedCPD.learn_from(own, outline, counted.layer(0)),
        TiedCPD.learn(background, Task(grid, 1, moved, True, (), seed, num_threads)),
        contrast.smoothing, none, none,
    )  # fmt: skip
    return _of_normal(ratio, aligned(held_out, 64 * chunk_words(grid)), none)


def _of_normal(ratio: LogRatio, held_out: Shards, none: Floats) -> tuple[LogRatio, Floats]:
    """As :meth:`LogRatio.learned` makes it of the networks and of images in aligned shards."""
    n = held_out.n_images
    maps = held_out.made(maps_of, ratio, keeps_maps(n, none.size))
    mean = maps.made(sums_of_chunks).chained(added_in_order, none) / n
    squares = maps.made(squares_of_chunks, mean).chained(added_in_order, none)
    found = replace(ratio, mean=mean, deviation=np.sqrt(squares / n))
    if n == 1:
        return found, np.concatenate(held_out.map(columns_of, found))
    return found, np.concatenate(maps.map(left_out_of_chunks, mean, squares, n))


# ---- what shards are asked ----


def lowest_of(shard: Shard, num_threads: int, grid: Grid) -> Shard:
    """The images at the lowest threshold, and no other layer."""
    return replace(shard, layers=(lowest(shard.layers[0], grid),))


def first_of(shard: Shard, num_threads: int, n: int) -> BitPlanes | None:
    """Pixels of those of the first n of all images that a shard has, if there are any."""
    first, own = place_of(shard, num_threads)
    own = min(own, n - first)
    return piece_of(shard, num_threads, 0, own).layers[0] if own > 0 else None


@dataclass(frozen=True, eq=False)
class Maps:
    """The log-ratio's smooth maps of the images of a shard, made again each time where they would take too much memory."""

    ratio: LogRatio
    planes: BitPlanes
    kept: tuple[tuple[Floats, Floats], ...] | None

    def __sizeof__(self) -> int:  # by which clusters know what they hold
        return super().__sizeof__() + self.planes.words.nbytes + sum(maps.nbytes for maps, _ in self.kept or ())

    def chunks(self, num_threads: int) -> Iterable[tuple[Floats, Floats]]:
        return self.kept if self.kept is not None else self.ratio.smooth_chunks(self.planes, num_threads)


def maps_of(shard: Shard, num_threads: int, ratio: LogRatio, keep: bool) -> Maps:
    """The maps of all images."""
    planes = shard.layers[0]
    return Maps(ratio, planes, tuple(ratio.smooth_chunks(planes, num_threads)) if keep else None)


def sums_of_chunks(maps: Maps, num_threads: int) -> Floats:
    """(chunks, height, width) sums of smooth maps."""
    return np.stack([own.sum(axis=0) for own, _ in maps.chunks(num_threads)])


def squares_of_chunks(maps: Maps, num_threads: int, mean: Floats) -> Floats:
    """(chunks, height, width) sums of the squares of what smooth maps differ from the mean."""
    return np.stack([((own - mean) * (own - mean)).sum(axis=0) for own, _ in maps.chunks(num_threads)])


def left_out_of_chunks(maps: Maps, num_threads: int, mean: Floats, squares: Floats, n: int) -> Floats:
    """(images, 2) columns of each image by the mean and deviation of the n - 1 others."""
    chunks = maps.chunks(num_threads)
    return -np.concatenate([np.stack([sums, left_out(own, mean, squares, n)], axis=1) for own, sums in chunks])


def columns_of(shard: Shard, num_threads: int, ratio: LogRatio) -> Floats:
    """(images, 2) columns of a finished log-ratio."""
    return ratio.columns(shard.layers[0], num_threads)
