# SPDX-License-Identifier: BSD-3-Clause
"""Samples of boosted trees, and inpainting by the particle filter against enumeration of all images."""

from functools import partial

import numpy as np
import pytest
from scipy.stats import chisquare

from cbn import _engine
from cbn.bits.planes import BitPlanes
from cbn.cpd import particles
from cbn.cpd import tree as trees
from cbn.cpd.boosted import BoostedLayer
from cbn.cpd.candidates import candidates
from cbn.cpd.grid import Grid, pixel_layer
from helpers.boosted import SMALL, THREADS, all_images, call, grow, scores, small_layer, structured
from helpers.engines import ALL, PATHS, TWIN
from reference import LOG_PROBABILITY

each_engine = pytest.mark.parametrize("engine", ALL, ids=repr)


@each_engine
def test_samples_follow_the_distribution(engine):
    layer = grow(engine, (1, 2, 2), structured(150, (1, 2, 2), 3), SMALL)
    n = 4000 if engine is not TWIN else 800
    states = np.zeros((n, 4), np.uint8)
    call(engine, "boosted_sample", layer, 3, None, states)
    expected = np.exp(scores(engine, layer, all_images(4))) * n
    found = np.bincount(states @ [8, 4, 2, 1], minlength=16)
    assert chisquare(found, expected).pvalue > 0.001


def test_samples_are_the_same_everywhere():
    layer = small_layer()
    start = np.random.default_rng(0).integers(0, 2, (130, 9), dtype=np.uint8)
    clamped = (np.arange(9) % 3 == 0).astype(np.uint8)
    for mask in (None, clamped):
        expected = start.copy()
        call(TWIN, "boosted_sample", layer, 12, mask, expected)
        if mask is not None:
            np.testing.assert_array_equal(expected[:, ::3], start[:, ::3])
        for path in PATHS:
            for threads in THREADS:
                states = start.copy()
                call(path, "boosted_sample", layer, 12, mask, states, threads)
                np.testing.assert_array_equal(states, expected)
        fewer = start[:5].copy()
        call(PATHS[0], "boosted_sample", layer, 12, mask, fewer)
        np.testing.assert_array_equal(fewer, expected[:5])


def exact_posterior(layer, image, known):
    """Every completion, its posterior probability, and the log-probability of the known nodes."""
    every = all_images(layer.n_nodes)
    every = every[(every[:, known] == image[known]).all(axis=1)]
    p = np.exp(scores(TWIN, layer, every))
    return every, p / p.sum(), np.log(p.sum())


MASKS = {"before": [0, 1, 2, 3], "after": [5, 6, 7, 8], "both": [0, 4, 7, 8], "none": [], "all": list(range(9))}


@each_engine
@pytest.mark.parametrize("where", MASKS)
def test_inpainting_converges_to_the_posterior(engine, where):
    layer = small_layer(engine, seed=6)
    image = np.array([1, 0, 1, 1, 0, 1, 1, 0, 1], np.uint8)
    known = np.isin(np.arange(9), MASKS[where])
    every, p, log_marginal = exact_posterior(layer, image, known)
    n = 20000 if engine is not TWIN else 1000
    states, weight = np.repeat(image[None], n, axis=0), np.empty(n)
    found = call(engine, "boosted_inpaint", layer, 5, known.astype(np.uint8), states, weight)
    assert weight.sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_array_equal(states[:, known], np.repeat(image[None, known], n, axis=0))
    number = states @ (1 << np.arange(9))
    share = np.bincount(number, weights=weight, minlength=512)[every @ (1 << np.arange(9))]
    assert np.abs(share - p).sum() / 2 < 3.0 * np.sqrt(len(p) / n)  # total variation
    assert found == pytest.approx(log_marginal, abs=8.0 / np.sqrt(n))


def test_inpainting_is_the_same_everywhere():
    layer = small_layer(seed=6)
    image = np.array([1, 0, 1, 1, 0, 1, 1, 0, 1], np.uint8)
    known = np.isin(np.arange(9), MASKS["both"]).astype(np.uint8)
    n = 200
    expected, weight = np.repeat(image[None], n, axis=0), np.empty(n)
    log_marginal = call(TWIN, "boosted_inpaint", layer, 9, known, expected, weight)
    first = None
    for path in PATHS:
        for threads in THREADS:
            states, found = np.repeat(image[None], n, axis=0), np.empty(n)
            value = call(path, "boosted_inpaint", layer, 9, known, states, found, threads)
            np.testing.assert_array_equal(states, expected)
            np.testing.assert_allclose(found, weight, rtol=1e-9)
            assert value == pytest.approx(log_marginal, abs=1e-9)
            first = first or (value, found.tobytes())
            assert first == (value, found.tobytes())


