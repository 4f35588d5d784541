# SPDX-License-Identifier: BSD-3-Clause
"""Samplers under trees against the enumerated distribution of small networks. On the twin and on every path."""

import itertools

import numpy as np
import pytest
from scipy.stats import chisquare

from cbn.cpd.candidates import candidates
from cbn.cpd.grid import Grid, Layer, Relation
from helpers.engines import ALL, PATHS
from reference import LOG_PROBABILITY

pytestmark = pytest.mark.parametrize("engine", ALL, ids=repr)
CODES = np.array([-1, -1, -1, -1, 0, 1, 2, 3], np.int32)  # 2 x 2 pixels with two thresholds


def network(engine, codes=False):
    """Trees over 2 x 3 pixels, or 2 x 2 grey pixels of two thresholds, grown deep on images that hang together."""
    rng = np.random.default_rng(8)
    if codes:
        shape, required = (2, 2, 2), CODES
        levels = (rng.integers(0, 3, (90, 1)) + (rng.random((90, 4)) < 0.4)).clip(0, 2)
        states = np.concatenate([levels > 0, levels > 1], axis=1).astype(np.uint8)
    else:
        shape, required = (1, 2, 3), None
        states = (np.repeat(rng.random((90, 1)) < 0.5, 6, axis=1) ^ (rng.random((90, 6)) < 0.25)).astype(np.uint8)
    begin, candidate = candidates(Grid(*shape), 1, 2)
    trees, counts = engine.grow(
        shape, engine.planes(states, [0]), len(states), begin, candidate, required, penalty=0, max_leaves=12
    )
    assert trees.n_leaves > 20
    return trees, counts


def distribution(engine, trees, counts):
    """All images and their probabilities."""
    every = np.array(list(itertools.product((0, 1), repeat=len(trees.begin) - 1)), np.uint8)
    values = engine.tree_values(trees, counts, LOG_PROBABILITY)
    return every, np.exp(engine.tree_scores(trees, engine.planes(every, [0]), len(every), values))


def observed(states):
    weights = 1 << np.arange(states.shape[1])[::-1]
    return np.bincount(states.astype(np.int64) @ weights, minlength=1 << states.shape[1])


def fit(states, p):
    """p-value of the sample against a distribution over all images; 0 where an impossible one was drawn."""
    found, expected = observed(states), len(states) * p / p.sum()
    if found[expected == 0].any():
        return 0.0
    rare = expected < 5  # one class for all that chi-square cannot take one by one
    found, expected = ([*array[~rare], array[rare].sum()] for array in (found, expected))
    return chisquare(found, expected).pvalue if expected[-1] else chisquare(found[:-1], expected[:-1]).pvalue


def n_chains(engine):
    return 1500 if engine.name == "twin" else 10000


@pytest.mark.parametrize("codes", [False, True])
def test_ancestral_samples_follow_the_distribution(engine, codes):
    trees, counts = network(engine, codes)
    every, p = distribution(engine, trees, counts)
    start = np.zeros((n_chains(engine), every.shape[1]), np.uint8)
    drawn = engine.tree_ancestral(trees, engine.tree_probability(trees, counts), 17, start)
    assert fit(drawn, p) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("codes", [False, True])
def test_gibbs_samples_follow_the_distribution(engine, codes):
    trees, counts = network(engine, codes)
    every, p = distribution(engine, trees, counts)
    sites = np.arange(every.shape[1])
    start = np.zeros((n_chains(engine), every.shape[1]), np.uint8)
    n_steps = 250 if not codes else 4000 if engine in PATHS else 400  # codes move slowly, and many chains see it
    drawn = engine.tree_gibbs(trees, engine.tree_probability(trees, counts), 21, 0, n_steps, sites, start)
    assert fit(drawn, p) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    "codes, known, sites",
    [(False, {0: 1, 4: 0}, [1, 2, 3, 5]), (True, {0: 1, 2: 1, 3: 0, 7: 0}, [1, 4, 5, 6])],
)
def test_clamped_gibbs_follows_the_conditional_distribution(engine, codes, known, sites):
    """Nodes are known before and after the free ones in raster order."""
    trees, counts = network(engine, codes)
    every, p = distribution(engine, trees, counts)
    start = np.zeros((n_chains(engine), every.shape[1]), np.uint8)
    for node, state in known.items():
        p = np.where(every[:, node] == state, p, 0)
        start[:, node] = state
    drawn = engine.tree_gibbs(trees, engine.tree_probability(trees, counts), 5, 0, 200, np.array(sites), start)
    assert fit(drawn, p) > 1e-3
    clamped = np.isin(np.arange(every.shape[1]), list(known)).astype(np.uint8)
    raster = engine.tree_ancestral(trees, engine.tree_probability(trees, counts), 5, start, clamped)
    assert fit(raster, p) < 1e-3  # one raster pass does not look ahead


