# SPDX-License-Identifier: BSD-3-Clause
"""Data that cannot be used: every program says in one line which file, and what to do."""

import errno
import gzip

import numpy as np
import pytest
from PIL import Image

from helpers import programs as cli


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    np.save(folder / "grey.npy", cli.grey_images(40, 6, 5))
    arguments = ("--data", folder / "grey.npy", "--false-alarm-rate", "0.5")  # a rate that 40 images allow
    cli.done("cbn-train", *arguments, "--out", folder / "model.cbn")
    return folder / "model.cbn"


def _nan(folder, value=np.nan):
    images = cli.grey_images(5, 6, 5) / 255
    images[3, 2, 1] = value
    np.save(folder / "bad.npy", images)
    return "bad.npy"


def _saved(array):
    def make(folder):
        np.save(folder / "bad.npy", array)
        return "bad.npy"

    return make


def _bytes(name, content):
    def make(folder):
        (folder / name).write_bytes(content)
        return name

    return make


def _empty_folder(folder):
    (folder / "bad").mkdir()
    return "bad"


def _no_pictures(folder):
    (folder / "bad").mkdir()
    (folder / "bad" / "readme.txt").write_text("nothing to see")
    return "bad"


def _mixed_sizes(folder):
    cli.write_pictures(folder / "bad", cli.grey_images(2, 6, 5))
    cli.write_pictures(folder / "bad", cli.grey_images(1, 6, 4), ".bmp")
    return "bad"


