# SPDX-License-Identifier: BSD-3-Clause
"""Growth of trees in rounds: each function against values known without it, and the trees against those grown at once."""

import numpy as np
import pytest

from cbn.bits.planes import BitPlanes
from cbn.cpd.candidates import candidates
from cbn.cpd.grid import Grid
from cbn.cpd.rounds import TreeGrowth
from cbn.cpd.tree import grow
from helpers.engines import ALL, PATHS, TWIN

every_engine = pytest.mark.parametrize("engine", ALL, ids=repr)
THREE = (1, 1, 3)
NEARBY = candidates(Grid(*THREE), 1, 3)  # node 1: 0; node 2: 1, 0


def vertices(nodes, ways, useful):
    """What the engine takes, of vertices in the order of their nodes."""
    begin = np.searchsorted(nodes, np.arange(4)).astype(np.int64)
    ends = [np.concatenate([[0], np.cumsum([len(x) for x in lists])]).astype(np.int64) for lists in (ways, useful)]
    flat = [np.array([x for own in lists for x in own], np.int32) for lists in (ways, useful)]
    return begin, ends[0], flat[0], ends[1], flat[1]


# ---- counts ----


@every_engine
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_counts_by_hand(engine, threads):
    """The third pixel is the AND of the others; all four states of those 40 times."""
    states = np.array([[a, b, a & b] for a in (0, 1) for b in (0, 1)] * 40, np.uint8)
    asked = vertices([0, 2, 2, 2], [[], [], [1], [1, -1]], [[], [0, 1], [1], []])
    totals, counts = engine.count_vertices(
        THREE, engine.planes(states, [0]), 160, None, (*NEARBY, None), asked, threads
    )
    np.testing.assert_array_equal(totals, [[80, 80], [120, 40], [40, 40], [40, 0]])
    np.testing.assert_array_equal(counts, [[80, 40], [80, 40], [40, 40]])


@every_engine
def test_only_members_are_counted(engine):
    states = np.array([[a, b, a & b] for a in (0, 1) for b in (0, 1)] * 40, np.uint8)
    members = np.zeros((160, 1), np.uint8)
    members[[3, 7, 150]] = 1
    words = engine.planes(members, [0])[0]
    asked = vertices([2], [[]], [[0]])
    totals, counts = engine.count_vertices(THREE, engine.planes(states, [0]), 160, words, (*NEARBY, None), asked)
    np.testing.assert_array_equal((*totals, *counts), [[1, 2], [2, 2]])  # image 150 is of kind 2: only the first is 1


@pytest.mark.parametrize("engine", PATHS, ids=repr)
@pytest.mark.parametrize("n", [1, 64, 513, 9000])
def test_counts_are_those_of_the_twin(engine, n):
    """Ways of all lengths, among them some that few images go, over several blocks of words."""
    rng = np.random.default_rng(n)
    grid, n_nodes = (2, 3, 4), 24
    planes = engine.planes((rng.random((n, n_nodes)) < 0.3).astype(np.uint8), [0])
    nearby = candidates(Grid(*grid), 1, 2)
    begin, way_begin, way, useful_begin, useful = [0], [0], [], [0], []
    for node in range(n_nodes):
        own = nearby[1][nearby[0][node] : nearby[0][node + 1]]
        for length in range(min(len(own), 9) + 1):
            steps = rng.choice(own, length, replace=False) if length else []
            way += [int(u) if rng.random() < 0.5 else -1 - int(u) for u in steps]
            useful += sorted(rng.choice(len(own), rng.integers(0, len(own) + 1), replace=False)) if len(own) else []
            way_begin.append(len(way))
            useful_begin.append(len(useful))
        begin.append(len(way_begin) - 1)
    asked = (
        *(np.array(x, np.int64) for x in (begin, way_begin)), np.array(way, np.int32), np.array(useful_begin, np.int64),
        np.array(useful, np.int32),
    )  # fmt: skip
    for members in (None, engine.planes((rng.random((n, 1)) < 0.6).astype(np.uint8), [0])[0]):
        wanted = TWIN.count_vertices(grid, planes, n, members, (*nearby, None), asked)
        for threads in (1, 2):
            found = engine.count_vertices(grid, planes, n, members, (*nearby, None), asked, threads)
            for a, b in zip(found, wanted):
                np.testing.assert_array_equal(a, b)


# ---- splits ----


