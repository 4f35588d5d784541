# SPDX-License-Identifier: BSD-3-Clause
"""explain(image): the nodes that surprise most, with what training saw there, against counts made by hand."""

import json

import numpy as np
import pytest

import cbn
from helpers.networks import Network

WEST = ((0, -1),)


def entropy(p):
    return -(p * np.log(p) + (1 - p) * np.log(1 - p))


@pytest.fixture(scope="module")
def pair():
    """Two pixels; of ten images six are 11, two 10, one 01 and one 00."""
    images = np.array([[[1, 1]]] * 6 + [[[1, 0]]] * 2 + [[[0, 1]], [[0, 0]]], np.uint8)
    return Network(offsets=WEST, score="surprise", false_alarm_rate=0.5).fit(images)


def test_counts_probabilities_and_surprise_by_hand(pair):
    first, second = pair.explain([[1, 0]])
    # the second pixel: off after on in 2 of 8, p = (2 + 1) / (8 + 2); the first: on in 8 of 10, p = (8 + 1) / (10 + 2)
    assert (first.row, first.column, first.state, first.count, first.row_count, first.n_images) == (0, 1, 0, 2, 8, 10)
    assert first.probability == pytest.approx(0.3) and first.table_row == 1
    assert first.surprise == pytest.approx(-np.log(0.3) - entropy(0.3))
    assert (second.row, second.column, second.state, second.count, second.row_count) == (0, 0, 1, 8, 10)
    assert second.probability == pytest.approx(0.75) and second.table_row == 0
    assert second.surprise == pytest.approx(-np.log(0.75) - entropy(0.75))
    assert [(r.dy, r.dx, state) for r, state in second.parents] == [(0, -1, None)]  # outside the image
    assert [(r.dy, r.dx, state) for r, state in first.parents] == [(0, -1, 1)]


def test_sentences(pair):
    first, second = pair.explain([[1, 0]])
    assert str(first) == "pixel (0, 1) is off: 0.6 nats, 2 of 8 training images with parents (0,-1)=1 (row 1)"
    assert str(second) == "pixel (0, 0) is on: -0.3 nats, 8 of 10 training images (row 0)"


def test_an_image_that_training_never_saw():
    images = np.zeros((5958, 3, 3), np.uint8)
    images[:3, 1, 1] = 1
    model = Network(offsets=((-1, -1),)).fit(images)
    image = images[0].copy()
    image[2, 2] = 1
    centre, corner = model.explain(image, 2)
    assert str(centre) == "pixel (1, 1) is on: 7.3 nats, 3 of 5,958 training images with parents (-1,-1)=0 (row 0)"
    assert centre.surprise == pytest.approx(-np.log(4 / 5960) - entropy(4 / 5960))
    assert (corner.row, corner.column, corner.count, corner.row_count, corner.table_row) == (2, 2, 0, 3, 1)
    assert "0 of 3 training images" in str(corner)


def test_number_of_nodes(pair):
    assert len(pair.explain([[1, 0]], 1)) == 1
    assert len(pair.explain([[1, 0]], 50)) == 2  # there are no more
    for n in (0, 1.5, "two"):
        with pytest.raises(ValueError, match="^n: "):
            pair.explain([[1, 0]], n)
    with pytest.raises(cbn.DataError, match="^image: "):
        pair.explain([[[1, 0]]])


def test_thermometer():
    """Three grey levels at two pixels: parents are the west pixel of the threshold, and the lower threshold."""
    images = np.array([[[200, 200]]] * 4 + [[[100, 100]]] * 3 + [[[0, 100]]] * 2 + [[[0, 0]]], np.uint8)
    model = Network(offsets=WEST, threshold=(0.2, 0.6), false_alarm_rate=0.5).fit(images)
    found = {(node.channel, node.column): node for node in model.explain([[100, 200]], 4)}
    assert {node.threshold for node in found.values()} == {0.2, 0.6}
    high = found[1, 1]  # above 0.6 although the west pixel is not: 0 of the 5 images that are above 0.2 here
    assert (high.state, high.count, high.row_count) == (1, 0, 5)
    assert high.probability == pytest.approx(1 / 7)
    parents = "(0,-1)=0 lower threshold=1"
    assert str(high) == (
        f"pixel (0, 1) above 0.6 is on: {high.surprise:.1f} nats, 0 of 5 training images with parents {parents} (row 2)"
    )
    dark = {(node.channel, node.column): node for node in model.explain([[0, 0]], 4)}
    certain = dark[1, 0]  # not above 0.2, so certainly not above 0.6
    assert (certain.surprise, certain.probability, certain.count, certain.row_count) == (0.0, 1.0, 3, 3)


# ---- hidden layers ----


@pytest.fixture(scope="module")
def hidden():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((301, 14, 13))
    images = (sum(noise[:, i : i + 12, j : j + 11] for i in range(3) for j in range(3)) > 1).astype(np.uint8)
    model = Network(
        "hidden", hidden=((3, 3, 1), (2, 2, 1)), iterations=2, random_state=0, max_parents=3, layer_weights=(1, 0.5, 2),
        forced_relations=((1, 0, 1, -3, 0), (1, 0, 2, 0, -3), (2, 1, 1, 0, -4)),
    )  # fmt: skip
    return model.fit(images[:300]), images[:300], images[300]


