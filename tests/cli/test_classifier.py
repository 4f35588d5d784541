# SPDX-License-Identifier: BSD-3-Clause
"""One file of all labels: cbn-train --classifier, and what the other programs make of it."""

import numpy as np
import pytest
from PIL import Image

import cbn
from cbn.cli._models import load_fitted
from helpers import programs as cli
from helpers.networks import Classifier


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """split.npz of three named kinds of images of unequal share, and kinds.cbn of a classifier of trees."""
    folder = tmp_path_factory.mktemp("classifier")
    rng = np.random.default_rng(0)
    y = rng.choice(3, 150, p=[0.5, 0.3, 0.2])
    down, right = np.mgrid[0:6, 0:5] / 5
    x = np.clip(255 * np.stack([down, right, 1 - down])[y] + rng.normal(0, 90, (150, 6, 5)), 0, 255).astype(np.uint8)
    labels = np.array(["down", "right", "up"])[y]
    np.savez(folder / "split.npz", x_train=x[:90], y_train=labels[:90], x_test=x[90:], y_test=labels[90:])
    train(folder, "--out", folder / "kinds.cbn")
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def model(folder):
    split = np.load(folder / "split.npz")
    own = Classifier("tree", reach=3, n_jobs=1, random_state=0, full_scale=255)
    return own.fit(split["x_train"], split["y_train"])


def train(folder, *arguments):
    options = ("--data", folder / "split.npz", "--preset", "tree", "--reach", 3, "--classifier", "--quiet")
    return cli.done("cbn-train", *options, *arguments)


def test_training_reports_what_the_classifier_does(folder, model, here):
    split = np.load(folder / "split.npz")
    found = train(folder, "--json").json()
    assert [path.name for path in here.iterdir()] == ["model.cbn"]
    assert (found["classes"], found["n_train"], found["n_test"]) == (["down", "right", "up"], 90, 60)
    assert found["bayes_accuracy"] == pytest.approx(100 * model.score(split["x_test"], split["y_test"]))
    assert found["mixture_nats"] == pytest.approx(-model.log_probability(split["x_test"]).mean())
    text = train(folder, "--digit", "all").out
    assert f"accuracy by Bayes' rule  {found['bayes_accuracy']:.2f} %" in text and "3 labels: down, right, up" in text
    loaded = cbn.load("model.cbn")
    np.testing.assert_array_equal(loaded.predict_proba(split["x_test"]), model.predict_proba(split["x_test"]))
    assert (
        loaded.networks_[1].provenance_["label"] == "right" and "split.npz" in loaded.networks_[1].provenance_["source"]
    )


def test_training_without_test_images(folder, here):
    split = np.load(folder / "split.npz")
    np.savez("all.npz", images=split["x_train"], labels=split["y_train"])
    found = cli.done("cbn-train", "--data", "all.npz", "--classifier", "--json", "--quiet").json()
    assert (found["n_test"], found["bayes_accuracy"], found["mixture_nats"]) == (0, None, None)
    dry = cli.done("cbn-train", "--data", "all.npz", "--classifier", "--dry-run", "--json").json()
    assert (dry["n_models"], dry["n_train"]) == (3, 90)


def test_densities_are_those_of_networks_one_by_one(folder):
    one = train(folder, "--json").json()
    options = ("--data", folder / "split.npz", "--preset", "tree", "--reach", 3, "--digit", "all", "--json", "--quiet")
    several = cli.done("cbn-train", *options).json()
    for name in ("bayes_accuracy", "mixture_nats", "own_class_nats"):
        assert one[name] == pytest.approx(several[name])


