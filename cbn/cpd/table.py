# SPDX-License-Identifier: BSD-3-Clause
"""Tables: every node has a probability for every combination of its parents' states (thesis section 3.1).

A network with table CPDs is its counts. Everything here is a function of them: the tables of a score, the score of an
image as a sum of table entries, and the leave-one-out score of a training image as a sum over the tables of the counts
without that image.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .. import _engine
from .. import _validation as validation
from .._params import Checked, Parameters, Real, parameter, parameters
from ..bits.planes import BitPlanes
from ..bits.shards import LayerImages, Mask
from ..explain.surprise import NodeSurprise, Place
from ..io.archive import read_array
from .base import CPD, Counts, Field, Floats, Outline, Source, States, Task
from .grid import MAX_PARENTS, Grid, Layer, Relation, check_table_size, pixel_layer
from .particles import Particles, posterior

NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1))  # north-west, north, north-east, west: thesis section 3.1


def parse_offsets(text: str) -> tuple[tuple[int, ...], ...]:
    """Offsets as a program's option has them: "-1,0;0,-1". Raises ValueError."""
    try:
        offsets = tuple(tuple(int(number) for number in pair.split(",")) for pair in text.split(";"))
    except ValueError:
        offsets = ()
    if not offsets or any(len(offset) != 2 for offset in offsets):
        raise ValueError("give whole numbers DY,DX;... such as -1,0;0,-1")
    return offsets


@parameters
class Table(Parameters):
    """Conditional probability tables over fixed neighbours: counts that add exactly, thresholds by leave-one-out."""

    offsets: tuple[tuple[int, int], ...] = parameter(
        Checked(validation.check_offsets, "sequence of (dy, dx)", parse_offsets, "DY,DX;..."),
        "Where a pixel's parents are: rows above (dy < 0) or left in the same row (dy = 0, dx < 0); at most "
        f"{MAX_PARENTS}. Tables have 2^parents rows at every pixel.",
        default=NEIGHBOURS,
    )
    pseudocount: float = parameter(
        Real(1e-9, 1e9), "Added to every count before probabilities are made (thesis eq. 2).", default=1.0
    )


# A row in memory: its two counts, and the tables of probabilities and of two scores that are made of them.
ROW_BYTES = 2 * (8 + 3 * 8)


def _overlap(size: int, offset: int) -> tuple[slice, slice]:
    """The places that have a parent at an offset, and those of their parents."""
    return slice(max(0, -offset), max(0, size - max(0, offset))), slice(max(0, offset), max(0, size + min(0, offset)))


