# SPDX-License-Identifier: BSD-3-Clause
"""The summary figure of a model: panels, relations, refusals."""

import os
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageColor

from cbn.plots import figures
from cbn.plots.colours import SERIES


@pytest.fixture
def digits():
    return np.random.default_rng(0).integers(0, 2, (20, 28, 28), dtype=np.uint8)


@pytest.mark.slow
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
    blue = np.array(ImageColor.getrgb(SERIES[0]))
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
        "import sys, numpy, cbn.plots.figures as p; p.model_summary_figure([('a', numpy.eye(3), '', 0, 1)], sys.argv[1]);"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    arguments = [sys.executable, "-P", "-c", code, str(tmp_path / "a.png")]
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


# ---- tiles, curves, sections ----


def drawn(tmp_path, panels):
    path = tmp_path / "drawn.png"
    figures.model_summary_figure(panels, path)
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def has_colour(pixels, colour):
    return (abs(pixels - np.array(colour)) <= 1).all(axis=2).sum() > 500  # not only smoothed edges of letters


def colour_of(name, value):
    return matplotlib.colormaps[name](float(value), bytes=True)[:3]


def test_tiles_share_one_symmetric_scale(tmp_path):
    tiles = np.zeros((2, 3, 2, 2))
    tiles[0, 0, 0, 0], tiles[1, 2, 1, 1] = -2.0, 1.0
    panel = figures.tile_panel(tiles, "kernels", "weight")
    assert (panel.vmin, panel.vmax) == (-2.0, 2.0)
    pixels = drawn(tmp_path, [panel])
    assert has_colour(pixels, colour_of("RdBu_r", 0.0)) and has_colour(pixels, colour_of("RdBu_r", 0.75))


def test_tiles_without_values_are_grey_and_those_without_label_absent(tmp_path):
    tiles = np.full((1, 2, 3, 3), np.nan)
    grey = (230, 230, 230)  # 0.9 of 255
    assert has_colour(drawn(tmp_path, [figures.tile_panel(tiles, "", "", labels=[["a", None]])]), grey)
    assert not has_colour(drawn(tmp_path, [figures.tile_panel(tiles, "", "", labels=[[None, None]])]), grey)


def test_tiles_lie_as_given(tmp_path):
    """Low, middle and high values of a 1 x 3 grid from left to right."""
    tiles = np.array([0.0, 0.5, 1.0]).reshape(1, 3, 1, 1)
    # a bar of a scale that holds none of the three exactly would hide them; search left of the bar only
    pixels = drawn(tmp_path, [figures.tile_panel(tiles, "", "", vmin=0, vmax=1)])
    left = pixels[:, : pixels.shape[1] * 3 // 4]
    columns = [np.nonzero((abs(left - colour_of("viridis", v)) <= 1).all(axis=2))[1] for v in (0.0, 0.5, 1.0)]
    assert all(len(c) > 100 for c in columns)
    assert columns[0].max() < columns[1].min() and columns[1].max() < columns[2].min()


def test_curves_and_the_kept_iteration(tmp_path):
    blue, orange = (ImageColor.getrgb(colour) for colour in SERIES[:2])
    rising = figures.curve_panel([(None, [0.0, 1.0, 5.0])], "gain", "nats", right=("BIC", [3.0, 2.0, 1.0]))
    pixels = drawn(tmp_path, [rising])
    (ys, xs) = np.nonzero((abs(pixels - blue) < 3).all(axis=2) & (np.arange(pixels.shape[1]) > 60))
    assert ys[xs.argmax()] < ys[xs.argmin()]  # upwards
    ys, xs = np.nonzero((abs(pixels - orange) < 3).all(axis=2) & (np.arange(pixels.shape[1]) < 400))
    assert ys[xs.argmax()] > ys[xs.argmin()]
    kept = drawn(tmp_path, [rising._replace(kept=2)])
    assert (kept != pixels).any()


def test_one_iteration_and_many_curves(tmp_path):
    one = figures.curve_panel([("a", [1.0])], "", "", kept=0, limits=(0, 1), right=("b", [2.0]))
    many = figures.curve_panel([(str(i), [0.0, i]) for i in range(40)], "", "")
    assert drawn(tmp_path, [one, many]).shape[1] > 800


@pytest.mark.slow
def test_sections_lie_below_each_other(tmp_path):
    panel = ("a", np.eye(3), "", 0, 1)
    flat = drawn(tmp_path, [panel] * 2)
    one = drawn(tmp_path, [figures.section("first", [panel] * 2)])
    two = drawn(tmp_path, [figures.section("first", [panel] * 2), figures.section("second", [panel])])
    assert flat.shape[1] == one.shape[1] == two.shape[1]
    assert two.shape[0] == 2 * one.shape[0] and one.shape[0] > flat.shape[0]  # the heading
    wide = drawn(tmp_path, [figures.section("many", [panel] * 9)])
    assert wide.shape[1] == 4 * 504 and wide.shape[0] > 3 * 400  # four beside each other


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: figures.tile_panel(np.zeros((2, 2, 3)), "", ""), "tiles"),
        (lambda: figures.tile_panel(np.zeros((2, 2, 0, 3)), "", ""), "tiles"),
        (lambda: figures.tile_panel(np.zeros((2, 2, 3, 3)), "", "", labels=[["a"]]), "labels"),
        (lambda: figures.tile_panel(np.zeros((2, 2, 3, 3)), "", "", vmin=1, vmax=1), "vmin"),
        (lambda: figures.curve_panel([], "", ""), "curves"),
        (lambda: figures.curve_panel([("a", [1, 2]), ("b", [1])], "", ""), "curves"),
        (lambda: figures.curve_panel([("a", [1, 2])], "", "", right=("b", [1])), "curves"),
        (lambda: figures.curve_panel([("a", [1, 2])], "", "", kept=2), "kept"),
    ],
)
def test_panels_that_cannot_be(make, word):
    with pytest.raises(ValueError, match=f"^{word} "):
        make()


