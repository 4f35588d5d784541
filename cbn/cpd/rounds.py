# SPDX-License-Identifier: BSD-3-Clause
"""Growth of trees in rounds, for images that are in several places, or many: counts of vertices are sums over images.

The trees are those of :func:`cbn.cpd.tree.grow`, whose order of splits is followed as far as it is known; the leaves that
would be split after that are counted too, so that a tree needs about as many rounds as it is deep.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .. import _engine
from ..bits.planes import BitPlanes
from .base import Counts, Floats
from .candidates import Candidates
from .grid import Grid

Nodes = npt.NDArray[np.int32]
Indices = npt.NDArray[np.int64]
# Of some nodes' trees: vertices of each, and of all of them splits (-1 at a leaf) and counts (vertices, 2).
Grown = tuple[Nodes, Nodes, Counts]


@dataclass(frozen=True, eq=False)
class OpenVertices:
    """What one round asks of images, wherever they are.

    Attributes
    ----------
    grid : (channels, height, width)
    candidates : (begin, node)
        As :func:`cbn.cpd.candidates.candidates` gives them.
    vertices : (begin, way_begin, way, useful_begin, useful)
        As ``cbn_open_vertices`` in cbn_rounds.h.
    """

    grid: tuple[int, int, int]
    candidates: Candidates
    vertices: tuple[Indices, Indices, Nodes, Indices, Nodes]

    def count(self, planes: BitPlanes, num_threads: int, members: npt.NDArray[np.bool_] | None = None) -> Counts:
        """(vertices + useful candidates, 2) int64: counts of some images, which add to those of others.

        Parameters
        ----------
        planes : BitPlanes
        num_threads : int
        members : ndarray, (n_images,) bool, optional
            Which images are counted.
        """
        n = int(self.vertices[0][-1])
        counts = np.empty((n + len(self.vertices[4]), 2), np.int64)
        words = None if members is None else BitPlanes.of_states(members.view(np.uint8)[:, None], num_threads).words[0]
        _engine.count_vertices(
            self.grid, planes.words, planes.n_images, words, (*self.candidates, None), self.vertices,
            counts[:n], counts[n:], num_threads,
        )  # fmt: skip
        return counts


@dataclass(eq=False)
class _Vertices:
    """Vertices of all trees, in the order in which they came; children stand together, that of state 0 first."""

    tree: Indices  # number of its tree
    parent: Indices  # -1 at a root
    step: Nodes  # the last one of the way to it, as in OpenVertices; 0 at a root
    depth: Indices
    totals: Counts  # (n, 2)
    gain: Floats  # of its best split; 0 where none pays
    best: Indices  # place of the split among its useful candidates
    split: Nodes  # the node that decides, -1 where it has no children yet
    child: Indices  # the first of them, -1 likewise

    @classmethod
    def new(cls, tree: Indices, parent: Indices, step: Nodes, depth: Indices, totals: Counts) -> "_Vertices":
        n = len(tree)
        return cls(
            tree, parent, step, depth, totals, np.zeros(n), np.full(n, -1), np.full(n, -1, np.int32), np.full(n, -1)
        )  # fmt: skip

    def append(self, new: "_Vertices") -> Indices:
        """Their numbers."""
        n = len(self.tree)
        for name, own in vars(self).items():
            setattr(self, name, np.concatenate([own, getattr(new, name)]))
        return np.arange(n, len(self.tree))

    def ways(self, vertices: Indices) -> tuple[Indices, Nodes]:
        """Begins of the ways to vertices, and the ways."""
        begin = _begins(self.depth[vertices])
        way = np.empty(begin[-1], np.int32)
        at, left = vertices, begin[1:].copy()
        for _ in range(int(self.depth[vertices].max(initial=0))):  # from the vertices to the roots
            inside = self.parent[at] >= 0
            left[inside] -= 1
            way[left[inside]] = self.step[at[inside]]
            at = np.where(inside, self.parent[at], at)
        return begin, way


@dataclass(frozen=True, eq=False)
class _Numbers:
    """Useful candidates of vertices, places in the lists of their nodes, and their counts."""

    vertex: Indices
    begin: Indices
    useful: Nodes
    counts: Counts

    def take(self, which: Indices) -> "_Numbers":
        """Of those at some places."""
        length = np.diff(self.begin)[which]
        begin = _begins(length)
        at = np.arange(begin[-1]) + np.repeat(self.begin[which] - begin[:-1], length)
        return _Numbers(self.vertex[which], begin, self.useful[at], self.counts[at])

    def and_of(self, other: "_Numbers") -> "_Numbers":
        return _Numbers(
            np.concatenate([self.vertex, other.vertex]),
            np.concatenate([self.begin, self.begin[-1] + other.begin[1:]]),
            np.concatenate([self.useful, other.useful]),
            np.concatenate([self.counts, other.counts]),
        )


class TreeGrowth:
    """Grows trees of nodes while someone counts: ask, add up the answers of all places, give back the sum.

    Parameters
    ----------
    grid : Grid
    n_images : int
        Of all places.
    candidates, required, penalty, max_leaves, min_leaf
        As for :func:`cbn.cpd.tree.grow`.
    nodes : sequence of int, optional
        Whose trees are grown, in rising order; all of them.
    num_threads : int

    Examples
    --------
    >>> from cbn.cpd.candidates import candidates
    >>> shards = [BitPlanes.of_states(np.array([[0, 0], [1, 1]] * n, np.uint8), 1) for n in (20, 30)]
    >>> nearby = candidates(Grid(1, 1, 2), 1, 1)
    >>> growth = TreeGrowth(Grid(1, 1, 2), 100, nearby, None, penalty=0.5, max_leaves=200, min_leaf=1)
    >>> while (request := growth.request()) is not None:
    ...     growth.answer(sum(request.count(planes, 1) for planes in shards))
    >>> [numbers.tolist() for numbers in growth.grown()]  # the second node is the first one
    [[1, 3], [-1, 0, -1, -1], [[50, 50], [50, 50], [50, 0], [0, 50]]]
    """

    def __init__(
        self,
        grid: Grid,
        n_images: int,
        candidates: Candidates,
        required: Nodes | None,
        *,
        penalty: float,
        max_leaves: int,
        min_leaf: int,
        nodes: Sequence[int] | None = None,
        num_threads: int = 1,
    ) -> None:
        self.grid, self.candidates = grid, candidates
        self.penalty, self.n_images, self.min_leaf = penalty, n_images, min(min_leaf, n_images)
        self.max_leaves, self.num_threads = max_leaves, num_threads
        self.nodes = np.arange(grid.n_nodes) if nodes is None else np.asarray(nodes, np.int64)
        n = len(self.nodes)
        required = np.full(n, -1, np.int32) if required is None else required[self.nodes]
        nothing = np.zeros((n, 2), np.int64)
        self._vertices = _Vertices.new(
            np.arange(n), np.full(n, -1), np.zeros(n, np.int32), np.zeros(n, np.int64), nothing
        )
        self._numbers = self._every_candidate(np.arange(n)).take(np.flatnonzero(required < 0))
        self._with_required = np.flatnonzero(required >= 0)
        self._required = required[self._with_required]
        self._taken = np.zeros(n, np.uint8)
        self._began = False
        # of the round: numbers of the vertices that are split in advance and have any, their counted children, and the other
        # ones where their counts are differences
        self._asked: tuple[_Numbers, Indices, npt.NDArray[np.bool_]] | None = None

    def request(self) -> OpenVertices | None:
        """What is to be counted next; None when all trees are grown."""
        if not self._began:
            return self._first_request()
        while True:
            vertices = self._vertices
            self._taken, chosen = (np.empty(len(vertices.tree), np.uint8) for _ in range(2))
            _engine.choose_splits(
                np.arange(len(self.nodes)), vertices.child, vertices.gain, self.max_leaves, (self._taken, chosen),
                self.num_threads,
            )  # fmt: skip
            if not chosen.any():
                return None
            request = self._split_in_advance(chosen[self._numbers.vertex] != 0)
            if request is not None:
                return request

    def answer(self, counts: Counts) -> None:
        """Takes the counts of all images, as :meth:`OpenVertices.count` makes them of some."""
        if not self._began:
            self._began = True
            self._begin(counts)
            return
        assert self._asked is not None
        whole, counted, differs = self._asked
        self._asked = None
        child = self._vertices.child[whole.vertex]
        part = _Numbers(counted, whole.begin, whole.useful, counts[len(counted) :])
        if not differs.all():
            both = np.flatnonzero(differs)
            whole, own, child, counted = whole.take(both), part.take(both), child[both], counted[both]
        else:
            own = part
        np.subtract(whole.counts, own.counts, out=whole.counts)
        self._settle(part.and_of(_Numbers(2 * child + 1 - counted, whole.begin, whole.useful, whole.counts)))

    def grown(self) -> Grown:
        """Vertices of all trees, breadth first."""
        vertices, taken = self._vertices, self._taken.astype(bool)
        level, found = np.arange(len(self.nodes)), []
        while len(level):
            found.append(level)
            level = (vertices.child[level[taken[level]]][:, None] + np.arange(2)).ravel()
        every = np.concatenate(found)
        every = every[np.argsort(vertices.tree[every], kind="stable")]
        sizes = np.bincount(vertices.tree[every], minlength=len(self.nodes)).astype(np.int32)
        return sizes, np.where(taken[every], vertices.split[every], -1).astype(np.int32), vertices.totals[every]

    # ---- rounds ----

    def _every_candidate(self, vertices: Indices) -> _Numbers:
        """Of vertices from which none has gone yet; their counts are not known."""
        node = self.nodes[self._vertices.tree[vertices]]
        begin = _begins(np.diff(self.candidates[0])[node])
        useful = np.arange(begin[-1]) - np.repeat(begin[:-1], np.diff(begin))
        return _Numbers(vertices, begin, useful.astype(np.int32), np.zeros((len(useful), 2), np.int64))

    def _first_request(self) -> OpenVertices:
        """Roots; and of nodes that require another one the children in which that is 1."""
        vertices, parent = self._vertices, self._with_required
        if len(parent) and len(vertices.tree) == len(self.nodes):
            tree, steps = np.repeat(parent, 2), np.stack([-1 - self._required, self._required], axis=1).ravel()
            nothing = np.zeros((len(tree), 2), np.int64)
            children = vertices.append(_Vertices.new(tree, tree, steps, np.ones(len(tree), np.int64), nothing))
            vertices.child[parent], vertices.split[parent] = children[::2], self._required
            vertices.gain[parent] = np.inf  # that split comes first, without a price
            self._numbers = self._numbers.and_of(self._every_candidate(children[1::2]))
        empty = _Numbers(parent, np.zeros(len(parent) + 1, np.int64), np.empty(0, np.int32), np.empty((0, 2), np.int64))
        self._numbers = self._by_node(self._numbers.and_of(empty))
        return self._open(self._numbers)

    def _begin(self, counts: Counts) -> None:
        vertices, asked, parent = self._vertices, self._numbers, self._with_required
        vertices.totals[asked.vertex] = counts[: len(asked.vertex)]
        child = vertices.child[parent]
        vertices.totals[child] = vertices.totals[parent] - vertices.totals[child + 1]
        known = _Numbers(asked.vertex, asked.begin, asked.useful, counts[len(asked.vertex) :])
        self._numbers = known.take(np.empty(0, np.int64))
        self._settle(known.take(np.flatnonzero(vertices.child[asked.vertex] < 0)))

    def _by_node(self, numbers: _Numbers) -> _Numbers:
        return numbers.take(np.argsort(self._vertices.tree[numbers.vertex], kind="stable"))

    def _open(self, numbers: _Numbers) -> OpenVertices:
        """The question for vertices that come by node."""
        begin = np.searchsorted(self.nodes[self._vertices.tree[numbers.vertex]], np.arange(self.grid.n_nodes + 1))
        grid = (self.grid.channels, self.grid.height, self.grid.width)
        way_begin, way = self._vertices.ways(numbers.vertex)
        return OpenVertices(grid, self.candidates, (begin, way_begin, way, numbers.begin, numbers.useful))

    def _split_in_advance(self, chosen: npt.NDArray[np.bool_]) -> OpenVertices | None:
        """Gives children to chosen vertices among those of the numbers; what has to be counted of them, if anything."""
        vertices, at = self._vertices, np.flatnonzero(chosen)
        at = at[np.argsort(vertices.tree[self._numbers.vertex[at]], kind="stable")]
        parent = self._numbers.vertex[at]
        place = self._numbers.begin[at] + vertices.best[parent]
        on = self._numbers.counts[place]
        on = np.stack([on[:, 0] - on[:, 1], on[:, 1]], axis=1)
        totals = np.stack([vertices.totals[parent] - on, on], axis=1)  # (parents, side, state)
        pays = self._best(totals.reshape(-1, 2), np.zeros(2 * len(at) + 1, np.int64), np.empty((0, 2), np.int64))[2]
        pays = pays.reshape(-1, 2).astype(bool)
        begin, candidate = self.candidates
        decides = candidate[begin[self.nodes[vertices.tree[parent]]] + self._numbers.useful[place]]
        steps = np.stack([-1 - decides, decides], axis=1).ravel()
        children = vertices.append(_Vertices.new(
            np.repeat(vertices.tree[parent], 2), np.repeat(parent, 2), steps, np.repeat(vertices.depth[parent] + 1, 2),
            totals.reshape(-1, 2),
        ))[::2]  # fmt: skip
        vertices.child[parent], vertices.split[parent] = children, decides
        smaller = totals[:, 1].sum(axis=1) <= totals[:, 0].sum(axis=1)
        counted, any_pays = children + np.where(pays.all(axis=1), smaller, pays[:, 1]), pays.any(axis=1)
        if not any_pays.any():
            return None
        whole, own = self._numbers.take(at[any_pays]), counted[any_pays]
        self._asked = whole, own, np.logical_and(pays[:, 0], pays[:, 1])[any_pays]
        return self._open(_Numbers(own, whole.begin, whole.useful, whole.counts))

    def _best(self, totals: Counts, begin: Indices, counts: Counts) -> tuple[Floats, Nodes, npt.NDArray[np.uint8]]:
        found = np.empty(len(totals)), np.empty(len(totals), np.int32), np.empty(len(totals), np.uint8)
        how = self.penalty, self.n_images, self.min_leaf
        _engine.best_splits(totals, begin, counts, how, found, self.num_threads)
        return found

    def _settle(self, new: _Numbers) -> None:
        """Best splits of vertices that are counted. What cannot be split, or has children, needs no numbers.

        Candidates that leave fewer than min_leaf images on a side are of no use to what comes of a vertex either.
        """
        vertices, totals = self._vertices, self._vertices.totals[new.vertex]
        gain, best, _ = self._best(totals, new.begin, new.counts)
        # nothing stays of vertices that gain nothing
        n_on, most = new.counts[:, 0], np.where(gain > 0, totals.sum(axis=1) - self.min_leaf, -1)
        stays = (n_on >= self.min_leaf) & (n_on <= np.repeat(most, np.diff(new.begin)))
        kept = _begins(stays)
        begin = kept[new.begin]
        vertices.gain[new.vertex] = gain
        vertices.best[new.vertex] = np.where(best < 0, -1, kept[new.begin[:-1] + best] - begin[:-1])
        gains = gain > 0
        useful = _Numbers(
            new.vertex[gains], np.append(begin[:-1][gains], begin[-1]), new.useful[stays], new.counts[stays]
        )
        without_children = np.flatnonzero(vertices.child[self._numbers.vertex] < 0)
        self._numbers = self._numbers.take(without_children).and_of(useful)


def _begins(lengths: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> Indices:
    return np.concatenate([[0], np.cumsum(lengths)])
