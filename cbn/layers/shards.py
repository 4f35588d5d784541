# SPDX-License-Identifier: BSD-3-Clause
"""Hidden layers of images that are in several places: given or drawn kernels, whose relations are searched by sums.

Kernels that are trained move by sums of doubles, which depend on how images are cut; so they are trained in one process.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .. import _engine
from ..bits.planes import BitPlanes
from ..bits.shards import Mask, Part, Shard, Shards, gathered, with_layer
from ..cpd.base import Counts
from ..cpd.grid import Layer, Relation
from ..cpd.table import count_rows
from .geometry import LayerGeometry, Transition
from .kernels import ActivationMeter, Draws, Kernels, forward, initial_kernels, measured_words
from .relations import greedy_search, relation_table
from .training import HiddenLayer, TrainedLayer, TrainingOptions, measured

# Entries of the tables of candidates that are asked for at once: 64 MiB.
MOST_ENTRIES = 2**23


def layers_of(
    hidden: Sequence[HiddenLayer], geometries: Sequence[LayerGeometry], shards: Shards, part: Part,
    options: TrainingOptions, start: Sequence[Kernels], num_threads: int,
) -> tuple[tuple[TrainedLayer, ...], Shards]:  # fmt: skip
    """The layers that :class:`cbn.layers.training.HiddenTraining` gives without iterations, and shards that have them.

    Parameters
    ----------
    part : Part
        The images that kernels and relations are learned from: the first ones.
    options : TrainingOptions
        Without iterations.
    hidden, geometries, start, num_threads
        See there.
    """
    assert not options.iterations
    words = measured_words(part.n_images)
    numbers = np.arange(part.n_images) if words is None else (64 * words[:, None] + np.arange(64)).ravel()
    measured_on = gathered(shards, numbers, num_threads) if len(start) < len(hidden) else None
    found: list[TrainedLayer] = []
    for number, (below, geometry) in enumerate(pairwise(geometries)):
        kernels = start[number] if number < len(start) else None
        if kernels is None:
            assert measured_on is not None
            meter, draws = ActivationMeter(below, measured_on, num_threads), Draws(options.seed, number, 0)
            kernels = initial_kernels(hidden[number], meter, options.initialization, options.activation, draws)
        if measured_on is not None:
            measured_on = forward(kernels, below, measured_on, num_threads)
        shards = shards.made(with_layer_above, kernels.transition(below))
        found.append(_searched(kernels, geometry, number, shards, part, options, num_threads))
    return tuple(found), shards


def _searched(
    kernels: Kernels, geometry: LayerGeometry, number: int, shards: Shards, part: Part, options: TrainingOptions,
    num_threads: int,
) -> TrainedLayer:  # fmt: skip
    images = shards.layer(number + 1, part)

    def changes_of(layer: Layer, relations: Sequence[Relation]) -> list[float]:
        engine_layer, table = _engine.Layer(layer), relation_table(relations)
        changes = np.empty(len(table))
        for those in _batches(engine_layer, table):
            counted = images.sum(count_candidates, layer, table[those])
            counts, tables = counted[: 2 * layer.n_rows].reshape(-1, 2), counted[2 * layer.n_rows :]
            _engine.relation_gains_of_counts(engine_layer, counts, table[those], tables, changes[those], num_threads)
        return changes.tolist()

    layer, steps = greedy_search(
        geometry, changes_of, options.max_parents,
        forced=options.forced[number] if options.forced else (),
        forbidden=options.forbidden[number] if options.forbidden else (),
    )  # fmt: skip
    point = measured(layer, images.sum(count_rows, layer), images.n_images)
    return TrainedLayer(kernels, layer, tuple(steps), (point,), 0)


def _batches(layer: _engine.Layer, table: npt.NDArray[np.int32]) -> list[slice]:
    """Candidates that are asked for at once."""
    sizes = [_engine.relation_counts_size(layer, table[i : i + 1]) for i in range(len(table))]
    begins, held = [0], 0
    for i, size in enumerate(sizes):
        if held and held + size > MOST_ENTRIES:
            begins.append(i)
            held = 0
        held += size
    return [slice(first, end) for first, end in pairwise([*begins, len(table)])]


# ---- what shards are asked ----


def with_layer_above(shard: Shard, num_threads: int, transition: Transition) -> Shard:
    """The same images with the layer that a transition makes of the uppermost one."""
    made, below = _engine.Transition(transition), shard.layers[-1]
    above = BitPlanes.empty(made.n_nodes_out, below.n_images)
    _engine.transition_forward(made, below.words, below.n_images, above.words, num_threads)
    return with_layer(shard, above)


def count_candidates(
    planes: BitPlanes, num_threads: int, members: Mask | None, layer: Layer, table: npt.NDArray[np.int32]
) -> Counts:
    """The counts of a layer and, behind them, what cbn_relation_counts gives of candidates, in one array."""
    engine_layer = _engine.Layer(layer)
    counts = count_rows(planes, num_threads, members, layer).ravel()
    tables = np.zeros(_engine.relation_counts_size(engine_layer, table), np.int64)
    if members is None or members.any():
        planes = planes if members is None else planes.select(members, num_threads)
        _engine.relation_counts(engine_layer, planes.words, planes.n_images, table, tables, num_threads)
    return np.concatenate([counts, tables])