def _broken_picture(folder):
    cli.write_pictures(folder / "bad", cli.grey_images(2, 6, 5))
    content = (folder / "bad" / "001.png").read_bytes()
    (folder / "bad" / "001.png").write_bytes(content[: len(content) // 2])
    return "bad"


def _wrong_keys(folder):
    np.savez(folder / "bad.npz", pictures=cli.grey_images(3, 6, 5))
    return "bad.npz"


IMAGES = cli.idx_bytes(cli.grey_images(5, 6, 5))
PICKLE = np.array([1, None], object)

BAD = {
    "NaN": (_nan, ["NaN"]),
    "infinity": (lambda folder: _nan(folder, np.inf), ["infinity"]),
    "float beyond 1": (lambda folder: _nan(folder, 2.0), ["2.0", "[0, 1]"]),
    "negative": (_saved(np.full((2, 6, 5), -1)), ["-1", "255"]),
    "above 255": (_saved(np.full((2, 6, 5), 256)), ["256", "--full-scale"]),
    "complex": (_saved(np.zeros((2, 6, 5), complex)), ["complex"]),
    "colour": (_saved(np.arange(180, dtype=np.uint8).reshape(2, 6, 5, 3)), ["image 0 has colour", "--color grey"]),
    "no images": (_saved(np.zeros((0, 6, 5), np.uint8)), ["(0, 6, 5)"]),
    "no pixels": (_saved(np.zeros((2, 6, 0), np.uint8)), ["(2, 6, 0)"]),
    "flat, not square": (_saved(np.zeros((2, 30), np.uint8)), ["30", "square"]),
    "one dimension": (_saved(np.zeros(30, np.uint8)), ["30"]),
    "pickle": (_saved(PICKLE), ["pickle"]),
    "keys": (_wrong_keys, ["pictures", "images"]),
    "empty npy": (_bytes("bad.npy", b""), []),
    "not npy": (_bytes("bad.npy", b"hello, world"), []),
    "not npz": (_bytes("bad.npz", b"hello, world"), []),
    "truncated npy": (_bytes("bad.npy", b"\x93NUMPY\x01\x00v\x00{'descr'"), []),
    "truncated IDX": (_bytes("bad.idx", IMAGES[:-7]), ["truncated", "150", "143"]),
    "truncated IDX header": (_bytes("bad.idx", IMAGES[:9]), ["truncated"]),
    "truncated gzip": (_bytes("bad.idx.gz", gzip.compress(IMAGES)[:-20]), []),
    "IDX with extra bytes": (_bytes("bad.idx", IMAGES + b"x"), []),
    "IDX of floats": (_bytes("bad.idx", IMAGES[:2] + b"\x0d" + IMAGES[3:]), []),
    "empty IDX": (_bytes("bad.idx", b""), ["empty"]),
    "empty folder": (_empty_folder, ["no pictures", ".png"]),
    "folder without pictures": (_no_pictures, ["no pictures", ".png"]),
    "mixed sizes": (_mixed_sizes, ["6x5", "6x4"]),
    "broken picture": (_broken_picture, ["001.png"]),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("program", ["cbn-train", "cbn-score", "cbn-inpaint"])
def test_bad_data(tmp_path, monkeypatch, model, program, case):
    make, words = BAD[case]
    monkeypatch.chdir(tmp_path)
    name = make(tmp_path)
    before = sorted(tmp_path.iterdir())
    of_model = [] if program == "cbn-train" else ["--model", model]
    cli.assert_one_line_error(cli.call(program, *of_model, "--data", name), 1, name, *words)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("program", "option"),
    [("cbn-train", "--data"), ("cbn-score", "--data"), ("cbn-inpaint", "--data"), ("cbn-train", "--labels"),
     ("cbn-score", "--labels"), ("cbn-inpaint", "--labels"), ("cbn-train", "--calibration"), ("cbn-inpaint", "--mask")],
)  # fmt: skip
def test_missing_path_names_its_option(tmp_path, monkeypatch, model, program, option):
    monkeypatch.chdir(tmp_path)
    np.save("grey.npy", cli.grey_images(4, 6, 5))
    others = [] if option == "--data" else ["--data", "grey.npy"]
    of_model = [] if program == "cbn-train" else ["--model", model]
    result = cli.call(program, *of_model, *others, option, "missing.npy")
    cli.assert_one_line_error(result, 1, "missing.npy", option.removeprefix("--"))


@pytest.mark.parametrize("program", ["cbn-score", "cbn-inpaint"])
def test_images_that_do_not_fit_the_model(tmp_path, monkeypatch, model, program):
    monkeypatch.chdir(tmp_path)
    np.save("small.npy", cli.grey_images(4, 3, 7))
    result = cli.call(program, "--model", model, "--data", "small.npy")
    cli.assert_one_line_error(result, 1, "3 x 7", "6 x 5")
    assert "small.npy" in result.err or "--data" in result.err, result.err


@pytest.mark.parametrize("program", ["cbn-train", "cbn-score", "cbn-inpaint"])
@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.arange(5), ["5", "40"]),
        (np.zeros((40, 2), int), ["labels", "(40, 2)"]),
        (np.zeros(40), ["labels", "float64"]),
        (np.array([None] * 40), ["pickle"]),
    ],
)
def test_labels_that_do_not_match(tmp_path, monkeypatch, model, program, labels, words):
    monkeypatch.chdir(tmp_path)
    np.save("grey.npy", cli.grey_images(40, 6, 5))
    np.save("labels.npy", labels)
    of_model = [] if program == "cbn-train" else ["--model", model]
    result = cli.call(program, *of_model, "--data", "grey.npy", "--labels", "labels.npy")
    cli.assert_one_line_error(result, 1, "labels.npy", *words)


@pytest.mark.parametrize("program", ["cbn-score", "cbn-inpaint"])
def test_split_and_digit_that_are_not_there(tmp_path, monkeypatch, model, program):
    monkeypatch.chdir(tmp_path)
    np.savez("plain.npz", images=cli.grey_images(6, 6, 5), labels=np.arange(6) % 2)
    arguments = ("--model", model, "--data", "plain.npz")
    cli.assert_one_line_error(cli.call(program, *arguments, "--split", "test"), 1, "--split", "plain.npz", "train")
    cli.assert_one_line_error(cli.call(program, *arguments, "--split", "foo"), 2, "--split", "foo", "test")
    cli.assert_one_line_error(cli.call(program, *arguments, "--digit", "7"), 1, "7", "0, 1")


def test_npy_holding_labels_given_as_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cli.write_idx(tmp_path / "labels.idx", np.arange(9))
    cli.assert_one_line_error(cli.call("cbn-train", "--data", "labels.idx"), 1, "labels.idx", "image")


