# SPDX-License-Identifier: BSD-3-Clause
"""Masks of any kind of file, of holes and of defects; folders of good pictures by their names."""

import numpy as np
import pytest
from PIL import Image

from cbn import DataError
from cbn.datasets import load_good_and_test, load_mask, load_mvtec, load_test, write_mvtec
from helpers.folders import refused, save, values

MASK = np.zeros((16, 16), bool)
MASK[4:9, 3:8] = True


def colored(on, off=(0, 0, 0), alpha=None):
    """RGB or RGBA pixels of the mask."""
    pixels = np.where(MASK[..., None], np.uint8(on), np.uint8(off))
    return pixels if alpha is None else np.dstack([pixels, np.where(MASK, np.uint8(alpha[0]), np.uint8(alpha[1]))])


def palette(*colors):
    picture = Image.fromarray(MASK.astype(np.uint8))
    picture.putpalette([level for color in colors for level in color])
    return picture


KINDS = {
    "0/1": ("m.png", MASK.astype(np.uint8)), "0/255": ("m.png", MASK * np.uint8(255)), "1 bit": ("m.png", MASK),
    "pbm": ("m.pbm", MASK), "kinds": ("m.png", MASK * np.uint8(3)), "16 bits": ("m.png", MASK * np.uint16(65535)),
    "16 bits of 0/1": ("m.png", MASK.astype(np.uint16)), "16 bits of 0/255": ("m.tif", MASK * np.uint16(255)),
    "float": ("m.tif", MASK.astype(np.float32)), "32 bits": ("m.tif", MASK * np.int32(1)),
    "white": ("m.png", colored((255, 255, 255))), "red": ("m.png", colored((255, 0, 0))),
    "blue": ("m.bmp", colored((0, 0, 255))), "rgb 0/1": ("m.png", colored((1, 1, 1))),
    "alpha alone, black": ("m.png", colored((0, 0, 0), alpha=(255, 0))),
    "alpha alone, white": ("m.png", colored((255,) * 3, (255,) * 3, alpha=(255, 0))),
    "painted white": ("m.png", colored((255,) * 3, alpha=(255, 0))),
    "painted half red": ("m.png", colored((255, 0, 0), alpha=(140, 0))),
    "painted black over white": ("m.png", colored((0, 0, 0), (255,) * 3, alpha=(255, 0))),
    "opaque": ("m.png", colored((255,) * 3, alpha=(255, 255))),
    "palette": ("m.png", palette((0, 0, 0), (255, 255, 255))), "dark palette": ("m.png", palette((0, 0, 0), (0, 0, 90))),
    "palette of VOC": ("m.png", palette((0, 0, 0), (128, 0, 0))), "gif": ("m.gif", MASK * np.uint8(255)),
    "jpeg": ("m.jpg", MASK * np.uint8(255)), "webp": ("m.webp", colored((255,) * 3)),
    "npy of booleans": ("m.npy", MASK), "npy of 0/1": ("m.npy", MASK.astype(int)),
    "npy of 0/255": ("m.npy", MASK * np.uint8(255)), "npy of floats": ("m.npy", MASK * 0.9),
    "npy of one": ("m.npy", MASK[None]), "npy of one channel": ("m.npy", MASK[..., None]),
}  # fmt: skip


def write(folder, name, content):
    folder.mkdir(parents=True, exist_ok=True)
    if name.endswith(".npy"):
        np.save(folder / name, content)
    else:
        (content if isinstance(content, Image.Image) else Image.fromarray(content)).save(folder / name)
    return folder / name


def wrong(found):
    """Pixels that differ; lossy formats blur an outline."""
    return np.count_nonzero(found != MASK)


