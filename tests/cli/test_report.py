# SPDX-License-Identifier: BSD-3-Clause
"""cbn-report: numbers of the scoring programs in one page, for models and pictures of all kinds; data are left alone."""

import builtins
import hashlib
import html
import json
import re

import numpy as np
import pytest
from PIL import Image

import cbn
from cbn.datasets import make_category, write_mvtec
from cbn.iem.gaussian.fitted import FittedGaussianModel
from helpers import programs as cli

REPORT = "cbn-report"
PRESETS = ("pixel", "tree", "boosted", "tied", "hidden", "best")
HOSTILE = "<script>alert(1)<"  # a name of a file and of a folder


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Grey images of two labels, as arrays, as IDX and as folders."""
    root = tmp_path_factory.mktemp("images")
    grey, labels = cli.grey_images(90, 24, 24), np.arange(90) % 3 // 2
    grey[labels == 1] = grey[labels == 1][:, ::-1, ::-1]
    np.savez(root / "split.npz", x_train=grey[:60], y_train=labels[:60], x_test=grey[60:], y_test=labels[60:])
    np.save(root / "plain.npy", grey[60:])
    (root / "images-idx3-ubyte").write_bytes(cli.idx_bytes(grey[60:]))
    for name, own in (("good", labels == 0), (HOSTILE, labels == 1)):
        (root / "folder" / name).mkdir(parents=True)
        for i in np.flatnonzero(own)[:20]:
            Image.fromarray(grey[i]).save(root / "folder" / name / f"{HOSTILE}{i}.png")
    cli.done(
        "cbn-train",
        "--data",
        root / "split.npz",
        "--digit",
        "0",
        "--false-alarm-rate",
        "0.1",
        "--out",
        root / "model.cbn",
    )
    return root


@pytest.fixture(scope="module")
def category(tmp_path_factory):
    """A category in the layout of MVTec AD with a neural and a Gaussian model of it."""
    root = tmp_path_factory.mktemp("category")
    write_mvtec(root / "carpet", make_category("texture", 12, 3, 2, size=32))
    data = ("--data", root / "carpet", "--false-alarm-rate", 0.2, "--quiet")
    cli.done("cbn-iem-train", *data, "--levels", 1, "--epochs", 1, "--held-out", 0, "--out", root / "neural.cbn")
    cli.done("cbn-iem-train", *data, "--size", 64, "--out", root / "gaussian.cbn")
    return root


def data_of(path):
    """What the script of a page computes with, and the page."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1]), text


