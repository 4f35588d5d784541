# SPDX-License-Identifier: BSD-3-Clause
"""Arrays of images: integers and floats of any scale, one picture that is taken for many."""

import warnings

import numpy as np
import pytest

from cbn import _validation as validation
from cbn.bits.binarization import Binarization
from cbn.fit.settings import Arguments, resolve
from helpers.folders import refused, values


@pytest.mark.parametrize("brightest", [2, 15, 16, 31, 63])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, ">u2"])
def test_small_integers_are_of_unknown_scale(brightest, dtype):
    images = values(shape=(3, 4, 4), high=brightest + 1, dtype=dtype)
    refused(
        lambda: validation.full_scale_of(validation.as_images(images)),
        f"X: integers from 0 to {brightest}, whose scale is unknown: give full_scale={brightest} if that is white",
    )
    scaled = validation.as_images(images, full_scale=brightest)
    assert scaled.dtype == np.uint8 and scaled.max() == brightest
    bits = Binarization((0.5,), brightest).planes(scaled, 1).states(1)
    np.testing.assert_array_equal(bits, (images > np.floor(0.5 * brightest)).reshape(3, -1))


@pytest.mark.parametrize("brightest", [300, 1023, 4095, 65535, 10**6])
def test_large_integers_need_their_full_scale(brightest):
    images = values(shape=(3, 4, 4), high=brightest + 1, dtype=np.int64)
    refused(lambda: validation.as_images(images), f"integers from 0 to {brightest}", f"full_scale={brightest}")
    refused(lambda: validation.as_pictures(images), f"X / {brightest}")
    refused(lambda: validation.as_images(images, full_scale=brightest - 1), f"white is full_scale={brightest - 1}")
    scaled = validation.as_images(images, full_scale=brightest)
    assert scaled.dtype == (np.uint16 if brightest < 2**16 else np.uint32)
    bits = Binarization((0.25, 0.5), brightest).planes(scaled, 1).states(1).reshape(3, 2, 4, 4)
    np.testing.assert_array_equal(bits[:, 0], images > 0.25 * brightest)
    np.testing.assert_array_equal(bits[:, 1], images > 0.5 * brightest)


def test_a_dark_image_of_a_known_scale_stays_dark():
    dark = np.full((1, 4, 4), 9, np.uint8)
    assert validation.as_images(dark, full_scale=255) is not None
    assert validation.as_images(dark, full_scale=4095).dtype == np.uint16
    assert not Binarization((0.1,), 4095).planes(dark, 1).states(1).any()


@pytest.mark.parametrize(
    ("images", "full_scale"),
    [
        (np.ones((2, 3, 3), bool), 1), (np.ones((2, 3, 3), np.uint8), 1), (np.zeros((2, 3, 3), int), 1),
        (np.full((2, 3, 3), 255, np.uint8), 255), (np.full((2, 3, 3), 64, np.uint8), 255), (np.ones((2, 3, 3)), 255),
    ],
)  # fmt: skip
def test_known_scales_are_as_they_were(images, full_scale):
    assert validation.full_scale_of(validation.as_images(images)) == full_scale


# --- floats


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("low", "high"), [(-1e-9, 1.0), (0.0, 1 + 2e-7), (-5e-7, 1 + 5e-7)])
def test_floats_a_little_outside_are_clipped_with_one_warning(low, high, dtype):
    images = np.array([[[low, 0.5], [0.25, high]]], dtype)
    if images.min() >= 0 and images.max() <= 1:
        return  # the type is too coarse to be outside
    with pytest.warns(UserWarning, match="^X: floats from .* were clipped to") as caught:
        clipped = validation.as_images(images)
    assert len(caught) == 1 and clipped.min() >= 0 and clipped.max() <= 1 and clipped.dtype == dtype
    assert clipped[0, 0, 1] == 0.5


@pytest.mark.parametrize(("low", "high"), [(-1e-4, 1), (0, 1.001), (-1, 1), (0, 255.0), (0, 16.0), (-2.5, 3)])
def test_floats_further_outside_are_refused(low, high):
    images = np.array([[[low, 0.5], [0.25, high]]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refused(lambda: validation.as_images(images), "X: floats from", "[0, 1]")


def test_whole_floats_are_told_how_to_become_integers():
    refused(lambda: validation.as_images(np.array([[[0.0, 16.0]]])), "X.astype(int)", "full_scale=16")


# --- one picture that is no set of images


@pytest.mark.parametrize("shape", [(28, 28, 3), (64, 48, 4), (8, 8, 3)])
def test_one_picture_of_channels_is_not_many_images(shape):
    picture = values(shape=shape)
    refused(lambda: validation.as_images(picture), f"one picture of {shape[2]} channels", "image[None]")
    refused(lambda: validation.as_images(picture, image_shape=shape[:2]), f"one picture of {shape[2]} channels")
    refused(lambda: validation.as_pictures(picture), "one picture of", "picture[None")
    assert validation.as_images(picture, image_shape=shape[1:]).shape == shape  # narrow images, if one says so
    assert validation.as_pictures(picture[None, ..., :3]).shape == (1, *shape[:2], 3)


@pytest.mark.parametrize("shape", [(28, 28, 5), (5, 4, 4), (7, 5, 3)])
def test_other_shapes_are_images(shape):
    assert validation.as_images(values(shape=shape)).shape == shape


@pytest.mark.parametrize("side", [16, 25, 64])
def test_one_picture_without_channels_is_not_many_flat_images(side):
    picture = values(shape=(side, side))
    refused(lambda: validation.as_images(picture), "one image", "image[None]", "image_shape=")
    root = int(side**0.5)
    assert validation.as_images(picture, image_shape=(root, root)).shape == (side, root, root)
    refused(lambda: validation.as_images(picture, image_shape=(side, side)), "for one image use image[None]")


def test_channel_axes_are_named():
    refused(lambda: validation.as_images(values(shape=(2, 8, 8, 1))), "X[..., 0]")
    refused(lambda: validation.as_images(values(shape=(2, 8, 8, 3))), "3 channels: make the images grey")


# --- the argument


@pytest.mark.parametrize("full_scale", [None, 1, 2, 16, 255, 4095, 2**31, np.int64(7)])
def test_full_scales_that_may_be(full_scale):
    found = resolve(Arguments(full_scale=full_scale, threshold=0.5)).full_scale
    assert found == full_scale and (found is None or type(found) is int)


@pytest.mark.parametrize("full_scale", [0, -1, 2**31 + 1, 1.5, True, "255", np.array([1])])
def test_full_scales_that_are_none(full_scale):
    with pytest.raises(ValueError, match=r"^full_scale: .*; give a whole number from 1 to 2147483648"):
        resolve(Arguments(full_scale=full_scale))
