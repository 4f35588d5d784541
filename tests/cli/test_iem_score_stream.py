# SPDX-License-Identifier: BSD-3-Clause
"""cbn-iem-score of pictures that are read as they are scored: what it says of pictures in memory."""

from pathlib import Path

import numpy as np
import pytest

from cbn.cli import _iem_pictures
from helpers import programs as cli
from helpers.folders import save

RNG = np.random.default_rng(4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models of grey and of coloured pictures, and pictures to judge: some larger, some of the other kind."""
    root = tmp_path_factory.mktemp("stream")
    for i in range(40):
        grey = RNG.integers(90, 160, (24, 24), np.uint8)
        save(root / "good" / f"{i:02}.png", grey)
        save(root / "colour" / f"{i:02}.png", np.stack([grey, grey // 2, grey], axis=-1))
        where = root / "test" / ("ok" if i % 2 else "scratch") / f"{i:02}.png"
        save(where, RNG.integers(0, 256, (30, 24) if i % 3 else (24, 24, 3), np.uint8))
    common = ("--backbone", "none", "--size", "24", "--false-alarm-rate", "0.1")
    cli.done("cbn-iem-train", "--good", root / "good", "--out", root / "grey.cbn", *common)
    cli.done("cbn-iem-train", "--good", root / "colour", "--out", root / "rgb.cbn", *common)
    return root


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("model", ["grey.cbn", "rgb.cbn"])
@pytest.mark.parametrize("data", ["test", "good", "test/ok/01.png"])
@pytest.mark.parametrize(
    "more", [(), ("--n", "20"), ("--fdr", "0.3"), ("--json",), ("--json", "--fdr", "0.3", "--n", "20")]
)
def test_the_same_of_pictures_in_memory(model, data, more, folder, monkeypatch):
    found = []
    for held in (True, False):
        with monkeypatch.context() as patch:
            if held:
                patch.setattr("cbn.datasets.teststream.stream_test", lambda *_, **__: None)
            else:
                patch.setattr(_iem_pictures, "HeldPictures", None)
            done = cli.done("cbn-iem-score", folder / model, "--data", folder / data, "--csv", "rows.csv", *more)
        out = done.json() | {"seconds": None, "latency": None} if "--json" in more else done.out
        found.append((out, Path("rows.csv").read_bytes(), sorted(done.err.splitlines())))
    assert found[0] == found[1]
    assert found[0][1].count(b"\n") == (2 if data.endswith("png") else 21 if "--n" in more else 41)


def test_damage_in_the_middle(folder):
    for i in range(40):
        save(Path(f"p/{i:02}.png"), RNG.integers(90, 160, (24, 24), np.uint8))
    Path("p/35.png").write_bytes(b"x")
    result = cli.call("cbn-iem-score", folder / "grey.cbn", "--data", "p", "--csv", "rows.csv")
    assert (
        result.code == 1 and len(result.err.splitlines()) == 1 and "35.png" in result.err and "--skip-bad" in result.err
    )
    assert Path("rows.csv").read_bytes().count(b"\n") == 33
    result = cli.done("cbn-iem-score", folder / "grey.cbn", "--data", "p", "--csv", "rows.csv", "--skip-bad")
    assert Path("rows.csv").read_bytes().count(b"\n") == 40 and "1 that cannot be read (35.png)" in result.err


def test_maps_have_the_pictures_in_memory(folder, monkeypatch):
    monkeypatch.setattr(_iem_pictures, "StreamedPictures", None)
    for option in (("--maps", "m"), ("--save-maps", "r"), ("--map-threshold", "2", "--json")):
        cli.done("cbn-iem-score", folder / "grey.cbn", "--data", folder / "good", *option)
