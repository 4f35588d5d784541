# SPDX-License-Identifier: BSD-3-Clause
"""Tree CPDs against values known without the engine: worked by hand, by brute force, by enumeration. On every path."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from cbn.cpd.candidates import candidates
from cbn.cpd.grid import Grid
from cbn.cpd.tree import TreeLayer
from helpers.engines import ALL
from reference import LOG_PROBABILITY, NORMALIZED, SURPRISE, VARIANCE

every_engine = pytest.mark.parametrize("engine", ALL, ids=repr)


def all_images(n_nodes):
    return np.array(list(itertools.product((0, 1), repeat=n_nodes)), np.uint8)


def grown(engine, shape, states, reach=3, required=None, **options):
    """Trees, counts and planes; candidates are all earlier nodes within reach."""
    planes = engine.planes(states, [0])
    begin, candidate = candidates(Grid(*shape), 1, reach)
    return *engine.grow(shape, planes, len(states), begin, candidate, required, **options), planes


def thermometer(height, width, thresholds):
    """The node one threshold lower, for every node."""
    return (np.arange(thresholds * height * width) - height * width).clip(-1).astype(np.int32)


def noisy(n, n_nodes, seed, noise=0.15):
    """Images in which every node is, up to noise, a function of two earlier ones."""
    rng = np.random.default_rng(seed)
    states = (rng.random((n, n_nodes)) < 0.5).astype(np.uint8)
    for v in range(2, n_nodes):
        a, b = rng.integers(0, v, 2)
        clean = states[:, a] if v % 2 else states[:, a] & states[:, b]
        states[:, v] = np.where(rng.random(n) < noise, states[:, v], clean)
    return states


# ---- growth ----


@every_engine
def test_growth_by_hand(engine):
    """Three pixels in a row, the third one the AND of the others; the first two independent. Images: all, 4 of each."""
    states = np.array([[a, b, a & b] for a in (0, 1) for b in (0, 1)] * 4, np.uint8)
    trees, counts, _ = grown(engine, (1, 1, 3), states, penalty=0.5)
    # the nearest pixel comes first among equals: pixel 1, then pixel 0 where pixel 1 is on
    np.testing.assert_array_equal(trees.begin, [0, 1, 2, 7])
    np.testing.assert_array_equal(trees.split, [-1, -1, 1, -1, 0, -1, -1])
    np.testing.assert_array_equal(trees.child, [0, 0, 1, 0, 3, 0, 0])
    np.testing.assert_array_equal(counts, [[8, 8], [8, 8], [12, 4], [8, 0], [4, 4], [4, 0], [0, 4]])
    # 16 images: the first split gains 9.00 - 5.55 nats, the second 5.55
    first = 12 * np.log(4 / 3) + 4 * np.log(4) - 8 * np.log(2)
    for penalty, leaves in [(first / np.log(16) - 1e-9, 5), (first / np.log(16) + 1e-9, 3)]:
        assert grown(engine, (1, 1, 3), states, penalty=penalty)[0].n_leaves == leaves
    assert grown(engine, (1, 1, 3), states, max_leaves=2)[0].n_leaves == 4
    assert grown(engine, (1, 1, 3), states, min_leaf=4)[0].n_leaves == 5
    assert grown(engine, (1, 1, 3), states, min_leaf=5)[0].n_leaves == 4  # 8 images cannot be cut into two times 5
    assert grown(engine, (1, 1, 3), states, min_leaf=2**62)[0].n_leaves == 3


@every_engine
def test_the_chosen_split_gains_most(engine):
    """Brute force over the whole data at every inner vertex; unsplit leaves have no split that pays."""
    states, penalty = noisy(150, 12, 3), 0.4
    trees, _, _ = grown(engine, (2, 2, 3), states, reach=2, penalty=penalty, max_leaves=64)
    begin, candidate = candidates(Grid(2, 2, 3), 1, 2)
    assert trees.n_leaves > 25

    def log_likelihood(x):
        n = np.bincount(x, minlength=2)
        return (n[n > 0] * np.log(n[n > 0] / len(x))).sum()

    for node in range(12):
        own = slice(trees.begin[node], trees.begin[node + 1])
        split, child, members = trees.split[own], trees.child[own], {0: np.ones(150, bool)}
        for t in range(len(split)):
            x = states[members[t]]
            gain = {}
            for c in candidate[begin[node] : begin[node + 1]]:
                sides = [x[x[:, c] == s][:, node] for s in (0, 1)]
                if min(map(len, sides)):
                    gain[int(c)] = sum(map(log_likelihood, sides)) - log_likelihood(x[:, node])
            best = max(gain.values(), default=0)
            if split[t] < 0:
                assert best <= penalty * np.log(150) + 1e-9
                continue
            assert gain[split[t]] == pytest.approx(best, abs=1e-9) and best > penalty * np.log(150)
            for side in (0, 1):
                members[child[t] + side] = members[t] & (states[:, split[t]] == side)


@every_engine
def test_the_best_leaf_is_split_first(engine):
    """The third pixel leans on the first; where that is 1 it leans on the second, where it is 0 only a little."""
    images = {(0, 0, 0): 38, (0, 0, 1): 2, (0, 1, 0): 30, (0, 1, 1): 10, (1, 0, 0): 15, (1, 0, 1): 25, (1, 1, 1): 40}
    states = np.repeat(np.array(list(images), np.uint8), list(images.values()), axis=0)
    both = grown(engine, (1, 1, 3), states, penalty=0.5)[0]
    np.testing.assert_array_equal(both.split[both.begin[2] :], [0, 1, 1, -1, -1, -1, -1])
    three = grown(engine, (1, 1, 3), states, penalty=0.5, max_leaves=3)[0]
    np.testing.assert_array_equal(three.split[three.begin[2] :], [0, -1, 1, -1, -1])


@every_engine
def test_no_candidates_one_image_constant_planes(engine):
    states = noisy(50, 6, 1)
    planes = engine.planes(states, [0])
    trees, counts = engine.grow((1, 2, 3), planes, 50, np.zeros(7, np.int64), np.empty(0, np.int32), penalty=0)
    np.testing.assert_array_equal(trees.split, -np.ones(6))
    np.testing.assert_array_equal(counts[:, 1], states.sum(axis=0))
    for image in (np.zeros((1, 6), np.uint8), np.ones((1, 6), np.uint8), np.tile(states[:1], (64, 1))):
        trees, counts, _ = grown(engine, (1, 2, 3), image, penalty=0)
        assert trees.n_leaves == 6 and (counts.sum(axis=1) == len(image)).all()


@every_engine
def test_required_nodes_are_roots(engine):
    """Thermometer codes: the first split is the lower threshold, free of charge; where it is 0 the tree ends."""
    levels = np.random.default_rng(4).integers(0, 4, (130, 6))
    states = np.concatenate([levels > t for t in range(3)], axis=1).astype(np.uint8)
    required = thermometer(2, 3, 3)
    for options in ({"max_leaves": 2}, {"penalty": 1e9}, {"penalty": 0, "max_leaves": 40}, {"min_leaf": 100}):
        trees, counts, planes = grown(engine, (3, 2, 3), states, required=required, **options)
        for node in range(6, 18):
            first = trees.begin[node]
            assert trees.split[first] == node - 6 and trees.split[first + 1] == -1 and counts[first + 1, 1] == 0
        engine.trees_check(trees)
        engine.tree_counts_check(trees, counts, 130)
        np.testing.assert_array_equal(engine.tree_counts(trees, planes, 130), counts)
    with pytest.raises(ValueError):
        grown(engine, (3, 2, 3), states, required=required, max_leaves=1)
    damaged = counts.copy()
    damaged[trees.begin[7] + 1, 1] += 1
    damaged[trees.begin[7] + 1, 0] -= 1
    with pytest.raises(ValueError):
        engine.tree_counts_check(trees, damaged, 130)


@every_engine
def test_counts_add(engine):
    states = noisy(200, 9, 5)
    trees, counts, _ = grown(engine, (1, 3, 3), states, penalty=0)
    parts = [engine.tree_counts(trees, engine.planes(part, [0]), len(part)) for part in (states[:77], states[77:])]
    np.testing.assert_array_equal(parts[0] + parts[1], counts)
    engine.tree_counts_check(trees, counts, 200)
    engine.tree_counts_check(trees, parts[0], 77)
    inner = int(np.flatnonzero(trees.split >= 0)[0])
    for vertex, state, change in [(0, 0, 1), (inner, 0, -1), (inner + 1, 1, 1), (0, 1, -500)]:
        damaged = counts.copy()
        damaged[vertex, state] += change
        with pytest.raises(ValueError):
            engine.tree_counts_check(trees, damaged, 200)
    with pytest.raises(ValueError):
        engine.tree_counts_check(trees, counts, 201)


# ---- soundness ----


def by_hand(**changes):
    """Three pixels in a row: a leaf, a leaf, a tree that splits on pixel 1 and, where it is 1, on pixel 0."""
    parts = {
        "channels": 1, "height": 1, "width": 3, "begin": np.array([0, 1, 2, 7]),
        "split": np.array([-1, -1, 1, -1, 0, -1, -1], np.int32), "child": np.array([0, 0, 1, 0, 3, 0, 0], np.int32),
        "required": np.full(3, -1, np.int32),
    } | changes  # fmt: skip
    trees = SimpleNamespace(**parts)
    trees.arrays = lambda: (trees.begin, trees.split, trees.child, trees.required)
    return trees


def edited(name, at, value):
    array = getattr(by_hand(), name).copy()
    array[at] = value
    return {name: array}


MALFORMED = {
    "does not begin at 0": edited("begin", 0, 1),
    "a node without vertices": edited("begin", 1, 0),
    "begin falls": edited("begin", 2, 0),
    "begin beyond the vertices": edited("begin", 1, 6),
    "too many vertices": {"begin": np.array([0, 1, 2, 8195]), "split": np.full(8195, -1, np.int32),
                          "child": np.zeros(8195, np.int32)},
    "splits on itself": edited("split", 4, 2),
    "splits on a later node": edited("split", 0, 2),
    "splits on a missing node": edited("split", 2, 3),
    "a negative split": edited("split", 3, -2),
    "a root that is a leaf among others": edited("split", 2, -1),
    "an inner vertex without children": edited("split", 6, 0),
    "a vertex without parent": edited("split", 4, -1),
    "children out of order": edited("child", 4, 1),
    "children before their parent": edited("child", 4, 0),
    "a child beyond the tree": edited("child", 4, 4),
    "a leaf with children": edited("child", 3, 3),
    "required is not the root's split": edited("required", 2, 0),
    "required of a leaf": edited("required", 1, 0),
    "required below -1": edited("required", 0, -2),
    "required is later": edited("required", 0, 2),
    "an inner vertex on the side of 0": edited("required", 2, 1) | {
        "split": np.array([-1, -1, 1, 0, -1, -1, -1], np.int32), "child": np.array([0, 0, 1, 3, 0, 0, 0], np.int32)},
}  # fmt: skip


@every_engine
@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_trees_are_refused(engine, name):
    with pytest.raises(ValueError):
        engine.trees_check(by_hand(**MALFORMED[name]))


@every_engine
def test_sound_trees_are_taken(engine):
    engine.trees_check(by_hand())
    engine.trees_check(by_hand(**edited("required", 2, 1)))
    n = 8191  # the largest tree: a comb over one node, which decides again and again
    split = np.full(n + 1, -1, np.int32)
    split[1:n:2] = 0
    trees = TreeLayer(1, 1, 2, np.array([0, 1, n + 1]), split[: n + 1], np.full(2, -1, np.int32))
    engine.trees_check(trees)


# ---- probabilities and values ----


@every_engine
def test_shrinkage_by_hand(engine):
    trees = by_hand()
    counts = np.array([[8, 8], [8, 8], [12, 4], [8, 0], [4, 4], [4, 0], [0, 4]])
    p = engine.tree_probability(trees, counts, 1.0, 2.0)[:, 1]
    root = 5 / 18
    on = (4 + 2 * root) / 10
    expected = [1 / 2, 1 / 2, root, 2 * root / 10, on, 2 * on / 6, (4 + 2 * on) / 6]
    np.testing.assert_allclose(p, expected, rtol=1e-14)
    tiny = engine.tree_probability(trees, counts * 10**14, 1e-9, 1e-9)
    assert tiny[3, 1] == 1e-12 and tiny[6, 1] == 1 - 1e-12  # never certain
    required = by_hand(**edited("required", 2, 1))
    p = engine.tree_probability(required, counts, 1.0, 2.0)
    on = (4 + 1) / (8 + 2)  # begins anew below a required root
    np.testing.assert_allclose(p[4:, 1], [on, 2 * on / 6, (4 + 2 * on) / 6], rtol=1e-14)
    assert p[3].tolist() == [1, 0]


@every_engine
def test_bic_by_hand(engine):
    counts = np.array([[8, 8], [8, 8], [12, 4], [8, 0], [4, 4], [4, 0], [0, 4]])
    for trees, n_parameters in [(by_hand(), 5), (by_hand(**edited("required", 2, 1)), 4)]:
        found, parameters, bic = engine.tree_bic(trees, counts)
        assert parameters == n_parameters
        assert found == pytest.approx(-32 * np.log(2), abs=1e-12)
        assert bic == pytest.approx(n_parameters * np.log(16) + 64 * np.log(2), abs=1e-12)
    with pytest.raises(ValueError):
        engine.tree_bic(by_hand(), counts * 0)
    with pytest.raises(ValueError):
        engine.tree_bic(by_hand(), counts + np.array([[1, 0]] + [[0, 0]] * 6))


@every_engine
@pytest.mark.parametrize("kind", (LOG_PROBABILITY, SURPRISE, VARIANCE))
def test_leave_one_out_equals_counting_again(engine, kind):
    """Every image scored by the counts of all others, the splits fixed."""
    states = noisy(60, 9, 2)
    trees, counts, planes = grown(engine, (1, 3, 3), states, penalty=0.1, max_leaves=6)
    assert trees.n_leaves > 25
    left_out = engine.tree_values(trees, counts, kind, 0.7, 1.9, leave_one_out=True)
    found = engine.tree_contributions(trees, planes, 60, left_out)
    for i in range(0, 60, 7):
        rest = np.delete(states, i, axis=0)
        without = engine.tree_counts(trees, engine.planes(rest, [0]), 59)
        values = engine.tree_values(trees, without, kind, 0.7, 1.9)
        expected = engine.tree_contributions(trees, engine.planes(states[i : i + 1], [0]), 1, values)[0]
        np.testing.assert_allclose(found[i], expected, rtol=1e-9, atol=1e-9)


@every_engine
def test_normalized_leave_one_out(engine):
    """An image against the others: its own leaf counted anew, the other leaves as they are."""
    states = noisy(60, 9, 2)
    trees, counts, _ = grown(engine, (1, 3, 3), states, penalty=0.1, max_leaves=6)
    log_p = engine.tree_values(trees, counts, LOG_PROBABILITY, 0.7, 1.9)
    left_out = engine.tree_values(trees, counts, LOG_PROBABILITY, 0.7, 1.9, leave_one_out=True)
    found = engine.tree_values(trees, counts, NORMALIZED, 0.7, 1.9, leave_one_out=True)
    checked = 0
    for node in range(9):
        leaves = trees.begin[node] + np.flatnonzero(trees.split[trees.begin[node] : trees.begin[node + 1]] < 0)
        for row, leaf in enumerate(leaves):
            for state in np.flatnonzero(counts[leaf]):
                others, cost = counts[leaves], -log_p[leaves]
                others[row, state] -= 1
                cost[row, state] = -left_out[leaf, state]
                cost[row, 1 - state] = -np.log1p(-np.exp(left_out[leaf, state]))
                mean = np.average(cost, weights=others)
                deviation = np.sqrt(np.average((cost - mean) ** 2, weights=others))
                expected = abs(-left_out[leaf, state] - mean) / max(deviation, 0.01)
                assert found[leaf, state] == pytest.approx(expected, rel=1e-6, abs=1e-6)
                checked += 1
    assert checked > 40


@every_engine
def test_probabilities_of_all_images_sum_to_one(engine):
    states = noisy(80, 9, 6)
    trees, counts, _ = grown(engine, (1, 3, 3), states, penalty=0.1)
    every = all_images(9)
    planes = engine.planes(every, [0])
    scores, surprise, variance = (
        engine.tree_scores(trees, planes, 512, engine.tree_values(trees, counts, kind, 0.5, 3.0))
        for kind in (LOG_PROBABILITY, SURPRISE, VARIANCE)
    )
    p = np.exp(scores)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert p @ surprise == pytest.approx(0, abs=1e-10)
    assert p @ surprise**2 == pytest.approx(p @ variance, rel=1e-10)


@every_engine
def test_thermometer_codes_are_normalized_over_grey_levels(engine):
    levels = np.random.default_rng(2).integers(0, 3, (90, 4))
    levels[:, 3] = levels[:, 0]
    states = np.concatenate([levels > 0, levels > 1], axis=1).astype(np.uint8)
    trees, counts, _ = grown(engine, (2, 2, 2), states, required=thermometer(2, 2, 2), penalty=0)
    every = all_images(8)
    legal = (every[:, :4] >= every[:, 4:]).all(axis=1)
    values = engine.tree_values(trees, counts, LOG_PROBABILITY)
    p = np.exp(engine.tree_scores(trees, engine.planes(every, [0]), 256, values))
    assert legal.sum() == 3**4
    assert p[legal].sum() == pytest.approx(1, abs=1e-12)
    assert (p[~legal] == 0).all()
