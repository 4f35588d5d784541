# SPDX-License-Identifier: BSD-3-Clause
"""The thresholds that "auto" chooses."""

import numpy as np
import pytest

from cbn.bits.binarization import Binarization, check_thresholds, chosen_thresholds
from helpers.networks import Network


def grey(low, high, n=40):
    """(n, 8, 8) uint8: the left half black, the right half of values low to high, all as frequent."""
    images = np.zeros((n, 8, 8), np.uint8)
    images[:, :, 4:] = np.resize(np.arange(low, high + 1), (n, 8, 4))
    return images


def test_given_thresholds_stay():
    assert chosen_thresholds((0.2, 0.7), grey(30, 200), 255) == (0.2, 0.7)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((3, 4, 4), np.uint8),
        np.ones((3, 4, 4), bool),
        np.full((3, 4, 4), 255, np.uint8),
        # a pen stroke: half of the ink is grey
        np.resize(np.array([0, 0, 255, 128], np.uint8), (3, 4, 4)),
    ],
)
def test_black_and_white_and_strokes_have_one_threshold(images):
    full_scale = 1 if images.dtype == bool else 255
    assert chosen_thresholds("auto", images, full_scale) == (0.3,)


@pytest.mark.parametrize("low, high", [(30, 229), (100, 139), (40, 60)])
def test_thresholds_cut_the_ink_into_four_equal_parts(low, high):
    images = grey(low, high)
    thresholds = check_thresholds(chosen_thresholds("auto", images, 255), 255)
    assert len(thresholds) == 4
    states = Binarization(thresholds, 255).planes(images, 1).states(1).reshape(len(images), 4, -1)
    shares = states.mean(axis=(0, 2))
    assert shares[0] == 0.5  # all of the ink and nothing of the background
    np.testing.assert_allclose(shares / shares[0], [1, 0.75, 0.5, 0.25], atol=1.5 / (high - low + 1))


def test_ink_of_few_values_has_no_threshold_that_nothing_exceeds():
    assert chosen_thresholds("auto", grey(120, 120), 255) == (0.1,)
    images = np.where(grey(0, 1) > 0, np.uint8(90), np.uint8(180))
    (threshold,) = chosen_thresholds("auto", images, 255)
    assert 90 <= threshold * 255 < 180


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_have_the_thresholds_of_integers(dtype):
    images = grey(31, 230)
    assert chosen_thresholds("auto", (images / 255).astype(dtype), 255) == chosen_thresholds("auto", images, 255)


def test_a_fit_uses_the_chosen_thresholds():
    images = grey(50, 200, n=120)
    model = Network("pixel", threshold="auto").fit(images)
    assert model.binarizer_.thresholds == chosen_thresholds("auto", images, 255)
    assert model.layer_.channels == 4
