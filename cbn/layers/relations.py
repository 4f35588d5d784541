# SPDX-License-Identifier: BSD-3-Clause
"""Structure of a layer: greedy search over tied relations by BIC (thesis Algorithm 2)."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .. import _engine
from .._engine import MAX_SEARCH_PARENTS
from ..bits.planes import BitPlanes
from ..cpd.grid import MAX_ROWS, Layer, Relation
from .geometry import LayerGeometry

# (candidate, position) pairs that the engine is asked about at once: bounds its workspace to 64 MiB.
MAX_PAIRS = 2**23
# Table entries that a search keeps from step to step, of 4 bytes: 256 MiB, and for a moment those of the step before.
MAX_KEPT = 2**26


@dataclass(frozen=True)
class RelationStep:
    """A relation that a search added, and what it did to the BIC.

    Attributes
    ----------
    relation : Relation
    bic_change : float
        BIC after minus BIC before; negative, except for forced relations.
    """

    relation: Relation
    bic_change: float


def candidate_relations(geometry: LayerGeometry, forbidden: Collection[Relation] = ()) -> tuple[Relation, ...]:
    """Every relation that a search may add: all pairs of channels at the nearest non-overlapping offsets.

    Parameters
    ----------
    geometry : cbn.layers.geometry.LayerGeometry
    forbidden : collection of Relation
    """
    channels, offsets = range(geometry.channels), geometry.relation_offsets()
    every = (
        Relation(child, parent, dy, dx) for child in channels for parent in channels for dy, dx in offsets
    )  # fmt: skip
    return tuple(relation for relation in every if relation not in forbidden)


def check_relations(
    geometry: LayerGeometry, number: int, forced: Sequence[Relation], forbidden: Sequence[Relation]
) -> None:
    """Refuses forced relations that hidden layer ``number`` cannot have, and forbidden ones that no search would try.

    Raises
    ------
    ValueError
        Names the argument, the relation and the reason.
    """
    for r in forced:
        try:
            geometry.check_offset(r.dy, r.dx)
        except ValueError as error:
            raise ValueError(f"forced_relations: {_entry(number, r)}: {error}") from None
    offsets = geometry.relation_offsets()
    for r in forbidden:
        if (r.dy, r.dx) not in offsets:
            raise ValueError(
                f"forbidden_relations: {_entry(number, r)} is never tried: the offsets in hidden layer {number} are "
                f"{', '.join(map(str, offsets))}"
            )
        if r in forced:
            raise ValueError(
                f"forbidden_relations: {_entry(number, r)} is in forced_relations too; take it out of one of them"
            )
    for child in {r.child for r in forced}:
        n = _forced_parents(forced, child)
        if n > MAX_SEARCH_PARENTS:
            raise ValueError(
                f"forced_relations: {n} parents of kernel {child} of layer {number}; at most {MAX_SEARCH_PARENTS} are "
                "possible"
            )


def check_search_size(geometry: LayerGeometry, max_parents: int, forced: Sequence[Relation] = ()) -> None:
    """Refuses, before anything is allocated, a search whose tables could become too large. Raises ValueError."""
    parents = [
        max(min(max_parents, geometry.channels * len(geometry.relation_offsets())), _forced_parents(forced, child))
        for child in range(geometry.channels)
    ]
    rows = sum(geometry.height * geometry.width << n for n in parents)
    if rows > MAX_ROWS:
        raise ValueError(
            f"max_parents: up to {max(parents)} parents in a layer of {geometry.channels} x {geometry.height} x "
            f"{geometry.width} nodes can need {rows:,} table rows ({rows / 2**26:.1f} GiB of counts), more than "
            f"{MAX_ROWS:,}; every parent fewer halves them"
        )


def _entry(number: int, r: Relation) -> tuple[int, int, int, int, int]:
    """A relation as the estimator's arguments have it."""
    return number, r.child, r.parent, r.dy, r.dx


def _forced_parents(forced: Sequence[Relation], child: int) -> int:
    return sum(r.child == child for r in forced)


def search_relations(
    geometry: LayerGeometry,
    planes: BitPlanes,
    max_parents: int,
    *,
    forced: Sequence[Relation] = (),
    forbidden: Collection[Relation] = (),
    num_threads: int = 1,
) -> tuple[Layer, list[RelationStep]]:
    """The relations of a layer that :func:`greedy_search` finds by the images of bit-planes.

    Parameters
    ----------
    geometry : cbn.layers.geometry.LayerGeometry
    planes : BitPlanes
        Of the layer.
    num_threads : int
    max_parents, forced, forbidden
        See there.
    """
    changes = BicChanges(planes, max_parents, num_threads)
    return greedy_search(geometry, changes, max_parents, forced=forced, forbidden=forbidden)


