# SPDX-License-Identifier: BSD-3-Clause
"""Masks: which pixels of an image are missing or defective, from whatever file the user has."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..io.quiet import quiet
from . import arrays
from ._files import as_path, data_error
from .idx import load_idx
from .listing import Lister
from .picturefile import Page, read_pages
from .pictureformats import is_picture_name, kind_of_file
from .report import Notes

# A mask that reaches beyond the middle of the 8 bits is one of black and white; otherwise its values number kinds.
_MIDDLE = 127


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
        True where the file is bright: above the middle of the scale; above 0 where all values lie below the middle, as 0
        and 1 do; where the picture is opaque, if it shows nothing but its transparency.

    Raises
    ------
    DataError
        One line that names the file, what was found and what to do.
    """
    path = as_path(path)
    file, count = path, 1
    if path.is_dir():
        pictures = Lister(Notes(path))(path)[0]
        file, count = (pictures or [path])[0], len(pictures)
    if count != 1:
        raise data_error(f"{path}: {count} pictures; one mask of {shape[0]} x {shape[1]} pixels is needed")
    mask = read_mask(file)
    if mask.shape != tuple(shape):
        raise data_error(
            f"{file}: a mask of {mask.shape[0]} x {mask.shape[1]} pixels; one of {shape[0]} x {shape[1]} is needed"
        )
    return mask


def read_mask(path: Path) -> npt.NDArray[np.bool_]:
    """The mask in a file, in its own size; see :func:`load_mask`. Raises DataError."""
    if path.suffix.lower() == ".npy":
        return _of_array(arrays.read_npy(path, "mask"), path)
    if not is_picture_name(path) and (not path.is_file() or kind_of_file(path) is not None):
        return _of_array(load_idx(path), path)
    with quiet():
        pages = list(read_pages(path))
    if len(pages) != 1:
        raise data_error(f"{path}: {len(pages)} pages; save one mask alone")
    return mask_of_page(pages[0])


def mask_of_page(page: Page) -> npt.NDArray[np.bool_]:
    """Where a picture is bright, or opaque if it shows nothing but its transparency."""
    values = page.values if page.values.ndim == 2 else page.values.max(axis=2)
    if page.alpha is not None and page.alpha.min() < page.alpha.max() and values.max() == values.min():
        values = page.alpha
    return _bright(values, page.lossy)


def _of_array(array: npt.NDArray[Any], path: Path) -> npt.NDArray[np.bool_]:
    if array.ndim == 3 and 1 in (array.shape[0], array.shape[2]):
        array = array[0] if array.shape[0] == 1 else array[..., 0]
    if array.ndim != 2:
        raise data_error(f"{path}: an array of shape {array.shape}; one mask is (height, width)")
    if array.dtype.kind == "b":
        return array.view(np.uint8) != 0
    if not np.isfinite(array).all() or array.min() < 0:
        raise data_error(f"{path}: a mask with negative values, NaN or infinity; save 0 and 1, or booleans")
    return array > 0.5 if array.dtype.kind == "f" and array.max() <= 1 else _bright(array, lossy=False)


def _bright(values: npt.NDArray[Any], lossy: bool) -> npt.NDArray[np.bool_]:
    """Values above the middle of their scale, or above 0 where these number kinds of defects."""
    high = values.max()
    if lossy:
        return values > high / 2
    if high <= _MIDDLE:
        return values > 0
    white = next((white for white in (255, 65535) if high <= white), high)
    return values > (white // 2 if high > white // 2 else 0)


def resized_mask(mask: npt.NDArray[np.bool_], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """A mask in another size, in which no defect vanishes.

    A pixel of the result belongs to a defect if the share of it that is covered is at least half of the largest such
    share within the connected defect: for large defects that is the nearest outline, and what is smaller than a pixel
    keeps one.

    Parameters
    ----------
    mask : ndarray of shape (h, w), bool
    size : (height, width)

    Returns
    -------
    ndarray of shape (height, width), bool

    Examples
    --------
    >>> mask = np.zeros((4, 4), bool)
    >>> mask[0, 0] = True
    >>> resized_mask(mask, (2, 2)).tolist()
    [[True, False], [False, False]]
    """
    from PIL import Image
    from scipy import ndimage

    height, width = size
    share = np.asarray(Image.fromarray(mask.astype(np.float32)).resize((width, height), Image.Resampling.BOX))
    defects, n_defects = ndimage.label(share > 0, structure=np.ones((3, 3)))
    largest = np.zeros(n_defects + 1)
    largest[1:] = ndimage.maximum(share, defects, np.arange(1, n_defects + 1))
    return (share > 0) & (share >= 0.5 * largest[defects])
