# SPDX-License-Identifier: BSD-3-Clause
"""cbn-score --heatmap draws images as they were read, whatever the network sees of them."""

import numpy as np
import pytest
from PIL import Image

import cbn
from helpers import programs

SIDE = 12


@pytest.mark.parametrize("threshold", [0.5, (0.25, 0.75)])
def test_images_keep_their_grey_levels(tmp_path, monkeypatch, threshold):
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (30, SIDE, SIDE)).astype(np.uint8)
    cbn.ConvolutionalBayesianNetwork(threshold=threshold, false_alarm_rate=0.05).fit(images).save("model.cbn")
    ramp = np.arange(SIDE * SIDE).reshape(1, SIDE, SIDE).astype(np.uint8)
    np.save("ramp.npy", np.concatenate([images[:1], ramp]))
    programs.done("cbn-score", "--data", "ramp.npy", "--heatmap", "maps", "--quiet")
    with Image.open("maps/1.png") as picture:
        pixels = np.asarray(picture).astype(int)
    scale = 336 // SIDE
    shown = np.repeat(np.repeat(ramp[0], scale, axis=0), scale, axis=1)
    top, left = next(
        (y, x)
        for y, x in np.argwhere((pixels == 128).all(axis=2))
        if (pixels[y, x : x + SIDE * scale + 2] == 128).all() and (pixels[y : y + SIDE * scale + 2, x] == 128).all()
    )
    inside = pixels[top + 1 : top + 1 + SIDE * scale, left + 1 : left + 1 + SIDE * scale]
    assert np.array_equal(inside, np.repeat(shown[..., None], 3, axis=2))
