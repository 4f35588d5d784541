# SPDX-License-Identifier: BSD-3-Clause
"""IDX files, folders of pictures, NumPy files: what loads, and that everything else is a one-line DataError."""

import gzip
import io
import os
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from PIL import Image

from cbn.datasets import load_idx, load_images
from helpers.folders import refused


def idx_bytes(array, kind=0x08):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def picture(path, value=7, size=(5, 4), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)
    return path


IMAGES = 4 * np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
LABELS = np.array([7, 0, 7], dtype=np.uint8)


# --- IDX


@pytest.mark.parametrize("array", [LABELS, IMAGES[0], IMAGES])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_roundtrip_whatever_the_name(tmp_path, array, pack):
    for name in ("x", "x.gz"):
        loaded = load_idx(str(write(tmp_path / name, pack(idx_bytes(array)))))
        assert np.array_equal(loaded, array) and loaded.dtype == np.uint8 and loaded.flags.writeable


GOOD = idx_bytes(IMAGES)
PACKED = gzip.compress(GOOD, mtime=0)  # without the time, or workers would disagree on the names of tests


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    "content, parts",
    [
        (GOOD[:-1], ["truncated", "3x4x5 = 60", "holds"]),
        (GOOD + b"x", ["bytes follow", "3x4x5"]),
        (GOOD[:7], ["truncated inside the IDX header", "16"]),
        (GOOD[:3], ["not an IDX file", "00 00 08"]),
        (b"\x89PNG and so on", ["not an IDX file", "89 50 4e 47"]),
        (b"\0\0\x07\3" + GOOD[4:], ["not an IDX file", "00 00 07 03"]),
        (b"\0\0\x0d\3" + GOOD[4:], ["float32", "uint8"]),
        (b"\0\0\x09\3" + GOOD[4:], ["int8"]),
        (b"\0\0\x08\4" + GOOD[4:], ["4 dimensions"]),
        (b"\0\0\x08\0", ["0 dimensions"]),
        (struct.pack(">BBBBIII", 0, 0, 8, 3, 0, 28, 28), ["0x28x28", "empty"]),
        (struct.pack(">BBBBIII", 0, 0, 8, 3, *[2**32 - 1] * 3), ["truncated", (2**32 - 1) ** 3]),
    ],
)
def test_idx_damaged(tmp_path, content, parts, pack):
    path = write(tmp_path / "file", pack(content))
    refused(lambda: load_idx(path), path, *parts)


@pytest.mark.parametrize("content", [PACKED[:-3], PACKED[:-12], b"\x1f\x8b", b"\x1f\x8bnonsense nonsense"])
def test_idx_damaged_gzip(tmp_path, content):
    path = write(tmp_path / "file.gz", content)
    refused(lambda: load_idx(path), path)


def test_idx_wrong_gzip_checksum(tmp_path):
    content = bytearray(gzip.compress(GOOD))
    content[-6] ^= 1
    path = write(tmp_path / "file.gz", content)
    refused(lambda: load_idx(path), path, "CRC")


def test_idx_bombs_take_no_memory(tmp_path):
    longer = write(tmp_path / "longer.gz", gzip.compress(struct.pack(">BBBBI", 0, 0, 8, 1, 10) + bytes(50_000_000)))
    false = write(tmp_path / "false.gz", gzip.compress(struct.pack(">BBBBI", 0, 0, 8, 1, 2**32 - 1) + bytes(100)))
    plain = write(tmp_path / "plain", struct.pack(">BBBBI", 0, 0, 8, 1, 2**32 - 1) + bytes(100))
    tracemalloc.start()
    try:
        refused(lambda: load_idx(longer), "bytes follow the 10 values")
        refused(lambda: load_idx(false), "truncated", 2**32 - 1)
        refused(lambda: load_idx(plain), "truncated", 2**32 - 1, "at most 100")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


# --- paths


@pytest.mark.parametrize("load", [load_idx, load_images])
def test_bad_paths(tmp_path, load):
    refused(lambda: load(tmp_path / "nothing"), "nothing", "does not exist")
    refused(lambda: load(str(tmp_path / "new\nline")), "new\\nline", "does not exist")
    refused(lambda: load(""), "path", "non-empty")
    refused(lambda: load("a\0b"), "path", "a\\x00b")
    refused(lambda: load("x" * 5000), "path")
    for value in (None, 3, b"bytes", IMAGES):
        refused(lambda value=value: load(value), "path")
    refused(lambda: load(write(tmp_path / "empty", b"")), "empty")


