# SPDX-License-Identifier: BSD-3-Clause
"""Decision trees as conditional distributions: every earlier node within reach may decide, and only where that pays.

Context-specific independence: Friedman & Goldszmidt, "Learning Bayesian networks with local structure", 1996. A tree
counts images by leaf as a table does by row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .. import _engine
from .. import _validation as validation
from .._params import Parameters, Real, Whole, parameter, parameters
from ..bits.planes import BitPlanes
from ..bits.shards import LayerImages
from ..explain.surprise import Place, TreeSurprise
from ..io.archive import read_array
from . import nodeshares
from .base import Counts, Field, Floats, Outline, Source, States, Task
from .candidates import (
    Candidates,
    asking_by_split,
    candidates,
    check_candidates_size,
    check_distance,
    no_required,
    required_nodes,
)
from .files import read_begins
from .grid import Grid
from .rounds import Grown, TreeGrowth
from .shape import describe_trees, tree_pictures
from .shards import grow_from
from .table import ROW_BYTES, CountedCPD
from .treegrowth import grow_all

MAX_LEAVES = _engine.MAX_LEAVES
# Vertices of all trees while they grow, beyond which growth is refused: 4 GiB.
MAX_VERTICES = 2**27
# Images from which on trees are grown in rounds, and nodes whose trees grow together then: what is known of their open
# vertices takes some 30 MB.
ROUNDS_FROM, NODES_TOGETHER = 2**20, 16
VERTEX_BYTES = 4 + 2 * 4  # split and two children


@parameters
class Tree(Parameters):
    """Decision trees over earlier nodes, grown best leaf first while a split gains more log-likelihood than it costs."""

    reach: int = parameter(
        Whole(1, 2**20),
        "How far a tree looks: Chebyshev distance in positions, rows above and left in the same row. In hidden layers "
        "only nodes that see no common pixel.",
        default=6,
    )
    penalty: float = parameter(
        Real(0, 1e9), "Price of a split in units of ln(n_images): 0.5 is that of the BIC.", default=0.5
    )
    max_leaves: int = parameter(Whole(2, MAX_LEAVES), "Most leaves of a tree.", default=200)
    min_leaf: int = parameter(Whole(1, 2**40), "Least images in a leaf.", default=1)
    shrinkage: float = parameter(
        Real(1e-9, 1e9),
        "Weight, in images, with which the probability of a vertex leans on its parent's.",
        default=10.0,
    )
    pseudocount: float = parameter(
        Real(1e-9, 1e9), "Added to the counts of a root before probabilities are made (thesis eq. 2).", default=1.0
    )


@dataclass(frozen=True, eq=False)
class TreeLayer(Grid):
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

    begin: npt.NDArray[np.int64]
    split: npt.NDArray[np.int32]
    required: npt.NDArray[np.int32]
    child: npt.NDArray[np.int32] = field(init=False)

    def __post_init__(self) -> None:
        inner = self.split >= 0
        before: npt.NDArray[np.int64] = np.cumsum(inner) - inner  # inner vertices before each, over all nodes
        owner = np.repeat(np.arange(len(self.begin) - 1), np.diff(self.begin))
        of_node: npt.NDArray[np.int64] = before - before[self.begin[:-1]][owner]
        object.__setattr__(self, "child", np.where(inner, 1 + 2 * of_node, 0).astype(np.int32))

    @property
    def tree_begin(self) -> npt.NDArray[np.int64]:
        """First vertex of every tree, and the end: there is one tree for each node."""
        return self.begin

    @property
    def node_begin(self) -> npt.NDArray[np.int64]:
        """First vertex of every node, and the end."""
        return self.begin

    @property
    def n_leaves(self) -> int:
        return int((self.split < 0).sum())

    def arrays(self) -> tuple[npt.NDArray[Any], ...]:
        """begin, split, child, required, as ``cbn_trees`` in cbn.h has them."""
        return self.begin, self.split, self.child, self.required


def grow(
    grid: Grid, planes: BitPlanes, candidate: Candidates, required: npt.NDArray[np.int32] | None, *, penalty: float,
    max_leaves: int, min_leaf: int, num_threads: int,
) -> tuple[TreeLayer, Counts]:  # fmt: skip
    """Grow the tree of every node of a layer, best leaf first.

    Parameters
    ----------
    grid : Grid
    planes : BitPlanes
        The states of the nodes in the training images.
    candidate : (ndarray, ndarray)
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
    grown = grow_all(_engine, grid, planes, candidate, required, penalty, max_leaves, min_leaf, num_threads)
    return tree_layer(grid, required, [grown])


