# SPDX-License-Identifier: BSD-3-Clause
"""Raster passes of boosted trees, and the particle filter over every kind of CPD (Gordon, Salmond, Smith 1993)."""

from collections.abc import Callable

import numpy as np

from .arguments import BoostedLayer, Layer, Reals, States, TiedLayer, TreeLayer
from .boosted import node_probability
from .layer import row_index, table_of
from .random import ANCESTRAL, RESAMPLE, uniform_at, uniforms_of_step


def raster_nodes(layer: Layer | TreeLayer | BoostedLayer | TiedLayer) -> list[int]:
    """Nodes in raster order: rows, columns, channels innermost."""
    return [c * layer.n_positions + inside for inside in range(layer.n_positions) for c in range(layer.channels)]


def boosted_sample(
    boosted: BoostedLayer, seed: int, clamped: States | None, states: States, num_threads: int = 1
) -> None:
    """Draws every node that is not clamped; states (n_chains, nodes) uint8, in and out."""
    for step, node in enumerate(raster_nodes(boosted)):
        if clamped is None or not clamped[node]:
            u = uniforms_of_step(seed, ANCESTRAL, len(states), step)
            states[:, node] = u < node_probability(boosted, node, states)


def particle_filter(
    layer: Layer | TreeLayer | BoostedLayer | TiedLayer,
    p1: Callable[[int, States], Reals],
    seed: int,
    known: States,
    states: States,
    weight: Reals,
) -> float:
    """p1(node, states): probability of 1 given the earlier nodes. Fills states and weight; the log marginal."""
    n, log_weight, log_marginal, missing = len(states), np.zeros(len(states)), 0.0, []
    states[:] = states[0]
    for step, node in enumerate(raster_nodes(layer)):
        p = p1(node, states)
        if not known[node]:
            states[:, node] = uniforms_of_step(seed, ANCESTRAL, n, step) < p
            missing.append(node)
            continue
        with np.errstate(divide="ignore"):
            log_weight += np.log(p if states[0, node] else 1 - p)
        largest = log_weight.max()
        if largest == -np.inf:
            raise ValueError("the known states are impossible")
        w = np.exp(log_weight - largest)
        if missing and w.sum() ** 2 / (w * w).sum() < 0.5 * n:
            log_marginal += largest + np.log(w.mean())
            at = (np.arange(n) + uniform_at(seed, RESAMPLE, 0, step)) * w.sum() / n
            ancestor = np.minimum(np.searchsorted(np.cumsum(w), at, side="right"), n - 1)
            states[:, missing] = states[ancestor][:, missing]
            log_weight[:] = 0.0
    largest = log_weight.max()
    w = np.exp(log_weight - largest)
    weight[:] = w / w.sum()
    return log_marginal + largest + np.log(w.mean())


def boosted_inpaint(
    boosted: BoostedLayer, seed: int, known: States, states: States, weight: Reals, num_threads: int = 1
) -> float:
    """The particle filter over boosted trees."""
    return particle_filter(boosted, lambda node, s: node_probability(boosted, node, s), seed, known, states, weight)


def tree_inpaint(
    trees: TreeLayer, probability: Reals, seed: int, known: States, states: States, weight: Reals, num_threads: int = 1
) -> float:
    """The particle filter over trees."""

    def p1(node: int, states: States) -> Reals:
        first, found = trees.begin[node], np.empty(len(states))
        for i, state in enumerate(states):
            t = 0
            while trees.split[first + t] >= 0:
                t = trees.child[first + t] + state[trees.split[first + t]]
            found[i] = probability[first + t, 1]
        return found

    return particle_filter(trees, p1, seed, known, states, weight)


def table_inpaint(
    layer: Layer, probability: Reals, seed: int, known: States, states: States, weight: Reals, num_threads: int = 1
) -> float:
    """The particle filter over tables."""

    def p1(node: int, states: States) -> Reals:
        return probability[table_of(layer, node)][row_index(layer, node, states), 1]

    return particle_filter(layer, p1, seed, known, states, weight)
