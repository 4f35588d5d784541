# SPDX-License-Identifier: BSD-3-Clause
"""From the counts of trees to their BIC, to probabilities and to what each (leaf, state) contributes to a score."""

import numpy as np

from .arguments import Counts, Nodes, Reals, TreeLayer
from .tables import table_values
from .tree import tree_of

SMALLEST_P = 1e-12


def tree_counts_check(trees: TreeLayer, counts: Counts, n_images: int) -> None:
    """Raises ValueError unless the counts could come from n_images images."""
    for node in range(len(trees.begin) - 1):
        own, split, child = tree_of(trees, node)
        table = [[int(n) for n in row] for row in counts[own]]
        wrong = min(map(min, table)) < 0 or sum(table[0]) != n_images
        for t in np.flatnonzero(split >= 0):
            wrong |= any(table[t][x] != table[child[t]][x] + table[child[t] + 1][x] for x in (0, 1))
        if wrong or (trees.required[node] >= 0 and table[1][1] != 0):
            raise ValueError("the counts cannot come from images of these trees")


def tree_bic(trees: TreeLayer, counts: Counts) -> tuple[float, int, float]:
    """(log-likelihood at maximum likelihood in nats, number of free parameters, BIC)."""
    n_images = int(counts[0].sum())
    tree_counts_check(trees, counts, n_images)
    if n_images < 1:
        raise ValueError("no images are counted")
    leaves = counts[trees.split < 0].astype(float)
    n = np.repeat(leaves.sum(axis=1, keepdims=True), 2, axis=1)
    seen = leaves > 0
    log_likelihood = (leaves[seen] * np.log(leaves[seen] / n[seen])).sum()
    n_parameters = len(leaves) - int((trees.required >= 0).sum())
    return log_likelihood, n_parameters, n_parameters * np.log(n_images) - 2 * log_likelihood


def tree_probability(
    trees: TreeLayer, counts: Counts, pseudocount: float, shrinkage: float, probability: Reals, num_threads: int = 1
) -> None:
    """probability[vertex, state], shrunk towards the root."""
    for node in range(len(trees.begin) - 1):
        own = tree_of(trees, node)[0]
        probability[own] = _probabilities(trees, node, counts[own], pseudocount, shrinkage)


def _probabilities(trees: TreeLayer, node: int, table: Counts, pseudocount: float, shrinkage: float) -> Reals:
    _, split, child = tree_of(trees, node)
    p = np.empty((len(split), 2))
    parent = {child[t] + side: t for t in np.flatnonzero(split >= 0) for side in (0, 1)}
    for t in range(len(split)):
        n, n1 = table[t].sum(), table[t, 1]
        below_required = trees.required[node] >= 0 and parent.get(t) == 0
        if t == 0 or below_required:
            p1 = (n1 + pseudocount) / (n + 2 * pseudocount)
        else:
            p1 = (n1 + shrinkage * p[parent[t], 1]) / (n + shrinkage)
        p1 = min(max(p1, SMALLEST_P), 1 - SMALLEST_P)
        p[t] = (1 - p1, p1)
        if below_required and t == child[0]:
            p[t] = (1, 0)
    return p


def tree_values(
    trees: TreeLayer,
    counts: Counts,
    probability: Reals,
    pseudocount: float,
    shrinkage: float,
    kind: int,
    leave_one_out: bool,
    values: Reals,
    num_threads: int = 1,
) -> None:
    """values[vertex, state] of a score kind, of use at leaves."""
    for node in range(len(trees.begin) - 1):
        own, split, _ = tree_of(trees, node)
        leaves = np.flatnonzero(split < 0)
        table, p = counts[own], probability[own]
        result = values[own]
        result[:] = np.nan
        result[leaves] = table_values(p[leaves], table[leaves], kind)
        if leave_one_out:
            for row, leaf in enumerate(leaves.tolist()):
                for state in (0, 1):
                    if table[leaf, state] > 0:
                        without = table.copy()
                        without[np.array(_way_to(split, trees.child[own], leaf)), state] -= 1
                        changed = _probabilities(trees, node, without, pseudocount, shrinkage)[leaf]
                        q = p[leaves].copy()  # CBN_NORMALIZED compares with the other leaves as they are
                        q[row] = changed
                        result[leaf, state] = table_values(q, without[leaves], kind)[row, state]


def _way_to(split: Nodes, child: Nodes, leaf: int) -> list[int]:
    """The vertices from the root to a leaf."""
    way = [leaf]
    while way[-1] != 0:
        way.append(next(t for t in np.flatnonzero(split >= 0).tolist() if way[-1] - child[t] in (0, 1)))
    return way