@pytest.mark.parametrize("kind", KINDS)
def test_masks_of_holes_and_of_defects_are_read_alike(tmp_path, kind):
    name, content = KINDS[kind]
    path = write(tmp_path / "m", name, content)
    found = load_mask(path, (16, 16))
    assert found.dtype == bool and wrong(found) <= (4 if kind in ("jpeg", "webp") else 0)
    if not name.endswith(".npy"):
        np.testing.assert_array_equal(load_mask(path.parent, (16, 16)), found)
    save(tmp_path / "c" / "train" / "good" / "0.png", values(shape=(16, 16)))
    save(tmp_path / "c" / "test" / "hole" / "7.png", values(shape=(16, 16)))
    write(tmp_path / "c" / "ground_truth" / "hole", name.replace("m.", "7_mask."), content)
    loaded = load_mvtec(tmp_path / "c")
    np.testing.assert_array_equal(loaded.masks[0], found)
    assert loaded.has_mask.tolist() == [True] and loaded.report.lines() == []


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("name", ["m.png", "m.tif", "m.npy"])
def test_empty_masks_are_empty(tmp_path, name, dtype):
    if dtype == np.float32 and name == "m.png":
        pytest.skip("PNG has no floats")
    assert not load_mask(write(tmp_path, name, np.zeros((16, 16), dtype)), (16, 16)).any()


def test_masks_of_holes_that_cannot_be(tmp_path):
    path = write(tmp_path / "m", "m.png", MASK)
    refused(lambda: load_mask(path, (16, 17)), path, "16 x 16", "16 x 17")
    write(tmp_path / "m", "n.png", MASK)
    refused(lambda: load_mask(path.parent, (16, 16)), "2 pictures")
    refused(lambda: load_mask(write(tmp_path, "m.npy", np.full((16, 16), -1)), (16, 16)), "negative values")
    refused(lambda: load_mask(write(tmp_path, "m.npy", np.zeros((2, 16, 16))), (16, 16)), "(2, 16, 16)")
    pages = [Image.fromarray(MASK)] * 2
    pages[0].save(tmp_path / "m.tif", save_all=True, append_images=pages[1:])
    refused(lambda: load_mask(tmp_path / "m.tif", (16, 16)), "2 pages")
    (tmp_path / "text").write_text("none")
    with pytest.raises(DataError):
        load_mask(tmp_path / "text", (16, 16))


# --- masks of defects


def category(path, defects=("hole",), good="good"):
    """Two training pictures, a good one and one of each defect, without masks."""
    for i in range(2):
        save(path / "train" / good / f"{i}.png", values(i, (16, 16)))
    for name in (good, *defects):
        save(path / "test" / name / "0.png", values(5, (16, 16)))
    return path


def test_masks_may_be_several_files_in_a_folder_of_the_picture(tmp_path):
    category(tmp_path)
    half = MASK.copy()
    half[:6] = False
    save(tmp_path / "ground_truth" / "hole" / "0" / "000.png", half)
    save(tmp_path / "ground_truth" / "hole" / "0" / "001.png", MASK & ~half)
    loaded = load_mvtec(tmp_path)
    np.testing.assert_array_equal(loaded.masks[1], MASK)


def test_pages_have_masks_of_their_own(tmp_path):
    category(tmp_path)
    pages = [Image.fromarray(values(i, (16, 16))) for i in range(2)]
    (tmp_path / "test" / "hole" / "0.png").unlink()
    pages[0].save(tmp_path / "test" / "hole" / "s.tif", save_all=True, append_images=pages[1:])
    save(tmp_path / "ground_truth" / "hole" / "s[0]_mask.png", MASK)
    save(tmp_path / "ground_truth" / "hole" / "s[1]_mask.png", MASK.T)
    loaded = load_mvtec(tmp_path)
    assert loaded.test_names == ("good/0.png", "hole/s.tif[0]", "hole/s.tif[1]")
    np.testing.assert_array_equal(loaded.masks[1:], [MASK, MASK.T])


@pytest.mark.parametrize("content", [None, np.zeros((16, 16), np.uint8), colored((0, 0, 0), alpha=(0, 0))])
def test_missing_and_empty_masks_are_named(tmp_path, content):
    category(tmp_path, ("hole", "scratch"))
    save(tmp_path / "ground_truth" / "scratch" / "0_mask.png", MASK)
    if content is not None:
        save(tmp_path / "ground_truth" / "hole" / "0_mask.png", content)
    with pytest.warns(UserWarning, match="masks of 1 defective pictures are missing or empty.*: hole/0.png$"):
        loaded = load_mvtec(tmp_path)
    assert loaded.has_mask.tolist() == [True, False, True] and loaded.report.to_dict()["without_mask"] == ["hole/0.png"]
    write_mvtec(tmp_path / "again", loaded)
    with pytest.warns(UserWarning, match="hole/000.png"):
        np.testing.assert_array_equal(load_mvtec(tmp_path / "again").has_mask, loaded.has_mask)
    refused(lambda: type(loaded)("x", loaded.train, loaded.test, has_mask=loaded.has_mask), "has_mask: goes with masks")


