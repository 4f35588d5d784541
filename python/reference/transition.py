# SPDX-License-Identifier: BSD-3-Clause
"""From a layer of bits to the next: convolution, max pooling, threshold at 0."""

import numpy as np

from .arguments import Counts, Planes, Transition
from .bitplane import pack_planes, unpack_planes


def activations(transition: Transition, planes: Planes, n_images: int) -> Counts:
    """Fixed-point convolution sums (n_images, kernels, conv height, conv width) int64, before pooling."""
    states = np.empty((n_images, len(planes)), np.uint8)
    unpack_planes(planes, states)
    bits = states.reshape(n_images, transition.in_channels, transition.in_height, transition.in_width)
    size = transition.kernel_size
    windows = np.lib.stride_tricks.sliding_window_view(bits, (size, size), axis=(2, 3))
    sums = np.einsum("ncyxij,kcij->nkyx", windows, transition.weights.astype(np.int64), dtype=np.int64)
    return sums + transition.bias.astype(np.int64)[:, None, None]


def pooling_windows(transition: Transition, sums: Counts) -> Counts:
    """The sums by pooling window: (n_images, kernels, height, width, pool * pool), raster order within a window."""
    n, kernels = sums.shape[:2]
    height, width, pool = transition.height, transition.width, transition.pool
    cut = sums[:, :, : height * pool, : width * pool].reshape(n, kernels, height, pool, width, pool)
    return cut.transpose(0, 1, 2, 4, 3, 5).reshape(n, kernels, height, width, pool * pool)


def transition_sums(
    transition: Transition, planes_in: Planes, n_images: int, sums: Counts, num_threads: int = 1
) -> None:
    """sums (nodes, n_images): of every node the largest activation of its pooling window."""
    pooled = pooling_windows(transition, activations(transition, planes_in, n_images)).max(axis=-1)
    sums[:] = pooled.reshape(n_images, -1).T


def transition_forward(
    transition: Transition, planes_in: Planes, n_images: int, planes_out: Planes, num_threads: int = 1
) -> None:
    """planes_out: a node is 1 where the largest activation of its pooling window is above 0."""
    pooled = pooling_windows(transition, activations(transition, planes_in, n_images)).max(axis=-1)
    pack_planes((pooled > 0).astype(np.uint8).reshape(n_images, -1), 0, planes_out)
