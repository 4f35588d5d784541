# SPDX-License-Identifier: BSD-3-Clause
"""Decision trees as conditional distributions: candidates, growth, and what a grown layer is.

A tree looks further than a table: every earlier node within ``reach`` may decide, and only where that pays (Friedman
and Goldszmidt, "Learning Bayesian networks with local structure", 1996).
"""

from dataclasses import dataclass, field

import numpy as np

from .. import _engine
from .candidates import check_candidates_size

MAX_LEAVES = _engine.MAX_LEAVES


@dataclass(frozen=True, eq=False)
class TreeLayer:
    """A grid of binary nodes, each with a decision tree over earlier nodes; the layout is that of ``cbn_trees``.

    Attributes
    ----------
    channels, height, width : int
    begin : ndarray, (nodes + 1,) int64
        The vertices of node v are ``begin[v]`` to ``begin[v + 1] - 1``, numbered breadth first.
    split : ndarray, (vertices,) int32
        The node that decides at a vertex, -1 at a leaf.
    required : ndarray, (nodes,) int32
        The node without which a node is never 1, -1 for none.
    child : ndarray, (vertices,) int32
        First child of an inner vertex, counted from the root; it follows from ``split``.
    """

    channels: int
    height: int
    width: int
    begin: np.ndarray
    split: np.ndarray
    required: np.ndarray
    child: np.ndarray = field(init=False)

    def __post_init__(self):
        inner = self.split >= 0
        before = np.cumsum(inner) - inner  # inner vertices before each, over all nodes
        owner = np.repeat(np.arange(len(self.begin) - 1), np.diff(self.begin))
        of_node = before - before[self.begin[:-1]][owner]
        object.__setattr__(self, "child", np.where(inner, 1 + 2 * of_node, 0).astype(np.int32))

    @property
    def n_positions(self):
        return self.height * self.width

    @property
    def n_nodes(self):
        return self.channels * self.n_positions

    @property
    def n_leaves(self):
        return int((self.split < 0).sum())

    def arrays(self):
        """begin, split, child, required, as ``cbn_trees`` in cbn.h has them."""
        return self.begin, self.split, self.child, self.required


def grow(shape, planes, n_images, candidate_begin, candidate, required, *, penalty, max_leaves, min_leaf, num_threads):
    """Grow the tree of every node of a layer, best leaf first.

    Parameters
    ----------
    shape : (int, int, int)
        Channels, height, width.
    planes : ndarray, (nodes, words) uint64
        The states of the nodes in the training images, as bit-planes.
    n_images : int
    candidate_begin, candidate : ndarray
        What `candidates` returns.
    required : ndarray, (nodes,) int32, or None
        The node without which a node is never 1 (-1 for none); it becomes the root's split. None: no node has one.
    penalty : float
        A split must gain more than ``penalty * log(n_images)`` nats; 0.5 is the BIC's price of a parameter.
    max_leaves : int
        At most `MAX_LEAVES`; at least 2 with `required`.
    min_leaf : int
        Images that each side of a split must hold.
    num_threads : int

    Returns
    -------
    trees : TreeLayer
    counts : ndarray, (vertices, 2) int64
        Images that reach a vertex with the node at 0 and at 1.

    Raises
    ------
    ValueError
        A number is outside its range, or a candidate or required node does not come before its node.
    """
    if not 1 <= max_leaves <= MAX_LEAVES:  # sizes the outputs, so that it must be known to be sound before them
        raise ValueError(f"max_leaves: {max_leaves}, give a number from 1 to {MAX_LEAVES}")
    n_nodes, capacity = len(planes), 2 * max_leaves - 1
    n_vertices = np.empty(n_nodes, np.int32)
    split, child = (np.empty((n_nodes, capacity), np.int32) for _ in range(2))
    counts = np.empty((n_nodes, capacity, 2), np.int64)
    _engine.tree_grow(
        shape, planes, n_images, (candidate_begin, candidate, required), (penalty, max_leaves, min_leaf),
        (n_vertices, split, child, counts), num_threads,
    )  # fmt: skip
    begin = np.concatenate([[0], np.cumsum(n_vertices, dtype=np.int64)])
    used = np.arange(begin[-1]) + np.repeat(np.arange(n_nodes) * capacity - begin[:-1], n_vertices)
    required = np.full(n_nodes, -1, np.int32) if required is None else required
    return TreeLayer(*shape, begin, split.ravel()[used], required), counts.reshape(-1, 2)[used]


# Vertices of all trees while they grow, beyond which growth is refused: 4 GiB.
MAX_VERTICES = 2**27


def check_growth_size(geometry, reach, max_leaves):
    """Refuses, before anything is allocated, trees that could take too much memory. Raises ValueError."""
    check_candidates_size(geometry, reach)
    nodes = geometry.channels * geometry.height * geometry.width
    if nodes * 2 * max_leaves > MAX_VERTICES:
        raise ValueError(
            f"max_leaves: {max_leaves} leaves for each of {nodes:,} nodes, more than {MAX_VERTICES // 2:,} in all; "
            "reduce it"
        )
