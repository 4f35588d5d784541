# SPDX-License-Identifier: BSD-3-Clause
"""Sums over images in several places: digests, and what a search for relations needs; engine, twin, and by other ways."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from cbn import _engine
from cbn.cpd.grid import Layer, Relation
from helpers.engines import ALL, PATHS, TWIN


def digest(engine, states, threads=1):
    found = np.empty(2, np.uint64)
    with engine._path() as module:
        module.planes_digest(TWIN.planes(states, [0]), len(states), found, threads)
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 1200), st.integers(1, 200), st.integers(0, 2**32))
def test_digests_are_the_twins(n, n_nodes, seed):
    states = np.random.default_rng(seed).integers(0, 2, (n, n_nodes), dtype=np.uint8)
    expected = digest(TWIN, states)
    for path in PATHS:
        for threads in (1, 2, 3, 7):
            np.testing.assert_array_equal(digest(path, states, threads), expected)


@pytest.mark.parametrize("engine", ALL, ids=repr)
def test_digests_add_whatever_the_order(engine):
    states = np.random.default_rng(0).integers(0, 2, (700, 100), dtype=np.uint8)
    whole = digest(engine, states)
    for cuts in ((1,), (64, 128), (100, 101, 640)):
        np.testing.assert_array_equal(sum(digest(engine, part) for part in np.split(states, cuts)), whole)
    np.testing.assert_array_equal(digest(engine, states[::-1].copy()), whole)


@pytest.mark.parametrize("engine", ALL, ids=repr)
def test_digests_tell_images_apart(engine):
    """Single bits, black images, their number, the number of nodes; and two images that exchange a pixel."""
    black = np.zeros((1, 130), np.uint8)
    sets = [
        black,
        np.repeat(black, 2, axis=0),
        black[:, :129],
        *(np.eye(130, dtype=np.uint8)[i : i + 1] for i in range(130)),
    ]
    both = np.concatenate([sets[3], sets[4]])
    sets += [both, np.concatenate([sets[3] | sets[4], black])]
    found = np.array([digest(engine, np.ascontiguousarray(own)) for own in sets])
    for half in found.T:
        assert len(set(half.tolist())) == len(sets) and (half != 0).all()


def test_bits_of_digests_are_even():
    """Of images that differ in one bit about half of the bits of either hash differ."""
    hashes = np.array([digest(TWIN, np.eye(100, dtype=np.uint8)[i : i + 1]) for i in range(100)])
    differ = np.bitwise_count(hashes[1:] ^ hashes[:-1])
    assert 30 < differ.mean() < 34 and differ.min() > 12


def test_digests_by_hand():
    """One image of one pixel: the finalizer of SplitMix64 by Python's whole numbers."""

    def mix(x):
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
        return x ^ x >> 31

    assert mix(0x9E3779B97F4A7C15) == 0xE220A8397B1DCDAF  # the first number of SplitMix64 from seed 0
    expected = [mix(mix(1 + (k + 1) * 0x9E3779B97F4A7C15 & 2**64 - 1) ^ 1) for k in range(2)]
    for engine in ALL:
        assert digest(engine, np.ones((1, 1), np.uint8)).tolist() == expected


# ---- relations ----


def searched(seed, n=300):
    rng = np.random.default_rng(seed)
    relations = (
        Relation(0, 1, -2, 0), Relation(0, 0, 0, -2), Relation(1, 2, -2, 2), Relation(2, 0, -2, -2), Relation(2, 2, 0, -1),
    )  # fmt: skip
    layer = Layer(3, 4, 6, relations)
    taken = {(r.child, r.parent, r.dy, r.dx) for r in relations}
    candidates = [
        (c, p, dy, dx) for c in range(3) for p in range(3) for dy, dx in ((-2, -2), (-2, 0), (-2, 2), (0, -2), (-9, 0))
        if (c, p, dy, dx) not in taken
    ]  # fmt: skip
    states = (rng.random((n, layer.n_nodes)) < 0.4).astype(np.uint8)
    states[:, 1:] |= states[:, :-1] & (rng.random((n, layer.n_nodes - 1)) < 0.5)
    return layer, states, np.array(candidates, np.int32)


