# SPDX-License-Identifier: BSD-3-Clause
"""Explanations under trees (the way through the tree) and under boosted trees (influences), against naive recounts."""

import json

import numpy as np
import pytest

import cbn
from helpers.networks import Boosting, Network

GREY = (0.3, 0.7)


def images_of(n, height=6, width=7, seed=0):
    """Grey images in which a row is mostly as the one above."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (n, height, width)).astype(np.uint8)
    for i in range(1, height):
        x[:, i] = np.where(rng.random((n, width)) < 0.8, x[:, i - 1], x[:, i])
    return x


TRAIN = images_of(250)
# rows that alternate, which training never does
STRANGE = np.repeat(np.where(np.arange(6) % 2, 140, 20).astype(np.uint8)[:, None], 7, axis=1)


def fitted(preset, threshold=0.3, **arguments):
    own = {"boosting": Boosting(rounds=15, max_leaves=4), "reach": 4} if preset == "boosted" else {}
    model = Network(preset, threshold=threshold, false_alarm_rate=0.1, n_jobs=1, random_state=0, **own, **arguments)
    return model.fit(TRAIN)


@pytest.fixture(
    scope="module",
    params=[("tree", 0.3), ("tree", GREY), ("boosted", 0.3), ("boosted", GREY), ("best", 0.3)],
    ids=lambda param: f"{param[0]}-{param[1]}",
)
def model(request):
    preset, threshold = request.param
    return fitted(preset, threshold, **({"hidden": ((4, 2, 1),)} if preset == "best" else {}))


def states_of(model, images):
    """(n, channels, height, width) of every layer."""
    pixels = np.stack([images > t * 255 for t in model.binarizer_.thresholds], axis=1)
    return [pixels.astype(int), *model.hidden_states(images)]


def test_all_nodes_in_order_and_their_contributions_sum_to_the_surprise(model):
    found = model.explain(STRANGE, 10**6)
    assert len(found) == sum(g.channels * g.height * g.width for g in model.layer_geometries())
    contributions = [node.contribution for node in found]
    assert contributions == sorted(contributions, reverse=True)
    assert sum(contributions) == pytest.approx(-model.score_samples(STRANGE[None], "surprise")[0])
    # the program's own score of every layer is the product of the probabilities that are named
    for layer, expected in enumerate(model.layer_scores(STRANGE[None], "log_probability")[0]):
        assert sum(np.log(node.probability) for node in found if node.layer == layer) == pytest.approx(expected)


def test_states_are_those_of_the_image(model):
    states = states_of(model, STRANGE[None])
    for node in model.explain(STRANGE, 10**6):
        assert node.state == states[node.layer][0, node.channel, node.row, node.column]
        for channel, row, column, state, _ in node.given:
            assert state == states[node.layer][0, channel, row, column]


@pytest.mark.parametrize("threshold, hidden", [(0.3, ()), (GREY, ()), (0.3, ((4, 2, 1),))])
def test_the_way_holds_for_as_many_training_images_as_it_says(threshold, hidden):
    model = fitted("tree", threshold, hidden=hidden, iterations=0)
    states = states_of(model, TRAIN)
    deepest = 0
    for node in model.explain(STRANGE, 10**6):
        own = states[node.layer]
        reach = np.ones(len(TRAIN), bool)
        for channel, row, column, state, influence in node.given:
            assert influence is None
            reach &= own[:, channel, row, column] == state
        assert node.leaf_count == reach.sum()
        assert node.count == (own[reach, node.channel, node.row, node.column] == node.state).sum()
        assert node.n_images == len(TRAIN)
        deepest = max(deepest, len(node.given))
    assert deepest > 1


@pytest.mark.parametrize("threshold", [0.3, GREY])
def test_influences_are_changes_of_the_log_odds_by_one_flip(threshold):
    model = fitted("boosted", threshold)
    shape = len(model.binarizer_.thresholds), 6, 7
    network, states = model.fitted_.network.pixels, states_of(model, STRANGE[None])[0][0]

    def log_odds(states, node):
        """From the sum over trees, written out."""
        layer, flat = network.layer, states.ravel()
        total = int(layer.base[node])
        for tree in range(layer.begin[node], layer.begin[node + 1]):
            first, end = layer.tree_begin[tree : tree + 2]
            split, vertex = layer.split[first:end], 0
            while split[vertex] >= 0:
                inner_before = int((split[:vertex] >= 0).sum())
                vertex = 1 + 2 * inner_before + int(flat[split[vertex]])
            total += int(layer.value[first + vertex])
        return total / 65536

    n_certain = 0
    for found in model.explain(STRANGE, 10**6):
        assert found.count is found.leaf_count is None
        node = int(np.ravel_multi_index((found.channel, found.row, found.column), shape))
        if found.channel and not states[found.channel - 1, found.row, found.column]:
            assert (found.state, found.probability, found.log_odds) == (0, 1.0, None)
            assert found.given == ((found.channel - 1, found.row, found.column, 0, None),)
            n_certain += 1
            continue
        own = log_odds(states, node)
        assert found.log_odds == pytest.approx(own)
        assert found.probability == pytest.approx(1 / (1 + np.exp(-own if found.state else own)))
        changes = np.zeros(states.size)
        for other in range(states.size):
            flipped = states.copy().ravel()
            flipped[other] ^= 1
            changes[other] = log_odds(flipped.reshape(shape), node) - own
        strongest = np.sort(np.abs(changes[changes != 0]))[::-1][:3]
        assert [abs(g[-1]) for g in found.given] == pytest.approx(strongest)
        for *place, _, influence in found.given:
            assert influence == pytest.approx(changes[np.ravel_multi_index(place, shape)])
    assert (n_certain > 0) == (threshold == GREY)


def test_sentences():
    node = fitted("tree").explain(STRANGE, 1)[0]
    text = str(node)
    state = "on" if node.state else "off"
    assert text.startswith(f"pixel ({node.row}, {node.column}) is {state}: {node.surprise:.1f} nats, ")
    assert f"{node.count:,} of {node.leaf_count:,} training images with " in text
    _, row, column, state, _ = node.given[0]
    assert f"with ({row}, {column}) {'on' if state else 'off'}" in text

    found = fitted("tree", GREY).explain(STRANGE, 10**6)
    upper = next(node for node in found if node.channel == 1 and any(g[0] == 1 for g in node.given))
    assert f"pixel ({upper.row}, {upper.column}) above 0.7 is " in str(upper)
    lower = next(g for g in upper.given if g[0] == 0)
    assert f"({lower[1]}, {lower[2]}) above 0.3 {'on' if lower[3] else 'off'}" in str(upper)

    node = fitted("boosted").explain(STRANGE, 1)[0]
    assert f"log-odds {node.log_odds:z.1f}; flipped, these change it most: (" in str(node)
    certain = next(n for n in fitted("boosted", GREY).explain(STRANGE, 10**6) if n.log_odds is None)
    assert f"probability 1 with ({certain.row}, {certain.column}) above 0.3 off" in str(certain)

    hidden = fitted("tree", hidden=((4, 2, 1),), iterations=0).explain(STRANGE, 10**6)
    node = next(n for n in hidden if n.layer == 1 and n.given)
    channel, row, column, state, _ = node.given[0]
    assert f"layer 1 kernel {node.channel} at ({node.row}, {node.column}), pixels " in str(node)
    assert f"({row}, {column}) kernel {channel} {'on' if state else 'off'}" in str(node)


def test_json(model):
    for node in model.explain(STRANGE, 5):
        facts = node.to_dict()
        assert facts["sentence"] == str(node)
        assert json.loads(json.dumps(facts)) == facts


def test_a_loaded_model_explains_alike(model, tmp_path):
    model.save(tmp_path / "m.cbn")
    again = cbn.load(tmp_path / "m.cbn")
    assert again.explain(STRANGE, 20) == model.explain(STRANGE, 20)
