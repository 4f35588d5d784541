# SPDX-License-Identifier: BSD-3-Clause
"""cbn-show for models with hidden layers: facts, figure, responses, local-Markov report, kernels alone."""

import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import cbn
from cbn.layers.kernels import load_kernels
from cbn.plots import model as summary
from helpers import programs as cli
from helpers.networks import Network


def blobs(n, height=14, width=13, seed=0):
    """(n, height, width) uint8 grey: smooth, so that neighbours are alike."""
    noise = np.random.default_rng(seed).standard_normal((n, height + 2, width + 2))
    smooth = sum(noise[:, i : i + height, j : j + width] for i in range(3) for j in range(3))
    return np.clip(128 + 40 * smooth, 0, 255).astype(np.uint8)


HIDDEN = ((3, 3, 1), (2, 2, 2))
FORCED = ((2, 0, 1, -3, 0),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """hidden.cbn of two hidden layers, grey.cbn of three thresholds and one, pixel.cbn; grey.npy with their images."""
    folder = tmp_path_factory.mktemp("layers")
    images = blobs(300)
    np.save(folder / "grey.npy", images)
    common = {"random_state": 0, "max_parents": 3, "n_jobs": 1}
    model = Network("hidden", hidden=HIDDEN, iterations=5, forced_relations=FORCED, **common)
    model.fit(images).save(folder / "hidden.cbn")
    model = Network("hidden", hidden=((7, 3, 2),), threshold=(0.3, 0.5, 0.7), iterations=0, **common)
    model.fit(images).save(folder / "grey.cbn")
    Network().fit(images).save(folder / "pixel.cbn")
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def show(folder, *arguments, model="hidden.cbn"):
    return cli.done("cbn-show", "--model", folder / model, *arguments)


def test_facts_of_hidden_layers(folder, undrawn):
    found = show(folder, "--json").json()
    model = cbn.load(folder / "hidden.cbn")
    first, second = found["hidden_layers"]
    assert (first["shape"], first["kernel_size"], first["in_channels"], first["pool"]) == ([3, 12, 11], 3, 1, 1)
    assert (second["shape"], second["kernel_size"], second["in_channels"], second["pool"]) == ([2, 5, 5], 2, 3, 2)
    assert [layer["receptive_field"] for layer in (first, second)] == [3, 5]
    assert [layer["stride"] for layer in (first, second)] == [1, 2]
    assert [layer["distance"] for layer in (first, second)] == [3, 3]
    for layer, trained in zip((first, second), model.hidden_layers_, strict=True):
        changes = {(r[0], r[1], r[2], r[3]): r[4] for r in layer["relations"]}
        assert changes == {
            (s.relation.child, s.relation.parent, s.relation.dy, s.relation.dx): s.bic_change for s in trained.steps
        }
        assert list(changes.values()) == sorted(changes.values())  # the most valuable first
        assert set(changes) == {(r.child, r.parent, r.dy, r.dx) for r in trained.layer.relations}
        kept = trained.curve[trained.best]
        assert (layer["kept_iteration"], layer["n_iterations"]) == (trained.best, 5)
        assert (layer["gain"], layer["bic"]) == (kept.gain, kept.bic)
        assert layer["gain_at_start"] == trained.curve[0].gain <= layer["gain"] == max(layer["curve"]["gain"])
        assert layer["activation"] == pytest.approx(kept.activation)
        assert [len(layer["curve"][name]) for name in ("gain", "bic", "relations", "activation")] == [6] * 4
    assert found["layer_weights"] == [1, 1, 1]
    assert found["scales"]["surprise"] == pytest.approx(model.fitted_.network.scales["surprise"])
    assert (0, 1, -3, 0) in {tuple(r[:4]) for r in second["relations"]}


def test_density_is_stated_for_what_it_is(folder, undrawn):
    assert set(show(folder, "--json").json()["density"]) == {"pixels", "all_layers"}
    text = show(folder).out
    assert "pixels alone: normalized" in text and "unnormalized energy" in text
    assert set(show(folder, "--json", model="pixel.cbn").json()["density"]) == {"pixels"}
    text = show(folder, model="pixel.cbn").out
    assert "normalized over the binarized images" in text and "energy" not in text


def test_text_states_the_facts_of_hidden_layers(folder, undrawn):
    layers = show(folder, "--json").json()["hidden_layers"]
    text = show(folder).out
    for fact in ("2 hidden layers", "3 x 12 x 11 nodes: 3 kernels of 1 x 3 x 3, pooling 1",
                 "sees           3 x 3 pixels", "2 x 5 x 5 nodes: 2 kernels of 3 x 2 x 2, pooling 2", "sees           5 x 5 pixels", "of 5 kept",
                 f"{layers[0]['gain_at_start']:.2f} -> {layers[0]['gain']:.2f} nats per image"):  # fmt: skip
        assert fact in text, fact
    best = layers[0]["relations"][0]
    assert f"kernel {best[0]} <- {best[1]} at ({best[2]},{best[3]}) {best[4]:,.0f}" in text
    assert all(len(line) < 240 for line in text.splitlines())


def test_all_relations(folder, undrawn):
    layers = show(folder, "--json").json()["hidden_layers"]
    text = show(folder, "--relations").out
    for layer in layers:
        for child, parent, dy, dx, change in layer["relations"]:
            assert f"  kernel {child} <- {parent} at ({dy},{dx}) {change:,.0f}\n" in text
    assert text.count(" <- ") == sum(len(layer["relations"]) for layer in layers)


@pytest.mark.slow
def test_figure_has_a_row_for_every_hidden_layer(folder):
    for model in ("hidden.cbn", "grey.cbn", "pixel.cbn"):
        show(folder, "--out", f"{model}.png", model=model)
    sizes = {}
    for model in ("hidden.cbn", "grey.cbn", "pixel.cbn"):
        with Image.open(f"{model}.png") as picture:
            sizes[model] = picture.size
    assert sizes["hidden.cbn"][0] == sizes["grey.cbn"][0] == 2016
    # rows of panels: pixels and two hidden layers; two rows of pixels (7 panels) and one hidden layer; two of pixels
    assert sizes["hidden.cbn"][1] > 1260 and sizes["grey.cbn"][1] > 1260 > sizes["pixel.cbn"][1]


def test_panels_of_the_figure_hold_the_model(folder):
    model = cbn.load(folder / "hidden.cbn")
    pixels, first, second = summary.panels(model.fitted_)
    assert [len(s.panels) for s in (pixels, first, second)] == [3, 4, 4]
    assert "3 kernels" in first.title and "5 x 5 pixels" in second.title
    kernels, gain, active, relations = second.panels
    np.testing.assert_array_equal(kernels.tiles, model.hidden_layers_[1].kernels.weights)
    assert kernels.vmin == -kernels.vmax == -np.abs(kernels.tiles).max()
    assert gain.curves[0][1].tolist() == [point.gain for point in model.hidden_layers_[1].curve]
    assert gain.right[1].tolist() == [point.bic for point in model.hidden_layers_[1].curve]
    assert gain.kept == active.kept == model.hidden_layers_[1].best
    assert [label for label, _ in active.curves] == ["0", "1"]
    at = next((row, label.index("(-3, 0)")) for row, label in enumerate(relations.labels) if "(-3, 0)" in label)
    change = next(s.bic_change for s in model.hidden_layers_[1].steps if s.relation.dy == -3 and s.relation.dx == 0
                  and (s.relation.child, s.relation.parent) == (0, 1))  # fmt: skip
    assert relations.tiles[at][0, 1] == -change
    assert np.isfinite(relations.tiles).sum() == len(model.hidden_layers_[1].steps)
    # kernels on one channel are laid out as a grid with their numbers
    assert [label for row in first.panels[0].labels for label in row] == ["0", "1", "2", None]


# ---- responses ----


def test_responses(folder, undrawn):
    result = show(folder, "--responses", "maps.png", "--data", folder / "grey.npy", "--n", "4", "--json").json()
    assert result["responses"]["images"] == ["0", "1", "2", "3"] and result["responses"]["n_mean"] == 300
    with Image.open("maps.png") as four:
        assert four.format == "PNG"
        width, height = four.size
    show(folder, "--responses", "maps.png", "--data", folder / "grey.npy", "--index", "7")
    with Image.open("maps.png") as one:
        assert one.size[0] == width and one.size[1] < height
    text = show(folder, "--responses", "maps.png", "--data", folder / "grey.npy").out
    assert "maps.png: 8 images" in text
    show(folder, "--responses", "grey.png", "--data", folder / "grey.npy", model="grey.cbn")


def test_responses_of_chosen_labels(folder, undrawn):
    images = blobs(20, seed=1)
    np.savez("split.npz", x_train=images[:8], y_train=np.zeros(8, int), x_test=images, y_test=np.arange(20) % 3)
    arguments = ("--responses", "maps.png", "--data", "split.npz", "--digit", "2", "--n", "3", "--json")
    found = show(folder, *arguments).json()["responses"]
    assert found["images"] == ["2", "5", "8"] and found["n_mean"] == 6
    assert show(folder, *arguments, "--split", "test").json()["responses"] == found


# ---- local Markov property ----


@pytest.mark.slow
def test_markov_report(folder, undrawn):
    arguments = ("--markov", "--data", folder / "grey.npy")
    found = show(folder, *arguments, "--json").json()["markov"]
    expected = cbn.load(folder / "hidden.cbn").markov_report(blobs(300)).to_dict()
    assert found["n_images"] == 300 and "grey.npy" in found["source"]
    assert [(g["layer"], g["kind"], g["n_pairs"], g["mean"]) for g in found["groups"]] == [
        (g["layer"], g["kind"], g["n_pairs"], g["mean"]) for g in expected["groups"]
    ]
    assert found["totals"] == expected["totals"]
    text = show(folder, *arguments).out
    for group in found["groups"]:
        assert f"{group['largest'][0]['nats']:.4f}" in text and f"{group['share_dependent']:.1%}" in text
    for total in found["totals"]:
        assert f"adds {total['repeated_nats']:.1f} nats per image" in text
    assert "false-discovery rate of 1%" in text
    assert "-0.0000" not in text
    assert show(folder, *arguments, "--n", "64", "--json").json()["markov"]["n_images"] == 64


def test_markov_report_does_not_depend_on_threads(folder, undrawn):
    arguments = ("--markov", "--data", folder / "grey.npy", "--quiet")
    texts = {show(folder, *arguments, "--threads", threads).out for threads in (1, 2, 3)}
    assert len(texts) == 1


def test_markov_panels(folder):
    model = cbn.load(folder / "hidden.cbn")
    report = model.markov_report(blobs(300))
    *_, drawn = summary.panels(model.fitted_, report)
    assert len(drawn.panels) == 4 and "300 images" in drawn.title
    window, beside = drawn.panels[:2]
    group = next(g for g in report.groups if (g.layer, g.kind) == (1, "window"))
    node, other = group.pairs[:, 0], group.pairs[:, 1]
    assert window.tiles.shape == (3, 1, 3, 3)
    at = (node[:, 1] == 2) & (other[:, 2] - node[:, 2] == 0) & (other[:, 3] - node[:, 3] == 1)
    assert window.tiles[2, 0, 0, 1] == pytest.approx(group.nats[at].mean())
    group = next(g for g in report.groups if (g.layer, g.kind) == (1, "same_place"))
    at = (group.pairs[:, 0, 1] == 2) & (group.pairs[:, 1, 1] == 1)
    assert beside[1][2, 1] == pytest.approx(group.nats[at].mean())
    assert np.isnan(beside[1][1, 1]) and np.isnan(beside[1][0, 2])


def test_markov_report_of_pixels_alone(folder, undrawn):
    text = show(folder, "--markov", "--data", folder / "grey.npy", model="pixel.cbn").out
    assert "pixel ; earlier pixel two away" in text and "node ; parent" not in text


def test_no_table_has_no_rows(folder, undrawn):
    np.save("one.npy", np.arange(40, dtype=np.uint8).reshape(40, 1, 1) % 2)
    cli.done("cbn-train", "--data", "one.npy", "--false-alarm-rate", "0.5", "--out", "one.cbn")
    lines = cli.done("cbn-show", "--model", "one.cbn", "--markov", "--data", "one.npy").out.splitlines()
    assert not any("pairs" in line for line in lines) and any("no two nodes" in line for line in lines)
    data = ("--data", folder / "grey.npy")
    cli.done(
        "cbn-train", *data, "--hidden", "1,2,1", "--iterations", "0", "--false-alarm-rate", "0.5", "--out", "lone.cbn"
    )
    found = cli.done("cbn-show", "--model", "lone.cbn", "--json").json()["hidden_layers"][0]["relations"]
    lines = cli.done("cbn-show", "--model", "lone.cbn", "--relations").out.splitlines()
    assert any("with their change" in line for line in lines) == bool(found)


def test_markov_report_on_the_embedded_training_images(undrawn):
    """A model that says which of the embedded images it is of is measured on them; one that does not names the mend."""
    own = cli.embedded().part("train", 1)
    fitted = replace(Network(offsets=((-1, 0),)).fit(own.images).fitted_, rule=own.binarization)
    fitted.save("unknown.cbn")
    replace(fitted, provenance={"source": own.source, "label": 1}).save("one.cbn")
    found = cli.done("cbn-show", "--model", "one.cbn", "--markov", "--json").json()["markov"]
    assert (found["n_images"], found["source"]) == (len(own), own.source)
    result = cli.call("cbn-show", "--model", "unknown.cbn", "--markov")
    cli.assert_one_line_error(result, 1, "--markov", "not recorded", "--data")


# ---- kernels alone ----


def test_kernels_alone_start_another_training(folder, undrawn):
    found = show(folder, "--save-kernels", "kernels.npz", "--json").json()
    assert found["kernels"] == "kernels.npz"
    model = cbn.load(folder / "hidden.cbn")
    for loaded, trained in zip(load_kernels("kernels.npz"), model.hidden_layers_, strict=True):
        np.testing.assert_array_equal(loaded.weights, trained.kernels.weights)
        np.testing.assert_array_equal(loaded.bias, trained.kernels.bias)
    again = Network("hidden", hidden=HIDDEN, kernels="kernels.npz", iterations=0)
    again.fit(blobs(300))
    for a, b in zip(again.hidden_states(blobs(20)), model.hidden_states(blobs(20)), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- refusals ----


@pytest.mark.parametrize("option", ["--responses", "--save-kernels"])
def test_pixels_alone_have_no_kernels(folder, option):
    name = "x.png" if option == "--responses" else "x.npz"
    result = cli.call("cbn-show", "--model", folder / "pixel.cbn", option, name)
    cli.assert_one_line_error(result, 1, option, "pixel.cbn", "--preset hidden")
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--n", "3"], 2, ["--n", "--responses"]),
        (["--digit", "3"], 2, ["--digit", "--markov"]),
        (["--data", "x.npy"], 2, ["--data"]),
        (["--index", "3", "--markov"], 2, ["--index", "--responses"]),
        (["--markov", "--labels", "x.npy"], 2, ["--labels", "--data"]),
        (["--responses", "maps.gif"], 2, ["--responses", ".png"]),
        (["--save-kernels", "kernels.png"], 2, ["--save-kernels", ".npz"]),
        (["--responses", "show.png"], 2, ["--responses", "--out"]),
        (["--save-kernels", "missing/kernels.npz"], 1, ["--save-kernels", "folder"]),
        (["--responses", "maps.png", "--data", "GREY", "--index", "300"], 1, ["--index", "300", "299"]),
        (["--markov", "--data", "GREY", "--split", "test"], 1, ["--split", "train"]),
        (["--markov", "--data", "GREY", "--digit", "3"], 1, ["labels"]),
    ],
)
def test_wrong_usage(folder, arguments, code, words):
    arguments = [folder / "grey.npy" if word == "GREY" else word for word in arguments]
    cli.assert_one_line_error(cli.call("cbn-show", "--model", folder / "hidden.cbn", *arguments), code, *words)
    assert not os.path.exists("show.png")
