# SPDX-License-Identifier: BSD-3-Clause
"""Folders of MVTec AD and plain folders: what loads, how sizes and colours are brought together, one-line errors."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cbn.datasets import list_categories, load_good_and_test, load_mvtec, load_test, make_category, write_mvtec
from cbn.datasets.mask import resized_mask
from helpers.folders import refused

DATA = Path(os.environ.get("CBN_DATA", Path(__file__).parents[3] / "shared" / "data"))
REAL = pytest.mark.skipif(
    not (DATA / "mvtec" / "screw").is_dir() or not (DATA / "magnetic_tile").is_dir(),
    reason=f"no folders mvtec/screw and magnetic_tile in {DATA}; set CBN_DATA to the folder that holds them",
)


@pytest.fixture
def category(tmp_path):
    """A category of 2 training and 5 test pictures of 32 x 32, in a tree of one."""
    write_mvtec(tmp_path / "tree" / "bolt", make_category("object", 2, 1, 1, size=32))
    return tmp_path / "tree" / "bolt"


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def test_a_category(category):
    loaded = load_mvtec(str(category))
    assert loaded.category == "bolt"
    assert loaded.train.shape == (2, 32, 32) and loaded.test.shape == (5, 32, 32)
    assert loaded.defects == ("good", "misplaced", "missing", "scratch", "spot")
    assert loaded.labels.tolist() == [0, 1, 1, 1, 1] and loaded.labels.dtype == np.int64
    assert loaded.masks.dtype == bool and loaded.masks.any(axis=(1, 2)).tolist() == [False] + [True] * 4
    assert loaded.train_names == ("000.png", "001.png") and loaded.test_names[1] == "misplaced/000.png"
    assert repr(loaded) == "InspectionSet(bolt: 2 training and 5 test pictures of 32x32, grey, 4 with defects)"


def test_an_empty_mask_of_a_defect_is_named_and_left_out_of_figures(category):
    save(category / "ground_truth" / "spot" / "000_mask.png", np.zeros((32, 32)))
    with pytest.warns(UserWarning, match="masks of 1 defective pictures are missing or empty.*spot/000.png"):
        loaded = load_mvtec(category)
    assert loaded.labels[-1] == 1 and not loaded.masks[-1].any()
    assert loaded.has_mask.tolist() == [True, True, True, True, False]
    assert loaded.report.without_mask == ("spot/000.png",)


def test_masks_may_have_the_name_of_their_picture_and_number_defects(category):
    folder = category / "ground_truth" / "spot"
    mask = np.zeros((32, 32))
    mask[3:5, 6] = 2
    (folder / "000_mask.png").unlink()
    save(folder / "000.bmp", mask)
    np.testing.assert_array_equal(load_mvtec(category).masks[-1], mask > 0)


def test_litter_is_ignored(category):
    for name in (".DS_Store", "train/good/Thumbs.db", "train/good/.000.png", "test/.hidden/000.png"):
        (category / name).parent.mkdir(exist_ok=True)
        (category / name).write_bytes(b"x")
    (category / "license.txt").write_text("free")
    assert len(load_mvtec(category).train) == 2


# --- sizes and colours


@pytest.mark.parametrize("size", [16, (16, 16), (20, 48)])
def test_resizing(category, size):
    loaded = load_mvtec(category, size=size)
    shape = (size, size) if isinstance(size, int) else size
    assert loaded.image_shape == shape and loaded.masks.shape == (5, *shape)
    assert loaded.masks.any(axis=(1, 2)).tolist() == [False] + [True] * 4


def test_shrinking_averages(tmp_path):
    save(tmp_path / "good" / "0.png", np.tile([[0, 255], [255, 0]], (16, 16)))
    half = load_good_and_test(tmp_path / "good", size=8).train
    assert half.min() >= 100 and half.max() <= 155  # one pixel in four would be black or white


def test_pictures_of_different_sizes(category):
    save(category / "train" / "good" / "009.png", np.zeros((8, 9)))
    refused(lambda: load_mvtec(category), category, "7 of 32x32", "1 of 8x9 (train/good/009.png)", "give size=")
    assert load_mvtec(category, size=16).train.shape == (3, 16, 16)
    (category / "train" / "good" / "009.png").unlink()
    for path in (category / "test").rglob("*.png"):
        save(path, np.zeros((8, 9)))
    refused(lambda: load_mvtec(category), "5 of 8x9 (test/good/000.png, ...)", "2 of 32x32", "give size=")


@pytest.mark.parametrize(("color", "channels"), [("auto", 1), ("grey", 1), ("rgb", 3)])
def test_grey_pictures_stored_as_rgb_are_grey(tmp_path, color, channels):
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8)
    save(tmp_path / "good" / "0.png", np.stack([grey] * 3, axis=2))
    loaded = load_good_and_test(tmp_path / "good", color=color)
    assert loaded.channels == channels
    np.testing.assert_array_equal(loaded.train[0], grey if channels == 1 else np.stack([grey] * 3, axis=2))


def test_one_coloured_training_picture_makes_all_rgb(tmp_path):
    save(tmp_path / "good" / "0.png", np.full((6, 8), 9))
    save(tmp_path / "good" / "1.png", np.full((6, 8, 3), [1, 2, 3]))
    save(tmp_path / "test" / "0.png", np.full((6, 8), 5))
    loaded = load_good_and_test(tmp_path / "good", tmp_path / "test")
    assert loaded.train.shape == (2, 6, 8, 3) and loaded.test[0, 0, 0].tolist() == [5, 5, 5]
    assert loaded.train[1, 0, 0].tolist() == [1, 2, 3]


def test_grey_of_16_bits_as_rgb(tmp_path):
    (tmp_path / "good").mkdir()
    Image.fromarray(np.array([[0, 257, 65535]], np.uint16)).save(tmp_path / "good" / "0.png")
    assert load_good_and_test(tmp_path / "good", color="rgb").train[0, 0, :, 1].tolist() == [0, 1, 255]


@pytest.mark.parametrize("divisor", [3, 8, 10.24])
def test_small_defects_survive_and_large_ones_keep_their_outline(divisor):
    mask = np.zeros((128, 128), bool)
    mask[5, 7] = mask[60, 20:50] = mask[90:122, 64:128] = True
    side = round(128 / divisor)
    small = resized_mask(mask, (side, side))
    scale = side / 128
    assert small[int(5.5 * scale), int(7.5 * scale)]
    row = small[int(60.5 * scale)]
    assert row[int(22 * scale) : int(48 * scale)].all() and not row[int(53 * scale) + 1 :].any()
    area = small[int(85 * scale) :].sum() / (32 * 64 * scale * scale)
    assert 0.75 < area < 1.25
    assert small.sum() < 0.2 * small.size
    assert not resized_mask(np.zeros((9, 9), bool), (4, 4)).any()


def test_enlarged_masks_keep_their_outline():
    mask = np.eye(4, dtype=bool)
    np.testing.assert_array_equal(resized_mask(mask, (12, 12)), np.kron(mask, np.ones((3, 3))).astype(bool))


@pytest.mark.parametrize("size", [0, -3, 1.5, "64", (64,), (0, 4), True])
def test_sizes_that_are_none(category, size):
    with pytest.raises(ValueError, match="^size: "):
        load_mvtec(category, size=size)


def test_colours_that_are_none(category):
    with pytest.raises(ValueError, match="^color: 'blue'; choose one of auto, grey, rgb"):
        load_mvtec(category, color="blue")


# --- plain folders


def test_only_good_pictures(category):
    loaded = load_good_and_test(category / "train" / "good")
    assert loaded.category == "good" and len(loaded.train) == 2
    assert loaded.test is None and loaded.labels is None and loaded.masks is None and loaded.defect_types == ()


def test_test_pictures_in_folders_have_labels(category):
    loaded = load_good_and_test(category / "train" / "good", category / "test")
    assert loaded.labels.tolist() == [0, 1, 1, 1, 1] and loaded.masks is None
    assert loaded.defect_types == ("misplaced", "missing", "scratch", "spot")


def test_test_pictures_at_the_top_have_none(category):
    loaded = load_good_and_test(category / "train" / "good", category / "test" / "spot")
    assert len(loaded.test) == 1 and loaded.labels is None and loaded.defects is None
    assert "not labelled" in repr(loaded) and loaded.test_names == ("000.png",)


def test_pictures_that_are_only_judged(category):
    whole = load_mvtec(category)
    loaded = load_test(category)
    assert loaded.train is None and loaded.category == "bolt" and loaded.image_shape == (32, 32)
    np.testing.assert_array_equal(loaded.test, whole.test)
    np.testing.assert_array_equal(loaded.masks, whole.masks)
    folder = load_test(category / "test", size=16)
    assert folder.masks is None and folder.labels.tolist() == [0, 1, 1, 1, 1] and folder.image_shape == (16, 16)
    plain = load_test(category / "train" / "good", color="rgb")
    assert plain.labels is None and plain.channels == 3
    np.testing.assert_array_equal(plain.test[..., 0], whole.train)
    one = load_test(category / "test" / "spot" / "000.png")
    np.testing.assert_array_equal(one.test[0], whole.test[-1])
    assert one.test_names == ("000.png",) and "0 training and 1 test pictures" in repr(one)


@pytest.mark.parametrize(("max_side", "shape"), [(None, (40, 32)), (40, (40, 32)), (20, (20, 16)), (1, (1, 1))])
def test_large_pictures_are_shrunk_to_a_longest_side(tmp_path, max_side, shape):
    save(tmp_path / "good" / "0.png", np.zeros((40, 32)))
    assert load_good_and_test(tmp_path / "good", max_side=max_side).image_shape == shape
    assert load_good_and_test(tmp_path / "good", size=8, max_side=max_side).image_shape == (8, 8)


def test_categories_of_a_tree(category):
    tree = category.parent
    (tree / "notes").mkdir()
    write_mvtec(tree / "anchor", make_category("object", 1, 1, 1, size=32))
    assert list_categories(tree) == ["anchor", "bolt"]
    refused(lambda: list_categories(category), category, "is one itself", tree)
    refused(lambda: list_categories(tree / "notes"), "no categories", "train/good")


# --- what is wrong with folders and files


def test_folders_that_are_not_there(category, tmp_path):
    refused(lambda: load_mvtec(tmp_path / "none"), "none", "does not exist")
    refused(lambda: load_mvtec(category.parent), "no folder train", "a category in it, such as", category)
    refused(lambda: load_mvtec(category / "train"), "no folder train", "the folder of a category")
    refused(lambda: load_mvtec(category / "train" / "good" / "000.png"), "no folder train")
    refused(lambda: load_good_and_test(tmp_path / "none"), "good: ", "does not exist")
    refused(lambda: load_good_and_test(category / "train" / "good", tmp_path / "none"), "test: ", "does not exist")
    refused(lambda: load_good_and_test(category / "train" / "good" / "000.png"), "000.png", "folder")
    good = category / "train" / "good"
    refused(lambda: load_good_and_test(good, good / "000.png"), "test: ", "is a file")


def test_folders_without_pictures(category, tmp_path):
    (category / "test" / "crack").mkdir()
    refused(lambda: load_mvtec(category), category / "test" / "crack", "no pictures")
    (tmp_path / "empty").mkdir()
    refused(lambda: load_good_and_test(tmp_path / "empty"), "empty", "no pictures", ".png")
    refused(lambda: load_good_and_test(category / "train" / "good", tmp_path / "empty"), "empty", "no pictures")


def test_pictures_at_the_top_of_test(category):
    for path in (category / "test").rglob("*.png"):
        path.rename(category / "test" / f"{path.parent.name}.png")
    for folder in (category / "test").glob("*/"):
        if folder.is_dir():
            folder.rmdir()
    refused(lambda: load_mvtec(category), category / "test", "move them to test/good")


def test_pictures_beside_folders_of_pictures(category):
    save(category / "test" / "9.png", np.zeros((32, 32)))
    refused(lambda: load_mvtec(category), category / "test", "9.png", "beside a folder")


def test_missing_mask(category):
    path = category / "ground_truth" / "spot" / "000_mask.png"
    path.unlink()
    for _ in range(2):
        with pytest.warns(UserWarning, match="spot/000.png"):
            assert not load_mvtec(category).has_mask[-1]
        if path.parent.is_dir():
            path.parent.rmdir()


def test_mask_of_another_size(category):
    path = category / "ground_truth" / "spot" / "000_mask.png"
    save(path, np.zeros((16, 32)))
    for size in (None, 16):
        refused(lambda size=size: load_mvtec(category, size=size), path, "16x32", "32x32")


@pytest.mark.parametrize("where", ["train/good/001.png", "test/spot/000.png", "ground_truth/spot/000_mask.png"])
@pytest.mark.parametrize("content", ["cut", "empty", "text"])
def test_damaged_files_are_named(category, where, content):
    path = category / where
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "text": b"not a picture"}[content])
    refused(lambda: load_mvtec(category), path, "replace the file")


def test_a_picture_that_expands_without_end_is_refused(category):
    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    path = category / "train" / "good" / "000.png"
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30000, 30000, 8, 0, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))
    refused(lambda: load_mvtec(category, size=16), path, "too large")


def test_sets_that_the_layout_cannot_hold(tmp_path):
    save(tmp_path / "good" / "0.png", np.zeros((4, 4)))
    refused(lambda: write_mvtec(tmp_path / "out", load_good_and_test(tmp_path / "good")), "dataset: ", "missing")


# --- the real sets


@pytest.mark.slow
@REAL
def test_screw():
    loaded = load_mvtec(DATA / "mvtec" / "screw")
    assert loaded.train.shape == (320, 300, 300) and loaded.test.shape == (160, 300, 300)
    assert (loaded.masks.any(axis=(1, 2)) == loaded.labels).all() and len(loaded.defect_types) == 5
    small = load_mvtec(DATA / "mvtec" / "screw", size=40)  # the smallest scratches are far below a pixel
    assert (small.masks.any(axis=(1, 2)) == small.labels).all()


@REAL
def test_magnetic_tile():
    with pytest.warns(UserWarning, match="missing or empty"):
        loaded = load_mvtec(DATA / "magnetic_tile")
    assert loaded.train.shape == (758, 128, 128) and loaded.labels.sum() == 392 and len(loaded.labels) == 586
    assert 386 <= loaded.masks.any(axis=(1, 2)).sum() <= 388  # some masks of "uneven" are empty
