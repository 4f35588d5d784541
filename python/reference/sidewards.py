# SPDX-License-Identifier: BSD-3-Clause
"""Sidewards models (thesis, eq. 10 to 13): small networks that predict a position's activations from its neighbours.

All positions share the hidden layers; the last layer is shared too or every position has its own. The input has one
channel more than there are kernels: 1 inside the layer, 0 in the padding, so that it says which neighbours exist.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .arguments import Floats, Nodes
from .convolution import convolve, convolve_weight_gradient


def hidden_parts(hidden: Floats, units: Nodes) -> list[Floats]:
    """The flat block of hidden layers as views (U_i + 1, U_{i+1}); the last row of each is the bias."""
    parts, begin = [], 0
    for below, above in pairwise(units):
        size = (below + 1) * above
        parts.append(hidden[begin : begin + size].reshape(below + 1, above))
        begin += size
    return parts


def with_one(u: Floats) -> Floats:
    """Appends the constant input of the bias."""
    return np.concatenate([u, np.ones_like(u[..., :1])], axis=-1)


def activations(
    x: Floats,
    taps: npt.NDArray[np.int32],
    first: Floats,
    extra: Floats,
    first_extra: Floats,
    hidden: Floats,
    units: Nodes,
) -> list[Floats]:
    """Activations of all hidden layers: a list of (n, H, W, U_i)."""
    height, width = extra.shape[:2]
    sums = np.empty((len(x), height, width, first.shape[2]), x.dtype)
    convolve(x, taps, first, np.zeros(first.shape[2], x.dtype), 1, sums)
    layers = [np.maximum(sums + with_one_extra(extra, x.dtype) @ first_extra, 0)]
    for part in hidden_parts(hidden, units):
        layers.append(np.maximum(with_one(layers[-1]) @ part, 0))
    return layers


def with_one_extra(extra: Floats, dtype: npt.DTypeLike) -> Floats:
    height, width, n_extra = extra.shape
    out = np.ones((height, width, n_extra + 1), dtype)
    out[..., :n_extra] = extra
    return out


def sidewards_predict(
    x: Floats,
    taps: npt.NDArray[np.int32],
    extra: Floats,
    units: Nodes,
    weights: tuple[Floats, Floats, Floats, Floats],
    out: Floats,
    num_threads: int = 1,
) -> None:
    """Predicted activations; weights are (first, first_extra, hidden, last).

    Parameters
    ----------
    x : (n, H + 2 d, W + 2 d, C + 1) array of float
        Activations and the channel of ones, padded with zeros by the neighbours' distance d.
    taps : (T, 2) array of int
    first : (T, C + 1, U_1) array of float
        First layer, for the neighbours.
    extra : (H, W, E) array of float
        Inputs that are the same for all images, such as the coordinates; E may be 0.
    first_extra : (E + 1, U_1) array of float
        First layer, for ``extra``; the last row is the bias.
    hidden : flat array of float
        Further hidden layers (U_i + 1, U_{i+1}), one after the other; the last row of each is the bias.
    units : (m,) array of int
        U_1 to U_m; m >= 1.
    last : (P, K, U_m + 1) array of float
        Last layer: P = H W where every position has its own, or 1; the last weight is the bias.
    out : (n, H, W, K) array of float
        Filled.
    """
    first, first_extra, hidden, last = weights
    top = with_one(activations(x, taps, first, extra, first_extra, hidden, units)[-1])
    own = last.reshape(*(extra.shape[:2] if len(last) > 1 else (1, 1)), *last.shape[1:])
    out[...] = np.einsum("nyxj,yxkj->nyxk", top, np.broadcast_to(own, (*extra.shape[:2], *own.shape[2:])))


def sidewards_gradient(
    x: Floats,
    taps: npt.NDArray[np.int32],
    extra: Floats,
    units: Nodes,
    weights: tuple[Floats, Floats, Floats, Floats],
    target: Floats,
    gradients: tuple[Floats, Floats, Floats, Floats, Floats, Floats | None],
    num_threads: int = 1,
) -> None:
    """Errors, and the gradients of the sum of their squares (eq. 12) with the target held constant (eq. 13).

    gradients are (d_first, d_first_extra, d_hidden, d_last, error, d_sums).

    Parameters
    ----------
    x, taps, extra, units, weights
        As in ``sidewards_predict``.
    target : (n, H, W, K) array of float
    error : (n, H, W, K) array of float
        Prediction minus target. Filled.
    d_first, d_first_extra, d_hidden, d_last
        Gradients, shaped like their parameters. Filled.
    d_sums : (n, H, W, U_1) array of float, or None
        Gradient with respect to the sums that enter the first layer's ReLU. Filled.
    """
    first, first_extra, hidden, last = weights
    d_first, d_first_extra, d_hidden, d_last, error, d_sums = gradients
    layers = activations(x, taps, first, extra, first_extra, hidden, units)
    sidewards_predict(x, taps, extra, units, weights, error)
    error -= target
    height, width = extra.shape[:2]
    positions = (height, width) if len(last) > 1 else (1, 1)
    own = np.broadcast_to(last.reshape(*positions, *last.shape[1:]), (height, width, *last.shape[1:]))
    d_out = 2 * error
    d_own = np.einsum("nyxk,nyxj->yxkj", d_out, with_one(layers[-1]))
    d_last[...] = (d_own if len(last) > 1 else d_own.sum(axis=(0, 1))).reshape(last.shape)
    d_layer = np.einsum("nyxk,yxkj->nyxj", d_out, own[..., :-1])
    parts, d_parts = hidden_parts(hidden, units), hidden_parts(d_hidden, units)
    for i in range(len(parts) - 1, -1, -1):
        d_sum = np.where(layers[i + 1] > 0, d_layer, 0)
        d_parts[i][...] = np.einsum("nyxi,nyxj->ij", with_one(layers[i]), d_sum)
        d_layer = d_sum @ parts[i][:-1].T
    d_layer = np.where(layers[0] > 0, d_layer, 0)
    convolve_weight_gradient(x, taps, d_layer, 1, d_first, np.empty(first.shape[2], x.dtype))
    d_first_extra[...] = np.einsum("yxe,nyxj->ej", with_one_extra(extra, x.dtype), d_layer)
    if d_sums is not None:
        d_sums[...] = d_layer
