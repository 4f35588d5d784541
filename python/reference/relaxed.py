# SPDX-License-Identifier: BSD-3-Clause
"""The relaxed objective of which :func:`kernel_gradient` is the gradient, for finite differences.

States are real numbers in [0, 1]; counts are their multilinear extension, tables are made from smoothed counts. States
move with the kernels by the change of the surrogate 1 / (1 + exp(-sharpness s)) at the activations that win the max.
"""

from collections.abc import Callable

import numpy as np

from .arguments import Layer, Planes, Reals, Transition
from .bitplane import unpack_planes
from .gradient import WEIGHT_ONE
from .layer import parents_of
from .transition import activations, pooling_windows


def relaxed_objective(layer: Layer, z: Reals, pseudocount: float = 1.0) -> float:
    """L of the whole layer, nats, with states relaxed to z (n_images, nodes), minus the same without relations."""

    def term(counts: Reals) -> float:
        smoothed = counts + pseudocount
        return (smoothed * np.log(smoothed)).sum() - (smoothed.sum(-1) * np.log(smoothed.sum(-1))).sum()

    total = 0.0
    for node in range(layer.n_nodes):
        found = dict(parents_of(layer, node))
        weight = np.ones((len(z), 1))
        for bit in range(len(layer.parents(node // layer.n_positions))):
            p = z[:, [found[bit]]] if bit in found else np.zeros((len(z), 1))
            weight = np.concatenate([weight * (1 - p), weight * p], axis=1)
        joint = np.stack([(weight * (1 - z[:, [node]])).sum(0), (weight * z[:, [node]]).sum(0)], axis=-1)
        total += term(joint) - term(joint.sum(0))
    return total


def objective_near(
    transition: Transition,
    layer: Layer,
    planes_in: Planes,
    planes_out: Planes,
    n_images: int,
    pseudocount: float = 1.0,
    sharpness: float = 8.0,
) -> Callable[[Reals, Reals], float]:
    """The relaxed objective as a function (weights, bias) -> nats of float kernels near those of the transition."""
    t = transition
    bits, states = np.empty((n_images, len(planes_in)), np.uint8), np.empty((n_images, len(planes_out)), np.uint8)
    unpack_planes(planes_in, bits)
    unpack_planes(planes_out, states)
    images = bits.reshape(n_images, t.in_channels, t.in_height, t.in_width)
    windows = np.lib.stride_tricks.sliding_window_view(images, (t.kernel_size, t.kernel_size), axis=(2, 3))
    won = pooling_windows(t, activations(t, planes_in, n_images)).argmax(-1)[..., None]

    def surrogate(weights: Reals, bias: Reals) -> Reals:
        sums = np.einsum("ncyxij,kcij->nkyx", windows, weights) + bias[:, None, None]
        s = np.take_along_axis(pooling_windows(t, sums), won, -1)[..., 0]
        return (1 / (1 + np.exp(-sharpness * s))).reshape(n_images, -1)

    here = surrogate(t.weights / WEIGHT_ONE, t.bias / WEIGHT_ONE)
    return lambda weights, bias: relaxed_objective(layer, states + (surrogate(weights, bias) - here), pseudocount)


def central_difference(
    objective: Callable[[Reals, Reals], float], weights: Reals, bias: Reals, place: tuple[int, ...], step: float = 1e-05
) -> float:
    """dL by one number: place is an index into weights (four numbers) or into bias (one), in nats per unit of weight."""
    values = []
    for sign in (1, -1):
        moved = weights.copy(), bias.copy()
        moved[len(place) == 1][place] += sign * step
        values.append(objective(*moved))
    return (values[0] - values[1]) / (2 * step)
