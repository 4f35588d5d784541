# SPDX-License-Identifier: BSD-3-Clause
"""cbn-score --heatmap draws images as they were read, whatever the network sees of them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cbn
from helpers import programs

SIDE = 12


def shown_in(path):
    """The image at the left of a heat map, found by its grey frame: (SIDE, SIDE, 3)."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture).astype(int)
    scale = 336 // SIDE
    top, left = next(
        (y, x)
        for y, x in np.argwhere((pixels == 128).all(axis=2))
        if (pixels[y, x : x + SIDE * scale + 2] == 128).all() and (pixels[y : y + SIDE * scale + 2, x] == 128).all()
    )
    inside = pixels[top + 1 : top + 1 + SIDE * scale, left + 1 : left + 1 + SIDE * scale]
    found = inside[::scale, ::scale]
    assert np.array_equal(inside, found.repeat(scale, axis=0).repeat(scale, axis=1))  # squares, not smeared
    return found


@pytest.mark.parametrize("threshold", [0.5, (0.25, 0.75)])
def test_images_keep_their_grey_levels(tmp_path, monkeypatch, threshold):
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (30, SIDE, SIDE)).astype(np.uint8)
    cbn.ConvolutionalBayesianNetwork(threshold=threshold, false_alarm_rate=0.05).fit(images).save("model.cbn")
    ramp = np.arange(SIDE * SIDE).reshape(1, SIDE, SIDE).astype(np.uint8)
    np.save("ramp.npy", np.concatenate([images[:1], ramp]))
    programs.done("cbn-score", "--data", "ramp.npy", "--heatmap", "maps", "--quiet")
    assert np.array_equal(shown_in("maps/1.png"), np.repeat(ramp[0][..., None], 3, axis=2))


def test_of_the_most_anomalous_each_has_its_own_image(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (40, SIDE, SIDE)).astype(np.uint8)
    images[30:] //= np.arange(1, 11, dtype=np.uint8)[:, None, None]  # darker and darker
    cbn.ConvolutionalBayesianNetwork(false_alarm_rate=0.05).fit(images[:30]).save("model.cbn")
    np.save("new.npy", images[28:])
    programs.done("cbn-score", "--data", "new.npy", "--top", "4", "--heatmap", "maps", "--quiet")
    names = sorted(Path("maps").iterdir())
    assert len(names) == 4 and [name.stem for name in names] != ["0", "1", "2", "3"]
    for name in names:
        assert np.array_equal(shown_in(name)[..., 0], images[28 + int(name.stem)])
