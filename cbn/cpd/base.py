# SPDX-License-Identifier: BSD-3-Clause
"""The contract of conditional probability distributions (CPDs): what one layer of a network can be asked.

A kind of CPD is one file: its parameter object, and a subclass of :class:`CPD` that counts, scores, samples, describes,
writes and reads itself and declares what it can. Everything else asks the contract and never the kind. A new kind is
such a file and a call of :func:`cbn.cpd.kinds.register`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self
from zipfile import ZipFile

import numpy as np
import numpy.typing as npt

from .. import _engine
from .._params import Parameters
from ..bits.planes import BitPlanes
from ..bits.shards import LayerImages
from ..explain.surprise import Evidence, Place
from .grid import Grid, Relation
from .particles import Particles, weighted_by_likelihood

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
States = npt.NDArray[np.uint8]

# name -> (engine kind, sign that makes higher more normal)
SCORES = {
    "log_probability": (_engine.LOG_PROBABILITY, 1.0),
    "surprise": (_engine.SURPRISE, -1.0),
    "standardized": (_engine.SURPRISE, -1.0),
    "normalized": (_engine.NORMALIZED, -1.0),
}


class Field(Protocol):
    """A grid that knows how far apart two of its nodes must be to see different pixels."""

    @property
    def distance(self) -> int: ...
    def grid(self) -> Grid: ...


@dataclass(frozen=True, eq=False)
class Task:
    """What the CPDs of one layer are learned from.

    Attributes
    ----------
    grid : Grid
    distance : int
        Smallest Chebyshev distance at which two nodes see different pixels; 1 for the pixels.
    planes : BitPlanes
        The states of the layer's nodes in the training images.
    pixels : bool
        Whether the channels are thresholds, each of which requires the next lower one; else they are kernels.
    relations : tuple of Relation
        Tied relations that a search found, for a hidden layer.
    seed, num_threads : int
    progress : callable, optional
        Called with (nodes done, nodes in all) by kinds that take their time.
    members : ndarray, (n_images,) bool, optional
        Which of the images it is learned from; only for kinds that ``take_members``.
    """

    grid: Grid
    distance: int
    planes: BitPlanes
    pixels: bool
    relations: tuple[Relation, ...]
    seed: int
    num_threads: int
    progress: Callable[[int, int], None] | None = None
    members: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class Outline:
    """What is known of a layer whose images are in several places; attributes are those of :class:`Task`."""

    grid: Grid
    distance: int
    pixels: bool
    relations: tuple[Relation, ...]
    num_threads: int
    seed: int


class CPD(ABC):
    """The conditional distributions of all nodes of one layer, learned.

    Attributes
    ----------
    name : str
        In files, and where a kind is chosen by a word.
    nouns : str
        What messages call it: "tables", "trees".
    parameter_class : type
        Of the object that says how it is learned.
    adds_counts : bool
        It is a function of integer counts to which those of other images can be added; see :meth:`recounted`.
    learns_structure : bool
        Even of pixels: later images can be counted in it, but it would be that of the first ones. A kind that adds counts
        and learns no structure leaves one out as well.
    leaves_one_out : bool
        An image that was counted can be scored by the network that the others alone would give, exactly, with a
        pseudo-count of (n - 1) / n: one image fewer stands for all, and its pseudo-count counts for as much less.
    gibbs : bool
        It proposes flips of single nodes, see :meth:`flip`.
    chains_through_layers : bool
        Gibbs chains can go through hidden layers above it and have a temperature; see :meth:`log_table`.
    exports : bool
        It can be written as tables, see :meth:`table_parents`.
    has_features : bool
        It can stand above and below other layers.
    counts_surprises : bool
        The heat-map scale follows from its counts, see :meth:`counted_surprise_quantile`, and need not be measured.
    draws_at_random : bool
        Learning uses random numbers.
    reports : bool
        Learning takes its time and calls the task's ``progress``.
    distributes : bool
        It is learned from images wherever they are, most kinds from sums; see :meth:`learn_from`.
    takes_members : bool
        It can be learned from some of the images without a copy of their planes.
    uses_relations : bool
        In hidden layers its structure is the tied relations that a search found.
    since : int
        The version of files of networks that brought it; see cbn.fit.modelfile.
    layer : Grid
        The structure; its attributes beyond the grid belong to the kind.
    counts : ndarray, (rows, 2) int64
        Images by row (or node) and state.
    """

    name: ClassVar[str]
    nouns: ClassVar[str]
    parameter_class: ClassVar[type[Parameters]]
    adds_counts: ClassVar[bool] = False
    learns_structure: ClassVar[bool] = False
    leaves_one_out: ClassVar[bool] = False
    gibbs: ClassVar[bool] = False
    chains_through_layers: ClassVar[bool] = False
    exports: ClassVar[bool] = False
    has_features: ClassVar[bool] = False
    counts_surprises: ClassVar[bool] = False
    draws_at_random: ClassVar[bool] = False
    reports: ClassVar[bool] = False
    distributes: ClassVar[bool] = False
    takes_members: ClassVar[bool] = False
    uses_relations: ClassVar[bool] = False
    since: ClassVar[int] = 1

    layer: Grid
    counts: Counts

    # ---- learning ----

    @classmethod
    @abstractmethod
    def check_size(cls, parameters: Any, field: Field, pixels: bool) -> None:
        """Refuses, before anything is allocated, what would take too much memory. ValueError names the argument."""

    @classmethod
    def most(cls, parameters: Any, field: Field, pixels: bool, n_relations: int) -> tuple[int, int] | None:
        """The most parameters that a layer can have, and the bytes that it then takes; None where no bound is known.

        ``n_relations`` is the most that a search may find for a node, for a hidden layer.
        """
        return None

    @classmethod
    def steps(cls, parameters: Any, n_pixels: int) -> tuple[int, str]:
        """(number, unit) of the steps in which people are told how far the learning of pixels is, where it ``reports``."""
        return n_pixels, "pixel"

    @classmethod
    def quick(cls, parameters: Any) -> Any | None:
        """Parameters that learn less in a fraction of the time, for a first look; None where there are none."""
        return None

    @classmethod
    @abstractmethod
    def learn(cls, parameters: Any, task: Task) -> Self:
        """The CPDs of a layer, from checked parameters and training images."""

    @classmethod
    def check_distributes(cls, parameters: Any) -> None:
        """Refuses what is not learned from images in several places. ValueError names the argument."""
        if not cls.distributes:
            raise ValueError(f"cpd: {cls.nouns} are not learned from images in several places; use another kind")

    @classmethod
    def learn_from(cls, parameters: Any, outline: Outline, images: LayerImages) -> Self:
        """The same, to the last byte, of images in several places; only where it ``distributes``."""
        raise ValueError(f"X: {cls.nouns} are not learned from sums over images; give all of them to one process")

    def freeze(self) -> None:
        """Makes the arrays that were learned unwritable: what a fitted model says follows from them."""
        for array in self.arrays().values():
            array.flags.writeable = False

    @abstractmethod
    def check_counts(self, n_images: int) -> None:
        """Raises ValueError unless the counts could come from n_images images."""

    def recounted(self, planes: BitPlanes, num_threads: int) -> Self:
        """The same structure with the counts of other images; only where ``adds_counts``."""
        raise ValueError(f"{self.nouns} are no counts, to which images could be added")

    def add(self, earlier_counts: Counts) -> None:
        """Adds the counts of other images of the same structure (CBN_E_OVERFLOW becomes OverflowError)."""
        raise ValueError(f"{self.nouns} are no counts, to which images could be added")

    # ---- scores ----

    @abstractmethod
    def sums(self, planes: BitPlanes, kind: int, leave_one_out: bool, num_threads: int) -> Floats:
        """(n_images,) sum over nodes of an engine kind of value.

        ``leave_one_out`` is for images that are in the counts, and only where the kind ``leaves_one_out``.
        """

    @abstractmethod
    def contributions(self, planes: BitPlanes, kind: int, num_threads: int) -> Floats:
        """(n_images, nodes) of an engine kind of value."""

    def score(self, planes: BitPlanes, score: str, num_threads: int, *, leave_one_out: bool = False) -> Floats:
        """(n_images,) of a named score, its sign such that higher is more normal."""
        kind, sign = SCORES[score]
        sums = self.sums(planes, kind, leave_one_out, num_threads)
        if score == "standardized":
            variance = self.sums(planes, _engine.VARIANCE, leave_one_out, num_threads)
            # a network that is certain everywhere has variance 0; its surprise is then 0 as well
            sums = np.divide(sums, np.sqrt(variance), out=sums, where=variance > 0)
        return sign * sums

    def surprise_maps(self, planes: BitPlanes, num_threads: int) -> Floats:
        """(n_images, nodes) surprise of every node, nats."""
        return self.contributions(planes, _engine.SURPRISE, num_threads)

    def counted_surprise_quantile(self, share: float, num_threads: int) -> float | None:
        """The surprise that a share of all counted (image, node) pairs does not exceed, nats; None where counts do not tell."""
        return None

    # ---- draws ----

    @abstractmethod
    def draw(self, states: States, clamped: States | None, seed: int, num_threads: int) -> None:
        """One ancestral pass over (n, nodes) uint8 states, in place; clamped (nodes,) nodes keep theirs."""

    def flip(
        self, states: States, sites: npt.NDArray[np.int64], seed: int, first_step: int, n_steps: int, num_threads: int
    ) -> None:
        """Gibbs proposals at the sites in every chain of (n, nodes) uint8 states, in place; only where ``gibbs``."""
        raise ValueError(f"method: {self.nouns} have no Gibbs sampler; ancestral samples are exact")

    def log_table(self, num_threads: int) -> Floats:
        """log p by row and state, for chains through layers; only where ``chains_through_layers``."""
        raise ValueError(f"temperature: Gibbs chains of {self.nouns} go through the pixels alone, at temperature 1")

    def chain_layer(self) -> _engine.Layer:
        """The engine's layer of that table; only where ``chains_through_layers``."""
        raise ValueError(f"temperature: Gibbs chains of {self.nouns} go through the pixels alone, at temperature 1")

    def asking(self, nodes: States) -> States:
        """(nodes,) uint8: the nodes whose distribution may depend on one of the given ones (nodes,), 1 at both.

        Where a kind does not say, all that come after the first one in raster order.
        """
        layer = self.layer
        steps = np.arange(layer.n_nodes).reshape(layer.channels, layer.n_positions)
        order = (steps % layer.n_positions * layer.channels + steps // layer.n_positions).ravel()
        given = order[np.asarray(nodes) != 0]
        return (order > given.min()).astype(np.uint8) if len(given) else np.zeros(layer.n_nodes, np.uint8)

    @property
    def particle_cost(self) -> float:
        """What a particle of :meth:`posterior` costs at a node, in units of a table's row or a tree's leaf."""
        return 1.0

    def posterior(self, image: States, known: States, n_particles: int, seed: int, num_threads: int) -> Particles:
        """Weighted draws of the nodes of an image (nodes,) that are not known.

        By likelihood weighting where a kind has nothing better: one pass with the known nodes clamped, weighted by their
        probabilities.
        """
        return weighted_by_likelihood(self, image, known, n_particles, seed, num_threads)

    # ---- what it is ----

    @abstractmethod
    def node_means(self, num_threads: int) -> tuple[Floats, Floats]:
        """Share of ones and mean -log p (nats) of every node over the training images; both (nodes,)."""

    @abstractmethod
    def bic(self) -> tuple[float, int, float]:
        """(log-likelihood of the training images in nats, number of parameters, BIC)."""

    @abstractmethod
    def explain(self, place: Place, node: int, states: States, num_threads: int) -> Evidence:
        """What speaks at a node for its state, in the situation of one image (nodes,)."""

    @property
    def n_images(self) -> int:
        """The number of images that it was learned from; the first row of the counts has all of them."""
        return int(self.counts[0].sum())

    @property
    def tied_relations(self) -> tuple[Relation, ...] | None:
        """Parents that are the same at every position, where the kind has such."""
        return None

    def facts(self) -> dict[str, Any]:
        """What JSON can hold of its structure: ``pseudocount`` (or None), and ``trees`` where there are any."""
        return {"pseudocount": None}

    @classmethod
    def growth_facts(cls, parameters: Any) -> dict[str, Any]:
        """The parameters that say how its structure was found, as JSON can hold them."""
        return {name: value for name, value in parameters.get_params().items() if name != "pseudocount"}

    def pictures(self) -> list[tuple[str, Floats, str, float, float | None]]:
        """Maps (title, values by position, unit, lowest, highest or None) that show its structure."""
        return []

    def table_parents(self, node: int) -> list[int]:
        """The nodes over which the CPD of a node is a table; only where ``exports``."""
        raise ValueError(f"export: {self.nouns} are no tables that fit into a file; use cpd='tree' or 'table'")

    def table_of(self, node: int, parents: list[int]) -> Floats:
        """(2^parents, 2) probabilities over table_parents(node); the first parent is the highest bit of the row."""
        raise ValueError(f"export: {self.nouns} are no tables that fit into a file; use cpd='tree' or 'table'")

    # ---- files ----

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """The description in a file's header: ``layer`` (its sizes and how much there is) and what belongs to the kind."""

    @abstractmethod
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays in a file by name."""

    @classmethod
    @abstractmethod
    def read(cls, source: "Source") -> Self:
        """From a description and arrays; anything that cannot be raises one of cbn.io.archive.DAMAGE."""

    @abstractmethod
    def parts(self) -> tuple[Any, ...]:
        """Arguments from which the class makes the same object again: what pickle keeps."""

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        return type(self), self.parts()


@dataclass(frozen=True, eq=False)
class Source:
    """One layer's part of a file.

    Attributes
    ----------
    archive : zipfile.ZipFile
    description : dict
    array_name : callable, name of one of :meth:`CPD.arrays` -> its name in the archive
    grid : Grid
        That the layer must have.
    distance : int
        As in :class:`Task`.
    pixels : bool
    defaults : dict
        What older files say once for all layers: ``pseudocount``.
    """

    archive: ZipFile
    description: dict[str, Any]
    array_name: Callable[[str], str]
    grid: Grid
    distance: int
    pixels: bool
    defaults: dict[str, Any]

    def value(self, name: str) -> Any:
        """An entry of the description, or what the file says for all layers. Raises KeyError."""
        return self.description[name] if name in self.description else self.defaults[name]
