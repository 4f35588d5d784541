# SPDX-License-Identifier: BSD-3-Clause
"""cbn-sample: what is drawn, written and reported."""

import zipfile

import numpy as np
import pytest
from PIL import Image

import cbn
from helpers import programs as cli


def trained(folder, images, *arguments):
    """A model of the images."""
    np.save(folder / "images.npy", images)
    out = folder / "model.cbn"
    cli.done("cbn-train", "--data", folder / "images.npy", "--false-alarm-rate", "0.5", "--out", out, *arguments)
    return out


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("grey"), cli.grey_images(40, 6, 5))


@pytest.fixture(scope="module")
def coin(tmp_path_factory):
    """A model of one pixel: 9 of 38 training images are white, so p(white) = (9 + 1) / (38 + 2) = 1 / 4."""
    images = np.zeros((38, 1, 1), np.uint8)
    images[:9] = 255
    return trained(tmp_path_factory.mktemp("coin"), images)


@pytest.fixture(scope="module")
def hidden(tmp_path_factory):
    """A model with two hidden layers, of digit 2."""
    path = tmp_path_factory.mktemp("hidden") / "model.cbn"
    cli.save_hidden_model(path)
    return path


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def images_of(path):
    with np.load(path, allow_pickle=False) as archive:
        assert archive.files == ["images"]
        return archive["images"]


def test_after_training_digit_2_sampling_just_works(here):
    cli.done("cbn-train", "--digit", "2", "--quiet")
    cli.done("cbn-sample", "--n", "64", "--npz", "samples.npz")
    with Image.open("samples.png") as picture:
        assert picture.format == "PNG"
        assert picture.size[0] >= 8 * 28 and picture.size[1] >= 8 * 28
    images = images_of("samples.npz")
    assert images.shape == (64, 28, 28) and images.dtype == np.uint8
    assert set(np.unique(images)) == {0, 1}
    # samples of a 2 have its ink: between an empty and a full image, and as much as the training images
    assert 0.10 < images.mean() < 0.22
    assert len({image.tobytes() for image in images}) == 64


def test_samples_have_the_model_s_probabilities(coin):
    result = cli.done("cbn-sample", "--model", coin, "--n", "20000", "--npz", "s.npz", "--json").json()
    images = images_of("s.npz")
    assert (result["n"], result["method"], result["image_shape"]) == (20000, "ancestral", [1, 1])
    assert result["mixing"] is None
    assert set(np.unique(images)) == {0, 255}
    assert abs((images == 255).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 20000)


def test_gibbs_chains_have_the_same_probabilities(coin):
    arguments = ("--method", "gibbs", "--steps", "1000", "--n", "4000")
    result = cli.done("cbn-sample", "--model", coin, *arguments, "--npz", "s.npz", "--json")
    assert abs((images_of("s.npz") == 255).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4000)
    found = result.json()
    assert found["method"] == "gibbs"
    assert found["mixing"]["mixed"] is True
    assert max(found["mixing"]["r_hat"].values()) < 1.01
    assert result.err == ""


def test_pairs_of_pixels_have_the_model_s_probabilities(here):
    """Four patterns of two pixels against the naive model."""
    images = (cli.grey_images(50, 2, 1) > 90).astype(np.uint8) * 255
    out = trained(here, images)
    cli.done("cbn-sample", "--model", out, "--n", "20000", "--npz", "s.npz", "--seed", "5")
    drawn = cli.bits_of(images_of("s.npz"))
    counts = cli.naive_counts(cli.bits_of(images))
    for a in (False, True):
        for b in (False, True):
            pattern = np.array([a, b]).reshape(1, 2, 1)
            p = np.exp(cli.naive_log_probability(counts, pattern))
            share = (drawn == pattern).all(axis=(1, 2, 3)).mean()
            assert abs(share - p) < 4 * np.sqrt(p * (1 - p) / 20000) + 1e-9


@pytest.mark.parametrize("method", [("--method", "ancestral"), ("--method", "gibbs", "--steps", "400")])
def test_thermometer_samples_are_grey_levels(here, method):
    out = trained(here, cli.grey_images(60, 4, 7), "--threshold", "0.1,0.3,0.6")
    cli.done("cbn-sample", "--model", out, "--n", "30", "--npz", "s.npz", "--quiet", *method)
    images = images_of("s.npz")
    assert images.shape == (30, 4, 7)
    bits = cli.bits_of(images, (0.1, 0.3, 0.6))
    assert (bits[:, 1] <= bits[:, 0]).all() and (bits[:, 2] <= bits[:, 1]).all()
    assert len(np.unique(images)) == 4  # below, between, between, above


def test_unmixed_chains_are_reported_and_warned_of(model):
    result = cli.done("cbn-sample", "--model", model, "--method", "gibbs", "--steps", "8", "--n", "8")
    assert "mix" in result.out.lower() and "R-hat" in result.out
    assert len(result.err.splitlines()) == 1
    assert "not mixed" in result.err and "--steps" in result.err
    assert "cbn-sample" in result.err  # a warning says whose it is, as the others do


