# SPDX-License-Identifier: BSD-3-Clause
"""Tree CPDs: soundness, growth, counts. Trees are ``cbn.cpd.tree.TreeLayer``."""

from typing import Any

import numpy as np

from .arguments import Bits, Counts, Nodes, Planes, Reals, States, TreeLayer
from .bitplane import unpack_planes
from .log import log

MAX_LEAVES = 4096


def tree_of(trees: TreeLayer, node: int) -> tuple[slice, Nodes, Nodes]:
    """Slice of a node's vertices, and their splits and children."""
    own = slice(trees.begin[node], trees.begin[node + 1])
    return own, trees.split[own], trees.child[own]


def raster_order(trees: TreeLayer, node: int) -> int:
    """Place of a node in the order rows, columns, channels, in which parents come before children."""
    channel, position = divmod(int(node), trees.height * trees.width)
    return position * trees.channels + channel


def trees_check(trees: TreeLayer) -> None:
    """Raises ValueError unless every tree is numbered breadth first and splits on earlier nodes only."""
    n_nodes = trees.channels * trees.height * trees.width
    sizes = np.diff(trees.begin)
    if trees.begin[0] != 0 or (sizes < 1).any() or (sizes > 2 * MAX_LEAVES - 1).any():
        raise ValueError("begin: every node needs 1 to 8191 vertices")
    for node in range(n_nodes):
        _, split, child = tree_of(trees, node)
        inner = split >= 0
        before: Counts = np.cumsum(inner) - inner  # inner vertices before each
        is_child = np.arange(len(split)) <= 2 * before  # of an inner vertex before it, or the root
        if not is_child.all() or len(split) != 2 * inner.sum() + 1 or (split < -1).any():
            raise ValueError(f"split: the vertices of node {node} are no tree")
        if (child != np.where(inner, 2 * before + 1, 0)).any():
            raise ValueError(f"child: the vertices of node {node} are not numbered breadth first")
        for v in split[inner]:
            if v >= n_nodes or raster_order(trees, v) >= raster_order(trees, node):
                raise ValueError(f"split: node {v} does not come before node {node}")
        required = trees.required[node]
        if required < -1 or (required >= 0 and (split[0] != required or split[1] != -1)):
            raise ValueError(f"required: node {required} is not the root's split of node {node}, a leaf at its 0")


def tree_grow(
    grid: tuple[int, int, int],
    planes: Planes,
    n_images: int,
    candidates: tuple[Counts, Nodes, Nodes | None],
    growth: tuple[float, int, int],
    grown: tuple[Nodes, Nodes, Nodes, Counts],
    num_threads: int = 1,
) -> None:
    """Grows the tree of every node; the vertices of node v are written to the beginning of row v of the outputs.

    Parameters
    ----------
    grid : (channels, height, width)
    candidates : (begin, node, required)
    growth : (penalty, max_leaves, min_leaf)
    grown : (n_vertices, split, child, counts)
        Filled.
    """
    (channels, height, width), (candidate_begin, candidate, required) = grid, candidates
    (penalty, max_leaves, min_leaf), (n_vertices, split, child, counts) = growth, grown
    if required is not None and max_leaves < 2:
        raise ValueError("max_leaves: a required node needs two leaves")
    n_nodes = channels * height * width
    states = np.empty((n_images, n_nodes), np.uint8)
    unpack_planes(planes, states)
    n_ln_n = np.array([0.0] + [n * float(log(n)) for n in range(1, n_images + 1)])
    price = penalty * float(log(n_images))
    for node in range(n_nodes):
        own = candidate[candidate_begin[node] : candidate_begin[node + 1]]
        first = -1 if required is None else required[node]
        tree = _grow_node(states, node, own, first, n_ln_n, price, max_leaves, min_leaf)
        n = n_vertices[node] = len(tree)
        for t, (decides, first_child, members) in enumerate(tree):
            split[node, t], child[node, t] = decides, first_child
            counts[node, t] = np.bincount(states[members, node], minlength=2)
        assert n <= 2 * max_leaves - 1


