# SPDX-License-Identifier: BSD-3-Clause
"""What pictures become: upright, 8 bits of a known scale, grey or colour, without transparency."""

import numpy as np
import pytest
from PIL import Image

from cbn.datasets import load_good_and_test, load_images, load_mvtec, load_test
from helpers.folders import refused, save, values

# --- orientation


def oriented(pixels, orientation):
    """The stored pixels of a picture that a viewer turns into `pixels`."""
    turn = {1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1], 5: lambda a: a.T,
            6: lambda a: np.rot90(a), 7: lambda a: a[::-1, ::-1].T, 8: lambda a: np.rot90(a, -1)}[orientation]  # fmt: skip
    return np.ascontiguousarray(turn(pixels))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp"])
def test_pictures_are_turned_upright(tmp_path, ending, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.full((16, 24), 40, np.uint8)
    pixels[:8, :8] = 220
    options = {"webp": {"lossless": True}, "jpg": {"quality": 95}}.get(ending, {})
    save(tmp_path / f"a.{ending}", oriented(pixels, orientation), exif=exif, **options)
    train, _ = load_images(tmp_path)
    assert train.images.shape == (1, 16, 24) and np.abs(train.images[0].astype(int) - pixels).max() < 12
    assert train.report.lines() == (
        [] if orientation == 1 else [f"1 picture turned upright by its EXIF orientation (a.{ending})"]
    )


@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("turned_mask", [False, True])
def test_masks_lie_where_the_defects_are(tmp_path, orientation, turned_mask):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.full((48, 64), 150, np.uint8)
    save(tmp_path / "train" / "good" / "0.jpg", pixels)
    pixels[5:15, 5:15] = 20
    mask = np.uint8(pixels < 100) * 255
    save(tmp_path / "test" / "hole" / "0.jpg", oriented(pixels, orientation), exif=exif, quality=95)
    if turned_mask:
        save(tmp_path / "ground_truth" / "hole" / "0_mask.png", oriented(mask, orientation), exif=exif)
    else:
        save(tmp_path / "ground_truth" / "hole" / "0_mask.png", mask)
    loaded = load_mvtec(tmp_path)
    assert loaded.test[0][loaded.masks[0]].mean() < 30
    assert load_mvtec(tmp_path, max_side=32).test.shape == (1, 24, 32)


def test_damaged_metadata_of_a_good_picture(tmp_path):
    save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert len(load_images(tmp_path)[0]) == 1


# --- scales


@pytest.mark.parametrize("brightest", [15, 1023, 4095, 16382])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_integers_of_unknown_scale_are_refused_or_scaled(tmp_path, brightest, ending):
    pixels = values(high=brightest + 1, dtype=np.uint16)
    save(tmp_path / "p" / f"a.{ending}", pixels)
    refused(lambda: load_images(tmp_path / "p"), f"a.{ending}", f"up to {brightest}", f"give full_scale={brightest}")
    train, _ = load_images(tmp_path / "p", full_scale=brightest)
    np.testing.assert_array_equal(train.images[0], np.rint(pixels * (255 / brightest)))
    assert train.report.lines() == [f"1 picture scaled from 0..{brightest} to 0..255, as full_scale says"]
    refused(lambda: load_images(tmp_path / "p", full_scale=brightest - 1), f"above full_scale={brightest - 1}")


def test_one_scale_holds_for_all_pictures_of_a_set(tmp_path):
    save(tmp_path / "p" / "dark.png", values(high=900, dtype=np.uint16))
    save(tmp_path / "p" / "light.png", values(high=60000, dtype=np.uint16))
    train, _ = load_images(tmp_path / "p")
    assert train.images.max(axis=(1, 2)).tolist() == [3, 233]
    assert train.report.lines() == ["2 pictures of more than 8 bits scaled from 0..65535 to 0..255"]


@pytest.mark.parametrize(
    ("pixels", "expected", "said"),
    [
        (np.array([[0, 1]], np.uint16), [0, 255], "0..1 to"),
        (np.array([[0, 200]], np.uint16), [0, 200], None),
        (np.array([[0, 65535]], np.uint16), [0, 255], "0..65535 to"),
        (np.array([[0, 1]], np.int32), [0, 255], "0..1 to"),
        (np.array([[0, 40000]], np.int32), [0, 156], "0..65535 to"),
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255], "0..1 to"),
        (np.array([[0, 255.0]], np.float32), [0, 255], None),
    ],
)
def test_scales_that_fit_are_used_with_a_word(tmp_path, pixels, expected, said):
    save(tmp_path / "a.tif", pixels)
    train, _ = load_images(tmp_path)
    assert train.images.ravel().tolist() == expected
    assert (said is None and train.report.lines() == []) or said in train.report.lines()[0]


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.array([[0, 100000]], np.int32), "up to 100000, whose scale is unknown; give full_scale=100000"),
        (np.array([[-5, 100]], np.int32), "value -5 below 0"),
        (np.array([[0, 7.5]], np.float32), "up to 7.5, whose scale is unknown"),
        (np.array([[0, 123.5]], np.float32), "up to 123.5, whose scale is unknown"),
        (np.array([[0, np.nan]], np.float32), "NaN or infinity"),
    ],
)
def test_scales_that_do_not_fit_are_refused(tmp_path, pixels, words):
    save(tmp_path / "a.tif", pixels)
    refused(lambda: load_images(tmp_path), "a.tif", words)
    if "unknown" in words:
        assert load_images(tmp_path, full_scale=float(pixels.max()))[0].images.max() == 255


