# SPDX-License-Identifier: BSD-3-Clause
"""cbn-train of images that become bits as they are read: networks of labels, of layers, of thresholds by the images."""

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cbn.cli._train_fit as fitting
from helpers import programs as cli
from helpers.streams import BEST, HIDDEN, IMAGES, RATE, both, folder, mixed


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cbn.datasets.stream.CHUNK_BYTES", 3000)


OF_PIXELS = [(), ("--preset", "tree"), ("--threshold", "0.1,0.4")]
OF_ONE_LABEL = [*OF_PIXELS, ("--threshold", "auto"), HIDDEN, BEST]
DIGITS = [(), ("--digit", "2"), ("--digit", "all")]


@pytest.mark.parametrize(
    "digit, model",
    [*itertools.product(DIGITS, OF_ONE_LABEL), *itertools.product([("--classifier",)], OF_PIXELS)],
)
def test_labels_layers_and_automatic_thresholds(digit, model, monkeypatch):
    monkeypatch.setattr("cbn.bits.stream.FIRST", 60)
    monkeypatch.setattr("cbn.fit.preparing.FIRST", 60)
    monkeypatch.setattr("cbn.cli._train_jobs.FIRST", 60)
    monkeypatch.setattr("cbn.bits.stream.BATCH_BYTES", 8000)
    monkeypatch.setattr("cbn.bits.stream.Parts.LEAST_BYTES", 2000)
    told = both(monkeypatch, "--data", mixed(), *digit, *model, "--threads", "2")
    if "all" in digit:
        rules = {own["binarization"] for own in told["digits"]}
        assert len(rules) == (2 if "auto" in model or "best" in model else 1)


@pytest.mark.parametrize("digit", [(), ("--digit", "b"), ("--digit", "all"), ("--classifier",)])
def test_labels_of_folders_with_pages_and_bad_pictures(digit, monkeypatch):
    """Their number is known at the end: the hash of kernels' images, which begins with it, takes a second reading."""
    folder(labels=("a", "b"), n=(60, 3, 20))
    pages = [Image.fromarray(image) for image in IMAGES[:3]]
    pages[0].save("p/train/b/pages.tif", save_all=True, append_images=pages[1:])
    for name in ("a", "b"):
        with open(f"p/train/{name}/bad.png", "wb") as file:
            file.write(b"x")
    model = ("--preset", "tree") if "--classifier" in digit else HIDDEN
    told = both(monkeypatch, "--data", "p", "--skip-bad", *digit, *model)
    assert sum(own["n_train"] for own in told.get("digits", [told])) == (63 if "b" in digit else 123)


def test_a_label_of_which_no_picture_can_be_read(monkeypatch):
    folder(labels=("a", "b"), n=(60, 3, 20))
    for i in range(60):
        os.truncate(f"p/train/b/{i:03}.png", 9)
    found = []
    for streams in (True, False):
        with monkeypatch.context() as patch:
            if not streams:
                patch.setattr("cbn.cli._train_jobs.can_stream", lambda *_: False)
            argv = ("cbn-train", "--data", "p", "--skip-bad", *RATE)
            done = cli.done(*argv, "--digit", "all", "--json").json()
            assert [own["digit"] for own in done["digits"]] == ["a"]
            found.append(cli.call(*argv, "--digit", "b"))
    assert found[0] == found[1]
    assert found[0].code == 1
    assert found[0].err.splitlines()[-1] == "cbn-train: error: --digit: no image has the label 'b'; choose one of a"


@pytest.mark.parametrize(
    "more", [("--digit", "3"), ("--digit", "all"), ("--classifier",), ("--digit", "1", "--calibration", "p")]
)
def test_labels_that_are_not_there(more, monkeypatch):
    """The same is said, but before any image is read."""
    np.save(Path("x.npy"), IMAGES)
    folder(n=(20, 0, 3))
    for data in ("x.npy", "p") if more[0] == "--digit" and more[1] != "all" and len(more) < 3 else ("x.npy",):
        found = []
        for streams in (True, False):
            with monkeypatch.context() as patch:
                if streams:
                    patch.setattr("cbn.cli._packing.PackingReader.read", None)
                else:
                    patch.setattr("cbn.cli._train_jobs.can_stream", lambda *_: False)
                found.append(cli.call("cbn-train", "--data", data, *more))
        assert found[0] == found[1] and found[0].code == 1


def test_a_training_of_the_same_images_is_gone_on_from(monkeypatch):
    """Whether images were held or not: a model that is complete is kept, and one that is not has the same end."""
    argv = ("cbn-train", "--data", mixed(), *RATE, *HIDDEN, "--digit", "all")
    cli.done(*argv)
    whole = {path.name: path.read_bytes() for path in Path().glob("*.cbn")}
    monkeypatch.setattr("cbn.cli._train_jobs.load_images", None)
    done = cli.done(*argv, "--resume")
    assert done.err.count("complete, and of the same training: kept") == 2
    os.unlink("model-2.cbn")
    calls = []

    def interrupted(self, state, *more, known=fitting.Progress.__call__):
        known(self, state, *more)
        calls.append(state)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fitting.Progress, "__call__", interrupted)
        assert cli.call(*argv, "--resume").code == 130
    assert os.path.exists("model-2.cbn.checkpoint")
    with monkeypatch.context() as patch:
        patch.setattr("cbn.cli._packing.PackingReader.read", None)
        cli.assert_one_line_error(cli.call(*argv), 1, "model-2.cbn.checkpoint", "--resume")
    cli.done(*argv, "--resume")
    assert {path.name: path.read_bytes() for path in Path().glob("*.cbn*")} == whole
