# SPDX-License-Identifier: BSD-3-Clause
"""Boosted trees as conditional distributions: the log-odds of a node are a base and a sum of small trees.

Friedman 2001, "Greedy function approximation: a gradient boosting machine"; Newton steps and the gain of a split as in
Chen & Guestrin 2016, "XGBoost"; statistics of splits from gradients rounded to a few levels as in Shi, Ke, Chen, Zheng &
Liu 2022, "Quantized training of gradient boosting decision trees". Every tree looks at earlier nodes only, so the
network stays a normalized distribution that is exact to score and to sample.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _engine
from .. import _validation as validation
from .._params import Parameters, Real, Whole, parameter, parameters
from ..bits.planes import BitPlanes
from ..explain.surprise import Place, TreeSurprise
from ..io.archive import read_array
from .base import Field, Floats, Source, States, Task
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
from .odds import OddsCPD, check_moments
from .shape import describe_trees, tree_pictures

# Vertices of all trees beyond which growth is refused: 4 GiB of splits and values. Files of more nodes than that are too.
MAX_VERTICES = 2**29
MAX_NODES = 2**27
VERTEX_BYTES = 4 + 4  # split and value
# Nodes grown between two returns to Python: a few tenths of a second.
BATCH_NODES = 32
TRIAL_ROUNDS = 4  # of a short training, see BoostedCPD.shortened
N_INFLUENCES = 3  # earlier nodes that an explanation names


@parameters
class Boosted(Parameters):
    """Sums of small trees over all earlier nodes in reach; ``cbn_boosting`` in cbn.h.

    The defaults were chosen on training images: fitted to the first 50,000 of MNIST and judged by the nats of the rest.
    """

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
    start: Callable[[int, int], npt.NDArray[np.int32]] | None = None,
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
        From (first node, number of nodes) to the log-odds (nodes, 64 words of a plane) int32 that trees correct, in units
        of 1 / 65536; bases are then 0.

    Returns
    -------
    BoostedLayer

    Raises
    ------
    ValueError
        For sizes that do not fit, candidates that are not earlier, or a setting outside its range.
    """
    shape = grid.channels, grid.height, grid.width
    n_nodes, capacity = planes.n_nodes, 2 * boosting.max_leaves - 1
    base, n_trees = (np.empty(n_nodes, np.int32) for _ in range(2))
    sizes, splits, values = [], [], []
    for first in range(0, n_nodes, BATCH_NODES):
        nodes = slice(first, min(first + BATCH_NODES, n_nodes))
        n = nodes.stop - first
        n_vertices = np.empty((n, boosting.rounds), np.int32)
        split, value = (np.empty((n, boosting.rounds, capacity), np.int32) for _ in range(2))
        _engine.boosted_grow(
            shape, planes.words, planes.n_images, (*candidate, required), boosting, seed,
            (first, base[nodes], n_trees[nodes], n_vertices, split, value, start and start(first, n)), num_threads,
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
    required = no_required(grid, required)
    return BoostedLayer(*shape, begin, tree_begin, np.concatenate(splits), np.concatenate(values), base, required)


class BoostedCPD(OddsCPD):
    """A layer of boosted trees."""

    name = "boosted"
    nouns = "boosted trees"
    parameter_class = Boosted
    engine_class = _engine.Boosted
    engine_prefix = "boosted"

    layer: BoostedLayer

    # ---- learning ----

    @classmethod
    def check_size(cls, parameters: Boosted, field: Field, pixels: bool) -> None:
        p, grid = parameters, field.grid()
        check_candidates_size(grid, p.reach)
        n_vertices = grid.n_nodes * p.rounds * (2 * p.max_leaves - 1)
        if n_vertices > MAX_VERTICES:
            raise ValueError(
                f"rounds, max_leaves: {p.rounds} rounds of {p.max_leaves} leaves for each of {grid.n_nodes:,} nodes are "
                f"{n_vertices:,} vertices, more than {MAX_VERTICES:,}; reduce one of them"
            )

    @classmethod
    def most(cls, parameters: Boosted, field: Field, pixels: bool, n_relations: int) -> tuple[int, int]:
        n_nodes = field.grid().n_nodes
        n_trees = n_nodes * parameters.rounds
        return n_trees * parameters.max_leaves + n_nodes, n_trees * (2 * parameters.max_leaves - 1) * VERTEX_BYTES

    @classmethod
    def shortened(cls, parameters: Boosted) -> tuple[Boosted, float]:
        rounds = min(parameters.rounds, TRIAL_ROUNDS)  # the rounds take the time
        return parameters.replaced(rounds=rounds), parameters.rounds / max(rounds, 1)

    @classmethod
    def learn(cls, parameters: Boosted, task: Task) -> "BoostedCPD":
        layer = grow(
            task.grid, task.planes, candidates(task.grid, task.distance, parameters.reach),
            required_nodes(task.grid, task.pixels), parameters, seed=task.seed, num_threads=task.num_threads,
            progress=task.progress,
        )  # fmt: skip
        return cls.of_images(layer, task.planes, task.num_threads)

    def _required(self) -> npt.NDArray[np.int32]:
        return self.layer.required

    # ---- scores and draws ----

    def asking(self, nodes: States) -> States:
        required = self.layer.required
        lacking = np.where(required >= 0, nodes[required], 0).astype(np.uint8)
        return asking_by_split(self.layer.split, self.layer.node_begin, nodes) | lacking

    @property
    def particle_cost(self) -> float:
        return max(1.0, self.layer.n_trees / self.layer.n_nodes / 8)  # a step down a tree is shared by many particles

    # ---- what it is ----

    def _n_parameters(self) -> int:
        return self.layer.n_leaves + self.layer.n_nodes

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"trees": describe_trees(self.layer)}

    @classmethod
    def growth_facts(cls, parameters: Any) -> dict[str, Any]:
        own = parameters.get_params()
        return {"reach": own.pop("reach"), "boosting": own}

    def pictures(self) -> list[tuple[str, Floats, str, float, float | None]]:
        return tree_pictures(self.layer)

    def explain(self, place: Place, node: int, states: States, num_threads: int) -> TreeSurprise:
        """The earlier nodes whose other state would change the node's log-odds most."""
        layer = self.layer
        required = int(layer.required[node])
        if required >= 0 and not states[required]:  # whatever the trees say
            given: tuple[tuple[int, int, int, int, float | None], ...] = ((*layer.place(required), 0, None),)
            return self._surprise(place, node, float(not place.state), given, None)
        trees = layer.tree_begin[layer.begin[node]], layer.tree_begin[layer.begin[node + 1]]
        used = np.unique(layer.split[trees[0] : trees[1]])
        used = used[used >= 0]
        variants = np.repeat(np.asarray(states, np.uint8)[None], 1 + len(used), axis=0)
        variants[np.arange(1, len(variants)), used] ^= 1
        log_odds = self.log_odds(variants, num_threads)[:, node]
        influence = log_odds[1:] - log_odds[0]
        largest = [i for i in np.argsort(-np.abs(influence), kind="stable")[:N_INFLUENCES] if influence[i]]
        given = tuple((*layer.place(int(used[i])), int(states[used[i]]), float(influence[i])) for i in largest)
        own = float(log_odds[0])
        return self._surprise(place, node, float(np.exp(-np.logaddexp(0, -own if place.state else own))), given, own)

    def _surprise(
        self, place: Place, node: int, probability: float,
        given: tuple[tuple[int, int, int, int, float | None], ...], log_odds: float | None,
    ) -> TreeSurprise:  # fmt: skip
        return TreeSurprise(
            **place.attributes(),
            probability=probability,
            given=given,
            count=None,
            leaf_count=None,
            n_images=int(self.counts[node].sum()),
            log_odds=log_odds,
            thresholds=place.thresholds,
            threshold=place.threshold,
        )

    # ---- files ----

    def describe(self) -> dict[str, Any]:
        """``layer`` has sizes, ``n_trees`` and ``n_vertices``."""
        amount = {"n_trees": self.layer.n_trees, "n_vertices": len(self.layer.split)}
        return {"cpd": self.name, "layer": self.layer.sizes() | amount}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """``trees`` int32 (nodes,), ``sizes`` int32 (trees,), ``split`` and ``value`` int32 (vertices,), ``base`` int32
        (nodes,), ``counts`` int64 (nodes, 2), ``moments`` float64 (nodes, 2)."""
        layer = self.layer
        return {
            "trees": np.diff(layer.begin).astype(np.int32), "sizes": np.diff(layer.tree_begin).astype(np.int32),
            "split": layer.split, "value": layer.value, "base": layer.base,
            "counts": self.counts, "moments": self.moments,
        }  # fmt: skip

    @classmethod
    def read(cls, source: Source) -> "BoostedCPD":
        grid, described = source.grid, source.description["layer"]
        if grid.n_nodes > MAX_NODES:
            raise ValueError(f"trees of {grid.n_nodes} nodes")
        n_trees = validation.check_integer(described["n_trees"], "n_trees", 0, MAX_VERTICES)
        n_vertices = validation.check_integer(described["n_vertices"], "n_vertices", n_trees, MAX_VERTICES)
        begin = read_begins(source, "trees", grid.n_nodes, n_trees)
        tree_begin = read_begins(source, "sizes", n_trees, n_vertices)

        def array(name: str, dtype: Any, *shape: int) -> npt.NDArray[Any]:
            return read_array(source.archive, source.array_name(name), dtype, shape)

        split, value = (array(name, np.int32, n_vertices) for name in ("split", "value"))
        base, counts = array("base", np.int32, grid.n_nodes), array("counts", np.int64, grid.n_nodes, 2)
        moments = check_moments(array("moments", np.float64, grid.n_nodes, 2))
        required = no_required(grid, required_nodes(grid, source.pixels))
        layer = BoostedLayer(grid.channels, grid.height, grid.width, begin, tree_begin, split, value, base, required)
        network = cls(layer, counts, moments)
        check_distance(layer, split, required, layer.node_begin, source.distance)
        return network
