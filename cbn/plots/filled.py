# SPDX-License-Identifier: BSD-3-Clause
"""One picture of several images of which the same pixels are missing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..exceptions import DataError
from .pictures import _GREY, _inpainting_tiles, _tile

if TYPE_CHECKING:
    from PIL import Image

_COLUMNS = 10  # at most, as of one image


def inpaintings(
    images: Sequence[npt.ArrayLike],
    mask: npt.ArrayLike,
    samples: Sequence[npt.ArrayLike],
    means: Sequence[npt.ArrayLike],
    full_scale: int = 1,
) -> "Image.Image":
    """Draw images with a hole one below the other, each followed by the posterior mean and samples.

    Parameters
    ----------
    images : sequence of k (height, width) uint8 or bool arrays
        Values 0 to `full_scale`; those in the hole are not shown.
    mask : (height, width) bool array, True in the hole
    samples : sequence of k (n, height, width) uint8 or bool arrays
    means : sequence of k (height, width) float arrays, from 0 to `full_scale`
    full_scale : int, 1 to 255

    Returns
    -------
    picture : PIL.Image.Image of mode "RGB"; the hole is blue; every image begins a row of at most 10 pictures

    Raises
    ------
    DataError
        No image, or arrays of other shapes or values than these.
    """
    if not len(images) or not len(images) == len(samples) == len(means):
        found = f"{len(images)} images, samples of {len(samples)} and {len(means)} means"
        raise DataError(f"images, samples, means: there must be as many of each, and one at least, got {found}")
    blocks = [_inpainting_tiles(*of, full_scale) for of in zip(images, [mask] * len(images), samples, means)]
    n_tiles = max(map(len, blocks))
    n_rows = -(-n_tiles // _COLUMNS)
    columns = -(-n_tiles // n_rows)
    padded = np.full((len(blocks), n_rows * columns, *blocks[0].shape[1:]), _GREY, np.uint8)
    for place, block in zip(padded, blocks):
        place[: len(block)] = block
    return _tile(padded.reshape(-1, *blocks[0].shape[1:]), columns=columns, scale=None, gap=1)
