# SPDX-License-Identifier: BSD-3-Clause
"""Folders of pictures for tests."""

import numpy as np
import pytest
from PIL import Image

from cbn import DataError


def values(seed=0, shape=(8, 8), low=0, high=256, dtype=np.uint8):
    """A picture of random values, which reach from the lowest to the highest."""
    found = np.random.default_rng(seed).integers(low, high, shape)
    found.flat[0], found.flat[-1] = high - 1, low
    return found.astype(dtype)


def save(path, pixels=None, **options):
    """Writes a picture, and the folders above it; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values() if pixels is None else pixels)).save(path, **options)
    return path


def refused(call, *parts):
    """The message of the DataError that a call raises, which is one line and holds all parts."""
    with pytest.raises(DataError) as caught:
        call()
    message = str(caught.value)
    assert message.isprintable()
    for part in parts:
        assert str(part) in message, message
    return message
