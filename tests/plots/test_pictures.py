# SPDX-License-Identifier: BSD-3-Clause
"""Pictures: sizes, pixels at known places, one colour scale for all, files whole or absent."""

import os
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

from cbn import CbnError
from cbn.plots import figures, pictures

GREY, BLUE = pictures._GREY, pictures._BLUE


@pytest.fixture
def digits():
    return np.random.default_rng(0).integers(0, 2, (20, 28, 28), dtype=np.uint8)


def inferno(value):
    return tuple(matplotlib.colormaps["inferno"](float(value), bytes=True)[:3])


def panels(picture, h, w):
    """Return the image, the overlay and the map of a heat map at one pixel per cell, found by their grey frames."""
    pixels = np.asarray(picture).astype(int)
    scale = max(1, 336 // max(h, w))
    grey = (pixels == GREY).all(axis=2)
    found = []
    for y, x in np.argwhere(grey[: -h * scale - 1, : -w * scale - 1]):
        bottom, right = y + h * scale + 1, x + w * scale + 1
        horizontal = grey[y, x : right + 1].all() and grey[bottom, x : right + 1].all()
        if horizontal and grey[y : bottom + 1, x].all() and grey[y : bottom + 1, right].all():
            found.append(pixels[y + 1 : bottom : scale, x + 1 : right : scale])
    assert len(found) == 3
    return found


def test_importing_loads_no_picture_library():
    # Only what this module adds is looked at: what `import cbn` costs is for others to say.
    code = (
        "import sys, cbn; before = set(sys.modules); import cbn.plots.pictures;"
        "print(sorted({'PIL', 'matplotlib'} & set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_grid_pixels():
    images = np.zeros((3, 2, 3), dtype=np.uint8)
    images[0, 0, 0] = images[2, 1, 2] = 1
    picture = pictures.grid(images, columns=2, scale=1)
    assert picture.mode == "L"
    g = GREY
    assert np.asarray(picture).tolist() == [
        [255, 0, 0, g, 0, 0, 0],
        [0, 0, 0, g, 0, 0, 0],
        [g, g, g, g, g, g, g],
        [0, 0, 0, g, g, g, g],
        [0, 0, 255, g, g, g, g],
    ]
    enlarged = np.asarray(pictures.grid(images, columns=2, scale=3))
    assert np.array_equal(enlarged, np.kron(np.asarray(picture), np.ones((3, 3), dtype=np.uint8)))


def test_grid_levels():
    images = np.array([[[0, 1, 2, 3]]], dtype=np.uint8)
    assert np.asarray(pictures.grid(images, full_scale=3, scale=1)).tolist() == [[0, 85, 170, 255]]
    assert np.asarray(pictures.grid(images, full_scale=255, scale=1)).tolist() == [[0, 1, 2, 3]]
    assert np.asarray(pictures.grid(images > 1, scale=1)).tolist() == [[0, 0, 255, 255]]


@pytest.mark.parametrize("n", [1, 2, 16, 64, 100])
@pytest.mark.parametrize("side", [1, 8, 28, 64])
def test_grid_default_size(n, side):
    picture = pictures.grid(np.zeros((n, side, side), dtype=np.uint8))
    columns = int(np.ceil(np.sqrt(n)))
    natural = columns * (side + 1) - 1
    assert picture.width % natural == 0
    assert picture.width <= 900 or picture.width == natural
    assert natural > 300 or 600 <= picture.width


def test_grid_never_shrinks_and_bounds_height():
    assert pictures.grid(np.zeros((1, 1000, 1200), dtype=np.uint8)).size == (1200, 1000)
    assert pictures.grid(np.zeros((100, 28, 28), dtype=np.uint8), columns=1).height <= 3600
    assert pictures.grid(np.zeros((3, 4, 4), dtype=np.uint8), columns=10, scale=1, gap=0).size == (12, 4)


@pytest.mark.parametrize(
    ("images", "options", "word"),
    [
        (np.zeros((2, 2), np.uint8), {}, "images"),
        (np.zeros((0, 2, 2), np.uint8), {}, "images"),
        (np.zeros((1, 0, 2), np.uint8), {}, "images"),
        (np.zeros((1, 2, 2)), {}, "images"),
        (np.full((1, 2, 2), 2, np.uint8), {}, "images"),
        (np.zeros((1, 2, 2), np.uint8), {"full_scale": 0}, "full_scale"),
        (np.zeros((1, 2, 2), np.uint8), {"full_scale": 256}, "full_scale"),
        (np.zeros((1, 2, 2), np.uint8), {"full_scale": 1.0}, "full_scale"),
        (np.zeros((1, 2, 2), np.uint8), {"columns": 0}, "columns"),
        (np.zeros((1, 2, 2), np.uint8), {"scale": 0}, "scale"),
        (np.zeros((1, 2, 2), np.uint8), {"gap": -1}, "gap"),
    ],
)
def test_grid_refuses(images, options, word):
    with pytest.raises(ValueError, match=f"^{word} must") as caught:
        pictures.grid(images, **options)
    assert "\n" not in str(caught.value)


def test_png_round_trip(tmp_path, digits):
    picture = pictures.grid(digits)
    pictures.save_png(picture, tmp_path / "odd.suffix")
    with Image.open(tmp_path / "odd.suffix") as read:
        assert read.format == "PNG"
        assert np.array_equal(np.asarray(read), np.asarray(picture))


def test_gif_frames_and_times(tmp_path, digits):
    frames = [pictures.grid(digits[i : i + 4]) for i in range(5)]
    pictures.save_gif(frames, tmp_path / "a.gif", milliseconds=50)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.format == "GIF"
        assert gif.n_frames == 5
        assert gif.info["loop"] == 0
        for i, frame in enumerate(frames):
            gif.seek(i)
            assert np.array_equal(np.asarray(gif.convert("L")), np.asarray(frame))
            assert gif.info["duration"] == (1500 if i == 4 else 50)


def test_gif_of_equal_frames_lasts_as_long(tmp_path, digits):
    frame = pictures.grid(digits)
    pictures.save_gif([frame, frame, pictures.grid(1 - digits)], tmp_path / "a.gif", milliseconds=200)
    times = []
    with Image.open(tmp_path / "a.gif") as gif:
        for i in range(gif.n_frames):
            gif.seek(i)
            times.append(gif.info["duration"])
    assert sum(times) == 400 + 2000


def test_gif_refuses(tmp_path, digits):
    path = tmp_path / "a.gif"
    frame = pictures.grid(digits)
    with pytest.raises(ValueError, match="^frames"):
        pictures.save_gif([], path)
    with pytest.raises(ValueError, match="^frames"):
        pictures.save_gif([frame, pictures.grid(digits[:1], scale=1)], path)
    for milliseconds in (0, 65_001, 80.0):
        with pytest.raises(ValueError, match="^milliseconds"):
            pictures.save_gif([frame], path, milliseconds)
    assert not path.exists()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_failed_write_keeps_the_earlier_file(tmp_path, digits, error, monkeypatch):
    path = tmp_path / "a.png"
    pictures.save_png(pictures.grid(digits), path)
    before = path.read_bytes()

    def fail(self, file, **_):
        file.write(b"half a picture")
        raise error

    monkeypatch.setattr(Image.Image, "save", fail)
    for save in (pictures.save_png, lambda picture, to: pictures.save_gif([picture], to)):
        with pytest.raises(error):
            save(pictures.grid(1 - digits), path)
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["a.png"]


def test_unwritable_path_is_one_line(tmp_path, digits):
    for save in (
        pictures.save_png,
        lambda picture, to: pictures.save_gif([picture], to),
        lambda _, to: figures.model_summary_figure([figures.relation_panel([])], to),
    ):
        with pytest.raises(CbnError, match="folder does not exist") as caught:
            save(pictures.grid(digits), tmp_path / "no" / "a.png")
        assert "\n" not in str(caught.value)


def test_heat_map_colours(digits):
    surprise = np.zeros((28, 28))
    surprise[0, :6] = [-3.0, 0.0, 2.5, 5.0, 50.0, np.inf]
    picture = pictures.heat_map(digits[0], surprise, vmax=5.0)
    assert picture.mode == "RGB"
    left, over, right = panels(picture, 28, 28)
    assert np.array_equal(left, np.repeat(digits[0][..., None] * 255, 3, axis=2))
    expected = [inferno(v) for v in (0, 0, 0.5, 1, 1, 1)]
    assert [tuple(pixel) for pixel in right[0, :6]] == expected
    assert (right[1:] == inferno(0)).all()
    # the picture dimmed to 0.6, and at the top of the scale four fifths of the colour
    dimmed = 0.6 * left[0, :6]
    opacity = 0.8 * np.array([0, 0, 0.5, 1, 1, 1])[:, None]
    assert np.array_equal(over[0, :6], np.rint((1 - opacity) * dimmed + opacity * np.array(expected)))


def test_heat_maps_of_one_model_share_a_scale(digits):
    calm, wild = np.full((28, 28), 0.05), np.full((28, 28), 0.05)
    wild[3, 4] = 9.0
    pixels = [panels(pictures.heat_map(digits[0], surprise, vmax=10.0), 28, 28)[2] for surprise in (calm, wild)]
    assert pixels[0].max() < 10  # an unremarkable image stays dark
    assert pixels[1][3, 4].max() > 200
    pixels[1][3, 4] = pixels[0][3, 4]
    assert np.array_equal(*pixels)


def test_colour_bar_depends_on_the_scale_only(digits):
    surprises = np.random.default_rng(1).gamma(1, 1, (2, 28, 28))
    a, b = (np.asarray(pictures.heat_map(digits[0], surprise, 4)) for surprise in surprises)
    c = np.asarray(pictures.heat_map(digits[0], surprises[0], 7))
    bar = slice(-70, None)
    assert np.array_equal(a[:, bar], b[:, bar])
    assert a.shape != c.shape or not np.array_equal(a[:, bar], c[:, bar])


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (28, 28), (30, 7), (1, 400), (400, 1), (1024, 1024)])
def test_heat_map_sizes(shape):
    rng = np.random.default_rng(2)
    image, surprise = rng.integers(0, 256, shape, dtype=np.uint8), rng.gamma(1, 1, shape)
    picture = pictures.heat_map(image, surprise, 3.0, full_scale=255)
    left, _, right = panels(picture, *shape)
    assert np.array_equal(left[..., 0], image)
    assert np.array_equal(right[-1, -1], inferno(min(1, surprise[-1, -1] / 3)))
    assert picture.height >= max(160, shape[0])
    titled = pictures.heat_map(image, surprise, 3.0, 255, title="a long title\nin two lines " * 8)
    assert titled.height > picture.height
    assert titled.width >= picture.width
    # Nothing is cut off: the margin all around stays empty.
    for drawn in (np.asarray(picture), np.asarray(titled)):
        assert all((edge == 255).all() for edge in (drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]))


