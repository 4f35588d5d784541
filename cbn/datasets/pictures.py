# SPDX-License-Identifier: BSD-3-Clause
"""Many picture files as one array: one size, one scale of grey, grey or RGB."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from ..exceptions import DataError
from ._files import data_error, listed, sizes, too_large
from .pages import Read, pages_of_all
from .pictureoptions import Options
from .report import Notes, plural

MEND_OF_SIZES = "give size=(height, width) to bring all to one"


@dataclass(frozen=True, eq=False)
class Pictures:
    """What was read.

    Attributes
    ----------
    images : ndarray of shape (n, height, width) or (n, height, width, 3), uint8
    paths : list of pathlib.Path
        The file of every picture.
    parts : list of str
        "" or, in a file of several pictures, "[2]".
    shapes : list of (height, width)
        Before resizing.
    """

    images: npt.NDArray[np.uint8]
    paths: list[Path]
    parts: list[str]
    shapes: list[tuple[int, int]]


def read_pictures(paths: Sequence[Path], options: Options, notes: Notes, where: Path) -> Pictures:
    """Read all pictures of some files into one array.

    Parameters
    ----------
    paths : list of pathlib.Path
    options : Options
    notes : Notes
        Told of everything that was left out, converted or assumed.
    where : pathlib.Path
        What holds the files, for messages.

    Raises
    ------
    DataError
        Files that cannot be read, pictures of different sizes or unknown scale, colour where it is refused.
    """
    try:
        read = [page for pages in pages_of_all(paths, options, notes) for page in pages]
        if not read:
            raise none_readable(where, len(paths))
        found_sizes, scale = Sizes(options, notes, where), Scale(options)
        for one in read:
            found_sizes.add(one)
            scale.add(one)
        found_sizes.check()
        white = scale.white() if scale.count else None
        scale.note(notes)
        has_color = any(one.values.ndim == 3 for one in read)
        channels = (3,) if (has_color if options.color == "auto" else options.color == "rgb") else ()
        images = np.empty((len(read), *options.target(read[0].shape), *channels), np.uint8)
        for i, one in enumerate(read):
            values = scale.in_bytes(one, white)
            images[i] = values if values.ndim == images.ndim - 1 else values[..., None]
            one.values = values[:0]  # memory of two copies is not needed
    except MemoryError as error:
        raise too_large(where) from error
    note_darkness(int(images.max()), notes)
    return Pictures(images, [one.path for one in read], [one.part for one in read], [one.shape for one in read])


def none_readable(where: Path, count: int) -> DataError:
    """The DataError for pictures of which none was read."""
    return data_error(f"{where}: none of {count} pictures can be read; replace the files")


def note_darkness(brightest: int, notes: Notes) -> None:
    """Says so where the brightest of all values 0 to 255 is nearly black."""
    if 1 < brightest < validation.DARKEST_WHITE:
        notes.assume(
            f"nearly black: the brightest value is {brightest} of 255; full_scale={brightest} if that is white"
        )


class Sizes:
    """The sizes of pictures, which must be one unless all are resized."""

    def __init__(self, options: Options, notes: Notes, where: Path) -> None:
        self.options, self.notes, self.where = options, notes, where
        self._found: Counter[tuple[int, int]] = Counter()
        self._first: dict[tuple[int, int], str] = {}

    def add(self, one: Read) -> None:
        """A picture more."""
        self._found[one.shape] += 1
        if one.shape not in self._first:
            self._first[one.shape] = f"{self.notes.name(one.path)}{one.part}"

    @property
    def differ(self) -> bool:
        return self.options.size is None and len(self._found) > 1

    def check(self) -> None:
        """Raise DataError if there are several."""
        if self.differ:
            groups = [
                f"{n} of {sizes(shape)} ({self._first[shape]}{', ...' if n > 1 else ''})"
                for shape, n in self._found.most_common()
            ]
            raise data_error(
                f"{self.where}: pictures of different sizes, height x width: {listed(groups, 5)}; {MEND_OF_SIZES}"
            )


class Scale:
    """What white is in pictures that are of one scale but whose files do not tell it: all of them together do."""

    def __init__(self, options: Options) -> None:
        self.given = options.full_scale
        self.count, self.whole = 0, True
        self.darkest, self.brightest = (math.inf, ""), (-math.inf, "")

    def concerns(self, one: Read) -> bool:
        """A full scale beyond 255 is for pictures of more than 8 bits alone, and for none whose file tells what white is."""
        return one.white is None or (self.given is not None and self.given <= 255 and not one.deep)

    def add(self, one: Read) -> None:
        """A picture more, if it is concerned."""
        if self.concerns(one):
            self.count += 1
            self.whole &= one.whole
            if one.darkest < self.darkest[0]:
                self.darkest = one.darkest, f"{one.path}{one.part}"
            if one.brightest > self.brightest[0]:
                self.brightest = one.brightest, f"{one.path}{one.part}"

    def white(self) -> float:
        """What white is in the pictures that are concerned. Raises DataError."""
        value, name = self.darkest
        if value < 0:
            raise data_error(f"{name}: value {value:g} below 0; 0 is black: shift the values")
        value, name = self.brightest
        if self.given is not None:
            if value > self.given * (1 + validation.ROUNDING):
                raise data_error(f"{name}: value {value:g} above full_scale={self.given:g}; give what white is")
            return self.given
        known = assumed_white(value, self.whole)
        if known is None:
            raise unknown_scale(name, value)
        return known

    def note(self, notes: Notes) -> None:
        """What was made of them."""
        if not self.count:
            return
        white, pictures = self.white(), plural(self.count, "picture")
        if self.given is not None:
            notes.assume(f"{pictures} scaled from 0..{white:g} to 0..255, as full_scale says")
        elif white != 255:
            notes.assume(f"{pictures} of more than 8 bits scaled from 0..{white} to 0..255")

    def in_bytes(self, one: Read, white: float | None) -> npt.NDArray[np.uint8]:
        """The values of a picture, 0 to 255; ``white`` as of all that are concerned."""
        own = white if white is not None and self.concerns(one) else one.white or 255
        return one.values if own == 255 else _scaled(one.values, own)


def assumed_white(brightest: float, whole: bool) -> int | None:
    """What white is where the brightest of all values is this: 1, 255 or 65535 if these fit, or None."""
    if brightest <= 1 + validation.ROUNDING:
        return 1
    if whole:
        for white in (255, 65535):
            if (white + 1) // 4 <= brightest <= white:
                return white
    return None


def unknown_scale(where: str, brightest: float) -> DataError:
    """The DataError for values that 1, 255 and 65535 do not fit."""
    return data_error(
        f"{where}: values up to {brightest:g}, whose scale is unknown; give full_scale={brightest:g} if that is white, or "
        "what white is"
    )


def _scaled(values: npt.NDArray[Any], white: float) -> npt.NDArray[np.uint8]:
    return np.rint(np.minimum(values * (255 / white), 255)).astype(np.uint8)