def all_nodes(model, image):
    return model.explain(image, sum(network.layer.n_nodes for network in model.fitted_.network.networks))


def test_every_node_is_explained_by_what_training_saw(hidden):
    """Counts of all nodes of all layers against the states of the training images."""
    model, train, image = hidden
    seen = [train[:, None], *model.hidden_states(train)]
    shown = [image[None, None], *model.hidden_states(image[None])]
    layers = [model.layer_, *(trained.layer for trained in model.hidden_layers_)]
    nodes = all_nodes(model, image)
    assert len({(node.layer, node.channel, node.row, node.column) for node in nodes}) == len(nodes)
    assert len(nodes) == sum(layer.n_nodes for layer in layers)
    for node in nodes:
        layer, k = layers[node.layer], node.layer
        place = node.channel, node.row, node.column
        assert node.state == shown[k][(0, *place)]
        assert [relation for relation, _ in node.parents] == layer.parents(node.channel)
        same_row, row = np.ones(len(train), bool), 0
        for bit, (relation, state) in enumerate(node.parents):
            y, x = node.row + relation.dy, node.column + relation.dx
            if not (0 <= y < layer.height and 0 <= x < layer.width):
                assert state is None
                continue
            assert state == shown[k][0, relation.parent, y, x]
            same_row &= seen[k][:, relation.parent, y, x] == state
            row |= state << bit
        assert node.table_row == row
        assert node.row_count == same_row.sum()
        assert node.count == (same_row & (seen[k][(slice(None), *place)] == node.state)).sum()
        assert node.n_images == 300
        p = (node.count + 1) / (node.row_count + 2)
        assert node.probability == pytest.approx(p, rel=1e-12)
        assert node.surprise == pytest.approx(-np.log(p) - entropy(p), abs=1e-12)


def test_contributions_sum_to_the_surprise_of_the_image(hidden):
    model, _, image = hidden
    nodes = all_nodes(model, image)
    contributions = [node.contribution for node in nodes]
    assert sum(contributions) == pytest.approx(-model.score_samples(image[None], score="surprise")[0], abs=1e-9)
    assert contributions == sorted(contributions, reverse=True)
    for layer, factor in enumerate(model.fitted_.network.scales["surprise"]):
        own = [node for node in nodes if node.layer == layer]
        assert sum(node.surprise for node in own) == pytest.approx(
            -model.layer_scores(image[None], score="surprise")[0, layer], abs=1e-9
        )
        assert all(node.contribution == pytest.approx(factor * node.surprise) for node in own)


def test_the_first_are_the_same_whatever_the_number(hidden):
    model, _, image = hidden
    assert all_nodes(model, image)[:7] == model.explain(image, 7)
    assert len(model.explain(image)) == 10
    model.set_params(n_jobs=3)
    assert model.explain(image, 7) == all_nodes(model, image)[:7]


def test_fields_are_the_pixels_that_a_node_depends_on(hidden):
    model, _, image = hidden
    for node in all_nodes(model, image)[::37]:
        top, left, size = node.field
        inside = np.zeros(image.shape, bool)
        inside[top : top + size, left : left + size] = True
        changed = np.where(inside, image, 1 - image)  # every pixel outside the field
        states = [changed[None, None], *model.hidden_states(changed[None])]
        assert states[node.layer][0, node.channel, node.row, node.column] == node.state
    assert {node.field[2] for node in all_nodes(model, image)} == {1, 3, 4}


def test_sentence_of_a_hidden_node(hidden):
    model, _, image = hidden
    node = next(n for n in all_nodes(model, image) if (n.layer, n.channel) == (1, 0) and n.row >= 3 and n.column >= 3)
    text = str(node)
    assert text.startswith(
        f"layer 1 kernel 0 at ({node.row}, {node.column}), pixels ({node.row}, {node.column}) to "
        f"({node.row + 2}, {node.column + 2}) is {'on' if node.state else 'off'}: {node.surprise:.1f} nats, "
        f"{node.count} of {node.row_count} training images with parents (-3,0)k1={node.parents[0][1]} "
    )


def test_a_layer_without_weight_explains_nothing(hidden):
    _, train, image = hidden
    model = Network("hidden", hidden=((3, 3, 1),), iterations=0, random_state=0, layer_weights=(0, 1)).fit(train)
    assert {node.layer for node in model.explain(image, 10)} == {1}


def test_as_json(hidden):
    model, _, image = hidden
    for node in model.explain(image, 5):
        told = json.loads(json.dumps(node.to_dict()))
        assert told["sentence"] == str(node)
        assert told["parents"] == [[r.parent, r.dy, r.dx, state] for r, state in node.parents]
        assert told["field"] == list(node.field)
        for name in ("layer", "channel", "row", "column", "state", "surprise", "contribution", "probability",
                     "table_row", "count", "row_count", "n_images", "threshold"):  # fmt: skip
            assert told[name] == getattr(node, name)
