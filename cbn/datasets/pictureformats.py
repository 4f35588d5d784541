# SPDX-License-Identifier: BSD-3-Clause
"""Which files are pictures: what Pillow's registry knows by name, and what its decoders recognize by content."""

import functools
import mimetypes
import os
import stat
import struct
import zlib
from pathlib import Path

from ..io.quiet import quiet

# Formats whose decoders start other programs or need libraries that Pillow does not bring; PDF and the like are only
# written. Everything else that Pillow registers is read.
_NOT_READ = frozenset({"EPS", "WMF", "EMF", "FPX", "MIC", "MPEG", "BUFR", "GRIB", "HDF5"})
# Raw files of cameras are TIFF by their first bytes, but what Pillow reads of them are previews.
_RAW = frozenset({".dng", ".nef", ".nrw", ".cr2", ".arw", ".orf", ".pef", ".rw2", ".srw", ".3fr", ".iiq"})
# TIFF and BMP among others are recognized by their first bytes; such files also count as pictures without an ending.
_NO_PICTURE = "no picture"


@functools.cache
def formats() -> tuple[frozenset[str], dict[str, str]]:
    """(formats that are read, format by ending)."""
    from PIL import Image

    Image.init()
    return frozenset(Image.ID) - _NOT_READ, dict(Image.registered_extensions())


def formats_of(path: Path) -> tuple[str, ...]:
    """The formats that a file may have: the one of its ending first, then those recognized by content."""
    return _formats_of(path.suffix.lower())


@functools.lru_cache(1000)
def _formats_of(ending: str) -> tuple[str, ...]:
    from PIL import Image

    readable, by_ending = formats()
    tested = tuple(name for name in Image.ID if name in readable and Image.OPEN[name][1] is not None)
    named = by_ending.get(ending)
    if named not in readable:
        return tested
    # a decoder without a test of the first bytes would take any file for its own
    return (named, *(name for name in tested if name != named)) if named in tested else (*tested, named)


def is_picture_name(path: Path) -> bool:
    """Whether the ending of a name is that of a picture that is read."""
    readable, by_ending = formats()
    return by_ending.get(path.suffix.lower()) in readable


def kind_of_file(path: Path) -> str | None:
    """None for a picture; otherwise why a file is none."""
    if is_picture_name(path):
        return None  # if it cannot be read as one, that is an error
    ending = path.suffix.lower()
    if ending in _RAW:
        return "raw file of a camera"
    if ending in formats()[1] or (mimetypes.guess_type(path.name)[0] or "").startswith("image/"):
        return "of a format that is not read"
    return None if _looks_like_a_picture(path) else _NO_PICTURE


def _looks_like_a_picture(path: Path) -> bool:
    from PIL import Image

    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with quiet(), Image.open(path, formats=formats_of(path)):
            return True
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return True
    # what decoders raise on files that are none of theirs: nearly everything
    except (OSError, ValueError, SyntaxError, TypeError, AttributeError, LookupError, ArithmeticError, EOFError, MemoryError,
            RuntimeError, AssertionError, struct.error, zlib.error):  # fmt: skip
        return False
