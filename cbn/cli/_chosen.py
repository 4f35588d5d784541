# SPDX-License-Identifier: BSD-3-Clause
"""--index: which of the images are meant, by number."""

import argparse

from ..exceptions import DataError

ALL = "all"


class Index:
    """What --index says.

    Parameters
    ----------
    text : str
        "5", "0:8", "0:8,12" or "all". Raises argparse.ArgumentTypeError otherwise.

    Attributes
    ----------
    is_one : bool
        Whether one image is named by its number alone, so that results have no axis of images.
    """

    def __init__(self, text):
        self.text = text
        try:
            self._parts = [slice(None)] if text == ALL else [_part(word) for word in text.split(",")]
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{text!r}: give the number of an image from 0 on, a range such as 0:8, several such as 0:8,12, or {ALL}"
            ) from None
        self.is_one = len(self._parts) == 1 and isinstance(self._parts[0], int)

    def places(self, n):
        """The numbers, list of int, of n images. Raises DataError."""
        found = []
        for part in self._parts:
            own = range(n)[part] if isinstance(part, slice) else [part]
            last = part if isinstance(part, int) else (part.stop or n) - 1
            if not n or last >= n or not len(own):
                raise DataError(f"--index {self.text!r}: there are {n:,} images, 0 to {n - 1}")
            found += own
        return found


def _part(word):
    """An int or a slice of numbers from 0 on."""
    first, colon, end = word.partition(":")
    if not colon:
        return _number(first)
    start, stop = _number(first) if first else 0, _number(end) if end else None
    if stop is not None and stop <= start:
        raise ValueError(word)
    return slice(start, stop)


def _number(word):
    if not (word.isascii() and word.isdigit()) or len(word) > 18:
        raise ValueError(word)
    return int(word)
