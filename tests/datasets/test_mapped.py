# SPDX-License-Identifier: BSD-3-Clause
"""Large .npy files: mapped, and the same images."""

import numpy as np
import pytest

import cbn
from cbn.datasets import load_images


@pytest.mark.parametrize("dtype, order", [(np.uint8, "C"), (np.uint8, "F"), (np.uint16, "C"), (bool, "C")])
def test_large_files_are_mapped(dtype, order, tmp_path, monkeypatch):
    images = np.asarray(np.arange(300).reshape(3, 10, 10) % 251, dtype=dtype, order=order)
    np.save(tmp_path / "x.npy", images)
    read, _ = load_images(tmp_path / "x.npy")
    monkeypatch.setattr("cbn.datasets.arrays.MAPPED_FROM", 300)
    mapped, _ = load_images(tmp_path / "x.npy")
    np.testing.assert_array_equal(mapped.images, read.images)
    assert mapped.images.flags.writeable == (dtype != np.uint8 or order == "F") and type(mapped.images) is np.ndarray
    rate = {"false_alarm_rate": 0.5}
    a, b = (cbn.ConvolutionalBayesianNetwork(**rate).fit(own.images) for own in (read, mapped))
    np.testing.assert_array_equal(a.counts_, b.counts_)