def test_masks_of_no_picture_are_counted(tmp_path):
    category(tmp_path)
    for name in ("hole/0_mask.png", "hole/9_mask.png", "crack/0.png"):
        save(tmp_path / "ground_truth" / name, MASK)
    save(tmp_path / "ground_truth" / "good" / "0_mask.png", MASK)
    (line,) = load_mvtec(tmp_path).report.lines()
    assert line == (
        "3 left out: 1 mask of a good picture (ground_truth/good/0_mask.png), 2 mask of no picture "
        "(ground_truth/crack/0.png, ground_truth/hole/9_mask.png)"
    )


def test_without_a_folder_of_masks_there_are_none(tmp_path):
    loaded = load_mvtec(category(tmp_path))
    assert loaded.masks is None and loaded.has_mask is None and loaded.report.without_mask == ()


# --- names of folders


@pytest.mark.parametrize("good", ["good", "Good", "GOOD", "OK", "ok", "Normal", "normal"])
def test_good_pictures_by_the_name_of_their_folder(tmp_path, good):
    category(tmp_path, good=good)
    save(tmp_path / "ground_truth" / "hole" / "0.png", MASK)
    for loaded in (
        load_mvtec(tmp_path), load_test(tmp_path), load_good_and_test(tmp_path / "train" / good, tmp_path / "test")
    ):  # fmt: skip
        by_name = dict(zip(loaded.test_names, zip(loaded.defects, loaded.labels.tolist())))
        assert by_name == {f"{good}/0.png": ("good", 0), "hole/0.png": ("hole", 1)}
        assert (f"folder {good} holds good pictures" in loaded.report.lines()) == (good != "good")


def test_upper_case_and_other_names_of_the_layout(tmp_path):
    category(tmp_path)
    for old, new in (("train", "Training"), ("test", "TEST")):
        (tmp_path / old).rename(tmp_path / new)
    save(tmp_path / "Masks" / "hole" / "0.png", MASK)
    save(tmp_path / "validation" / "good" / "0.png")
    save(tmp_path / "Training" / "bad" / "0.png")
    save(tmp_path / "extra" / "0.png")
    save(tmp_path / "top.png")
    loaded = load_mvtec(tmp_path)
    assert loaded.has_mask.all() and len(loaded.train) == 2 and len(loaded.test) == 2
    assert {one.name: one.reason for one in loaded.report.left_out} == {
        "top.png": "beside the folders of the layout", "extra/0.png": "beside the folders of the layout",
        "validation/good/0.png": "validation, neither learned from nor judged",
        "Training/bad/0.png": "for training, but not good",
    }  # fmt: skip
    (tmp_path / "top.png").unlink()
    assert len(load_test(tmp_path).test) == 2


def test_bad_pictures_take_their_masks_along(tmp_path):
    category(tmp_path, ("hole", "scratch"))
    for name in ("hole", "scratch"):
        save(tmp_path / "ground_truth" / name / "0.png", MASK)
    (tmp_path / "test" / "hole" / "0.png").write_bytes(b"x")
    (tmp_path / "train" / "good" / "1.png").write_bytes(b"x")
    refused(lambda: load_mvtec(tmp_path), "1.png", "replace the file")
    loaded = load_mvtec(tmp_path, skip_bad=True)
    assert loaded.test_names == ("good/0.png", "scratch/0.png") and len(loaded.train) == 1
    np.testing.assert_array_equal(loaded.masks[1], MASK)
    assert loaded.report.lines()[0].startswith("3 left out: 2 that cannot be read (train/good/1.png, test/hole/0.png)")


def test_large_pictures_of_two_sizes_are_not_brought_to_one_in_silence(tmp_path):
    for i in range(6):
        save(tmp_path / "good" / f"{i}.png", values(i, (40, 31) if i % 2 else (31, 40)))
    refused(lambda: load_good_and_test(tmp_path / "good", max_side=20), "3 of 31x40", "3 of 40x31", "give size=")
    loaded = load_good_and_test(tmp_path / "good", size=(20, 24), max_side=20)
    assert loaded.train.shape == (6, 20, 24) and len(loaded.report.lines()) == 2
