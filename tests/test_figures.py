# SPDX-License-Identifier: BSD-3-Clause
"""The summary figure of a model: panels, relations, refusals."""

import os
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

from cbn import figures


@pytest.fixture
def digits():
    return np.random.default_rng(0).integers(0, 2, (20, 28, 28), dtype=np.uint8)


def test_model_summary_figure(tmp_path, digits):
    path = tmp_path / "model.png"
    summary = [
        ("mean", digits.mean(axis=0), "probability", 0, 1),
        {"title": "kernel", "array": np.array([[-1.0, np.nan]]), "unit": "weight", "vmin": -1, "vmax": 1},
        ("constant", np.ones((3, 3)), "nats", None, None),
        ("nothing finite", np.full((3, 3), np.nan), "nats", None, None),
        figures.relation_panel([(0, 0, -1, 0), (0, 0, 0, -1)]),
        figures.relation_panel([(c, p, dy, 0) for c in range(5) for p in range(4) for dy in range(-9, 1, 3)], "many"),
        figures.relation_panel([]),
    ]
    figures.model_summary_figure(summary, path)
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24)}
    # -1 on a scale from -1 to 1 is the map's lowest blue.
    assert tuple(matplotlib.colormaps["RdBu_r"](0.0, bytes=True)[:3]) in colours
    assert os.listdir(tmp_path) == ["model.png"]
    first = path.read_bytes()
    figures.model_summary_figure(summary, path)
    assert path.read_bytes() == first


def test_summary_figure_draws_parents_where_they_are(tmp_path):
    figures.model_summary_figure([figures.relation_panel([(0, 0, -2, 1)])], tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    blue = np.array([round(255 * c) for c in matplotlib.colormaps["tab10"](0)[:3]])
    ys, xs = np.nonzero((abs(pixels - blue) < 3).all(axis=2))
    black_ys, black_xs = np.nonzero((pixels == 32).all(axis=2))
    # The parent is above and right of the child, and twice as far up as aside.
    up, right = np.median(black_ys) - ys.min(), xs.max() - np.median(black_xs)
    assert up > 0 < right
    assert 1.6 < up / right < 2.2
    # The arrow too lies between the two (give or take its head), and comes near the child.
    assert xs.min() > np.median(black_xs) - 0.1 * up
    assert np.median(black_ys) - 0.4 * up < ys.max() < np.median(black_ys) + 0.1 * up


def test_no_plotting_interface_is_touched(tmp_path):
    code = (
        "import sys, numpy, cbn.figures as p; p.model_summary_figure([('a', numpy.eye(3), '', 0, 1)], sys.argv[1]);"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "a.png")]
    assert subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.strip() == "False"


@pytest.mark.parametrize(
    ("summary", "word"),
    [
        ([], "panels"),
        ([("a", np.zeros(3), "", 0, 1)], r"panels\[0\]"),
        ([("a", np.eye(3), "", 0, 1), ("a", np.eye(3))], r"panels\[1\]"),
        ([{"array": np.eye(3)}], r"panels\[0\]"),
        ([("a", np.eye(3), "", 1, 0)], r"panels\[0\]"),
        ([("a", np.eye(3), "", 0, np.inf)], r"panels\[0\]"),
    ],
)
def test_summary_figure_refuses(tmp_path, summary, word):
    with pytest.raises(ValueError, match=f"^{word} must"):
        figures.model_summary_figure(summary, tmp_path / "a.png")
    assert os.listdir(tmp_path) == []


def test_relation_panel_refuses():
    for relations in ([(0, 0, 1)], [(0, 0, 1.5, 0)], [0, 0, 1, 1]):
        with pytest.raises(ValueError, match="^relations must"):
            figures.relation_panel(relations)
