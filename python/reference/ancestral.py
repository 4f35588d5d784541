# SPDX-License-Identifier: BSD-3-Clause
"""Ancestral sampling: one raster pass, parents before children."""

from .arguments import Layer, Reals, States
from .layer import row_index, table_of
from .random import ANCESTRAL, uniforms_of_step


def sample_ancestral(
    layer: Layer, probability: Reals, seed: int, clamped: States | None, states: States, num_threads: int = 1
) -> None:
    """Draws every node that is not clamped; states (n_chains, n_nodes) uint8, in and out; clamped (n_nodes,) or None."""
    step = 0
    for inside in range(layer.n_positions):
        for channel in range(layer.channels):
            node = channel * layer.n_positions + inside
            if clamped is None or not clamped[node]:
                u = uniforms_of_step(seed, ANCESTRAL, len(states), step)
                states[:, node] = u < probability[table_of(layer, node)][row_index(layer, node, states), 1]
            step += 1
