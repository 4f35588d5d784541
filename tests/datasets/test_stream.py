# SPDX-License-Identifier: BSD-3-Clause
"""iter_images: the images of load_images in chunks, and what it refuses."""

import gzip
import shutil

import numpy as np
import pytest
from PIL import Image

import cbn
from cbn.datasets import iter_images, load_images, load_splits
from helpers.folders import refused, save

RNG = np.random.default_rng(5)
GREY = RNG.integers(0, 256, (11, 4, 5), np.uint8)


def pictures(folder, images, names="{:03}.png"):
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / names.format(i))
    return folder


def idx(path, images, zipped=False):
    header = bytes([0, 0, 8, images.ndim]) + b"".join(n.to_bytes(4, "big") for n in images.shape)
    with (gzip.open if zipped else open)(path, "wb") as file:
        file.write(header + images.tobytes())
    return path


def same(path, chunk_size=3, **options):
    """All chunks are what load_splits gives, and so is the report."""
    expected = load_splits(path, **options)
    stream = iter_images(path, split=None, chunk_size=chunk_size, **options)
    assert stream.report is None
    assert stream.image_shape == expected["train"].images.shape[1:]
    assert stream.binarization == expected["train"].binarization
    assert stream.source == expected["train"].source
    chunks = list(stream.sets())
    assert list(dict.fromkeys(own.split for own in chunks)) == list(expected)
    for split, whole in expected.items():
        parts = [own for own in chunks if own.split == split]
        assert all(len(own) == chunk_size for own in parts[:-1])
        assert {(own.source, own.binarization) for own in parts} == {(whole.source, whole.binarization)}
        np.testing.assert_array_equal(np.concatenate([own.images for own in parts]), whole.images)
        assert all((own.labels is None) == (whole.labels is None) for own in parts)
        if whole.labels is not None:
            labels = np.concatenate([own.labels for own in parts])
            assert labels.tolist() == whole.labels.tolist() and labels.dtype.kind == whole.labels.dtype.kind
        if whole.names is not None:
            assert tuple(name for own in parts for name in own.names) == whole.names
    assert stream.report == expected["train"].report
    assert stream.n_done == sum(stream.counts.values())
    return expected


@pytest.mark.parametrize("chunk_size", [1, 4, 11, 100])
def test_a_folder_of_pictures(tmp_path, chunk_size):
    same(pictures(tmp_path, GREY), chunk_size)


def test_labels_splits_and_litter(tmp_path):
    for split in ("train", "val", "test"):
        for label in ("3", "12"):
            pictures(tmp_path / split / label, GREY[: 5 if split == "train" else 2])
    (tmp_path / "train" / "3" / "notes.txt").write_text("x")
    (tmp_path / "masks").mkdir()
    same(tmp_path)
    assert [len(chunk) for chunk in iter_images(tmp_path, split="test")] == [4]
    train = iter_images(tmp_path)
    assert sum(map(len, train)) == 10 and train.report.read == {"train": 10}


def test_labels_of_text_and_a_single_picture(tmp_path):
    pictures(tmp_path / "a", GREY)
    pictures(tmp_path / "02", GREY)
    same(tmp_path)
    same(tmp_path / "a" / "000.png")


def test_pages_and_what_is_made_of_pictures(tmp_path):
    first, *others = [Image.fromarray(image) for image in GREY]
    first.save(tmp_path / "stack.tif", save_all=True, append_images=others)
    colour = np.zeros((6, 4, 3), np.uint8)
    colour[..., 0] = 200
    Image.fromarray(colour).save(tmp_path / "x.png")
    refused(lambda: list(iter_images(tmp_path)), "x.png", "has colour")
    same(tmp_path, color="grey", size=(7, 3))


