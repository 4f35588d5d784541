# SPDX-License-Identifier: BSD-3-Clause
"""Shifted copies: pixel by pixel, and what a network learns from them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbn.bits.augmentation import shifted_images
from helpers.networks import Network


@pytest.fixture(scope="module", autouse=True)
def kernels_of_all_images():
    """Kernels of so few images would see a third of them; what is computed here is of all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cbn.fit.preparing.LEAST_FOR_KERNELS", 0)
        yield


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 4), st.integers(1, 6), st.integers(1, 6), st.integers(0, 7),
    st.sampled_from([np.uint8, bool, np.float32, np.float64]),
)  # fmt: skip
def test_every_move_once(n, height, width, shift, dtype):
    images = (np.random.default_rng(n).integers(1, 256, (n, height, width)) / (255 if dtype != np.uint8 else 1)).astype(
        dtype
    )
    before = images.copy()
    found = shifted_images(images, shift)
    assert found.dtype == dtype and found.shape == (n * (2 * shift + 1) ** 2, height, width)
    np.testing.assert_array_equal(found[:n], images)
    np.testing.assert_array_equal(images, before)
    expected = []
    for dy in range(-shift, shift + 1):
        for dx in range(-shift, shift + 1):
            moved = np.zeros_like(images)
            for y, x in np.ndindex(height, width):
                if 0 <= y - dy < height and 0 <= x - dx < width:
                    moved[:, y, x] = images[:, y - dy, x - dx]
            expected.append(moved.tobytes())
    size = n * height * width * images.itemsize
    content = found.tobytes()
    assert sorted(expected) == sorted(content[i : i + size] for i in range(0, len(content), size))


def test_no_shift_is_no_copy():
    images = np.ones((2, 3, 3), np.uint8)
    assert shifted_images(images, 0) is images


@pytest.mark.parametrize("hidden", [None, ((2, 3, 1),)])
def test_a_network_learns_from_the_copies_and_is_calibrated_on_the_images(hidden):
    X = (np.random.default_rng(0).random((110, 9, 9)) < 0.4).astype(np.uint8)
    arguments = {"hidden": hidden, "iterations": 1, "random_state": 0, "n_jobs": 1}
    model = Network(shift=1, **arguments).fit(X)
    by_hand = Network(**arguments).fit(shifted_images(X, 1))
    np.testing.assert_array_equal(model.counts_, by_hand.counts_)
    assert model.n_images_ == by_hand.n_images_ == 990 and len(model.calibration_scores_) == 110
    assert model.provenance_ == by_hand.provenance_
    if hidden:
        found, expected = model.hidden_layers_[0], by_hand.hidden_layers_[0]
        np.testing.assert_array_equal(found.kernels.weights, expected.kernels.weights)
        assert found.layer == expected.layer and found.curve == expected.curve
        np.testing.assert_array_equal(model.layer_scores(X), by_hand.layer_scores(X))
    more = model.partial_fit(X[:100])
    assert more.n_images_ == 990 + 900 and len(more.calibration_scores_) == 100


def test_copies_make_a_model_tolerate_moved_images():
    X = np.zeros((150, 12, 12), np.uint8)
    rng = np.random.default_rng(1)
    for image in X:
        image[3:9, 4:8] = rng.random((6, 4)) < 0.95
    moved = np.roll(X, 1, axis=2)
    plain, shifted = (Network("pixel", shift=s, n_jobs=1).fit(X) for s in (0, 1))
    loss = [(m.score_samples(X) - m.score_samples(moved)).mean() for m in (plain, shifted)]
    assert loss[1] < 0.3 * loss[0]