def grow_in_rounds(
    grid: Grid, planes: BitPlanes, candidate: Candidates, required: npt.NDArray[np.int32] | None, *,
    members: npt.NDArray[np.bool_] | None, penalty: float, max_leaves: int, min_leaf: int, num_threads: int,
) -> tuple[TreeLayer, Counts]:  # fmt: skip
    """The same trees without a copy of the planes and without sets of images by leaf, for many images.

    ``members`` (n_images,) bool: which images they are grown of; None: all.
    """
    n_images = planes.n_images if members is None else int(np.count_nonzero(members))
    parts = []
    for first in range(0, grid.n_nodes, NODES_TOGETHER):
        growth = TreeGrowth(
            grid, n_images, candidate, required, penalty=penalty, max_leaves=max_leaves, min_leaf=min_leaf,
            nodes=range(first, min(first + NODES_TOGETHER, grid.n_nodes)), num_threads=num_threads,
        )  # fmt: skip
        while (request := growth.request()) is not None:
            growth.answer(request.count(planes, num_threads, members))
        parts.append(growth.grown())
    return tree_layer(grid, required, parts)


def tree_layer(grid: Grid, required: npt.NDArray[np.int32] | None, parts: Sequence[Grown]) -> tuple[TreeLayer, Counts]:
    """The layer, and its counts, of trees that were grown in rounds, all nodes in their order."""
    sizes, split, counts = (np.concatenate(own) for own in zip(*parts))
    begin = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    layer = TreeLayer(grid.channels, grid.height, grid.width, begin, split, no_required(grid, required))
    return layer, counts