def test_resampling_happens_and_helps():
    """A chain of nodes that follow each other; the last ones are known and unlikely: without resampling the weights
    would rest on few particles."""
    one = _engine.LOG_ODDS_ONE
    n_nodes = 12
    begin = np.array([0, *range(n_nodes)])
    layer = BoostedLayer(
        1, 1, n_nodes, begin, 3 * np.arange(n_nodes),
        np.array([[v, -1, -1] for v in range(n_nodes - 1)], np.int32).ravel(),
        np.array([[0, -one, one] for _ in range(n_nodes - 1)], np.int32).ravel(),
        np.zeros(n_nodes, np.int32), np.full(n_nodes, -1, np.int32),
    )  # fmt: skip
    image = np.tile([0, 1], n_nodes // 2).astype(np.uint8)
    known = np.arange(n_nodes) % 3 != 0
    every, p, log_marginal = exact_posterior(layer, image, known)
    inpaint = partial(_engine.boosted_inpaint, _engine.Boosted(layer))
    found = particles.posterior(inpaint, image, known, 5000, seed=1, num_threads=2)
    np.testing.assert_allclose(found.mean(), p @ every, atol=0.03)
    assert found.log_marginal == pytest.approx(log_marginal, abs=0.05)
    assert found.effective_size > 1500
    drawn = found.draw(2000, 3)
    np.testing.assert_allclose(drawn.mean(axis=0), p @ every, atol=0.05)


@each_engine
def test_impossible_images_are_refused(engine):
    layer = BoostedLayer(
        2, 1, 1, np.zeros(3, np.int64), np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.int32),
        np.zeros(2, np.int32), np.array([-1, 0], np.int32),
    )  # fmt: skip
    states, weight = np.array([[0, 1]] * 4, np.uint8), np.empty(4)
    with pytest.raises(ValueError, match="impossible"):
        call(engine, "boosted_inpaint", layer, 0, np.ones(2, np.uint8), states, weight)


@each_engine
def test_trees_inpaint_too(engine):
    states = structured(150, (1, 3, 3), 6)
    grid, planes = Grid(1, 3, 3), BitPlanes(TWIN.planes(states, [0]), 150)
    layer, counts = trees.grow(
        grid, planes, candidates(grid, 1, 3), None, penalty=0.2, max_leaves=6, min_leaf=3, num_threads=1,
    )  # fmt: skip
    wrapped = _engine.Trees(layer)
    probability, values = np.empty(counts.shape), np.empty(counts.shape)
    _engine.tree_probability(wrapped, counts, 1.0, 1.0, probability)
    _engine.tree_values(wrapped, counts, probability, 1.0, 1.0, LOG_PROBABILITY, False, values)
    image, known = states[0], np.isin(np.arange(9), MASKS["both"])
    every = all_images(9)
    every = every[(every[:, known] == image[known]).all(axis=1)]
    log_p = np.empty(len(every))
    _engine.tree_score_images(wrapped, TWIN.planes(every, [0]), len(every), values, log_p)
    n = 20000 if engine is not TWIN else 1000
    drawn, weight = np.repeat(image[None], n, axis=0), np.empty(n)
    with engine._path() as module:
        found = module.tree_inpaint(
            layer if engine is TWIN else wrapped, probability, 2, known.astype(np.uint8), drawn, weight
        )
    assert found == pytest.approx(np.log(np.exp(log_p).sum()), abs=8.0 / np.sqrt(n))
    exact = np.exp(log_p) @ every / np.exp(log_p).sum()
    np.testing.assert_allclose(weight @ drawn, exact, atol=4.0 / np.sqrt(n))


