# SPDX-License-Identifier: BSD-3-Clause
"""cbn-score of images that are read as they are scored: what it says of images in memory, row by row."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cbn.cli import _score_images
from helpers import programs as cli
from helpers.folders import save

RNG = np.random.default_rng(8)
IMAGES = (RNG.random((300, 7, 8)) < 0.3).astype(np.uint8) * RNG.integers(100, 256, (300, 7, 8), np.uint8)
IMAGES[::9, 3:] = 255


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_score_images, "BATCH", 64)
    np.save(Path("train.npy"), (RNG.random((500, 7, 8)) < 0.3).astype(np.uint8) * 200)
    cli.done("cbn-train", "--data", "train.npy", "--out", "model.cbn", "--false-alarm-rate", "0.05")


def folder(n=(150, 20, 90), labels=("1", "2")):
    for split, count in zip(("train", "val", "test"), n):
        for label in labels:
            for i in range(count):
                save(Path(f"p/{split}/{label}/{i:03}.png"), IMAGES[i])


def both(monkeypatch, *argv, rows=True):
    """stdout, rows and messages, the same of both ways."""
    found = []
    for held in (True, False):
        with monkeypatch.context() as patch:
            if held:
                patch.setattr(
                    _score_images, "StreamedImages", lambda a, fitted, keeps: _score_images.HeldImages(a, fitted)
                )
            else:
                patch.setattr(_score_images, "HeldImages", None)
            done = cli.done("cbn-score", *argv, *(("--csv", "rows.csv") if rows else ()))
        out = done.json() | {"seconds": None} if "--json" in argv else done.out
        found.append((out, Path("rows.csv").read_bytes() if rows else b"", sorted(done.err.splitlines())))
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("how", [(), ("--json",)])
@pytest.mark.parametrize(
    "more",
    [(), ("--split", "train"), ("--n", "100"), ("--fdr", "0.2"), ("--false-alarm-rate", "1e-4", "--extrapolate"),
     ("--fdr", "0.0001"), ("--false-alarm-rate", "1e-4", "--digit", "all")],
)  # fmt: skip
def test_pictures(how, more, monkeypatch):
    folder()
    out, rows, _ = both(monkeypatch, "--data", "p", *more, *how)
    n = 100 if "--n" in more else 300 if "--split" in more else 180
    assert rows.count(b"\n") == n + 1
    if how:
        assert out["n"] == n == len(out["images"]) and {row["label"] for row in out["images"]} == {1, 2}


@pytest.mark.parametrize("how", [(), ("--json",)])
def test_arrays(how, monkeypatch):
    np.save(Path("x.npy"), IMAGES)
    np.save(Path("y.npy"), np.array(["a b", "c"])[np.arange(300) % 2])
    np.save(Path("b.npy"), IMAGES > 77)
    for argv in (("x.npy",), ("x.npy", "--labels", "y.npy"), ("b.npy",)):
        out, rows, _ = both(monkeypatch, "--data", *argv, *how)
        assert rows.count(b"\n") == 301 and (how or out.count("\n") == 301)


def test_images_of_another_size_are_refused_before_any_row():
    np.save(Path("x.npy"), IMAGES[:, :5])
    result = cli.call("cbn-score", "--data", "x.npy", "--csv", "rows.csv")
    cli.assert_one_line_error(result, 1, "images of 5 x 8 pixels, but the model needs 7 x 8")
    assert not os.path.exists("rows.csv")
    result = cli.call("cbn-score", "--data", "x.npy", "--split", "test")
    cli.assert_one_line_error(result, 1, "--split test: x.npy has no test images; use --split train")


def test_damage_in_the_middle_keeps_the_rows_before_it():
    folder(n=(200, 0, 0), labels=("a",))
    os.rename("p/train/a", "q")
    with open("q/150.png", "r+b") as file:
        file.truncate(50)
    for threads in (1, 2):
        result = cli.call("cbn-score", "--data", "q", "--csv", "rows.csv", "--threads", threads)
        assert result.code == 1 and len(cli.unassumed(result.err)) == 1
        assert "--data: q/150.png" in result.err and "--skip-bad" in result.err
        with open("rows.csv", newline="") as file:
            assert [row["file"] for row in csv.DictReader(file)] == [f"{i:03}.png" for i in range(128)]
        assert len(result.out.splitlines()) == 129
    result = cli.done("cbn-score", "--data", "q", "--csv", "rows.csv", "--skip-bad")
    assert len(result.out.splitlines()) == 200 and "1 that cannot be read (150.png)" in result.err
    with open("q/150.png", "wb") as file:
        file.write(b"x")
    assert cli.call("cbn-score", "--data", "q", "--json").out == ""


def test_rows_leave_as_they_are_done():
    np.save(Path("x.npy"), IMAGES)
    line = "import sys; from cbn.cli import _score_images as s, score; s.BATCH = 64; sys.exit(score.main(sys.argv[1:]))"
    read = subprocess.Popen(
        [sys.executable, "-c", line, "--data", "x.npy"], stdout=subprocess.PIPE, text=True, env=cli.environment()
    )
    first = [read.stdout.readline() for _ in range(2)]
    read.stdout.close()  # as head does
    read.wait(60)
    assert first[0].startswith("image\tscore") and first[1].startswith("0\t")


def test_what_draws_images_has_them_in_memory(monkeypatch):
    monkeypatch.setattr(_score_images, "StreamedImages", None)
    np.save(Path("x.npy"), IMAGES[:5])
    for option in (("--heatmap", "maps"), ("--repair", "maps"), ("--explain", "1")):
        cli.done("cbn-score", "--data", "x.npy", *option)


@pytest.mark.parametrize("how", [(), ("--json",)])
def test_classes(how, monkeypatch):
    folder()
    cli.done("cbn-train", "--data", "p", "--classifier", "--out", "model.cbn")
    for more in ((), ("--split", "train", "--n", "100")):
        out, _, _ = both(monkeypatch, "--data", "p", *more, *how, rows=False)
        assert not how or len(out["images"]) == (100 if more else 180)
    np.save(Path("x.npy"), IMAGES)
    both(monkeypatch, "--data", "x.npy", *how, rows=False)


@pytest.mark.parametrize("stdout", ["closed", "full"])
def test_the_file_gets_all_rows_whatever_stdout_says(stdout):
    """A reader such as head goes early; a disk behind stdout is full. --csv is another file, and not to blame."""
    np.save("many.npy", np.concatenate([IMAGES] * 6))
    command = [sys.executable, "-P", "-c", "import cbn.cli; cbn.cli.start_score()", "--data", "many.npy"]
    with open("/dev/full", "w") as full:
        run = subprocess.Popen(
            [*command, "--csv", "rows.csv"],
            stdout=full if stdout == "full" else subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        if run.stdout:
            run.stdout.close()
        said = run.stderr.read()
        run.wait()
        run.stderr.close()
    assert len(Path("rows.csv").read_text().splitlines()) == 1 + 6 * len(IMAGES)
    assert "--csv" not in said and "Traceback" not in said
