# SPDX-License-Identifier: BSD-3-Clause
"""Nothing that a program reads is written over: models, data, and pictures in folders of them."""

import hashlib

import numpy as np
import pytest

from cbn.datasets import make_category, write_mvtec
from helpers import programs as cli


def bytes_of(folder):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of pictures, the same as an array, and a model of them."""
    images = cli.grey_images(40, 6, 5)
    cli.write_pictures(tmp_path / "pictures", images)
    np.save(tmp_path / "grey.npy", images)
    cli.done("cbn-train", "--data", tmp_path / "grey.npy", "--false-alarm-rate", "0.1", "--out", tmp_path / "model.cbn")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("program", "data", "option", "path"),
    [
        ("cbn-score", "pictures", "--csv", "model.cbn"), ("cbn-score", "pictures", "--csv", "pictures/00.png"),
        ("cbn-score", "grey.npy", "--csv", "grey.npy"), ("cbn-score", "pictures", "--heatmap", "pictures"),
        ("cbn-score", "pictures", "--heatmap", "pictures/maps"), ("cbn-score", "pictures", "--repair", "pictures"),
        ("cbn-score", ".", "--heatmap", "maps"), ("cbn-score", ".", "--csv", "grey.npy"),
        ("cbn-inpaint", "pictures", "--out", "pictures/00.png"), ("cbn-train", "grey.npy", "--out", "grey.npy"),
        ("cbn-train", "pictures", "--out", "pictures/00.png"), ("cbn-train", ".", "--out", "grey.npy"),
    ],
)  # fmt: skip
def test_what_is_read_is_not_written_over(program, data, option, path, here):
    before = bytes_of(here)
    path = path.replace("00.png", min(own.name for own in (here / "pictures").iterdir()))
    model = () if program == "cbn-train" else ("--model", "model.cbn")
    result = cli.call(program, *model, "--data", data, option, path)
    cli.assert_one_line_error(result, 2, option, path)
    assert bytes_of(here) == before


@pytest.mark.parametrize("program", ["cbn-train", "cbn-iem-train"])
def test_a_model_replaces_nothing_but_a_model(program, here):
    script = here / "script.py"
    script.write_text("print()")
    result = cli.call(program, "--data", "grey.npy", "--out", "script.py")
    cli.assert_one_line_error(result, 2, "--out", "'script.py'", "no cbn model")
    assert script.read_text() == "print()"
    script.write_bytes(b"")  # as made by mktemp
    for path in ("script.py", "model.cbn"):
        cli.done("cbn-train", "--data", "grey.npy", "--false-alarm-rate", "0.1", "--out", path)


def test_results_may_be_written_again(here):
    for _ in range(2):
        cli.done("cbn-score", "--model", "model.cbn", "--data", "pictures", "--csv", "pictures/verdicts.csv",
                 "--skip-bad", "--heatmap", "maps")  # fmt: skip
        cli.done("cbn-score", "--model", "model.cbn", "--data", "pictures", "--csv", "-")
    assert len((here / "pictures" / "verdicts.csv").read_text().splitlines()) == 41


@pytest.mark.parametrize("option", ["--maps", "--save-maps"])
def test_maps_are_not_written_among_pictures(option, tmp_path):
    write_mvtec(tmp_path / "carpet", make_category("texture", 12, 4, 1, size=48))
    cli.done("cbn-iem-train", "--data", tmp_path / "carpet", "--size", 48, "--directions", 8, "--false-alarm-rate", 0.2,
             "--out", tmp_path / "m.cbn", "--quiet")  # fmt: skip
    before = bytes_of(tmp_path)
    folder = tmp_path / "carpet" / "train" / "good"
    result = cli.call("cbn-iem-score", tmp_path / "m.cbn", "--data", tmp_path / "carpet", option, folder)
    cli.assert_one_line_error(result, 2, option, "left as it is")
    result = cli.call("cbn-iem-score", tmp_path / "m.cbn", "--data", tmp_path / "carpet", "--csv", tmp_path / "m.cbn")
    cli.assert_one_line_error(result, 2, "--csv", "--model")
    assert bytes_of(tmp_path) == before
