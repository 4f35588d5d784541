# SPDX-License-Identifier: BSD-3-Clause
"""The local-Markov report: mutual information of known value, tests that keep their level, the pairs of a network."""

import json

import numpy as np
import pytest

from cbn.explain import markov
from cbn.layers.kernels import Kernels
from helpers.networks import Network

LN2 = np.log(2)


def rows(*counts):
    """Arguments of `dependence` for one pair: (n, a, b, both) of every row, as columns."""
    return [np.array(column)[:, None] for column in zip(*counts)]


def entropy(*columns):
    """Plug-in entropy of the joint states of bit columns, nats."""
    _, n = np.unique(np.stack(columns), axis=1, return_counts=True)
    p = n / n.sum()
    return -(p * np.log(p)).sum()


def information(v, u, given):
    """Plug-in I(v ; u | given) of bit columns, nats."""
    return entropy(v, *given) + entropy(u, *given) - entropy(v, u, *given) - (entropy(*given) if given else 0.0)


# ---- one pair ----


def test_copy_has_the_entropy_of_the_node():
    nats, p = markov.dependence(*rows((1000, 500, 500, 500)), 1000)
    assert nats[0] == pytest.approx(LN2 - 1 / 2000, abs=1e-12)
    assert p[0] < 1e-100


@pytest.mark.parametrize("flip", [0.1, 0.25, 0.4])
def test_noisy_copy(flip):
    """I = ln 2 - H(flip) for a fair bit sent through a symmetric channel."""
    n = 100_000
    nats, _ = markov.dependence(*rows((n, n / 2, n / 2, n / 2 * (1 - flip))), n)
    channel = LN2 + flip * np.log(flip) + (1 - flip) * np.log(1 - flip)
    assert nats[0] == pytest.approx(channel - 1 / (2 * n), abs=1e-12)


def test_exclusive_or_shows_only_given_the_third():
    """x = y xor z with y and z fair and independent: I(x ; y) = 0 and I(x ; y | z) = ln 2."""
    nats, p = markov.dependence(*rows((400, 200, 200, 100)), 400)
    assert (nats[0], p[0]) == (pytest.approx(-1 / 800, abs=1e-12), 1.0)
    nats, p = markov.dependence(*rows((200, 100, 100, 100), (200, 100, 100, 0)), 400)
    assert nats[0] == pytest.approx(LN2 - 2 / 800, abs=1e-12)
    assert p[0] < 1e-50


def test_rows_where_a_node_is_constant_say_nothing():
    whole = markov.dependence(*rows((60, 30, 20, 15)), 100)
    padded = markov.dependence(*rows((60, 30, 20, 15), (25, 0, 10, 0), (15, 15, 4, 4)), 100)
    np.testing.assert_allclose(padded, whole, atol=1e-12)
    nats, p = markov.dependence(*rows((25, 0, 10, 0)), 100)
    assert (nats[0], p[0]) == (pytest.approx(0, abs=1e-15), 1.0)


def test_rows_too_thin_for_the_test_count_in_the_value_only():
    nats, p = markov.dependence(*rows((8, 4, 4, 4)), 8)  # expected 2 a cell
    assert nats[0] == pytest.approx(LN2 - 1 / 16) and p[0] == 1.0
    nats, p = markov.dependence(*rows((20, 10, 10, 10)), 20)  # expected 5
    assert p[0] < 1e-4