def test_scores(folder, model):
    split = np.load(folder / "split.npz")
    x, y = split["x_test"], split["y_test"]
    arguments = ("--model", folder / "kinds.cbn", "--data", folder / "split.npz")
    found = cli.done("cbn-score", *arguments, "--digit", "all", "--json").json()
    assert [row["class"] for row in found["images"]] == model.predict(x).tolist()
    assert [row["label"] for row in found["images"]] == y.tolist()
    np.testing.assert_allclose([row["log_probability"] for row in found["images"]], model.log_probability(x))
    shares = [[row["probabilities"][name] for name in found["classes"]] for row in found["images"]]
    np.testing.assert_allclose(shares, model.predict_proba(x))
    assert found["accuracy"] == pytest.approx(100 * model.score(x, y))
    for label in found["classes"]:
        for name in found["classes"]:
            assert found["confusion"][label][name] == ((y == label) & (model.predict(x) == name)).sum()
    lines = cli.done("cbn-score", *arguments).out.splitlines()
    assert lines[0].split("\t") == ["image", "label", "class", "probability", "log_probability (higher = more normal)",
                                    "p(down)", "p(right)", "p(up)"]  # fmt: skip
    assert lines[61] == "" and lines[62] == f"accuracy {found['accuracy']:.2f} % of 60 images"
    assert lines[63].split("\t") == ["label", "down", "right", "up"]
    assert [int(n) for n in lines[64].split("\t")[1:]] == list(found["confusion"]["down"].values())
    one = cli.done("cbn-score", *arguments, "--digit", "up", "--n", 4, "--json").json()
    assert list(one["confusion"]) == ["up"] and one["n"] == 4


def test_scores_without_labels_or_with_unknown_ones(folder, here):
    split = np.load(folder / "split.npz")
    np.save("x.npy", split["x_test"][:3])
    np.save("y.npy", np.array(["up", "left", "left"]))
    arguments = ("--model", folder / "kinds.cbn", "--data", "x.npy")
    found = cli.done("cbn-score", *arguments, "--json").json()
    assert (found["accuracy"], found["confusion"]) == (None, None) and "label" not in found["images"][0]
    assert len(cli.done("cbn-score", *arguments).out.splitlines()) == 4
    found = cli.done("cbn-score", *arguments, "--labels", "y.npy", "--json").json()
    assert sum(found["confusion"]["left"].values()) == 2 and list(found["confusion"]) == ["up", "left"]


def test_samples_of_one_class_are_those_of_its_network(folder, here):
    cli.done("cbn-sample", "--model", folder / "kinds.cbn", "--digit", "right", "--n", 5, "--npz", "s.npz", "--seed", 3)
    with np.load("s.npz") as drawn:
        own = load_fitted(folder / "kinds.cbn").network(1).sample(5, random_state=3)
        np.testing.assert_array_equal(drawn["images"], own)
        assert drawn["labels"].tolist() == ["right"] * 5
    arguments = ("--digit", "up", "--n", 3, "--method", "gibbs", "--steps", 200, "--json", "--quiet")
    found = cli.done("cbn-sample", folder / "kinds.cbn", *arguments).json()
    assert found["labels"] == ["up"] * 3 and found["mixing"]["n_chains"] == 3


def test_samples_of_all_classes_follow_their_shares(folder, model):
    found = cli.done("cbn-sample", folder / "kinds.cbn", "--n", 3000, "--npz", "s.npz", "--json", "--quiet").json()
    share = np.array([found["labels"].count(name) for name in ("down", "right", "up")]) / 3000
    prior = np.exp(model.class_log_prior_)
    assert (abs(share - prior) < 4 * np.sqrt(prior * (1 - prior) / 3000)).all()
    assert found["labels"] == sorted(found["labels"])
    with np.load("s.npz") as drawn:
        images, labels = drawn["images"], drawn["labels"]
    for i, name in enumerate(("down", "right", "up")):
        own, n = (images[labels == name] > 0).mean(axis=0), (labels == name).sum()
        expected, _ = load_fitted(folder / "kinds.cbn").networks[i].node_statistics()
        assert abs(own - expected[0]).max() < 5 * np.sqrt(0.25 / n) + 0.05
    assert "labels down (" in cli.done("cbn-sample", folder / "kinds.cbn", "--n", 9).out


def test_inpainting_is_that_of_the_class(folder, here):
    arguments = ("--data", folder / "split.npz", "--digit", "up", "--sweeps", 20, "--n", 2, "--quiet", "--json")
    found = cli.done("cbn-inpaint", folder / "kinds.cbn", *arguments).json()
    assert found["n_missing"] == 15 and found["n"] == 2


