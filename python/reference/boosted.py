# SPDX-License-Identifier: BSD-3-Clause
"""Boosted trees: Newton boosting on stochastically rounded gradients, log-odds and scores, node by node.

Log-odds are integers in units of 1 / LOG_ODDS_ONE, gradients in units of 1 / GRADIENT_ONE, so the trees are the engine's
to the last bit. Layers are ``cbn.cpd.boosted.BoostedLayer``.
"""

from collections.abc import Sequence

import numpy as np

from .arguments import Bits, Boosted, BoostedLayer, Counts, Nodes, Planes, Reals, States
from .bitplane import unpack_planes
from .random import CANDIDATE, MASK, ROUNDING, philox
from .tables import LOG_PROBABILITY, SURPRISE, VARIANCE

LOG_ODDS_ONE, GRADIENT_ONE = 65536, 2**24
MAX_LEAF_VALUE = 16 * LOG_ODDS_ONE
GRADIENT_LEVELS, HESSIAN_LEVELS = 7, 7  # of rounded gradients in [-1, 1] and Hessians in [0, 1/4]
BARREN_ROUNDS = 5


def exp_negative(x: Reals) -> Reals:
    """The engine's exponential of x <= 0, operation by operation: its last bits decide how gradients are rounded."""
    x = np.maximum(x, -700.0)
    n = np.rint(x * 1.4426950408889634)
    r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10
    t = np.full_like(x, 1 / 6227020800)
    for factorial in (479001600, 39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2, 1, 1):
        t = t * r + 1 / factorial
    return np.ldexp(t, n.astype(int))


def round_odds(odds: float) -> int:
    """To whole log-odds units, halves away from zero."""
    return int(np.clip(np.sign(odds) * np.floor(abs(odds) + 0.5), -MAX_LEAF_VALUE, MAX_LEAF_VALUE))


def random_words(seed: int, purpose: int, node: int, round: int, n_blocks: int) -> Counts:
    """(n_blocks, 4) 32-bit words."""
    key = seed & MASK, seed >> 32
    return np.array([philox((b, round, node, purpose), key) for b in range(n_blocks)], np.int64).reshape(n_blocks, 4)


