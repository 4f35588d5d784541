# SPDX-License-Identifier: BSD-3-Clause
"""The pictures of docs/images are those that today's programs draw, up to how letters are smoothed."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import programs

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def assert_alike(shown, drawn):
    assert shown.shape == drawn.shape
    assert (abs(shown - drawn).max(axis=2) > 8).mean() < 0.01


@pytest.mark.slow
def test_heat_map_and_summary(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    programs.done("cbn-train", "--digit", "2", "--quiet")
    programs.done("cbn-score", "--digit", "4", "--n", "3", "--heatmap", "maps")
    programs.done("cbn-show", "--quiet")
    assert_alike(pixels(IMAGES / "heatmap.png"), pixels("maps/6.png"))
    assert_alike(pixels(IMAGES / "show.png"), pixels("show.png"))


@pytest.mark.slow
def test_inspection(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    programs.done("cbn-iem-train", "--synthetic", "texture", "--quiet", "--out", "model.cbn")
    programs.done("cbn-iem-score", "model.cbn", "--synthetic", "texture", "--maps", "maps", "--quiet")
    both = np.concatenate([pixels("maps/good_000.png"), pixels("maps/scratch_000.png")])
    assert_alike(pixels(IMAGES / "inspection.png"), both)
