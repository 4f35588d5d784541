# SPDX-License-Identifier: BSD-3-Clause
"""Boosted trees: growth and scores, on the twin and on every path of the engine."""

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbn import _engine
from cbn.bits.planes import BitPlanes
from cbn.cpd import boosted
from cbn.cpd.boosted import Boosted, BoostedLayer
from cbn.cpd.grid import Grid
from helpers.boosted import (
    SMALL,
    THREADS,
    all_images,
    assert_same_layer,
    call,
    contributions,
    grow,
    log_odds,
    scores,
    small_layer,
    structured,
)
from helpers.engines import ALL, PATHS, TWIN
from reference import LOG_PROBABILITY, SURPRISE, VARIANCE
from reference.boosted import draw_candidates

each_engine = pytest.mark.parametrize("engine", ALL, ids=repr)


# ---- the engine equals its twin ----


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([(1, 3, 4), (2, 2, 3), (1, 1, 6)]),
    st.sampled_from([1, 40, 64, 65, 130, 513]),
    st.integers(0, 2**63),
    st.sampled_from(
        [SMALL, replace(SMALL, n_candidates=2, max_leaves=2), replace(SMALL, l2=0.0, rate=1.0, min_gain=0.0)]
    ),
)
def test_growth_and_scores_equal_the_twin(shape, n, seed, boosting):
    states = structured(n, shape, seed % 1000)
    expected = grow(TWIN, shape, states, boosting, seed=seed)
    odds = log_odds(TWIN, expected, states)
    for path in PATHS:
        for threads in THREADS:
            assert_same_layer(grow(path, shape, states, boosting, seed=seed, threads=threads), expected)
            np.testing.assert_array_equal(log_odds(path, expected, states, threads), odds)
    for kind in (LOG_PROBABILITY, SURPRISE, VARIANCE):
        nodes = contributions(TWIN, expected, states, kind)
        first = scores(PATHS[0], expected, states, kind)
        np.testing.assert_allclose(first, nodes.sum(axis=1), rtol=1e-12, atol=1e-12)
        for path in PATHS:
            np.testing.assert_allclose(contributions(path, expected, states, kind, 2), nodes, rtol=1e-12, atol=1e-12)
            for threads in THREADS:
                np.testing.assert_array_equal(scores(path, expected, states, kind, threads), first)


def test_deep_trees_and_many_words_equal_on_all_paths():
    states = structured(1500, (1, 5, 6), 11)
    boosting = Boosted(rounds=12, max_leaves=40, n_candidates=20, min_gain=0.01, min_hessian=0.25)
    expected = grow(PATHS[0], (1, 5, 6), states, boosting)
    assert np.diff(expected.tree_begin).max() > 2 * 16
    for path in PATHS[1:]:
        assert_same_layer(grow(path, (1, 5, 6), states, boosting, threads=2), expected)


