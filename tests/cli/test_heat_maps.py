# SPDX-License-Identifier: BSD-3-Clause
"""Images under maps are as they were read, whatever size or grey levels the model sees of them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cbn
from helpers import programs
from helpers.folders import save

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


def test_energy_maps_lie_over_the_picture_of_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = cbn.datasets.make_category("texture", 12, 2, 1, size=32, random_state=0)
    cbn.IntrospectiveEnergyModel(false_alarm_rate=0.2).fit(made.train).save("m.cbn")
    large = np.full((700, 1000), 90, np.uint8)
    large[::2] = 200  # is lost at the model's size
    save(Path("camera/a.png"), large)
    programs.done("cbn-iem-score", "m.cbn", "--data", "camera", "--maps", "file")
    programs.done(
        "cbn-iem-score",
        "m.cbn",
        "--watch",
        "camera",
        "--once",
        "--patience",
        "0",
        "--csv",
        "w.csv",
        "--maps",
        "watched",
    )
    programs.done("cbn-iem-score", "m.cbn", "--data", "camera", "--maps", "scaled", "--full-scale", "255")
    file, watched, scaled = (np.asarray(Image.open(f"{name}/a.png")) for name in ("file", "watched", "scaled"))
    assert np.array_equal(file, watched) and file.shape[1] > 3 * 640 > scaled.shape[1]
    save(Path("camera/a.png"), made.test[0])
    programs.done("cbn-iem-score", "m.cbn", "--data", "camera", "--maps", "small")
    assert np.asarray(Image.open("small/a.png")).shape == scaled.shape  # a file of the model's size is drawn as before
