# SPDX-License-Identifier: BSD-3-Clause
"""Networks as files of other programs, read back here."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from helpers.networks import Boosting, Network


def images_of(n, shape, levels=2):
    """Images in which neighbours agree, of values 0 to levels - 1 spread over 0..255."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, levels, (n, *shape))
    for i in range(1, shape[0]):
        x[:, i] = np.where(rng.random((n, shape[1])) < 0.7, x[:, i - 1], x[:, i])
    return (x * 255 // (levels - 1)).astype(np.uint8)


@pytest.fixture(scope="module", params=["pixel", "tree", "grey tree"])
def model(request):
    X = images_of(300, (4, 5), levels=3 if "grey" in request.param else 2)
    threshold = (0.3, 0.7) if "grey" in request.param else 0.3
    preset = request.param.split()[-1]
    own = {"max_leaves": 6} if preset == "tree" else {}
    return Network(preset, threshold=threshold, false_alarm_rate=0.05, score="log_probability", **own).fit(X)


# ---- readers of the three formats: node -> (parents, table (2^parents, 2)), the first parent the highest bit ----


def read_bif(text):
    names = re.findall(r"variable (\w+) \{", text)
    network = {}
    for head, body in re.findall(r"probability \( (.*?) \) \{\n(.*?)\}\n", text, re.DOTALL):
        node, _, given = head.partition(" | ")
        rows = re.findall(r"(?:table|\)) (\S+), (\S+);", body)
        network[names.index(node)] = [names.index(p) for p in given.split(", ") if p], np.array(rows, float)
        states = re.findall(r"\((.*?)\)", body)
        assert states == sorted(states)  # "off" < "on": rows in counting order
    return network


def read_xmlbif(text):
    root = ElementTree.fromstring(text)
    names = [v.findtext("NAME") for v in root.iter("VARIABLE")]
    return {
        names.index(d.findtext("FOR")): (
            [names.index(g.text) for g in d.iter("GIVEN")],
            np.array(d.findtext("TABLE").split(), float).reshape(-1, 2),
        )
        for d in root.iter("DEFINITION")
    }


def read_uai(text):
    tokens = iter(text.split())
    assert next(tokens) == "BAYES"
    n = int(next(tokens))
    assert [next(tokens) for _ in range(n)] == ["2"] * n and int(next(tokens)) == n
    scopes = [[int(next(tokens)) for _ in range(int(next(tokens)))] for _ in range(n)]
    tables = [np.array([float(next(tokens)) for _ in range(int(next(tokens)))]).reshape(-1, 2) for _ in range(n)]
    return {scope[-1]: (scope[:-1], table) for scope, table in zip(scopes, tables)}


@pytest.mark.parametrize("ending, read", [(".bif", read_bif), (".xmlbif", read_xmlbif), (".uai", read_uai)])
def test_exported_networks_give_the_same_probabilities(model, tmp_path, ending, read):
    path = tmp_path / f"network{ending}"
    model.export(path)
    network = read(path.read_text())
    assert len(network) == model.layer_.n_nodes
    X = model.sample(30, random_state=4)
    states = model.binarizer_.planes(X, 1).states(1)
    total = np.zeros(len(X))
    for node, (parents, table) in network.items():
        row = np.zeros(len(X), int)
        for parent in parents:
            row = 2 * row + states[:, parent]
        total += np.log(table[row, states[:, node]])
    np.testing.assert_allclose(total, model.score_samples(X, "log_probability"), rtol=1e-12)


def test_positions_are_properties(model, tmp_path):
    model.export(tmp_path / "n.bif")
    text = (tmp_path / "n.bif").read_text()
    assert "property position = (4, 3) ;" in text and "property threshold = 0.3 ;" in text


def test_export_refusals(tmp_path):
    X = images_of(60, (5, 5))
    boosted = Network("boosted", boosting=Boosting(rounds=3), false_alarm_rate=0.2, random_state=0).fit(X)
    with pytest.raises(ValueError, match="export: boosted trees"):
        boosted.export(tmp_path / "n.bif")
    pixel = Network(false_alarm_rate=0.2).fit(X)
    for arguments, message in ((("n.txt",), "path: .*n.txt"), (("n.bif", 3), "layer: 3")):
        with pytest.raises(ValueError, match=message):
            pixel.export(tmp_path / arguments[0], layer=arguments[1] if len(arguments) > 1 else 0)
    rng = np.random.default_rng(0)
    noisy = rng.integers(0, 2, (3000, 6, 6)).astype(np.uint8)
    wide = Network("tree", penalty=0.0, max_leaves=400, min_leaf=1, folds=2).fit(noisy)
    with pytest.raises(ValueError, match="parents are possible"):
        wide.export(tmp_path / "n.bif")
    assert list(tmp_path.iterdir()) == []