class CountedCPD(CPD):
    """CPDs that are counts of images by row and state; a row is what the parents show, or the leaf that an image reaches.

    Parameters
    ----------
    layer : Layer or TreeLayer
    counts : ndarray, (rows, 2) int64
    pseudocount : float
    """

    adds_counts = True
    gibbs = True
    exports = True
    has_features = True

    # what the engine calls for the kind; values and probabilities are per row and state
    _score_images: Callable[..., None]
    _score_nodes: Callable[..., None]
    _sample_ancestral: Callable[..., None]
    _sample_gibbs: Callable[..., None]
    _inpaint: Callable[..., float]
    engine_layer: Any
    pseudocount: float
    _tables: dict[Any, Floats]

    def add(self, earlier_counts: Counts) -> None:
        _engine.counts_add(earlier_counts, self.counts)
        self._tables.clear()

    # ---- scores ----

    def values(self, kind: int, leave_one_out: bool, num_threads: int) -> Floats:
        """Value table (rows, 2) of an engine kind; kept, because scoring batch after batch uses the same."""
        key = kind, leave_one_out
        if key not in self._tables:
            table = self._make_values(kind, leave_one_out, num_threads)
            if leave_one_out:
                return table
            self._tables[key] = table
        return self._tables[key]

    def _make_values(self, kind: int, leave_one_out: bool, num_threads: int) -> Floats:
        raise NotImplementedError

    def probabilities(self, num_threads: int) -> Floats:
        """Probability table (rows, 2): p(state | row), thesis eq. 2; kept like those of :meth:`values`."""
        if "probability" not in self._tables:
            self._tables["probability"] = self._make_probabilities(num_threads)
        return self._tables["probability"]

    def _make_probabilities(self, num_threads: int) -> Floats:
        raise NotImplementedError

    def sums(self, planes: BitPlanes, kind: int, leave_one_out: bool, num_threads: int) -> Floats:
        scores = np.empty(planes.n_images)
        values = self.values(kind, leave_one_out, num_threads)
        self._score_images(self.engine_layer, planes.words, planes.n_images, values, scores, num_threads)
        return scores

    def contributions(self, planes: BitPlanes, kind: int, num_threads: int) -> Floats:
        nodes = np.empty((planes.n_images, self.layer.n_nodes))
        values = self.values(kind, False, num_threads)
        self._score_nodes(self.engine_layer, planes.words, planes.n_images, values, nodes, num_threads)
        return nodes

    # ---- draws ----

    def draw(self, states: States, clamped: States | None, seed: int, num_threads: int) -> None:
        probability = self.probabilities(num_threads)
        self._sample_ancestral(self.engine_layer, probability, seed, clamped, states, num_threads)

    def flip(
        self, states: States, sites: npt.NDArray[np.int64], seed: int, first_step: int, n_steps: int, num_threads: int
    ) -> None:
        probability = self.probabilities(num_threads)
        self._sample_gibbs(self.engine_layer, probability, seed, first_step, n_steps, sites, states, num_threads)

    def posterior(self, image: States, known: States, n_particles: int, seed: int, num_threads: int) -> Particles:
        inpaint = partial(self._inpaint, self.engine_layer, self.probabilities(num_threads))
        return posterior(inpaint, image, known, n_particles, seed=seed, num_threads=num_threads)

    # ---- what it is ----

    def row_begins(self) -> npt.NDArray[np.int64]:
        """First row of every node: (nodes,) int64."""
        raise NotImplementedError

    def own_counts(self) -> Counts:
        """Counts in which every image stands once for each node."""
        return self.counts

    def node_means(self, num_threads: int) -> tuple[Floats, Floats]:
        values = self.values(_engine.LOG_PROBABILITY, False, num_threads)
        counts = self.own_counts()
        nats = np.where(counts > 0, -values, 0.0) * counts  # 0 times infinity is 0 here
        begin = self.row_begins()
        n = np.add.reduceat(counts.sum(axis=1), begin)
        return np.add.reduceat(counts[:, 1], begin) / n, np.add.reduceat(nats.sum(axis=1), begin) / n

    def facts(self) -> dict[str, Any]:
        return {"pseudocount": self.pseudocount}


def _layer_of(parameters: Table, grid: Grid, pixels: bool, relations: tuple[Relation, ...]) -> Layer:
    if pixels:
        return pixel_layer(grid.height, grid.width, parameters.offsets, grid.channels)
    return Layer(grid.channels, grid.height, grid.width, relations)


def count_rows(planes: BitPlanes, num_threads: int, members: Mask | None, layer: Layer) -> Counts:
    """(rows, 2) counts of some images; they add to those of others. ``members`` (n_images,): which are counted."""
    if members is not None:
        if not members.any():
            return np.zeros((layer.n_rows, 2), np.int64)
        planes = planes.select(members, num_threads)
    counts = np.empty((layer.n_rows, 2), np.int64)
    _engine.count(_engine.Layer(layer), planes.words, planes.n_images, counts, num_threads)
    return counts