@pytest.mark.parametrize("vmax", [1e-9, 0.37, 0.999, 1, 2, 3.3, 5, 9.99, 10, 123.4, 7e8])
def test_ticks_are_few_round_and_clear_of_the_top(vmax):
    ticks = pictures._ticks(vmax)
    assert ticks[0] == 0
    assert 3 <= len(ticks) <= 6
    assert len({f"{tick:g}" for tick in ticks}) == len(ticks)
    assert f"{ticks[1]:e}"[:8] in ("1.000000", "2.000000", "5.000000")
    assert np.diff(ticks) == pytest.approx(ticks[1], rel=1e-9)
    assert ticks[-1] <= 0.9 * vmax


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"image": np.zeros((1, 4, 4), np.uint8)}, "image"),
        ({"image": np.zeros((4, 4))}, "image"),
        ({"surprise": np.zeros((4, 5))}, "surprise"),
        ({"surprise": np.full((4, 4), np.nan)}, "surprise"),
        ({"surprise": np.full((4, 4), "a")}, "surprise"),
        ({"vmax": 0}, "vmax"),
        ({"vmax": np.inf}, "vmax"),
        ({"vmax": np.nan}, "vmax"),
        ({"full_scale": 300}, "full_scale"),
    ],
)
def test_heat_map_refuses(change, word):
    with pytest.raises(ValueError, match=f"^{word} must") as caught:
        pictures.heat_map(**({"image": np.zeros((4, 4), np.uint8), "surprise": np.zeros((4, 4)), "vmax": 1.0} | change))
    assert "\n" not in str(caught.value)


