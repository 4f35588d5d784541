# SPDX-License-Identifier: BSD-3-Clause
"""Growth of trees in rounds: counts of vertices known by their ways, best splits of counts, the order of splits."""

import numpy as np

from .arguments import Counts, Nodes, Planes, Reals, States
from .bitplane import unpack_planes
from .log import log


def count_vertices(
    grid: tuple[int, int, int],
    planes: Planes,
    n_images: int,
    members: Planes | None,
    candidates: tuple[Counts, Nodes, Nodes | None],
    vertices: tuple[Counts, Counts, Nodes, Counts, Nodes],
    totals: Counts,
    counts: Counts,
    num_threads: int = 1,
) -> None:
    """totals[vertex, state]: images that reach it; counts[candidate]: those in which it is 1, and those of them with the
    node at 1 too."""
    begin, way_begin, way, useful_begin, useful = vertices
    states = np.empty((n_images, len(planes)), np.uint8)
    unpack_planes(planes, states)
    counted = np.ones((n_images, 1), np.uint8)
    if members is not None:
        unpack_planes(members[None], counted)
    for node in range(len(planes)):
        own = candidates[1][candidates[0][node] : candidates[0][node + 1]]
        for vertex in range(begin[node], begin[node + 1]):
            reach = counted[:, 0] == 1
            for step in way[way_begin[vertex] : way_begin[vertex + 1]]:
                reach &= states[:, step] == 1 if step >= 0 else states[:, -1 - step] == 0
            there, on = states[reach], states[reach & (states[:, node] == 1)]
            totals[vertex] = len(there) - len(on), len(on)
            part = slice(useful_begin[vertex], useful_begin[vertex + 1])
            asked = own[useful[part]]
            counts[part] = np.stack([there[:, asked].sum(axis=0), on[:, asked].sum(axis=0)], axis=1)


def best_splits(
    totals: Counts,
    useful_begin: Counts,
    counts: Counts,
    how: tuple[float, int, int],
    found: tuple[Reals, Nodes, States],
    num_threads: int = 1,
) -> None:
    """Fills found = (gain, best, pays) of every vertex; how = (penalty, n_images, min_leaf)."""
    (penalty, n_images, min_leaf), (gain, best, pays) = how, found
    price = penalty * float(log(n_images))

    def n_ln_n(n: int) -> float:
        return n * float(log(n)) if n else 0.0

    def likelihood(n0: int, n1: int) -> float:
        return n_ln_n(n0) + n_ln_n(n1) - n_ln_n(n0 + n1)

    for vertex, (n0, n1) in enumerate(totals.tolist()):
        own = likelihood(n0, n1)
        gain[vertex], best[vertex], pays[vertex] = 0.0, -1, n0 + n1 >= 2 * min_leaf and -own > price
        part = counts[useful_begin[vertex] : useful_begin[vertex + 1]].tolist()
        for place, (n_on, on1) in enumerate(part if pays[vertex] else ()):
            if min_leaf <= n_on <= n0 + n1 - min_leaf:
                gained = likelihood(n_on - on1, on1) + likelihood(n0 - (n_on - on1), n1 - on1) - own
                if gained > gain[vertex]:
                    gain[vertex], best[vertex] = gained, place
        if gain[vertex] <= price:
            gain[vertex] = 0.0


def choose_splits(
    root: Counts, child: Counts, gain: Reals, max_leaves: int, found: tuple[States, States], num_threads: int = 1
) -> None:
    """Fills found = (taken, chosen) of every vertex."""
    taken, chosen = found
    taken[:] = chosen[:] = 0
    for first in root:
        leaves, number, n_leaves, certain = [(-gain[first], 0, first)], 1, 1, True
        while n_leaves < max_leaves and leaves and min(leaves)[0] < 0:
            leaf = min(leaves)  # the largest gain; of equal ones the oldest
            leaves.remove(leaf)
            vertex, n_leaves = leaf[2], n_leaves + 1
            if child[vertex] < 0:
                chosen[vertex], certain = 1, False
                continue
            taken[vertex] = certain
            for i in range(2):
                leaves.append((-gain[child[vertex] + i], number + i, child[vertex] + i))
            number += 2