def table_layer(n_thresholds=1):
    """Tables over images of 3 x 3 nodes, with a required parent where there are two thresholds."""
    layer = pixel_layer(3, 3 if n_thresholds == 1 else 1, ((-1, -1), (-1, 0), (-1, 1), (0, -1)), n_thresholds)
    states = structured(150, (1, 1, layer.n_nodes), 6)
    if n_thresholds == 2:
        states[:, 3:] &= states[:, :3]
    counts = TWIN.counts(layer, TWIN.planes(states, [0]), 150)
    return layer, counts, TWIN.probability(layer, counts), states


def filtered(engine, layer, probability, seed, known, image, n, threads=1):
    """(states, weight, log marginal) of the filter over tables."""
    states, weight = np.repeat(image[None], n, axis=0), np.empty(n)
    with engine._path() as module:
        found = module.table_inpaint(
            engine.make_layer(layer), probability, seed, known.astype(np.uint8), states, weight, threads
        )
    return states, weight, found


@each_engine
@pytest.mark.parametrize("where", MASKS)
@pytest.mark.parametrize("n_thresholds", [1, 2])
def test_tables_inpaint_too(engine, where, n_thresholds):
    layer, counts, probability, states = table_layer(n_thresholds)
    image, known = states[0], np.isin(np.arange(layer.n_nodes), MASKS[where])
    every = all_images(layer.n_nodes)
    every = every[(every[:, known] == image[known]).all(axis=1)]
    values = TWIN.values(layer, counts, LOG_PROBABILITY)
    p = np.exp(TWIN.scores(layer, TWIN.planes(every, [0]), len(every), values))
    n = 20000 if engine is not TWIN else 1000
    drawn, weight, found = filtered(engine, layer, probability, 2, known, image, n)
    assert found == pytest.approx(np.log(p.sum()), abs=8.0 / np.sqrt(n))
    np.testing.assert_allclose(weight @ drawn, p @ every / p.sum(), atol=4.0 / np.sqrt(n))
    share = np.bincount(drawn @ (1 << np.arange(layer.n_nodes)), weights=weight, minlength=2**layer.n_nodes)
    assert np.abs(share[every @ (1 << np.arange(layer.n_nodes))] - p / p.sum()).sum() / 2 < 3 * np.sqrt(len(p) / n)


@pytest.mark.parametrize("n", [1, 64, 200])
def test_inpainting_of_tables_is_the_same_everywhere(n):
    layer, _, probability, states = table_layer()
    known = np.isin(np.arange(9), MASKS["both"])
    expected, weight, log_marginal = filtered(TWIN, layer, probability, 9, known, states[0], n)
    first = None
    for path in PATHS:
        for threads in THREADS:
            drawn, found, value = filtered(path, layer, probability, 9, known, states[0], n, threads)
            np.testing.assert_array_equal(drawn, expected)
            np.testing.assert_allclose(found, weight, rtol=1e-9)
            assert value == pytest.approx(log_marginal, abs=1e-9)
            first = first or (value, found.tobytes())
            assert first == (value, found.tobytes())


def test_many_missing_nodes_move_together():
    """More nodes than a word has bits, more particles than one group, several resamplings, on every path."""
    layer = pixel_layer(13, 11, ((-1, 0), (0, -1)))
    rng = np.random.default_rng(3)
    probability = rng.uniform(0.05, 0.95, (layer.n_rows, 1))
    probability = np.concatenate([1 - probability, probability], axis=1)
    image, known = rng.integers(0, 2, 143, dtype=np.uint8), rng.random(143) < 0.3
    expected, weight, log_marginal = filtered(TWIN, layer, probability, 4, known, image, 130)
    for path in PATHS:
        for threads in THREADS:
            drawn, found, value = filtered(path, layer, probability, 4, known, image, 130, threads)
            np.testing.assert_array_equal(drawn, expected)
            np.testing.assert_allclose(found, weight, rtol=1e-9)
            assert value == pytest.approx(log_marginal, abs=1e-9)


@each_engine
def test_nothing_is_weighed_where_no_known_node_asks(engine):
    layer, _, probability, states = table_layer()
    known = np.isin(np.arange(9), MASKS["before"])
    drawn, weight, _ = filtered(engine, layer, probability, 2, known, states[0], 100)
    np.testing.assert_array_equal(weight, np.full(100, 1 / 100))
    clamped = np.repeat(states[:1], 100, axis=0)
    with engine._path() as module:
        module.sample_ancestral(engine.make_layer(layer), probability, 2, known.astype(np.uint8), clamped)
    np.testing.assert_array_equal(drawn, clamped)