@pytest.mark.parametrize("maximum", [1023, 4095, 65535])
def test_a_file_that_tells_its_scale_is_believed(tmp_path, maximum):
    pixels = np.array([[0, maximum // 2, maximum // 4, 3]], ">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 4 1 %d\n" % maximum + pixels.tobytes())
    train, _ = load_images(tmp_path)
    np.testing.assert_allclose(train.images[0, 0], pixels[0].astype(float) * 255 / maximum, atol=0.51)


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_byte_orders_of_16_bits(tmp_path, byte_order):
    pixels = np.array([[0, 257, 51400, 65535]], np.uint16)
    picture = Image.frombytes(
        "I;16B" if byte_order == ">" else "I;16", (4, 1), pixels.astype(f"{byte_order}u2").tobytes()
    )
    picture.save(tmp_path / "a.tif")
    assert load_images(tmp_path)[0].images.ravel().tolist() == [0, 1, 200, 255]


def test_full_scale_of_8_bit_pictures(tmp_path):
    save(tmp_path / "a.png", values(high=17))
    train, _ = load_images(tmp_path)
    assert train.report.lines() == ["nearly black: the brightest value is 16 of 255; full_scale=16 if that is white"]
    train, _ = load_images(tmp_path, full_scale=16)
    assert train.images.max() == 255
    save(tmp_path / "b.png", values(high=4096, dtype=np.uint16))
    train, _ = load_images(tmp_path, full_scale=4095)  # for what has more than 8 bits
    assert train.images.max(axis=(1, 2)).tolist() == [16, 255]


def test_deep_pictures_are_resized_as_others_are(tmp_path):
    pixels = values(shape=(16, 16))
    save(tmp_path / "a.png", pixels)
    save(tmp_path / "b.tif", pixels.astype(np.uint16) * 16)
    train, _ = load_images(tmp_path, size=6, full_scale=255 * 16)
    assert np.abs(train.images[0].astype(int) - train.images[1]).max() <= 1


@pytest.mark.parametrize(("array", "words"), [
    (values(high=17), "values up to 16, whose scale is unknown; give full_scale=16"),
    (values(high=4096, dtype=np.uint16), "give full_scale=4095"),
    (values(high=64, dtype=np.int64), "give full_scale=63"),
    (values(high=17).astype(float), "give full_scale"),
])  # fmt: skip
def test_arrays_of_unknown_scale(tmp_path, array, words):
    np.save(tmp_path / "x.npy", array[None])
    refused(lambda: load_images(tmp_path / "x.npy"), "x.npy", words)
    train, _ = load_images(tmp_path / "x.npy", full_scale=array.max())
    np.testing.assert_allclose(train.images[0], array * (255 / array.max()), atol=0.51)
    refused(lambda: load_images(tmp_path / "x.npy", full_scale=array.max() - 1), "full_scale=")


def test_arrays_of_16_bits_are_scaled(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[[0, 257], [51400, 65535]]], np.uint16))
    assert load_images(tmp_path / "x.npy")[0].images.ravel().tolist() == [0, 1, 200, 255]


def test_floats_a_little_outside_are_clipped_with_a_warning(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[[-1e-9, 0.5], [1, 1 + 2e-7]]]))
    with pytest.warns(UserWarning, match="clipped"):
        assert load_images(tmp_path / "x.npy")[0].images.ravel().tolist() == [0, 128, 255, 255]


# --- transparency


@pytest.mark.parametrize(("background", "level"), [("black", 0), ("white", 255)])
def test_transparent_parts_are_laid_over_the_background(tmp_path, background, level):
    pixels = np.full((8, 8, 4), 255, np.uint8)
    pixels[:4] = 0, 0, 0, 0
    pixels[4, :, :3] = 90
    save(tmp_path / "a.png", pixels)
    train, _ = load_images(tmp_path, background=background)
    assert train.images[0, 0, 0] == level and train.images[0, 4, 0] == 90
    assert train.report.lines() == [f"1 picture with transparent parts, laid over {background} (a.png)"]
    pixels[..., 3] = 255
    save(tmp_path / "a.png", pixels)
    assert load_images(tmp_path)[0].report.lines() == []


