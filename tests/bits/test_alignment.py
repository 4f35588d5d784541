# SPDX-License-Identifier: BSD-3-Clause
"""Shards whose boundaries are moved to multiples; parts of images; planes that are put together."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbn.bits.alignment import aligned, place_of
from cbn.bits.planes import BitPlanes
from cbn.bits.shards import LocalShards, Part, Shard

N = 400
STATES = np.random.default_rng(0).integers(0, 2, (N, 3), np.uint8)


def shards_of(cuts, extremes=(0, 1)):
    ends = [0, *sorted(cuts), N]
    parts = [BitPlanes.of_states(STATES[a:b], 1) for a, b in itertools.pairwise(ends) if b > a]
    firsts = [a for a, b in itertools.pairwise(ends) if b > a]
    return LocalShards([Shard((own, own), first, extremes) for own, first in zip(parts, firsts)], 1, N)


def states_of(shards):
    return np.concatenate([own.layers[0].states(1) for own in shards.shards])


@given(st.lists(st.integers(0, N), max_size=8), st.sampled_from([1, 64, 100, 1000]))
def test_aligned_shards_have_the_same_images(cuts, multiple):
    found = aligned(shards_of(cuts), multiple)
    places = found.map(place_of)
    assert all(first % multiple == 0 and n for first, n in places)
    assert [first for first, _ in places] == np.cumsum([0] + [n for _, n in places])[:-1].tolist()
    np.testing.assert_array_equal(states_of(found), STATES)
    np.testing.assert_array_equal(found.shards[-1].layers[1].states(1), found.shards[-1].layers[0].states(1))


def test_aligned_shards_are_left_alone():
    shards = shards_of([64, 192])
    assert aligned(shards, 64) is shards


def test_extremes_of_pieces_that_are_joined():
    parts = shards_of([10]).shards
    shards = LocalShards([Shard(own.layers, own.first, (i, 5 - i)) for i, own in enumerate(parts)], 1, N)
    assert aligned(shards, 64).shards[0].extremes == (0, 5)


@pytest.mark.parametrize("part", [Part(N), Part(70), Part(N, 1, 3), Part(N, 2, 3, True), Part(100, 0, 2, True)])
def test_images_of_a_part_are_numbered_among_it(part):
    shards = shards_of([3, 70, 71, 72, 200]).only(part)
    mask = part.of(np.arange(N))
    assert shards.n_images == part.n_images == mask.sum()
    found = aligned(shards, 64)
    np.testing.assert_array_equal(states_of(found), STATES[mask])
    assert all(
        first == part.before(number) for number, first in zip((0, 3, 70, 71, 72, 200), [s.first for s in shards.shards])
    )
    assert found.n_images == part.n_images and part.others.others == part


@given(st.lists(st.integers(0, 200), min_size=1, max_size=6))
def test_planes_are_joined(sizes):
    sizes = [size for size in sizes if size] or [1]
    states = np.random.default_rng(len(sizes)).integers(0, 2, (sum(sizes), 2), np.uint8)
    parts = np.split(states, np.cumsum(sizes)[:-1])
    found = BitPlanes.joined([BitPlanes.of_states(own, 1) for own in parts])
    np.testing.assert_array_equal(found.words, BitPlanes.of_states(states, 1).words)


def test_chains_go_from_shard_to_shard():
    found = shards_of([10, 20]).chained(lambda shard, threads, so_far, more: [*so_far, shard.first + more], [], 1)
    assert found == [1, 11, 21]
