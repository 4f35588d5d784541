# SPDX-License-Identifier: BSD-3-Clause
"""A picture of a set once more, at the size of its file, to be looked at."""

import os
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..exceptions import DataError
from .layout import TEST
from .pages import pages_of
from .picturefile import Background
from .pictureoptions import Options
from .report import Notes

_PAGE = re.compile(r"(.*)(\[\d+\])", re.DOTALL)


def read_original(
    root: str | os.PathLike[str], name: str, max_side: int, background: Background = "black"
) -> npt.NDArray[np.uint8] | None:
    """A picture that :func:`cbn.datasets.load_test` has read and resized, as its file has it.

    Parameters
    ----------
    root : str or path-like
        What was given to ``load_test``: a folder, the layout of MVTec AD, or a picture.
    name : str
        Of the picture in the set, with the page in a file of several: "stack.tif[2]".
    max_side : int
        Larger ones are made so large.
    background : {"black", "white"}

    Returns
    -------
    ndarray of shape (height, width) or (height, width, 3), uint8
        None where the file is gone, or has more than 8 bits: what was white then depended on all pictures.
    """
    page = _PAGE.fullmatch(name)
    for given, part in ((name, ""), *([] if page is None else [(page[1], page[2])])):
        for path in (Path(root, given), Path(root, TEST, given), Path(root)):
            if path.is_file() and path.name == Path(given).name:
                return _read(path, part, max_side, background)
    return None


def _read(path: Path, part: str, max_side: int, background: Background) -> npt.NDArray[np.uint8] | None:
    options = Options.checked(None, "auto", ("auto",), background, None, False, max_side)
    try:
        found = [one for one in pages_of(path, options, Notes(path)) if one.part == part]
    except (DataError, OSError):
        return None
    return None if not found or found[0].deep or found[0].values.dtype != np.uint8 else found[0].values