def _grow_node(
    states: States,
    node: int,
    candidate: Nodes,
    required: int,
    n_ln_n: Reals,
    price: float,
    max_leaves: int,
    min_leaf: int,
) -> list[list[Any]]:
    """Best-first growth: list of [split, first child, members], numbered breadth first."""
    tree: list[list[Any]] = [[-1, 0, np.ones(len(states), bool)]]  # in the order of growth
    gains: dict[int, tuple[float, int]] = {}  # of open leaves: (gain of the best split, the node that makes it)

    def divide(t: int, decides: int) -> None:
        members, on = tree[t][2], states[:, decides] == 1
        tree[t][:2] = decides, len(tree)
        tree.extend([[-1, 0, members & ~on], [-1, 0, members & on]])
        gains.pop(t, None)

    def open_leaf(t: int) -> None:
        gains[t] = _best_split(states, node, candidate, tree[t][2], n_ln_n, min_leaf)

    if required >= 0:
        divide(0, required)
        open_leaf(2)  # where the required node is 0, the node is 0 too
    else:
        open_leaf(0)
    while (len(tree) + 1) // 2 < max_leaves:
        paying = [(-gain, t) for t, (gain, _) in gains.items() if gain > price]
        if not paying:
            break
        _, t = min(paying)  # the largest gain; of equal ones the oldest leaf
        divide(t, gains[t][1])
        open_leaf(len(tree) - 2)
        open_leaf(len(tree) - 1)
    return _breadth_first(tree)


def _best_split(
    states: States, node: int, candidate: Nodes, members: Bits, n_ln_n: Reals, min_leaf: int
) -> tuple[float, int]:
    """(gain of log-likelihood at maximum likelihood, node): the first candidate of the largest gain, or (0, -1)."""

    def likelihood(n0: Counts, n1: Counts) -> Reals:
        return n_ln_n[n0] + n_ln_n[n1] - n_ln_n[n0 + n1]

    there, own = states[members][:, candidate].astype(np.int64), states[members, node].astype(np.int64)
    n, n1 = len(own), own.sum()
    n_on, on1 = there.sum(axis=0), own @ there
    gain = likelihood(n_on - on1, on1) + likelihood(n - n1 - (n_on - on1), n1 - on1) - likelihood(n - n1, n1)
    gain[(n_on < min_leaf) | (n - n_on < min_leaf)] = 0
    if not (gain > 0).any():
        return 0.0, -1
    return gain.max(), candidate[gain.argmax()]


def _breadth_first(tree: list[list[Any]]) -> list[list[Any]]:
    order, result = [0], []
    for t in order:  # it grows on the way
        decides, first, members = tree[t]
        result.append([decides, len(order) if decides >= 0 else 0, members])
        if decides >= 0:
            order += [first, first + 1]
    return result


def leaf_of(trees: TreeLayer, node: int, states: States) -> Counts:
    """The leaf that every image reaches, counted from the root; states (n_images, n_nodes)."""
    _, split, child = tree_of(trees, node)
    at = np.zeros(len(states), np.int64)
    while (split[at] >= 0).any():
        inner = split[at] >= 0
        at[inner] = child[at[inner]] + states[inner, split[at[inner]]]
    return at


def tree_count(trees: TreeLayer, planes: Planes, n_images: int, counts: Counts, num_threads: int = 1) -> None:
    """counts[vertex, state]: images that reach the vertex with the node in that state."""
    states = np.empty((n_images, len(planes)), np.uint8)
    unpack_planes(planes, states)
    for node in range(len(planes)):
        own, split, child = tree_of(trees, node)
        table = counts[own]
        index = 2 * leaf_of(trees, node, states) + states[:, node]
        table[:] = np.bincount(index, minlength=table.size).reshape(-1, 2)
        for t in reversed(np.flatnonzero(split >= 0)):
            table[t] = table[child[t]] + table[child[t] + 1]