def test_inpainting_pixels():
    image = np.array([[1, 0], [1, 1]], dtype=np.uint8)
    mask = np.array([[False, False], [True, False]])
    samples = np.stack([image, 1 - image])
    picture = pictures.inpainting(image, mask, samples, np.array([[1.0, 0.0], [0.4, 1.0 + 1e-12]]))
    assert picture.mode == "RGB"
    scale = picture.height // 2
    pixels = np.asarray(picture)[::scale, ::scale]
    assert pixels.shape == (2, 11, 3)
    assert tuple(pixels[1, 0]) == BLUE
    known = pixels[:, [0, 1, 3, 4, 6, 7, 9, 10]]
    assert known[0, :, 0].tolist() == [255, 0, 255, 0, 255, 0, 0, 255]
    assert known[1, 1:, 0].tolist() == [255, 102, 255, 255, 255, 0, 0]
    assert (pixels[:, [2, 5, 8]] == GREY).all()


def test_inpainting_wraps_and_hides_what_the_hole_held(digits):
    mask = np.zeros((28, 28), dtype=bool)
    mask[14:] = True
    picture = pictures.inpainting(digits[0], mask, digits, digits.mean(axis=0))
    width = 10 * 29 - 1
    scale = picture.width // width
    assert picture.size == (width * scale, (3 * 29 - 1) * scale)  # 22 tiles in rows of 10
    other = digits[0] ^ mask
    same = pictures.inpainting(other, mask, digits, digits.mean(axis=0))
    assert np.array_equal(np.asarray(picture), np.asarray(same))
    without = pictures.inpainting(digits[0], mask, digits[:0], digits[0] / 1.0)
    assert without.width * 28 == without.height * 57  # two tiles and a gap


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"image": np.zeros(4, np.uint8)}, "image"),
        ({"mask": np.zeros((4, 4), np.uint8)}, "mask"),
        ({"mask": np.zeros((4, 5), bool)}, "mask"),
        ({"samples": np.zeros((4, 4), np.uint8)}, "samples"),
        ({"samples": np.zeros((2, 4, 5), np.uint8)}, "samples"),
        ({"samples": np.zeros((2, 4, 4))}, "samples"),
        ({"mean": np.zeros((5, 4))}, "mean"),
        ({"mean": np.full((4, 4), 1.1)}, "mean"),
        ({"mean": np.full((4, 4), np.nan)}, "mean"),
    ],
)
def test_inpainting_refuses(change, word):
    zeros = np.zeros((4, 4), np.uint8)
    good = {"image": zeros, "mask": zeros > 0, "samples": zeros[None], "mean": zeros / 1.0}
    with pytest.raises(ValueError, match=f"^{word} must"):
        pictures.inpainting(**(good | change))