class TreeCPD(CountedCPD):
    """A layer of trees with counts by vertex.

    Parameters
    ----------
    layer : TreeLayer
    counts : ndarray, (vertices, 2) int64
    pseudocount : float
        At the root.
    shrinkage : float
        With how many images' weight a vertex leans on its parent.
    """

    name = "tree"
    nouns = "trees"
    parameter_class = Tree
    learns_structure = True
    takes_members = True
    distributes = True
    _score_images = staticmethod(_engine.tree_score_images)
    _score_nodes = staticmethod(_engine.tree_score_nodes)
    _sample_ancestral = staticmethod(_engine.tree_sample_ancestral)
    _sample_gibbs = staticmethod(_engine.tree_sample_gibbs)
    _inpaint = staticmethod(_engine.tree_inpaint)

    layer: TreeLayer

    def __init__(self, layer: TreeLayer, counts: Counts, pseudocount: float, shrinkage: float) -> None:
        self.layer, self.counts = layer, counts
        self.pseudocount, self.shrinkage = pseudocount, shrinkage
        self.engine_layer = _engine.Trees(layer)
        self._tables = {}

    def parts(self) -> tuple[Any, ...]:
        return self.layer, self.counts, self.pseudocount, self.shrinkage

    # ---- learning ----

    @classmethod
    def check_size(cls, parameters: Tree, field: Field, pixels: bool) -> None:
        grid = field.grid()
        check_candidates_size(grid, parameters.reach)
        if grid.n_nodes * 2 * parameters.max_leaves > MAX_VERTICES:
            raise ValueError(
                f"max_leaves: {parameters.max_leaves} leaves for each of {grid.n_nodes:,} nodes, more than "
                f"{MAX_VERTICES // 2:,} in all; reduce it"
            )

    @classmethod
    def most(cls, parameters: Tree, field: Field, pixels: bool, n_relations: int) -> tuple[int, int]:
        n_nodes = field.grid().n_nodes
        n_leaves = n_nodes * parameters.max_leaves
        return n_leaves, (2 * n_leaves - n_nodes) * (ROW_BYTES + VERTEX_BYTES)

    @classmethod
    def learn(cls, parameters: Tree, task: Task) -> "TreeCPD":
        p, planes = parameters, task.planes
        nearby, required = candidates(task.grid, task.distance, p.reach), required_nodes(task.grid, task.pixels)
        if planes.n_images >= ROUNDS_FROM:
            layer, counts = grow_in_rounds(
                task.grid, planes, nearby, required, members=task.members,
                penalty=p.penalty, max_leaves=p.max_leaves, min_leaf=p.min_leaf, num_threads=task.num_threads,
            )  # fmt: skip
        else:
            layer, counts = grow(
                task.grid, planes if task.members is None else planes.select(task.members, task.num_threads),
                nearby, required, penalty=p.penalty, max_leaves=p.max_leaves, min_leaf=p.min_leaf,
                num_threads=task.num_threads,
            )  # fmt: skip
        return cls(layer, counts, p.pseudocount, p.shrinkage)

    @classmethod
    def learn_from(cls, parameters: Tree, outline: Outline, images: LayerImages) -> "TreeCPD":
        p, grid = parameters, outline.grid
        required = required_nodes(grid, outline.pixels)
        if images.n_images < ROUNDS_FROM and grid.n_nodes * images.n_images <= 8 * nodeshares.MOST_BYTES:
            parts = nodeshares.trees_by_nodes(
                images.chosen(), images.number, grid, outline.distance, p.reach, outline.pixels,
                (p.penalty, p.max_leaves, p.min_leaf),
            )  # fmt: skip
        else:
            parts = grow_from(
                images, grid, outline.distance, p.reach, required,
                penalty=p.penalty, max_leaves=p.max_leaves, min_leaf=p.min_leaf, num_threads=outline.num_threads,
            )  # fmt: skip
        return cls(*tree_layer(grid, required, parts), p.pseudocount, p.shrinkage)

    def recounted(self, planes: BitPlanes, num_threads: int) -> Self:
        counts = np.empty(self.counts.shape, np.int64)
        _engine.tree_count(self.engine_layer, planes.words, planes.n_images, counts, num_threads)
        return type(self)(self.layer, counts, self.pseudocount, self.shrinkage)

    def check_counts(self, n_images: int) -> None:
        _engine.tree_counts_check(self.engine_layer, self.counts, n_images)

    # ---- scores and draws ----

    def _make_values(self, kind: int, leave_one_out: bool, num_threads: int) -> Floats:
        table = np.empty(self.counts.shape)
        _engine.tree_values(
            self.engine_layer, self.counts, self.probabilities(num_threads), self.pseudocount, self.shrinkage, kind,
            leave_one_out, table, num_threads,
        )  # fmt: skip
        return table

    def _make_probabilities(self, num_threads: int) -> Floats:
        table = np.empty(self.counts.shape)
        _engine.tree_probability(
            self.engine_layer, self.counts, self.pseudocount, self.shrinkage, table, num_threads
        )  # fmt: skip
        return table

    def asking(self, nodes: States) -> States:
        return asking_by_split(self.layer.split, self.layer.begin, nodes)

    # ---- what it is ----

    def row_begins(self) -> npt.NDArray[np.int64]:
        return self.layer.begin[:-1]

    def own_counts(self) -> Counts:
        return np.where(self.layer.split[:, None] < 0, self.counts, 0)

    def bic(self) -> tuple[float, int, float]:
        return _engine.tree_bic(self.engine_layer, self.counts)

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"trees": describe_trees(self.layer)}

    def pictures(self) -> list[tuple[str, Floats, str, float, float | None]]:
        return tree_pictures(self.layer)

    def table_parents(self, node: int) -> list[int]:
        own = self.layer.split[self.layer.begin[node] : self.layer.begin[node + 1]]
        return np.unique(own[own >= 0]).tolist()

    def table_of(self, node: int, parents: list[int]) -> Floats:
        first, end = self.layer.begin[node], self.layer.begin[node + 1]
        split, child = self.layer.split[first:end], self.layer.child[first:end]
        index = np.arange(1 << len(parents))
        vertex = np.zeros(len(index), np.int64)
        bit = {parent: len(parents) - 1 - i for i, parent in enumerate(parents)}
        while (inner := split[vertex] >= 0).any():
            shift = np.array([bit.get(int(decides), 0) for decides in split[vertex]])
            vertex = np.where(inner, child[vertex] + (index >> shift & 1), vertex)
        return self.probabilities(1)[first + vertex]

    def explain(self, place: Place, node: int, states: States, num_threads: int) -> TreeSurprise:
        """The way of the image through the tree."""
        layer, first, vertex = self.layer, int(self.layer.begin[node]), 0
        way: list[tuple[int, int, int, int, float | None]] = []
        while (decides := int(layer.split[first + vertex])) >= 0:
            state = int(states[decides])
            way.append((*layer.place(decides), state, None))
            vertex = int(layer.child[first + vertex]) + state
        return TreeSurprise(
            **place.attributes(),
            probability=float(self.probabilities(num_threads)[first + vertex, place.state]),
            given=tuple(way),
            count=int(self.counts[first + vertex, place.state]),
            leaf_count=int(self.counts[first + vertex].sum()),
            n_images=int(self.counts[first].sum()),
            log_odds=None,
            thresholds=place.thresholds,
            threshold=place.threshold,
        )

    # ---- files ----

    def describe(self) -> dict[str, Any]:
        """``layer`` has sizes and ``n_vertices``; ``shrinkage`` and ``pseudocount`` stand beside it."""
        layer = self.layer.sizes() | {"n_vertices": len(self.layer.split)}
        return {"cpd": self.name, "layer": layer, "shrinkage": self.shrinkage, "pseudocount": self.pseudocount}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """``sizes`` int32 (nodes,) vertices of every tree, ``split`` int32 (vertices,), ``counts`` int64 (vertices, 2).

        Vertices are numbered breadth first, so the children follow from the splits; what others require follows from
        the thresholds.
        """
        sizes = np.diff(self.layer.begin).astype(np.int32)
        return {"sizes": sizes, "split": self.layer.split, "counts": self.counts}

    @classmethod
    def read(cls, source: Source) -> "TreeCPD":
        grid, described = source.grid, source.description
        if grid.n_nodes > MAX_VERTICES:
            raise ValueError(f"trees of {grid.n_nodes} nodes")
        n_vertices = validation.check_integer(described["layer"]["n_vertices"], "n_vertices", 1, MAX_VERTICES)
        shrinkage = validation.check_real(described["shrinkage"], "shrinkage", 1e-9, 1e9)
        pseudocount = validation.check_real(source.value("pseudocount"), "pseudocount", 1e-9, 1e9)
        begin = read_begins(source, "sizes", grid.n_nodes, n_vertices)
        if (np.diff(begin) < 1).any():
            raise ValueError("a node without a tree")
        split = read_array(source.archive, source.array_name("split"), np.int32, (n_vertices,))
        required = no_required(grid, required_nodes(grid, source.pixels))
        layer = TreeLayer(grid.channels, grid.height, grid.width, begin, split, required)
        _engine.Trees(layer)  # refuses what is no tree, before more is read
        check_distance(layer, split, required, begin, source.distance)
        counts = read_array(source.archive, source.array_name("counts"), np.int64, (n_vertices, 2))
        return cls(layer, counts, pseudocount, shrinkage)
