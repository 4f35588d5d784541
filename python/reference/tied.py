# SPDX-License-Identifier: BSD-3-Clause
"""Tied trees: growth on rows of bits, log-odds, scores, samples; ``cbn_tied.h``. Layers are ``cbn.cpd.forest.TiedLayer``."""

import numpy as np

from .arguments import Bits, Boosted, Counts, Nodes, Planes, Reals, States, TiedLayer
from .boosted import (
    GRADIENT_ONE,
    LOG_ODDS_ONE,
    MAX_LEAF_VALUE,
    draw_candidates,
    exp_negative,
    gradients,
    grow_tree,
    node_log_odds,
    round_odds,
    values_of,
)
from .causal import features_of, unpacked
from .particles import particle_filter, raster_nodes
from .random import ANCESTRAL, uniforms_of_step
from .tables import LOG_PROBABILITY, SURPRISE, VARIANCE

BLOCK = 9  # purpose of random numbers
STREAM = 0x80000000
STEP = 32  # of leaf values


def bits_of(words: Planes) -> Bits:
    """(64 blocks,) or (64 blocks, features) of words (blocks,) or (blocks, features)."""
    bits = words[:, None] >> np.arange(64, dtype=np.uint64).reshape(-1, *[1] * (words.ndim - 1)) & np.uint64(1)
    return bits.reshape(-1, *words.shape[1:]).astype(bool)


def forest_grow(
    features: Planes,
    target: Planes,
    members: Planes,
    n_learning: int,
    growth: tuple[int, int, float, float, float, float, float, int, int],
    usable: Nodes,
    grown: tuple[int, Nodes, Nodes, Nodes, Nodes],
    num_threads: int = 1,
) -> None:
    """Trees of some rounds as ``cbn_forest_grow`` says; grown (first_round, odds, n_vertices, split, value), filled."""
    max_leaves, n_candidates, share, rate, l2, min_gain, min_hessian, seed, stream = growth
    first_round, odds, n_vertices, split, value = grown
    boosting = Boosted(
        max_leaves=max_leaves, n_candidates=n_candidates, rate=rate, l2=l2, min_gain=min_gain, min_hessian=min_hessian
    )
    states, is_on, is_row = bits_of(features), bits_of(target), bits_of(members)
    n_taken = max(1, int(share * n_learning + 0.5))
    for i in range(len(n_vertices)):
        n_vertices[i] = 0
        round = first_round + i
        blocks = draw_candidates(range(n_learning), n_taken, seed, stream | STREAM, round, BLOCK)
        candidates = draw_candidates(usable.tolist(), min(n_candidates, len(usable)), seed, stream | STREAM, round)
        if not candidates:
            continue
        taken = np.zeros(len(states), bool)
        for block in blocks:
            taken[64 * block : 64 * block + 64] = True
        # rounding draws by block, as boosted trees do by word
        g, h, level, curved = gradients(odds.astype(np.int64), is_on, seed, stream | STREAM, round)
        inner, child, leaves = grow_tree(states, taken & is_row, candidates, level, curved, boosting)
        if not inner:
            continue
        order, tree = [0], []
        for vertex in order:
            if vertex in inner:
                tree.append((inner[vertex], 0))
                order += [child[vertex], child[vertex] + 1]
                continue
            own = leaves[vertex]
            step = rate * (g[own].sum() / GRADIENT_ONE) / (h[own].sum() / GRADIENT_ONE + l2)
            most = MAX_LEAF_VALUE // STEP
            tree.append((-1, STEP * int(np.clip(round_odds(step * (LOG_ODDS_ONE // STEP)), -most, most))))
        n_vertices[i] = len(tree)
        split[i, : len(tree)], value[i, : len(tree)] = np.array(tree).T
        odds += tree_values(split[i, : len(tree)], value[i, : len(tree)], states).astype(np.int32)


def tree_values(split: Nodes, value: Nodes, bits: Bits) -> Counts:
    """(n,) what a tree adds to the log-odds of rows (n, features)."""
    inner: Counts = np.cumsum(split >= 0) - (split >= 0)  # inner vertices before each
    found = np.empty(len(bits), np.int64)
    for i, row in enumerate(bits):
        t = 0
        while split[t] >= 0:
            t = 1 + 2 * inner[t] + row[split[t]]
        found[i] = value[t]
    return found


def tied_node(tied: TiedLayer, node: int, states: States) -> Counts:
    """(n,) integer log-odds of a node."""
    channel = node // tied.n_positions
    bits = features_of(tied.causal, states, node)
    odds = np.full(len(states), tied.base[channel], np.int64)
    for tree in range(tied.begin[channel], tied.begin[channel + 1]):
        vertices = slice(tied.tree_begin[tree], tied.tree_begin[tree + 1])
        odds += tree_values(tied.split[vertices], tied.value[vertices], bits)
    if tied.corrections is not None:
        odds += node_log_odds(tied.corrections, node, states)
    return odds


def tied_possible(tied: TiedLayer, node: int, states: States) -> Bits:
    """(n,) whether the node can be 1."""
    below = node - tied.n_positions
    return states[:, below] > 0 if tied.nested and below >= 0 else np.ones(len(states), bool)


def tied_probability(tied: TiedLayer, node: int, states: States) -> Reals:
    """(n,) probability of 1 given the earlier nodes."""
    x = tied_node(tied, node, states) / LOG_ODDS_ONE
    e = exp_negative(-np.abs(x))
    return np.where(tied_possible(tied, node, states), np.where(x < 0, e, 1.0) / (1 + e), 0.0)


def tied_log_odds(tied: TiedLayer, planes: Planes, n_images: int, odds: Nodes, num_threads: int = 1) -> None:
    """odds (n_images, nodes)."""
    states = unpacked(planes, n_images)
    for node in range(tied.n_nodes):
        odds[:, node] = tied_node(tied, node, states)


def tied_score_nodes(
    tied: TiedLayer, planes: Planes, n_images: int, kind: int, contributions: Reals, num_threads: int = 1
) -> None:
    """contributions[i, v]: log-probability, surprise or variance."""
    if kind not in (LOG_PROBABILITY, SURPRISE, VARIANCE):
        raise ValueError(f"kind: {kind}")
    states = unpacked(planes, n_images)
    for node in range(tied.n_nodes):
        odds = tied_node(tied, node, states)
        contributions[:, node] = values_of(odds, states[:, node], tied_possible(tied, node, states), kind)


def tied_score_images(
    tied: TiedLayer, planes: Planes, n_images: int, kind: int, scores: Reals, num_threads: int = 1
) -> None:
    """scores[i]: sum over nodes."""
    contributions = np.empty((n_images, tied.n_nodes))
    tied_score_nodes(tied, planes, n_images, kind, contributions)
    scores[:] = contributions.sum(axis=1)


def tied_sample(tied: TiedLayer, seed: int, clamped: States | None, states: States, num_threads: int = 1) -> None:
    """Draws every node that is not clamped; states (n_chains, nodes) uint8, in and out."""
    for step, node in enumerate(raster_nodes(tied)):
        if clamped is None or not clamped[node]:
            u = uniforms_of_step(seed, ANCESTRAL, len(states), step)
            states[:, node] = u < tied_probability(tied, node, states)


def tied_inpaint(
    tied: TiedLayer, seed: int, known: States, states: States, weight: Reals, num_threads: int = 1
) -> float:
    """The particle filter over tied trees."""
    return particle_filter(tied, lambda node, s: tied_probability(tied, node, s), seed, known, states, weight)
