# SPDX-License-Identifier: BSD-3-Clause
"""Stochastic binarization: every pixel drawn once, with its grey value as the probability of being 1.

The protocol of Salakhutdinov & Murray 2008, "On the quantitative analysis of deep belief networks", under which most
likelihoods of MNIST are published (NADE and its successors).
"""

from dataclasses import replace

import numpy as np

from .. import _engine
from ._files import data_error
from .imageset import ImageSet

# Splits draw different numbers: pixel j of image i of a split, images of n pixels, is step BLOCK * split + n i + j of
# chain 0, far from the steps of the samplers that have the same seed.
BLOCK = 1 << 56
SPLITS = {"train": 1, "test": 2, "calibration": 3, "val": 4}
# How ``binarization`` of such images begins.
RULE = "stochastic, value / 255"
# Images drawn at a time: 6 MB of numbers for pictures of 28 x 28.
BATCH = 1024


def draw_binary(images: ImageSet, seed: int, split: str = "train") -> ImageSet:
    """Binarize grey images stochastically: a pixel is 1 with probability value / 255.

    Parameters
    ----------
    images : ImageSet
        Grey images.
    seed : int
        From 0 to 2^64 - 1. What is drawn for an image is a function of the seed, the split and the index of the image.
    split : {"train", "test", "calibration", "val"}
        Which part the images are: parts draw different numbers.

    Returns
    -------
    ImageSet
        Images of 0 and 1; ``binarization`` names the rule and the seed.

    Raises
    ------
    DataError
        Images that are binary already.
    ValueError
        A split that is not one of these.

    Examples
    --------
    >>> grey = ImageSet(np.full((1, 1, 8), 128, np.uint8))
    >>> drawn = draw_binary(grey, seed=0)
    >>> drawn.binarization, sorted(np.unique(drawn.images).tolist())
    ('stochastic, value / 255, seed 0', [0, 1])
    """
    if images.binarization is not None:
        raise data_error(
            f"images: binary already ({images.binarization}), but stochastic binarization draws from grey values; give "
            "grey images"
        )
    if split not in SPLITS:
        raise ValueError(f"split: {split!r}; give one of {', '.join(SPLITS)}")
    values = images.images.reshape(len(images), -1)
    n_pixels = values.shape[1]
    bits = np.empty(values.shape, np.uint8)
    for first in range(0, len(values), BATCH):
        part = values[first : first + BATCH]
        u = np.empty((1, part.size))
        _engine.uniform(seed, _engine.RANDOM_START, BLOCK * SPLITS[split] + first * n_pixels, u)
        bits[first : first + BATCH] = 255 * u.reshape(part.shape) < part
    return replace(images, images=bits.reshape(images.images.shape), binarization=f"{RULE}, seed {seed}")
