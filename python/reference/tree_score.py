# SPDX-License-Identifier: BSD-3-Clause
"""Scores of images under trees: sums of the values of the leaves that an image reaches."""

import numpy as np

from .arguments import Planes, Reals, TreeLayer
from .bitplane import unpack_planes
from .tree import leaf_of, tree_of


def tree_score_nodes(
    trees: TreeLayer, planes: Planes, n_images: int, values: Reals, contributions: Reals, num_threads: int = 1
) -> None:
    """contributions[i, v] = values[leaf of node v in image i, state of v]."""
    states = np.empty((n_images, len(planes)), np.uint8)
    unpack_planes(planes, states)
    for node in range(len(planes)):
        own = tree_of(trees, node)[0]
        contributions[:, node] = values[own][leaf_of(trees, node, states), states[:, node]]


def tree_score_images(
    trees: TreeLayer, planes: Planes, n_images: int, values: Reals, scores: Reals, num_threads: int = 1
) -> None:
    """scores[i] = sum over nodes, added in node order as the engine does."""
    contributions = np.empty((n_images, len(planes)))
    tree_score_nodes(trees, planes, n_images, values, contributions)
    scores[:] = np.cumsum(contributions, axis=1)[:, -1]