@pytest.fixture(scope="module")
def of_bits(tmp_path_factory):
    """A folder with an array of 0 and 1, a model of it, and pictures of its first images: of bytes, and of bits."""
    folder = tmp_path_factory.mktemp("bits")
    images = (cli.grey_images(40, 6, 5) > 127).astype(np.uint8)
    np.save(folder / "bits.npy", images)
    np.save(folder / "first.npy", images[:4])
    cli.done("cbn-train", "--data", folder / "bits.npy", "--false-alarm-rate", "0.1", "--out", folder / "m.cbn")
    for name, mode in (("bytes", "L"), ("single", "1")):
        (folder / name).mkdir()
        for i, image in enumerate(images[:4]):
            Image.fromarray(image * 255).convert(mode).save(folder / name / f"{i}.png")
    return folder


@pytest.mark.parametrize("pictures", ["bytes", "single"])
@pytest.mark.parametrize("more", [(), ("--explain",)])  # images that are streamed, and those that are held
def test_black_and_white_pictures_are_bits_to_a_model_of_bits(of_bits, pictures, more):
    read = ("cbn-score", "--model", of_bits / "m.cbn", "--json", *more, "--data")
    expected = [row["score"] for row in cli.done(*read, of_bits / "first.npy").json()["images"]]
    result = cli.done(*read, of_bits / pictures)
    assert [row["score"] for row in result.json()["images"]] == expected
    assert result.err.count("black and white alone") == 1


def test_other_programs_read_black_and_white_alike(of_bits, tmp_path):
    for name in ("first.npy", "bytes"):
        cli.done(
            "cbn-inpaint", "--model", of_bits / "m.cbn", "--data", of_bits / name, "--out", tmp_path / f"{name}.png"
        )
    assert (tmp_path / "first.npy.png").read_bytes() == (tmp_path / "bytes.png").read_bytes()
    cli.done("cbn-report", "--model", of_bits / "m.cbn", "--data", of_bits / "bytes", "--out", tmp_path / "r.html")


def test_grey_pictures_are_none_of_bits(of_bits, tmp_path):
    (tmp_path / "grey").mkdir()
    Image.fromarray(np.arange(30, dtype=np.uint8).reshape(6, 5) * 8).save(tmp_path / "grey" / "0.png")
    result = cli.call("cbn-score", "--model", of_bits / "m.cbn", "--data", tmp_path / "grey")
    cli.assert_one_line_error(result, 1, "--data: grey images", "0 and 255", "array of 0 and 1")


def test_the_embedded_images_are_named_where_no_data_are_given(model):
    result = cli.call("cbn-score", "--model", model)
    cli.assert_one_line_error(result, 1, "--data: none given", "MNIST", "28 x 28", "6 x 5")


@pytest.mark.parametrize("option", ["--out", None])
@pytest.mark.parametrize(
    ("program", "own"),
    [("cbn-train", ["--digit", "2"]), ("cbn-iem-train", ["--synthetic", "texture"]), ("cbn-sample", ["--model", "MODEL"]),
     ("cbn-inpaint", ["--model", "MODEL"]), ("cbn-show", ["--model", "MODEL"])],
)  # fmt: skip
def test_a_folder_that_takes_no_file_is_found_before_any_work(program, own, option, model, tmp_path, monkeypatch):
    """Of the names by default too."""

    def refuse(name, mode="r", *rest, **more):
        if "x" in mode and str(name).endswith(".tmp"):
            raise OSError(errno.EROFS, "Read-only file system", str(name))
        return open(name, mode, *rest, **more)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cbn.io.files.open", refuse, raising=False)
    monkeypatch.setattr("cbn.cli._models.load_with_kind", lambda *_: pytest.fail("the model has been read"))
    monkeypatch.setattr("cbn.cli._train_jobs.load_images", lambda *_: pytest.fail("images have been read"))
    monkeypatch.setattr("cbn.cli.iem_train.load_pictures", lambda *_: pytest.fail("pictures have been read"))
    given = [] if option is None else [option, "sub.png" if "train" not in program else "sub.cbn"]
    result = cli.call(program, *[model if word == "MODEL" else word for word in own], *given)
    cli.assert_one_line_error(result, 1, "--out: cannot write", "read-only")
