# SPDX-License-Identifier: BSD-3-Clause
"""Trees: the engine equals its NumPy twin on random problems, on every instruction set and thread count.

Trees, counts, probabilities, sums of the same values in the same order and samples must be the same to the last bit;
logarithms agree to rounding.
"""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbn.cpd.tree import MAX_LEAVES, TreeLayer
from helpers.engines import PATHS, TWIN

THREADS = (1, 2, 3, 7)
EVERY_PATH = [(path, threads) for path in PATHS for threads in THREADS]


def assert_same_trees(found, expected):
    for name in ("begin", "split", "child", "required"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def earlier_nodes(channels, positions):
    """The nodes before every node: rows, columns, channels."""
    order = [channel * positions + position for position in range(positions) for channel in range(channels)]
    return {node: order[:place] for place, node in enumerate(order)}


def planted(rng, order, n, n_nodes, share):
    """Every node is a noisy function of two earlier ones, so that there is something to find; others are constant."""
    states = (rng.random((n, n_nodes)) < share).astype(np.uint8)
    for before, node in pairwise(order):
        if rng.random() < 0.7:
            other = order[rng.integers(0, order.index(node))]
            clean = states[:, before] & states[:, other] if rng.random() < 0.5 else states[:, before] ^ states[:, other]
            states[:, node] = np.where(rng.random(n) < 0.2, states[:, node], clean)
        elif rng.random() < 0.2:
            states[:, node] = rng.integers(0, 2)
    return states


@st.composite
def problems(draw, max_images=520, codes=True):
    """Shape, images, candidates in any order, required nodes or None."""
    shape = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 5))
    edges = [n for n in (63, 64, 65, 129, 511, 512, 513) if n <= max_images]
    n = draw(st.one_of(st.integers(1, 40), st.sampled_from(edges)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    positions, n_nodes = shape[1] * shape[2], shape[0] * shape[1] * shape[2]
    earlier = earlier_nodes(shape[0], positions)
    order = sorted(earlier, key=lambda node: len(earlier[node]))
    if codes and draw(st.booleans()):
        levels = rng.integers(0, shape[0] + 1, (n, positions)) * (rng.random((n, positions)) < 0.6)
        states = np.concatenate([levels > t for t in range(shape[0])], axis=1).astype(np.uint8)
        required = (np.arange(n_nodes) - positions).clip(-1).astype(np.int32)
    else:
        states, required = planted(rng, order, n, n_nodes, draw(st.sampled_from([0.05, 0.5, 0.9]))), None
    most = draw(st.sampled_from([0, 1, 5, 40]))
    lists = [rng.permutation(earlier[node])[:most] for node in range(n_nodes)]
    begin = np.cumsum([0, *map(len, lists)]).astype(np.int64)
    return shape, n, states, (begin, np.concatenate(lists).astype(np.int32)), required, rng


GROWTH = st.fixed_dictionaries({
    "penalty": st.sampled_from([0.0, 0.1, 0.5, 3.0]), "max_leaves": st.sampled_from([2, 3, 8, 100]),
    "min_leaf": st.sampled_from([1, 2, 9]),
})  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(problems(), GROWTH)
def test_growth_and_counts(problem, options):
    shape, n, states, candidate, required, _ = problem
    if required is None and options["max_leaves"] == 3:
        options = options | {"max_leaves": 1}
    planes = TWIN.planes(states, [0])
    trees, counts = TWIN.grow(shape, planes, n, *candidate, required, **options)
    TWIN.trees_check(trees)
    TWIN.tree_counts_check(trees, counts, n)
    np.testing.assert_array_equal(TWIN.tree_counts(trees, planes, n), counts)
    for path, threads in EVERY_PATH:
        found, found_counts = path.grow(shape, planes, n, *candidate, required, **options, threads=threads)
        assert_same_trees(found, trees)
        np.testing.assert_array_equal(found_counts, counts)
        np.testing.assert_array_equal(path.tree_counts(trees, planes, n, threads), counts)
    PATHS[0].trees_check(trees)
    PATHS[0].tree_counts_check(trees, counts, n)
    np.testing.assert_allclose(PATHS[0].tree_bic(trees, counts), TWIN.tree_bic(trees, counts), rtol=1e-12, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(problems(), GROWTH, st.sampled_from([1e-9, 0.5, 1e4]), st.sampled_from([1e-9, 1.0, 1e4]), st.booleans())
def test_tables_and_scores(problem, options, pseudocount, shrinkage, leave_one_out):
    shape, n, states, candidate, required, _ = problem
    planes = TWIN.planes(states, [0])
    trees, counts = PATHS[0].grow(shape, planes, n, *candidate, required, **options)
    expected = TWIN.tree_probability(trees, counts, pseudocount, shrinkage)
    for path, threads in EVERY_PATH:
        np.testing.assert_array_equal(path.tree_probability(trees, counts, pseudocount, shrinkage, threads), expected)
    for kind in range(4):
        arguments = trees, counts, kind, pseudocount, shrinkage, leave_one_out
        values = PATHS[0].tree_values(*arguments)
        np.testing.assert_allclose(values, TWIN.tree_values(*arguments), rtol=1e-9, atol=1e-7)
        scores = TWIN.tree_scores(trees, planes, n, values)
        contributions = TWIN.tree_contributions(trees, planes, n, values)
        for path, threads in EVERY_PATH:
            np.testing.assert_array_equal(path.tree_values(*arguments, threads), values)
            np.testing.assert_array_equal(path.tree_scores(trees, planes, n, values, threads), scores)
            np.testing.assert_array_equal(path.tree_contributions(trees, planes, n, values, threads), contributions)


@settings(max_examples=25, deadline=None)
@given(problems(max_images=70), GROWTH, st.integers(0, 2**64 - 1), st.integers(1, 140), st.integers(0, 2**40))
def test_samplers(problem, options, seed, n_chains, first_step):
    shape, n, states, candidate, required, rng = problem
    n_nodes = states.shape[1]
    trees, counts = PATHS[0].grow(shape, TWIN.planes(states, [0]), n, *candidate, required, **options)
    probability = TWIN.tree_probability(trees, counts)
    clamped = (rng.random(n_nodes) < 0.3).astype(np.uint8)
    start = (rng.random((n_chains, n_nodes)) < 0.5).astype(np.uint8)
    sites = rng.permutation(n_nodes)[: max(1, n_nodes // 2)].astype(np.int64)
    drawn = TWIN.tree_ancestral(trees, probability, seed, start, clamped)
    free = TWIN.tree_ancestral(trees, probability, seed, start)
    flipped = TWIN.tree_gibbs(trees, probability, seed, first_step, 23, sites, start)
    for path, threads in EVERY_PATH:
        np.testing.assert_array_equal(path.tree_ancestral(trees, probability, seed, start, clamped, threads), drawn)
        np.testing.assert_array_equal(path.tree_ancestral(trees, probability, seed, start, threads=threads), free)
        gibbs = path.tree_gibbs(trees, probability, seed, first_step, 23, sites, start, threads)
        np.testing.assert_array_equal(gibbs, flipped)


def random_trees(rng, n_nodes, n_leaves):
    """Trees of any shape over a row of nodes, nodes that decide twice on one way included; counts of no images."""
    sizes, splits = [1], [[-1]]
    for node in range(1, n_nodes):
        inner = np.zeros(2 * n_leaves - 1, bool)
        open_vertices = 1  # numbered and not yet seen
        left = n_leaves - 1
        for t in range(2 * n_leaves - 1):
            inner[t] = left > 0 and (open_vertices == 1 or rng.random() < 0.6)
            open_vertices += 1 if inner[t] else -1
            left -= inner[t]
            if open_vertices == 0:
                break
        splits.append(np.where(inner[: t + 1], rng.integers(0, node, t + 1), -1))
        sizes.append(t + 1)
    begin = np.cumsum([0, *sizes])
    return TreeLayer(1, 1, n_nodes, begin, np.concatenate(splits).astype(np.int32), np.full(n_nodes, -1, np.int32))


@pytest.mark.parametrize("n_leaves", [8, 16, 17, 128, 129, 600, MAX_LEAVES])
def test_trees_of_any_size(n_leaves):
    """Beyond what a register, a byte and a stack of sets hold."""
    rng = np.random.default_rng(n_leaves)
    trees = random_trees(rng, 6, n_leaves)
    assert np.diff(trees.begin).max() == 2 * n_leaves - 1
    states = (rng.random((700, 6)) < 0.5).astype(np.uint8)
    planes = TWIN.planes(states, [0])
    TWIN.trees_check(trees)
    counts, values = TWIN.tree_counts(trees, planes, 700), rng.normal(size=(len(trees.split), 2))
    scores = TWIN.tree_scores(trees, planes, 700, values)
    p = rng.random(len(trees.split))
    probability = np.stack([1 - p, p], axis=1)
    drawn = TWIN.tree_ancestral(trees, probability, 5, states[:70])
    flipped = TWIN.tree_gibbs(trees, probability, 5, 0, 9, np.arange(6), states[:70])
    for path in PATHS:
        np.testing.assert_array_equal(path.tree_counts(trees, planes, 700, 2), counts)
        np.testing.assert_array_equal(path.tree_scores(trees, planes, 700, values, 2), scores)
        np.testing.assert_array_equal(path.tree_ancestral(trees, probability, 5, states[:70]), drawn)
        np.testing.assert_array_equal(path.tree_gibbs(trees, probability, 5, 0, 9, np.arange(6), states[:70]), flipped)


def test_growth_of_many_images():
    """Several blocks of words, a tail; more candidates than are counted together."""
    rng = np.random.default_rng(1)
    states = planted(rng, list(range(20)), 4500, 20, 0.4)
    planes = TWIN.planes(states, [0])
    begin = np.cumsum([0, *range(20)]).astype(np.int64)
    candidate = np.concatenate([np.arange(v) for v in range(20)]).astype(np.int32)
    problem, options = ((1, 4, 5), planes, 4500, begin, candidate), {"penalty": 0.2, "max_leaves": 60}
    trees, counts = TWIN.grow(*problem, **options)
    assert trees.n_leaves > 90
    for path in PATHS:
        found, found_counts = path.grow(*problem, **options, threads=2)
        assert_same_trees(found, trees)
        np.testing.assert_array_equal(found_counts, counts)
        np.testing.assert_array_equal(path.tree_counts(trees, planes, 4500, 2), counts)
