# SPDX-License-Identifier: BSD-3-Clause
"""load_mask: which pixels of an image are missing, from whatever file the user has."""

import os

import numpy as np
import numpy.typing as npt

from . import arrays
from ._files import as_path, data_error
from .source import load_images


def load_mask(path: str | os.PathLike[str], shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Read a mask.

    Parameters
    ----------
    path : str or os.PathLike
        One picture, a folder with one picture, an IDX file, or a `.npy` file of (height, width) or (1, height, width).
    shape : (height, width)
        The size that the mask must have.

    Returns
    -------
    ndarray of shape (height, width), bool
        True where the file is bright: above half of the scale, or 1 where it holds only 0 and 1.

    Raises
    ------
    DataError
        One line that names the file, what was found and what to do.
    """
    path = as_path(path)
    if path.suffix.lower() == ".npy" and not path.is_dir():
        array = arrays.read_npy(path, "mask")
        images, binarization = arrays.to_images(array if array.ndim == 3 else array[None], str(path))
    else:
        loaded = load_images(path)[0]
        images, binarization = loaded.images, loaded.binarization
    if len(images) != 1 or images.shape[1:] != tuple(shape):
        found, needed = (f"{height} x {width}" for height, width in (images.shape[1:], shape))
        raise data_error(f"{path}: {len(images)} images of {found} pixels; one of {needed} is needed")
    return images[0] > (0 if binarization is not None else np.uint8(127))
