# SPDX-License-Identifier: BSD-3-Clause
"""Max pooling, channels last; windows that do not fit are left out."""

import numpy as np

from .arguments import Floats, States


def windows(x: Floats, size: int, stride: int, height: int, width: int) -> Floats:
    """(size * size, n, height, width, C): the window's places, row by row."""
    return np.stack(
        [
            x[:, i : i + stride * (height - 1) + 1 : stride, j : j + stride * (width - 1) + 1 : stride]
            for i in range(size)
            for j in range(size)
        ]
    )


def max_pool(x: Floats, size: int, stride: int, out: Floats, which: States, num_threads: int = 1) -> None:
    """Largest value of every window, and the first place of the window that has it.

    Parameters
    ----------
    x : (n, H, W, C) array of float
    size, stride : int
    out : (n, Ho, Wo, C) array of float
        Ho = (H - size) // stride + 1, Wo alike. Filled.
    which : (n, Ho, Wo, C) array of uint8
        Place in the window, row by row. Filled.
    """
    stacked = windows(x, size, stride, *out.shape[1:3])
    which[...] = stacked.argmax(axis=0)
    out[...] = stacked.max(axis=0)


def max_pool_gradient(d_out: Floats, which: States, size: int, stride: int, d_x: Floats, num_threads: int = 1) -> None:
    """Gradient with respect to the input (n, H, W, C), which is overwritten; windows that overlap add up."""
    d_x[...] = 0
    height, width = d_out.shape[1:3]
    for place in range(size * size):
        i, j = divmod(place, size)
        rows = slice(i, i + stride * (height - 1) + 1, stride)
        columns = slice(j, j + stride * (width - 1) + 1, stride)
        d_x[:, rows, columns] += np.where(which == place, d_out, 0)