def test_unmixed_chains_in_json_and_quiet(model):
    arguments = ("--model", model, "--method", "gibbs", "--steps", "8", "--n", "8", "--json")
    result = cli.done("cbn-sample", *arguments, "--quiet")
    assert result.err == ""
    assert result.json()["mixing"]["mixed"] is False
    loud = cli.done("cbn-sample", *arguments)
    assert loud.json()["mixing"] == result.json()["mixing"]
    assert "--steps" in loud.err


@pytest.mark.parametrize("name", ["s.npy", "s.NPZ"])
def test_arrays_in_place_of_a_picture(model, here, name):
    """The same images as in Python, and no picture."""
    result = cli.done("cbn-sample", "--model", model, "--n", "7", "--seed", "3", "--out", name, "--json").json()
    kind = name.lower().rpartition(".")[2]
    assert {key: result[key] for key in ("picture", "npy", "npz")} == {
        "picture": None,
        "npy": None,
        "npz": None,
        kind: name,
    }
    images = np.load(name, allow_pickle=False) if kind == "npy" else images_of(name)
    assert images.dtype == np.uint8 and images.shape == (7, 6, 5)
    np.testing.assert_array_equal(images, cbn.load(model).sample(7, random_state=3))
    assert [path.name for path in here.iterdir()] == [name]


def test_arrays_of_a_model_of_0_and_1(hidden):
    cli.done("cbn-sample", "--model", hidden, "--n", "5", "--seed", "8", "--out", "s.npy", "--npz", "s.npz")
    images = np.load("s.npy", allow_pickle=False)
    assert set(np.unique(images)) == {0, 1}
    np.testing.assert_array_equal(images, images_of("s.npz"))
    np.testing.assert_array_equal(images, cbn.load(hidden).sample(5, random_state=8))


def test_arrays_that_were_drawn_can_be_scored(model):
    cli.done("cbn-sample", "--model", model, "--n", "9", "--out", "s.npy")
    assert cli.done("cbn-score", "--model", model, "--data", "s.npy", "--json").json()["n"] == 9


def test_arrays_twice(model, here):
    result = cli.call("cbn-sample", "--model", model, "--out", "a.npz", "--npz", "b.npz")
    cli.assert_one_line_error(result, 2, "--npz", "b.npz", "--out", "a.npz")
    assert list(here.iterdir()) == []


def test_one_chain_of_one_image(model):
    arguments = ("--method", "gibbs", "--steps", "100", "--n", "1")
    result = cli.done("cbn-sample", "--model", model, *arguments, "--json", "--quiet")
    assert result.json()["mixing"]["n_chains"] == 1
    with Image.open("samples.png") as picture:
        assert picture.size[0] >= 5 and picture.size[1] >= 6


def test_animation(model):
    cli.done("cbn-sample", "--model", model, "--n", "4", "--gif", "chain.gif", "--steps", "300", "--quiet")
    with Image.open("chain.gif") as animation, Image.open("samples.png") as picture:
        assert animation.format == "GIF"
        assert animation.n_frames > 10
        assert animation.size == picture.size
        first = np.asarray(animation.convert("L"))
        animation.seek(animation.n_frames - 1)
        last = np.asarray(animation.convert("L"))
        assert (first != last).any()
        # the animation ends with the picture; a palette may cost a grey level or two
        assert np.abs(last.astype(int) - np.asarray(picture.convert("L"))).max() <= 2


def test_ancestral_samples_of_a_hidden_model_say_what_they_leave_out(hidden):
    result = cli.done("cbn-sample", "--model", hidden, "--n", "4")
    assert "pixel layer alone" in result.out and "--method gibbs" in result.out
    assert cli.done("cbn-sample", "--model", hidden, "--n", "4", "--json").json()["layers"] == 1


def test_gibbs_chains_of_a_hidden_model_go_through_all_layers(hidden):
    arguments = ("--model", hidden, "--method", "gibbs", "--steps", "300", "--n", "3", "--quiet")
    result = cli.done("cbn-sample", *arguments, "--npz", "s.npz", "--gif", "chain.gif")
    assert "through all 3 layers" in result.out
    assert images_of("s.npz").shape == (3, 28, 28)
    with Image.open("chain.gif") as animation:
        assert animation.n_frames > 10
    found = cli.done("cbn-sample", *arguments, "--json").json()
    assert (found["layers"], found["temperature"], found["mixing"]["n_chains"]) == (3, 1.0, 3)


