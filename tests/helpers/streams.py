# SPDX-License-Identifier: BSD-3-Clause
"""Trainings of images that are read into bits, beside the same of images that are held."""

import os
from pathlib import Path

import numpy as np

from cbn.datasets import pieces

from . import programs as cli
from .folders import save

RNG = np.random.default_rng(3)
IMAGES = RNG.integers(0, 256, (300, 7, 8), np.uint8)
RATE = ("--false-alarm-rate", "0.1")
HIDDEN = ("--preset", "hidden", "--hidden", "2,2,1", "--iterations", "2")
BEST = ("--preset", "best", "--hidden", "2,2,1", "--no-contrast")


def folder(name="p", n=(200, 20, 90), labels=("1", "2")):
    for split, count in zip(("train", "val", "test"), n):
        for label in labels:
            for i in range(count):
                save(Path(f"{name}/{split}/{label}/{i:03}.png"), IMAGES[i])


# Labels come mixed, and one label's images are brighter than the other's: networks of their own have other thresholds.
def mixed(labels=("1", "2")):
    RNG.shuffle(order := np.arange(300) % 2)
    images = np.where(order[:, None, None] == 0, IMAGES // 2, IMAGES)
    images[:, :3] //= 8
    images[:, :, 0] = 0
    np.savez(
        "x.npz", x_train=images[:200], y_train=np.array(labels)[order[:200]], x_test=images[200:],
        y_test=np.array(labels)[order[200:]],
    )  # fmt: skip
    return "x.npz"


def interrupt_reading(monkeypatch, piece):
    """Ctrl-C while the piece of this number, of a file of arrays, is read."""
    n = []

    def later(stream, size, known=pieces.fill):
        n.append(size)
        if len(n) == piece:
            raise KeyboardInterrupt
        return known(stream, size)

    monkeypatch.setattr(pieces, "fill", later)


def both(monkeypatch, *argv):
    """The result as JSON, after the models of the stream and those of all images at once were found to be the same bytes."""
    found = []
    rate = () if "--classifier" in argv else RATE
    for streams in (True, False):
        with monkeypatch.context() as patch:
            if not streams:
                patch.setattr("cbn.cli._train_jobs.can_stream", lambda *_: False)
            else:
                patch.setattr("cbn.cli._train_jobs.load_images", None)
            done = cli.done("cbn-train", *argv, *rate, "--out", "m.cbn", "--json")
            text = cli.done("cbn-train", *argv, *rate, "--out", "text.cbn")
        told = done.json()
        for own in told.get("digits", [told]):
            assert set(own.pop("seconds")) == {"load", "fit", "score"}
        models = {path.name: path.read_bytes() for path in Path().glob("m*.cbn")}
        for name in models:
            os.unlink(name)
        lines = [line for line in text.out.splitlines() if not line.startswith("seconds")]
        found.append((models, told, sorted(done.err.splitlines()), lines))
    assert found[0] == found[1]
    return found[0][1]
