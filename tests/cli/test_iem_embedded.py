# SPDX-License-Identifier: BSD-3-Clause
"""The programs with neural sidewards models on the embedded network, and with energy "pattern"."""

import pytest

import cbn
from cbn.datasets import make_category, write_mvtec
from helpers import programs as cli

TRAIN = "cbn-iem-train"
EMBEDDED = ("--sidewards", "neural", "--backbone", "efficientnet_lite0", "--size", "40x48")


@pytest.fixture(scope="module")
def category(tmp_path_factory):
    path = tmp_path_factory.mktemp("tree") / "carpet"
    write_mvtec(path, make_category("texture", 24, 6, 2, size=48, random_state=0))
    return path


def test_train_score_and_show(category, tmp_path):
    out = tmp_path / "a.cbn"
    command = (TRAIN, "--data", category, *EMBEDDED, "--sharing", "a", "--epochs", "3", "--false-alarm-rate", "0.2")
    result = cli.done(*command, "--out", out, "--json").json()
    assert result["backbone"] == "efficientnet_lite0" and result["sidewards"] == "neural" and result["sharing"] == "a"
    assert result["n_levels"] == 1 and result["picture_shape"] == [40, 48, 1] and result["thesis"]["table"] == 7
    assert cbn.load(out).levels_[0].shape == (5, 6, 128)
    cli.done(*command, "--out", tmp_path / "b.cbn", "--threads", "2")
    assert (tmp_path / "b.cbn").read_bytes() == out.read_bytes()
    shown = cli.done("cbn-show", out, "--out", tmp_path / "a.png").out
    assert "5x6x128" in shown and "of a pretrained network" in shown and " 339 " in shown
    assert "threshold" in cli.done(TRAIN, "--data", category, *EMBEDDED, "--quick", "--out", out).out


def test_dry_run(category):
    found = cli.done(TRAIN, "--data", category, *EMBEDDED, "--dry-run", "--json").json()
    (level,) = found["levels"]
    assert level["shape"] == [5, 6, 128] and level["inputs"] == 8 * 129 and level["hidden"] == [128, 64]
    assert level["receptive_field"] == 339 and found["epochs"] == [400]  # 800 steps of 2 batches


def test_pattern(category, tmp_path):
    out = tmp_path / "a.cbn"
    command = ("--data", category, "--sidewards", "neural", "--levels", "1", "--quick", "--false-alarm-rate", "0.2")
    result = cli.done(TRAIN, *command, "--energy", "pattern", "--out", out, "--json").json()
    assert result["energy"] == "pattern" and cbn.load(out).energy == "pattern"
    assert "energy           pattern" in cli.done("cbn-show", out, "--out", tmp_path / "a.png").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--levels", "1"), ("--levels", "one level")),
        (("--directions", "4"), ("--directions",)),
        (("--weights", "nowhere.pth"), ("--weights", "nowhere.pth")),
    ],
)
def test_wrong_usage(arguments, words, category, tmp_path):
    result = cli.call(TRAIN, "--data", category, *EMBEDDED, *arguments, "--out", tmp_path / "a.cbn")
    assert result.code != 0 and result.err.count("\n") == 1
    for word in words:
        assert word in result.err
