# SPDX-License-Identifier: BSD-3-Clause
"""Growth of trees of images that are in several places: rounds of :class:`cbn.cpd.rounds.TreeGrowth`, summed over shards."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ..bits.planes import BitPlanes
from ..bits.shards import Conversation, LayerImages, Mask
from .base import Counts
from .candidates import Candidates, candidates
from .grid import Grid
from .rounds import Grown, Nodes, OpenVertices, TreeGrowth

# Nodes whose trees grow together: more of them need fewer rounds, and more memory.
NODES_ASKED = 196


def grow_from(
    images: LayerImages, grid: Grid, distance: int, reach: int, required: Nodes | None, *, penalty: float,
    max_leaves: int, min_leaf: int, num_threads: int,
) -> list[Grown]:  # fmt: skip
    """Trees of all nodes, in parts, of images that are in several places; arguments as for `TreeGrowth`."""
    nearby = candidates(grid, distance, reach)

    def grow(nodes: range) -> Conversation[Grown]:
        growth = TreeGrowth(
            grid, images.n_images, nearby, required, penalty=penalty, max_leaves=max_leaves, min_leaf=min_leaf,
            nodes=nodes, num_threads=num_threads,
        )  # fmt: skip
        while (request := growth.request()) is not None:
            sent = [_small(own) for own in request.vertices]
            growth.answer((yield images.question(count_open, request.grid, distance, reach, sent)))
        return growth.grown()

    parts = (range(first, min(first + NODES_ASKED, grid.n_nodes)) for first in range(0, grid.n_nodes, NODES_ASKED))
    return images.shards.converse([grow(nodes) for nodes in parts])


def count_open(
    planes: BitPlanes, num_threads: int, members: Mask | None, grid: tuple[int, int, int], distance: int, reach: int,
    vertices: Sequence[npt.NDArray[np.integer]],
) -> Counts:  # fmt: skip
    """The counts of :class:`OpenVertices` whose candidates follow from a distance and a reach; they need not travel."""
    types = np.int64, np.int64, np.int32, np.int64, np.int32
    begin, way_begin, way, useful_begin, useful = (own.astype(kind) for own, kind in zip(vertices, types))
    asked = OpenVertices(grid, nearby(grid, distance, reach), (begin, way_begin, way, useful_begin, useful))
    return asked.count(planes, num_threads, members)


@lru_cache(maxsize=4)
def nearby(grid: tuple[int, int, int], distance: int, reach: int) -> Candidates:
    return candidates(Grid(*grid), distance, reach)


def _small(numbers: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """The same numbers in the smallest type that has them."""
    low, high = int(numbers.min(initial=0)), int(numbers.max(initial=0))
    return numbers.astype(np.result_type(np.min_scalar_type(low), np.min_scalar_type(high)))