# ---- labels ----


def texts_that_collide(figure):
    """Pairs of texts of a drawn figure that overlap, and texts that stick out of it."""
    from matplotlib.text import Text

    figure.canvas.draw()
    renderer, found, boxes = figure.canvas.get_renderer(), [], []
    hidden = {
        label
        for axes in figure.findobj(lambda artist: hasattr(artist, "get_xaxis"))
        for axis in (axes.xaxis, axes.yaxis)
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
        for label in (tick.label1, tick.label2)  # which are not drawn
    }
    for text in figure.findobj(Text):
        if not text.get_visible() or not text.get_text().strip() or text in hidden:
            continue
        box = text.get_window_extent(renderer)
        if min(box.x0, box.y0) < -1 or box.x1 > figure.bbox.width + 1 or box.y1 > figure.bbox.height + 1:
            found.append(text.get_text())
        for other, words in boxes:
            if min(box.x1, other.x1) - max(box.x0, other.x0) > 1 and min(box.y1, other.y1) - max(box.y0, other.y0) > 1:
                found.append((text.get_text(), words))
        boxes.append((box, text.get_text()))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kernels", [1, 3, 5, 8])
def test_labels_do_not_collide(kernels):
    """The panels of a network with a hidden layer and of what its nodes tell of each other."""
    rng = np.random.default_rng(kernels)
    curve = figures.curve_panel(
        [("gain", rng.random(50) * 90)], "objective (thesis eq. 8)", "gain, nats per image", kept=28,
        right=("BIC of the layer", 7e5 + 1e4 * rng.random(50)),
    )  # fmt: skip
    active = figures.curve_panel(
        [(str(k), rng.random(50)) for k in range(kernels)], "active nodes of every kernel", "share of active nodes",
        kept=28, limits=(0, 1),
    )  # fmt: skip
    grid = figures.tile_panel(
        rng.standard_normal((kernels, kernels, 3, 3)), "kernels", "weight", xlabel="channel of the layer below",
        ylabel="kernel",
    )  # fmt: skip
    offsets = figures.tile_panel(
        1e5 * rng.random((2, 3, kernels, kernels)), "relations by offset of the parent", "decrease of the BIC",
        labels=[["(-3, -3)", "(-3, 0)", "(-3, 3)"], ["(0, -3)", None, None]], vmin=0, vmax=143_434,
        xlabel="parent kernel", ylabel="child kernel",
    )  # fmt: skip
    window = figures.tile_panel(
        rng.random((kernels, 1, 4, 4)), "layer 1: node and its window", "mean nats", vmin=0, vmax=0.13,
        xlabel="channel of the layer below", ylabel="kernel",
    )  # fmt: skip
    place = ("layer 1: kernels at one place (row, column)", rng.random((kernels, kernels)), "mean nats", 0.0, 0.176)
    pixels = [
        ("share of ones", rng.random((28, 28)), "probability", 0.0, 1.0),
        ("unpredictability", rng.random((28, 28)), "mean -log p in training, nats", 0.0, None),
        figures.relation_panel([(0, 0, -1, 0), (0, 0, 0, -1)], "parents of a pixel"),
    ]
    told = "what nodes tell of each other beyond their parents, 5,958 images (0 in a true network)"
    sections = [
        figures.section("pixels", pixels),
        figures.section("hidden layer 1: 5 kernels, 13 x 13 places, a node sees 4 x 4 pixels", [grid, curve, active, offsets]),
        figures.section(told, [window, place, window, place]),
    ]  # fmt: skip
    assert texts_that_collide(figures._figure(sections)) == []


def test_a_collision_would_be_found():
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure()
    FigureCanvasAgg(figure)
    for x, words in ((0.5, "one"), (0.505, "other"), (0.99, "outside")):
        figure.text(x, 0.5, words)
    assert texts_that_collide(figure) == [("other", "one"), "outside"]
