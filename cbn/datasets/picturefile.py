# SPDX-License-Identifier: BSD-3-Clause
"""Picture files, read with Pillow as 8-bit grey or RGB, resized on the way."""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from ..exceptions import DataError
from ._files import data_error, reading, scan, too_large

if TYPE_CHECKING:  # Pillow is loaded with the first picture
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm", ".webp")
# The decoders allowed, by content. Without the list Pillow also tries formats that start programs (EPS: Ghostscript).
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "PPM", "WEBP")
# Modes of Pillow that hold one channel of grey.
_GREY_MODES = ("1", "L", "LA", "La", "I", "F")


def list_pictures(folder: str | os.PathLike[str]) -> tuple[list[Path], list[Path]]:
    """The pictures and the sub-folders of a folder, both sorted by name; hidden files and other files are ignored."""
    files, folders = scan(folder)
    return [entry for entry in files if entry.suffix.lower() in SUFFIXES], folders


def no_pictures(folder: str | os.PathLike[str], where: str = "it") -> DataError:
    """The DataError for a folder in which pictures were expected."""
    return data_error(f"{folder}: no pictures found in {where}; expected files that end in {', '.join(SUFFIXES)}")


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator["Image.Image"]:
    """Open a picture and yield it as PIL.Image.Image; what is wrong with the file leaves as a one-line DataError."""
    from PIL import Image

    with reading(path, "a picture") as (stream, _), warnings.catch_warnings():
        # Pillow only warns between one and two times its limit; both mean a picture far too large to learn from
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(stream, formats=_FORMATS) as picture:
                yield picture
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise data_error(f"{path}: the picture is too large ({error}); cut or resize it") from error


def read_picture(
    path: str | os.PathLike[str], color: Literal["grey", "rgb"] = "grey", size: tuple[int, int] | None = None
) -> npt.NDArray[np.uint8]:
    """Read one picture.

    Parameters
    ----------
    path : pathlib.Path
    color : {"grey", "rgb"}
        16-bit values are divided by 257, transparent parts are laid over black; of an animation the first frame.
    size : (height, width), optional
        Resize to so many pixels, by Pillow's bilinear filter, which is antialiased where it shrinks.

    Returns
    -------
    ndarray of shape (height, width), or (height, width, 3) for RGB, uint8

    Raises
    ------
    DataError
        If the file cannot be read, is no picture, or is too large.
    """
    from PIL import Image

    with opened(path) as picture:
        picture = _eight_bits(picture, path).convert("L" if color == "grey" else "RGB")
        if size is not None:
            height, width = size
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        return np.array(picture)


def read_pictures(
    paths: Sequence[Path],
    color: Literal["grey", "rgb"] = "grey",
    size: tuple[int, int] | None = None,
    mend: str = "resize all pictures to one size",
) -> npt.NDArray[np.uint8]:
    """Read pictures of one size, or resized to one, into one array.

    Parameters
    ----------
    paths : list of pathlib.Path
        At least one.
    color, size
        As for :func:`read_picture`.
    mend : str
        What to do about pictures of different sizes, for the message.

    Returns
    -------
    ndarray of shape (n, height, width), or (n, height, width, 3) for RGB, uint8
    """
    first = read_picture(paths[0], color, size)
    try:
        images = np.empty((len(paths), *first.shape), dtype=np.uint8)
    except MemoryError as error:
        raise too_large(paths[0].parent) from error
    images[0] = first
    for i, path in enumerate(paths[1:], start=1):
        picture = read_picture(path, color, size)
        if picture.shape != first.shape:
            (h0, w0), (h1, w1) = first.shape[:2], picture.shape[:2]
            raise data_error(f"{path}: {w1}x{h1} pixels (width x height), but {paths[0]} has {w0}x{h0}; {mend}")
        images[i] = picture
    return images


def has_color(path: str | os.PathLike[str]) -> bool:
    """Whether any pixel of a picture has colour: a picture stored as RGB may still be grey."""
    with opened(path) as picture:
        if picture.mode in _GREY_MODES or picture.mode.startswith("I;16"):
            return False
        rgb = np.asarray(_eight_bits(picture, path).convert("RGB"))
        return not (np.array_equal(rgb[..., 0], rgb[..., 1]) and np.array_equal(rgb[..., 0], rgb[..., 2]))


def _eight_bits(picture: "Image.Image", path: str | os.PathLike[str]) -> "Image.Image":
    """A Pillow picture of which `convert` gives 8-bit grey or RGB without loss of range or transparency."""
    from PIL import Image

    # Pillow's own conversion of 16-bit grey clips at 255. It gives 16-bit PGM (and, in older versions, PNG) mode "I".
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PNG", "PPM")):
        rounded = (np.asarray(picture).astype(np.uint32) + 128) // 257
        return Image.fromarray(rounded.astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise data_error(f"{path}: 32-bit pictures have no fixed range of grey; save it with 8 or 16 bits")
    if picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), picture)
    return picture
