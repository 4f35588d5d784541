# SPDX-License-Identifier: BSD-3-Clause
"""Pixels drawn by their grey values: probabilities, what the draws depend on, and what programs say of such models."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cbn import DataError
from cbn.datasets import ImageSet, draw_binary
from helpers import programs as cli


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, y = cli.grey_images(60, 6, 5), np.arange(60) % 2
    x[y == 1] = 255 - x[y == 1]
    np.savez("split.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    return tmp_path


def grey(n=3000):
    values = np.broadcast_to(np.array([[0, 1, 64], [128, 254, 255]], np.uint8), (n, 2, 3))
    return ImageSet(np.ascontiguousarray(values), source="levels")


def test_a_pixel_is_1_with_probability_value_by_255():
    images = grey()
    drawn = draw_binary(images, 3)
    share = drawn.images.mean(axis=0)
    p = images.images[0] / 255
    assert (share[0, 0], share[1, 2]) == (0, 1)  # black and white are certain
    np.testing.assert_allclose(share, p, atol=4.5 * np.sqrt(0.25 / 3000))
    # pixels are independent: no correlation beyond chance of two of them, and of neighbours in the order of drawing
    a, b = drawn.images[:, 0, 2].astype(float), drawn.images[:, 1, 0].astype(float)
    assert abs(np.corrcoef(a, b)[0, 1]) < 4.5 / np.sqrt(3000)
    assert abs(np.corrcoef(a[1:], a[:-1])[0, 1]) < 4.5 / np.sqrt(3000)
    assert (drawn.binarization, drawn.source) == ("stochastic, value / 255, seed 3", "levels")


def test_draws_are_a_function_of_seed_split_and_index():
    images = grey()
    drawn = draw_binary(images, 2**64 - 1)
    np.testing.assert_array_equal(draw_binary(images, 2**64 - 1).images, drawn.images)
    first = replace(images, images=images.images[:1100])  # another number of batches
    np.testing.assert_array_equal(draw_binary(first, 2**64 - 1).images, drawn.images[:1100])
    others = [draw_binary(images, *other).images for other in ((1,), (2**64 - 1, "test"), (2**64 - 1, "calibration"))]
    for i, one in enumerate(others):
        for another in (drawn.images, *others[:i]):
            correlation = np.corrcoef(one[:, 1, 0], another[:, 1, 0])[0, 1]
            assert abs(correlation) < 4.5 / np.sqrt(3000)


def test_binary_images_and_unknown_splits_are_refused():
    with pytest.raises(DataError, match="already.*by hand.*grey"):
        draw_binary(ImageSet(np.eye(3, dtype=np.uint8)[None], binarization="by hand"), 0)
    with pytest.raises(ValueError, match="split: 'third'"):
        draw_binary(grey(5), 0, "third")


def test_program_trains_and_tests_on_drawn_images(here):
    arguments = ("--data", "split.npz", "--digit", "1", "--binarization", "stochastic", "--quiet")
    found = cli.done("cbn-train", *arguments, "--seed", 4, "--json").json()
    assert found["binarization"] == "stochastic, value / 255, seed 4"
    split = np.load("split.npz")
    sets = {part: ImageSet(split[f"x_{part}"], split[f"y_{part}"]) for part in ("train", "test")}
    train, test = (draw_binary(images, 4, part).select(1).images for part, images in sets.items())
    expected, _ = cli.naive_scores(train[:, None].astype(bool), test[:, None].astype(bool))
    assert found["log_probability_test"] == pytest.approx(expected.mean())
    assert json.loads(cli.done("cbn-show", "--json", "--quiet").out)["binarization"] == found["binarization"]
    other = cli.done("cbn-train", *arguments, "--seed", 5, "--json").json()
    assert other["log_probability_test"] != found["log_probability_test"]


def test_grey_images_for_a_model_of_drawn_pixels(here):
    cli.done("cbn-train", "--data", "split.npz", "--digit", "1", "--binarization", "stochastic", "--quiet")
    scored = cli.done("cbn-score", "--data", "split.npz", "--json")
    (line,) = [line for line in scored.err.splitlines() if "warning" in line and "binarized" in line]
    assert "value > 0.5 x 255" in line and "stochastic, value / 255, seed 0" in line
    split = np.load("split.npz")
    np.save("bits.npy", (split["x_test"] > 127).astype(np.uint8))
    by_hand = cli.done("cbn-score", "--data", "bits.npy", "--json", "--quiet").json()
    assert [i["score"] for i in scored.json()["images"]] == [i["score"] for i in by_hand["images"]]


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        ((), 1, ("embedded MNIST", "--data", "openml", "IDX")),
        (("--data", "split.npz", "--threshold", "0.5"), 2, ("--threshold", "stochastic")),
    ],
)
def test_stochastic_binarization_is_refused_where_it_cannot_be(here, arguments, code, words):
    result = cli.call("cbn-train", "--binarization", "stochastic", *arguments)
    cli.assert_one_line_error(result, code, *words)
    assert list(here.glob("*.cbn")) == []