def gradients(odds: Counts, target: Bits, seed: int, node: int, round: int) -> tuple[Counts, Counts, Counts, Counts]:
    """Exact gradients and Hessians (integers), and the rounded ones, of every image."""
    x = odds / LOG_ODDS_ONE
    e = exp_negative(-np.abs(x))
    p = np.floor(np.where(x < 0, e, 1.0) / (1 + e) * GRADIENT_ONE + 0.5).astype(np.int64)
    hessian = np.floor(e / ((1 + e) * (1 + e)) * GRADIENT_ONE + 0.5).astype(np.int64)
    size = np.where(target, GRADIENT_ONE - p, p)
    n_words = -(-len(odds) // 64)
    words = random_words(seed, ROUNDING, node, round, 16 * n_words).reshape(n_words, 16, 4)
    noise = words.transpose(0, 2, 1).reshape(-1)[: len(odds)]
    sign = np.where(target, 1, -1)
    level = sign * ((size * GRADIENT_LEVELS + (noise >> 16 << 8)) >> 24)
    curved = (hessian * 4 * HESSIAN_LEVELS + ((noise & 0xFFFF) << 8)) >> 24
    return sign * size, hessian, level, curved


def draw_candidates(
    usable: Sequence[int], n: int, seed: int, node: int, round: int, purpose: int = CANDIDATE
) -> list[int]:
    """The first n places of a Fisher-Yates shuffle."""
    drawn = list(usable)
    words = random_words(seed, purpose, node, round, -(-n // 4)).reshape(-1)
    for c in range(n):
        other = c + (int(words[c]) * (len(drawn) - c) >> 32)
        drawn[c], drawn[other] = drawn[other], drawn[c]
    return drawn[:n]


class Leaf:
    """An open leaf: its images, its vertex, and its best split among the candidates."""

    def __init__(self, images: Bits, vertex: int) -> None:
        self.images, self.vertex, self.gain, self.best = images, vertex, 0.0, -1

    def find_best(self, states: Bits, drawn: Sequence[int], level: Counts, curved: Counts, boosting: Boosted) -> None:
        quanta = 4.0 * HESSIAN_LEVELS
        l2, least = boosting.l2 * quanta, boosting.min_hessian * quanta
        price = boosting.min_gain * (2.0 * GRADIENT_LEVELS * GRADIENT_LEVELS / quanta)
        g, h = float(level[self.images].sum()), float(curved[self.images].sum())
        if h < 2 * least:
            return
        own = g * g / (h + l2)
        best = own + price
        for candidate in drawn:
            on = self.images & states[:, candidate]
            g1, h1 = float(level[on].sum()), float(curved[on].sum())
            g0, h0 = g - g1, h - h1
            if h1 < least or h0 < least:
                continue
            a, b = h0 + l2, h1 + l2
            score = (g0 * g0 * b + g1 * g1 * a) / (a * b)
            if score > best:
                best, self.best, self.gain = score, candidate, score - own


def grow_tree(
    states: Bits, members: Bits, drawn: Sequence[int], level: Counts, curved: Counts, boosting: Boosted
) -> tuple[dict[int, int], dict[int, int], dict[int, Bits]]:
    """Splits by vertex, children by vertex, and leaves, in the order of growth."""
    leaves, split, child = [Leaf(members, 0)], {}, {}
    leaves[0].find_best(states, drawn, level, curved, boosting)
    while len(leaves) < boosting.max_leaves:
        chosen = max(leaves, key=lambda leaf: (leaf.gain, -leaf.vertex))
        if chosen.gain <= 0:
            break
        first = 2 * len(leaves) - 1
        split[chosen.vertex], child[chosen.vertex] = chosen.best, first
        on = states[:, chosen.best]
        leaves.remove(chosen)
        for images, vertex in ((chosen.images & ~on, first), (chosen.images & on, first + 1)):
            leaves.append(Leaf(images, vertex))
            leaves[-1].find_best(states, drawn, level, curved, boosting)
    return split, child, {leaf.vertex: leaf.images for leaf in leaves}


def grow_node(
    states: Bits, members: Bits, usable: Sequence[int], node: int, boosting: Boosted, seed: int, start: Nodes | None
) -> tuple[int, list[list[tuple[int, int]]]]:
    """Base, and a list of trees, each a list of (split, value) in breadth-first order."""
    target, pseudocount = states[:, node], boosting.pseudocount
    n1, n = (target & members).sum(), members.sum()
    base = round_odds((np.log(n1 + pseudocount) - np.log(n - n1 + pseudocount)) * LOG_ODDS_ONE)
    base = base if start is None else 0
    odds, trees, barren = np.full(len(states), base, np.int64), [], 0
    if start is not None:
        odds[:] = start[: len(states)]
    n_drawn = min(boosting.n_candidates, len(usable))
    for round in range(boosting.rounds):
        if n_drawn == 0 or barren == BARREN_ROUNDS:
            break
        gradient, hessian, level, curved = gradients(odds, target, seed, node, round)
        drawn = draw_candidates(usable, n_drawn, seed, node, round)
        split, child, leaves = grow_tree(states, members, drawn, level, curved, boosting)
        if not split:
            barren += 1
            continue
        barren, tree, order = 0, [], [0]
        for vertex in order:
            if vertex in split:
                tree.append((split[vertex], 0))
                order += [child[vertex], child[vertex] + 1]
                continue
            g, h = (float(x[leaves[vertex]].sum()) / GRADIENT_ONE for x in (gradient, hessian))
            value = round_odds(boosting.rate * g / (h + boosting.l2) * LOG_ODDS_ONE)
            tree.append((-1, value))
            odds[leaves[vertex]] += value
        trees.append(tree)
    return base, trees


def boosted_grow(
    grid: tuple[int, int, int],
    planes: Planes,
    n_images: int,
    candidates: tuple[Counts, Nodes, Nodes | None],
    boosting: Boosted,
    seed: int,
    grown: tuple[int, Nodes, Nodes, Nodes, Nodes, Nodes, Nodes | None],
    num_threads: int = 1,
) -> None:
    """The trees of nodes first_node, ..., as ``cbn_boosted_grow`` says.

    candidates (begin, node, required); grown (first_node, base, n_trees, n_vertices, split, value, start), filled.
    """
    candidate_begin, candidate, required = candidates
    first_node, base, n_trees, n_vertices, split, value, start = grown
    unpacked = np.empty((n_images, len(planes)), np.uint8)
    unpack_planes(planes, unpacked)
    states = unpacked.astype(bool)
    rarer = np.minimum(states.sum(axis=0), (~states).sum(axis=0))
    for i in range(len(base)):
        node = first_node + i
        needs = -1 if required is None else required[node]
        members = np.ones(n_images, bool) if needs < 0 else states[:, needs]
        usable = candidate[candidate_begin[node] : candidate_begin[node + 1]]
        usable = usable[rarer[usable] >= 4 * boosting.min_hessian]
        own_start = None if start is None else start[i]
        base[i], trees = grow_node(states, members, usable, node, boosting, seed, own_start)
        n_trees[i] = len(trees)
        for t, tree in enumerate(trees):
            n_vertices[i, t] = len(tree)
            split[i, t, : len(tree)], value[i, t, : len(tree)] = np.array(tree).T


def node_log_odds(boosted: BoostedLayer, node: int, states: States) -> Counts:
    """(n,) integer log-odds of a node; every image walks down every tree."""
    odds = np.full(len(states), boosted.base[node], np.int64)
    for tree in range(boosted.begin[node], boosted.begin[node + 1]):
        vertices = slice(boosted.tree_begin[tree], boosted.tree_begin[tree + 1])
        split, value = boosted.split[vertices], boosted.value[vertices]
        inner: Counts = np.cumsum(split >= 0) - (split >= 0)  # inner vertices before each
        for i, state in enumerate(states):
            t = 0
            while split[t] >= 0:
                t = 1 + 2 * inner[t] + state[split[t]]
            odds[i] += value[t]
    return odds


def possible(boosted: BoostedLayer, node: int, states: States) -> Bits:
    """(n,) bool: whether the node can be 1."""
    needs = boosted.required[node]
    return np.ones(len(states), bool) if needs < 0 else states[:, needs] > 0


def node_probability(boosted: BoostedLayer, node: int, states: States) -> Reals:
    """(n,) probability of 1 given the earlier nodes."""
    x = node_log_odds(boosted, node, states) / LOG_ODDS_ONE
    e = exp_negative(-np.abs(x))
    return np.where(possible(boosted, node, states), np.where(x < 0, e, 1.0) / (1 + e), 0.0)


def states_of(boosted: BoostedLayer, planes: Planes, n_images: int) -> States:
    states = np.empty((n_images, boosted.n_nodes), np.uint8)
    unpack_planes(planes, states)
    return states


def boosted_log_odds(boosted: BoostedLayer, planes: Planes, n_images: int, odds: Nodes, num_threads: int = 1) -> None:
    """odds (n_images, nodes)."""
    states = states_of(boosted, planes, n_images)
    for node in range(boosted.n_nodes):
        odds[:, node] = node_log_odds(boosted, node, states)


def values_of(odds: Counts, state: States, possible: Bits, kind: int) -> Reals:
    """(n,) log-probability, surprise or variance of a node's states, from integer log-odds."""
    x = odds / LOG_ODDS_ONE
    log_p = -np.logaddexp(0, [x, -x])  # of 0 and of 1
    p = np.exp(log_p)
    own = np.where(state, log_p[1], log_p[0])
    entropy = -(p * log_p).sum(axis=0)
    values = own if kind == LOG_PROBABILITY else -own - entropy if kind == SURPRISE else x * x * p[0] * p[1]
    never = np.where(state > 0, {LOG_PROBABILITY: -np.inf, SURPRISE: np.inf, VARIANCE: 0.0}[kind], 0.0)
    return np.where(possible, values, never)


def boosted_score_nodes(
    boosted: BoostedLayer, planes: Planes, n_images: int, kind: int, contributions: Reals, num_threads: int = 1
) -> None:
    """contributions[i, v]: log-probability, surprise or variance."""
    if kind not in (LOG_PROBABILITY, SURPRISE, VARIANCE):
        raise ValueError(f"kind: {kind}")
    states = states_of(boosted, planes, n_images)
    for node in range(boosted.n_nodes):
        odds = node_log_odds(boosted, node, states)
        contributions[:, node] = values_of(odds, states[:, node], possible(boosted, node, states), kind)


def boosted_score_images(
    boosted: BoostedLayer, planes: Planes, n_images: int, kind: int, scores: Reals, num_threads: int = 1
) -> None:
    """scores[i]: sum over nodes."""
    contributions = np.empty((n_images, boosted.n_nodes))
    boosted_score_nodes(boosted, planes, n_images, kind, contributions)
    scores[:] = contributions.sum(axis=1)
