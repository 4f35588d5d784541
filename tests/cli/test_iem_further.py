# SPDX-License-Identifier: BSD-3-Clause
"""cbn-iem-train --add and --merge: the model of all pictures, to the last byte of what is learned; and what is refused."""

import os
import shutil

import numpy as np
import pytest

import cbn
from cbn.datasets import make_category, write_mvtec
from helpers import programs as cli

TRAIN = "cbn-iem-train"
OPTIONS = ("--size", 48, "--directions", 16, "--keep-sums", "--false-alarm-rate", 0.1, "--quiet")
PARTS = {"a": slice(0, 12), "b": slice(12, 20), "c": slice(20, 26)}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Folders of pictures a, b, c and all of them, models of each, and others that cannot learn more."""
    root = tmp_path_factory.mktemp("further")
    made = make_category("texture", 26, 4, 1, size=48)
    for name, part in (PARTS | {"all": slice(None)}).items():
        cli.write_pictures(root / name, made.train[part])
        cli.done(TRAIN, "--good", root / name, *OPTIONS, "--out", root / f"{name}.cbn")
    write_mvtec(root / "carpet", made)
    cli.done(TRAIN, "--good", root / "a", *OPTIONS, "--reach", 1, "--out", root / "reach.cbn")
    cli.done(TRAIN, "--good", root / "a", "--size", 48, "--directions", 16, "--out", root / "closed.cbn", "--quiet")
    cli.done(TRAIN, "--good", root / "a", "--levels", 0, "--quick", "--out", root / "neural.cbn", "--quiet")
    return root


@pytest.fixture
def here(root, tmp_path, monkeypatch):
    """The same, to work in."""
    for path in root.glob("*.cbn"):
        os.link(path, tmp_path / path.name)
    for name in ("a", "b", "c", "carpet"):
        os.symlink(root / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def assert_same(path, other):
    """All that is learned is the same, and so is the scale of maps."""
    own, others = cbn.load(path).fitted_, cbn.load(other).fitted_
    for get in (
        lambda f: f.whitening.basis, lambda f: f.gaussians.mean, lambda f: f.gaussians.factors, lambda f: f.sums.moments.sums,
        lambda f: f.sums.moments.products, lambda f: f.sums.digests, lambda f: f.sums.features,
        lambda f: f.calibration.scores,
    ):  # fmt: skip
        assert get(own).tobytes() == get(others).tobytes()
    for name in ("heat_map_scale", "pictures_digest"):
        assert own.provenance[name] == others.provenance[name]
    assert own.n_images == others.n_images


def test_added_pictures_give_the_model_of_all(here):
    cli.done(TRAIN, "--good", "b", "--add", "a.cbn", "--out", "ab.cbn", "--quiet", "--threads", 1)
    result = cli.done(TRAIN, "--good", "c", "--add", "ab.cbn", "--out", "abc.cbn", "--json").json()
    assert (result["n_train"], result["n_images"], result["added_to"]) == (6, 26, "ab.cbn")
    assert result["false_alarm_rate"] == 0.1 and result["picture_shape"] == [48, 48, 1]
    assert_same("abc.cbn", "all.cbn")
    record = cbn.load("abc.cbn").provenance_
    assert record["source"].endswith("/a and b and c")
    assert "training_sha256" not in record


def test_merged_models_are_the_model_of_all(here):
    result = cli.done(TRAIN, "--merge", "c.cbn", "a.cbn", "b.cbn", "--out", "abc.cbn", "--json").json()
    assert result["n_images"] == 26 and result["merged"] == ["c.cbn", "a.cbn", "b.cbn"]
    assert result["threshold"] == pytest.approx(-cbn.load("all.cbn").fitted_.calibration.offset)
    assert_same("abc.cbn", "all.cbn")
    printed = cli.done(TRAIN, "--merge", "a.cbn", "b.cbn", "--out", "ab.cbn").out
    assert "20 of 2 models" in printed and "threshold" in printed and "ab.cbn" in printed


def test_figures_are_those_of_the_larger_model(here):
    result = cli.done(TRAIN, "--data", "carpet", "--add", "a.cbn", "--out", "new.cbn")
    assert "added to         a.cbn: 38 pictures in all" in result.out and "image AUROC" in result.out
    assert "12 or more of these pictures are in 'a.cbn' already, and count twice" in result.err
    model, test = cbn.load("new.cbn"), cbn.datasets.load_mvtec("carpet").test
    assert f"alarms           {(model.predict(test) == -1).sum()} of {len(test)}" in result.out


def test_options_that_agree_are_no_contradiction(here):
    cli.done(TRAIN, "--good", "b", "--add", "a.cbn", "--out", "ab.cbn", *OPTIONS, "--sidewards", "gaussian", "--color", "grey",
             "--backbone", "efficientnet_lite0", "--brightness", "none", "--strength", 20, "--blocks", "2,4,7,10")  # fmt: skip
    cli.done(TRAIN, "--merge", "b.cbn", "a.cbn", "--out", "ba.cbn", "--quiet")
    assert_same("ab.cbn", "ba.cbn")


def test_a_threshold_of_separate_pictures(here):
    cli.done(TRAIN, "--good", "b", "--add", "a.cbn", "--calibration", "c", "--out", "ab.cbn", "--quiet")
    model = cbn.load("ab.cbn")
    assert model.fitted_.calibration.source == "separate images" and model.provenance_["calibrated_with"] == "c"
    again = cli.done(TRAIN, "--good", "c", "--add", "ab.cbn", "--out", "abc.cbn")
    assert "ab.cbn: its threshold was that of separate pictures" in again.err
    assert "calibrated_with" not in cbn.load("abc.cbn").provenance_
    assert_same("abc.cbn", "all.cbn")


def test_dry_run(here):
    before = sorted(os.listdir())
    command = (TRAIN, "--good", "b", "--add", "a.cbn", "--out", "ab.cbn", "--dry-run")
    result = cli.done(*command, "--json").json()
    assert (result["n_train"], result["n_images"], result["passes"]) == (8, 20, 1)
    alone = cli.done(TRAIN, "--good", "b", *OPTIONS, "--dry-run", "--json").json()
    assert result["memory_bytes"]["sums"] == 2 * alone["memory_bytes"]["sums"]
    printed = cli.done(*command).out
    assert "20 pictures in all" in printed and "memory" in printed
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--size", 32), ("--size: 32x32", "48x48")),
        (("--color", "rgb"), ("--color: rgb", "grey")),
        (("--directions", 8), ("--directions: 8", "16")),
        (("--reach", 1), ("--reach: 1", "with 0")),
        (("--brightness", "median"), ("--brightness: median", "none")),
        (("--false-alarm-rate", 0.2), ("--false-alarm-rate: 0.2", "0.1")),
        (("--backbone", "none"), ("--backbone: none", "efficientnet_lite0")),
        (("--sidewards", "neural"), ("--add", "neural")),
        (("--epochs", 3), ("--add", "neural")),
        (("--resume",), ("--resume",)),
        (("--blocks", "2,4"), ("--blocks: 2,4,", "with 2,4,7,10")),
        (("--out", "a.cbn"), ("--out", "--add")),
        (("--merge", "a.cbn", "b.cbn"), ("--good", "--merge")),
    ],
)
def test_contradictions_are_refused(options, words, here):
    before = (here / "a.cbn").read_bytes(), sorted(os.listdir())
    result = cli.call(TRAIN, "--good", "b", "--add", "a.cbn", "--out", "new.cbn", *options)
    cli.assert_one_line_error(result, 2, *words)
    assert ((here / "a.cbn").read_bytes(), sorted(os.listdir())) == before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--merge", "a.cbn"), 2, ("--merge", "two models")),
        (("--merge", "a.cbn", "./a.cbn"), 2, ("'./a.cbn' twice",)),
        (("--merge", "a.cbn", "reach.cbn"), 2, ("'reach.cbn' beside 'a.cbn'", "reach=1", "same settings")),
        (("--merge", "a.cbn", "closed.cbn"), 1, ("'closed.cbn'", "no sums", "--keep-sums")),
        (("--merge", "neural.cbn", "a.cbn"), 1, ("'neural.cbn'", "neural", "--keep-sums")),
        (("--merge", "a.cbn", "missing.cbn"), 1, ("--merge", "missing.cbn")),
        (("--merge", "a.cbn", "b.cbn", "--out", "b.cbn"), 2, ("--out", "--merge")),
        (("--merge", "a.cbn", "b.cbn", "--dry-run"), 2, ("--dry-run", "--merge")),
        (("--merge", "a.cbn", "b.cbn", "--false-alarm-rate", 0.1), 2, ("--false-alarm-rate", "--merge")),
        (("--merge", "a.cbn", "b.cbn", "--calibration", "c"), 2, ("--calibration", "--merge")),
        (("--good", "b", "--add", "closed.cbn"), 1, ("--add", "'closed.cbn'", "no sums", "--keep-sums")),
        (("--good", "b", "--add", "neural.cbn"), 1, ("--add", "'neural.cbn'", "neural", "--keep-sums")),
        (("--good", "b", "--add", "missing.cbn"), 1, ("--add", "missing.cbn")),
        (("--add", "a.cbn"), 2, ("--data", "--good")),
    ],
)
def test_what_cannot_be_added_or_merged(arguments, code, words, here):
    before = sorted(os.listdir())
    out = () if "--out" in arguments else ("--out", "new.cbn")
    cli.assert_one_line_error(cli.call(TRAIN, *arguments, *out), code, *words)
    assert sorted(os.listdir()) == before


def test_the_default_model_is_not_written_over(here):
    shutil.copy("a.cbn", "iem.cbn")
    cli.assert_one_line_error(
        cli.call(TRAIN, "--good", "b", "--add", "iem.cbn"), 2, "--out", "'iem.cbn'", "another name"
    )


def test_pictures_of_merged_models_that_are_the_same_are_said(here):
    shutil.copy("a.cbn", "again.cbn")
    result = cli.done(TRAIN, "--merge", "a.cbn", "b.cbn", "again.cbn", "--out", "new.cbn")
    assert "12 or more pictures of again.cbn are in models before it already, and count twice" in result.err
    assert cbn.load("new.cbn").fitted_.n_images == 32


def test_an_interrupted_addition_leaves_no_model(here, monkeypatch):
    from cbn.cli import _iem_fit

    def stop(self, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_iem_fit.FitProgress, "pictures", stop)
    result = cli.call(TRAIN, "--good", "b", "--add", "a.cbn", "--out", "ab.cbn")
    cli.assert_one_line_error(result, 130, "no model has been written")
    assert not os.path.exists("ab.cbn")
    assert np.isfinite(cbn.load("a.cbn").score_samples(np.zeros((1, 48, 48), np.uint8))).all()
