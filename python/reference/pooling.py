# SPDX-License-Identifier: BSD-3-Clause
"""Max pooling, channels last; windows that do not fit are left out."""

import numpy as np


def windows(x, size, stride, height, width):
    """(size * size, n, height, width, C): the window's places, row by row."""
    return np.stack(
        [
            x[:, i : i + stride * (height - 1) + 1 : stride, j : j + stride * (width - 1) + 1 : stride]
            for i in range(size)
            for j in range(size)
        ]
    )


def max_pool(x, size, stride, out, which, num_threads=1):
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


def max_pool_gradient(d_out, which, size, stride, d_x, num_threads=1):
    """Gradient with respect to the input (n, H, W, C), which is overwritten; windows that overlap add up."""
    d_x[...] = 0
    height, width = d_out.shape[1:3]
    for place in range(size * size):
        i, j = divmod(place, size)
        rows = slice(i, i + stride * (height - 1) + 1, stride)
        columns = slice(j, j + stride * (width - 1) + 1, stride)
        d_x[:, rows, columns] += np.where(which == place, d_out, 0)