@pytest.mark.slow
def test_show(folder, here):
    found = cli.done("cbn-show", folder / "kinds.cbn", "--json").json()
    assert (found["kind"], found["cpd"], found["n_images"]) == ("classifier", "tree", 90)
    assert [row["class"] for row in found["classes"]] == ["down", "right", "up"]
    assert sum(row["prior"] for row in found["classes"]) == pytest.approx(1)
    with Image.open("show.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 100
    text = cli.done("cbn-show", folder / "kinds.cbn").out
    for row in found["classes"]:
        assert f"{row['class']:16} {row['n_images']:9,} {row['prior']:8.2%}" in text
    one = cli.done("cbn-show", folder / "kinds.cbn", "--digit", "right", "--json").json()
    assert (one["kind"], one["n_images"]) == ("network", found["classes"][1]["n_images"])


@pytest.mark.parametrize(
    ("program", "arguments", "code", "words"),
    [
        ("cbn-train", ["--digit", "up"], 2, ["--digit up", "--classifier"]),
        ("cbn-train", ["--calibration", "x.npy"], 2, ["--calibration", "--classifier"]),
        ("cbn-train", ["--score", "surprise"], 2, ["--score", "--classifier"]),
        ("cbn-train", ["--false-alarm-rate", "0.1"], 2, ["--false-alarm-rate"]),
        ("cbn-train", ["--hidden", "2,2,1"], 2, ["--hidden", "--classifier"]),
        ("cbn-train", ["--preset", "best"], 2, ["--preset", "hidden layers", "tree"]),
        ("cbn-train", ["--resume"], 2, ["--resume"]),
        ("cbn-sample", ["--digit", "left"], 1, ["--digit", "'left'", "down, right, up"]),
        ("cbn-sample", ["--method", "gibbs"], 1, ["--digit", "3 classes", "down"]),
        ("cbn-score", ["--heatmap", "maps"], 2, ["--heatmap", "classifier"]),
        ("cbn-score", ["--false-alarm-rate", "0.1"], 2, ["--false-alarm-rate", "classifier"]),
        ("cbn-score", ["--explain"], 2, ["--explain", "classifier"]),
        ("cbn-score", ["--repair", "r"], 2, ["--repair", "classifier"]),
        ("cbn-score", ["--alarm-threshold", "-3"], 2, ["--alarm-threshold", "classifier"]),
        ("cbn-score", ["--fdr", "0.1"], 2, ["--fdr", "classifier"]),
        ("cbn-score", ["--extrapolate"], 2, ["--extrapolate", "classifier"]),
        ("cbn-inpaint", [], 1, ["--digit", "3 classes"]),
        ("cbn-inpaint", ["--digit", "left"], 1, ["--digit", "'left'"]),
        ("cbn-show", ["--markov"], 2, ["--markov", "classifier", "--digit"]),
        ("cbn-show", ["--export", "x.bif"], 2, ["--export", "classifier"]),
        ("cbn-show", ["--digit", "left"], 1, ["--digit", "'left'", "down"]),
    ],
)
def test_refusals(folder, here, program, arguments, code, words):
    data = () if program in ("cbn-sample", "cbn-show") else ("--data", folder / "split.npz")
    own = ("--classifier",) if program == "cbn-train" else ("--model", folder / "kinds.cbn")
    cli.assert_one_line_error(cli.call(program, *own, *data, *arguments), code, *words)
    assert list(here.iterdir()) == []


def test_a_classifier_needs_labels(folder, here):
    np.save("x.npy", np.load(folder / "split.npz")["x_train"])
    cli.assert_one_line_error(cli.call("cbn-train", "--data", "x.npy", "--classifier"), 1, "--classifier", "--labels")


@pytest.mark.parametrize("program", ["cbn-sample", "cbn-show"])
def test_a_network_is_of_one_class(folder, here, program):
    cli.done("cbn-train", "--data", folder / "split.npz", "--digit", "up", "--quiet")
    cli.assert_one_line_error(cli.call(program, "--digit", "up"), 2, "--digit", "classifier")


def test_model_is_named_once(folder, here):
    result = cli.call("cbn-sample", "one.cbn", "--model", "two.cbn")
    cli.assert_one_line_error(result, 1, "two.cbn") if "one" not in result.err else None
    cli.assert_one_line_error(cli.call("cbn-sample", "--model", "two.cbn", "one.cbn"), 2, "one.cbn", "two.cbn")