@every_engine
def test_best_splits_by_hand(engine):
    """12 images at 0 and 4 at 1; the second candidate finds all of these among 8, the third leaves nothing."""
    totals, counts = np.array([[12, 4]] * 3), np.array([[8, 2], [8, 4], [16, 4]] * 2)
    begin = np.array([0, 3, 6, 6])
    gain, best, pays = engine.best_splits(totals, begin, counts, 0.5, 16, 1)
    # entropies: all of it, less that of 4 and 4
    worth = 12 * np.log(4 / 3) + 4 * np.log(4) - 8 * np.log(2)
    np.testing.assert_allclose(gain, [worth, worth, 0], rtol=1e-14)
    assert best.tolist() == [1, 1, -1] and pays.tolist() == [1, 1, 1]
    assert engine.best_splits(totals, begin, counts, 2.0, 16, 1)[0].tolist() == [0, 0, 0]  # gains less than 5.5 nats
    assert engine.best_splits(totals, begin, counts, 9.0, 16, 1)[2].tolist() == [0, 0, 0]  # all of it is worth 9 nats
    assert engine.best_splits(totals, begin, counts, 0.0, 16, 9)[2].tolist() == [0, 0, 0]  # too few for two leaves of 9


@every_engine
def test_order_by_hand(engine):
    """The largest gain first, the oldest of equals; beyond a vertex that is not known yet nothing is sure."""
    child = np.array([1, 3, -1, 5, -1, -1, -1, -1])
    gain = np.array([9.0, 5, 4, 3, 0, 2, 0, 0])
    roots = np.array([0, 7])
    taken, chosen = engine.choose_splits(roots, child, gain, 9)
    # 0, then 1, then 2, which has no children yet; 3 would follow, and after it 5
    assert taken.tolist() == [1, 1, 0, 0, 0, 0, 0, 0] and chosen.tolist() == [0, 0, 1, 0, 0, 1, 0, 0]
    taken, chosen = engine.choose_splits(roots, child, gain, 3)
    assert taken.tolist() == [1, 1, 0, 0, 0, 0, 0, 0] and not chosen.any()
    taken, chosen = engine.choose_splits(roots, child, gain, 1)
    assert not taken.any() and not chosen.any()


# ---- trees ----


@pytest.mark.parametrize("seed", range(40))
def test_trees_are_those_grown_at_once(seed):
    """Of random grids, options and shards; with required nodes where there are thresholds."""
    rng = np.random.default_rng(seed)
    channels, height, width = (int(rng.integers(1, 4)), *(int(size) for size in rng.integers(1, 7, 2)))
    n = int(rng.choice([1, 2, 5, 63, 64, 65, 130, 1000, 9000]))
    options = {"penalty": float(rng.choice([0, 0.1, 0.5, 2])), "max_leaves": int(rng.integers(2, 40)),
               "min_leaf": int(rng.choice([1, 2, 10, 5000]))}  # fmt: skip
    grey = rng.random((n, height * width))
    grey = grey + 0.5 * np.roll(grey, 1, axis=1) + 0.7 * np.roll(grey, width, axis=1)
    states = np.concatenate([grey > t for t in np.quantile(grey, np.linspace(0.5, 0.8, channels))], axis=1)
    states = states.astype(np.uint8)
    grid, n_nodes = Grid(channels, height, width), channels * height * width
    required = (np.arange(n_nodes) - height * width).clip(-1).astype(np.int32) if channels > 1 else None
    nearby = candidates(grid, 1, 3)
    shards = [BitPlanes.of_states(part, 1) for part in np.array_split(states, rng.integers(1, 5)) if len(part)]
    layer, counts = grow(grid, BitPlanes.of_states(states, 1), nearby, required, num_threads=2, **options)
    parts = []
    for nodes in (None,) if seed % 2 or n_nodes < 3 else (range(n_nodes // 3), range(n_nodes // 3, n_nodes)):
        growth = TreeGrowth(grid, n, nearby, required, nodes=nodes, **options)
        while (request := growth.request()) is not None:
            growth.answer(sum(request.count(shard, 2) for shard in shards))
        parts.append(growth.grown())
    sizes, split, grown_counts = (np.concatenate(own) for own in zip(*parts))
    np.testing.assert_array_equal(sizes, np.diff(layer.begin))
    np.testing.assert_array_equal(split, layer.split)
    np.testing.assert_array_equal(grown_counts, counts)
