# SPDX-License-Identifier: BSD-3-Clause
"""Colours that readers without green or red cones tell apart, by a formula; overlays.

Colours become those that such a reader sees by the matrices of G. M. Machado, M. M. Oliveira & L. A. F. Fernandes, "A
physiologically-based model for simulation of color vision deficiency", IEEE TVCG 15 (2009), table for severity 1, applied
to linear RGB. Distances are those of CIE L*a*b* (1976): about 2.3 is just noticeable.
"""

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from cbn.plots import colours, pictures

VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def lab(rgb, vision):
    """L*a*b* (n, 3) of sRGB colours (n, 3) in [0, 1] as a reader of that vision sees them."""
    rgb = np.asarray(rgb, float)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(VISION[vision]).T, 0, 1)
    shares = seen @ TO_XYZ.T / TO_XYZ.sum(axis=1)
    f = np.where(shares > (6 / 29) ** 3, np.cbrt(shares), shares / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def steps_of(name, n=33):
    return matplotlib.colormaps[name](np.linspace(0, 1, n))[:, :3]


def test_the_formula():
    """Black, white, and the pair that gave the trouble its name: red and green of one lightness."""
    assert np.allclose(lab([[0, 0, 0], [1, 1, 1]], "normal"), [[0, 0, 0], [100, 0, 0]], atol=0.01)
    pair = [[0.62, 0.39, 0.1], [0.35, 0.5, 0.1]]
    near, far = (np.linalg.norm(np.subtract(*lab(pair, vision))) for vision in ("deuteranopia", "normal"))
    assert near < 0.35 * far


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("name", [colours.HEAT, colours.VALUES])
def test_order_is_seen_by_lightness_alone(name, vision):
    seen = lab(steps_of(name), vision)
    assert (np.diff(seen[:, 0]) > 0.5).all(), "every step is lighter than the one before"
    assert seen[-1, 0] - seen[0, 0] > 70
    sizes = np.linalg.norm(np.diff(seen, axis=0), axis=1)
    assert sizes.max() < 3.5 * np.median(sizes), "no step that looks like an edge"


def test_a_rainbow_would_fail():
    assert (np.diff(lab(steps_of("jet"), "deuteranopia")[:, 0]) < 0).any()


@pytest.mark.parametrize("vision", VISION)
def test_both_sides_of_zero_differ(vision):
    seen = lab(steps_of(colours.ABOUT_ZERO), vision)
    below, above = seen[:16][::-1], seen[17:]
    distances = np.linalg.norm(below - above, axis=1)
    assert (distances[1:] > 10).all() and distances[4:].min() > 25
    assert seen[16, 0] > 90 and seen[[0, -1], 0].max() < 50  # darker the farther from 0


@pytest.mark.parametrize("vision", VISION)
def test_curves_differ(vision):
    seen = lab([to_rgb(colour) for colour in colours.SERIES], vision)
    for i in range(len(seen)):
        for j in range(i):
            assert np.linalg.norm(seen[i] - seen[j]) > 14, (colours.SERIES[i], colours.SERIES[j])
    assert seen[:, 0].max() < 80, "too light on white paper"


def test_curves_after_the_seventh_have_other_dashes():
    styles = [tuple(colours.series(i).values()) for i in range(28)]
    assert len(set(styles)) == 28


@pytest.mark.parametrize("vision", VISION)
def test_marks_in_pictures_differ(vision):
    """Holes and outlines, added and removed pixels, and what lies around them."""
    marks = np.array([pictures._BLUE, pictures._RED, (255, 255, 255), (0, 0, 0)]) / 255
    seen = lab(marks, vision)
    for i in range(len(seen)):
        for j in range(i):
            assert np.linalg.norm(seen[i] - seen[j]) > 25


def test_overlays_show_the_picture_where_all_is_as_usual():
    rgb = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    assert np.array_equal(colours.overlaid(rgb, np.zeros((5, 6))), np.rint(0.6 * rgb))
    hot = colours.overlaid(rgb, np.ones((5, 6)))
    assert abs(hot.astype(float) - colours.coloured(np.ones(1))).max() <= 0.2 * 255 + 1
    white, black = (colours.overlaid(np.full((1, 1, 3), v, np.uint8), np.ones((1, 1)))[0, 0] for v in (255, 0))
    assert (white.astype(int) - black > 20).all()
