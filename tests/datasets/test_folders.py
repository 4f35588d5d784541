# SPDX-License-Identifier: BSD-3-Clause
"""Folders of pictures: formats, pages, splits, labels, litter, sizes, and the report of all that."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from cbn.datasets import ImageSet, load_images, load_splits
from cbn.datasets.layout import find_splits
from helpers.folders import refused, save, values

# --- which files are pictures


@pytest.mark.parametrize(
    ("ending", "options"),
    [
        ("jfif", {"format": "JPEG", "quality": 100}), ("jpe", {"format": "JPEG", "quality": 100}), ("pbm", {}), ("pgm", {}),
        ("pnm", {"format": "PPM"}), ("webp", {"lossless": True}), ("tga", {}), ("pcx", {}), ("dib", {}), ("jp2", {}),
        ("sgi", {"format": "SGI"}), ("apng", {"format": "PNG"}), ("PNG", {}), ("Tiff", {}), ("gif", {}),
    ],
)  # fmt: skip
def test_every_format_of_pillow_is_read_whatever_its_ending(tmp_path, ending, options):
    pixels = values(shape=(16, 16))
    if ending == "pbm":
        pixels = pixels > 127
    save(tmp_path / "p" / "a.png", pixels)
    save(tmp_path / "p" / f"b.{ending}", pixels, **options)
    train, _ = load_images(tmp_path / "p")
    assert train.names == ("a.png", f"b.{ending}") and train.report.lines() == []
    assert np.abs(train.images[0].astype(int) - train.images[1]).max() <= 3  # JPEG


@pytest.mark.parametrize("name", ["picture", "picture.dat", "picture.png.bak", "picture.001"])
def test_pictures_of_any_name_are_known_by_their_content(tmp_path, name):
    save(tmp_path / "p" / "a.png")
    os.rename(save(tmp_path / "p" / "b.png"), tmp_path / "p" / name)
    train, _ = load_images(tmp_path / "p")
    assert train.names == ("a.png", name) and train.report.lines() == []
    assert len(load_images(tmp_path / "p" / name)[0]) == 1


def test_a_wrong_ending_is_read_by_the_content(tmp_path):
    path = save(tmp_path / "p" / "a.png", format="GIF")
    assert len(load_images(path)[0]) == 1


def test_all_fourteen_pictures_are_read(tmp_path):
    for i in range(3):
        save(tmp_path / f"a{i}.png", values(i))
        save(tmp_path / f"b{i}.jfif", values(i), format="JPEG")
        save(tmp_path / f"c{i}.pbm", values(i) > 127)
    pages = [Image.fromarray(values(i)) for i in range(5)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    train, _ = load_images(tmp_path)
    assert len(train) == 14 and train.report.read == {"train": 14} and train.report.left_out == ()
    assert train.names[-2:] == ("stack.tif[3]", "stack.tif[4]")
    np.testing.assert_array_equal(train.images[-5:], [values(i) for i in range(5)])


@pytest.mark.parametrize("ending", ["tif", "gif", "png", "webp"])
def test_pages_and_frames_are_pictures(tmp_path, ending):
    frames = [Image.fromarray(np.full((8, 8), level, np.uint8)) for level in (40, 120, 240)]
    options = {"lossless": True} if ending == "webp" else {}
    (tmp_path / "k").mkdir()
    frames[0].save(tmp_path / "k" / f"x.{ending}", save_all=True, append_images=frames[1:], **options)
    train, _ = load_images(tmp_path)
    assert train.names == tuple(f"k/x.{ending}[{i}]" for i in range(3)) and train.labels.tolist() == ["k"] * 3
    assert train.images[:, 3, 3].tolist() == [40, 120, 240]
    assert len(load_images(tmp_path / "k" / f"x.{ending}")[0]) == 3


def test_smaller_copies_of_a_page_are_left_out(tmp_path):
    pages = [Image.fromarray(values(shape=(16, 16))), Image.fromarray(values(shape=(8, 8)))]
    pages[1].encoderinfo = {"tiffinfo": {254: 1}}
    pages[0].save(tmp_path / "pyramid.tif", save_all=True, append_images=pages[1:])
    train, _ = load_images(tmp_path)
    assert len(train) == 1
    assert train.report.lines() == ["1 left out: 1 smaller copy or mask of another page (pyramid.tif[1])"]


def test_everything_else_is_counted_with_its_reason(tmp_path):
    save(tmp_path / "p" / "a.png")
    (tmp_path / "p" / ".git").mkdir()
    save(tmp_path / "p" / ".git" / "x.png")
    save(tmp_path / "p" / "__MACOSX" / "x.png")
    for name in (".DS_Store", "Thumbs.db", "notes.txt", "b.npy", "c.svg", "d.eps", "e.dng", "empty"):
        (tmp_path / "p" / name).write_bytes(b"" if name == "empty" else b"x")
    train, test = load_images(tmp_path / "p")
    assert len(train) == 1 and test is None
    reasons = {one.name: one.reason for one in train.report.left_out}
    assert reasons == {
        ".DS_Store": "hidden", "Thumbs.db": "hidden", ".git": "hidden", "__MACOSX": "hidden", "notes.txt": "no picture",
        "b.npy": "no picture", "empty": "no picture", "c.svg": "of a format that is not read",
        "d.eps": "of a format that is not read", "e.dng": "raw file of a camera",
    }  # fmt: skip
    (line,) = train.report.lines()
    assert line.startswith("10 left out: 4 hidden (.DS_Store, Thumbs.db, .git, ...), 3 no picture (b.npy, empty")
    told = json.loads(json.dumps(train.report.to_dict()))
    assert told["read"] == {"train": 1} and {"name": "notes.txt", "reason": "no picture"} in told["left_out"]


def test_other_files_beside_idx_files_are_counted(tmp_path):
    header = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2])
    (tmp_path / "train-images-idx3-ubyte").write_bytes(header + bytes([0, 200] * 4))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 3, 4]))
    save(tmp_path / "a.png")
    train, _ = load_images(tmp_path)
    assert train.report.lines() == ["1 left out: 1 beside the IDX files (a.png)"] and train.split == "train"


# --- links, damage


def test_links_to_folders_above_do_not_hang(tmp_path):
    for label in ("a", "b"):
        save(tmp_path / label / "x.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "b" / "self").symlink_to(tmp_path / "b")
    (tmp_path / "again").symlink_to(tmp_path)
    (tmp_path / "nowhere").symlink_to(tmp_path / "nowhere")
    train, _ = load_images(tmp_path)
    assert train.names == ("a/x.png", "b/x.png")
    reasons = {one.name: one.reason for one in train.report.left_out}
    assert reasons.pop("nowhere") == "no picture"
    assert reasons == dict.fromkeys(("a/up", "b/self", "again"), "link to a folder that holds it")


def test_two_folders_that_link_to_each_other(tmp_path):
    save(tmp_path / "a" / "x.png")
    save(tmp_path / "b" / "y.png")
    (tmp_path / "a" / "b").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "a").symlink_to(tmp_path / "a")
    refused(lambda: load_images(tmp_path), "beside a folder of pictures")


def test_a_linked_picture_and_a_linked_label_are_read(tmp_path):
    save(tmp_path / "store" / "x.png")
    (tmp_path / "p" / "a").mkdir(parents=True)
    (tmp_path / "p" / "a" / "y.png").symlink_to(tmp_path / "store" / "x.png")
    (tmp_path / "p" / "b").symlink_to(tmp_path / "store")
    assert load_images(tmp_path / "p")[0].names == ("a/y.png", "b/x.png")


@pytest.mark.parametrize("content", [b"", b"no picture", "cut"])
def test_bad_pictures_are_one_line_or_left_out(tmp_path, content):
    whole = save(tmp_path / "a" / "x.png", values(shape=(40, 40))).read_bytes()
    save(tmp_path / "b" / "y.png", values(shape=(40, 40)))
    bad = tmp_path / "b" / "z.png"
    bad.write_bytes(whole[: len(whole) // 2] if content == "cut" else content)
    refused(lambda: load_images(tmp_path), bad, "replace the file")
    train, _ = load_images(tmp_path, skip_bad=True)
    assert train.names == ("a/x.png", "b/y.png") and train.labels.tolist() == ["a", "b"]
    assert train.report.lines() == ["1 left out: 1 that cannot be read (b/z.png)"]


def test_no_picture_that_can_be_read_is_an_error(tmp_path):
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "x.png").write_bytes(b"x")
    refused(lambda: load_images(tmp_path, skip_bad=True), "none of 2 pictures can be read")
    save(tmp_path / "train" / "y.png")
    refused(lambda: load_images(tmp_path, skip_bad=True), tmp_path / "test", "none of its pictures")


# --- splits


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train", "val"), ("train", "val")), (("train", "val", "test"), ("train", "val", "test")),
        (("training", "validation"), ("train", "val")), (("Train", "Valid", "TEST"), ("train", "val", "test")),
        (("train", "dev"), ("train", "val")), (("train", "testing"), ("train", "test")), (("train", "eval"), ("train", "test")),
        (("train", "ground_truth", "test"), ("train", "test")), (("train",), ("train",)), (("TRAINING",), ("train",)),
    ],
)  # fmt: skip
def test_names_of_splits(tmp_path, names, splits):
    for n, name in enumerate(names):
        for i in range(n + 1):
            save(tmp_path / name / f"{i}.png", values(i))
    sets = load_splits(tmp_path)
    assert tuple(sets) == splits and all(own.split == split for split, own in sets.items())
    assert {own.labels is None for own in sets.values()} == {True}
    train, test = load_images(tmp_path)
    assert len(train) == 1 and (test is None) == ("test" not in splits)
    said = " ".join(train.report.lines())
    assert ("kept apart" in said) == ("val" in splits) and train.report.read == {s: len(sets[s]) for s in splits}


def test_validation_pictures_have_their_own_labels(tmp_path):
    for split in ("train", "val"):
        for label in ("a", "b"):
            save(tmp_path / split / label / "x.png")
    sets = load_splits(tmp_path)
    assert sets["val"].labels.tolist() == ["a", "b"] and sets["val"].names == ("a/x.png", "b/x.png")
    assert sets["train"].select("a").split == "train" and sets["train"].select("a").report is sets["val"].report


@pytest.mark.parametrize("names", [("valid", "invalid"), ("train", "car", "plane"), ("dev", "prod"), ("good", "bad")])
def test_labels_that_sound_like_splits(tmp_path, names):
    for name in names:
        save(tmp_path / name / "x.png")
    train, test = load_images(tmp_path)
    assert test is None and train.labels.tolist() == sorted(names)
    assert bool(train.report.lines()) == ("train" in names)


@pytest.mark.parametrize(
    "names", [("val",), ("test", "a"), ("val", "test"), ("a", "b", "validation"), ("valid", "test")]
)
def test_validation_and_test_pictures_are_never_learned_from(tmp_path, names):
    for name in names:
        save(tmp_path / name / "x.png")
    refused(lambda: load_images(tmp_path), "no folder train")


def test_two_folders_of_one_split_are_refused(tmp_path):
    for name in ("train", "val", "validation"):
        save(tmp_path / name / "x.png")
    refused(lambda: load_images(tmp_path), "val and validation are both val")
    assert find_splits(tmp_path, [tmp_path / "a"]) is None


def test_what_lies_beside_the_splits_is_counted(tmp_path):
    for name in ("train/x.png", "test/x.png", "more/deep/x.png", "more/y.png", "masks/x.png"):
        save(tmp_path / name)
    train, _ = load_images(tmp_path)
    assert train.report.lines() == [
        "3 left out: 1 masks, not read (masks/x.png), 2 beside the splits (more/y.png, more/deep/x.png)"
    ]


def test_pictures_that_lie_too_deep(tmp_path):
    save(tmp_path / "a" / "b" / "x.png")
    refused(lambda: load_images(tmp_path), "too deep", tmp_path / "a" / "b" / "x.png", f"give {tmp_path / 'a'}")
    save(tmp_path / "x.png")
    refused(lambda: load_images(tmp_path), "beside a folder of pictures (a)")


def test_validation_images_of_npz(tmp_path):
    images = values(shape=(6, 8, 8))
    np.savez(tmp_path / "x.npz", x_train=images, x_val=images[:3], y_val=np.arange(3), x_test=images[:2])
    sets = load_splits(tmp_path / "x.npz")
    assert {split: len(own) for split, own in sets.items()} == {"train": 6, "val": 3, "test": 2}
    assert sets["val"].labels.tolist() == [0, 1, 2] and sets["val"].split == "val"
    np.savez(tmp_path / "x.npz", x_train=images, y_val=np.arange(3))
    refused(lambda: load_images(tmp_path / "x.npz"), "key 'y_val' without 'x_val'")


# --- labels


@pytest.mark.parametrize(
    "labels",
    [("a", "b "), (" a", "a"), ("A", "a"), ("1", "2"), ("01", "1"), ("007", "8"), ("-3", "4"), ("é", "e"), ("２", "2"),
     ("ﬁ", "fi"), ("a,b", "a"), ("0", "-0"), ("9" * 25, "1"), ("日本", "中国")],
)  # fmt: skip
def test_labels_survive_a_round_trip(tmp_path, labels):
    for label in labels:
        save(tmp_path / "folders" / label / "x.png")
    np.savez(tmp_path / "x.npz", images=values(shape=(2, 8, 8)), labels=np.array(labels))
    for source in ("folders", "x.npz"):
        train, _ = load_images(tmp_path / source)
        assert sorted(map(str, train.labels.tolist())) == sorted(labels)
        for label in labels:
            chosen = train.select(label)
            assert len(chosen) == 1 and str(chosen.labels[0]) == label
        for label in train.labels.tolist():
            assert train.select(label).labels.tolist() == [label]


def test_labels_of_other_composition_of_accents_are_found():
    images = ImageSet(values(shape=(2, 4, 4)), np.array(["e\u0301", "x"]))
    assert len(images.select("\u00e9")) == 1
    refused(lambda: ImageSet(values(shape=(2, 4, 4)), np.array(["a", "b "])).select("b"), "choose one of 'a', 'b '")


def test_numbers_in_words_select_numbers():
    images = ImageSet(values(shape=(2, 4, 4)), np.array([7, 2]))
    assert len(images.select(" 7")) == 1 == len(images.select(np.int64(7)))
    refused(lambda: images.select("7.0"), "choose one of 2, 7")


def test_splits_that_are_none():
    refused(lambda: ImageSet(values(shape=(2, 4, 4)), split="holdout"), "split: 'holdout'", "train, val, test")


# --- sizes


@pytest.mark.parametrize("shapes", [((31, 40), (40, 31)), ((31, 40), (62, 80)), ((31, 40), (31, 41))])
def test_different_sizes_are_refused_unless_a_size_is_given(tmp_path, shapes):
    for i in range(5):
        save(tmp_path / f"{i}.png", values(i, shapes[i % 2]))
    (h0, w0), (h1, w1) = shapes
    refused(lambda: load_images(tmp_path), f"3 of {h0}x{w0} (0.png, ...), 2 of {h1}x{w1} (1.png, ...)", "give size=")
    train, _ = load_images(tmp_path, size=(20, 24))
    assert train.images.shape == (5, 20, 24)
    assert [line.split(" (")[0] for line in train.report.lines()] == [
        f"{n} pictures resized from {h}x{w} to 20x24" for n, (h, w) in zip((3, 2), shapes)
    ]
    assert all("proportions changed" in line for line in train.report.lines())
    assert load_images(tmp_path, size=16)[0].images.shape == (5, 16, 16)


def test_resizing_to_the_same_proportions_says_so(tmp_path):
    save(tmp_path / "a.png", values(shape=(40, 20)))
    assert load_images(tmp_path, size=(20, 10))[0].report.lines() == [
        "1 picture resized from 40x20 to 20x10 (height x width) (a.png)"
    ]
    assert load_images(tmp_path, size=(40, 20))[0].report.lines() == []


def test_sizes_of_all_splits_are_one(tmp_path):
    save(tmp_path / "train" / "a.png", values(shape=(8, 8)))
    save(tmp_path / "test" / "a.png", values(shape=(9, 8)))
    refused(lambda: load_images(tmp_path), "1 of 8x8 (train/a.png), 1 of 9x8 (test/a.png)")
    train, test = load_images(tmp_path, size=8)
    assert train.images.shape == test.images.shape == (1, 8, 8)


@pytest.mark.parametrize(
    "options", [{"size": 0}, {"size": (3,)}, {"color": "rgb"}, {"background": "red"}, {"full_scale": 0}]
)
def test_options_that_are_none(tmp_path, options):
    save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=f"^{next(iter(options))}: "):
        load_images(tmp_path, **options)


def test_sizes_are_for_pictures(tmp_path):
    np.save(tmp_path / "x.npy", values(shape=(3, 8, 8)))
    refused(lambda: load_images(tmp_path / "x.npy", size=4), "size is for pictures")
