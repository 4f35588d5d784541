# SPDX-License-Identifier: BSD-3-Clause
"""Convolution as a sum over taps, channels last.

A tap is an offset (dy, dx) >= 0 into an input that the caller has padded, so that every tap lies inside. A window of
3 x 3 is nine taps; a ring of neighbours around a position is only those of the ring, so no neighbours need be gathered.
"""

import numpy as np
import numpy.typing as npt

from .arguments import Floats


def seen(x: Floats, tap: npt.NDArray[np.int32], stride: int, height: int, width: int) -> Floats:
    """What every output position reads at one tap: (n, height, width, C)."""
    dy, dx = tap
    return x[:, dy : dy + stride * (height - 1) + 1 : stride, dx : dx + stride * (width - 1) + 1 : stride]


def convolve(
    x: Floats,
    taps: npt.NDArray[np.int32],
    weights: Floats,
    bias: Floats,
    stride: int,
    out: Floats,
    num_threads: int = 1,
) -> None:
    """out[i, y, x, o] = bias[o] + sum over taps t and channels c of x[i, y stride + dy_t, x stride + dx_t, c] w[t, c, o].

    Parameters
    ----------
    x : (n, Hp, Wp, C) array of float, padded
    taps : (T, 2) array of int
    weights : (T, C, O) array of float
    bias : (O,) array of float
    stride : int
    out : (n, H, W, O) array of float
        Filled.
    """
    out[...] = bias
    for tap, weight in zip(taps, weights):
        out += seen(x, tap, stride, *out.shape[1:3]) @ weight


def convolve_weight_gradient(
    x: Floats,
    taps: npt.NDArray[np.int32],
    d_out: Floats,
    stride: int,
    d_weights: Floats,
    d_bias: Floats,
    num_threads: int = 1,
) -> None:
    """Gradients with respect to the weights (T, C, O) and the bias (O,), given that of the output (n, H, W, O)."""
    d_bias[...] = d_out.sum(axis=(0, 1, 2))
    for t, tap in enumerate(taps):
        d_weights[t] = np.einsum("nyxc,nyxo->co", seen(x, tap, stride, *d_out.shape[1:3]), d_out)
