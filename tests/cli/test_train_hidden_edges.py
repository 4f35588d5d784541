# SPDX-License-Identifier: BSD-3-Clause
"""cbn-train with hidden layers: what it refuses, and images that are hard to learn from."""

import numpy as np
import pytest

import cbn
from helpers import programs as cli

# Two layers that fit 20 x 20 pixels, trained for a fraction of a second.
HIDDEN = ("--hidden", "3,3,1;3,2,2", "--iterations", "2", "--false-alarm-rate", "0.1", "--quiet")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with images.npy: 150 images of 20 x 20."""
    monkeypatch.chdir(tmp_path)
    np.save("images.npy", cli.digit_images(150))
    return tmp_path


def trained(*arguments):
    """The model that cbn-train writes."""
    cli.done("cbn-train", "--data", "images.npy", *HIDDEN, *arguments)
    return cbn.load("model.cbn")


@pytest.mark.parametrize("more", [(), ("--dry-run",), ("--digit", "all")])
def test_layer_that_does_not_fit_is_refused_by_name(here, more):
    np.savez("tiny.npz", images=cli.grey_images(20, 8, 8), labels=np.arange(20) % 2)
    result = cli.call("cbn-train", "--data", "tiny.npz", "--preset", "hidden", *more)
    cli.assert_one_line_error(result, 2, "hidden layer 2", "3 x 3", "fewer layers", "larger images")
    assert list(here.glob("*.cbn*")) == []


OPTIONS = {
    "--iterations": ["--iterations", "3"], "--learning-rate": ["--learning-rate", "0.1"],
    "--momentum": ["--momentum", "0"], "--max-parents": ["--max-parents", "0"],
    "--initialization": ["--initialization", "random"], "--activation": ["--activation", "0.3,0.6"],
    "--replace-worst": ["--replace-worst", "0"], "--no-normalize-kernels": ["--no-normalize-kernels"],
    "--no-keep-activation": ["--no-keep-activation"], "--kernels": ["--kernels", "missing.npz"],
    "--save-kernels": ["--save-kernels", "k.npz"], "--layer-weights": ["--layer-weights", "1"],
    "--force-relation": ["--force-relation", "1,0,0,-1,0"], "--forbid-relation": ["--forbid-relation", "1,0,0,-1,0"],
    "--resume": ["--resume"],
}  # fmt: skip


@pytest.mark.parametrize("option", OPTIONS)
def test_options_without_hidden_layers_are_refused(here, option):
    result = cli.call("cbn-train", "--data", "images.npy", *OPTIONS[option])
    cli.assert_one_line_error(result, 2, option, "no hidden layer", "--preset hidden")
    assert [path.name for path in here.iterdir()] == ["images.npy"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--hidden", ""], ["--hidden", "5,3,2"]),
        (["--hidden", "5,3"], ["--hidden", "5,3", "KERNELS,SIZE,POOL"]),
        (["--hidden", "5,3,2;"], ["--hidden", "5,3,2;"]),
        (["--hidden", "x,3,2"], ["--hidden", "x,3,2"]),
        (["--hidden", "-1,3,2"], ["kernels", "-1", "64"]),
        (["--hidden", "65,3,2"], ["kernels", "65", "64"]),
        (["--hidden", "5,11,2"], ["kernel_size", "11"]),
        (["--hidden", "5,3,0"], ["pool", "0"]),
        (["--iterations", "-1"], ["--iterations", "-1"]),
        (["--iterations", "x"], ["--iterations", "x"]),
        (["--learning-rate", "-1"], ["--learning-rate", "-1"]),
        (["--learning-rate", "nan"], ["--learning-rate", "nan"]),
        (["--momentum", "1"], ["--momentum", "1"]),
        (["--momentum", "-0.1"], ["--momentum", "-0.1"]),
        (["--max-parents", "11"], ["--max-parents", "11", "10"]),
        (["--initialization", "zero"], ["--initialization", "zero", "promising"]),
        (["--activation", "0.5"], ["--activation", "0.5"]),
        (["--activation", "0.6,0.3"], ["--activation", "0.6", "0.3"]),
        (["--activation", "-1,0.3"], ["--activation", "-1"]),
        (["--activation", "a,b"], ["--activation", "a,b"]),
        (["--replace-worst", "-1"], ["--replace-worst", "-1"]),
        (["--shift", "9"], ["--shift", "9", "8"]),
        (["--layer-weights", "1,1"], ["--layer-weights", "3 numbers"]),
        (["--layer-weights", "0,0,0"], ["--layer-weights", "not all 0"]),
        (["--layer-weights", "-1,1,1"], ["--layer-weights", "-1"]),
        (["--force-relation", "1,0,1"], ["--force-relation", "LAYER,CHILD,PARENT,DY,DX"]),
        (["--force-relation", "1,0,1,-3,0;1,0,2,-3,0"], ["--force-relation"]),
        (["--force-relation", "3,0,1,-3,0"], ["--force-relation", "layers from 1 to 2"]),
        (["--force-relation", "1,0,3,-3,0"], ["--force-relation", "kernels 0 to 2"]),
        (["--force-relation", "1,0,1,3,0"], ["--force-relation", "row above"]),
        (["--force-relation", "1,0,1,-18,0"], ["--force-relation", "leads out", "18 x 18"]),
        (["--force-relation", "1,0,1,-3,0", "--force-relation", "1,0,1,-3,0"], ["--force-relation", "twice"]),
        (["--forbid-relation", "1,0,1,-1,0"], ["--forbid-relation", "never tried", "(-3, 0)"]),
        (
            ["--force-relation", "1,0,1,-3,0", "--forbid-relation", "1,0,1,-3,0"],
            ["--forbid-relation", "(1, 0, 1, -3, 0)", "--force-relation too"],
        ),
    ],
)
def test_wrong_usage(here, arguments, words):
    cli.assert_one_line_error(cli.call("cbn-train", "--data", "images.npy", *HIDDEN, *arguments), 2, *words)
    assert [path.name for path in here.iterdir()] == ["images.npy"]


@pytest.mark.parametrize("kind", ["one", "black", "white", "equal"])
def test_images_that_teach_nothing(here, kind):
    """No relation is found and nothing fails; scores are numbers."""
    own = cli.digit_images(70)
    images = {"one": own[:1], "black": 0 * own, "white": 0 * own + 1, "equal": np.repeat(own[:1], 70, axis=0)}[kind]
    np.save("odd.npy", images)
    arguments = ("--data", "odd.npy", *HIDDEN, "--false-alarm-rate", "0.9", "--json")
    result = cli.done("cbn-train", *arguments).json()
    assert result["n_relations"] == [0, 0] and result["gain"] == [[0.0, 0.0], [0.0, 0.0]]
    assert np.isfinite(cbn.load("model.cbn").score_samples(own)).all()
    cli.done("cbn-train", *arguments, "--dry-run")


def test_several_thresholds(here):
    np.save("grey.npy", cli.digit_images(100) * np.uint8(150) + cli.grey_images(100, 20, 20) // 3)
    model = trained("--data", "grey.npy", "--threshold", "0.1,0.3,0.6")
    assert model.hidden_layers_[0].kernels.weights.shape == (3, 3, 3, 3)
    assert np.isfinite(model.score_samples(np.load("grey.npy"))).all()


def test_calibration_images(here):
    """They set the threshold and leave the layers as they are."""
    np.save("more.npy", cli.digit_images(220)[150:])
    plain, calibrated = trained(), trained("--calibration", "more.npy")
    assert calibrated.calibration_ == "separate images"
    np.testing.assert_array_equal(calibrated.calibration_scores_, np.sort(plain.score_samples(np.load("more.npy"))))
    assert calibrated.hidden_layers_[1].layer == plain.hidden_layers_[1].layer


def test_shift_trains_on_moved_copies_without_hidden_layers_too(here):
    cli.done("cbn-train", "--data", "images.npy", "--shift", "1", "--quiet")
    assert cbn.load("model.cbn").n_images_ == 9 * 150
