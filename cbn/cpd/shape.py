# SPDX-License-Identifier: BSD-3-Clause
"""Sizes of the trees of a layer, and how far they look."""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def describe_trees(layer: Any) -> dict[str, Any]:
    """Sizes of the trees of a TreeLayer or BoostedLayer: a dict that JSON can hold.

    Leaves are those of all trees of a node together, depths are splits from a root to its deepest leaf, distances are
    Chebyshev distances in positions between a node and the node that a split asks.
    """
    leaves, depth, distance = leaves_of(layer), depths(layer), split_distances(layer)
    n_trees = len(depth)
    return {
        "trees": n_trees,
        "trees_per_node": n_trees / layer.n_nodes,
        "leaves": layer.n_leaves,
        "leaves_per_node": layer.n_leaves / layer.n_nodes,
        "most_leaves": int(leaves.max()),
        "mean_depth": float(depth.mean()) if n_trees else 0.0,
        "largest_depth": int(depth.max(initial=0)),
        "splits": len(distance),
        "mean_distance": float(distance.mean()) if len(distance) else None,
        "largest_distance": int(distance.max()) if len(distance) else None,
    }


def _owners(layer: Any) -> Integers:
    """(vertices,) the node of every vertex."""
    return np.repeat(np.arange(layer.n_nodes), np.diff(layer.node_begin))


def leaves_of(layer: Any) -> Integers:
    """(nodes,) number of leaves, of all trees of a node together."""
    return np.bincount(_owners(layer)[layer.split < 0], minlength=layer.n_nodes)


def depths(layer: Any) -> Integers:
    """(trees,) number of splits on the longest way from the root to a leaf."""
    begin, inner = layer.tree_begin, layer.split >= 0
    tree = np.repeat(np.arange(len(begin) - 1), np.diff(begin))
    before = np.cumsum(inner) - inner
    first_child = begin[:-1][tree] + 1 + 2 * (before - before[begin[:-1]][tree])  # breadth first
    depth, level, reached = np.zeros(len(begin) - 1, np.int64), 0, begin[:-1]
    while len(reached := reached[inner[reached]]):
        level += 1
        depth[tree[reached]] = level
        reached = np.concatenate([first_child[reached], first_child[reached] + 1])
    return depth


def split_distances(layer: Any) -> Integers:
    """(splits,) Chebyshev distance in positions between a node and the node that its split asks."""
    inner = layer.split >= 0
    y, x = np.divmod(_owners(layer)[inner] % layer.n_positions, layer.width)
    other_y, other_x = np.divmod(layer.split[inner] % layer.n_positions, layer.width)
    return np.maximum(np.abs(y - other_y), np.abs(x - other_x))


def tree_pictures(layer: Any) -> list[tuple[str, Floats, str, float, float | None]]:
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
