# SPDX-License-Identifier: BSD-3-Clause
"""Surrogate gradient of the kernels (thesis eq. 8 and 9).

The objective is L = log P(D | BN) - log P(D | BN'), BN' being BN without relations. A node's state z is relaxed to
[0, 1] and the counts to their multilinear extension. With tables made from smoothed counts the derivative of the
smoothed log-likelihood does not depend on how the tables change (envelope theorem), so at the binary states

    dL/dz_v = log p(1 | pa) - log p(0 | pa) - log p'(1) + log p'(0)
              + sum over children c of [log p(x_c | pa_c, z_v = 1) - log p(x_c | pa_c, z_v = 0)]

and the threshold's derivative is replaced by that of 1 / (1 + exp(-sharpness s)), s the activation that won the max.
"""

import numpy as np

from .arguments import Counts, Layer, Planes, Reals, Transition
from .bitplane import unpack_planes
from .layer import children_of, row_index, table_of
from .tables import probability_table
from .transition import activations, pooling_windows

WEIGHT_ONE = 2**20


def state_gradient(
    layer: Layer,
    planes: Planes,
    n_images: int,
    counts: Counts,
    pseudocount: float,
    gradient: Reals,
    num_threads: int = 1,
) -> None:
    """gradient[i, v] = dL/dz of node v in image i, nats."""
    states = np.empty((n_images, layer.n_nodes), np.uint8)
    unpack_planes(planes, states)
    probability = np.empty((layer.n_rows, 2))
    probability_table(layer, counts, pseudocount, probability)
    log_p = np.log(probability)
    for node in range(layer.n_nodes):
        own = log_p[table_of(layer, node)][row_index(layer, node, states)]
        n0, n1 = counts[table_of(layer, node)].sum(axis=0) + pseudocount
        gradient[:, node] = own[:, 1] - own[:, 0] - np.log(n1 / n0)
        for child, bit in children_of(layer, node):
            row, table = row_index(layer, child, states), log_p[table_of(layer, child)]
            x = states[:, child]
            gradient[:, node] += table[row | 1 << bit, x] - table[row & ~(1 << bit), x]


def kernel_gradient(
    transition: Transition,
    objective: tuple[Layer, Counts, float, float],
    planes_in: Planes,
    planes_out: Planes,
    n_images: int,
    gradient: tuple[Reals, Reals],
    num_threads: int = 1,
) -> None:
    """dL by weight and bias, in nats per unit of weight.

    objective (layer, counts, pseudocount, sharpness); gradient (weights, bias), filled: shaped as the transition's.
    """
    (layer, counts, pseudocount, sharpness), (weights, bias) = objective, gradient
    by_state = np.empty((n_images, layer.n_nodes))
    state_gradient(layer, planes_out, n_images, counts, pseudocount, by_state)
    pooled = pooling_windows(transition, activations(transition, planes_in, n_images))
    s = pooled.max(axis=-1) / WEIGHT_ONE
    e = np.exp(-np.abs(sharpness * s))
    factor = by_state.reshape(s.shape) * sharpness * e / (1 + e) ** 2
    won = pooled.argmax(axis=-1)  # the first of equal sums
    states = np.empty((n_images, len(planes_in)), np.uint8)
    unpack_planes(planes_in, states)
    bits = states.reshape(n_images, transition.in_channels, transition.in_height, transition.in_width)
    size, pool = transition.kernel_size, transition.pool
    image, _, y, x = np.indices(s.shape)
    top, left = y * pool + won // pool, x * pool + won % pool
    weights[:] = 0
    for dy in range(size):
        for dx in range(size):
            seen = bits[image, :, top + dy, left + dx]  # (n, kernels, height, width, in_channels)
            weights[:, :, dy, dx] = np.einsum("nkyx,nkyxc->kc", factor, seen)
    bias[:] = factor.sum(axis=(0, 2, 3))
