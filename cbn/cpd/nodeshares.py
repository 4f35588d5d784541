# SPDX-License-Identifier: BSD-3-Clause
"""Boosted trees of images that are in several places: every place gets all bits, and grows the trees of some nodes.

A node's trees follow one from the other, and each of them from sums over all images; nodes know nothing of each other.
So nodes are what is shared out: one way of all bits over the network in place of thousands of rounds.
"""

from collections.abc import Sequence

from ..bits.alignment import aligned
from ..bits.shards import Conversation, Shard, Shards
from .boosted import Boosted, BoostedLayer, Grown, Start, grow_nodes, joined_trees
from .candidates import required_nodes
from .grid import Grid
from .shards import nearby

# Nodes that are grown by one task.
NODES_TOGETHER = 8


def grow_by_nodes(
    shards: Shards, number: int, grid: Grid, distance: int, reach: int, pixels: bool, boosting: Boosted, seed: int,
    start: Start | None = None,
) -> BoostedLayer:  # fmt: skip
    """The trees of all nodes of layer ``number``, as :func:`cbn.cpd.boosted.grow` grows them.

    Parameters
    ----------
    reach : int
        Of the candidates, at a distance of at least ``distance``.
    pixels : bool
        Whether channels are thresholds, each of which requires the next lower one.
    start : callable, optional
        That can be sent.
    """
    everything = aligned(shards, shards.n_images).spread()
    sizes = grid.channels, grid.height, grid.width

    def grown(first: int) -> Conversation[Grown]:
        n = min(NODES_TOGETHER, grid.n_nodes - first)
        return (yield grow_some, (number, sizes, distance, reach, pixels, boosting, first, n, seed, start))

    parts = everything.converse([grown(first) for first in range(0, grid.n_nodes, NODES_TOGETHER)])
    return joined_trees(grid, required_nodes(grid, pixels), parts)


# ---- what the shard of all images is asked ----


def grow_some(
    shard: Shard, num_threads: int, number: int, sizes: Sequence[int], distance: int, reach: int, pixels: bool,
    boosting: Boosted, first: int, n: int, seed: int, start: Start | None,
) -> Grown:  # fmt: skip
    """The trees of n nodes from the first one on."""
    grid = Grid(*sizes)
    candidate = nearby((grid.channels, grid.height, grid.width), distance, reach)
    return grow_nodes(
        grid, shard.layers[number], candidate, required_nodes(grid, pixels), boosting, first, n,
        seed=seed, num_threads=num_threads, start=start,
    )  # fmt: skip