def test_not_a_regular_file(tmp_path):
    refused(lambda: load_idx(tmp_path), "not a regular file")
    if hasattr(os, "mkfifo"):
        for name in ("pipe", "pipe.npy", "folder/pipe.png"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            os.mkfifo(tmp_path / name)
            refused(
                lambda name=name: load_images((tmp_path / name) if "/" not in name else tmp_path / "folder"),
                "not a regular file",
            )


def test_permission_denied(tmp_path, monkeypatch):
    path = write(tmp_path / "file", GOOD)

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", denied)
        refused(lambda: load_images(path), path, "Permission denied")
    with monkeypatch.context() as patch:
        patch.setattr("os.scandir", denied)
        refused(lambda: load_images(tmp_path), tmp_path, "Permission denied")


def test_memory_error_is_reported(tmp_path, monkeypatch):
    path = write(tmp_path / "file", GOOD)

    def full(*_, **__):
        raise MemoryError

    for target in ("cbn.datasets.idx.fill", "cbn.datasets.arrays.to_images"):
        with monkeypatch.context() as patch:
            patch.setattr(target, full)
            refused(lambda: load_images(path), path, "memory")


# --- single IDX files


def test_idx_file_with_labels(tmp_path):
    path = write(tmp_path / "images", GOOD)
    labels = write(tmp_path / "labels.gz", gzip.compress(idx_bytes(LABELS)))
    train, test = load_images(path)
    assert test is None and train.labels is None and train.binarization is None and train.source == str(path)
    train, _ = load_images(path, labels=str(labels))
    assert (
        np.array_equal(train.images, IMAGES) and train.labels.tolist() == [7, 0, 7] and train.labels.dtype == np.int64
    )
    np.save(tmp_path / "names.npy", np.array(["a", "b", "a"]))
    assert load_images(path, tmp_path / "names.npy")[0].labels.tolist() == ["a", "b", "a"]


def test_idx_file_of_zeros_and_ones_is_binary(tmp_path):
    train, _ = load_images(write(tmp_path / "images", idx_bytes(IMAGES // 4 % 2)))
    assert train.binarization == "already binary (0 and 1)" and np.array_equal(train.images, IMAGES // 4 % 2)


def test_idx_file_refusals(tmp_path):
    path, labels = write(tmp_path / "images", GOOD), write(tmp_path / "labels", idx_bytes(LABELS))
    short = write(tmp_path / "short", idx_bytes(LABELS[:2]))
    refused(lambda: load_images(labels), labels, "look like labels")
    refused(lambda: load_images(path, short), short, "2 labels for 3 images")
    refused(lambda: load_images(path, path), "labels of shape (3, 4, 5)")
    refused(lambda: load_images(path, tmp_path / "none"), "labels", "does not exist")
    refused(lambda: load_images(path, [1, 2, 3]), "labels", "list")


# --- the classic IDX folder


def classic(folder, splits=("train", "t10k"), dash="-", end=".gz"):
    pack = gzip.compress if end else bytes
    for split in splits:
        write(folder / f"{split}-images{dash}idx3-ubyte{end}", pack(GOOD))
        write(folder / f"{split}-labels{dash}idx1-ubyte{end}", pack(idx_bytes(LABELS)))
    return folder


@pytest.mark.parametrize("dash", ["-", "."])
@pytest.mark.parametrize("end", ["", ".gz"])
def test_classic_folder(tmp_path, dash, end):
    for part in load_images(classic(tmp_path, dash=dash, end=end)):
        assert np.array_equal(part.images, IMAGES) and part.labels.tolist() == [7, 0, 7]


def test_classic_folder_train_only(tmp_path):
    assert load_images(classic(tmp_path, ["train"]))[1] is None


@pytest.mark.parametrize(
    "name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
)
def test_classic_folder_missing_partner(tmp_path, name):
    (classic(tmp_path) / f"{name}.gz").unlink()
    refused(lambda: load_images(tmp_path), tmp_path, name, "missing")


def test_classic_folder_refusals(tmp_path):
    classic(tmp_path)
    refused(lambda: load_images(tmp_path, labels=tmp_path / "x"), "labels", "leave the argument out")
    write(tmp_path / "t10k-images-idx3-ubyte.gz", idx_bytes(np.full((3, 5, 5), 99, np.uint8)))
    refused(lambda: load_images(tmp_path), "4x5", "5x5", "one size")
    write(tmp_path / "t10k-images-idx3-ubyte.gz", idx_bytes(IMAGES // 4 % 2))
    refused(lambda: load_images(tmp_path), "grey training images and binary test images")
    write(tmp_path / "t10k-images-idx3-ubyte.gz", idx_bytes(LABELS))
    refused(lambda: load_images(tmp_path), "t10k-images", "look like labels")


# --- folders of pictures


def test_flat_folder_in_order_and_without_litter(tmp_path):
    for i, name in enumerate(["b.PNG", "a.jpg", "c.bmp", "d.gif", "e.tif", "f.tiff", "g.pgm", "h.webp", "i.JPEG"]):
        picture(tmp_path / name, 10 * i)
    Image.new("RGB", (5, 4), (90, 90, 90)).save(tmp_path / "j.ppm")
    write(tmp_path / ".hidden.png", b"x")
    write(tmp_path / "notes.txt", b"x")
    write(tmp_path / ".git" / "x.png", b"x")
    write(tmp_path / "__MACOSX" / "x.png", b"x")
    (tmp_path / "empty").mkdir()
    train, test = load_images(tmp_path)
    assert test is None and train.labels is None and train.binarization is None
    assert train.names == ("a.jpg", "b.PNG", "c.bmp", "d.gif", "e.tif", "f.tiff", "g.pgm", "h.webp", "i.JPEG", "j.ppm")
    assert train.images.shape == (10, 4, 5)
    assert (
        np.abs(train.images[:, 0, 0].astype(int) - [10, 0, 20, 30, 40, 50, 60, 70, 80, 90]).max() <= 2
    )  # lossy formats


@pytest.mark.parametrize(
    "names, labels", [(["10", "2"], [10, 2]), (["good", "2"], ["2", "good"]), (["02", "2"], ["02", "2"])]
)
def test_label_folders(tmp_path, names, labels):
    for name in names:
        picture(tmp_path / name / "x.png")
    train, test = load_images(tmp_path)
    assert test is None and train.labels.tolist() == labels
    assert train.names == tuple(f"{name}/x.png" for name in sorted(names))


def test_split_folders(tmp_path):
    picture(tmp_path / "train" / "good" / "a.png")
    picture(tmp_path / "test" / "good" / "a.png")
    picture(tmp_path / "test" / "bad" / "b.png", 9)
    picture(tmp_path / "ground_truth" / "bad" / "b_mask.png")
    train, test = load_images(tmp_path)
    assert train.labels.tolist() == ["good"] and test.labels.tolist() == ["bad", "good"]
    assert test.names == ("bad/b.png", "good/a.png")


def test_split_folders_flat_or_train_only(tmp_path):
    picture(tmp_path / "train" / "a.png")
    assert load_images(tmp_path)[1] is None
    picture(tmp_path / "test" / "0" / "a.png")
    train, test = load_images(tmp_path)
    assert train.labels is None and test.labels.tolist() == [0]
    picture(tmp_path / "test" / "0" / "a.png", size=(6, 4))
    refused(lambda: load_images(tmp_path), "4x5", "4x6")


def test_folder_refusals(tmp_path):
    refused(lambda: load_images(tmp_path), tmp_path, "no pictures")
    (tmp_path / "label").mkdir()
    refused(lambda: load_images(tmp_path), tmp_path, "no pictures")
    picture(tmp_path / "a.png")
    picture(tmp_path / "label" / "a.png")
    refused(lambda: load_images(tmp_path), "a.png", "label", "beside")
    picture(tmp_path / "label" / "deeper" / "a.png")
    (tmp_path / "a.png").unlink()
    refused(lambda: load_images(tmp_path), "deeper", "beside")
    (tmp_path / "void").mkdir()
    (tmp_path / "label" / "deeper" / "a.png").unlink()
    refused(lambda: load_images(tmp_path), "void", "without pictures")
    refused(lambda: load_images(tmp_path, labels="x"), "labels")


def test_split_refusals(tmp_path):
    picture(tmp_path / "test" / "a.png")
    refused(lambda: load_images(tmp_path), "no folder train")
    (tmp_path / "train").mkdir()
    refused(lambda: load_images(tmp_path), "train", "no pictures")
    picture(tmp_path / "a.png")
    refused(lambda: load_images(tmp_path), "a.png", "train", "beside")


def test_mixed_sizes_name_the_two(tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    picture(tmp_path / "c.png", size=(6, 7))
    picture(tmp_path / "d.png", size=(1, 1))
    message = refused(
        lambda: load_images(tmp_path), "2 of 4x5 (a.png, ...), 1 of 7x6 (c.png), 1 of 1x1 (d.png)", "size="
    )
    assert "b.png" not in message


@pytest.mark.parametrize("content", [b"", b"no picture", "cut", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 5\n"])
def test_unreadable_picture(tmp_path, content):
    path = picture(tmp_path / "new\nline.png", size=(50, 50))
    path.write_bytes(path.read_bytes()[:60] if content == "cut" else content)
    refused(lambda: load_images(tmp_path), "new\\nline.png", "a picture")


def test_dangling_link_is_not_ignored(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    refused(lambda: load_images(tmp_path), "b.png")


@pytest.mark.parametrize("limit", [700, 400])  # above one and above two times Pillow's limit
def test_decompression_bomb(tmp_path, monkeypatch, limit):
    picture(tmp_path / "a.png", size=(30, 30))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    refused(lambda: load_images(tmp_path), "a.png", "too large", "resize")


def grey_of(path):
    return load_images(path.parent)[0].images[0]


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.pgm"])
def test_16_bit_is_divided_by_257(tmp_path, name):
    values = np.array([[0, 128, 129, 257], [32896, 65535, 65406, 65407]], dtype=np.uint16)
    if name == "x.pgm":
        write(tmp_path / name, b"P5 4 2 65535\n" + values.astype(">u2").tobytes())
    else:
        Image.fromarray(values).save(tmp_path / name)
    assert grey_of(tmp_path / name).tolist() == [[0, 0, 1, 1], [128, 255, 254, 255]]


def test_modes(tmp_path):
    def saved(mode, value, name="x.png", **options):
        Image.new(mode, (2, 2), value).save(tmp_path / name, **options)
        result = int(grey_of(tmp_path / name)[0, 0])
        (tmp_path / name).unlink()
        return result

    assert saved("1", 1) == 255
    assert saved("RGB", (255, 255, 255)) == 255 and saved("RGB", (76, 76, 76)) == 76
    assert saved("RGBA", (255, 255, 255, 0)) == 0 and saved("RGBA", (255, 255, 255, 128)) == 128
    assert saved("LA", (200, 255)) == 200 and saved("LA", (200, 0)) == 0
    assert saved("L", 50, transparency=50) == 0 and saved("L", 50, transparency=51) == 50
    assert saved("CMYK", (0, 0, 0, 0), "x.tif") == 255


def test_palettes(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 10, 10, 200, 200, 200])
    image.putdata([0, 1])
    image.save(tmp_path / "x.png")
    assert grey_of(tmp_path / "x.png").tolist() == [[10, 200]]
    image.save(tmp_path / "x.png", transparency=1)
    assert grey_of(tmp_path / "x.png").tolist() == [[10, 0]]


# --- .npy


def npy(path, array, **options):
    np.save(path, array, **options)
    return path


def test_npy_with_labels(tmp_path):
    path = npy(tmp_path / "x.npy", np.asfortranarray(IMAGES))
    train, test = load_images(path, npy(tmp_path / "y.npy", LABELS))
    assert test is None and np.array_equal(train.images, IMAGES) and train.labels.tolist() == [7, 0, 7]
    assert train.images.flags.c_contiguous
    refused(lambda: load_images(path, npy(tmp_path / "y.npy", LABELS[:1])), "y.npy", "1 labels for 3")


@pytest.mark.parametrize("kind", ["?", "u1", "i1", ">u2", "<i8", "u8"])
def test_npy_zeros_and_ones_are_binary(tmp_path, kind):
    train, _ = load_images(npy(tmp_path / "x.npy", (IMAGES // 4 % 2).astype(kind)))
    assert train.binarization == "already binary (0 and 1)"
    assert train.images.dtype == np.uint8 and np.array_equal(train.images, IMAGES // 4 % 2)


@pytest.mark.parametrize("kind", ["<f2", "<f4", ">f8"])
def test_npy_floats_are_scaled(tmp_path, kind):
    for order in "CF":
        train, _ = load_images(npy(tmp_path / "x.npy", np.array(IMAGES / 255, dtype=kind, order=order)))
        assert train.binarization is None and np.array_equal(train.images, IMAGES)


def test_npy_flat_images(tmp_path):
    train, _ = load_images(npy(tmp_path / "x.npy", IMAGES.reshape(15, 4)))
    assert train.images.shape == (15, 2, 2)


@pytest.mark.parametrize(
    "array, parts",
    [
        (IMAGES * 5.0, ["1180.0", "[0, 1]"]),
        (IMAGES - 1.0, ["-1.0", "[0, 1]"]),
        (np.full((1, 2, 2), np.nan), ["NaN"]),
        (np.full((1, 2, 2), np.inf), ["infinity"]),
        (IMAGES.astype(np.int16) * 9, ["2124", "full_scale=2124"]),
        (IMAGES.astype(np.int16) - 3, ["-3", "0..255"]),
        (IMAGES.astype(object), ["object", "pickle"]),
        (IMAGES.astype(complex), ["complex128"]),
        (IMAGES.astype("U3"), ["<U3"]),
        (np.zeros((2, 2), dtype=[("a", "u1")]), ["[('a', 'u1')]"]),
        (LABELS, ["look like labels"]),
        (np.uint8(3), ["()"]),
        (IMAGES.reshape(3, 2, 2, 5), ["(3, 2, 2, 5)", "(n, height, width)"]),
        (IMAGES.reshape(5, 2, 2, 3), ["image 0 has colour", "color='grey'"]),
        (np.zeros((9, 8, 3), np.uint8), ["one picture of 3 channels", "image[None]"]),
        (np.zeros((16, 16), np.uint8), ["one image or as many flat ones", "image[None]"]),
        (IMAGES.reshape(12, 5), ["5 pixels", "not square"]),
        (IMAGES[:0], ["(0, 4, 5)", "nothing"]),
        (IMAGES[:, :0], ["(3, 0, 5)", "nothing"]),
    ],
)
def test_npy_refusals(tmp_path, array, parts):
    path = npy(tmp_path / "x.npy", array, allow_pickle=True)
    refused(lambda: load_images(path), path, *parts)
    np.savez(tmp_path / "x.npz", images=array)
    refused(lambda: load_images(tmp_path / "x.npz"), "x.npz", "key 'images'", *parts)


def npy_bytes(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header(shape, descr="|u1", version=b"\1\0"):
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUM",
        b"nonsense" * 9,
        npy_bytes(IMAGES)[:-1],
        npy_bytes(IMAGES) + b"x",
        npy_bytes(IMAGES)[:40],
        header((10**9, 28, 28)) + bytes(100),
        header((10**30, 1, 1)) + bytes(100),
        header((-1, -100, 1)) + bytes(100),
        header((2, 2, 2), "|u3") + bytes(8),
        header((2, 2, 2), [("a\n", "u1")]) + bytes(8),
        header((2, 2, 2), version=b"\3\0") + bytes(8),
        header((2, 2, 2), version=b"\x09\0") + bytes(8),
        b"\x93NUMPY\1\0" + struct.pack("<H", 9000) + b"(" * 9000,
    ],
)
def test_npy_damaged(tmp_path, content):
    path = write(tmp_path / "x.npy", content)
    tracemalloc.start()
    try:
        refused(lambda: load_images(path), path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "array, part",
    [
        (np.array([1.0, 2, 3]), "float64"),
        (np.array([1, None, 3], dtype=object), "object"),
        (np.array([1, 2, 2**63], dtype=np.uint64), "2**63"),
        (np.array([[1, 2, 3]]), "(1, 3)"),
        (np.array([], dtype=int), "(0,)"),
        (np.array(["", "", ""], dtype="U0"), ""),
    ],
)
def test_label_refusals(tmp_path, array, part):
    path, labels = npy(tmp_path / "x.npy", IMAGES), tmp_path / "y.npy"
    np.save(labels, array, allow_pickle=True)
    if array.dtype.kind == "U" and np.load(labels).dtype.itemsize:
        return  # some versions of NumPy widen empty text to one character, which is a good label
    refused(lambda: load_images(path, labels), "y.npy", part)


def test_labels_with_characters_that_do_not_exist(tmp_path):
    content = bytearray(npy_bytes(np.array(["a", "b", "c"])))
    content[-1] = 0xFF
    labels = write(tmp_path / "y.npy", content)
    refused(lambda: load_images(npy(tmp_path / "x.npy", IMAGES), labels), "y.npy", "character")


def test_bool_labels_and_big_endian_text(tmp_path):
    path = npy(tmp_path / "x.npy", IMAGES)
    assert load_images(path, npy(tmp_path / "y.npy", LABELS > 0))[0].labels.tolist() == [1, 0, 1]
    train, _ = load_images(path, npy(tmp_path / "y.npy", np.array(["ä", "b", "c"], dtype=">U2")))
    assert train.labels.tolist() == ["ä", "b", "c"] and len(train.select("ä")) == 1


# --- .npz


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_plain_and_keras(tmp_path, save):
    save(tmp_path / "x.npz", images=IMAGES)
    train, test = load_images(tmp_path / "x.npz")
    assert np.array_equal(train.images, IMAGES) and train.labels is None and test is None
    save(tmp_path / "x.npz", labels=LABELS, images=IMAGES)
    assert load_images(tmp_path / "x.npz")[0].labels.tolist() == [7, 0, 7]
    save(tmp_path / "x.npz", x_train=IMAGES)
    assert load_images(tmp_path / "x.npz")[1] is None
    save(tmp_path / "x.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:2], y_test=LABELS[:2])
    train, test = load_images(tmp_path / "x.npz")
    assert train.labels.tolist() == [7, 0, 7] and test.labels.tolist() == [7, 0] and len(test) == 2


@pytest.mark.parametrize(
    "found, parts",
    [
        ({}, ["(none)", "images, labels or x_train"]),
        ({"pixels": IMAGES}, ["keys pixels"]),
        ({"images": IMAGES, "weights": LABELS}, ["images, weights"]),
        ({"images": IMAGES, "x_train": IMAGES}, ["images, x_train"]),
        ({"x_test": IMAGES}, ["x_test"]),
        ({"labels": LABELS}, ["labels"]),
        ({f"key{i}": LABELS for i in range(20)}, ["key11, ..."]),
        ({"x_train": IMAGES, "y_test": LABELS}, ["'y_test' without 'x_test'"]),
        ({"images": IMAGES, "labels": LABELS[:2]}, ["key 'labels'", "2 labels for 3 images"]),
        ({"x_train": IMAGES, "x_test": IMAGES[:, :3]}, ["4x5", "3x5"]),
        ({"x_train": IMAGES, "x_test": IMAGES > 3}, ["grey training images and binary test images"]),
    ],
)
def test_npz_refusals(tmp_path, found, parts):
    np.savez(tmp_path / "x.npz", **found)
    refused(lambda: load_images(tmp_path / "x.npz"), "x.npz", *parts)
    refused(lambda: load_images(tmp_path / "x.npz", "y"), "labels", "leave the argument out")


def zipped(path, content, name="images.npy", method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, content)
    return path


def test_npz_damaged(tmp_path):
    path = tmp_path / "x.npz"
    good = zipped(path, npy_bytes(IMAGES)).read_bytes()
    flipped = bytearray(good)
    flipped[60] ^= 0xFF
    for content in (b"", b"PK", good[:-5], good[: len(good) // 2], bytes(flipped)):
        write(path, content)
        refused(lambda: load_images(path), path)
    for content in (b"", b"nonsense" * 20, header((10**9, 28, 28)) + bytes(100), npy_bytes(IMAGES) + b"x"):
        zipped(path, content)
        refused(lambda: load_images(path), path, "key 'images'" if b"nonsense" not in content else "magic")
    zipped(path, npy_bytes(IMAGES), method=zipfile.ZIP_BZIP2)
    refused(lambda: load_images(path), "compression")
