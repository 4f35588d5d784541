# SPDX-License-Identifier: BSD-3-Clause
"""Values known without the engine: a network small enough to enumerate, worked by hand. On the twin and on every path."""

import itertools

import numpy as np
import pytest
from scipy.stats import chisquare

from cbn.cpd.grid import Layer, Relation, pixel_layer
from helpers.engines import ALL
from reference import LOG_PROBABILITY, NORMALIZED, SURPRISE, VARIANCE

THESIS_OFFSETS = ((-1, -1), (-1, 0), (-1, 1), (0, -1))
pytestmark = pytest.mark.parametrize("engine", ALL, ids=repr)


def two_pixels():
    """One row of two pixels, the left one the parent. 5 images: 00, 00, 01, 10, 11."""
    layer = Layer(1, 1, 2, (Relation(0, 0, 0, -1),))
    return layer, np.array([[0, 0], [0, 0], [0, 1], [1, 0], [1, 1]], np.uint8)


def all_images(n_nodes):
    return np.array(list(itertools.product((0, 1), repeat=n_nodes)), np.uint8)


def fitted(engine, layer, states):
    planes = engine.planes(states, [0])
    return planes, engine.counts(layer, planes, len(states))


def test_counts_and_probabilities_by_hand(engine):
    layer, states = two_pixels()
    _, counts = fitted(engine, layer, states)
    # left pixel: its parent is absent, so only row 0; right pixel: rows 0 and 1
    np.testing.assert_array_equal(counts, [[3, 2], [0, 0], [2, 1], [1, 1]])
    np.testing.assert_allclose(
        engine.probability(layer, counts, 1.0), [[4 / 7, 3 / 7], [1 / 2, 1 / 2], [3 / 5, 2 / 5], [1 / 2, 1 / 2]]
    )


def test_values_by_hand(engine):
    layer, states = two_pixels()
    _, counts = fitted(engine, layer, states)
    log = np.log
    h = -(0.6 * log(0.6) + 0.4 * log(0.4))
    assert engine.values(layer, counts, LOG_PROBABILITY)[2] == pytest.approx([log(0.6), log(0.4)], abs=1e-12)
    assert engine.values(layer, counts, SURPRISE)[2] == pytest.approx([-log(0.6) - h, -log(0.4) - h], abs=1e-12)
    variance = 0.24 * (log(0.6) - log(0.4)) ** 2
    assert engine.values(layer, counts, VARIANCE)[2] == pytest.approx([variance, variance], abs=1e-12)
    # right pixel over the five images: -log p is a twice, b once (row 0), c twice (row 1)
    a, b, c = -log(0.6), -log(0.4), -log(0.5)
    mean = (2 * a + b + 2 * c) / 5
    std = np.sqrt((2 * (a - mean) ** 2 + (b - mean) ** 2 + 2 * (c - mean) ** 2) / 5)
    assert engine.values(layer, counts, NORMALIZED)[2] == pytest.approx(
        [abs(a - mean) / std, abs(b - mean) / std], abs=1e-9
    )
    # without itself, the image 01 sees counts (2, 0) in row 0: p(1) = 1/4
    left_out = engine.values(layer, counts, LOG_PROBABILITY, leave_one_out=True)
    assert left_out[2] == pytest.approx([log(2 / 4), log(1 / 4)], abs=1e-12)


def test_bic_by_hand(engine):
    layer, states = two_pixels()
    _, counts = fitted(engine, layer, states)
    likelihood = 3 * np.log(3 / 5) + 2 * np.log(2 / 5) + 2 * np.log(2 / 3) + np.log(1 / 3) + 2 * np.log(1 / 2)
    found, n_parameters, bic = engine.bic(layer, counts)
    assert n_parameters == 3  # left pixel 1, right pixel 2
    assert found == pytest.approx(likelihood, abs=1e-12)
    assert bic == pytest.approx(3 * np.log(5) - 2 * likelihood, abs=1e-12)


@pytest.mark.parametrize("shape", [(2, 3), (3, 3), (1, 5), (4, 1)])
def test_probabilities_sum_to_one(engine, shape):
    layer = pixel_layer(*shape, THESIS_OFFSETS)
    states = (np.random.default_rng(1).random((37, layer.n_nodes)) < 0.4).astype(np.uint8)
    _, counts = fitted(engine, layer, states)
    every = all_images(layer.n_nodes)
    values = engine.values(layer, counts, LOG_PROBABILITY)
    scores = engine.scores(layer, engine.planes(every, [0]), len(every), values)
    assert np.exp(scores).sum() == pytest.approx(1, abs=1e-12)
    # the expected surprise is 0 and its variance the sum of the nodes' variances, by definition
    surprise = engine.scores(layer, engine.planes(every, [0]), len(every), engine.values(layer, counts, SURPRISE))
    variance = engine.scores(layer, engine.planes(every, [0]), len(every), engine.values(layer, counts, VARIANCE))
    assert np.exp(scores) @ surprise == pytest.approx(0, abs=1e-10)
    assert np.exp(scores) @ surprise**2 == pytest.approx(np.exp(scores) @ variance, rel=1e-10)


