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
            save(tmp_path / "p" / split / f"{i:02}.png", values(i if split == "train" else 100 + i))
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
        (values(shape=(8, 8, 3)), ["has colour", "--color grey"], ("--color", "gray")),
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


READERS = "cbn-train", "cbn-score", "cbn-inpaint", "cbn-show", "cbn-iem-train", "cbn-iem-score"


@pytest.mark.parametrize("program", READERS)
def test_every_program_that_reads_folders_takes_the_same_options(program):
    told = cli.done(program, "--help").out
    for option in ("--size", "--skip-bad", "--background", "--full-scale"):
        assert f"  {option}" in told, option


@pytest.mark.parametrize(
    "call",
    [
        ("cbn-score",),
        ("cbn-inpaint", "--hole", "top", "--sweeps", "8"),
        ("cbn-show", "--responses", "responses.png"),
        ("cbn-show", "--markov"),
    ],
)
def test_programs_that_read_a_model_tell_what_was_left_out(pictures, call):
    layers = ("--hidden", "2,2,1", "--iterations", "1") if "--responses" in call else ()
    cli.done(*TRAIN, "--skip-bad", "--size", "8", *layers)
    rest = (*call, "--data", "p", "--split", "train", "--threads", "1", "--json")
    failed(1, rest, "bad.png", "replace the file", "--skip-bad")
    done = cli.done(*rest, "--skip-bad", "--size", "8x8")
    told = done.json()["reading"]
    assert told["read"] == {"train": 13, "val": 5}
    assert [one["name"] for one in told["left_out"]] == ["train/notes.txt", "train/bad.png"]
    assert "1 picture resized from 8x9 to 8x8" in told["assumed"][-1] and "train/bad.png" in done.err
    failed(1, (*rest, "--quiet", "--skip-bad", "--size", "9x8"), "9 x 8 pixels", "the model needs 8 x 8", "--size 8x8")


def test_show_without_pictures_has_read_none(pictures):
    cli.done(*TRAIN, "--skip-bad", "--size", "8")
    assert "reading" not in cli.done("cbn-show", "--json").json()


def test_iem_score_refuses_another_size(tmp_path):
    for name in ("train/good/0.png", "train/good/1.png", "train/good/2.png", "test/good/0.png"):
        save(tmp_path / "c" / name, values(3, (16, 16)))
    cli.done("cbn-iem-train", "--data", "c", "--epochs", "1", "--levels", "1", "--threads", "1")
    call = ("cbn-iem-score", "--data", "c", "--threads", "1")
    failed(2, (*call, "--size", "16x12"), "--size 16x12", "16x16", "leave it out")
    assert cli.done(*call, "--size", "16").out == cli.done(*call).out
    (tmp_path / "c" / "test" / "good" / "bad.png").write_bytes(b"x")
    failed(1, call, "bad.png", "--skip-bad")
    assert cli.done(*call, "--skip-bad", "--json").json()["reading"]["left_out"][0]["name"] == "test/good/bad.png"
