# SPDX-License-Identifier: BSD-3-Clause
"""cbn-show: the facts of a model."""

import numpy as np
import pytest
from PIL import Image

import cbn
from helpers import programs as cli


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("grey.npy", cli.grey_images(40, 6, 5))
    return tmp_path


def train(*arguments):
    cli.done("cbn-train", "--data", "grey.npy", "--false-alarm-rate", "0.1", *arguments)


def test_facts(here):
    train("--offsets=-1,0;0,-1", "--pseudocount", "0.5", "--score", "surprise", "--seed", "17")
    found = cli.done("cbn-show", "--json").json()
    assert (found["preset"], found["image_shape"], found["n_images"]) == ("pixel", [6, 5], 40)
    assert (found["score"], found["pseudocount"], found["false_alarm_rate"]) == ("surprise", 0.5, 0.1)
    assert found["binarization"] == "value > 0.3 x 255"
    assert sorted(relation[2:] for relation in found["relations"]) == [[-1, 0], [0, -1]]
    # 1 row of the corner, 2 of each of the 4 + 5 other pixels of the first row and column, 4 of the 20 others
    assert found["n_parameters"] == 1 + 2 * 9 + 4 * 20
    assert (found["calibration"], found["n_calibration"]) == ("leave-one-out", 40)
    assert found["provenance"]["seed"] == 17 and "grey.npy" in found["provenance"]["source"]
    assert found["threshold"] == pytest.approx(cbn.load("model.cbn").offset_)
    with Image.open("show.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 100


def test_likelihood_and_bic(here, undrawn):
    train()
    found = cli.done("cbn-show", "--json").json()
    bits = cli.bits_of(cli.grey_images(40, 6, 5))
    counts = cli.naive_counts(bits)
    at_maximum = sum(cli.naive_log_probability(counts, image, 1e-12) for image in bits)
    assert found["log_likelihood"] == pytest.approx(at_maximum, abs=1e-6)
    assert found["bic"] == pytest.approx(found["n_parameters"] * np.log(40) - 2 * at_maximum, abs=1e-5)


def test_text_states_the_same_facts(here, undrawn):
    train()
    text = cli.done("cbn-show").out
    for fact in ("6 x 5", "40", "value > 0.3 x 255", "(-1,-1)", "(0,-1)", "log_probability", "0.1", "show.png"):
        assert fact in text, fact


def test_thermometer(here, undrawn):
    train("--threshold", "0.1,0.3,0.6")
    found = cli.done("cbn-show", "--json").json()
    for threshold in ("0.1", "0.3", "0.6"):
        assert threshold in found["binarization"]
    assert min(found["relations"]) == [0, 0, -1, -1]
    assert [1, 0, 0, 0] in found["relations"] and [2, 1, 0, 0] in found["relations"]
    text = cli.done("cbn-show").out
    assert "3 thresholds" in text


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(9, 1, 1), (9, 1, 12), (9, 12, 1), (1, 3, 4)])
def test_unusual_shapes(here, shape):
    images = cli.grey_images(*shape)
    images.flat[[0, -1]] = 0, 255  # on both sides of the threshold
    np.save("grey.npy", images)
    cli.done("cbn-train", "--data", "grey.npy", "--false-alarm-rate", "0.9")
    assert cli.done("cbn-show", "--json", "--quiet", "--out", "odd.png").json()["image_shape"] == list(shape[1:])
    with Image.open("odd.png") as picture:
        assert picture.format == "PNG"


def test_same_model_same_picture(here):
    train()
    for name in ("a.png", "b.png"):
        cli.done("cbn-show", "--out", name)
    assert (here / "a.png").read_bytes() == (here / "b.png").read_bytes()
