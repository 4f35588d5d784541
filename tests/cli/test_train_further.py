# SPDX-License-Identifier: BSD-3-Clause
"""cbn-train --add and --merge: more images, models made one, and what they do not go with."""

import numpy as np
import pytest

import cbn
from cbn.cli.train import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two halves of images and all, as files, and a model of each."""
    monkeypatch.chdir(tmp_path)
    grey = (np.random.default_rng(0).random((500, 8, 8)) * 255).astype(np.uint8)
    for name, part in (("a", grey[:300]), ("b", grey[300:]), ("all", grey)):
        np.save(f"{name}.npy", part)
        run("--data", f"{name}.npy", "--out", f"{name}.cbn")
    return tmp_path


def run(*arguments):
    return main([*arguments, "--quiet"])


def counts(path):
    return cbn.load(path).counts_


def test_merged_models_have_all_images(folder, capsys):
    capsys.readouterr()
    run("--merge", "a.cbn", "b.cbn", "--out", "m.cbn")
    out = capsys.readouterr().out
    assert "500 of 2 models" in out and "of the model of 300 images, which judges new ones" in out
    np.testing.assert_array_equal(counts("m.cbn"), counts("all.cbn"))
    run("--merge", "b.cbn", "a.cbn", "--out", "n.cbn", "--json")
    assert cbn.load("n.cbn").offset_ == cbn.load("m.cbn").offset_ == cbn.load("a.cbn").offset_


def test_added_images_count_as_if_they_had_been_there(folder, capsys):
    capsys.readouterr()
    run("--data", "b.npy", "--add", "a.cbn", "--out", "m.cbn")
    assert "500 of a.cbn and 200 more" in capsys.readouterr().out
    np.testing.assert_array_equal(counts("m.cbn"), counts("all.cbn"))
    assert cbn.load("m.cbn").provenance_["source"] == "a.npy and b.npy"
    run("--data", "b.npy", "--add", "m.cbn", "--calibration", "a.npy", "--out", "c.cbn")
    assert cbn.load("c.cbn").calibration_ == "separate images" and cbn.load("c.cbn").n_images_ == 700


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--merge", "a.cbn"], ["--merge: 'a.cbn' alone"]),
        (["--merge", "a.cbn", "./a.cbn"], ["--merge: './a.cbn' twice"]),
        (["--merge", "a.cbn", "b.cbn", "--data", "a.npy"], ["--data: not with --merge"]),
        (["--merge", "a.cbn", "b.cbn", "--seed", "1"], ["--seed: not with --merge"]),
        (["--merge", "a.cbn", "other.cbn"], ["--merge: 'other.cbn' beside 'a.cbn'", "binarization"]),
        (["--merge", "a.cbn", "tied.cbn"], ["--merge: 'tied.cbn' beside 'a.cbn'"]),
        (["--merge", "a.cbn", "a.npy"], ["a.npy"]),
        (["--merge", "a.cbn", "b.cbn", "--out", "a.cbn"], ["a.cbn"]),
        (["--add", "a.cbn", "--data", "b.npy", "--threshold", "0.4"], ["--threshold: not with --add"]),
        (["--add", "a.cbn", "--data", "b.npy", "--preset", "tree"], ["--preset: not with --add"]),
        (["--add", "a.cbn", "--merge", "a.cbn", "b.cbn"], ["--add: not with --merge"]),
        (["--add", "tied.cbn", "--data", "b.npy"], ["--add: 'tied.cbn'", "fit all images at once"]),
        (["--add", "a.cbn", "--data", "wide.npy"], ["8 x 8"]),
        (["--add", "missing.cbn", "--data", "b.npy"], ["missing.cbn", "no such file"]),
    ],
)
def test_what_does_not_go_together_is_one_line(arguments, words, folder, capsys):
    run("--data", "a.npy", "--threshold", "0.6", "--out", "other.cbn")
    run("--data", "a.npy", "--preset", "tied", "--tied-rounds", "1", "--pairs", "500", "--out", "tied.cbn")
    np.save("wide.npy", np.zeros((3, 5, 9), np.uint8))
    before = (folder / "a.cbn").read_bytes()
    capsys.readouterr()
    code = main(arguments)
    error = capsys.readouterr().err.strip()
    assert code in (1, 2) and "Traceback" not in error and len(error.splitlines()) == 1
    assert all(word in error for word in words), error
    assert (folder / "a.cbn").read_bytes() == before and not (folder / "model.cbn").exists()
