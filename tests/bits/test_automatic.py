# SPDX-License-Identifier: BSD-3-Clause
"""Thresholds of "auto" under noise, low contrast, inverted pictures and other scales; results that are flat."""

import numpy as np
import pytest

from cbn import ConvolutionalBayesianNetwork, DataError
from cbn.bits.automatic import automatic_thresholds
from cbn.bits.binarization import Binarization, check_thresholds, chosen_thresholds, refuse_flat

GROUND = 20


def shapes(n, noise, contrast=0.7, square=False, seed=7, size=32):
    """(n, size, size) float levels 0 to 255 and where they are ink: rings (or squares), brighter than their ground."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    center, radius = rng.uniform(13, 19, (2, n, 1, 1)), rng.uniform(6, 9, (n, 1, 1))
    dy, dx = np.abs(y - center[0]), np.abs(x - center[1])
    ink = np.abs((np.maximum(dy, dx) if square else np.hypot(dy, dx)) - radius) < 1.6
    return np.clip(np.where(ink, GROUND + 255 * contrast, GROUND) + rng.normal(0, noise, ink.shape), 0, 255), ink


def bits_of(images, thresholds, full_scale=255):
    """(channels, n, pixels) of 0 and 1."""
    rule = Binarization(check_thresholds(thresholds, full_scale), full_scale)
    return np.moveaxis(rule.planes(images, 1).states(1).reshape(len(images), rule.channels, -1), 1, 0)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("contrast", [0.2, 0.4, 0.7, 0.9])
@pytest.mark.parametrize("noise", [0, 3, 6, 10, 15])
def test_every_threshold_parts_ink_and_background(noise, contrast, inverted):
    levels, ink = shapes(60, noise, contrast)
    images = np.rint(255 - levels if inverted else levels).astype(np.uint8)
    wrong = max(0.0005, 0.11 if noise == 15 and contrast == 0.2 else 0.02 if noise >= 10 and contrast == 0.2 else 0)
    for bits in bits_of(images, automatic_thresholds(images, 255)):
        assert np.mean(bits.ravel() != (ink ^ inverted).ravel()) <= wrong


@pytest.mark.parametrize("noise", [5, 10])
def test_noise_that_black_clips_has_no_thresholds_in_it(noise):
    levels, ink = shapes(60, 0)
    rng = np.random.default_rng(0)
    images = np.clip(levels - GROUND + rng.normal(0, noise, levels.shape), 0, 255).astype(np.uint8)
    for bits in bits_of(images, automatic_thresholds(images, 255)):
        assert np.mean(bits.ravel() != ink.ravel()) < 0.002


@pytest.mark.parametrize(
    ("full_scale", "dtype"), [(16, np.uint8), (1023, np.uint16), (4095, np.uint16), (65535, np.uint16)]
)
def test_other_scales(full_scale, dtype):
    levels, ink = shapes(40, 6)
    images = np.rint(levels * (full_scale / 255)).astype(dtype)
    for bits in bits_of(images, automatic_thresholds(images, full_scale), full_scale):
        assert np.mean(bits.ravel() != ink.ravel()) < 0.001


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noisy_floats_are_parted_as_integers_are(dtype):
    levels, _ = shapes(40, 10)
    images = np.rint(levels).astype(np.uint8)
    thresholds = automatic_thresholds(images, 255)
    np.testing.assert_allclose(automatic_thresholds((images / 255).astype(dtype), 255), thresholds, atol=0.003)


def test_bright_and_dark_parts_on_a_grey_ground():
    images = np.full((30, 24, 24), 128, np.uint8)
    images[:, 4:10, 4:20], images[:, 14:20, 4:20] = 230, 30
    images = np.clip(images + np.random.default_rng(0).normal(0, 4, images.shape), 0, 255).astype(np.uint8)
    low, high = automatic_thresholds(images, 255)
    assert 60 < low * 255 < 115 and 140 < high * 255 < 200


def test_grey_levels_of_the_ink_are_kept_where_they_are_more_than_noise():
    images = np.full((30, 24, 24), 20.0)
    images[:, 4:20, 4:20] = np.linspace(60, 240, 16)
    noisy = np.clip(images + np.random.default_rng(0).normal(0, 5, images.shape), 0, 255).astype(np.uint8)
    assert len(automatic_thresholds(noisy, 255)) == 4
    images[:, 4:20, 4:20] = 180
    noisy = np.clip(images + np.random.default_rng(0).normal(0, 5, images.shape), 0, 255).astype(np.uint8)
    assert len(automatic_thresholds(noisy, 255)) == 1


def test_pictures_that_touch_their_frame_are_read_as_before():
    """Ink on two sides of the frame is no noise of the background."""
    images = np.zeros((20, 16, 16), np.uint8)
    images[:, :, 5:12] = np.linspace(40, 230, 7).astype(np.uint8)
    assert automatic_thresholds(images, 255)[0] == 0.1 and len(automatic_thresholds(images, 255)) == 4


def test_best_finds_squares_among_noisy_rings():
    train, rings, squares = (
        np.rint(shapes(n, 10, square=square, seed=seed)[0]).astype(np.uint8)
        for n, square, seed in ((300, False, 1), (200, False, 2), (100, True, 3))
    )
    model = ConvolutionalBayesianNetwork("best", false_alarm_rate=0.05, random_state=0, n_jobs=1).fit(train)
    assert (model.predict(squares) < 0).mean() >= 0.97
    assert (model.predict(rings) < 0).mean() <= 0.08


# --- flat results


def flat(images, thresholds=(0.3,), full_scale=255):
    rule = Binarization(thresholds, full_scale)
    with pytest.raises(DataError) as caught:
        refuse_flat(rule.planes(images, 1), rule, images)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_flat_results_are_refused_with_their_brightest_or_darkest_value():
    dark = np.full((3, 4, 4), 16, np.uint8)
    assert "no pixel of any training image exceeds the threshold" in flat(dark)
    assert "brightest value 16 of 255" in flat(dark) and "full_scale=16" in flat(dark)
    assert "darkest value 200 of 255" in flat(np.full((3, 4, 4), 200, np.uint8))
    assert "brightest value 0.1 of 1" in flat(np.full((3, 4, 4), 0.1))
    assert "values 100 to 100 of 255" in flat(np.full((3, 4, 4), 100, np.uint8), (0.2, 0.6))
    assert "brightest value 900 of 4095" in flat(np.full((3, 4, 4), 900, np.uint16), (0.3,), 4095)


def test_images_that_are_black_or_white_throughout_are_not_refused():
    for value in (0, 1):
        images, rule = np.full((3, 4, 4), value, bool), Binarization((0.3,), 1)
        refuse_flat(rule.planes(images, 1), rule, images)
        images, rule = np.full((3, 4, 4), 255 * value, np.uint8), Binarization((0.2, 0.6), 255)
        refuse_flat(rule.planes(images, 1), rule, images)


def test_images_of_one_bit_that_differs_are_not_flat():
    images = np.zeros((3, 4, 4), np.uint8)
    images[1, 2, 3] = 200
    rule = Binarization((0.3,), 255)
    refuse_flat(rule.planes(images, 1), rule, images)
    steps = np.zeros((3, 4, 4), np.uint8)
    steps[:, 2:] = 200  # the same picture each time, but it holds both
    refuse_flat(rule.planes(steps, 1), rule, steps)


@pytest.mark.parametrize("full_scale", [2, 16, 300, 4095, 2**31])
def test_pictures_of_states_have_the_scale_of_the_images(full_scale):
    rule = Binarization(check_thresholds((0.3, 0.6), full_scale), full_scale)
    values = rule.level_values()
    assert values[0] == 0 and values[-1] == full_scale
    pictures = rule.pictures(np.array([[0, 1, 1, 0, 0, 1]], np.uint8), (1, 3))
    np.testing.assert_array_equal(rule.planes(pictures, 1).states(1), [[0, 1, 1, 0, 0, 1]])


def test_strokes_of_full_ink_have_one_threshold_with_noise_too():
    levels, ink = shapes(40, 8, contrast=235 / 255)
    images = np.rint(levels).astype(np.uint8)
    (threshold,) = chosen_thresholds("auto", images, 255)
    assert 0.3 <= threshold < 0.5 and np.mean(bits_of(images, threshold)[0].ravel() != ink.ravel()) < 1e-3
