# SPDX-License-Identifier: BSD-3-Clause
"""cbn-inpaint: which pixels are filled, and with what."""

import numpy as np
import pytest
from PIL import Image

import cbn
from helpers import programs as cli

IMAGES = cli.grey_images(40, 6, 5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inpaint")
    np.save(folder / "images.npy", IMAGES)
    cli.done("cbn-train", "--data", folder / "images.npy", "--false-alarm-rate", "0.5", "--out", folder / "model.cbn")
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def inpaint(folder, *arguments):
    arguments = ("--model", folder / "model.cbn", "--data", folder / "images.npy", *arguments)
    return cli.call("cbn-inpaint", *arguments)


def arrays():
    with np.load("filled.npz", allow_pickle=False) as archive:
        assert sorted(archive.files) == ["mask", "mean", "samples"]
        return archive["samples"], archive["mean"], archive["mask"]


HOLES = {
    "top": np.s_[:3, :],
    "bottom": np.s_[3:, :],
    "left": np.s_[:, :3],
    "right": np.s_[:, 2:],
    "centre": np.s_[1:5, 1:4],
    "1:2,0:5": np.s_[1:2, 0:5],
    "0:6,0:5": np.s_[:, :],
    "5:6,4:5": np.s_[5:6, 4:5],
}


@pytest.mark.parametrize("hole", HOLES)
def test_holes(folder, hole):
    chains = ("--n", "9", "--sweeps", "60", "--npz", "filled.npz")
    result = inpaint(folder, "--hole", hole, "--index", "7", *chains, "--json", "--quiet")
    result = result.json()
    samples, mean, mask = arrays()
    expected = np.zeros((6, 5), bool)
    expected[HOLES[hole]] = True
    assert (mask == expected).all()
    assert result["n_missing"] == expected.sum()
    assert result["n"] == 9 and samples.shape == (9, 6, 5) and mean.shape == (6, 5)
    known = cli.bits_of(IMAGES[7:8])[0, 0]
    assert ((samples > 0) == known)[:, ~mask].all()
    np.testing.assert_array_equal(mean[~mask], known[~mask])
    assert (0 <= mean).all() and (mean <= 1).all()
    with Image.open("inpainted.png") as picture:
        assert picture.format == "PNG"


def test_posterior_of_one_pixel_is_exact(folder):
    """The mean at a single missing pixel against Bayes' rule on the naive model."""
    counts = cli.naive_counts(cli.bits_of(IMAGES))
    for y, x in ((0, 0), (2, 2), (5, 4)):
        chains = ("--n", "100", "--sweeps", "800", "--npz", "filled.npz")
        result = inpaint(folder, "--hole", f"{y}:{y + 1},{x}:{x + 1}", "--index", "3", *chains)
        assert result.code == 0, result.err
        with_0, with_1 = cli.bits_of(IMAGES[3:4])[0].copy(), cli.bits_of(IMAGES[3:4])[0].copy()
        with_0[0, y, x], with_1[0, y, x] = False, True
        odds = np.exp(cli.naive_log_probability(counts, with_1) - cli.naive_log_probability(counts, with_0))
        _, mean, _ = arrays()
        assert mean[y, x] == pytest.approx(odds / (1 + odds), abs=0.02)


def test_mask_file(folder, here):
    mask = np.zeros((6, 5), np.uint8)
    mask[1, 2] = mask[4, 4] = 255
    np.save("mask.npy", mask[None])
    cli.write_pictures(here / "mask", mask[None])
    cli.write_idx(here / "mask.idx", mask[None])
    np.save("bool.npy", mask[None] > 0)
    for path in ("mask.npy", "mask", "mask.idx", "bool.npy"):
        assert inpaint(folder, "--mask", path, "--npz", "filled.npz").code == 0
        assert (arrays()[2] == (mask > 0)).all()


def test_mask_file_of_one_plain_image(folder):
    """A mask is one image: (height, width) is its natural shape."""
    mask = np.zeros((6, 5), bool)
    mask[1, 2] = True
    np.save("mask.npy", mask)
    result = inpaint(folder, "--mask", "mask.npy", "--npz", "filled.npz")
    assert result.code == 0, result.err
    assert (arrays()[2] == mask).all()


def test_mask_as_a_single_picture(folder, here):
    """--mask mask.png is what anybody would try first."""
    cli.write_pictures(here / "mask", np.full((1, 6, 5), 255, np.uint8))
    result = inpaint(folder, "--mask", here / "mask" / "000.png", "--npz", "filled.npz", "--quiet")
    assert result.code == 0, result.err
    assert arrays()[2].all()


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.ones((2, 6, 5), bool), ["(2, 6, 5)", "one mask"]),
        (np.ones((1, 5, 6), bool), ["5 x 6", "6 x 5"]),
        (np.zeros((1, 6, 5), bool), ["missing"]),
    ],
)
def test_masks_that_cannot_be_used(folder, here, mask, words):
    np.save("mask.npy", mask)
    cli.assert_one_line_error(inpaint(folder, "--mask", "mask.npy"), 1, "mask", *words)
    assert not (here / "inpainted.png").exists()


