# SPDX-License-Identifier: BSD-3-Clause
"""Small images with structure to learn from."""

import numpy as np


def blots(n, size=12, seed=0, noise=0.05):
    """(n, size, size) of 0 and 1: squares of three pixels that depend on those above and left, and noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((n, size // 3 + 1, size // 3 + 1)) < 0.5
    for y in range(1, coarse.shape[1]):
        keep = rng.random((n, coarse.shape[2])) < 0.7
        coarse[:, y] = np.where(keep, coarse[:, y - 1], coarse[:, y])
    fine = coarse.repeat(3, axis=1).repeat(3, axis=2)[:, :size, :size]
    return (fine ^ (rng.random(fine.shape) < noise)).astype(np.uint8)


def blob_states(n, shape, seed, *, nested=False):
    """(n, nodes) uint8 of smooth blobs in channels, each within the next lower one if they are nested."""
    rng = np.random.default_rng(seed)
    channels, height, width = shape
    rough = rng.normal(size=(n, 1 if nested else channels, height + 2, width + 2))
    smooth = sum(rough[:, :, dy : dy + height, dx : dx + width] for dy in range(3) for dx in range(3)) / 3
    levels = np.linspace(0.2, 1.0, channels)[:, None, None]
    return (smooth > levels).reshape(n, -1).astype(np.uint8)
