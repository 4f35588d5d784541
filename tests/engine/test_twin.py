# SPDX-License-Identifier: BSD-3-Clause
"""The engine equals its NumPy twin on random layers and images, on every instruction set and thread count.

Integers, packed words and samples must be the same to the last bit; sums of the same values in the same order too;
tables of logarithms agree to rounding.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbn.cpd.grid import Layer, Relation, pixel_layer
from helpers.engines import PATHS, TWIN

THREADS = (1, 2, 3, 7)
KINDS = range(4)


@st.composite
def layers(draw, max_parents=8):
    """Any acyclic layer: several channels, relations at any earlier place, far ones included."""
    channels, height, width = draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(1, 9))
    relations = []
    for child in range(channels):
        earlier = [(p, -dy, dx) for p in range(channels) for dy in (1, 2) for dx in (-2, -1, 0, 1, 2)]
        earlier += [(p, 0, -dx) for p in range(channels) for dx in (1, 2)]
        earlier += [(p, 0, 0) for p in range(child)]
        chosen = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=max_parents))
        relations += [Relation(child, *place) for place in chosen]
    return Layer(channels, height, width, tuple(relations))


@st.composite
def problems(draw, **sizes):
    """A layer and random states of all its nodes, leaning so that tables fill unevenly."""
    layer = draw(layers(**sizes))
    n = draw(st.one_of(st.integers(1, 40), st.sampled_from([63, 64, 65, 127, 128, 129, 511, 512, 513])))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    share = draw(st.sampled_from([0.0, 0.05, 0.5, 0.9, 1.0]))
    return layer, n, (rng.random((n, layer.n_nodes)) < share).astype(np.uint8), rng


def every_path():
    return [(path, threads) for path in PATHS for threads in THREADS]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.integers(1, 150), st.integers(0, 255), st.integers(0, 2**32))
def test_pack_and_unpack(n, n_pixels, cutoff, seed):
    images = np.random.default_rng(seed).integers(0, 256, (n, n_pixels), dtype=np.uint8)
    expected = TWIN.planes(images, [cutoff])
    for path, threads in every_path():
        planes = path.planes(images, [cutoff], threads)
        np.testing.assert_array_equal(planes, expected)
        np.testing.assert_array_equal(path.states(planes, n, threads), images > cutoff)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(1, 20), st.sampled_from([0.0, 0.02, 0.5, 0.9, 1.0]), st.integers(0, 2**32))
def test_planes_of_some_images(n, n_nodes, share, seed):
    rng = np.random.default_rng(seed)
    states = rng.integers(0, 2, (n, n_nodes), dtype=np.uint8)
    keep = (rng.random(n) < share).astype(np.uint8) * rng.integers(1, 256, dtype=np.uint8)
    keep[rng.integers(n)] = 1
    planes = TWIN.planes(states, [0])
    expected = TWIN.planes(states[keep != 0], [0])
    np.testing.assert_array_equal(TWIN.selected(planes, n, keep), expected)
    for path, threads in every_path():
        np.testing.assert_array_equal(path.selected(planes, n, keep, threads), expected)


def test_folds_come_from_the_planes_of_all_images():
    """Enough words that threads share the nodes and that the squeezing works in several pieces."""
    rng = np.random.default_rng(5)
    n, n_nodes = 9001, 500
    states = rng.integers(0, 2, (n, n_nodes), dtype=np.uint8)
    planes = PATHS[0].planes(states, [0])
    folds = rng.permutation(n) % 5
    for fold in range(5):
        for keep in (folds == fold, folds != fold):
            expected = PATHS[0].planes(states[keep], [0])
            for path in PATHS:
                np.testing.assert_array_equal(path.selected(planes, n, keep.view(np.uint8), 3), expected)


@settings(max_examples=50, deadline=None)
@given(problems())
def test_counts_and_bic(problem):
    layer, n, states, _ = problem
    planes = TWIN.planes(states, [0])
    expected = TWIN.counts(layer, planes, n)
    for path, threads in every_path():
        np.testing.assert_array_equal(path.counts(layer, planes, n, threads), expected)
    TWIN.check(layer, expected, n)
    PATHS[0].check(layer, expected, n)
    np.testing.assert_allclose(PATHS[0].bic(layer, expected), TWIN.bic(layer, expected), rtol=1e-12, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(problems(), st.sampled_from([1e-9, 0.5, 1.0, 1e4]), st.booleans())
def test_tables_and_scores(problem, pseudocount, leave_one_out):
    layer, n, states, _ = problem
    planes = TWIN.planes(states, [0])
    counts = TWIN.counts(layer, planes, n)
    np.testing.assert_array_equal(
        PATHS[0].probability(layer, counts, pseudocount), TWIN.probability(layer, counts, pseudocount)
    )
    for kind in KINDS:
        table = PATHS[0].values(layer, counts, kind, pseudocount, leave_one_out)
        expected = TWIN.values(layer, counts, kind, pseudocount, leave_one_out)
        np.testing.assert_allclose(table, expected, rtol=1e-9, atol=1e-9)
        scores, contributions = TWIN.scores(layer, planes, n, table), TWIN.contributions(layer, planes, n, table)
        for path, threads in every_path():
            same_table = path.values(layer, counts, kind, pseudocount, leave_one_out, threads)
            np.testing.assert_array_equal(same_table, table)
            np.testing.assert_array_equal(path.scores(layer, planes, n, table, threads), scores)
            np.testing.assert_array_equal(path.contributions(layer, planes, n, table, threads), contributions)


@settings(max_examples=25, deadline=None)
@given(problems(max_parents=5), st.integers(0, 2**64 - 1), st.integers(1, 70), st.integers(0, 2**40))
def test_samplers(problem, seed, n_chains, first_step):
    layer, n, states, rng = problem
    probability = TWIN.probability(layer, TWIN.counts(layer, TWIN.planes(states, [0]), n))
    clamped = (rng.random(layer.n_nodes) < 0.3).astype(np.uint8)
    start = (rng.random((n_chains, layer.n_nodes)) < 0.5).astype(np.uint8)
    sites = rng.permutation(layer.n_nodes)[: max(1, layer.n_nodes // 2)].astype(np.int64)
    drawn = TWIN.ancestral(layer, probability, seed, start, clamped)
    flipped = TWIN.gibbs(layer, probability, seed, first_step, 23, sites, start)
    for path, threads in every_path():
        np.testing.assert_array_equal(path.ancestral(layer, probability, seed, start, clamped, threads), drawn)
        np.testing.assert_array_equal(
            path.gibbs(layer, probability, seed, first_step, 23, sites, start, threads), flipped
        )


@pytest.mark.parametrize("n_parents", [5, 6, 7, 8, 12, 16])
def test_wide_tables(n_parents):
    """Tables beyond the register and byte paths of the kernels."""
    places = [(dy, dx) for dy in (-1, -2, -3) for dx in range(-3, 4)][:n_parents]
    layer = pixel_layer(5, 5, places)
    states = (np.random.default_rng(n_parents).random((700, layer.n_nodes)) < 0.4).astype(np.uint8)
    planes = TWIN.planes(states, [0])
    counts = TWIN.counts(layer, planes, 700)
    values = np.random.default_rng(0).normal(size=(layer.n_rows, 2))
    scores = TWIN.scores(layer, planes, 700, values)
    for path in PATHS:
        np.testing.assert_array_equal(path.counts(layer, planes, 700, 2), counts)
        np.testing.assert_array_equal(path.scores(layer, planes, 700, values, 2), scores)


def test_many_children_do_not_underflow():
    """A node whose flip multiplies dozens of tiny probabilities still gets its exact odds."""
    channels = 60
    relations = tuple(Relation(c, 0, 0, 0) for c in range(1, channels))
    layer = Layer(channels, 1, 1, relations)
    states = np.zeros((1, channels), np.uint8)
    counts = TWIN.counts(layer, TWIN.planes(states, [0]), 1)
    counts *= 10**8  # p(child = 1 | 0) is 1e-8, against 1/2 for a parent that is 1
    probability = TWIN.probability(layer, counts)
    start = np.ones((40, channels), np.uint8)
    start[:, 0] = 0
    sites = np.zeros(1, np.int64)
    expected = TWIN.gibbs(layer, probability, 3, 0, 1, sites, start)
    # all children are 1: odds of (1e8)^59 / 2^59 for the parent to be 1, times its own 1e-8
    np.testing.assert_array_equal(expected, np.ones_like(start))
    for path in PATHS:
        np.testing.assert_array_equal(path.gibbs(layer, probability, 3, 0, 1, sites, start), expected)