@pytest.mark.slow
def test_the_test_can_fail(engine):
    """Samples of a slightly different network are told apart, so the tests above have power."""
    trees, counts = network(engine)
    every, p = distribution(engine, trees, counts)
    other = engine.tree_probability(trees, counts, shrinkage=30.0)
    start = np.zeros((n_chains(engine), every.shape[1]), np.uint8)
    assert fit(engine.tree_ancestral(trees, other, 17, start), p) < 1e-6
    assert fit(engine.tree_gibbs(trees, other, 21, 0, 300, np.arange(6), start), p) < 1e-6


def test_impossible_codes_are_never_drawn(engine):
    """From a legal start; a site of which both states are impossible becomes 0."""
    trees, counts = network(engine, codes=True)
    probability = engine.tree_probability(trees, counts)
    assert (probability[trees.begin[4:8] + 1, 1] == 0).all()
    start = np.ones((70, 8), np.uint8)
    drawn = engine.tree_gibbs(trees, probability, 1, 0, 100, np.arange(8), start)
    assert (drawn[:, :4] >= drawn[:, 4:]).all() and not drawn.all()
    pinned = engine.tree_gibbs(trees, probability, 1, 0, 40, np.array([0, 1, 2, 3]), start)
    np.testing.assert_array_equal(pinned, start)  # a high threshold that stays above needs the lower one
    start[:, 0] = 0  # illegal: the site 4 is 1 above a required 0
    still = engine.tree_gibbs(trees, probability, 1, 0, 1, np.array([4]), start)
    assert not still[:, 4].any()


def test_calls_can_be_split(engine):
    trees, counts = network(engine)
    probability = engine.tree_probability(trees, counts)
    start = np.zeros((70, 6), np.uint8)
    sites = np.array([5, 0, 3])
    whole = engine.tree_gibbs(trees, probability, 4, 5, 101, sites, start, 1)
    parts = start
    for first, n, threads in [(5, 2, 2), (7, 0, 1), (7, 98, 3), (105, 1, 2)]:
        parts = engine.tree_gibbs(trees, probability, 4, first, n, sites, parts, threads)
    np.testing.assert_array_equal(parts, whole)
    np.testing.assert_array_equal(whole[:, [1, 2, 4]], start[:, [1, 2, 4]])
    few = engine.tree_gibbs(trees, probability, 4, 5, 101, sites, start[:3])
    np.testing.assert_array_equal(few, whole[:3])  # a chain does not depend on how many there are


def test_same_as_tables_where_trees_are_tables(engine):
    """A full tree is a table: the same probabilities give the same bytes, from the same random numbers."""
    layer = Layer(1, 1, 3, (Relation(0, 0, 0, -1),))
    states = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1]] * 9, np.uint8)
    planes = engine.planes(states, [0])
    # only the left neighbour may decide, at no price
    trees, _ = engine.grow(
        (1, 1, 3), planes, 45, np.array([0, 0, 1, 2]), np.array([0, 1], np.int32), penalty=0, max_leaves=2
    )
    assert trees.n_leaves == 5
    table = engine.probability(layer, engine.counts(layer, planes, 45))
    probability = np.full((len(trees.split), 2), np.nan)
    probability[trees.split < 0] = table[[0, 2, 3, 4, 5]]
    start = np.zeros((200, 3), np.uint8)
    drawn = engine.ancestral(layer, table, 3, start)
    np.testing.assert_array_equal(engine.tree_ancestral(trees, probability, 3, start), drawn)
    sites = np.arange(3)
    flipped = engine.gibbs(layer, table, 3, 0, 60, sites, drawn)
    np.testing.assert_array_equal(engine.tree_gibbs(trees, probability, 3, 0, 60, sites, drawn), flipped)


def test_many_dependents_do_not_underflow(engine):
    """A node whose flip multiplies dozens of tiny probabilities still gets its exact odds."""
    if engine not in PATHS:
        pytest.skip("the twin is compared with the engine elsewhere")
    n_nodes = 80
    begin = np.cumsum([0, 0, *np.ones(n_nodes - 1, int)]).astype(np.int64)
    copies = np.repeat(np.array([[0], [1]], np.uint8), n_nodes, axis=1)
    planes = engine.planes(copies, [0])
    trees, counts = engine.grow((n_nodes, 1, 1), planes, 2, begin, np.zeros(n_nodes - 1, np.int32), penalty=0)
    assert trees.n_leaves == 2 * n_nodes - 1
    probability = engine.tree_probability(trees, counts * 10**14, 1e-9, 1e-9)  # 1e-12 each: 1e-948 in all
    for state in (0, 1):
        start = np.full((40, n_nodes), state, np.uint8)
        start[:, 0] = 1 - state
        drawn = engine.tree_gibbs(trees, probability, 3, 0, 1, np.zeros(1, np.int64), start)
        assert (drawn == state).all()
