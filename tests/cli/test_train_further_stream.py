# SPDX-License-Identifier: BSD-3-Clause
"""cbn-train --add of images that become bits as they are read: the bytes of an addition that holds them all."""

import os
from pathlib import Path

import numpy as np
import pytest

import cbn.cli._train_further as further
from helpers import programs as cli
from helpers.folders import save
from helpers.streams import interrupt_reading

GREY = np.random.default_rng(5).integers(0, 256, (400, 7, 8), np.uint8)
RATE = ("--false-alarm-rate", "0.1")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A model, grey and binary images, and a folder with labels."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cbn.datasets.stream.CHUNK_BYTES", 3000)
    np.save(Path("first.npy"), GREY[:200])
    np.save(Path("grey.npy"), GREY[200:])
    np.save(Path("binary.npy"), GREY[200:] > 76)
    for split, label, n in (("train", "a", 70), ("train", "b", 50), ("test", "a", 4)):
        for i in range(n):
            save(Path(f"p/{split}/{label}/{i:03}.png"), GREY[200 + i])


def both(monkeypatch, *argv, code=0):
    """What both say, after the files of the stream and of all images at once were found to be the same."""
    found = []
    for streams in (True, False):
        with monkeypatch.context() as patch:
            if streams:
                patch.setattr(further, "_held", None)
            else:
                patch.setattr(further, "_streamed", further._held)
            done = cli.call("cbn-train", *argv, "--add", "first.cbn", "--out", "both.cbn", "--json")
        assert done.code == code, done.err
        told = None
        if not code:
            told = done.json()
            assert set(told.pop("seconds")) == {"load", "fit"}
        found.append((told, done.err, Path("both.cbn").read_bytes() if not code else os.path.exists("both.cbn")))
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize(
    "model",
    [(), ("--threshold", "0.2,0.6"), ("--preset", "hidden", "--hidden", "2,2,1", "--iterations", "1", "--seed", "0")],
)
@pytest.mark.parametrize(
    "more", [("--data", "grey.npy"), ("--data", "p"), ("--data", "p", "--digit", "b", "--calibration", "grey.npy")]
)
def test_the_model_has_the_same_bytes(model, more, monkeypatch):
    cli.done("cbn-train", "--data", "first.npy", *RATE, *model, "--out", "first.cbn")
    told, _, _ = both(monkeypatch, *more)
    assert told["n_images"] == {"grey.npy": 400, "p": 320}[more[1]] - (70 if "--digit" in more else 0)


def test_rules_of_other_scales(monkeypatch):
    """Binary images for a model of grey ones, and grey images for models of binary ones, also by the rule of these."""
    cli.done("cbn-train", "--data", "first.npy", *RATE, "--out", "first.cbn")
    assert "binary images" in both(monkeypatch, "--data", "binary.npy")[1]
    np.save(Path("bits.npy"), GREY[:200] > 76)
    cli.done("cbn-train", "--data", "bits.npy", *RATE, "--out", "first.cbn")
    os.unlink("both.cbn")
    error = both(monkeypatch, "--data", "grey.npy", code=1)[1]
    assert "grey images (a value is 110), but the model was trained on images of 0 and 1" in error
    cli.done("cbn-train", "--digit", "1", "--out", "first.cbn")
    np.save(Path("digits.npy"), np.random.default_rng(0).integers(0, 256, (90, 28, 28), np.uint8))
    both(monkeypatch, "--data", "digits.npy")


def test_pictures_that_are_all_but_black(monkeypatch):
    """A chunk of them says nothing of the scale; all of them do."""
    cli.done("cbn-train", "--data", "first.npy", *RATE, "--out", "first.cbn")
    for i in range(90):
        save(Path(f"q/{i:02}.png"), np.where(GREY[i] > 128, 1, 0).astype(np.uint8))
    assert "only 0 and 1, but the model was trained on values 0 to 255" in both(monkeypatch, "--data", "q")[1]
    save(Path("q/90.png"), GREY[0])
    assert "only 0 and 1" not in both(monkeypatch, "--data", "q")[1]


def test_what_needs_all_images_gets_them(monkeypatch):
    cli.done("cbn-train", "--data", "first.npy", *RATE, "--shift", "1", "--out", "first.cbn")
    monkeypatch.setattr(further, "_streamed", None)
    cli.done("cbn-train", "--data", "grey.npy", "--add", "first.cbn", "--out", "both.cbn")
    cli.done("cbn-train", "--digit", "1", "--out", "m.cbn")
    cli.done("cbn-train", "--digit", "1", "--add", "m.cbn", "--out", "both.cbn")


@pytest.mark.parametrize(
    "argv, words",
    [
        (
            ("--data", "grey.npy", "--digit", "1"),
            ["--digit: cannot select '1', these images have no labels (grey.npy)"],
        ),
        (("--data", "p", "--digit", "c"), ["--digit: no image has the label 'c'; choose one of a, b"]),
        (("--data", "wide.npy"), ["--data: images of 3 x 9 pixels, but the model needs 7 x 8"]),
        (("--data", "short.npy"), ["--data: short.npy", "replace the file"]),
        (("--data", "tied", "--add", "tied.cbn"), ["--add: 'tied.cbn'", "fit all images at once"]),
    ],
)
def test_what_cannot_be_added_is_one_line(argv, words, monkeypatch):
    cli.done("cbn-train", "--data", "first.npy", *RATE, "--out", "first.cbn")
    if argv[1] == "tied":
        argv = ("--data", "grey.npy", *argv[2:])
        few = ("--preset", "tied", "--tied-rounds", "1", "--pairs", "500")
        cli.done("cbn-train", "--data", "first.npy", *RATE, *few, "--out", "tied.cbn")
    np.save(Path("wide.npy"), np.zeros((20, 3, 9), np.uint8))
    np.save(Path("short.npy"), GREY)
    os.truncate("short.npy", 9000)
    done = cli.call("cbn-train", "--add", "first.cbn", "--out", "both.cbn", *argv)
    assert done.code and done.err.splitlines()[-1].startswith("cbn-train: error: ")
    assert all(word in done.err for word in words) and not os.path.exists("both.cbn"), done.err


def test_ctrl_c_leaves_the_model_that_was_there(monkeypatch):
    cli.done("cbn-train", "--data", "first.npy", *RATE, "--out", "first.cbn")
    before = Path("first.cbn").read_bytes()
    Path("old.cbn").write_bytes(before)
    interrupt_reading(monkeypatch, 4)
    done = cli.call("cbn-train", "--data", "grey.npy", "--add", "first.cbn", "--out", "old.cbn")
    cli.assert_one_line_error(done, 130, "interrupted; no model has been written")
    assert Path("first.cbn").read_bytes() == Path("old.cbn").read_bytes() == before
    assert len(list(Path().glob("*.cbn*"))) == 2