@pytest.mark.parametrize("top", [1000, 30_000, 65_535])
def test_deep_pictures_among_others(tmp_path, top):
    pictures(tmp_path, GREY[:6], "a{:03}.png")
    deep = RNG.integers(0, top // 2, (5, 4, 5)).astype(np.uint16)
    deep[3, 1, 1] = top
    pictures(tmp_path, deep, "b{:03}.png")
    if top == 1000:
        refused(lambda: list(iter_images(tmp_path)), "b003.png", "whose scale is unknown", "full_scale=1000")
        same(tmp_path, full_scale=1000)
        refused(lambda: list(iter_images(tmp_path, full_scale=900)), "b003.png", "above full_scale=900")
    else:
        same(tmp_path)


def test_dark_pictures(tmp_path):
    same(pictures(tmp_path, GREY // 10))
    same(tmp_path, full_scale=25)


@pytest.mark.parametrize("dtype", ["?", "u1", ">u2", "i4", "f2", "<f4", ">f8"])
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("flat", [False, True])
def test_arrays(tmp_path, dtype, order, flat):
    images = RNG.random((11, 4, 4))
    images = images > 0.5 if dtype == "?" else images if "f" in dtype else images * (255 if dtype == "u1" else 50_000)
    images = np.asarray(images, dtype, order=order)
    np.save(tmp_path / "x.npy", images.reshape(11, 16) if flat else images)
    same(tmp_path / "x.npy")
    np.savez_compressed(tmp_path / "x.npz", x_train=images, y_train=np.arange(11), x_test=images[:3])
    same(tmp_path / "x.npz")


def test_binary_arrays_and_dark_ones(tmp_path):
    np.save(tmp_path / "x.npy", GREY % 2)
    assert same(tmp_path / "x.npy")["train"].binarization
    images = GREY % 2
    images[-1, -1, -1] = 64
    np.save(tmp_path / "x.npy", images)
    assert same(tmp_path / "x.npy")["train"].binarization is None
    images[-1, -1, -1] = 63
    np.save(tmp_path / "x.npy", images)
    refused(lambda: iter_images(tmp_path / "x.npy"), "x.npy", "full_scale=63")
    same(tmp_path / "x.npy", full_scale=63)
    np.savez(tmp_path / "x.npz", x_train=GREY, x_test=GREY % 2)
    refused(lambda: iter_images(tmp_path / "x.npz", split=None), "grey training images and binary test images")


def test_colour_in_arrays(tmp_path):
    images = np.repeat(GREY[..., None], 3, axis=-1)
    np.save(tmp_path / "x.npy", images)
    same(tmp_path / "x.npy")
    images[7, 0, 0] = 10, 20, 30
    np.save(tmp_path / "x.npy", images)
    refused(lambda: list(iter_images(tmp_path / "x.npy", chunk_size=3)), "image 7 has colour")
    same(tmp_path / "x.npy", color="grey")


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_files(tmp_path, zipped):
    end = ".gz" if zipped else ""
    same(idx(tmp_path / f"x{end}", GREY, zipped))
    for split, n in (("train", 11), ("t10k", 5)):
        idx(tmp_path / f"{split}-images-idx3-ubyte{end}", GREY[:n], zipped)
        idx(tmp_path / f"{split}-labels-idx1-ubyte{end}", np.arange(n, dtype=np.uint8), zipped)
    (tmp_path / "x.npy").write_bytes(b"")
    same(tmp_path)


def test_given_labels(tmp_path):
    np.save(tmp_path / "x.npy", GREY)
    np.save(tmp_path / "y.npy", np.array(list("abcdefghijk")))
    chunks = iter_images(tmp_path / "x.npy", tmp_path / "y.npy", chunk_size=4).sets()
    assert "".join(label for own in chunks for label in own.labels) == "abcdefghijk"
    np.save(tmp_path / "y.npy", np.arange(3))
    refused(lambda: iter_images(tmp_path / "x.npy", tmp_path / "y.npy"), "3 labels for 11 images")


def test_damaged_in_the_middle(tmp_path):
    pictures(tmp_path, GREY)
    bad = tmp_path / "004.png"
    bad.write_bytes(bad.read_bytes()[:40])
    stream = iter_images(tmp_path, chunk_size=2)
    assert len(next(stream)) == len(next(stream)) == 2
    refused(lambda: next(stream), bad, "replace the file")
    expected = same(tmp_path, skip_bad=True)["train"]
    assert len(expected) == 10 and len(expected.report.left_out) == 1
    for path in tmp_path.iterdir():
        path.write_bytes(b"no picture")
    refused(lambda: iter_images(tmp_path, skip_bad=True), "none of 11 pictures can be read")


def test_another_size_names_the_file(tmp_path):
    pictures(tmp_path, GREY)
    pictures(tmp_path, [np.zeros((4, 6), np.uint8)], "005b.png")
    stream = iter_images(tmp_path, chunk_size=4)
    next(stream)
    refused(
        lambda: next(stream), tmp_path, "different sizes", "11 of 4x5", "1 of 4x6 (005b.png)", "size=(height, width)"
    )
    same(tmp_path, size=4)


@pytest.mark.parametrize("ending", ["npy", "npz", "idx", "idx.gz"])
def test_files_that_end_too_early_or_change(tmp_path, ending):
    path = tmp_path / f"x.{ending}"
    images = RNG.integers(0, 256, (300, 40, 50), np.uint8)

    def write(images):
        if ending == "npy":
            np.save(path, images)
        elif ending == "npz":
            np.savez_compressed(path, images=images)
        else:
            idx(path, images, ending == "idx.gz")

    write(images)
    stream = iter_images(path, chunk_size=10)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    refused(lambda: list(stream), path)
    write(images)
    stream = iter_images(path, chunk_size=10)
    write(images[:, :30])
    refused(lambda: list(stream), path, "changed while it was read")


def test_folders_that_change(tmp_path):
    pictures(tmp_path, GREY)
    stream = iter_images(tmp_path, chunk_size=2)
    next(stream)
    (tmp_path / "007.png").unlink()
    refused(lambda: list(stream), "007.png", "No such file")
    stream = iter_images(tmp_path, chunk_size=2, skip_bad=True)
    shutil.copy(tmp_path / "000.png", tmp_path / "new.png")
    (tmp_path / "009.png").unlink()
    assert sum(map(len, stream)) == 9
    deep = [np.full((4, 5), 20_000, np.uint16)] * 4
    stream = iter_images(pictures(tmp_path / "deep", deep), chunk_size=1)
    next(stream)
    pictures(tmp_path / "deep", [*deep[:2], np.full((4, 5), 60_000, np.uint16)])
    refused(lambda: list(stream), "002.png", "changed while it was read")


def test_arguments(tmp_path):
    np.save(tmp_path / "x.npy", GREY)
    refused(lambda: iter_images(tmp_path / "x.npy", split="test"), "no test images; choose train")
    refused(lambda: iter_images(tmp_path / "x.npy", size=4), "size is for pictures")
    refused(lambda: iter_images(tmp_path / "y.npy"), "does not exist")
    for wrong in ({"split": "all"}, {"chunk_size": 0}, {"size": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            iter_images(tmp_path / "x.npy", **wrong)


def test_a_stream_is_what_fit_takes(tmp_path):
    pictures(tmp_path, GREY)
    whole, _ = load_images(tmp_path)
    rate = {"false_alarm_rate": 0.5}
    a = cbn.ConvolutionalBayesianNetwork(**rate).fit(whole.images)
    b = cbn.ConvolutionalBayesianNetwork(**rate).fit(iter_images(tmp_path, chunk_size=3))
    np.testing.assert_array_equal(a.counts_, b.counts_)
    assert a.provenance_ == b.provenance_


def test_white_is_told_by_all_splits(tmp_path):
    """As by load_images: training pictures of 16 bits that are dark, test pictures that are not."""
    for split, brightest in (("train", 255), ("test", 65535)):
        (tmp_path / split).mkdir()
        for i in range(3):
            picture = np.full((4, 5), 100 + i, np.uint16)
            picture[0, 0] = brightest
            Image.fromarray(picture).save(tmp_path / split / f"{i}.png")
    whole = load_images(tmp_path)[0]
    chunks = iter_images(tmp_path, chunk_size=10**9)
    np.testing.assert_array_equal(np.concatenate(list(chunks)), whole.images)
    assert whole.images.max() == 1 and "0..65535" in chunks.report.assumed[0]


def test_labels_are_counted_beforehand(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=np.zeros((5, 4, 4), np.uint8), y_train=np.array([7, 2, 7, 7, 2]),
             x_test=np.zeros((1, 4, 4), np.uint8))  # fmt: skip
    stream = iter_images(tmp_path / "x.npz", split=None)
    assert stream.label_counts("train") == {2: 2, 7: 3} and list(stream.label_counts("train")) == [2, 7]
    assert stream.label_counts("test") is None
    for name in ("10", "9"):
        for i in range(int(name)):
            save(tmp_path / f"p/train/{name}/{i}.png", np.zeros((4, 4), np.uint8))
    save(tmp_path / "p/test/x.png", np.zeros((4, 4), np.uint8))
    stream = iter_images(tmp_path / "p", split=None)
    assert list(stream.label_counts("train").items()) == [(9, 9), (10, 10)] and stream.label_counts("test") is None
    save(tmp_path / "p/train/b/0.png", np.zeros((4, 4), np.uint8))
    assert iter_images(tmp_path / "p").label_counts("train") == {"10": 10, "9": 9, "b": 1}
