# SPDX-License-Identifier: BSD-3-Clause
"""Gibbs sampling through all layers: thesis Algorithm 1 over the product of the layers, every energy from scratch."""

from collections.abc import Sequence

import numpy as np

from .arguments import Bits, Counts, Layer, Reals, States, Transition
from .bitplane import pack_planes, plane_words, unpack_planes
from .layer import row_index, table_of
from .random import FLIP, SITE, block, uniforms_of_step
from .transition import transition_forward


class LayerStack:
    """Layers one above the other, the pixels first, and the transitions between them."""

    def __init__(self, layers: Sequence[Layer], transitions: Sequence[Transition]) -> None:
        self.layers, self.transitions = list(layers), list(transitions)


def hidden_states(stack: LayerStack, states: States) -> list[States]:
    """The states of every layer: list of (n_chains, nodes) uint8, the pixels first."""
    n = len(states)
    found = [states]
    planes = np.empty((states.shape[1], plane_words(n)), np.uint64)
    pack_planes(states, 0, planes)
    for transition, layer in zip(stack.transitions, stack.layers[1:]):
        above = np.empty((layer.n_nodes, plane_words(n)), np.uint64)
        transition_forward(transition, planes, n, above)
        found.append(np.empty((n, layer.n_nodes), np.uint8))
        unpack_planes(above, found[-1])
        planes = above
    return found


def log_product(stack: LayerStack, values: Counts, states: States) -> Counts:
    """(n_chains,) int64: log of the product of all layers, in units; values (rows, 2) of all layers in a row."""
    total = np.zeros(len(states), np.int64)
    first = 0
    for layer, own in zip(stack.layers, hidden_states(stack, states)):
        table = values[first : first + layer.n_rows]
        for node in range(layer.n_nodes):
            total += table[table_of(layer, node)][row_index(layer, node, own), own[:, node]]
        first += layer.n_rows
    return total


def required_states(layer: Layer, node: int, states: States) -> tuple[Bits, Bits]:
    """Two (n_chains,) masks: where a required relation demands that the node be 0, and be 1 (unless it must be 0)."""
    channel, inside = divmod(node, layer.n_positions)
    must_be_0, must_be_1 = np.zeros(len(states), bool), np.zeros(len(states), bool)
    for r in layer.relations:
        if r.required and r.child == channel:
            must_be_0 |= states[:, r.parent * layer.n_positions + inside] == 0
        if r.required and r.parent == channel:
            must_be_1 |= states[:, r.child * layer.n_positions + inside] == 1
    return must_be_0, must_be_1 & ~must_be_0


def sample_gibbs_layers(
    stack: LayerStack,
    values: Counts,
    unit: float,
    inverse_temperature: Reals,
    seed: int,
    first_step: int,
    sites: Counts,
    states: States,
    num_threads: int = 1,
) -> None:
    """One step for each inverse temperature, in every chain; states (n_chains, pixel nodes), in and out."""
    for n, beta in enumerate(inverse_temperature):
        step = first_step + n
        word = block(seed, SITE, 0, step >> 2)[step & 3]
        site = int(sites[word * len(sites) >> 32])
        candidates = [states.copy(), states.copy()]
        candidates[0][:, site], candidates[1][:, site] = 0, 1
        odds = log_product(stack, values, candidates[1]) - log_product(stack, values, candidates[0])
        now = states[:, site] == 1
        if np.isinf(beta):
            drawn = np.where(odds == 0, now, odds > 0)
        else:
            x = beta * unit * odds.astype(float)
            e = np.exp(np.maximum(-np.abs(x), -700.0))
            drawn = uniforms_of_step(seed, FLIP, len(states), step) * (1.0 + e) < np.where(x < 0, e, 1.0)
        must_be_0, must_be_1 = required_states(stack.layers[0], site, states)
        states[:, site] = (drawn | must_be_1) & ~must_be_0
