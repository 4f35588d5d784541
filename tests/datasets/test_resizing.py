# SPDX-License-Identifier: BSD-3-Clause
"""Arrays brought to a model's size: the same values as of files, errors in one line."""

import numpy as np
import pytest
from PIL import Image

import cbn
from cbn.datasets import load_test, resize_pictures


@pytest.mark.parametrize("shape", [(24, 30), (96, 50), (24, 31, 3), (64, 64, 3), (64, 64)])
@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_become_what_files_become(shape, channels, tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{i}.png")
    files = load_test(tmp_path, size=64, color="grey" if channels == 1 else "rgb").test
    found = resize_pictures(pictures, (64, 64, channels))
    assert found.dtype == np.uint8 and found.shape == files.shape
    np.testing.assert_array_equal(found, files)


def test_sizes_and_colours_may_differ():
    grey = np.arange(200, dtype=np.uint8).reshape(10, 20)
    found = resize_pictures(iter([grey, grey[..., None], np.dstack([grey] * 3)]), (10, 20, 3))
    assert found.shape == (3, 10, 20, 3)
    for picture in found:
        np.testing.assert_array_equal(picture, np.dstack([grey] * 3))


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        ([], "there are none"),
        ([np.zeros((4, 4))], r"pictures\[0\]: float64; give arrays of uint8"),
        ([[1, 2]], r"pictures\[0\]: list"),
        ([np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)], r"pictures\[1\]: shape 4x4x4"),
        (np.zeros((4, 4), np.uint8), r"pictures\[0\]: shape 4;"),
        ([np.zeros((0, 4), np.uint8)], r"pictures\[0\]: shape 0x4"),
    ],
)
def test_what_is_no_picture_is_refused(pictures, words):
    with pytest.raises(cbn.DataError, match=words):
        resize_pictures(pictures, (8, 8, 1))


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 2), (0, 8, 1)])
def test_shapes_that_are_none_are_refused(shape):
    with pytest.raises(ValueError, match="picture_shape"):
        resize_pictures([np.zeros((4, 4), np.uint8)], shape)


def test_a_model_names_the_function_for_pictures_of_another_size():
    made = cbn.datasets.make_category("texture", 12, 2, 1, size=48)
    model = cbn.IntrospectiveEnergyModel(false_alarm_rate=0.2).fit(made.train)
    frames = made.test[:, :40, :32]
    with pytest.raises(cbn.DataError, match=r"give cbn.datasets.resize_pictures\(X, \(48, 48, 1\)\)"):
        model.verdicts(frames)
    assert len(model.verdicts(resize_pictures(frames, (48, 48, 1))).verdicts) == len(frames)
