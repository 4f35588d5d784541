# SPDX-License-Identifier: BSD-3-Clause
"""States of hidden nodes, the mean pixels below them, and the picture of both."""

import numpy as np
import pytest
from PIL import Image

import cbn
from cbn.layers.geometry import LayerGeometry
from cbn.layers.kernels import Kernels
from cbn.plots import responses
from helpers.networks import Network


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 2, (60, 11, 12)).astype(np.uint8)


@pytest.fixture(scope="module")
def model(images):
    return Network("hidden", hidden=((3, 3, 2), (2, 2, 1)), iterations=1, random_state=0, false_alarm_rate=0.5).fit(
        images
    )


def naive_states(below, kernels):
    """Convolution, max pooling and threshold of one image (channels, height, width), node by node."""
    n, _, size, _ = kernels.weights.shape
    weights = np.rint(kernels.weights * 2**20)
    bias = np.rint(kernels.bias * 2**20)
    height, width = ((side - size + 1) // kernels.pool for side in below.shape[1:])
    states = np.zeros((n, height, width), np.uint8)
    for k in range(n):
        for y in range(height):
            for x in range(width):
                states[k, y, x] = any(
                    (weights[k] * below[:, a : a + size, b : b + size]).sum() + bias[k] > 0
                    for a in range(y * kernels.pool, (y + 1) * kernels.pool)
                    for b in range(x * kernels.pool, (x + 1) * kernels.pool)
                )
    return states


def test_hidden_states_against_the_definition(model, images):
    found = model.hidden_states(images[:6])
    assert [(s.shape, s.dtype) for s in found] == [((6, 3, 4, 5), np.uint8), ((6, 2, 3, 4), np.uint8)]
    for i in range(6):
        below = images[i][None]
        for states, trained in zip(found, model.hidden_layers_):
            below = naive_states(below, trained.kernels)
            np.testing.assert_array_equal(states[i], below)


def test_hidden_states_of_flat_images_and_any_threads(model, images):
    flat = Network(
        "hidden", hidden=((3, 3, 2), (2, 2, 1)), iterations=1, random_state=0, false_alarm_rate=0.5,
        image_shape=(11, 12), n_jobs=3,
    ).fit(images.reshape(60, -1))  # fmt: skip
    for a, b in zip(flat.hidden_states(images.reshape(60, -1)), model.hidden_states(images), strict=True):
        np.testing.assert_array_equal(a, b)


def test_pixels_alone_have_no_hidden_states(images):
    model = Network(false_alarm_rate=0.5).fit(images)
    assert model.hidden_states(images) == [] and model.mean_patches(images) == []
    assert [(g.height, g.receptive_field) for g in model.layer_geometries()] == [(11, 1)]


def test_an_estimator_that_is_not_fitted(images):
    from sklearn.exceptions import NotFittedError

    for method in ("hidden_states", "mean_patches", "markov_report"):
        with pytest.raises(NotFittedError):
            getattr(Network(), method)(images)


def test_images_of_another_size_are_refused(model, images):
    for method in ("hidden_states", "mean_patches", "markov_report"):
        with pytest.raises(cbn.DataError, match="^X: "):
            getattr(model, method)(images[:, :5])


def test_mean_patches_against_a_loop(model, images):
    hidden = zip(model.mean_patches(images), model.hidden_states(images), model.layer_geometries()[1:], strict=True)
    for found, states, geometry in hidden:
        field, stride = geometry.receptive_field, geometry.stride
        assert found.shape == (geometry.channels, 2, field, field)
        for kernel in range(geometry.channels):
            for state in (0, 1):
                patches = [
                    images[i, y * stride : y * stride + field, x * stride : x * stride + field]
                    for i, y, x in np.argwhere(states[:, kernel] == state)
                ]
                np.testing.assert_allclose(found[kernel, state], np.mean(patches, axis=0), atol=1e-12)


def test_mean_patches_show_what_a_kernel_looks_for(images):
    """A kernel that is on exactly under a lit upper left pixel, and one that is never on."""
    weights = np.zeros((2, 1, 3, 3))
    weights[:, 0, 0, 0] = 1
    kernels = [Kernels(weights, np.array([-0.5, -5.0]), 1)]
    model = Network(
        "hidden", hidden=((2, 3, 1),), kernels=kernels, iterations=0, keep_activation=False, false_alarm_rate=0.5
    ).fit(images)
    (patches,) = model.mean_patches(images)
    assert (patches[0, 0, 0, 0], patches[0, 1, 0, 0]) == (0.0, 1.0)
    assert 0.4 < patches[0, :, 1:].min() and patches[0, :, 1:].max() < 0.6
    assert np.isnan(patches[1, 1]).all() and np.isfinite(patches[1, 0]).all()


def test_mean_patches_are_shares_of_full_scale():
    grey = np.random.default_rng(1).integers(0, 256, (40, 8, 8)).astype(np.uint8)
    model = Network(
        "hidden", hidden=((2, 3, 1),), threshold=(0.2, 0.6), iterations=0, random_state=0, false_alarm_rate=0.5
    ).fit(grey)
    (patches,) = model.mean_patches(grey)
    assert 0 <= patches.min() and patches.max() <= 1
    whole = model.binarized_pictures(grey).mean() / 255
    assert patches.mean() == pytest.approx(whole, abs=0.1)


# ---- pictures ----


def picture_of(model, images, n, every):
    names = [str(i) for i in range(n)]
    geometries = model.layer_geometries()[1:]
    return responses.response_picture(
        images[:n], names, model.hidden_states(images[:n]), model.mean_patches(every), geometries
    )


def test_a_node_is_drawn_at_the_centre_of_its_field():
    geometry = LayerGeometry(1, 3, 2, receptive_field=4, stride=2)
    states = np.array([[1, 0], [0, 1], [1, 1]], np.uint8)
    drawn = responses._node_map(states, geometry, (8, 6), scale=3)
    assert drawn.shape == (24, 18)
    outside = np.ones((24, 18), bool)
    for y in range(3):
        for x in range(2):
            top, left = 3 * (2 * y + 1), 3 * (2 * x + 1)  # one pixel inside the field of four, three times enlarged
            assert (drawn[top : top + 6, left : left + 6] == 255 * states[y, x]).all()
            outside[top : top + 6, left : left + 6] = False
    assert (drawn[outside] == responses._OUTSIDE).all()


def test_picture_holds_the_images_and_the_maps(model, images):
    picture = picture_of(model, images, 3, images)
    assert picture.mode == "RGB"
    pixels = np.asarray(picture)[..., 0]
    lines = [line.tobytes() for line in pixels]
    scale = responses._LARGEST // 12

    def found(grey):
        """Whether a tile is somewhere in the picture."""
        first = np.ascontiguousarray(grey[0]).tobytes()
        for y, line in enumerate(lines):
            x = line.find(first)
            while x >= 0:
                if np.array_equal(pixels[y : y + grey.shape[0], x : x + grey.shape[1]], grey):
                    return True
                x = line.find(first, x + 1)
        return False

    for i in range(3):
        assert found((255 * images[i]).repeat(scale, 0).repeat(scale, 1))
        for states, geometry in zip(model.hidden_states(images[i : i + 1]), model.layer_geometries()[1:]):
            for own in states[0]:
                assert found(responses._node_map(own, geometry, (11, 12), scale))
    assert not found((255 * images[3]).repeat(scale, 0).repeat(scale, 1))  # an image that was not given


def test_pictures_are_repeatable_and_grow_by_rows(model, images):
    one, three = (picture_of(model, images, n, images) for n in (1, 3))
    assert one.width == three.width and one.height < three.height
    assert picture_of(model, images, 3, images).tobytes() == three.tobytes()


def test_tiles_stay_legible_with_many_kernels():
    geometry = LayerGeometry(40, 5, 5, receptive_field=4, stride=1)
    states, patches = np.zeros((1, 40, 5, 5), np.uint8), np.full((40, 2, 4, 4), np.nan)  # never seen: grey
    picture = responses.response_picture(np.zeros((1, 8, 8), np.uint8), ["x"], [states], [patches], [geometry])
    assert picture.width > 40 * responses._SMALLEST
    large = responses.response_picture(np.zeros((1, 200, 150), np.uint8), ["x"], [states], [patches], [geometry])
    assert large.width > 40 * 150  # never shrunk


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"images": np.zeros((2, 8))}, "images"),
        ({"images": np.full((2, 8, 8), 7, np.uint8)}, "full_scale"),
        ({"names": ["one"]}, "name"),
        ({"states": []}, "states"),
        ({"geometries": [], "states": [], "patches": []}, "geometries"),
    ],
)
def test_pictures_that_cannot_be(change, word):
    given = {
        "images": np.zeros((2, 8, 8), np.uint8),
        "names": ["a", "b"],
        "states": [np.zeros((2, 1, 5, 5), np.uint8)],
        "patches": [np.zeros((1, 2, 4, 4))],
        "geometries": [LayerGeometry(1, 5, 5, 4, 1)],
    }
    assert isinstance(responses.response_picture(**given), Image.Image)
    with pytest.raises(ValueError, match=word):
        responses.response_picture(**given | change)
