# SPDX-License-Identifier: BSD-3-Clause
"""Connected regions of pixels: the changes among which a repair chooses, and how connected a set of changes is.

Pixels are connected with their eight neighbours.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.integer]

# A region of so many pixels is seen as one change; fewer are a speck.
LEAST = 3
# Larger components are no candidates as a whole.
LARGEST = 256

_RECTANGLES = (1, 1), (1, 2), (2, 1), (1, 3), (3, 1), (2, 2), (2, 3), (3, 2), (3, 3), (1, 5), (5, 1), (4, 4), (5, 5)
_BENDS = [np.array(bend, bool) for bend in ([[1, 1], [1, 0]], [[1, 1], [0, 1]], [[1, 0], [1, 1]], [[0, 1], [1, 1]])]
_DIAGONALS = [np.eye(n, dtype=bool)[::step] for n in (2, 3) for step in (1, -1)]
# Windows whose pixels are set to one level: single pixels first, then segments, bends and blocks.
STENCILS: tuple[Bools, ...] = (*(np.ones(size, bool) for size in _RECTANGLES), *_BENDS, *_DIAGONALS)


def regions_of(places: Iterable[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """The connected regions of a set of pixels, in the order of their first pixels.

    >>> regions_of([(0, 0), (5, 5), (1, 1), (0, 2)])
    [[(0, 0), (1, 1), (0, 2)], [(5, 5)]]
    """
    waiting, regions = dict.fromkeys(places), []
    while waiting:
        region = [next(iter(waiting))]
        del waiting[region[0]]
        for row, column in region:  # grows while it is walked through
            around = [(row + dy, column + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
            found = [place for place in around if place in waiting]
            region += found
            for place in found:
                del waiting[place]
        regions.append(region)
    return regions


def share_connected(places: Iterable[tuple[int, int]]) -> float:
    """Share of pixels that lie in connected regions of three pixels and more; 1 where there are none.

    >>> share_connected([(0, 0), (5, 5), (1, 1), (0, 2)])
    0.75
    """
    sizes = [len(region) for region in regions_of(places)]
    return sum(size for size in sizes if size >= LEAST) / sum(sizes) if sizes else 1.0


@dataclass(frozen=True)
class Changes:
    """Candidates of one kind: pixels that are set to one level together.

    Attributes
    ----------
    key : tuple
        Names the kind: the same in every step.
    number : ndarray, (n,) of integers
        Names each candidate within its kind.
    positions : ndarray, (n, most) int32
        Pixels, row by row of the image.
    used : ndarray, (n, most) bool
        Which of the positions are changed.
    level : int
        The level that they are set to.
    starts : ndarray, (n,) bool
        Whether it is a new region rather than the growth of one.
    speck : ndarray, (n,) bool
        Whether it leaves a new region of fewer than three pixels.
    """

    key: tuple[object, ...]
    number: Integers
    positions: Integers
    used: Bools
    level: int
    starts: Bools
    speck: Bools

    def part(self, chosen: Bools | slice) -> "Changes":
        """Some of the candidates."""
        return replace(
            self,
            number=self.number[chosen],
            positions=self.positions[chosen],
            used=self.used[chosen],
            starts=self.starts[chosen],
            speck=self.speck[chosen],
        )

    def __len__(self) -> int:
        return len(self.number)


def candidates(level: Integers, changed: Bools, levels: int, most: int) -> Iterator[Changes]:
    """All connected changes of an image: windows set to one level, and whole components that are erased or filled.

    Parameters
    ----------
    level : ndarray, (height, width) of integers
        The image's grey levels, 0 to ``levels - 1``.
    changed : ndarray, (height, width) bool
        Pixels that have been changed before, which stay as they are.
    levels : int
    most : int
        Candidates with more pixels than that are left out.
    """
    near = grown(changed)
    for number, stencil in enumerate(STENCILS):
        if stencil.shape[0] > level.shape[0] or stencil.shape[1] > level.shape[1]:
            continue
        for fill in range(levels):
            yield _windows((number, fill), stencil, level, changed, near, most)
    for fill in range(1, levels):
        yield _components(("erase", fill), level >= fill, changed, near, fill - 1, most)
        yield _components(("fill", fill), level < fill, changed, near, fill, most)


def grown(cells: Bools) -> Bools:
    """Cells and their eight neighbours; the last two axes are rows and columns."""
    rows = cells.copy()
    rows[..., 1:, :] |= cells[..., :-1, :]
    rows[..., :-1, :] |= cells[..., 1:, :]
    whole = rows.copy()
    whole[..., 1:] |= rows[..., :-1]
    whole[..., :-1] |= rows[..., 1:]
    return whole


def _windows(key: tuple[int, int], stencil: Bools, level: Integers, changed: Bools, near: Bools, most: int) -> Changes:
    """The pixels under a stencil, at every place, that are not at a level yet; those that are connected."""
    size = stencil.shape

    def views(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.lib.stride_tricks.sliding_window_view(image, size).reshape(-1, *size)

    before = views(changed)
    own = (views(level) != key[1]) & stencil & ~before
    counts = own.sum(axis=(1, 2))
    right = np.flatnonzero((counts > 0) & (counts <= most))
    right = right[_in_one_piece(own[right] | before[right])]
    own, counts = own[right], counts[right]
    starts = ~(own & views(near)[right]).any(axis=(1, 2))
    positions = views(np.arange(level.size, dtype=np.int32).reshape(level.shape))[right]
    flat = len(right), stencil.size
    return Changes(key, right, positions.reshape(flat), own.reshape(flat), key[1], starts, starts & (counts < LEAST))


def _in_one_piece(cells: Bools) -> Bools:
    """Of every window (n, height, width), whether its cells are connected."""
    flat = cells.reshape(len(cells), cells.shape[1] * cells.shape[2])
    reached = np.zeros_like(cells)
    reached.reshape(flat.shape)[np.arange(len(flat)), flat.argmax(axis=1)] = flat.any(axis=1)
    while True:
        further = grown(reached) & cells
        if np.array_equal(further, reached):
            return (reached == cells).all(axis=(1, 2))
        reached = further


def _components(key: tuple[str, int], inside: Bools, changed: Bools, near: Bools, level: int, most: int) -> Changes:
    """Connected components of a part of the image, whole, where nothing of them has been changed.

    Ink is connected with eight neighbours, what lies around it with four: a closed line has an inside.
    """
    from scipy import ndimage

    eight = np.ones((3, 3), int)
    labels, n = ndimage.label(inside, eight if key[0] == "erase" else None)
    sizes = np.bincount(labels.ravel(), minlength=n + 1)
    touched = np.bincount(labels[changed], minlength=n + 1) > 0
    right = np.flatnonzero((sizes <= min(most, LARGEST)) & ~touched)
    right = right[right > 0]
    width = int(sizes[right].max(initial=0))
    order = np.argsort(labels.ravel(), kind="stable")
    first = np.concatenate([[0], np.cumsum(sizes)])[right]
    used = np.arange(width) < sizes[right, None]
    positions = order.astype(np.int32)[np.minimum(first[:, None] + np.arange(width), labels.size - 1)]
    starts = np.logical_not((near.ravel()[positions] & used).any(axis=1))
    # A whole speck of ink, or a pinhole, is what a reader sees as one thing: its end is no speck of a repair.
    return Changes(key, order[first], positions, used, level, starts, np.zeros(len(right), bool))