@pytest.mark.parametrize(
    "hole",
    ["foo", "", "1:2", "0:7,0:5", "0:6,0:6", "3:2,0:2", "2:2,0:5", "-1:2,0:2", "0:1,0:1,0:1", "a:b,c:d", "0:1:2,0:1"],
)
def test_bad_holes(folder, here, hole):
    cli.assert_one_line_error(inpaint(folder, f"--hole={hole}"), 2, "--hole", hole)
    assert list(here.iterdir()) == []


def test_other_wrong_usage(folder):
    np.save("mask.npy", np.ones((1, 6, 5), bool))
    cli.assert_one_line_error(inpaint(folder, "--mask", "mask.npy", "--hole", "top"), 2, "--hole", "--mask")
    cli.assert_one_line_error(inpaint(folder, "--index", "40"), 1, "--index", "40", "39")
    cli.assert_one_line_error(inpaint(folder, "--index=-1"), 2, "--index")
    cli.assert_one_line_error(inpaint(folder, "--n", "0"), 2, "--n")
    cli.assert_one_line_error(inpaint(folder, "--sweeps", "x"), 2, "--sweeps")


def test_chosen_image(folder, here):
    cli.write_pictures(here / "pictures" / "a", IMAGES[:3])
    cli.write_pictures(here / "pictures" / "b", IMAGES[3:9])
    arguments = ("--model", folder / "model.cbn", "--data", "pictures", "--digit", "b", "--index", "4")
    result = cli.done("cbn-inpaint", *arguments, "--hole", "0:1,0:1", "--npz", "filled.npz", "--json").json()
    assert result["image"] == "b/004.png"
    samples, _, mask = arrays()
    assert ((samples > 0) == cli.bits_of(IMAGES[7:8])[0, 0])[:, ~mask].all()


CHAINS = ("--hole", "1:4,1:4", "--n", "3", "--sweeps", "40", "--quiet")


@pytest.mark.parametrize(
    "index, places", [("4:7", [4, 5, 6]), ("9,0:2", [9, 0, 1]), (":2", [0, 1]), ("38:", [38, 39]), ("6:7", [6])]
)
def test_several_images(folder, index, places):
    """Of each what it would be alone; one more axis than of one."""
    result = inpaint(folder, "--index", index, *CHAINS, "--npz", "filled.npz", "--json").json()
    assert [row["image"] for row in result["images"]] == places and "image" not in result
    samples, means, mask = arrays()
    assert samples.shape == (len(places), 3, 6, 5) and means.shape == (len(places), 6, 5) and mask.shape == (6, 5)
    for own, mean, row, place in zip(samples, means, result["images"], places):
        alone = inpaint(folder, "--index", place, *CHAINS, "--npz", "filled.npz", "--json").json()
        np.testing.assert_array_equal(own, arrays()[0])
        np.testing.assert_array_equal(mean, arrays()[1])
        assert alone["mixing"] == row["mixing"]