def greedy_search(
    geometry: LayerGeometry,
    changes_of: Callable[[Layer, Sequence[Relation]], list[float]],
    max_parents: int,
    *,
    forced: Sequence[Relation] = (),
    forbidden: Collection[Relation] = (),
) -> tuple[Layer, list[RelationStep]]:
    """Greedy search: start from the forced relations, add the one that lowers the BIC most until none does.

    The BIC decomposes over child channels, so every channel adds its best relation in each round; this gives the
    relations of the one-at-a-time search. Of equals the first in the order of :func:`candidate_relations` is taken.

    Parameters
    ----------
    geometry : cbn.layers.geometry.LayerGeometry
    changes_of : callable
        (layer, relations) -> change of the BIC by each of the relations.
    max_parents : int
        Bounds the search, not the forced relations.
    forced, forbidden : collections of Relation

    Returns
    -------
    layer : cbn.cpd.grid.Layer
    steps : list of RelationStep, in the order in which they were added
    """
    shape = geometry.channels, geometry.height, geometry.width
    steps = []
    layer = Layer(*shape)
    for relation in forced:
        change = changes_of(layer, [relation])[0]
        steps.append(RelationStep(relation, change))
        layer = Layer(*shape, (*layer.relations, relation))
    candidates = [r for r in candidate_relations(geometry, forbidden) if r not in layer.relations]
    while True:
        has_room = [len(layer.parents(child)) < max_parents for child in range(geometry.channels)]
        candidates = [r for r in candidates if has_room[r.child]]
        if not candidates:
            return layer, steps
        changes = changes_of(layer, candidates)
        best: dict[int, RelationStep] = {}
        for relation, change in zip(candidates, changes):
            if change < 0 and (relation.child not in best or change < best[relation.child].bic_change):
                best[relation.child] = RelationStep(relation, change)
        added = [step.relation for step in best.values()]
        # a channel that nothing improves will not be improved by the parents of others
        candidates = [r for r in candidates if r.child in best and r is not best[r.child].relation]
        steps += best.values()
        layer = Layer(*shape, (*layer.relations, *added))


def relation_table(relations: Sequence[Relation]) -> npt.NDArray[np.int32]:
    """(n, 4): child, parent, dy, dx, as the engine takes them."""
    return np.array([(r.child, r.parent, r.dy, r.dx) for r in relations], np.int32)


class BicChanges:
    """What :func:`greedy_search` asks, by the images of bit-planes.

    Between calls it keeps the tables of the candidates: in those of the next call, whose layers have one parent more, only
    the images with that parent are counted.

    Parameters
    ----------
    planes : BitPlanes
    max_parents : int
        Of the search; tables of as many parents are not kept, because nothing comes after them.
    num_threads : int
    """

    def __init__(self, planes: BitPlanes, max_parents: int, num_threads: int) -> None:
        self.planes, self.num_threads = planes, num_threads
        self.entries = 1 << max(0, min(max_parents - 1, MAX_SEARCH_PARENTS))
        self.layer: Layer | None = None
        self.relations: Sequence[Relation] = ()
        self.asked = np.empty((0, 4), np.int32)
        self.tables = np.empty((0, 0, 0), np.int32)

    def __call__(self, layer: Layer, relations: Sequence[Relation]) -> list[float]:
        known = self.kept(layer, relations)
        changes = np.empty(len(relations))
        engine_layer = _engine.Layer(layer)
        n = max(1, MAX_PAIRS // layer.n_positions)
        for first in range(0, len(relations), n):
            part = slice(first, first + n)
            kept = (self.tables[part], known) if self.tables.size else None
            _engine.relation_gains(
                engine_layer, self.planes.words, self.planes.n_images, self.asked[part], changes[part], self.num_threads,
                kept,
            )  # fmt: skip
        self.layer, self.relations = layer, relations
        return changes.tolist()

    def kept(self, layer: Layer, relations: Sequence[Relation]) -> bool:
        """Makes the tables those of the relations, and as long as this step needs; whether they are there of the last step."""
        rows = self.rows_of_last_step(layer, relations)
        self.asked = relation_table(relations) if rows is None else self.asked[rows]
        most = max(len(layer.parents(child)) for child in {relation.child for relation in relations})
        entries = min(self.entries, 2 << most)
        shape, before = (len(relations), layer.n_positions, entries), self.tables
        keeps = entries >= 2 and math.prod(shape) <= MAX_KEPT and self.planes.n_images < 2**31
        keeps = keeps and (rows is None or before.size > 0)
        self.tables = np.empty(shape if keeps else (0, 0, 0), np.int32)
        if rows is not None and keeps:
            n = min(entries, before.shape[2])
            self.tables[:, :, :n] = before[rows, :, :n]
        return rows is not None

    def rows_of_last_step(self, layer: Layer, relations: Sequence[Relation]) -> list[int] | None:
        """Where the relations stood in the last call, if the child of each had all its parents but the last there."""
        before = self.layer
        # the very objects, which the last call's are as long as they are held: they need no comparison
        place = {id(relation): i for i, relation in enumerate(self.relations)}
        rows = [place.get(id(relation), -1) for relation in relations]
        if before is None or min(rows) < 0:
            return None
        for child in {relation.child for relation in relations}:
            parents = layer.parents(child)
            if not parents or parents[:-1] != before.parents(child):
                return None
        return rows
