# SPDX-License-Identifier: BSD-3-Clause
"""Trees of images that are in several places, by nodes: every place gets the bits of all images, and grows some nodes' trees.

Nodes know nothing of each other, so that they can be shared out as images can. That takes one way of all bits over the
network in place of the rounds in which sums are asked for, and room for all bits everywhere.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .. import _engine
from ..bits.alignment import aligned
from ..bits.shards import Conversation, Shard, Shards
from . import boosted
from .base import Counts
from .boosted import Boosted, BoostedLayer, Start
from .candidates import required_nodes
from .grid import Grid
from .rounds import Grown, Indices, Nodes
from .shards import nearby
from .treegrowth import grow_all

# Bytes of the bits of all images, up to which trees of counts are grown by nodes.
MOST_BYTES = 2**28
# Nodes whose boosted trees are grown by one task.
NODES_TOGETHER = 8


def everything(shards: Shards, number: int) -> Shards:
    """One shard of one layer of all images, copied everywhere."""
    return aligned(shards.made(one_layer, number), shards.n_images).spread()


def trees_by_nodes(
    shards: Shards, number: int, grid: Grid, distance: int, reach: int, pixels: bool, growth: tuple[float, int, int]
) -> list[Grown]:
    """The trees of all nodes, in one part, as :func:`cbn.cpd.tree.grow` grows them; growth: its last arguments."""
    whole = everything(shards, number)
    sizes = grid.channels, grid.height, grid.width
    # every k-th node: trees of neighbours take about the same time, those of the edges little
    k = min(grid.n_nodes, 2 * whole.n_threads)

    def grown(first: int) -> Conversation[Grown]:
        return (yield grow_every, (sizes, distance, reach, pixels, growth, first, k))

    parts = whole.converse([grown(first) for first in range(k)])
    found: list[tuple[Nodes, Counts]] = [(np.empty(0, np.int32), np.empty((0, 2), np.int64))] * grid.n_nodes
    for first, (own, split, counts) in enumerate(parts):
        ends = np.cumsum(own)[:-1]
        found[first::k] = zip(np.split(split, ends), np.split(counts, ends))
    n_vertices = np.array([len(split) for split, _ in found], np.int32)
    return [(n_vertices, np.concatenate([own for own, _ in found]), np.concatenate([own for _, own in found]))]


def boosted_by_nodes(
    shards: Shards, number: int, grid: Grid, distance: int, reach: int, pixels: bool, boosting: Boosted, seed: int,
    start: Start | None = None,
) -> BoostedLayer:  # fmt: skip
    """The trees of all nodes of layer ``number``, as :func:`cbn.cpd.boosted.grow` grows them.

    The trees of one node follow one from the other, each of them from sums over all images: thousands of rounds.

    Parameters
    ----------
    reach : int
        Of the candidates, at a distance of at least ``distance``.
    pixels : bool
        Whether channels are thresholds, each of which requires the next lower one.
    start : callable, optional
        That can be sent.
    """
    whole, sizes = everything(shards, number), (grid.channels, grid.height, grid.width)

    def grown(first: int) -> Conversation[boosted.Grown]:
        n = min(NODES_TOGETHER, grid.n_nodes - first)
        return (yield boost_some, (sizes, distance, reach, pixels, boosting, first, n, seed, start))

    parts = whole.converse([grown(first) for first in range(0, grid.n_nodes, NODES_TOGETHER)])
    return boosted.joined_trees(grid, required_nodes(grid, pixels), parts)


# ---- what shards are asked ----


def one_layer(shard: Shard, num_threads: int, number: int) -> Shard:
    """The same images with one of their layers."""
    return replace(shard, layers=(shard.layers[number],))


def grow_every(
    shard: Shard, num_threads: int, sizes: tuple[int, int, int], distance: int, reach: int, pixels: bool,
    growth: tuple[float, int, int], first: int, k: int,
) -> Grown:  # fmt: skip
    """The trees of every k-th node from the first one on: all others have no candidates, and are leaves."""
    grid = Grid(*sizes)
    begin, candidate = nearby(sizes, distance, reach)
    own = np.arange(grid.n_nodes) % k == first
    lengths: Indices = np.diff(begin)
    some = np.concatenate([[0], np.cumsum(np.where(own, lengths, 0))])
    required = required_nodes(grid, pixels)
    if required is not None:
        required = np.where(own, required, -1).astype(np.int32)
    n_vertices, split, counts = grow_all(
        _engine, grid, shard.layers[0], (some, candidate[np.repeat(own, lengths)]), required, *growth, num_threads
    )
    keep = np.repeat(own, n_vertices)
    return n_vertices[own], split[keep], counts[keep]


def boost_some(
    shard: Shard, num_threads: int, sizes: Sequence[int], distance: int, reach: int, pixels: bool,
    boosting: Boosted, first: int, n: int, seed: int, start: Start | None,
) -> boosted.Grown:  # fmt: skip
    """The boosted trees of n nodes from the first one on."""
    grid = Grid(*sizes)
    candidate = nearby((grid.channels, grid.height, grid.width), distance, reach)
    return boosted.grow_nodes(
        grid, shard.layers[0], candidate, required_nodes(grid, pixels), boosting, first, n,
        seed=seed, num_threads=num_threads, start=start,
    )  # fmt: skip