def test_all_images_of_a_folder(folder, here):
    cli.write_pictures(here / "pictures", IMAGES[:5])
    arguments = ("--model", folder / "model.cbn", "--data", "pictures", "--index", "all", *CHAINS)
    result = cli.done("cbn-inpaint", *arguments, "--out", "filled.npy", "--json").json()
    assert [row["image"] for row in result["images"]] == [f"00{i}.png" for i in range(5)]
    assert (result["picture"], result["npy"], result["npz"]) == (None, "filled.npy", None)
    samples = np.load("filled.npy", allow_pickle=False)
    assert samples.shape == (5, 3, 6, 5) and samples.dtype == np.uint8
    assert not (here / "inpainted.png").exists()


@pytest.mark.parametrize("name", ["filled.npy", "filled.npz"])
def test_arrays_in_place_of_a_picture(folder, here, name):
    """As in Python, of one image without an axis of images."""
    result = inpaint(folder, "--index", "2", *CHAINS, "--seed", "4", "--out", name)
    assert result.code == 0 and name in result.out, result.err
    mask = np.zeros((6, 5), bool)
    mask[1:4, 1:4] = True
    with pytest.warns(cbn.exceptions.MixingWarning):  # of few sweeps
        expected = cbn.load(folder / "model.cbn").inpaint(IMAGES[2], mask, 3, n_sweeps=40, random_state=4)
    if name.endswith(".npz"):
        samples, mean, written = arrays()
        np.testing.assert_array_equal(mean, expected.mean)
        np.testing.assert_array_equal(written, mask)
    else:
        samples = np.load(name, allow_pickle=False)
    np.testing.assert_array_equal(samples, expected.samples)
    assert [path.name for path in here.iterdir()] == [name]


def test_a_picture_of_several_images_has_a_row_for_each(folder):
    """Three images and three samples: rows of image, mean and samples; the first of a row has the hole."""
    inpaint(folder, "--index", "0:3", *CHAINS, "--npz", "filled.npz")
    samples = arrays()[0]
    with Image.open("inpainted.png") as picture:
        width, height = picture.size
        scale = width // (5 * 6 - 1)
        assert (width, height) == ((5 * 6 - 1) * scale, (3 * 7 - 1) * scale)
        pixels = np.asarray(picture.convert("RGB"))[::scale, ::scale]
    for i in range(3):
        row = pixels[7 * i : 7 * i + 6]
        assert (row[1:4, 1:4] == (66, 120, 220)).all()
        for k in range(3):
            left = 6 * (2 + k)
            np.testing.assert_array_equal(row[:, left : left + 5, 0], samples[i, k])


def test_a_picture_has_so_many_images_and_says_so(folder, here, monkeypatch):
    monkeypatch.setattr("cbn.cli.inpaint.MOST_SHOWN", 2)
    loud = tuple(word for word in CHAINS if word != "--quiet")
    assert "shows the first 2 images" in inpaint(folder, "--index", "0:3", *loud, "--npz", "filled.npz").err
    assert len(arrays()[0]) == 3
    first = (here / "inpainted.png").read_bytes()
    assert "shows" not in inpaint(folder, "--index", "0:2", *loud).err
    assert (here / "inpainted.png").read_bytes() == first


def test_mixing_of_several_images(folder):
    result = inpaint(folder, "--hole", "1:6,0:5", "--sweeps", "8", "--n", "2", "--index", "3:5")
    assert [line.split(": mixing: ")[0] for line in result.out.splitlines()[1:]] == ["3", "4"]
    assert len(result.err.splitlines()) == 1 and "2 of 2 images: " in result.err and "--sweeps" in result.err


@pytest.mark.parametrize(
    ("index", "code"),
    [
        ("x", 2),
        ("", 2),
        ("1:2:3", 2),
        ("5:5", 2),
        ("7:2", 2),
        ("1,", 2),
        ("3-5", 2),
        ("4:41", 1),
        ("40:", 1),
        ("0,40", 1),
    ],
)
def test_images_that_are_not_there(folder, here, index, code):
    cli.assert_one_line_error(
        inpaint(folder, "--index", index), code, "--index", index, "0:8" if code == 2 else "0 to 39"
    )
    assert list(here.iterdir()) == []