def test_ranges_of_nodes_equal_one_call():
    shape, states = (1, 4, 9), structured(200, (1, 4, 9), 5)
    seen = []
    expected = grow(PATHS[0], shape, states, SMALL, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (36, 36) and len(seen) == -(-36 // boosted.BATCH_NODES)
    for size in (1, 5, 36):
        with mock.patch.object(boosted, "BATCH_NODES", size):
            assert_same_layer(grow(PATHS[0], shape, states, SMALL, threads=2), expected)


def test_the_seed_decides():
    states = structured(200, (1, 4, 9), 5)
    one, other = (grow(PATHS[0], (1, 4, 9), states, SMALL, seed=seed) for seed in (1, 2))
    assert one.split.shape != other.split.shape or (one.split != other.split).any()


# ---- what a boosted network is ----


@each_engine
def test_probabilities_sum_to_one(engine):
    layer = small_layer(engine)
    assert layer.n_trees > 10
    every = all_images(9)
    log_p = scores(engine, layer, every)
    assert np.exp(log_p).sum() == pytest.approx(1.0, abs=1e-12)
    # -log p - H sums to 0 under the model itself, and the variances to the variance of -log p - H
    p = np.exp(log_p)
    surprise = scores(engine, layer, every, SURPRISE)
    assert p @ surprise == pytest.approx(0.0, abs=1e-12)
    assert p @ surprise**2 == pytest.approx(p @ scores(engine, layer, every, VARIANCE), abs=1e-12)


@each_engine
def test_values_by_hand(engine):
    # two pixels; the right one: base 1/2, one tree on the left one that adds -1 or 2, log-odds -1/2 and 5/2
    one = _engine.LOG_ODDS_ONE
    layer = BoostedLayer(
        1, 1, 2, np.array([0, 0, 1]), np.array([0, 3]), np.array([0, -1, -1], np.int32),
        np.array([0, -one, 2 * one], np.int32), np.array([0, one // 2], np.int32), np.full(2, -1, np.int32),
    )  # fmt: skip
    states = all_images(2)
    np.testing.assert_array_equal(log_odds(engine, layer, states)[:, 1] / one, [-0.5, -0.5, 2.5, 2.5])
    p = 1 / (1 + np.exp([0.5, -2.5]))
    log_p = contributions(engine, layer, states, LOG_PROBABILITY)
    np.testing.assert_allclose(log_p[:, 0], np.log(0.5), atol=1e-15)
    np.testing.assert_allclose(log_p[:, 1], np.log([1 - p[0], p[0], 1 - p[1], p[1]]), atol=1e-14)
    h = -(p * np.log(p) + (1 - p) * np.log(1 - p))
    np.testing.assert_allclose(
        contributions(engine, layer, states, SURPRISE)[:, 1], -log_p[:, 1] - h.repeat(2), atol=1e-14
    )
    variance = p * (1 - p) * np.array([0.5, 2.5]) ** 2
    np.testing.assert_allclose(contributions(engine, layer, states, VARIANCE)[:, 1], variance.repeat(2), atol=1e-14)


# ---- growth ----


@each_engine
def test_training_loss_falls_with_every_round(engine):
    shape, states = (1, 3, 4), structured(300, (1, 3, 4), 2)
    losses = []
    for rounds in (0, 1, 2, 4, 8):
        layer = grow(engine, shape, states, replace(SMALL, rounds=rounds, n_candidates=12))
        losses.append(-scores(PATHS[0], layer, states).mean())
    assert (np.diff(losses) < 0).all()
    assert losses[-1] < losses[0] - 1.0


@each_engine
def test_exclusive_or_is_found(engine):
    # no split of the root gains anything on balanced data: a third pixel tilts it, as stochastic rounding also would
    rng = np.random.default_rng(0)
    states = rng.integers(0, 2, (400, 3), dtype=np.uint8)
    states[:, 2] = states[:, 0] ^ states[:, 1]
    states = states[(states[:, :2].sum(axis=1) > 0) | (rng.random(400) < 0.7)]
    layer = grow(engine, (1, 1, 3), states, replace(SMALL, rounds=20, max_leaves=4))
    right = log_odds(PATHS[0], layer, all_images(3))[:, 2] / _engine.LOG_ODDS_ONE
    a, b, _ = all_images(3).T
    assert (np.where(a ^ b, right, -right) > 3).all()
    stumps = grow(engine, (1, 1, 3), states, replace(SMALL, rounds=20, max_leaves=2))
    flat = log_odds(PATHS[0], stumps, all_images(3))[:, 2] / _engine.LOG_ODDS_ONE
    assert np.where(a ^ b, flat, -flat).min() < 1  # sums of functions of one pixel cannot do it


@each_engine
def test_no_tree_where_no_split_pays(engine):
    rng = np.random.default_rng(1)
    states = rng.integers(0, 2, (300, 6), dtype=np.uint8)
    states[:, 3], states[:, 4] = 0, 1  # never change: base only
    layer = grow(engine, (1, 1, 6), states, replace(SMALL, min_gain=20.0))
    assert layer.n_trees == 0
    n1 = states.sum(axis=0)
    np.testing.assert_allclose(layer.base / _engine.LOG_ODDS_ONE, np.log((n1 + 1) / (301 - n1)), atol=1e-5)
    greedy = grow(engine, (1, 1, 6), states, replace(SMALL, min_gain=0.0))
    assert (np.diff(greedy.begin)[[0, 3, 4]] == 0).all() and np.diff(greedy.begin)[5] > 0
    assert not np.isin(greedy.split, [3, 4]).any()  # a constant cannot decide


@each_engine
def test_growth_ends_after_barren_rounds_but_not_before(engine):
    """One of many candidates decides: rounds that do not draw it are barren, and are not the end."""
    rng = np.random.default_rng(4)
    states = rng.integers(0, 2, (250, 4), dtype=np.uint8)
    states[:, 3] = states[:, 0] ^ (rng.random(250) < 0.1)
    boosting, found = replace(SMALL, rounds=12, n_candidates=1, min_gain=5.0, rate=0.1), []
    for seed in range(6):
        layer = grow(engine, (1, 1, 4), states, boosting, seed=seed)
        drawn = [draw_candidates([2, 1, 0], 1, seed, 3, round)[0] for round in range(12)]
        growing = "".join("+" if c == 0 else "-" for c in drawn).split("-----")[0]
        assert np.diff(layer.begin)[3] == growing.count("+")
        assert set(layer.split[layer.split >= 0]) <= {0}
        found.append(growing)
    assert any("+-" in g and "-+" in g for g in found) and any(len(g) < 12 for g in found)


@each_engine
def test_min_hessian_and_max_leaves_hold(engine):
    shape, states = (1, 3, 4), structured(300, (1, 3, 4), 2)
    boosting = replace(SMALL, max_leaves=3, min_hessian=20.0, rounds=1, min_gain=0.0)
    layer = grow(engine, shape, states, boosting)
    assert layer.n_trees > 0
    assert np.diff(layer.tree_begin).max() <= 5
    for node in range(12):
        n1 = states[:, node].sum() + 1
        p = n1 / 302
        for tree in range(layer.begin[node], layer.begin[node + 1]):
            root = layer.split[layer.tree_begin[tree]]
            n_on = states[:, root].sum()
            # all Hessians of the first round are p (1 - p); rounding moves their sum by a few per cent
            assert min(n_on, 300 - n_on) * p * (1 - p) > 17.0


@each_engine
def test_required_nodes(engine):
    rng = np.random.default_rng(8)
    low = structured(200, (1, 2, 3), 9)
    states = np.concatenate([low, low & (rng.random(low.shape) < 0.6)], axis=1).astype(np.uint8)
    required = np.concatenate([np.full(6, -1), np.arange(6)]).astype(np.int32)
    layer = grow(engine, (2, 2, 3), states, SMALL, required=required)
    np.testing.assert_array_equal(layer.required, required)
    n_low, n_high = low.sum(axis=0), states[:, 6:].sum(axis=0)
    base = np.log((n_high + 1) / (n_low - n_high + 1))  # among the images in which the lower threshold is exceeded
    np.testing.assert_allclose(layer.base[6:] / _engine.LOG_ODDS_ONE, base, atol=1e-5)
    every = all_images(12)
    log_p = scores(engine, layer, every)
    impossible = (every[:, 6:] > every[:, :6]).any(axis=1)
    assert (log_p[impossible] == -np.inf).all() and np.isfinite(log_p[~impossible]).all()
    assert np.exp(log_p).sum() == pytest.approx(1.0, abs=1e-12)
    drawn = np.zeros((100, 12), np.uint8)
    call(engine, "boosted_sample", layer, 5, None, drawn)
    assert (drawn[:, 6:] <= drawn[:, :6]).all() and drawn[:, 6:].any()


# ---- refusals ----


def test_malformed_layers_are_refused():
    good = BoostedLayer(
        1, 1, 3, np.array([0, 0, 0, 1]), np.array([0, 5]), np.array([1, -1, 0, -1, -1], np.int32),
        np.array([0, 5, 0, 6, 7], np.int32), np.zeros(3, np.int32), np.full(3, -1, np.int32),
    )  # fmt: skip
    _engine.Boosted(good)
    big = 16 * _engine.LOG_ODDS_ONE + 1
    for field, values in (
        ("split", [1, -1, 2, -1, -1]),  # itself
        ("split", [1, -1, 3, -1, -1]),  # no node
        ("split", [1, -1, -2, -1, -1]),
        ("split", [-1, 1, 0, -1, -1]),  # a root that is a leaf
        ("split", [1, -1, -1, -1, -1]),  # vertices that are nobody's children
        ("split", [1, 0, 0, -1, -1]),  # children that are not there
        ("value", [1, 5, 0, 6, 7]),  # at an inner vertex
        ("value", [0, 5, 0, 6, big]),
        ("value", [0, -big, 0, 6, 7]),
        ("base", [0, 0, big]),
        ("base", [0, -big, 0]),
        ("required", [-1, 2, -1]),
        ("required", [-1, -1, 3]),
        ("required", [-2, -1, -1]),
    ):
        with pytest.raises(ValueError, match="tree"):
            _engine.Boosted(replace(good, **{field: np.array(values, np.int32)}))
    with pytest.raises(ValueError, match="tree"):
        _engine.Boosted(replace(good, begin=np.array([0, 1, 0, 1])))
    with pytest.raises(ValueError, match="split: size 5"):
        _engine.Boosted(replace(good, tree_begin=np.array([0, 4])))
    with pytest.raises(ValueError, match="begin"):
        _engine.Boosted(replace(good, begin=np.array([0, 0, 1])))


@pytest.mark.parametrize(
    "change",
    [
        {"rounds": -1}, {"rounds": 1001}, {"max_leaves": 1}, {"max_leaves": 257}, {"n_candidates": 0}, {"rate": 0.0},
        {"rate": 1.5}, {"rate": np.nan}, {"l2": -1.0}, {"min_gain": -0.1}, {"min_hessian": 0.0}, {"pseudocount": 0.0},
    ],
    ids=str,
)  # fmt: skip
def test_settings_outside_their_range_are_refused(change):
    with pytest.raises(ValueError):
        grow(PATHS[0], (1, 2, 2), structured(20, (1, 2, 2), 1), replace(SMALL, **change))


def test_candidates_that_are_not_earlier_are_refused():
    planes = BitPlanes(TWIN.planes(structured(20, (1, 1, 3), 1), [0]), 20)
    for candidate in ([0, 1], [0, 2], [0, 3]):
        with pytest.raises(ValueError, match="tree"):
            boosted.grow(
                Grid(1, 1, 3), planes, (np.array([0, 0, 2, 2]), np.array(candidate, np.int32)), None, SMALL, seed=0,
                num_threads=1,
            )  # fmt: skip
