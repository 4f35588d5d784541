# SPDX-License-Identifier: BSD-3-Clause
"""Boosted trees as conditional distributions: the log-odds of a node are a base and a sum of small trees.

Friedman 2001, "Greedy function approximation: a gradient boosting machine"; Newton steps and the gain of a split as in
Chen & Guestrin 2016, "XGBoost"; statistics of splits from gradients rounded to a few levels as in Shi, Ke, Chen, Zheng &
Liu 2022, "Quantized training of gradient boosting decision trees". Every tree looks at earlier nodes only, so the
network stays a normalized distribution that is exact to score and to sample.
"""

from dataclasses import dataclass

import numpy as np

from .. import _engine
from .. import _validation as validation
from .candidates import check_candidates_size

# Vertices of all trees beyond which growth is refused: 4 GiB of splits and values.
MAX_VERTICES = 2**29
# Nodes grown between two returns to Python: a few tenths of a second.
BATCH_NODES = 32


@dataclass(frozen=True)
class Boosting:
    """How trees are grown; ``cbn_boosting`` in cbn.h.

    Attributes
    ----------
    rounds : int
        In which a node may get a tree.
    max_leaves : int
        Most leaves of a tree.
    n_candidates : int
        Nodes that a tree may split on, drawn at random for each tree from all that may decide.
    rate : float
        Step length: the share of a Newton step that a leaf takes, in (0, 1].
    l2 : float
        Ridge penalty on leaf values, added to the Hessian of a leaf.
    min_gain : float
        A split must gain more log-likelihood than this, in nats.
    min_hessian : float
        Least sum of p (1 - p) on each side of a split.
    pseudocount : float
        Of the base.

    The defaults were chosen on training images: fitted to the first 50,000 of MNIST and judged by the nats of the rest.
    """

    rounds: int = 150
    max_leaves: int = 16
    n_candidates: int = 160
    rate: float = 0.07
    l2: float = 2.0
    min_gain: float = 0.5
    min_hessian: float = 0.25
    pseudocount: float = 1.0


def check_boosting(boosting):
    """Raises ValueError for a field outside the range that the engine takes (``cbn_boosting`` in cbn.h)."""
    if not isinstance(boosting, Boosting):
        raise ValueError(f"boosting: {boosting!r}; give a cbn.cpd.boostedlayer.Boosting")
    integers = {"rounds": (0, _engine.MAX_ROUNDS), "max_leaves": (2, _engine.MAX_BOOSTED_LEAVES),
                "n_candidates": (1, 2**31 - 1)}  # fmt: skip
    reals = {"rate": (1e-9, 1), "l2": (0, 1e9), "min_gain": (0, 1e9), "min_hessian": (1e-3, 1e9),
             "pseudocount": (1e-9, 1e9)}  # fmt: skip
    for check, ranges in ((validation.check_integer, integers), (validation.check_real, reals)):
        for name, (low, high) in ranges.items():
            check(getattr(boosting, name), f"boosting: {name}", low, high)


def check_growth_size(geometry, reach, boosting):
    """Refuses, before anything is allocated, trees that could take too much memory. Raises ValueError."""
    check_candidates_size(geometry, reach)
    nodes = geometry.channels * geometry.height * geometry.width
    n_vertices = nodes * boosting.rounds * (2 * boosting.max_leaves - 1)
    if n_vertices > MAX_VERTICES:
        raise ValueError(
            f"boosting: {boosting.rounds} rounds of {boosting.max_leaves} leaves for each of {nodes:,} nodes are "
            f"{n_vertices:,} vertices, more than {MAX_VERTICES:,}; reduce rounds or max_leaves"
        )


@dataclass(frozen=True, eq=False)
class BoostedLayer:
    """A grid of binary nodes with boosted trees over earlier nodes; the layout is that of ``cbn_boosted`` in cbn.h.

    Attributes
    ----------
    channels, height, width : int
    begin : ndarray, (nodes + 1,) int64
        The trees of node v are ``begin[v]`` to ``begin[v + 1] - 1``.
    tree_begin : ndarray, (trees + 1,) int64
        The vertices of tree t are ``tree_begin[t]`` to ``tree_begin[t + 1] - 1``, numbered breadth first.
    split : ndarray, (vertices,) int32
        The node that decides at a vertex, -1 at a leaf.
    value : ndarray, (vertices,) int32
        What a leaf adds to the log-odds, in units of 1 / 65536; 0 at an inner vertex.
    base : ndarray, (nodes,) int32
        Log-odds without trees, in the same unit.
    required : ndarray, (nodes,) int32
        The node without which a node is never 1, -1 for none.
    """

    channels: int
    height: int
    width: int
    begin: np.ndarray
    tree_begin: np.ndarray
    split: np.ndarray
    value: np.ndarray
    base: np.ndarray
    required: np.ndarray

    @property
    def n_positions(self):
        return self.height * self.width

    @property
    def n_nodes(self):
        return self.channels * self.n_positions

    @property
    def n_trees(self):
        return len(self.tree_begin) - 1

    @property
    def n_leaves(self):
        return int((self.split < 0).sum())

    def arrays(self):
        """begin, tree_begin, split, value, base, required, as ``cbn_boosted`` in cbn.h has them."""
        return self.begin, self.tree_begin, self.split, self.value, self.base, self.required


def grow(shape, planes, n_images, candidate_begin, candidate, required, boosting, *, seed, num_threads, progress=None):
    """Grows the trees of all nodes.

    Parameters
    ----------
    shape : (int, int, int)
        Channels, height, width.
    planes : ndarray, (nodes, words) uint64
        The training images as bit-planes.
    n_images : int
    candidate_begin, candidate : ndarray
        The nodes that may decide, as :func:`cbn.cpd.candidates.candidates` gives them.
    required : ndarray, (nodes,) int32, or None
        The node without which a node is never 1, -1 for none.
    boosting : Boosting
    seed, num_threads : int
        The same seed gives the same trees for any number of threads.
    progress : callable, optional
        Called with (nodes done, nodes in all) after every batch of nodes.

    Returns
    -------
    BoostedLayer

    Raises
    ------
    ValueError
        For sizes that do not fit, candidates that are not earlier, or a setting outside its range.
    """
    n_nodes, capacity = len(planes), 2 * boosting.max_leaves - 1
    base, n_trees = (np.empty(n_nodes, np.int32) for _ in range(2))
    sizes, splits, values = [], [], []
    for first in range(0, n_nodes, BATCH_NODES):
        nodes = slice(first, min(first + BATCH_NODES, n_nodes))
        n = nodes.stop - first
        n_vertices = np.empty((n, boosting.rounds), np.int32)
        split, value = (np.empty((n, boosting.rounds, capacity), np.int32) for _ in range(2))
        _engine.boosted_grow(
            shape, planes, n_images, (candidate_begin, candidate, required), boosting, seed,
            (first, base[nodes], n_trees[nodes], n_vertices, split, value), num_threads,
        )  # fmt: skip
        grown = np.arange(boosting.rounds) < n_trees[nodes, None]
        sizes.append(n_vertices[grown])
        used = np.arange(capacity) < sizes[-1][:, None]
        splits.append(split[grown][used])
        values.append(value[grown][used])
        if progress is not None:
            progress(nodes.stop, n_nodes)
    begin, tree_begin = (
        np.concatenate([[0], np.cumsum(size, dtype=np.int64)]) for size in (n_trees, np.concatenate(sizes))
    )
    required = np.full(n_nodes, -1, np.int32) if required is None else required
    return BoostedLayer(*shape, begin, tree_begin, np.concatenate(splits), np.concatenate(values), base, required)
