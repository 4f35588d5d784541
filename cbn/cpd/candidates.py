# SPDX-License-Identifier: BSD-3-Clause
"""The nodes that may decide for a node in a tree, and those that must."""

import numpy as np


def candidates(channels, height, width, distance, reach):
    """The nodes that may decide: earlier ones at a Chebyshev distance of ``distance`` to ``reach`` positions.

    Parameters
    ----------
    channels, height, width : int
    distance : int
        Smallest distance at which two nodes see different pixels; 1 for the pixels.
    reach : int

    Returns
    -------
    begin : ndarray, (nodes + 1,) int64
    candidate : ndarray, int32
        The nodes that may decide for node v are ``candidate[begin[v] : begin[v + 1]]``, nearest first.
    """
    y, x = np.divmod(np.arange(height * width), width)
    offsets = [
        (max(-dy, abs(dx)), -dy, abs(dx), dy, dx)
        for dy in range(-min(reach, height - 1), 1)
        for dx in range(-min(reach, width - 1), min(reach, width - 1) + 1)
        if max(-dy, abs(dx)) >= distance and (dy, dx) < (0, 0)
    ]
    columns = []
    for *_, dy, dx in sorted(offsets):
        inside = (y + dy >= 0) & (x + dx >= 0) & (x + dx < width)
        columns.append(np.where(inside, (y + dy) * width + x + dx, -1))
    positions = np.stack(columns, axis=1) if columns else np.empty((height * width, 0), np.int64)
    per_position = positions[:, :, None] + np.where(positions >= 0, 0, -(2**40))[:, :, None]
    per_position = (per_position + np.arange(channels) * (height * width)).reshape(height * width, -1)
    counts = (per_position >= 0).sum(axis=1)
    flat = per_position[per_position >= 0].astype(np.int32)
    begin = np.concatenate([[0], np.cumsum(np.tile(counts, channels))]).astype(np.int64)
    return begin, np.tile(flat, channels)


# Entries of the list of candidates beyond which growth is refused: 4 GiB.
MAX_CANDIDATES = 2**30


def check_candidates_size(geometry, reach):
    """Refuses, before it is allocated, a list of candidates that takes too much memory. Raises ValueError."""
    rows, columns = min(reach, geometry.height - 1), min(reach, geometry.width - 1)
    nodes = geometry.channels * geometry.height * geometry.width
    n_candidates = nodes * geometry.channels * (rows * (2 * columns + 1) + columns)
    if n_candidates > MAX_CANDIDATES:
        raise ValueError(
            f"reach: {reach} gives {n_candidates:,} pairs of nodes ({n_candidates / 2**28:.1f} GiB) in a layer of "
            f"{geometry.channels} x {geometry.height} x {geometry.width} nodes, more than {MAX_CANDIDATES:,}; reduce it"
        )


def required_nodes(pixel_layer):
    """The node without which each pixel node is never 1: that of the next lower threshold; None for one threshold."""
    if pixel_layer.channels == 1:
        return None
    nodes = np.arange(pixel_layer.n_nodes, dtype=np.int32) - pixel_layer.n_positions
    return np.maximum(nodes, -1).astype(np.int32)
