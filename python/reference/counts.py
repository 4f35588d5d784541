# SPDX-License-Identifier: BSD-3-Clause
"""Sufficient statistics of table CPDs."""

import numpy as np

from .arguments import Counts, Layer, Planes
from .bitplane import unpack_planes
from .layer import possible_rows, row_index, table_of


def count(layer: Layer, planes: Planes, n_images: int, counts: Counts, num_threads: int = 1) -> None:
    """counts[row, state] of every node: images with the parents in that row and the node in that state."""
    states = np.empty((n_images, layer.n_nodes), np.uint8)
    unpack_planes(planes, states)
    for node in range(layer.n_nodes):
        table = table_of(layer, node)
        index = 2 * row_index(layer, node, states) + states[:, node]
        counts[table] = np.bincount(index, minlength=2 * (table.stop - table.start)).reshape(-1, 2)


def counts_add(counts: Counts, total: Counts) -> None:
    """total += counts."""
    if (counts < 0).any() or (total < 0).any():
        raise ValueError("negative counts")
    if (total > np.iinfo(np.int64).max - counts).any():
        raise OverflowError("a sum of counts does not fit 64 bits")
    total += counts


def counts_check(layer: Layer, counts: Counts, n_images: int) -> None:
    """Raises ValueError unless the counts could come from n_images images."""
    for node in range(layer.n_nodes):
        table = counts[table_of(layer, node)]
        occurs, can_be_one = possible_rows(layer, node)
        total = sum(int(v) for v in table.ravel())
        if (table < 0).any() or total != n_images or table[~occurs].any() or table[~can_be_one, 1].any():
            raise ValueError("the counts cannot come from images of this layer")