def test_energy_map_panels_and_outline():
    grey = np.full((40, 50), 100, np.uint8)
    energy = np.zeros((40, 50), np.float32)
    energy[5, 6:9] = [2.0, 4.0, np.inf]
    mask = np.zeros((40, 50), bool)
    mask[20:30, 20:30] = True
    plain = pictures.energy_map(grey, energy, 4.0)
    same = pictures.energy_map(np.repeat(grey[..., None], 3, axis=2), energy, 4.0)
    assert np.array_equal(np.asarray(plain), np.asarray(same))
    pixels = np.asarray(plain).reshape(-1, 3)
    half = np.rint((1 - 0.2) * 60 + 0.2 * np.array(inferno(0.5)))  # of the dimmed picture, and of the scale
    for colour in ((100, 100, 100), (60, 60, 60), inferno(0), inferno(0.5), inferno(1), tuple(half)):
        assert (pixels == colour).all(axis=1).any(), colour
    outlined = np.asarray(pictures.energy_map(grey, energy, 4.0, mask=mask))
    changed = (outlined != np.asarray(plain)).any(axis=2)
    assert changed.sum() == 40 * (336 // 50) ** 2  # the 40 pixels around a square of 10, enlarged
    assert (outlined[changed] == (66, 120, 220)).all()
    assert pictures.energy_map(grey, energy, 4.0, title="a name").height > plain.height


def test_energy_map_over_the_picture_as_it_was():
    image, energy, mask = np.full((20, 30), 100, np.uint8), np.full((20, 30), 1.0), np.zeros((20, 30), bool)
    energy[4:6, 5:7], mask[10:, :] = np.inf, True
    original = np.full((400, 600, 3), 50, np.uint8)
    original[7, 11] = 201, 202, 203
    drawn = pictures.energy_map(image, energy, 4.0, mask=mask, original=original)
    pixels = np.asarray(drawn)
    assert drawn.height > 400 and drawn.width > 1800
    assert (pixels == (201, 202, 203)).all(axis=2).sum() == 1  # one pixel stays one, and the overlay has other colours
    assert 590 <= (pixels == (66, 120, 220)).all(axis=2).sum() <= 610  # the edge of the lower half
    brightest = (pixels == inferno(1)).all(axis=2)
    ramp = pixels.shape[1] - 200
    assert brightest[:, :ramp].any()  # an infinite energy is the top of the scale, and makes no hole beside it
    assert np.array_equal(pixels[:, :620], np.asarray(pictures.energy_map(original, np.ones((400, 600)), 4.0,
        mask=np.arange(400)[:, None] + np.zeros((1, 600)) >= 200))[:, :620])  # fmt: skip


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"image": np.zeros((4, 4))}, "image"),
        ({"image": np.zeros((4, 4, 2), np.uint8)}, "image"),
        ({"image": np.zeros((0, 4), np.uint8)}, "image"),
        ({"energy": np.zeros((4, 5))}, "energy"),
        ({"energy": np.full((4, 4), np.nan)}, "energy"),
        ({"vmax": 0}, "vmax"),
        ({"mask": np.zeros((4, 4))}, "mask"),
        ({"mask": np.zeros((4, 5), bool)}, "mask"),
        ({"blur": 0}, "blur"),
        ({"blur": np.inf}, "blur"),
        ({"original": np.zeros((9, 9))}, "original"),
    ],
)
def test_energy_map_refuses(change, word):
    with pytest.raises(ValueError, match=f"^{word} must") as caught:
        pictures.energy_map(**({"image": np.zeros((4, 4), np.uint8), "energy": np.zeros((4, 4)), "vmax": 1.0} | change))
    assert "\n" not in str(caught.value)