def test_pictures_that_vanish_over_the_background_are_refused(tmp_path):
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[2:5, 2:5, 3] = 255
    save(tmp_path / "a.png", pixels)  # black strokes on nothing
    refused(lambda: load_images(tmp_path), "a.png", "transparency alone", "background='white'")
    assert np.unique(load_images(tmp_path, background="white")[0].images).tolist() == [0, 255]


@pytest.mark.parametrize("mode", ["LA", "PA", "P", "RGBA", "La"])
def test_modes_with_transparency(tmp_path, mode):
    layers = np.zeros((4, 4, 4), np.uint8)
    layers[..., :3], layers[:2, :, 3] = 200, 255
    picture = Image.fromarray(layers).convert("LA" if mode in ("La", "PA") else mode)
    picture.save(tmp_path / "a.png")
    assert np.unique(load_images(tmp_path)[0].images).tolist() in ([0, 200], [200])


# --- colour


RED = (255, 35, 28)  # as grey as (100, 100, 100)


def test_colour_is_refused_by_the_grey_half(tmp_path):
    save(tmp_path / "train" / "a.png")
    pixels = np.full((8, 8, 3), 100, np.uint8)
    save(tmp_path / "test" / "b.png", pixels)
    assert load_images(tmp_path)[0].report.lines() == []
    pixels[4, 4] = RED
    save(tmp_path / "test" / "b.png", pixels)
    refused(lambda: load_images(tmp_path), tmp_path / "test" / "b.png", "has colour", "color='grey'")
    train, test = load_images(tmp_path, color="grey")
    assert np.unique(test.images).tolist() == [100]
    assert train.report.lines() == ["1 picture of colour made grey (test/b.png)"]


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "P"])
def test_modes_of_colour(tmp_path, mode):
    options = {"palette": Image.Palette.ADAPTIVE} if mode == "P" else {}
    red = Image.new("RGB", (8, 8), (250, 0, 0)).convert(mode, **options)
    red.save(tmp_path / "a.tif")
    refused(lambda: load_images(tmp_path), "has colour")
    assert abs(int(load_images(tmp_path, color="grey")[0].images[0, 0, 0]) - 75) <= 3
    grey = Image.new("RGB", (8, 8), (90, 90, 90)).convert(mode, **options)
    grey.save(tmp_path / "a.tif")
    assert abs(int(load_images(tmp_path)[0].images[0, 0, 0]) - 90) <= 2


def test_arrays_of_colour(tmp_path):
    images = np.repeat(values(shape=(2, 8, 8, 1)), 3, axis=3)
    np.save(tmp_path / "x.npy", images)
    np.testing.assert_array_equal(load_images(tmp_path / "x.npy")[0].images, images[..., 0])
    images[1, 3, 3] = RED
    np.save(tmp_path / "x.npy", images)
    refused(lambda: load_images(tmp_path / "x.npy"), "image 1 has colour", "color='grey'")
    assert load_images(tmp_path / "x.npy", color="grey")[0].images[1, 3, 3] == 100


@pytest.mark.parametrize("where", ["good", "t/stain", "both"])
@pytest.mark.parametrize("color", ["auto", "grey", "rgb"])
def test_colour_anywhere_makes_all_pictures_rgb(tmp_path, where, color):
    grey = np.full((16, 16, 3), 100, np.uint8)
    stained = grey.copy()
    stained[4:8, 4:8] = RED
    for folder in ("good", "t/stain"):
        save(tmp_path / folder / "0.png", stained if where in (folder, "both") else grey)
        save(tmp_path / folder / "1.png", grey[..., 0])
    loaded = load_good_and_test(tmp_path / "good", tmp_path / "t", color=color)
    if color == "grey":
        assert loaded.channels == 1 and "of colour made grey" in loaded.report.lines()[0]
        return
    assert loaded.channels == 3 and loaded.train.shape == loaded.test.shape == (2, 16, 16, 3)
    for part, folder in ((loaded.train, "good"), (loaded.test, "t/stain")):
        assert tuple(part[0, 5, 5]) == (RED if where in (folder, "both") else (100, 100, 100))
        assert (part[1] == 100).all()


def test_pictures_that_are_only_judged_keep_their_colour(tmp_path):
    pixels = np.full((16, 16, 3), 100, np.uint8)
    pixels[4:8, 4:8] = RED
    save(tmp_path / "0.png", pixels)
    assert load_test(tmp_path).channels == 3 and load_test(tmp_path / "0.png").channels == 3
    grey = load_test(tmp_path, color="grey")
    assert grey.channels == 1 and grey.report.lines() == ["1 picture of colour made grey (0.png)"]
