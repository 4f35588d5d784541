# SPDX-License-Identifier: BSD-3-Clause
"""How the programs read folders of pictures: their options, what they say of the files, and what --json tells."""

import numpy as np
import pytest

from helpers import programs as cli
from helpers.folders import save, values

MASK = np.zeros((16, 16), bool)
MASK[4:8, 4:8] = True


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def failed(code, call, *words):
    cli.assert_one_line_error(cli.call(*call), code, *words)


@pytest.fixture
def pictures(tmp_path):
    """Train and val pictures with litter beside them; two of another size, one that cannot be read."""
    for split, n in (("train", 12), ("val", 5)):
        for i in range(n):
            save(tmp_path / "p" / split / f"{i:02}.png", values(i))
    save(tmp_path / "p" / "train" / "wide.jfif", values(20, (8, 9)), format="JPEG")
    (tmp_path / "p" / "train" / "bad.png").write_bytes(b"x")
    (tmp_path / "p" / "train" / "notes.txt").write_text("none")
    return tmp_path / "p"


TRAIN = ("cbn-train", "--false-alarm-rate", "0.5", "--threads", "1", "--data", "p")


def test_what_was_left_out_and_assumed_is_said_and_told(pictures, tmp_path):
    failed(1, (*TRAIN,), "bad.png", "replace the file")
    failed(
        1,
        (
            *TRAIN,
            "--skip-bad",
        ),
        "17 of 8x8",
        "1 of 8x9",
        "--size HEIGHTxWIDTH",
    )
    done = cli.done(*TRAIN, "--skip-bad", "--size", "8", "--json")
    assert "--data: 2 left out: 1 no picture (train/notes.txt), 1 that cannot be read (train/bad.png)" in done.err
    assert "1 picture resized from 8x9 to 8x8" in done.err and "5 pictures of val kept apart" in done.err
    told = done.json()["reading"]
    assert told["read"] == {"train": 13, "val": 5} and len(told["left_out"]) == 2 == len(told["assumed"])


def test_validation_pictures_can_be_asked_for(pictures, tmp_path):
    cli.done(*TRAIN, "--skip-bad", "--size", "8", "--calibration", "p/val")
    rest = ("--data", "p", "--skip-bad", "--size", "8", "--threads", "1", "--json")
    scored = cli.done("cbn-score", *rest).json()
    assert scored["n"] == 5 and scored["reading"]["read"]["val"] == 5
    result = cli.call("cbn-score", *rest, "--split", "test")
    assert result.code == 1 and result.err.endswith(
        "--split test: p has no test images; use --split train or --split val\n"
    )


@pytest.mark.parametrize(
    ("pixels", "words", "mend"),
    [
        (values(high=4096, dtype=np.uint16), ["up to 4095", "--full-scale 4095"], ("--full-scale", "4095")),
        (values(shape=(8, 8, 3)), ["has colour", "--color grey"], ("--color", "grey")),
        (np.dstack([np.zeros((8, 8, 3), np.uint8), values()]), ["--background white"], ("--background", "white")),
    ],
)
def test_refusals_name_the_option_that_mends_them(tmp_path, pixels, words, mend):
    for i in range(4):
        save(tmp_path / "p" / f"{i}.png", pixels)
    failed(1, (*TRAIN,), *words)
    cli.done(*TRAIN, *mend)


@pytest.mark.parametrize(
    "option", [("--full-scale", "0"), ("--size", "0"), ("--background", "red"), ("--color", "rgb")]
)
def test_options_that_are_none(tmp_path, option):
    failed(
        2,
        (
            *TRAIN,
            *option,
        ),
        option[0],
    )


def test_inspection_says_the_same_and_leaves_unknown_masks_out(tmp_path):
    category = tmp_path / "c"
    for i in range(6):
        save(category / "train" / "OK" / f"{i}.png", values(i, (16, 16)))
    for name in ("OK/0.png", "hole/0.png", "hole/1.png"):
        save(category / "test" / name, values(9, (16, 16)))
    save(category / "ground_truth" / "hole" / "0_mask.png", MASK)
    (category / "test" / "notes.txt").write_text("none")
    trained = cli.done("cbn-iem-train", "--data", "c", "--epochs", "1", "--levels", "1", "--threads", "1", "--json")
    assert "--data: 1 left out: 1 no picture (test/notes.txt)" in trained.err
    assert "masks of 1 defective pictures are missing or empty" in trained.err and "hole/1.png" in trained.err
    told = trained.json()
    assert told["reading"]["without_mask"] == ["hole/1.png"] and told["pixel_auroc"] is not None
    scored = cli.done("cbn-iem-score", "--data", "c", "--maps", "m", "--threads", "1", "--json")
    assert scored.json()["reading"]["read"] == {"test": 3}
    assert all((tmp_path / row["map"]).is_file() for row in scored.json()["images"])
