# SPDX-License-Identifier: BSD-3-Clause
"""Scores of images: sums of table entries over nodes."""

import numpy as np

from .arguments import Layer, Planes, Reals
from .bitplane import unpack_planes
from .layer import row_index, table_of


def score_nodes(
    layer: Layer, planes: Planes, n_images: int, values: Reals, contributions: Reals, num_threads: int = 1
) -> None:
    """contributions[i, v] = values[row of node v in image i, state of v]."""
    states = np.empty((n_images, layer.n_nodes), np.uint8)
    unpack_planes(planes, states)
    for node in range(layer.n_nodes):
        contributions[:, node] = values[table_of(layer, node)][row_index(layer, node, states), states[:, node]]


def score_images(
    layer: Layer, planes: Planes, n_images: int, values: Reals, scores: Reals, num_threads: int = 1
) -> None:
    """scores[i] = sum over nodes, added in node order as the engine does."""
    contributions = np.empty((n_images, layer.n_nodes))
    score_nodes(layer, planes, n_images, values, contributions)
    scores[:] = np.cumsum(contributions, axis=1)[:, -1]