def test_swapping_nodes_or_states_changes_nothing():
    rng = np.random.default_rng(0)
    n = np.full((6, 50), 300)
    a, b = rng.integers(50, 250, (2, 6, 50))
    both = rng.hypergeometric(a, n - a, b)
    reference = markov.dependence(n, a, b, both, 1800)
    np.testing.assert_allclose(markov.dependence(n, b, a, both, 1800), reference, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(markov.dependence(n, n - a, b, b - both, 1800), reference, rtol=1e-9, atol=1e-12)


def test_independent_nodes_have_no_information_and_uniform_p_values():
    """20,000 pairs with fixed margins: mean about 0, and p-values that are below a in a share a of them."""
    rng = np.random.default_rng(1)
    n = np.array([[400], [150], [60]])
    a, b = np.array([[150], [60], [30]]), np.broadcast_to([[100], [70], [25]], (3, 20_000))
    nats, p = markov.dependence(n, a, b, rng.hypergeometric(a, n - a, b), 610)
    deviation = np.sqrt(2 * 3) / (2 * 610)  # of chi-square with 3 degrees of freedom over 2 n
    assert abs(nats.mean()) < 5 * deviation / np.sqrt(20_000) + 2e-5  # and what the first order leaves
    for level in (0.2, 0.05, 0.01):
        assert np.mean(p <= level) == pytest.approx(level, rel=0.15)
    assert not markov.discoveries(p).any()


def test_discoveries_by_hand():
    """Five tests at 10 %: bounds 0.1 i / (5 x 2.28333), the largest p below its bound and all smaller ones count."""
    bounds = 0.1 * np.arange(1, 6) / (5 * (1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5))
    p = np.array([bounds[2], 0.9, bounds[0] + 1e-4, bounds[3] + 1e-4, 0.0])
    assert markov.discoveries(p, 0.1).tolist() == [True, False, True, False, True]
    assert markov.discoveries(p[::-1], 0.1).tolist() == [True, False, True, False, True]
    assert not markov.discoveries(np.ones(3)).any()


# ---- a network ----


def strokes(n, height, width, seed=0):
    """Smooth random blobs: neighbouring pixels are alike."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n, height + 2, width + 2))
    smooth = sum(noise[:, i : i + height, j : j + width] for i in range(3) for j in range(3))
    return (smooth > 1).astype(np.uint8)


@pytest.fixture(scope="module")
def hidden():
    images = strokes(700, 14, 13)
    model = Network(
        "hidden", hidden=((3, 3, 1), (2, 2, 2)), iterations=3, random_state=0, n_jobs=1, max_parents=3,
        forced_relations=((2, 0, 1, -3, 0), (2, 1, 1, 0, -3)),
    )  # fmt: skip
    return model.fit(images), images


def test_pixels_whose_parent_hides_an_exclusive_or():
    images = np.array([(y, z, y ^ z) for y in (0, 1) for z in (0, 1)] * 100, np.uint8).reshape(400, 1, 3)
    model = Network(offsets=((0, -1),)).fit(images)
    (group,) = model.markov_report(images).groups
    assert (group.layer, group.kind) == (0, "two_apart")
    assert group.pairs.tolist() == [[[0, 0, 0, 2], [0, 0, 0, 0]]]
    assert group.nats[0] == pytest.approx(LN2 - 2 / 800, abs=1e-12)
    assert group.dependent.tolist() == [True] and group.shuffled_dependent.tolist() == [False]
    assert abs(group.shuffled_nats[0]) < 0.02
    # with the hidden pixel as a parent there is nothing left
    model = Network(offsets=((0, -1), (0, -2))).fit(images)
    assert model.markov_report(images).groups == ()


def test_independent_pixels_are_not_called_dependent():
    images = np.random.default_rng(2).integers(0, 2, (3000, 8, 8)).astype(np.uint8)
    (group,) = Network().fit(images).markov_report(images).groups
    assert len(group.nats) > 300
    assert not group.dependent.any()
    assert abs(group.nats.mean()) < 2e-4
    assert group.nats.max() < 0.02


def test_every_pair_against_the_definition(hidden):
    """Nodes, parents and windows of random pairs, from the states of all nodes and brute-force entropies."""
    model, images = hidden
    states = [images[:, None], *model.hidden_states(images)]
    layers = [model.layer_, *(trained.layer for trained in model.hidden_layers_)]
    geometries = model.layer_geometries()
    rng = np.random.default_rng(3)
    report = model.markov_report(images)
    assert [(g.layer, g.kind) for g in report.groups] == [
        (0, "two_apart"), *((layer, kind) for layer in (1, 2) for kind in markov.KINDS[1:])
    ]  # fmt: skip
    for group in report.groups:
        assert len(np.unique(group.pairs.reshape(len(group.nats), -1), axis=0)) == len(group.nats)
        for i in rng.choice(len(group.nats), 12):
            (level, c, y, x), (other_level, oc, oy, ox) = group.pairs[i]
            v, u = states[level][:, c, y, x], states[other_level][:, oc, oy, ox]
            layer = layers[level]
            relations = [(r.parent, y + r.dy, x + r.dx) for r in layer.parents(c)]
            parents = [(p, a, b) for p, a, b in relations if 0 <= a < layer.height and 0 <= b < layer.width]
            given = [states[level][:, p, a, b] for p, a, b in parents]
            if group.kind == "relation":
                assert (oc, oy, ox) in parents
                given = []
            elif group.kind == "same_place":
                assert other_level == level and oc < c and (oy, ox) == (y, x)
            elif group.kind == "window":
                # the other's pixels are among the node's own
                own, below = geometries[level], geometries[level - 1]
                assert other_level == level - 1
                for at, below_at in ((y, oy), (x, ox)):
                    first, last = at * own.stride, at * own.stride + own.receptive_field
                    assert first <= below_at * below.stride and below_at * below.stride + below.receptive_field <= last
            else:
                assert max(abs(oy - y), abs(ox - x)) == 2 and (oy, ox) < (y, x) and oc == c
            keys = np.array([*given, np.zeros_like(v)]).T @ (2 ** np.arange(len(given) + 1))
            freedom = sum(
                len(set(v[keys == k].tolist())) == 2 and len(set(u[keys == k].tolist())) == 2
                for k in set(keys.tolist())
            )
            expected = information(v, u, given) - freedom / (2 * len(v))
            assert group.nats[i] == pytest.approx(expected, abs=1e-9)


def test_number_of_pairs(hidden):
    model, images = hidden
    n = {(g.layer, g.kind): len(g.nats) for g in model.markov_report(images).groups}
    assert n[1, "window"] == 3 * 12 * 11 * 9 and n[2, "window"] == 2 * 5 * 5 * 3 * 9  # window 2 + 2 - 1 = 3
    assert n[1, "same_place"] == 3 * 12 * 11 and n[2, "same_place"] == 5 * 5
    # earlier pixels at distance 2: 8 offsets, those that leave the 14 x 13 image removed
    inside = [(14 - abs(dy)) * (13 - abs(dx)) for dy, dx in markov.TWO_APART]
    assert n[0, "two_apart"] == sum(inside)


def test_repeated_nats_are_the_conditional_entropy_of_the_layer(hidden):
    model, images = hidden
    for total in model.markov_report(images).totals:
        network = model.fitted_.network.networks[total.layer]
        log_likelihood = network.bic()[0]
        varying = (network.counts > 0).all(axis=1).sum()
        assert total.repeated == pytest.approx((-log_likelihood + varying / 2) / 700, rel=1e-10)
        assert 0 < total.same_place < total.repeated


def test_a_kernel_twice_repeats_all_of_itself():
    images = strokes(500, 8, 8)
    weights = np.random.default_rng(4).standard_normal((1, 1, 3, 3)).repeat(2, axis=0)
    model = Network(
        "hidden", hidden=((2, 3, 1),), kernels=[Kernels(weights, np.full(2, -0.1), 1)], iterations=0, max_parents=0
    ).fit(images)
    report = model.markov_report(images)
    (total,) = report.totals
    states = model.hidden_states(images)[0]
    np.testing.assert_array_equal(states[:, 0], states[:, 1])
    exact = sum(entropy(states[:, 0, y, x]) for y in range(6) for x in range(6))
    assert total.repeated == pytest.approx(2 * (exact + 36 / 1000), rel=1e-10)
    assert total.same_place == pytest.approx(exact - 36 / 1000, rel=1e-10)
    same_place = next(g for g in report.groups if g.kind == "same_place")
    ones = states[:, 0].sum(axis=0).ravel()
    testable = np.minimum(ones, 500 - ones) ** 2 >= 5 * 500  # at least 5 expected in the rarest cell
    assert testable.sum() > 20
    np.testing.assert_array_equal(same_place.dependent, testable)


def test_one_kernel_has_nobody_beside_it():
    images = strokes(200, 8, 8)
    model = Network("hidden", hidden=((1, 3, 1),), iterations=0, random_state=0).fit(images)
    report = model.markov_report(images)
    assert "same_place" not in [g.kind for g in report.groups]
    assert report.totals[0].same_place == 0


def test_order_of_images_and_threads_change_nothing(hidden):
    model, images = hidden
    reference = model.markov_report(images)
    shuffled = model.markov_report(images[np.random.default_rng(5).permutation(len(images))])
    several = model.set_params(n_jobs=3).markov_report(images)
    model.set_params(n_jobs=1)
    for other in (shuffled, several):
        assert other.totals == reference.totals
        for a, b in zip(reference.groups, other.groups, strict=True):
            np.testing.assert_array_equal(a.nats, b.nats)
            np.testing.assert_array_equal(a.shuffled_nats, b.shuffled_nats)
            np.testing.assert_array_equal(a.p_values, b.p_values)


def test_small_blocks_give_the_same(hidden, monkeypatch):
    model, images = hidden
    reference = model.markov_report(images).to_dict()
    monkeypatch.setattr(markov, "BLOCK_WORDS", 50)
    assert model.markov_report(images).to_dict() == reference


def test_one_image_says_nothing(hidden):
    model, images = hidden
    report = model.markov_report(images[:1])
    for group in report.groups:
        assert not group.nats.any() and not group.dependent.any()
    assert [t.repeated for t in report.totals] == [0.0, 0.0]


def test_summary(hidden):
    model, images = hidden
    report = model.markov_report(images)
    found = json.loads(json.dumps(report.to_dict(3)))
    assert (found["n_images"], found["false_discovery_rate"]) == (700, 0.01)
    for group, told in zip(report.groups, found["groups"], strict=True):
        assert told["mean"] == pytest.approx(group.nats.mean())
        assert told["largest"][0]["nats"] == group.nats.max()
        assert len(told["largest"]) == 3
        assert told["share_dependent"] == group.dependent.mean()
    window = next(g for g in report.groups if g.kind == "window")
    assert window.dependent.mean() > 0.5 and window.shuffled_dependent.mean() < 0.01
    assert window.shuffled_nats.max() < 0.1 * window.nats.max()
