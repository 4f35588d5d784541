# SPDX-License-Identifier: BSD-3-Clause
"""Gibbs sampling, thesis Algorithm 1: propose to flip a random node, accept with P' / (P + P')."""

import numpy as np

from .arguments import Counts, Layer, Reals, States
from .layer import children_of, row_index, table_of
from .random import FLIP, SITE, block, uniforms_of_step


def sample_gibbs(
    layer: Layer,
    probability: Reals,
    seed: int,
    first_step: int,
    n_steps: int,
    sites: Counts,
    states: States,
    num_threads: int = 1,
) -> None:
    """Heat-bath steps first_step .. first_step + n_steps - 1 in every chain; states (n_chains, n_nodes), in and out."""
    for step in range(first_step, first_step + n_steps):
        word = block(seed, SITE, 0, step >> 2)[step & 3]
        site = int(sites[word * len(sites) >> 32])
        weights = [np.ones(len(states)), np.ones(len(states))]  # of the node being 0 and 1, up to a common factor
        factors = [site] + [child for child, _ in children_of(layer, site)]
        for number, node in enumerate(factors):
            table = probability[table_of(layer, node)]
            for value in (0, 1):
                trial = states.copy()
                trial[:, site] = value
                weights[value] = weights[value] * table[row_index(layer, node, trial), trial[:, node]]
            if number and number % 4 == 0:  # away from underflow, exactly as the engine
                scale = np.where(weights[0] + weights[1] < 2.0**-500, 2.0**500, 1.0)
                weights = [w * scale for w in weights]
        u = uniforms_of_step(seed, FLIP, len(states), step)
        states[:, site] = u * (weights[0] + weights[1]) < weights[1]