def counts_of(engine, layer, states, candidates, threads=1):
    planes, n = TWIN.planes(states, [0]), len(states)
    with engine._path() as module:
        made = engine.make_layer(layer)
        part = np.full(module.relation_counts_size(made, candidates), -1, np.int64)
        module.relation_counts(made, planes, n, candidates, part, threads)
    return part


def gains_of(engine, layer, counts, candidates, part, threads=1):
    change = np.empty(len(candidates))
    with engine._path() as module:
        module.relation_gains_of_counts(engine.make_layer(layer), counts, candidates, part, change, threads)
    return change


def gains(layer, states, candidates):
    change = np.empty(len(candidates))
    _engine.relation_gains(_engine.Layer(layer), TWIN.planes(states, [0]), len(states), candidates, change, 1)
    return change


@pytest.mark.parametrize("cuts", [(), (150,), (1, 64, 129)])
@pytest.mark.parametrize("seed", range(3))
def test_gains_of_summed_counts_are_those_of_all_images(seed, cuts):
    layer, states, candidates = searched(seed)
    whole, expected = counts_of(TWIN, layer, states, candidates), gains(layer, states, candidates)
    for path in ALL:
        for threads in (1, 2, 7):
            parts = [counts_of(path, layer, own, candidates, threads) for own in np.split(states, cuts)]
            np.testing.assert_array_equal(sum(parts), whole)
            counts = path.counts(layer, TWIN.planes(states, [0]), len(states), threads)
            np.testing.assert_array_equal(gains_of(path, layer, counts, candidates, sum(parts), threads), expected)


def test_gains_beside_many_parents():
    rng = np.random.default_rng(0)
    states = (rng.random((200, 2 * 8 * 6)) < 0.4).astype(np.uint8)
    layer = Layer(2, 8, 6, tuple(Relation(1, i % 2, -1 - i // 4, i % 4 - 2) for i in range(8)))
    candidates = np.array([(1, 0, -3, 0), (0, 1, -1, 0), (1, 1, 0, -1)], np.int32)
    for path in ALL:
        part = counts_of(path, layer, states, candidates)
        counts = path.counts(layer, TWIN.planes(states, [0]), 200)
        found = gains_of(path, layer, counts, candidates, part)
        np.testing.assert_array_equal(found, gains(layer, states, candidates))


@pytest.mark.parametrize("engine", ALL, ids=repr)
def test_tables_by_hand(engine):
    """Three images of two pixels; the candidate is the left one."""
    layer, states = Layer(1, 1, 2), np.array([[0, 1], [1, 1], [1, 0]], np.uint8)
    part = counts_of(engine, layer, states, np.array([(0, 0, 0, -1)], np.int32))
    assert part.tolist() == [0, 0, 1, 1]


def test_what_is_refused():
    layer, states, candidates = searched(0)
    part = counts_of(PATHS[0], layer, states, candidates)
    counts = TWIN.counts(layer, TWIN.planes(states, [0]), len(states))
    made = _engine.Layer(layer)
    for wrong in [(0, 0, 0, 0), (0, 0, 1, 0), (3, 0, -1, 0), (0, 3, -1, 0), (0, 1, -2, 0)]:
        with pytest.raises(ValueError):
            _engine.relation_counts_size(made, np.array([wrong], np.int32))
    for engine in ALL:
        for broken in (part - 1, part + len(states)):
            with pytest.raises(ValueError):
                gains_of(engine, layer, counts, candidates, broken)
    for broken in (np.zeros_like(counts), -counts, counts + 1):
        with pytest.raises(ValueError):
            gains_of(PATHS[0], layer, broken, candidates, part)
    for threads in (0, -1):
        with pytest.raises(ValueError):
            counts_of(PATHS[0], layer, states, candidates, threads)
        with pytest.raises(ValueError):
            gains_of(PATHS[0], layer, counts, candidates, part, threads)
        with pytest.raises(ValueError):
            digest(PATHS[0], states, threads)
    assert reference.relation_counts_size(layer, candidates) == len(part)