def test_a_file_is_what_its_name_says(folder, here):
    cli.assert_one_line_error(inpaint(folder, "--out", "x.jpg"), 2, "--out", "x.jpg", ".png, .npy or .npz")
    cli.assert_one_line_error(inpaint(folder, "--out", "x.npz", "--npz", "y.npz"), 2, "--npz", "x.npz", "y.npz")
    assert list(here.iterdir()) == []


def test_unmixed_chains_are_warned_of(folder):
    result = inpaint(folder, "--hole", "0:6,0:5", "--sweeps", "8", "--n", "2", "--index", "0")
    assert result.code == 0
    assert len(result.err.splitlines()) == 1
    assert "not mixed" in result.err and "--sweeps" in result.err
    assert inpaint(folder, "--hole", "0:6,0:5", "--sweeps", "8", "--n", "2", "--quiet").err == ""
    found = inpaint(folder, "--hole", "0:6,0:5", "--sweeps", "8", "--n", "2", "--quiet", "--json").json()
    assert found["mixing"]["mixed"] is False


def test_same_seed_same_bytes_for_any_thread_count(folder, here):
    written = []
    for threads, seed in ((1, 5), (2, 5), (3, 5), (1, 6)):
        arguments = ("--threads", threads, "--seed", seed, "--sweeps", "50", "--npz", "filled.npz", "--quiet")
        assert inpaint(folder, *arguments).code == 0
        written.append([(here / name).read_bytes() for name in ("filled.npz", "inpainted.png")])
    assert written[0] == written[1] == written[2]
    assert written[0][0] != written[3][0]


def test_thermometer_model_fills_grey_levels(here):
    np.save("images.npy", IMAGES)
    thresholds = ("--threshold", "0.1,0.3,0.6")
    cli.done("cbn-train", "--data", "images.npy", "--false-alarm-rate", "0.5", *thresholds)
    cli.done("cbn-inpaint", "--data", "images.npy", "--npz", "filled.npz", "--quiet")
    samples, mean, mask = arrays()
    known = cli.bits_of(IMAGES[:1], (0.1, 0.3, 0.6))[0]
    assert (cli.bits_of(samples, (0.1, 0.3, 0.6)) == known)[:, :, ~mask].all()
    assert len(np.unique(samples)) == 4
    assert (mean <= 1).all()


def test_image_of_one_pixel(here):
    np.save("coin.npy", np.array([255] * 9 + [0] * 29, np.uint8).reshape(38, 1, 1))
    cli.done("cbn-train", "--data", "coin.npy", "--false-alarm-rate", "0.5")
    cli.done("cbn-inpaint", "--data", "coin.npy", "--n", "100", "--npz", "filled.npz")
    assert arrays()[1][0, 0] == pytest.approx((9 + 1) / (38 + 2), abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [(), ("--temperature", "0"), ("--temperature", "2,0.2")])
def test_hidden_model(here, temperature):
    cli.save_hidden_model("model.cbn")
    arguments = ("--digit", "2", "--hole", "14:20,8:20", "--n", "3", "--sweeps", "20", "--npz", "filled.npz", "--quiet")
    written = []
    for threads in (1, 2):
        result = cli.done("cbn-inpaint", *arguments, *temperature, "--threads", threads, "--json").json()
        written.append((here / "filled.npz").read_bytes())
    assert written[0] == written[1]
    assert result["layers"] == 3 and result["n_missing"] == 72
    samples, mean, mask = arrays()
    np.testing.assert_array_equal(samples[:, ~mask], np.tile(mean[~mask], (3, 1)))
    said = cli.done("cbn-inpaint", *arguments, *temperature).out
    assert ("R-hat" in said) != bool(temperature)


def test_bad_temperatures(folder):
    for temperature in ("-1", "x", "1,0", "1,2,3"):
        cli.assert_one_line_error(inpaint(folder, f"--temperature={temperature}"), 2, "--temperature", temperature)
