# SPDX-License-Identifier: BSD-3-Clause
"""Picture files, read with Pillow: every page upright, without transparency, as 8 bits or with the range of the file."""

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ..exceptions import DataError
from ._files import data_error, reading
from .pictureformats import formats_of
from .report import Notes

if TYPE_CHECKING:  # Pillow is loaded with the first picture
    from PIL import Image

Background = Literal["black", "white"]

ORIENTATION, NEW_SUBFILE_TYPE, BITS_PER_SAMPLE = 0x0112, 254, 258  # tags of TIFF and EXIF
MAX_SIDE = 2**16  # pixels; the longest that JPEG and most others can have
# All pages of a file may have so many pixels together, and so many more for every byte of the file.
FEW_PIXELS, PIXELS_PER_BYTE = 2**25, 16
# A file may have so many pages, and one more for every so many of its bytes.
FEW_PAGES, BYTES_PER_PAGE = 1000, 1024
# Frames that are no pictures of their own: layers of a composite, previews and other views of a camera's picture.
_ONE_PICTURE = ("PSD", "MPO", "ICO", "CUR", "ICNS")


@dataclass(eq=False)
class Page:
    """One picture of a file, upright and without transparency.

    Attributes
    ----------
    values : ndarray
        (height, width) or (height, width, 3) uint8; or (height, width) of a wider type for more than 8 bits.
    part : str
        "" or, in a file of several pictures, "[2]".
    deep : bool
        More than 8 bits.
    white : int or None
        The value of white; None if only the values can tell it.
    lossy : bool
        Compressed such that values are not exact.
    alpha : (height, width) uint8, or None
        Where transparency was, before it was laid over the background.
    """

    values: npt.NDArray[Any]
    part: str = ""
    deep: bool = False
    white: int | None = 255
    lossy: bool = False
    alpha: npt.NDArray[np.uint8] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)"""
        return self.values.shape[:2]

    @property
    def has_color(self) -> bool:
        return self.values.ndim == 3


@contextmanager
def opened(path: Path) -> Iterator[tuple["Image.Image", int]]:
    """Open a picture and yield (PIL.Image.Image, bytes of the file); what is wrong leaves as a one-line DataError."""
    from PIL import Image, UnidentifiedImageError

    with reading(path, "a picture") as (stream, size):
        try:
            with Image.open(stream, formats=formats_of(path)) as picture:
                yield picture, size
        except UnidentifiedImageError:
            raise data_error(
                f"{path}: cannot be read as a picture (its content is no picture); replace the file"
            ) from None
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise _too_large(path, error) from error


def read_pages(path: Path, background: Background = "black", notes: Notes | None = None) -> Iterator[Page]:
    """Every picture of a file: pages of a TIFF, frames of an animation. To be asked within quiet().

    Parameters
    ----------
    path : pathlib.Path
    background : {"black", "white"}
        What lies behind transparent parts.
    notes : Notes, optional
        Told of pictures that were turned, laid over the background or left out.

    Raises
    ------
    DataError
        If the file cannot be read, is no picture, or is too large.
    """
    notes = Notes(path) if notes is None else notes
    with opened(path) as (picture, size):
        n_frames = getattr(picture, "n_frames", 1)
        if picture.format in _ONE_PICTURE:
            for frame in range(1, n_frames if picture.format == "MPO" else 1):
                notes.leave_out(path, "preview or other view of a camera's picture", f"[{frame}]")
            n_frames = 1
        _check_pages(n_frames, path, size)
        room = _room(size)
        for frame in range(n_frames):
            if n_frames > 1:
                picture.seek(frame)
            room -= _checked_pixels(picture, path, size, room)
            part = f"[{frame}]" if n_frames > 1 else ""
            subfile = getattr(picture, "tag_v2", {}).get(NEW_SUBFILE_TYPE, 0) if frame else 0
            if isinstance(subfile, int) and subfile & 5:
                notes.leave_out(path, "smaller copy or mask of another page", part)
                continue
            page = _decoded(picture, path, part, background, notes)
            page.part = part
            yield page


def _decoded(picture: "Image.Image", path: Path, part: str, background: Background, notes: Notes) -> Page:
    from PIL import Image, ImageOps

    file_format, raw = picture.format, "".join(str(tile[3]) for tile in getattr(picture, "tile", ()))
    wide_colour = ";16" in raw and not picture.mode.startswith("I")  # Pillow keeps the upper 8 bits
    bits = getattr(picture, "tag_v2", {}).get(BITS_PER_SAMPLE, ())
    turned = _orientation(picture) != 1
    picture.load()
    upright = picture
    if turned:
        upright = ImageOps.exif_transpose(picture)
        notes.count("turned upright by its EXIF orientation", path, part)
    if upright.mode.startswith("I") or upright.mode == "F":
        values = np.array(upright)
        if values.dtype.byteorder == ">":
            values = values.astype(values.dtype.newbyteorder("="))
        white = {"PPM": 65535}.get(file_format or "")  # scaled to that by Pillow, from what the file names
        if set(np.atleast_1d(np.asarray(bits, dtype=object)).tolist()) == {12}:
            white = 4095
        return Page(values, deep=True, white=white)
    alpha = None
    if upright.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in upright.info:
        layers = upright.convert("RGBA")
        alpha = np.asarray(layers)[..., 3]
        if alpha.min() == 255:
            alpha, upright = None, layers.convert("RGB")
        else:
            ground = (0, 0, 0, 255) if background == "black" else (255, 255, 255, 255)
            upright = Image.alpha_composite(Image.new("RGBA", layers.size, ground), layers).convert("RGB")
            notes.count(f"with transparent parts, laid over {background}", path, part)
    values = np.array(upright if upright.mode == "L" else upright.convert("L" if upright.mode == "1" else "RGB"))
    if values.ndim == 3 and _is_grey(values):
        values = np.ascontiguousarray(values[..., 0])  # stored as colour, but grey
    if wide_colour and values.max() < 64:
        raise data_error(
            f"{path}{part}: 16 bits a channel of which the upper 8 reach {values.max()} of 255; Pillow reads no more of "
            "such files: save it with 8 bits a channel"
        )
    lossy = file_format in ("JPEG", "MPO", "JPEG2000", "WEBP", "AVIF")
    return Page(values, lossy=lossy, alpha=alpha)


def refuse_vanished(page: Page, path: Path, background: Background) -> None:
    """Raise DataError if all that a picture shows is in its transparency and cannot be seen over the background."""
    if page.alpha is not None and page.alpha.min() < page.alpha.max() and page.values.min() == page.values.max():
        other = "white" if background == "black" else "black"
        raise data_error(
            f"{path}{page.part}: what it shows is in its transparency alone and vanishes over {background}; "
            f"give background={other!r}"
        )


def _orientation(picture: "Image.Image") -> int:
    try:
        return picture.getexif().get(ORIENTATION, 1) or 1
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error):  # damaged metadata of a good picture
        return 1


def _check_pages(n: int, path: Path, size: int) -> None:
    """To reach a page of a TIFF all before it are passed, so time grows with the square of their number."""
    if n > FEW_PAGES + size // BYTES_PER_PAGE:
        raise data_error(f"{path}: {size} bytes claim {n} pages; give pages as files of their own")


def _room(size: int) -> float:
    """How many pixels all pages of a file may have together: few bytes can claim any number."""
    from PIL import Image

    limit = Image.MAX_IMAGE_PIXELS
    return math.inf if limit is None else FEW_PIXELS + PIXELS_PER_BYTE * size


def _checked_pixels(picture: "Image.Image", path: Path, size: int, room: float) -> int:
    """The pixels of a page. Pillow checks the first page alone, and takes hours for rows without end."""
    from PIL import Image

    limit, pixels = Image.MAX_IMAGE_PIXELS, picture.size[0] * picture.size[1]
    if limit is not None and pixels > limit:
        raise _too_large(path, f"{pixels} pixels, the limit is {limit}")
    if max(picture.size) > MAX_SIDE:
        raise _too_large(path, f"{max(picture.size)} pixels along a side, the limit is {MAX_SIDE}")
    if pixels > room:
        raise _too_large(path, f"{size} bytes claim more than {int(room)} pixels")
    return pixels


def _is_grey(values: npt.NDArray[np.uint8]) -> bool:
    """Whether the channels of (height, width, 3) are the same everywhere; the first rows tell it of most that are not."""
    step = max(1, 2**20 // values.shape[1])
    return all(
        bool((rows[..., 0] == rows[..., 1]).all() and (rows[..., 0] == rows[..., 2]).all())
        for rows in (values[begin : begin + step] for begin in range(0, len(values), step))
    )


def _too_large(path: Path, reason: object) -> DataError:
    return data_error(f"{path}: the picture is too large ({reason}); cut or resize it")