@pytest.mark.parametrize("temperature, value", [("0", 0.0), ("2.5", 2.5), ("4,0.25", [4.0, 0.25]), ("1,1", 1.0)])
@pytest.mark.parametrize("which", ["model", "hidden"])
def test_temperatures(which, temperature, value, request):
    path = request.getfixturevalue(which)
    drawn = {}
    for threads in (1, 2):
        result = cli.done(
            "cbn-sample", "--model", path, "--method", "gibbs", "--steps", "100", "--n", "5", "--threads", threads,
            "--temperature", temperature, "--npz", "s.npz", "--json", "--quiet",
        )  # fmt: skip
        assert result.json()["temperature"] == value
        drawn[threads] = images_of("s.npz")
    np.testing.assert_array_equal(drawn[1], drawn[2])


def test_chains_without_a_distribution_are_not_told_to_mix(model):
    for temperature in ("0", "4,0.25"):
        arguments = ("--method", "gibbs", "--steps", "100", "--n", "2", "--temperature", temperature)
        result = cli.done("cbn-sample", "--model", model, *arguments)
        assert result.err == "" and "not judged" in result.out and "R-hat" not in result.out


@pytest.mark.parametrize("n", [1, 2, 7, 64, 100])
def test_grid_has_room_for_every_image(model, n):
    cli.done("cbn-sample", "--model", model, "--n", n)
    with Image.open("samples.png") as picture:
        assert picture.size[0] * picture.size[1] >= n * 6 * 5


@pytest.mark.slow
@pytest.mark.parametrize("method", [(), ("--method", "gibbs", "--steps", "60", "--gif", "s.gif")])
def test_same_seed_same_bytes_for_any_thread_count(model, here, method):
    written = {}
    for name, threads, seed in (("a", 1, 3), ("b", 2, 3), ("c", 3, 3), ("d", 1, 4)):
        arguments = ("--seed", seed, "--threads", threads, *method)
        cli.done("cbn-sample", "--model", model, "--n", "9", "--npz", "s.npz", "--quiet", *arguments)
        files = ("s.npz", "samples.png", *(["s.gif"] if method else []))
        written[name] = [(here / file).read_bytes() for file in files]
    assert written["a"] == written["b"] == written["c"]
    assert all(one != other for one, other in zip(written["a"], written["d"]))


def test_npz_carries_no_clock_time(model):
    """Two runs a minute apart must give the same bytes."""
    cli.done("cbn-sample", "--model", model, "--n", "2", "--npz", "s.npz")
    with zipfile.ZipFile("s.npz") as archive:
        assert {info.date_time[0] for info in archive.infolist()} == {1980}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--n", "0"], ["--n", "0"]),
        (["--n", "-3"], ["--n", "-3"]),
        (["--n", "x"], ["--n", "x"]),
        (["--n", "10000000"], ["--n", "10000000"]),
        (["--method", "foo"], ["--method", "foo", "ancestral", "gibbs"]),
        (["--steps", "100"], ["--steps", "--method gibbs"]),
        (["--method", "gibbs", "--steps", "0"], ["--steps", "0"]),
        (["--temperature", "2"], ["--temperature", "--method gibbs"]),
        (["--method", "gibbs", "--temperature=-1"], ["--temperature", "-1"]),
        (["--method", "gibbs", "--temperature", "x"], ["--temperature", "x"]),
        (["--method", "gibbs", "--temperature", "1,0"], ["--temperature", "1,0"]),
        (["--method", "gibbs", "--temperature", "1,2,3"], ["--temperature", "1,2,3"]),
        (["--method", "gibbs", "--temperature", "nan"], ["--temperature", "nan"]),
        (["--method", "ancestral", "--gif", "x.gif"], ["--gif", "--method"]),
        (["--npz", ""], ["--npz"]),
        (["--gif", ""], ["--gif"]),
        (["--out", ""], ["--out"]),
    ],
)
def test_wrong_usage(model, here, arguments, words):
    result = cli.call("cbn-sample", "--model", model, *arguments)
    assert result.code in ((1, 2) if "" in arguments else (2,)), result.out
    cli.assert_one_line_error(result, result.code, *words)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("name", ["samples.jpg", "samples.txt", "samples", "samples.png.gz"])
def test_a_file_is_what_its_name_says(model, here, name):
    """A refusal that says which there are; not a PNG under another name."""
    result = cli.call("cbn-sample", "--model", model, "--n", "4", "--out", name)
    cli.assert_one_line_error(result, 2, "--out", name, ".png, .npy or .npz")
    assert list(here.iterdir()) == []


def test_model_of_one_image_can_be_sampled(here):
    out = trained(here, np.full((1, 3, 4), 255, np.uint8))
    cli.done("cbn-sample", "--model", out, "--n", "3000", "--npz", "s.npz")
    # every pixel but the last of each row was seen once: 1 with probability 2/3 while its parents are as they were
    assert abs((images_of("s.npz")[:, 0, 0] == 255).mean() - 2 / 3) < 4 * np.sqrt(2 / 9 / 3000)
