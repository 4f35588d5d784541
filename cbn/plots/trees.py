# SPDX-License-Identifier: BSD-3-Clause
"""Sizes of the trees of a layer, and how far they look: as a dictionary and as panels of a figure."""

import numpy as np

from ..cpd.shape import _owners, leaves_of, split_distances


def tree_panels(layer):
    """Leaves at every position, mean over channels, and the mean distance of the splits there (grey: no split)."""
    shape = layer.height, layer.width
    leaves = leaves_of(layer).reshape(layer.channels, *shape).mean(axis=0)
    position = _owners(layer)[layer.split >= 0] % layer.n_positions
    n_splits = np.bincount(position, minlength=layer.n_positions)
    total = np.bincount(position, weights=split_distances(layer), minlength=layer.n_positions)
    distance = np.divide(total, n_splits, out=np.full(layer.n_positions, np.nan), where=n_splits > 0)
    return [
        ("size of the trees", leaves, "leaves of a node", 0.0, None),
        ("how far trees look", distance.reshape(shape), "mean distance of splits, places", 0.0, None),
    ]
