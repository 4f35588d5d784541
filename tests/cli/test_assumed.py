# SPDX-License-Identifier: BSD-3-Clause
"""What was assumed: one line on stderr that names the options, none with --quiet, and nothing of it on stdout."""

import json
from pathlib import Path

import numpy as np
import pytest

from helpers import programs as cli
from helpers.folders import save


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Grey images with and without labels and test images, and a model of them."""
    folder = tmp_path_factory.mktemp("images")
    images, labels = cli.grey_images(60, 8, 8), np.arange(60) % 2
    np.savez(folder / "split.npz", x_train=images[:40], y_train=labels[:40], x_test=images[40:], y_test=labels[40:])
    np.save(folder / "a.npy", images)
    cli.done("cbn-train", "--data", folder / "a.npy", "--false-alarm-rate", "0.1", "--out", folder / "model.cbn")
    return folder


@pytest.fixture
def here(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in folder.iterdir():
        Path(path.name).write_bytes(path.read_bytes())
    return tmp_path


REPLACED = "is replaced (--out)"


def parts_of(done):
    """The parts of the lines on what was assumed."""
    lines = [line for line in done.err.splitlines() if line.startswith("assumed: ")]
    return [line.removeprefix("assumed: ").split("; ") for line in lines]


def said(done):
    """Lines, without what depends on whether a program ran before."""
    lines = [[part for part in parts if not part.endswith(REPLACED)] for parts in parts_of(done)]
    return ["; ".join(parts) for parts in lines if parts]


def assumed(program, *argv):
    """What a program says that it assumed; it says so in one line, and --quiet and --json change nothing but that."""
    lines = said(cli.done(program, *argv))
    quiet = cli.done(program, *argv, "--quiet")
    assert quiet.err == "" and "assumed" not in quiet.out
    as_json = cli.done(program, *argv, "--json")
    json.loads(as_json.out)
    assert said(as_json) == lines
    assert len(lines) <= 1
    return lines[0].split("; ") if lines else []


def test_training(here):
    found = assumed("cbn-train", "--data", "a.npy")
    assert found[:2] == [
        "preset pixel because none is named (--preset)",
        "binarization 0.3 as in the preset (--threshold)",
    ]
    assert found[2].startswith(
        "false-alarm rate 0.01 (--false-alarm-rate), for which leave-one-out scores of the training"
    )
    assert found[3] == "no test images to judge by"


def test_what_is_given_is_not_assumed(here):
    words = ("--preset", "pixel", "--threshold", "0.4", "--false-alarm-rate", "0.1", "--calibration", "more.npy")
    np.save("more.npy", np.load("a.npy")[:, ::-1])
    assert assumed("cbn-train", "--data", "a.npy", *words) == ["no test images to judge by"]
    Path("t.toml").write_text('data = "a.npy"\npreset = "pixel"\nthreshold = 0.4\nfalse-alarm-rate = 0.1')
    found = assumed("cbn-train", "--config", "t.toml")
    assert found[0].startswith("leave-one-out scores of the training images set the threshold") and len(found) == 2


def test_a_model_that_is_there(here):
    command = "cbn-train", "--data", "a.npy"
    assert f"model.cbn, which is there, {REPLACED}" in parts_of(cli.done(*command))[0]
    for others in (("--out", "model.cbn"), ("--dry-run",)):
        assert not any(REPLACED in part for part in parts_of(cli.done(*command, *others))[0])
    done = cli.done("cbn-train", "--data", "split.npz", "--digit", "all")  # model-0.cbn and model-1.cbn
    assert not any(REPLACED in part for part in parts_of(done)[0])
    Path("model.cbn").unlink()
    assert not any(REPLACED in part for part in parts_of(cli.done(*command))[0])


def test_labels_tests_and_thresholds(here):
    found = assumed("cbn-train", "--data", "split.npz", "--preset", "tree", "--folds", "4")
    assert "all 2 labels are one class (--digit)" in found and "judged on 20 test images" in found
    assert any("4-fold scores" in part for part in found)
    found = assumed("cbn-train", "--data", "split.npz", "--digit", "1", "--threshold", "auto")
    assert not any("labels" in part for part in found)
    assert any(
        part.startswith("binarization 0.") and part.endswith("by the grey levels (--threshold)") for part in found
    )
    found = assumed("cbn-train", "--data", "split.npz", "--digit", "all", "--threshold", "auto")
    assert "binarization chosen for each label by the grey levels (--threshold)" in found
    found = assumed("cbn-train", "--data", "split.npz", "--classifier")
    assert not any("false-alarm" in part or "labels" in part for part in found)


def test_binary_images_stay_as_they_are(here):
    found = assumed("cbn-train", "--digit", "3", "--dry-run")
    assert "images are binary as they come (value > 0.3 x 255)" in found


def test_fewer_threads_than_processors(here, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4096)
    found = assumed("cbn-train", "--data", "a.npy")
    assert found[-1].endswith(" threads of 4096 processors (--threads)")
    assert "processors" not in assumed("cbn-train", "--data", "a.npy", "--threads", "1")[-1]


def test_scoring(here):
    assert assumed("cbn-score", "--data", "split.npz") == ["model model.cbn (--model)", "the test images (--split)"]
    assert assumed("cbn-score", "model.cbn", "--data", "split.npz", "--split", "train") == []
    Path("other.cbn").write_bytes(Path("model.cbn").read_bytes())
    assert assumed("cbn-score", "other.cbn", "--data", "split.npz", "--digit", "1") == ["the test images (--split)"]


def test_drawing(here):
    assert assumed("cbn-sample", "--n", "2") == ["ancestral samples (--method)", "model model.cbn (--model)"]
    assert assumed("cbn-sample", "--method", "ancestral", "--n", "2") == ["model model.cbn (--model)"]
    found = assumed("cbn-inpaint", "--data", "split.npz", "--n", "2")
    first = "the first of 20 images (--index)"
    assert found[1:] == ["the test images (--split)", first, "the lower half is missing (--hole)"]
    assert assumed("cbn-inpaint", "--data", "split.npz", "--n", "2", "--hole", "top")[1:] == found[1:3]
    assert first not in assumed("cbn-inpaint", "--data", "split.npz", "--n", "2", "--index", "0")


def test_showing(here, undrawn):
    assert assumed("cbn-show") == ["model model.cbn (--model)"]


def test_models_of_pictures(here):
    words = ("--synthetic", "texture", "--directions", "5")
    plain = ("--backbone", "none", "--sidewards", "gaussian")
    found = assumed("cbn-iem-train", *words, "--size", "32", *plain)
    assert found[0] == "grey (--color)" and found[1].startswith("false-alarm rate 0.05 (--false-alarm-rate), for which")
    assert found[2] == "judged on 60 test pictures"
    found = said(cli.done("cbn-iem-train", *words, "--false-alarm-rate", "0.1", "--dry-run"))[0].split("; ")
    assert found[:3] == [
        "Gaussian models because no option of neural ones is given (--sidewards)",
        "features of efficientnet_lite0 (--backbone)",
        "224 x 224 pixels (--size)",
    ]
    assert assumed("cbn-iem-score", "--synthetic", "texture", "--n", "3") == ["model iem.cbn (--model)"]


def test_a_failure_is_one_line_alone(here):
    assert "assumed" not in cli.call("cbn-score").err
    cli.assert_one_line_error(cli.call("cbn-score"), 1, "28 x 28")  # the embedded images for a model of 8 x 8
    cli.assert_one_line_error(cli.call("cbn-inpaint", "--data", "split.npz", "--hole", "9:10,0:1"), 2, "--hole")


def test_a_report_names_the_model_that_it_read(here):
    assert assumed("cbn-report", "--data", "a.npy")[0] == "model model.cbn (--model)"
    assert not any("--model" in part for part in assumed("cbn-report", "--model", "model.cbn", "--data", "a.npy"))


def test_energy_models_that_are_not_trained_or_watch_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("--synthetic", "texture", "--size", "32", "--directions", "8")
    planned = assumed("cbn-iem-train", *words, "--dry-run")
    assert planned[0].startswith("Gaussian models") and not any("--size" in part for part in planned)
    cli.done("cbn-iem-train", *words, "--out", "iem.cbn", "--quiet")
    Path("camera").mkdir()
    watching = ("--watch", "camera", "--once", "--csv", "rows.csv")
    assert assumed("cbn-iem-score", *watching) == ["model iem.cbn (--model)"]
    assert assumed("cbn-iem-score", "iem.cbn", *watching) == []


def test_pictures_of_surfaces_have_another_program(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for folder, n in (("c/train/good", 30), ("c/test/good", 3), ("c/test/hole", 3)):
        for i in range(n):
            save(Path(f"{folder}/{i}.png"), rng.integers(0, 256, (6, 5), np.uint8))
    rate = ("--false-alarm-rate", "0.1")
    assert "cbn-iem-train" in cli.done("cbn-train", "--data", "c", *rate).err
    assert "cbn-iem-train" not in cli.done("cbn-train", "--data", "c", *rate, "--quiet").err
    assert "cbn-iem-train" not in cli.done("cbn-train", "--data", "c/test", *rate).err
