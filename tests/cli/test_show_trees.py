# SPDX-License-Identifier: BSD-3-Clause
"""cbn-show for trees and boosted trees: facts, text, figure, refusals; the describing methods of every preset."""

import json

import numpy as np
import pytest
from PIL import Image

import cbn
from cbn.cpd import shape
from cbn.cpd.shape import describe_trees, leaves_of, split_distances, tree_pictures
from cbn.fit.facts import describe
from cbn.plots import model as summary
from helpers import programs as cli
from helpers.networks import Boosting, Network

IMAGES = cli.grey_images(120, 8, 7)
PRESETS = {
    "pixel": {},
    "hidden": {"preset": "hidden", "hidden": ((3, 2, 1),), "iterations": 2},
    "tree": {"preset": "tree", "reach": 3},
    "grey-tree": {"preset": "tree", "threshold": (0.3, 0.6)},
    "boosted": {"preset": "boosted", "boosting": Boosting(rounds=6, max_leaves=4), "reach": 2},
    "best": {"preset": "best", "hidden": ((4, 2, 1), (3, 2, 1))},
    "trained-trees": {"preset": "best", "hidden": ((4, 2, 1),), "iterations": 2},
}
ONE_THRESHOLD = "pixel", "hidden", "tree", "boosted"
TREES = [name for name in PRESETS if name not in ("pixel", "hidden")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    np.save(folder / "grey.npy", IMAGES)
    for name, arguments in PRESETS.items():
        model = Network(**arguments, false_alarm_rate=0.1, n_jobs=1, random_state=0)
        model.fit(IMAGES).save(folder / f"{name}.cbn")
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def show(folder, name, *arguments):
    return cli.done("cbn-show", "--model", folder / f"{name}.cbn", *arguments)


def naive_sizes(layer):
    """(leaves per node, depth per tree, distance per split) by walking every tree."""
    boosted = hasattr(layer, "base")
    leaves, depths, distances = [], [], []
    for node in range(layer.n_nodes):
        if boosted:
            trees = [layer.tree_begin[t : t + 2] for t in range(layer.begin[node], layer.begin[node + 1])]
        else:
            trees = [layer.begin[node : node + 2]]
        leaves.append(0)
        for first, end in trees:
            split = layer.split[first:end].tolist()
            depth, children = [0], iter(range(1, len(split)))  # breadth first: children follow in the order of parents
            for vertex, decides in enumerate(split):
                if decides < 0:
                    leaves[-1] += 1
                    continue
                for _ in range(2):
                    assert next(children) == len(depth)
                    depth.append(depth[vertex] + 1)
                y, x = divmod(node % layer.n_positions, layer.width)
                v, u = divmod(decides % layer.n_positions, layer.width)
                distances.append(max(abs(y - v), abs(x - u)))
            depths.append(max(depth))
    return leaves, depths, distances


@pytest.mark.parametrize("name", TREES)
def test_sizes_of_trees(folder, undrawn, name):
    facts = show(folder, name, "--json").json()
    networks = cbn.load(folder / f"{name}.cbn").fitted_.network.networks
    assert facts["relations"] == [] and len(facts["trees"]) == len(networks)
    for found, network in zip(facts["trees"], networks):
        leaves, depths, distances = naive_sizes(network.layer)
        assert leaves_of(network.layer).tolist() == leaves
        assert shape.depths(network.layer).tolist() == depths
        assert sorted(split_distances(network.layer).tolist()) == sorted(distances)
        assert (found["trees"], found["leaves"], found["splits"]) == (len(depths), sum(leaves), len(distances))
        assert found["most_leaves"] == max(leaves) and found["leaves_per_node"] == pytest.approx(np.mean(leaves))
        assert found["largest_depth"] == max(depths) > 0 and found["mean_depth"] == pytest.approx(np.mean(depths))
        assert found["largest_distance"] == max(distances)
        assert found["mean_distance"] == pytest.approx(np.mean(distances))
        assert found["trees_per_node"] == pytest.approx(len(depths) / network.layer.n_nodes)


def test_arguments_of_growth(folder, undrawn):
    tree = show(folder, "tree", "--json").json()["growth"]
    assert set(tree) == {"reach", "penalty", "max_leaves", "min_leaf", "shrinkage"} and tree["reach"] == 3
    boosted = show(folder, "boosted", "--json").json()["growth"]
    assert boosted["reach"] == 2 and boosted["boosting"]["rounds"] == 6 and "penalty" not in boosted
    assert show(folder, "pixel", "--json").json()["growth"] == {}
    assert "grown with       reach 3, penalty " in show(folder, "tree").out
    assert "grown with       reach 2, rounds 6, max_leaves 4, " in show(folder, "boosted").out
    assert "grown with" not in show(folder, "pixel").out


@pytest.mark.parametrize("name", PRESETS)
def test_text(folder, undrawn, name):
    facts, text = show(folder, name, "--json").json(), show(folder, name).out
    model = cbn.load(folder / f"{name}.cbn")
    assert f"normalized over the binarized images ({model.binarization_})" in text
    assert ("unnormalized energy" in text) == bool(model.hidden_layers_) == ("all_layers" in facts["density"])
    assert f"{facts['n_calibration']} {facts['calibration']} scores" in text
    trained_kernels = name in ("hidden", "trained-trees")  # which saw a third of so few images
    assert facts["n_calibration"] == len(IMAGES) - (len(IMAGES) // 3 if trained_kernels else 0)
    assert facts["calibration"] == ("cross-validation" if name in TREES else "leave-one-out")
    assert ("parents (dy,dx)" in text) == (name not in TREES)
    assert ("relations" in text) == (name == "hidden")
    for trees in facts["trees"]:
        assert f"{trees['leaves_per_node']:.1f} leaves a node, {trees['most_leaves']} at most" in text
        assert f"{trees['largest_depth']} splits deep at most; splits look {trees['mean_distance']:.1f} places" in text
    if name == "boosted":
        assert f"{facts['trees'][0]['trees_per_node']:.1f} trees and " in text
    assert ("training       none" in text) == (name == "best")
    assert ("and the lower threshold" in text) == (model.layer_.channels > 1) == (name not in ONE_THRESHOLD)


def titles_of(panels):
    for panel in panels:
        if hasattr(panel, "panels"):
            yield from titles_of(panel.panels)
        else:
            yield panel.title if hasattr(panel, "title") else panel[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_panels_and_picture(folder, name):
    model = cbn.load(folder / f"{name}.cbn")
    titles = list(titles_of(summary.panels(model.fitted_)))
    assert (
        titles.count("how far trees look")
        == titles.count("size of the trees")
        == (len(model.fitted_.network) if name in TREES else 0)
    )
    assert any("parents" in title for title in titles) == (name not in TREES)
    assert ("objective (thesis eq. 8)" in titles) == (name in ("hidden", "trained-trees"))
    show(folder, name, "--out", "m.png", "--quiet")
    with Image.open("m.png") as picture:
        assert picture.format == "PNG"


def test_maps_of_trees(folder, undrawn):
    layer = cbn.load(folder / "grey-tree.cbn").layer_
    (_, leaves, *_), (_, distance, *_) = tree_pictures(layer)
    assert leaves.sum() * layer.channels == layer.n_leaves
    assert leaves.shape == distance.shape == (8, 7)
    assert np.nanmax(distance) <= 6 and np.nanmin(distance) >= 0
    # a layer without any split
    single = Network("tree", penalty=1e6, false_alarm_rate=0.1).fit(IMAGES)
    (_, leaves, *_), (_, distance, *_) = tree_pictures(single.layer_)
    assert (leaves == 1).all() and np.isnan(distance).all()
    facts = describe_trees(single.layer_)
    assert (facts["splits"], facts["largest_depth"], facts["largest_distance"]) == (0, 0, None)
    single.save("single.cbn")
    assert "1.0 leaves a node, 1 at most; 0 splits deep at most\n" in cli.done("cbn-show", "--model", "single.cbn").out


@pytest.mark.parametrize("name", TREES)
def test_markov_is_refused_for_trees(folder, name):
    arguments = "--model", folder / f"{name}.cbn", "--markov", "--data", folder / "grey.npy"
    cli.assert_one_line_error(cli.call("cbn-show", *arguments), 1, "--markov", "tables", f"{name}.cbn")
    with pytest.raises(ValueError, match="markov_report: measured for tables"):
        cbn.load(folder / f"{name}.cbn").markov_report(IMAGES)


# ---- what describes a model works for every preset ----


@pytest.mark.parametrize("name", PRESETS)
def test_describing_methods(folder, name):
    model = cbn.load(folder / f"{name}.cbn")
    log_likelihood, n_parameters, bic = model.bic_terms()
    assert log_likelihood < 0 < n_parameters
    assert bic == pytest.approx(n_parameters * np.log(len(IMAGES)) - 2 * log_likelihood) and model.bic() == bic
    json.dumps(describe(model.fitted_))
    scale = model.heat_map_scale()
    maps = model.surprise_map(IMAGES)
    assert maps.shape == IMAGES.shape and 0.99 < (maps <= scale).mean() <= 1
    np.testing.assert_allclose(-model.score_samples(IMAGES, "surprise"), maps.sum(axis=(1, 2)), atol=1e-8)
    hidden = model.hidden_states(IMAGES)
    pixels = np.stack([IMAGES > t * 255 for t in model.binarizer_.thresholds], axis=1)
    per_layer = model.layer_scores(IMAGES, "log_probability")
    for layer, states in enumerate((pixels, *hidden)):
        ones, nats = model.node_statistics(layer)
        np.testing.assert_allclose(ones, states.mean(axis=0))
        assert nats.sum() == pytest.approx(-per_layer[:, layer].mean())
    patches = model.mean_patches(IMAGES)
    for states, own, geometry in zip(hidden, patches, model.layer_geometries()[1:], strict=True):
        assert own.shape == (states.shape[1], 2, geometry.receptive_field, geometry.receptive_field)


@pytest.mark.parametrize("name", PRESETS)
def test_bic_of_other_images(folder, name):
    model = cbn.load(folder / f"{name}.cbn")
    if name == "boosted":
        with pytest.raises(ValueError, match="X: the BIC of boosted trees"):
            model.bic(IMAGES)
        return
    assert model.bic(IMAGES) == pytest.approx(model.bic())
    others = cli.grey_images(90, 8, 7, seed=5)
    assert model.bic(others) != pytest.approx(model.bic())
    if name != "tree":
        return
    log_likelihood, layer = 0.0, model.layer_
    states = (others > 0.3 * 255).reshape(len(others), -1).astype(int)
    for node in range(layer.n_nodes):  # counts at the leaves, again
        split = layer.split[layer.begin[node] : layer.begin[node + 1]]
        child = layer.child[layer.begin[node] : layer.begin[node + 1]]
        leaf = np.zeros(len(others), int)
        while (inner := split[leaf] >= 0).any():
            leaf = np.where(inner, child[leaf] + states[np.arange(len(others)), split[leaf]], leaf)
        for reached in np.unique(leaf):
            share = states[leaf == reached, node].mean()
            n = (leaf == reached).sum()
            log_likelihood += sum(n * p * np.log(p) for p in (share, 1 - share) if p > 0)
    assert model.bic(others) == pytest.approx(layer.n_leaves * np.log(len(others)) - 2 * log_likelihood)
