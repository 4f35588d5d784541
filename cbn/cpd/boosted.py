# SPDX-License-Identifier: BSD-3-Clause
"""Boosted trees as conditional distributions: the log-odds of a node are a base and a sum of small trees.

Friedman 2001, "Greedy function approximation: a gradient boosting machine"; Newton steps and the gain of a split as in
Chen & Guestrin 2016, "XGBoost"; statistics of splits from gradients rounded to a few levels as in Shi, Ke, Chen, Zheng &
Liu 2022, "Quantized training of gradient boosting decision trees". Every tree looks at earlier nodes only, so the
network stays a normalized distribution that is exact to score and to sample.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from .. import _engine
from .._params import Parameters, Real, Whole, parameter, parameters
from ..bits.planes import BitPlanes
from .candidates import Candidates, no_required
from .grid import Grid

# Vertices of all trees beyond which growth is refused: 4 GiB of splits and values. Files of more nodes than that are too.
MAX_VERTICES = 2**29
MAX_NODES = 2**27
VERTEX_BYTES = 4 + 4  # split and value
# Nodes grown between two returns to Python: a few tenths of a second.
BATCH_NODES = 32


# From (planes, first node, number of nodes, threads) to the log-odds (nodes, 64 words of a plane) int32 that trees correct,
# in units of 1 / 65536.
Start: TypeAlias = Callable[[BitPlanes, int, int, int], npt.NDArray[np.int32]]
# Of some nodes: base, number of trees; of their trees: vertices; of these: split, value. All int32.
Grown: TypeAlias = tuple[npt.NDArray[np.int32], ...]


@parameters
class Boosted(Parameters):
    """Sums of small trees over all earlier nodes in reach; ``cbn_boosting`` in cbn.h.

    The defaults were chosen on training images: fitted to the first 50,000 of MNIST and judged by the nats of the rest.
    """

    step_fields: ClassVar = ("rounds",)

    reach: int = parameter(
        Whole(1, 2**20),
        "How far trees look: Chebyshev distance in positions, rows above and left in the same row.",
        default=28,
    )
    rounds: int = parameter(Whole(0, _engine.MAX_ROUNDS), "In which a node may get a tree.", default=150)
    max_leaves: int = parameter(
        Whole(2, _engine.MAX_BOOSTED_LEAVES), "Most leaves of a tree.", default=16, option="boosted-leaves"
    )
    n_candidates: int = parameter(
        Whole(1, 2**31 - 1),
        "Nodes that a tree may split on, drawn at random for each tree from all that may decide.",
        default=160,
    )
    rate: float = parameter(
        Real(1e-9, 1), "Step length: the share of a Newton step that a leaf takes, in (0, 1].", default=0.07
    )
    l2: float = parameter(Real(0, 1e9), "Ridge penalty on leaf values, added to the Hessian of a leaf.", default=2.0)
    min_gain: float = parameter(Real(0, 1e9), "A split must gain more log-likelihood than this, in nats.", default=0.5)
    min_hessian: float = parameter(Real(1e-3, 1e9), "Least sum of p (1 - p) on each side of a split.", default=0.25)
    pseudocount: float = parameter(Real(1e-9, 1e9), "Added to the counts that the base is made of.", default=1.0)


@dataclass(frozen=True, eq=False)
class BoostedLayer(Grid):
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

    begin: npt.NDArray[np.int64]
    tree_begin: npt.NDArray[np.int64]
    split: npt.NDArray[np.int32]
    value: npt.NDArray[np.int32]
    base: npt.NDArray[np.int32]
    required: npt.NDArray[np.int32]

    @property
    def node_begin(self) -> npt.NDArray[np.int64]:
        """First vertex of every node, and the end."""
        return self.tree_begin[self.begin]

    @property
    def n_trees(self) -> int:
        return len(self.tree_begin) - 1

    @property
    def n_leaves(self) -> int:
        return int((self.split < 0).sum())

    def arrays(self) -> tuple[npt.NDArray[Any], ...]:
        """begin, tree_begin, split, value, base, required, as ``cbn_boosted`` in cbn.h has them."""
        return self.begin, self.tree_begin, self.split, self.value, self.base, self.required


def grow(
    grid: Grid, planes: BitPlanes, candidate: Candidates, required: npt.NDArray[np.int32] | None, boosting: Boosted, *,
    seed: int, num_threads: int, progress: Callable[[int, int], None] | None = None,
    start: Start | None = None,
) -> BoostedLayer:  # fmt: skip
    """Grows the trees of all nodes.

    Parameters
    ----------
    grid : Grid
    planes : BitPlanes
        The states of the nodes in the training images.
    candidate : (ndarray, ndarray)
        The nodes that may decide, as :func:`cbn.cpd.candidates.candidates` gives them.
    required : ndarray, (nodes,) int32, or None
        The node without which a node is never 1, -1 for none.
    boosting : Boosted
    seed, num_threads : int
        The same seed gives the same trees for any number of threads.
    progress : callable, optional
        Called with (nodes done, nodes in all) after every batch of nodes.
    start : callable, optional
        See `Start`; bases are then 0.

    Returns
    -------
    BoostedLayer

    Raises
    ------
    ValueError
        For sizes that do not fit, candidates that are not earlier, or a setting outside its range.
    """
    parts = []
    for first in range(0, planes.n_nodes, BATCH_NODES):
        n = min(BATCH_NODES, planes.n_nodes - first)
        own = grow_nodes(
            grid, planes, candidate, required, boosting, first, n, seed=seed, num_threads=num_threads, start=start
        )
        parts.append(own)
        if progress is not None:
            progress(first + n, planes.n_nodes)
    return joined_trees(grid, required, parts)


def grow_nodes(
    grid: Grid, planes: BitPlanes, candidate: Candidates, required: npt.NDArray[np.int32] | None, boosting: Boosted,
    first: int, n: int, *, seed: int, num_threads: int, start: Start | None = None,
) -> Grown:  # fmt: skip
    """The trees of n nodes from the first one on; arguments as for :func:`grow`."""
    shape, capacity = (grid.channels, grid.height, grid.width), 2 * boosting.max_leaves - 1
    base, n_trees = (np.empty(n, np.int32) for _ in range(2))
    n_vertices = np.empty((n, boosting.rounds), np.int32)
    split, value = (np.empty((n, boosting.rounds, capacity), np.int32) for _ in range(2))
    odds = start and start(planes, first, n, num_threads)
    _engine.boosted_grow(
        shape, planes.words, planes.n_images, (*candidate, required), boosting, seed,
        (first, base, n_trees, n_vertices, split, value, odds), num_threads,
    )  # fmt: skip
    grown = np.arange(boosting.rounds) < n_trees[:, None]
    sizes = n_vertices[grown]
    used = np.arange(capacity) < sizes[:, None]
    return base, n_trees, sizes, split[grown][used], value[grown][used]


def joined_trees(grid: Grid, required: npt.NDArray[np.int32] | None, parts: Sequence[Grown]) -> BoostedLayer:
    """The trees of all nodes, from those of consecutive ones."""
    base, n_trees, sizes, split, value = (np.concatenate(own) for own in zip(*parts))
    begin, tree_begin = (np.concatenate([[0], np.cumsum(size, dtype=np.int64)]) for size in (n_trees, sizes))
    shape = grid.channels, grid.height, grid.width
    return BoostedLayer(*shape, begin, tree_begin, split, value, base, no_required(grid, required))
