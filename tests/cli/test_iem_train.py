# SPDX-License-Identifier: BSD-3-Clause
"""cbn-iem-train: figures, files, dry run, resume, whole trees, wrong usage."""

import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import cbn
from cbn.cli._iem_report import TABLE_5, TABLE_5_MODELS, TABLE_7, TABLE_7_MODELS
from cbn.datasets import load_mvtec, make_category, write_mvtec
from cbn.metrics.localization import aupro, mean_pixel_auroc, pixel_auroc
from helpers import programs as cli

TRAIN = "cbn-iem-train"
# Small enough for a second: two levels, pictures of 32 x 32.
FAST = ("--levels", "1", "--epochs", "1", "--false-alarm-rate", "0.2", "--held-out", "0")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A tree of two categories, one of which the thesis knows."""
    root = tmp_path_factory.mktemp("tree")
    write_mvtec(root / "carpet", make_category("texture", 10, 4, 2, size=32))
    write_mvtec(root / "flange", make_category("object", 8, 4, 2, size=32, color="rgb"))
    return root


@pytest.fixture(scope="module")
def trained(tree, tmp_path_factory):
    """(result as JSON, path of the model)."""
    path = tmp_path_factory.mktemp("trained") / "carpet.cbn"
    return cli.done(TRAIN, "--data", tree / "carpet", *FAST, "--out", path, "--json").json(), path


# ---- figures ----


def test_json_holds_what_was_trained(trained):
    result, path = trained
    assert result["category"] == "carpet" and result["model"] == str(path)
    assert (result["n_train"], result["n_test"]) == (10, 12)
    assert result["picture_shape"] == [32, 32, 1] and result["n_levels"] == 2 and result["epochs"] == [1, 1]
    assert result["n_calibration"] == 10 and result["false_alarm_rate"] == 0.2
    assert len(result["loss"]) == 2 and min(result["loss"]) > 0
    for part in ("load", "fit", "score", "maps", "figures", "score_per_image"):
        assert result["seconds"][part] > 0
    assert result["seconds"]["score_per_image"] == pytest.approx(result["seconds"]["score"] / 12)


def test_figures_are_those_of_the_saved_model(trained, tree):
    result, path = trained
    model, data = cbn.load(path), load_mvtec(tree / "carpet")
    scores, maps = model.score_samples(data.test), model.energy_map(data.test)
    assert result["image_auroc"] == pytest.approx(roc_auc_score(data.labels, -scores), abs=1e-12)
    assert result["pixel_auroc"] == pytest.approx(pixel_auroc(data.masks, maps), abs=1e-12)
    assert result["mean_pixel_auroc"] == pytest.approx(mean_pixel_auroc(data.masks, maps), abs=1e-12)
    assert result["aupro"] == pytest.approx(aupro(data.masks, maps), abs=1e-12)
    alarms, defective = model.predict(data.test) == -1, data.labels == 1
    hits = (alarms & defective).sum()
    assert result["f1"] == pytest.approx(2 * hits / (alarms.sum() + defective.sum()))
    assert result["n_alarms"] == alarms.sum()
    for name, (low, high) in result["intervals"].items():
        assert low <= result[name] <= high, name
    defects = {row["defect"]: row for row in result["defects"]}
    assert tuple(defects) == data.defect_types
    spots = np.array(data.defects) == "spot"
    chosen = spots | ~defective
    assert defects["spot"]["n"] == 2 and defects["spot"]["found"] == alarms[spots].mean()
    assert defects["spot"]["image_auroc"] == pytest.approx(roc_auc_score(defective[chosen], -scores[chosen]))
    assert defects["spot"]["aupro"] == pytest.approx(aupro(data.masks[chosen], maps[chosen]), abs=1e-12)
    against = np.concatenate([model.calibration_scores_, scores[defective]])
    normal = np.arange(len(against)) < len(model.calibration_scores_)
    assert result["auroc_against_calibration"] == pytest.approx(roc_auc_score(normal, against))


def test_baselines_need_no_model(trained, tree):
    result, data = trained[0], load_mvtec(tree / "carpet")
    means = data.test.mean(axis=(1, 2))
    baselines = result["baselines"]
    assert baselines["mean_brightness"] == pytest.approx(roc_auc_score(data.labels, means))
    distance = np.abs(means - data.train.mean())
    assert baselines["brightness_distance"] == pytest.approx(roc_auc_score(data.labels, distance))
    assert set(baselines["image_gradient"]) == {"pixel_auroc", "mean_pixel_auroc", "aupro"}


def test_report_for_people(tree, tmp_path):
    result = cli.done(TRAIN, "--data", tree / "carpet", *FAST, "--out", tmp_path / "a.cbn")
    for words in ("carpet: 10 training and 12 test pictures of 32x32, grey, 8 with defects", "image AUROC", "AUPRO",
                  "F1 at threshold", "image gradient 0.", "its distance from training 0.", "thesis Table 5",
                  "IEM 94.1 %", "misplaced", "score per image", "a.cbn"):  # fmt: skip
        assert words in result.out, words
    assert cli.unassumed(result.err) == []


def test_thesis_tables_have_the_means_that_the_thesis_prints():
    """But for two of Table 5: it prints 87.9 for the column of the IEM, and 92.1 for Patch SVDD, whose mean is 91.9."""
    for table, models, means in (
        (TABLE_5, TABLE_5_MODELS, (89.2, 91.9, 83.9, 76.2, 91.7)),
        (TABLE_7, TABLE_7_MODELS, (90.8, 99.6, 99.1, 99.56)),
    ):
        assert len(table) == 15 and {len(row) for row in table.values()} == {len(models)}
        np.testing.assert_allclose(np.mean(list(table.values()), axis=0), means, atol=0.11)


@pytest.mark.slow
def test_brightness_that_gives_defects_away_is_said(tmp_path):
    made = make_category("texture", 8, 4, 1, size=32)
    write_mvtec(tmp_path / "lit", made)
    for path in (tmp_path / "lit" / "test" / "good").iterdir():
        cli.write_pictures(path.parent, made.test[:4] // 2)
    command = (TRAIN, "--data", tmp_path / "lit", *FAST, "--out", tmp_path / "a.cbn")
    assert "mean brightness alone separates good from defective" in cli.done(*command).err
    assert cli.unassumed(cli.done(*command, "--brightness", "median").err) == []
    assert cli.done(*command, "--quiet").err == ""


@pytest.mark.slow
def test_same_seed_same_file_for_any_number_of_threads(tree, tmp_path, trained):
    for threads in (1, 2):
        out = tmp_path / "a.cbn"
        cli.done(TRAIN, "--data", tree / "carpet", *FAST, "--threads", threads, "--out", out)
        assert out.read_bytes() == trained[1].read_bytes()
    cli.done(TRAIN, "--data", tree / "carpet", *FAST, "--seed", 1, "--out", tmp_path / "a.cbn")
    assert (tmp_path / "a.cbn").read_bytes() != trained[1].read_bytes()


# ---- other pictures ----


@pytest.mark.slow
def test_synthetic_categories_need_no_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind, color in (("texture", "grey"), ("object", "rgb")):
        found = cli.done(TRAIN, "--synthetic", kind, "--size", 32, "--color", color, "--levels", 0, "--quick",
                         "--json").json()  # fmt: skip
        assert found["category"] == f"synthetic {kind}" and found["model"] == "iem.cbn"
        assert found["picture_shape"] == [32, 32, 1 if color == "grey" else 3]
        assert cbn.load("iem.cbn").provenance_["source"] == kind
        assert found["epochs"] == [5]  # of 60 pictures in batches of 8: 40 steps
    assert os.listdir() == ["iem.cbn"]


def test_good_pictures_alone(tree, tmp_path):
    result = cli.done(TRAIN, "--good", tree / "carpet/train/good", *FAST, "--out", tmp_path / "a.cbn", "--json").json()
    assert result["n_test"] == 0 and result["image_auroc"] is None and result["defects"] == []
    printed = cli.done(TRAIN, "--good", tree / "carpet/train/good", *FAST, "--out", tmp_path / "a.cbn").out
    assert "AUROC" not in printed and "threshold" in printed


def test_good_and_test_without_masks(tree, tmp_path):
    command = (TRAIN, "--good", tree / "carpet/train/good", "--out", tmp_path / "a.cbn", *FAST, "--json")
    known = cli.done(*command, "--test", tree / "carpet/test").json()
    assert known["image_auroc"] is not None and known["f1"] is not None and known["pixel_auroc"] is None
    assert known["defects"][0]["aupro"] is None and known["thesis"] is None
    unknown = cli.done(*command, "--test", tree / "carpet/test/spot").json()
    assert unknown["n_test"] == 2 and unknown["n_alarms"] is not None and unknown["f1"] is None
    assert cli.done(*command[:-1], "--test", tree / "carpet/test").out.count("pixel AUROC") == 1  # a column


def test_pictures_are_resized(tree, tmp_path):
    found = cli.done(TRAIN, "--data", tree / "flange", "--size", "24x20", "--color", "grey", *FAST,
                     "--out", tmp_path / "a.cbn", "--json").json()  # fmt: skip
    assert found["picture_shape"] == [24, 20, 1]


def test_small_pictures_get_the_levels_that_they_have_room_for(tree, tmp_path):
    result = cli.done(TRAIN, "--data", tree / "carpet", "--size", 16, "--quick", "--out", tmp_path / "a.cbn", "--json")
    assert result.json()["n_levels"] == 3
    assert "room for 2 of 4 levels" in result.err


# ---- a whole tree ----


@pytest.mark.slow
def test_all_categories(tree, tmp_path):
    out = tmp_path / "m.cbn"
    command = (TRAIN, "--data", tree, "--categories", "all", *FAST, "--out", out)
    printed = cli.done(*command).out
    lines = printed.splitlines()
    assert "Table 5" in lines[0] and "RIAD" in lines[1]
    assert lines[2].split()[0] == "carpet"
    assert lines[2].split("|")[1].split() == ["94.1", "92.9", "70.6", "69.9", "84.2"]
    assert lines[3].split()[0] == "flange" and lines[3].split("|")[1].split() == ["-"] * 5
    assert lines[4].split()[:3] == ["mean", "18", "24"]
    found = cli.done(*command, "--json").json()
    assert [row["category"] for row in found["categories"]] == ["carpet", "flange"]
    assert found["mean_aupro"] == pytest.approx(np.mean([row["aupro"] for row in found["categories"]]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m-carpet.cbn", "m-flange.cbn"]
    only = cli.done(TRAIN, "--data", tree, "--categories", "flange", *FAST, "--out", out, "--json").json()
    assert [row["category"] for row in only["categories"]] == ["flange"]


# ---- dry run ----


def test_dry_run_counts_inputs_and_memory(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = (TRAIN, "--data", tree / "flange", "--size", 300, "--sidewards", "neural", "--dry-run")
    found = cli.done(*command, "--json").json()
    assert [level["inputs"] for level in found["levels"]] == [32, 384, 624, 864, 976]  # Table 4
    assert [level["shape"][0] for level in found["levels"]] == [300, 150, 75, 37, 18]
    assert found["n_train"] == 8 and found["n_test"] == 12
    memory = found["memory_bytes"]
    assert memory["pictures"] == 20 * 300 * 300 * 3 and min(memory.values()) > 0
    fewer = cli.done(*command, "--json", "--sharing", "a").json()
    assert fewer["memory_bytes"]["parameters"] < memory["parameters"] and fewer["n_parameters"] < found["n_parameters"]
    printed = cli.done(*command).out
    assert "976-32-32-16-1" in printed and "memory" in printed
    trees = cli.done(TRAIN, "--data", tree, "--categories", "all", "--dry-run", "--json").json()
    assert [row["category"] for row in trees["categories"]] == ["carpet", "flange"]
    assert os.listdir() == []


# ---- interruption and resume ----


@pytest.mark.slow
def test_interrupted_training_goes_on_to_the_same_bytes(tree, tmp_path, monkeypatch):
    """The process stops after the second of four epochs, as Ctrl-C would."""
    from cbn.cli import _iem_fit

    command = (TRAIN, "--data", tree / "carpet", "--levels", 1, "--epochs", 2, "--false-alarm-rate", 0.2)
    cli.done(*command, "--out", tmp_path / "whole.cbn")
    out = tmp_path / "part.cbn"
    original = _iem_fit.FitProgress.__call__

    def stop(self, state):
        original(self, state)
        if state.n_done == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_iem_fit.FitProgress, "__call__", stop)
        result = cli.call(*command, "--out", out)
    cli.assert_one_line_error(result, 130, "interrupted in level 0, after epoch 2 of 2", out.name, "--resume")
    assert cbn.load(out).provenance_["unfinished"].startswith("in level 0")
    refused = cli.call(*command, "--out", out)
    cli.assert_one_line_error(refused, 1, "checkpoint", "--resume")
    cli.done(*command, "--out", out, "--resume")
    whole = (tmp_path / "whole.cbn").read_bytes()
    assert out.read_bytes() == whole
    kept = cli.done(*command, "--out", out, "--resume")
    assert "complete, and of the same training: kept" in kept.err and out.read_bytes() == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part.cbn", "whole.cbn"]


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_bytes(tree, tmp_path):
    command = ["--data", str(tree / "carpet"), "--levels", "1", "--epochs", "40", "--false-alarm-rate", "0.2"]
    cli.done(TRAIN, *command, "--out", tmp_path / "whole.cbn")
    out, checkpoint = tmp_path / "part.cbn", tmp_path / "part.cbn.checkpoint"
    process = subprocess.Popen([cli.installed(TRAIN), *command, "--out", out, "--quiet"], env=cli.environment())
    deadline = time.monotonic() + 60
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert checkpoint.exists() and not out.exists()
    cli.done(TRAIN, *command, "--out", out, "--resume")
    assert out.read_bytes() == (tmp_path / "whole.cbn").read_bytes()


def test_resume_without_a_checkpoint_begins(tree, tmp_path):
    result = cli.done(TRAIN, "--data", tree / "carpet", *FAST, "--out", tmp_path / "a.cbn", "--resume")
    assert "nothing to go on from" in result.err


# ---- wrong usage ----


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A folder of four pictures with room for all levels."""
    folder = tmp_path_factory.mktemp("good")
    cli.write_pictures(folder, np.zeros((4, 64, 64), np.uint8))
    return folder


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--data", "none of them"]),
        (["--data", "x", "--good", "y"], ["--data and --good given"]),
        (["--data", "x", "--test", "y"], ["--test", "--good"]),
        (["--good", "x", "--categories", "all"], ["--categories", "--data"]),
        (["--synthetic", "metal"], ["--synthetic", "metal"]),
        (["--synthetic", "object", "--size", "0"], ["--size", "240x320"]),
        (["--synthetic", "object", "--size", "16"], ["size", "32"]),
        (["--synthetic", "object", "--quick", "--epochs", "3"], ["--quick", "--epochs"]),
        (["--synthetic", "object", "--epochs", "x"], ["--epochs", "whole numbers"]),
        (["--good", "GOOD", "--epochs", "1,2"], ["epochs", "(1, 2)", "5 levels"]),
        (["--synthetic", "object", "--epochs", "0"], ["epochs", "0"]),
        (["--good", "GOOD", "--levels", "9"], ["--levels", "4"]),
        (["--good", "GOOD", "--size", "32", "--levels", "4"], ["level 4", "2 x 2 positions"]),
        (["--synthetic", "object", "--weights", "x.npz"], ["--weights", "--backbone"]),
        (["--synthetic", "object", "--backbone", "alexnet"], ["--backbone alexnet", "--weights"]),
        (["--synthetic", "object", "--false-alarm-rate", "1"], ["--false-alarm-rate"]),
        (["--synthetic", "object", "--learning-rate", "-1"], ["--learning-rate", "-1"]),
        (["--good", "GOOD", "--held-out", "0.9"], ["--held-out", "0.9"]),
        (["--good", "GOOD", "--level-weights", "1,2"], ["--level-weights", "5 levels"]),
    ],
)
def test_wrong_usage(arguments, words, good, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [good if word == "GOOD" else word for word in arguments]
    cli.assert_one_line_error(cli.call(TRAIN, *arguments, "--quiet"), 2, *words)
    assert os.listdir() == []


def test_data_that_cannot_be_used(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cli.write_pictures(tmp_path / "plain", np.zeros((2, 32, 32), np.uint8))
    (tmp_path / "empty").mkdir()
    for arguments, words in (
        (["--data", "none"], ["--data", "none does not exist"]),
        (["--data", tree], ["--data", "such as", "carpet"]),
        (["--data", tree / "carpet", "--categories", "all"], ["--data", "is one itself"]),
        (["--data", "plain"], ["--data", "no folder train", "give a plain folder of good pictures with --good"]),
        (["--good", "none"], ["error: --good: none does not exist"]),
        (["--good", "plain", "--test", "none"], ["error: --test: none does not exist"]),
        (["--good", tmp_path / "empty"], ["--good", "no pictures"]),
        (["--data", tree / "carpet", "--out", "no/a.cbn"], ["--out", "folder"]),
        (["--synthetic", "object", "--backbone", "alexnet", "--weights", "none.npz"], ["none.npz"]),
    ):
        cli.assert_one_line_error(cli.call(TRAIN, *arguments), 1, *words)
    result = cli.call(TRAIN, "--data", tree, "--categories", "bottle")
    cli.assert_one_line_error(result, 2, "--categories", "'bottle'", "carpet, flange")
    (tmp_path / "one").mkdir()
    cli.write_pictures(tmp_path / "one", np.zeros((1, 32, 32), np.uint8))
    cli.assert_one_line_error(cli.call(TRAIN, "--good", "one", "--levels", 0), 1, "1 picture", "at least 2")
    (tmp_path / "one" / "001.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    cli.assert_one_line_error(cli.call(TRAIN, "--good", "one"), 1, "one/001.png", "replace the file")


def test_json_of_black_pictures_is_json(tmp_path):
    cli.write_pictures(tmp_path / "black", np.zeros((4, 16, 16), np.uint8))
    found = cli.done(TRAIN, "--good", tmp_path / "black", *FAST, "--out", tmp_path / "a.cbn", "--json").json()
    json.dumps(found, allow_nan=False)


def test_masks_of_whole_pictures_ask_for_no_place(tmp_path):
    """All pictures of one kind of defect are defective everywhere, and there are no good ones: no figure by pixel."""
    whole = make_category("texture", 10, 1, 2, size=32)
    whole.masks[:] = whole.masks.any(axis=(1, 2))[:, None, None]
    write_mvtec(tmp_path / "whole", whole)
    found = cli.done(TRAIN, "--data", tmp_path / "whole", *FAST, "--out", tmp_path / "whole.cbn", "--json").json()
    assert found["image_auroc"] is not None and found["pixel_auroc"] is None and found["aupro"] is None
    assert len(found["defects"]) == 4