def digests(folder):
    return {path: hashlib.sha256(path.read_bytes()).digest() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset(preset, images, tmp_path):
    few = ("--iterations", "1") if preset == "hidden" else ()
    model = tmp_path / "model.cbn"
    cli.done("cbn-train", "--data", images / "split.npz", "--digit", "0", "--preset", preset, *few, "--false-alarm-rate", "0.1",
             "--out", model)  # fmt: skip
    found = cli.done(REPORT, model, "--data", images / "split.npz", "--out", tmp_path / "r.html", "--json").json()
    scores = cli.done("cbn-score", model, "--data", images / "split.npz", "--json").json()
    data, text = data_of(tmp_path / "r.html")
    assert (found["n"], found["n_shown"], found["n_alarms"]) == (30, 30, scores["n_outliers"])
    assert data["scores"] == [row["score"] for row in scores["images"]]
    assert data["threshold"] == scores["threshold"]
    command = html.unescape(re.search(r"<dt>Command</dt><dd>(.*?)</dd>", text)[1])
    assert command.startswith("cbn-train --data ") and " --digit 0 " in command
    assert data["normal"] == [int(row["label"] == 0) for row in scores["images"]]
    assert "Samples" in text and "Share of ones" in text and f"<dd>{preset}</dd>" in text
    assert ("Kernels of hidden layer" in text) == (preset in ("hidden", "best"))
    assert ("Parents of a pixel" in text) == (preset in ("pixel", "hidden"))
    assert found["bytes"] == (tmp_path / "r.html").stat().st_size


@pytest.mark.parametrize("name", ["plain.npy", "images-idx3-ubyte", "folder/good", "folder"])
def test_every_kind_of_data(name, images, tmp_path):
    before = digests(images)
    cli.done(REPORT, images / "model.cbn", "--data", images / name, "--out", tmp_path / "r.html")
    data, text = data_of(tmp_path / "r.html")
    assert digests(images) == before
    assert (data["normal"] is None) == (name != "folder")
    assert text.count("<script") == 2 and HOSTILE not in text


def test_normal_labels_are_chosen(images, tmp_path):
    found = {}
    for labels in ("0", "1", "0,1"):
        cli.done(
            REPORT,
            images / "model.cbn",
            "--data",
            images / "split.npz",
            "--normal",
            labels,
            "--out",
            tmp_path / "r.html",
        )
        data, text = data_of(tmp_path / "r.html")
        found[labels] = sum(data["normal"])
        assert ("ROC curve" in text) == (labels != "0,1")
    assert found == {"0": 20, "1": 10, "0,1": 30}


@pytest.mark.parametrize("labelled", [True, False])
def test_classifier(labelled, images, tmp_path):
    model = tmp_path / "both.cbn"
    cli.done("cbn-train", "--data", images / "split.npz", "--classifier", "--out", model)
    data = images / ("split.npz" if labelled else "plain.npy")
    scores = cli.done("cbn-score", model, "--data", data, "--json").json()
    cli.done(REPORT, model, "--data", data, "--out", tmp_path / "r.html")
    found, text = data_of(tmp_path / "r.html")
    right = [row["class"] == row["label"] for row in scores["images"]] if labelled else None
    assert found["normal"] == (None if right is None else [int(own) for own in right])
    odds = np.array(found["scores"])
    np.testing.assert_allclose(1 / (1 + np.exp(-odds)), [row["probability"] for row in scores["images"]], atol=1e-9)
    assert ("What is taken for what" in text) == labelled
    if labelled:
        assert f"{scores['accuracy']:.2f} %" in text


@pytest.mark.parametrize("kind", ["neural", "gaussian"])
def test_inspection_models(kind, category, tmp_path):
    model, data = category / f"{kind}.cbn", ("--data", category / "carpet")
    before = digests(category)
    found = cli.done(REPORT, model, *data, "--out", tmp_path / "r.html", "--json").json()
    scores = cli.done("cbn-iem-score", model, *data, "--json").json()
    page, text = data_of(tmp_path / "r.html")
    assert digests(category) == before
    assert found["n"] == scores["n"] and found["n_alarms"] == scores["n_outliers"]
    assert page["scores"] == [-row["energy"] for row in scores["images"]]
    assert page["normal"] == [int(row["label"] == "good") for row in scores["images"]]
    assert "Unlike normal pictures" in text and text.count('class="map"') == found["n"]


def test_another_rate_is_another_threshold(category, tmp_path):
    data = ("--data", category / "carpet", "--false-alarm-rate", "0.5")
    cli.done(REPORT, category / "gaussian.cbn", *data, "--out", tmp_path / "r.html")
    scores = cli.done("cbn-iem-score", category / "gaussian.cbn", *data, "--json").json()
    assert data_of(tmp_path / "r.html")[0]["threshold"] == -scores["threshold"]


def test_a_rate_that_needs_more_pictures_raises_no_alarm_and_says_so(category, tmp_path):
    data = ("--data", category / "carpet", "--false-alarm-rate", "0.001")
    found = cli.done(REPORT, category / "gaussian.cbn", *data, "--out", tmp_path / "r.html", "--json").json()
    page, text = data_of(tmp_path / "r.html")
    assert found["n_alarms"] == 0 and page["threshold"] is None
    assert "12 calibration images allow no alarm" in text


@pytest.mark.parametrize("pictures", [0, 7])
def test_a_gallery_of_fewer_pictures(pictures, category, tmp_path):
    command = (REPORT, category / "gaussian.cbn", "--data", category / "carpet", "--pictures", pictures)
    found = cli.done(*command, "--out", tmp_path / "r.html", "--json").json()
    assert found["n_shown"] == pictures and len(data_of(tmp_path / "r.html")[0]["scores"]) == found["n"]


@pytest.mark.parametrize("pictures, n_seen", [(200, 11), (11, 11), (10, 11 + 10), (0, 11)])
def test_where_all_pictures_are_shown_features_are_made_once(pictures, n_seen, category, tmp_path, monkeypatch):
    seen = []
    energies = FittedGaussianModel._energies

    def counted(self, X, *others):
        seen.append(len(X))
        return energies(self, X, *others)

    monkeypatch.setattr(FittedGaussianModel, "_energies", counted)
    words = (category / "gaussian.cbn", "--data", category / "carpet", "--quiet", "--pictures", pictures)
    found = cli.done(REPORT, *words, "--out", tmp_path / "r.html", "--json").json()
    assert (found["n"], found["n_shown"], sum(seen)) == (11, min(pictures, 11), n_seen)


@pytest.mark.parametrize("kind", ["neural", "gaussian"])
def test_scores_and_maps_are_those_of_each_alone(kind, category):
    model = cbn.load(category / f"{kind}.cbn").fitted_
    pictures = np.random.default_rng(2).integers(0, 256, (11, *model.picture_shape), dtype=np.uint8)
    scores, maps = model.scores_and_maps(pictures)
    np.testing.assert_array_equal(scores, model.score_samples(pictures))
    np.testing.assert_array_equal(maps, model.energy_map(pictures))


def test_a_model_without_pictures(category, images, tmp_path):
    for model in (category / "gaussian.cbn", images / "model.cbn"):
        result = cli.done(REPORT, model, "--out", tmp_path / "r.html", "--quiet")
        assert "no pictures judged" in result.out
        assert 'id="model"' in (tmp_path / "r.html").read_text()


def test_after_training(images, category, tmp_path):
    result = cli.done("cbn-train", "--data", images / "split.npz", "--digit", "0", "--out", tmp_path / "m.cbn",
                      "--report", tmp_path / "m.html", "--json")  # fmt: skip
    assert result.json()["model"] == str(tmp_path / "m.cbn")
    cli.done(REPORT, tmp_path / "m.cbn", "--data", images / "split.npz", "--out", tmp_path / "again.html")
    assert data_of(tmp_path / "m.html")[0] == data_of(tmp_path / "again.html")[0]
    cli.done("cbn-train", "--data", images / "plain.npy", "--out", tmp_path / "p.cbn", "--report", tmp_path / "p.html")
    assert "There are no test pictures" in data_of(tmp_path / "p.html")[1]
    cli.done("cbn-iem-train", "--data", category / "carpet", "--levels", 0, "--epochs", 1, "--out", tmp_path / "i.cbn",
             "--report", tmp_path / "i.html", "--quiet")  # fmt: skip
    assert len(data_of(tmp_path / "i.html")[0]["scores"]) == 11
    cli.done("cbn-train", "--data", images / "plain.npy", "--add", tmp_path / "p.cbn", "--out", tmp_path / "more.cbn",
             "--report", tmp_path / "more.html")  # fmt: skip
    assert "60 images" in data_of(tmp_path / "more.html")[1]
    good = category / "carpet" / "train" / "good"
    cli.done("cbn-iem-train", "--good", good, "--levels", 0, "--epochs", 1, "--out", tmp_path / "g.cbn",
             "--report", tmp_path / "g.html", "--quiet")  # fmt: skip
    data, text = data_of(tmp_path / "g.html")
    assert len(data["scores"]) == 12 and "There are no test pictures" in text


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--out", "report.txt"), 2, ("--out", "report.txt", ".html")),
        (("--out", "missing/r.html"), 1, ("--out", "missing/r.html")),
        (("--normal", "9"), 1, ("--normal", "'9'", "0, 1")),
        (("--synthetic", "texture"), 2, ("--synthetic",)),
        (("--digit", "9"), 1, ("--digit",)),
    ],
)
def test_wrong_usage(arguments, code, words, images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = (REPORT, images / "model.cbn", "--data", images / "split.npz", *arguments)
    cli.assert_one_line_error(cli.call(*command, "--quiet"), code, *words)
    assert not list(tmp_path.iterdir())


def test_data_are_never_written_over(images, tmp_path):
    command = (REPORT, images / "model.cbn", "--data", images / "split.npz", "--out")
    cli.assert_one_line_error(cli.call(*command, images / "split.npz"), 2, "--out")
    cli.assert_one_line_error(cli.call(*command, images / "model.cbn"), 2, "--out")


@pytest.mark.parametrize(
    ("program", "arguments", "words"),
    [
        ("cbn-train", ("--digit", "all"), ("--report", "one model")),
        ("cbn-train", ("--digit", "2", "--dry-run"), ("--report", "--dry-run")),
        ("cbn-iem-train", ("--data", "x", "--categories", "all"), ("--report", "one model")),
        ("cbn-iem-train", ("--synthetic", "texture", "--out", "r.html"), ("--report", "--out")),
    ],
)
def test_what_training_cannot_report(program, arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cli.assert_one_line_error(cli.call(program, *arguments, "--report", "r.html", "--quiet"), 2, *words)
    assert not list(tmp_path.iterdir())


def test_a_missing_engine_is_said_before_training(images, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "jinja2":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    command = (
        "cbn-train",
        "--data",
        images / "split.npz",
        "--out",
        tmp_path / "m.cbn",
        "--report",
        tmp_path / "r.html",
    )
    cli.assert_one_line_error(cli.call(*command), 1, "jinja2", "pip install jinja2")
    assert not list(tmp_path.iterdir())
