# SPDX-License-Identifier: BSD-3-Clause
"""Sampling under trees: one raster pass, or heat-bath steps. The random numbers are those of tables."""

import numpy as np

from .arguments import Counts, Reals, States, TreeLayer
from .random import ANCESTRAL, FLIP, SITE, block, uniforms_of_step
from .tree import leaf_of, tree_of


def tree_sample_ancestral(
    trees: TreeLayer, probability: Reals, seed: int, clamped: States | None, states: States, num_threads: int = 1
) -> None:
    """Draws every node that is not clamped; states (n_chains, n_nodes) uint8, in and out; clamped (n_nodes,), None."""
    n_positions = trees.height * trees.width
    for step in range(states.shape[1]):
        position, channel = divmod(step, trees.channels)
        node = channel * n_positions + position
        if clamped is None or not clamped[node]:
            u = uniforms_of_step(seed, ANCESTRAL, len(states), step)
            states[:, node] = u < probability[tree_of(trees, node)[0]][leaf_of(trees, node, states), 1]


def tree_sample_gibbs(
    trees: TreeLayer,
    probability: Reals,
    seed: int,
    first_step: int,
    n_steps: int,
    sites: Counts,
    states: States,
    num_threads: int = 1,
) -> None:
    """Heat-bath steps first_step .. first_step + n_steps - 1 in every chain; states (n_chains, n_nodes), in and out."""
    splits = [set(tree_of(trees, node)[1].tolist()) for node in range(states.shape[1])]
    for step in range(first_step, first_step + n_steps):
        word = block(seed, SITE, 0, step >> 2)[step & 3]
        site = int(sites[word * len(sites) >> 32])
        own = probability[tree_of(trees, site)[0]][leaf_of(trees, site, states)]
        weights = [own[:, 0], own[:, 1]]  # of the site being 0 and 1, up to a common factor
        for number, node in enumerate((v for v in range(len(splits)) if site in splits[v]), start=1):
            table, leaves = probability[tree_of(trees, node)[0]], []
            for value in (0, 1):
                trial = states.copy()
                trial[:, site] = value
                leaves.append(leaf_of(trees, node, trial))
            decided = leaves[0] != leaves[1]  # else the factor is the same for both
            for value in (0, 1):
                factor = table[leaves[value], states[:, node]]
                weights[value] = np.where(decided, weights[value] * factor, weights[value])
            if number % 4 == 0:  # away from underflow, exactly as the engine
                scale = np.where(weights[0] + weights[1] < 2.0**-500, 2.0**500, 1.0)
                weights = [w * scale for w in weights]
        u = uniforms_of_step(seed, FLIP, len(states), step)
        states[:, site] = u * (weights[0] + weights[1]) < weights[1]
