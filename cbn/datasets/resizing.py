# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of any size as a model needs them: the filter by which files are resized, for arrays as well."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from ._files import data_error, sizes


def resized(values: npt.NDArray[Any], shape: tuple[int, int]) -> npt.NDArray[Any]:
    """A picture (height, width) or (height, width, 3), uint8 or float32, in another size (height, width)."""
    from PIL import Image

    return np.array(Image.fromarray(values).resize(shape[::-1], Image.Resampling.BILINEAR))


def grey_of(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A picture (height, width, 3) without its colour."""
    from PIL import Image

    return np.asarray(Image.fromarray(values).convert("L"))


def resize_pictures(pictures: Iterable[npt.NDArray[np.uint8]], picture_shape: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Arrays as a model needs them, to the same values as the programs make of files.

    Files are read that way by :func:`load_test` with the same size and colour.

    Parameters
    ----------
    pictures : iterable of ndarray, (height, width), (height, width, 1) or (height, width, 3) uint8
        Grey or RGB, 0 to 255, of any size each.
    picture_shape : (height, width, channels)
        What the model needs, 1 or 3 channels: ``model.fitted_.picture_shape``. Pictures are resized to exactly that size by
        an antialiased bilinear filter, whatever their proportions; colour is made grey, and grey is put into all channels.

    Returns
    -------
    ndarray of shape (n, height, width) for 1 channel, (n, height, width, 3) for 3; uint8

    Raises
    ------
    DataError
        For what is no such picture, or none at all. ValueError for a shape that is none.

    Examples
    --------
    >>> frame = np.zeros((320, 240, 3), np.uint8)
    >>> resize_pictures([frame, frame[..., 0]], (224, 224, 3)).shape
    (2, 224, 224, 3)
    """
    if len(picture_shape) != 3 or picture_shape[2] not in (1, 3):
        raise ValueError(f"picture_shape: {tuple(picture_shape)}; give (height, width, channels), 1 or 3 channels")
    height, width = validation.check_shape(tuple(picture_shape[:2]), "picture_shape")
    found = [_converted(own, number, (height, width), picture_shape[2]) for number, own in enumerate(pictures)]
    if not found:
        raise data_error("pictures: there are none; give at least one array (height, width) or (height, width, 3)")
    return np.stack(found)


def _converted(picture: Any, number: int, shape: tuple[int, int], channels: int) -> npt.NDArray[np.uint8]:
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8:
        what = picture.dtype if isinstance(picture, np.ndarray) else type(picture).__name__
        raise data_error(f"pictures[{number}]: {what}; give arrays of uint8, 0 to 255")
    values = picture[..., 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture
    if 0 in values.shape or values.shape[2:] not in ((), (3,)) or values.ndim not in (2, 3):
        raise data_error(
            f"pictures[{number}]: shape {sizes(picture.shape)}; pictures are (height, width) or (height, width, 3)"
        )
    if channels == 1 and values.ndim == 3:
        values = grey_of(np.ascontiguousarray(values))
    if values.shape[:2] != shape:
        values = resized(np.ascontiguousarray(values), shape)
    return np.repeat(values[..., None], 3, axis=2) if channels == 3 and values.ndim == 2 else values
