# SPDX-License-Identifier: BSD-3-Clause
"""Tied trees: causal features, rows, growth, scores and samples, on the twin and on every path of the engine."""

import itertools
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbn import _engine
from cbn.bits.planes import BitPlanes
from cbn.bits.shards import LocalShards, Shard
from cbn.cpd import forest
from cbn.cpd.forest import STATISTICS, Rows, Tied, TiedLayer, grow_forest, start_odds, window_offsets
from cbn.cpd.pairs import rows_of_shards
from helpers.engines import ALL, PATHS, TWIN
from helpers.images import blob_states
from reference import LOG_PROBABILITY, SURPRISE, VARIANCE, causal

each_engine = pytest.mark.parametrize("engine", ALL, ids=repr)
THREADS = (1, 3)
SMALL = Tied(
    radius=2, pairs=2000, thinning=3, rounds=4, max_leaves=6, n_candidates=30, share=0.5, rate=0.5, min_gain=0.1,
    min_hessian=0.5,
)  # fmt: skip


def planes_of(states):
    return TWIN.planes(states, [0])


def features(engine, causal, states, node, threads=1):
    """(n, features) bool."""
    bits = np.zeros((_engine.causal_count(causal), len(planes_of(states)[0])), np.uint64)
    with engine._path() as module:
        module.causal_features(causal, planes_of(states), len(states), node, bits, threads)
    assert not (bits[:, -1] >> np.uint64((len(states) - 1) % 64) > 1).any()  # nothing beyond the last image
    return np.stack([(bits[:, i // 64] >> np.uint64(i % 64)) & np.uint64(1) for i in range(len(states))]).astype(bool)


def layer_of(engine, shape, states, tied=SMALL, *, nested=False, seed=7, threads=1):
    """Rows and a forest for every channel, on one engine."""
    planes, own = BitPlanes(planes_of(states), len(states)), (shape, tied.radius, tied.places, tied.profile)
    split, value, begin, base = [], [], [0], []
    with engine._path() as module, mock.patch.object(forest, "_engine", Mixed(module)):
        for channel in range(shape[0]):
            rows = Rows.sampled(planes, own, channel, tied, nested, seed, threads)
            one, odds = start_odds(rows, tied.thinning)
            trees = grow_forest(rows, tied, odds, seed=seed, stream=channel, num_threads=threads)
            split += [tree[0] for tree in trees]
            value += [tree[1] for tree in trees]
            base.append(one)
            begin.append(len(split))
    sizes = np.cumsum([0] + [len(tree) for tree in split], dtype=np.int64)
    none = np.zeros(0, np.int32)
    return TiedLayer(
        *shape, tied.radius, tied.places, tied.profile, np.array(begin, np.int64), sizes,
        np.concatenate([none, *split]), np.concatenate([none, *value]), np.array(base, np.int32), nested,
    )  # fmt: skip


class Mixed:
    """An engine, with the constants that the twin does not repeat."""

    def __init__(self, module):
        self.module = module

    def __getattr__(self, name):
        return getattr(self.module, name, None) or getattr(_engine, name)


def assert_same(one, other):
    for a, b in zip(one.arrays(), other.arrays()):
        np.testing.assert_array_equal(a, b)


def call(engine, name, layer, *arguments):
    with engine._path() as module:
        return getattr(module, name)(layer if engine is TWIN else _engine.Tied(layer), *arguments)


def contributions(engine, layer, states, kind, threads=1):
    found = np.empty(states.shape)
    call(engine, "tied_score_nodes", layer, planes_of(states), len(states), kind, found, threads)
    return found


def scores(engine, layer, states, kind, threads=1):
    found = np.empty(len(states))
    call(engine, "tied_score_images", layer, planes_of(states), len(states), kind, found, threads)
    return found


def log_odds(engine, layer, states, threads=1):
    found = np.empty(states.shape, np.int32)
    call(engine, "tied_log_odds", layer, planes_of(states), len(states), found, threads)
    return found


def samples(engine, layer, n, seed, threads=1, clamped=None):
    states = np.zeros((n, layer.n_nodes), np.uint8)
    call(engine, "tied_sample", layer, seed, clamped, states, threads)
    return states


# ---- features ----


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([(1, 1, 1), (1, 5, 7), (2, 6, 4), (3, 4, 4), (1, 9, 9), (1, 1, 12), (1, 12, 1)]),
    st.integers(1, 4), st.booleans(), st.booleans(), st.sampled_from([1, 64, 70]), st.integers(0, 2**32), st.data(),
)  # fmt: skip
def test_features_equal_the_twin(shape, radius, places, profile, n, seed, data):
    own = (shape, radius, places, profile)
    assert _engine.causal_count(own) == causal.causal_count(own)
    states = blob_states(n, shape, seed)
    node = data.draw(st.integers(0, states.shape[1] - 1))
    expected = features(TWIN, own, states, node)
    for path in PATHS:
        np.testing.assert_array_equal(features(path, own, states, node, 2), expected)


def test_features_of_large_pictures_equal_the_twin():
    own, states = ((1, 70, 90), 3, True, True), blob_states(3, (1, 70, 90), 4)
    for node in (0, 89, 90 * 35 + 44, 90 * 70 - 1):
        expected = features(TWIN, own, states, node)
        np.testing.assert_array_equal(features(PATHS[0], own, states, node), expected)


def test_thresholds_and_names_are_those_of_the_engine():
    assert _engine.profile_thresholds() == causal.THRESHOLDS
    assert len(STATISTICS) == len(causal.THRESHOLDS)
    for radius in (1, 2, 6):
        assert window_offsets(radius) == causal.window(radius) and len(causal.window(radius)) == 2 * radius * (
            radius + 1
        )


@each_engine
def test_features_by_hand(engine):
    """Of a picture that one can look at: 1 0 1 1 / 0 1 0 . with the node at the dot."""
    picture = np.array([[1, 0, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0]], np.uint8)
    own = ((1, 3, 4), 1, True, True)
    found = features(engine, own, picture.reshape(1, -1), 7)[0]
    # window of distance 1: left, above, above left, above right (outside)
    assert found[:4].tolist() == [False, True, True, False]
    assert found[4:6].tolist() == [True, False]  # row >= 1, row >= 2
    assert found[6:9].tolist() == [True, True, True]  # column >= 1 .. 3
    named = dict(zip([(name, t) for name, ts in zip(STATISTICS, causal.THRESHOLDS) for t in ts], found[9:]))
    value = {
        name: max([t for (own, t), on in named.items() if own == name and on], default=None) for name in STATISTICS
    }
    assert value["distance to ink on the left"] == 2 and value["distance to ink above"] is None
    assert value["distance to ink on the left in the row above"] is None
    assert value["run of ink on the left"] is None
    assert value["runs of ink in the row so far"] == 1 and value["runs of ink in the row above"] == 2
    assert value["ink in the row above"] == 3 and value["ink so far"] == 4
    assert value["column less the first one with ink 1 row above"] == 3
    assert value["column less the last one with ink 1 row above"] == 0
    assert value["column less the first one with ink 2 rows above"] is None
    assert value["rows since the first ink"] == 1
    assert value["column less the mean one of ink above"] == 1  # 3 - 5 / 3
    assert value["twice the mean width of runs of ink so far"] is None  # 8 / 3 < 3


@each_engine
def test_features_are_causal(engine):
    """Whatever the pixels from a node on are, no feature of the node or of one before it changes."""
    rng = np.random.default_rng(3)
    for shape in ((1, 6, 7), (3, 4, 5)):
        own = (shape, 3, True, True)
        states = blob_states(20, shape, 1)
        order = [c * shape[1] * shape[2] + p for p in range(shape[1] * shape[2]) for c in range(shape[0])]
        for step in rng.choice(len(order), 6, replace=False):
            changed = states.copy()
            changed[:, order[step:]] = rng.random((20, len(order) - step)) < 0.5
            for node in order[max(0, step - 5) : step + 1]:
                before, after = (features(engine, own, pixels, node) for pixels in (states, changed))
                np.testing.assert_array_equal(before, after)


# ---- rows ----


@settings(max_examples=10, deadline=None)
@given(st.sampled_from([(1, 4, 5), (2, 4, 3)]), st.sampled_from([3, 64, 130]), st.integers(0, 2**63), st.booleans())
def test_rows_equal_the_twin(shape, n, seed, nested):
    states = blob_states(n, shape, seed % 1000, nested=nested)
    own, planes = (shape, 2, True, True), BitPlanes(planes_of(states), n)

    def rows(engine, threads):
        with engine._path() as module, mock.patch.object(forest, "_engine", Mixed(module)):
            return [
                Rows.sampled(planes, own, c, replace(SMALL, pairs=64), nested, seed, threads) for c in range(shape[0])
            ]

    expected = rows(TWIN, 1)
    for path in PATHS:
        for threads in THREADS:
            for found, wanted in zip(rows(path, threads), expected):
                for name in ("features", "target", "members", "quiet"):
                    np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))


@each_engine
@pytest.mark.parametrize("pairs", [100, 2**20])
def test_rows_of_parts_are_those_of_all(engine, pairs):
    """Cut at multiples of 64, each part told the number of its first image; a word without rows among them."""
    shape, n, cuts = (2, 4, 3), 200, (0, 64, 128, 200)
    states = blob_states(n, shape, 3, nested=True)
    tied, own = replace(SMALL, pairs=pairs), (shape, 2, True, True)

    def planes(a, b):
        return BitPlanes(planes_of(states[a:b]), b - a)

    shards = LocalShards([Shard((planes(a, b),), a, (0, 1)) for a, b in itertools.pairwise(cuts)], 1, n)
    with engine._path() as module, mock.patch.object(forest, "_engine", Mixed(module)):
        for channel in range(2):
            expected = Rows.sampled(planes(0, n), own, channel, tied, True, 5, 1)
            found = rows_of_shards(shards, 0, own, channel, tied, True, 5)
            for name in ("features", "target", "members", "quiet"):
                np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        none = Rows.sampled(BitPlanes(planes_of(0 * states), n), own, 1, tied, True, 5, 1)
        assert none.n == 0 and Rows.joined([none, none]).target.tolist() == [0]


@each_engine
def test_numbers_of_images_fit(engine):
    planes, own = planes_of(blob_states(70, (1, 3, 3), 0)), ((1, 3, 3), 1, False, False)
    counts = np.empty(2, np.int64)
    if engine is not TWIN:
        with engine._path() as module, pytest.raises(ValueError):
            module.rows_count(own, planes, 70, 0, (1, 2**32, 1, False, -1), counts, 1)
        with engine._path() as module, pytest.raises(ValueError):
            module.rows_count(own, planes, 70, 0, (1, 2**32, 1, False, 2**32 - 70), counts, 1)
    with engine._path() as module:
        module.rows_count(own, planes, 70, 0, (1, 2**32, 1, False, 2**32 - 71), counts, 1)
    assert counts.tolist() == [64 * 9, 6 * 9]


def test_rows_are_a_sample_of_the_pairs():
    """All pairs without limits; with thinning the quiet ones are fewer, and counted for more."""
    states = blob_states(500, (1, 9, 9), 2)
    planes, own = BitPlanes(planes_of(states), 500), ((1, 9, 9), 2, True, False)
    every = Rows.sampled(planes, own, 0, replace(SMALL, pairs=2**20, thinning=1), False, 1, 1)
    assert every.n == states.size
    assert np.bitwise_count(every.target & every.members).sum() == states.sum()
    thinned = Rows.sampled(planes, own, 0, replace(SMALL, pairs=2**20, thinning=4), False, 1, 1)
    quiet, on = (np.bitwise_count(words & every.members).sum() for words in (every.quiet, every.quiet & every.target))
    found = np.bitwise_count(thinned.quiet & thinned.members).sum()
    assert abs((found - on) - (quiet - on) / 4) < 5 * np.sqrt(quiet / 4)
    some = Rows.sampled(planes, own, 0, replace(SMALL, pairs=1000), False, 1, 1)
    assert abs(some.n - 1000) < 5 * np.sqrt(1000)
    base, odds = start_odds(thinned, 4)
    share = states.mean()
    assert abs(base / 65536 - np.log(share / (1 - share))) < 0.1
    assert set(np.unique(odds - base)) <= {0, round(np.log(4) * 65536)}


# ---- growth and scores ----


@settings(max_examples=5, deadline=None)
@given(
    st.sampled_from([(1, 4, 4), (2, 3, 3)]), st.sampled_from([40, 130]), st.integers(0, 2**63), st.booleans(),
    st.sampled_from([SMALL, replace(SMALL, profile=False, max_leaves=2), replace(SMALL, places=False, share=1.0, l2=0.0)]),
)  # fmt: skip
def test_growth_and_scores_equal_the_twin(shape, n, seed, nested, tied):
    states = blob_states(n, shape, seed % 1000, nested=nested)
    expected = layer_of(TWIN, shape, states, tied, nested=nested, seed=seed)
    odds = log_odds(TWIN, expected, states)
    for path in PATHS:
        for threads in THREADS:
            assert_same(layer_of(path, shape, states, tied, nested=nested, seed=seed, threads=threads), expected)
            np.testing.assert_array_equal(log_odds(path, expected, states, threads), odds)
    for kind in (LOG_PROBABILITY, SURPRISE, VARIANCE):
        nodes, first = contributions(TWIN, expected, states, kind), scores(PATHS[0], expected, states, kind)
        np.testing.assert_allclose(first, nodes.sum(axis=1), rtol=1e-12, atol=1e-12)
        for path in PATHS:
            np.testing.assert_allclose(contributions(path, expected, states, kind, 2), nodes, rtol=1e-12, atol=1e-12)
            for threads in THREADS:
                np.testing.assert_array_equal(scores(path, expected, states, kind, threads), first)


def test_many_rows_and_leaves_are_equal_on_all_paths():
    """More rows than one thread takes at a time, deep trees, blocks of words that are not full."""
    shape, states = (1, 12, 12), blob_states(700, (1, 12, 12), 5)
    tied = Tied(pairs=60_000, thinning=2, rounds=12, max_leaves=50, share=0.8, min_gain=0.1)
    expected = layer_of(PATHS[0], shape, states, tied)
    assert np.diff(expected.tree_begin).max() == 99
    for path in PATHS[1:]:
        assert_same(layer_of(path, shape, states, tied, threads=2), expected)
    for n in (1, 64, 65, 200, 511, 700):
        first = scores(PATHS[0], expected, states[:n], LOG_PROBABILITY)
        for path in PATHS:
            np.testing.assert_array_equal(scores(path, expected, states[:n], LOG_PROBABILITY, 2), first)
    few = scores(PATHS[0], expected, states[:3], LOG_PROBABILITY)  # alone as among others
    np.testing.assert_array_equal(few, scores(PATHS[0], expected, states, LOG_PROBABILITY)[:3])


def test_growth_in_parts_equals_one_call():
    shape, states = (1, 6, 6), blob_states(300, (1, 6, 6), 5)
    tied = replace(SMALL, rounds=9)
    expected = layer_of(PATHS[0], shape, states, tied)
    with mock.patch.object(forest, "BATCH_ROUNDS", 2):
        assert_same(layer_of(PATHS[0], shape, states, tied), expected)


@each_engine
def test_rows_behind_those_learned_from_only_follow(engine):
    """Other rows there change no tree, and their log-odds are those of the trees."""
    states = blob_states(128, (1, 4, 4), 3)
    planes, own = BitPlanes(planes_of(states), 128), ((1, 4, 4), 2, True, False)
    rows = Rows.sampled(planes, own, 0, SMALL, False, 1, 1)
    n = len(rows.target) // 2
    other = replace(rows, target=np.concatenate([rows.target[:n], ~rows.target[n:]]))
    found = []
    with engine._path() as module, mock.patch.object(forest, "_engine", Mixed(module)):
        for sample in (rows, other):
            odds = np.zeros(64 * len(rows.target), np.int32)
            trees = grow_forest(sample, SMALL, odds, seed=5, stream=0, num_threads=1, n_learning=n)
            found.append((np.concatenate([tree[1] for tree in trees]), odds))
    # which features may be drawn is asked of all rows' features, which are the same
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_a_network_is_a_distribution():
    """Probabilities of all pictures sum to 1, with two thresholds and corrections too."""
    for shape, nested in (((1, 3, 3), False), ((2, 2, 2), True)):
        states = blob_states(200, shape, 8, nested=nested)
        layer = layer_of(PATHS[0], shape, states, replace(SMALL, rounds=8), nested=nested)
        n_nodes = states.shape[1]
        every = (np.arange(2**n_nodes)[:, None] >> np.arange(n_nodes) & 1).astype(np.uint8)
        for path in ALL:
            nats = contributions(path, layer, every, LOG_PROBABILITY).sum(axis=1)
            assert abs(np.exp(nats).sum() - 1) < 1e-9


# ---- samples ----


def test_samples_equal_the_twin_for_any_threads():
    for shape, nested in (((1, 4, 4), False), ((2, 3, 2), True)):
        states = blob_states(150, shape, 2, nested=nested)
        layer = layer_of(PATHS[0], shape, states, nested=nested)
        expected = samples(TWIN, layer, 70, 11)
        for path in PATHS:
            for threads in THREADS:
                np.testing.assert_array_equal(samples(path, layer, 70, 11, threads), expected)
        clamped = np.zeros(layer.n_nodes, np.uint8)
        clamped[:3] = 1
        assert not samples(PATHS[0], layer, 70, 11, clamped=clamped)[:, :3].any()


def test_inpainting_equals_the_twin():
    shape, states = (1, 4, 4), blob_states(150, (1, 4, 4), 2)
    layer = layer_of(PATHS[0], shape, states)
    known = np.ones(16, np.uint8)
    known[[2, 5, 6, 9]] = 0

    def inpainted(engine, threads=1):
        particles, weight = np.repeat(states[:1], 70, axis=0), np.empty(70)
        log_marginal = call(engine, "tied_inpaint", layer, 3, known, particles, weight, threads)
        return log_marginal, particles, weight

    log_marginal, particles, weight = inpainted(TWIN)
    for path in PATHS:
        found = inpainted(path, 2)
        assert abs(found[0] - log_marginal) < 1e-9
        np.testing.assert_array_equal(found[1], particles)
        np.testing.assert_allclose(found[2], weight, rtol=1e-9)


# ---- refusals ----


def test_what_the_engine_refuses():
    layer = layer_of(PATHS[0], (1, 3, 3), blob_states(60, (1, 3, 3), 1))
    n = _engine.causal_count(layer.causal)
    for wrong in (
        replace(layer, split=np.where(layer.split >= 0, n, -1).astype(np.int32)),
        replace(layer, value=layer.value + 2**25),
        replace(layer, base=np.array([2**25], np.int32)),
        replace(layer, begin=np.array([1, layer.n_trees], np.int64)),
    ):
        with pytest.raises(ValueError, match="tree"):
            _engine.Tied(wrong)
    for own in (((1, 3, 3), 0, True, True), ((1, 3, 3), 33, True, True), ((1, 2000, 3), 1, True, True)):
        with pytest.raises(ValueError):
            _engine.causal_count(own)
    assert _engine.causal_count(((1, 2000, 3), 1, True, False)) == 4 + 63 + 2