def test_thermometer_is_normalized_over_grey_levels(engine):
    """Two thresholds: codes with the upper bit alone have probability 0, the others sum to 1."""
    layer = pixel_layer(2, 2, ((-1, 0), (0, -1)), 2)
    levels = np.random.default_rng(2).integers(0, 3, (50, 4))
    states = np.concatenate([levels > 0, levels > 1], axis=1).astype(np.uint8)
    _, counts = fitted(engine, layer, states)
    engine.check(layer, counts, 50)
    every = all_images(8)
    valid = (every[:, :4] >= every[:, 4:]).all(axis=1)
    values = engine.values(layer, counts, LOG_PROBABILITY)
    p = np.exp(engine.scores(layer, engine.planes(every, [0]), len(every), values))
    assert valid.sum() == 3**4
    assert p[valid].sum() == pytest.approx(1, abs=1e-12)
    assert (p[~valid] == 0).all()
    drawn = engine.ancestral(layer, engine.probability(layer, counts), 5, np.zeros((300, 8), np.uint8))
    assert (drawn[:, :4] >= drawn[:, 4:]).all()
    # free parameters: lower channel 1 + 2 + 2 + 4 rows, upper ones the same (rows with the lower bit 0 are fixed)
    assert engine.bic(layer, counts)[1] == 18


def chain_distribution(engine, layer, counts):
    every = all_images(layer.n_nodes)
    values = engine.values(layer, counts, LOG_PROBABILITY)
    return every, np.exp(engine.scores(layer, engine.planes(every, [0]), len(every), values))


def observed(states):
    weights = 1 << np.arange(states.shape[1])[::-1]
    return np.bincount(states.astype(np.int64) @ weights, minlength=1 << states.shape[1])


def network(engine):
    layer = pixel_layer(2, 3, THESIS_OFFSETS)
    rng = np.random.default_rng(8)
    states = np.repeat(rng.random((60, 1)) < 0.5, 6, axis=1) ^ (rng.random((60, 6)) < 0.25)
    _, counts = fitted(engine, layer, states.astype(np.uint8))
    return layer, counts


def n_chains(engine):
    return 2000 if engine.name == "twin" else 40000


def test_ancestral_samples_follow_the_distribution(engine):
    layer, counts = network(engine)
    _, p = chain_distribution(engine, layer, counts)
    n = n_chains(engine)
    drawn = engine.ancestral(layer, engine.probability(layer, counts), 17, np.zeros((n, 6), np.uint8))
    assert chisquare(observed(drawn), n * p).pvalue > 1e-3


@pytest.mark.slow
def test_gibbs_samples_follow_the_distribution(engine):
    layer, counts = network(engine)
    _, p = chain_distribution(engine, layer, counts)
    n = n_chains(engine)
    start = np.zeros((n, 6), np.uint8)
    drawn = engine.gibbs(layer, engine.probability(layer, counts), 21, 0, 300, np.arange(6), start)
    assert chisquare(observed(drawn), n * p).pvalue > 1e-3


@pytest.mark.slow
def test_clamped_gibbs_follows_the_conditional_distribution(engine):
    """Nodes 0 and 4 are known: before and after the free ones in raster order."""
    layer, counts = network(engine)
    every, p = chain_distribution(engine, layer, counts)
    known = (every[:, 0] == 1) & (every[:, 4] == 0)
    n = n_chains(engine)
    start = np.zeros((n, 6), np.uint8)
    start[:, 0] = 1
    sites = np.array([1, 2, 3, 5])
    drawn = engine.gibbs(layer, engine.probability(layer, counts), 5, 0, 200, sites, start)
    assert (drawn[:, 0] == 1).all() and (drawn[:, 4] == 0).all()
    assert chisquare(observed(drawn)[known], n * p[known] / p[known].sum()).pvalue > 1e-3


def test_the_chi_square_test_can_fail(engine):
    """Samples of another network are told apart, so the tests above have power."""
    layer, counts = network(engine)
    _, p = chain_distribution(engine, layer, counts)
    n = n_chains(engine)
    other = engine.probability(layer, counts, 30.0)
    drawn = engine.ancestral(layer, other, 17, np.zeros((n, 6), np.uint8))
    assert chisquare(observed(drawn), n * p).pvalue < 1e-6


def test_counts_add_exactly(engine):
    layer, states = two_pixels()
    _, whole = fitted(engine, layer, states)
    _, total = fitted(engine, layer, states[:2])
    _, rest = fitted(engine, layer, states[2:])
    engine.module.counts_add(rest, total)
    np.testing.assert_array_equal(total, whole)
    with pytest.raises(OverflowError):
        engine.module.counts_add(np.full((1, 2), 2**62), np.full((1, 2), 2**62))
    with pytest.raises(ValueError):
        engine.module.counts_add(np.full((1, 2), -1), np.full((1, 2), 1))


def test_impossible_counts_are_refused(engine):
    layer, states = two_pixels()
    _, counts = fitted(engine, layer, states)
    engine.check(layer, counts, 5)
    for row, state, change in [(0, 0, 1), (2, 0, -3), (1, 0, 1)]:
        damaged = counts.copy()
        damaged[row, state] += change
        with pytest.raises(ValueError):
            engine.check(layer, damaged, 5)
    moved = counts.copy()
    moved[0, 0] -= 1
    moved[1, 0] += 1  # sums fit, but the left pixel has no parent that could be 1
    with pytest.raises(ValueError):
        engine.check(layer, moved, 5)


def test_philox_known_answers(engine):
    """Random123 1.14, kat_vectors: philox4x32-10."""
    philox = engine.module.philox
    ones = 0xFFFFFFFF
    assert philox([0] * 4, [0] * 2) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    assert philox([ones] * 4, [ones] * 2) == (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)
    assert philox((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0)) == (
        0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1,
    )  # fmt: skip


def test_uniforms(engine):
    out = np.empty((4, 5000))
    engine.module.uniform(2**63 + 5, 3, 2**33, out)
    assert out.min() >= 0 and out.max() < 1
    histogram = np.histogram(out, bins=50, range=(0, 1))[0]
    assert chisquare(histogram).pvalue > 1e-3
    window = np.empty((2, 7))
    engine.module.uniform(2**63 + 5, 3, 2**33 + 11, window)
    np.testing.assert_array_equal(window, out[:2, 11:18])