class TableCPD(CountedCPD):
    """A layer of tables.

    Parameters
    ----------
    layer : Layer
    counts : ndarray, (rows, 2) int64
    pseudocount : float
    """

    name = "table"
    nouns = "tables"
    parameter_class = Table
    leaves_one_out = True  # its counts are subtracted
    chains_through_layers = True
    counts_surprises = True
    uses_relations = True
    distributes = True
    _score_images = staticmethod(_engine.score_images)
    _score_nodes = staticmethod(_engine.score_nodes)
    _sample_ancestral = staticmethod(_engine.sample_ancestral)
    _sample_gibbs = staticmethod(_engine.sample_gibbs)
    _inpaint = staticmethod(_engine.table_inpaint)

    layer: Layer
    engine_layer: _engine.Layer

    def __init__(self, layer: Layer, counts: Counts, pseudocount: float) -> None:
        self.layer, self.counts, self.pseudocount = layer, counts, pseudocount
        self.engine_layer = _engine.Layer(layer)
        self._tables = {}

    def parts(self) -> tuple[Any, ...]:
        return self.layer, self.counts, self.pseudocount

    # ---- learning ----

    @classmethod
    def check_size(cls, parameters: Table, field: Field, pixels: bool) -> None:
        if pixels:  # the search for relations of hidden layers has a limit of its own
            grid = field.grid()
            check_table_size(pixel_layer(grid.height, grid.width, parameters.offsets, grid.channels), "offsets")

    @classmethod
    def most(cls, parameters: Table, field: Field, pixels: bool, n_relations: int) -> tuple[int, int]:
        grid = field.grid()
        if not pixels:
            n_rows = grid.n_nodes << n_relations
            return n_rows, n_rows * ROW_BYTES
        y, x = np.divmod(np.arange(grid.n_positions), grid.width)
        n_parents = np.zeros(grid.n_positions, np.int64)
        for dy, dx in parameters.offsets:
            n_parents += (y + dy >= 0) & (x + dx >= 0) & (x + dx < grid.width)
        # a row that can occur is a parameter; a required parent makes no more of them
        n_parameters = grid.channels * int((1 << n_parents).sum())
        layer = pixel_layer(grid.height, grid.width, parameters.offsets, grid.channels)
        return n_parameters, layer.n_rows * ROW_BYTES

    @classmethod
    def learn(cls, parameters: Table, task: Task) -> "TableCPD":
        layer = _layer_of(parameters, task.grid, task.pixels, task.relations)
        return cls.counted(layer, task.planes, parameters.pseudocount, task.num_threads)

    @classmethod
    def learn_from(cls, parameters: Table, outline: Outline, images: LayerImages) -> "TableCPD":
        layer = _layer_of(parameters, outline.grid, outline.pixels, outline.relations)
        return cls(layer, images.sum(count_rows, layer), parameters.pseudocount)

    @classmethod
    def counted(cls, layer: Layer, planes: BitPlanes, pseudocount: float, num_threads: int) -> Self:
        """Counts the images of bit-planes."""
        return cls(layer, count_rows(planes, num_threads, None, layer), pseudocount)

    def recounted(self, planes: BitPlanes, num_threads: int) -> Self:
        return self.counted(self.layer, planes, self.pseudocount, num_threads)

    def check_counts(self, n_images: int) -> None:
        _engine.counts_check(self.engine_layer, self.counts, n_images)

    # ---- scores and draws ----

    def _make_values(self, kind: int, leave_one_out: bool, num_threads: int) -> Floats:
        table, pseudocount = np.empty(self.counts.shape), self.pseudocount
        if leave_one_out:
            # a network of one image fewer stands for one of all: its pseudo-count counts for as much less, or nodes that
            # hardly ever change would be more certain, and their entropy smaller, than in the network that judges
            n = self.n_images
            pseudocount *= (n - 1) / n if n > 1 else 1.0
        _engine.value_table(self.engine_layer, self.counts, pseudocount, kind, leave_one_out, table, num_threads)
        return table

    def _make_probabilities(self, num_threads: int) -> Floats:
        table = np.empty(self.counts.shape)
        _engine.probability_table(self.engine_layer, self.counts, self.pseudocount, table, num_threads)
        return table

    def counted_surprise_quantile(self, share: float, num_threads: int) -> float:
        values = self.values(_engine.SURPRISE, False, num_threads).ravel()
        order = np.argsort(values, kind="stable")
        cumulated = np.cumsum(self.counts.ravel()[order])
        return float(values[order[np.searchsorted(cumulated, share * cumulated[-1])]])

    def asking(self, nodes: States) -> States:
        asked = nodes.reshape(self.layer.channels, self.layer.height, self.layer.width) != 0
        asking = np.zeros_like(asked)
        for r in self.layer.relations:
            rows, parent_rows = _overlap(self.layer.height, r.dy)
            columns, parent_columns = _overlap(self.layer.width, r.dx)
            asking[r.child, rows, columns] |= asked[r.parent, parent_rows, parent_columns]
        return asking.ravel().view(np.uint8)

    def log_table(self, num_threads: int) -> Floats:
        log_p = self.values(_engine.LOG_PROBABILITY, False, num_threads)
        # what a required relation excludes is refused by the engine itself
        return np.where(np.isfinite(log_p), log_p, 0.0)

    def chain_layer(self) -> _engine.Layer:
        return self.engine_layer

    # ---- what it is ----

    def row_begins(self) -> npt.NDArray[np.int64]:
        return self.layer.table_begins()

    def bic(self) -> tuple[float, int, float]:
        """Thesis eq. 3."""
        return _engine.bic(self.engine_layer, self.counts)

    @property
    def n_images(self) -> int:
        return int(self.counts[: 1 << len(self.layer.parents(0))].sum())

    @property
    def tied_relations(self) -> tuple[Relation, ...]:
        return self.layer.relations

    def _parents_at(self, node: int) -> list[tuple[Relation, int | None]]:
        """The relations of a node in the order of their row bits, and the nodes there; None outside the layer."""
        channel, row, column = self.layer.place(node)
        return [(r, self.layer.node(r.parent, row + r.dy, column + r.dx)) for r in self.layer.parents(channel)]

    def table_parents(self, node: int) -> list[int]:
        return [other for _, other in self._parents_at(node) if other is not None]

    def table_of(self, node: int, parents: list[int]) -> Floats:
        present = [bit for bit, (_, other) in enumerate(self._parents_at(node)) if other is not None]
        index = np.arange(1 << len(parents))
        row = np.zeros_like(index)
        for i, bit in enumerate(present):
            row |= (index >> (len(parents) - 1 - i) & 1) << bit
        return self.probabilities(1)[self.layer.table_begin(node) + row]

    def explain(self, place: Place, node: int, states: States, num_threads: int) -> NodeSurprise:
        parents: list[tuple[Relation, int | None]] = []
        table_row = 0
        for bit, (relation, other) in enumerate(self._parents_at(node)):
            state = None if other is None else int(states[other])
            table_row |= (state or 0) << bit
            parents.append((relation, state))
        first = self.layer.table_begin(node)
        return NodeSurprise(
            **place.attributes(),
            probability=float(self.probabilities(num_threads)[first + table_row, place.state]),
            parents=tuple(parents),
            table_row=table_row,
            count=int(self.counts[first + table_row, place.state]),
            row_count=int(self.counts[first + table_row].sum()),
            n_images=int(self.counts[first : first + (1 << len(parents))].sum()),
            threshold=place.threshold,
        )

    @classmethod
    def growth_facts(cls, parameters: Any) -> dict[str, Any]:
        return {}  # nothing is grown: the relations say all

    # ---- files ----

    def describe(self) -> dict[str, Any]:
        """``layer`` has sizes and relations."""
        return {"layer": self.layer.to_dict(), "pseudocount": self.pseudocount}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """``counts`` int64 (rows, 2)."""
        return {"counts": self.counts}

    @classmethod
    def read(cls, source: Source) -> "TableCPD":
        layer = Layer.from_dict(source.description["layer"])
        check_table_size(layer, "relations")
        counts = read_array(source.archive, source.array_name("counts"), np.int64, (layer.n_rows, 2))
        return cls(layer, counts, validation.check_real(source.value("pseudocount"), "pseudocount", 1e-9, 1e9))
