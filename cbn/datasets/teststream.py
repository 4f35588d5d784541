# SPDX-License-Identifier: BSD-3-Clause
"""Pictures to judge, in chunks."""

import os
from itertools import groupby
from operator import itemgetter

from ._files import as_path
from .folder import Part
from .layout import TEST
from .listing import Lister
from .mvtec import found_test
from .picturefile import Background
from .pictureoptions import Color, Options, Size
from .picturestream import PictureChunks
from .report import Notes


def stream_test(
    path: str | os.PathLike[str],
    size: Size,
    color: Color,
    *,
    background: Background = "black",
    full_scale: float | None = None,
    skip_bad: bool = False,
    n_jobs: int | None = None,
) -> PictureChunks | None:
    """The pictures of :func:`cbn.datasets.load_test` in chunks; None where masks lie beside them, which are read with all pictures."""
    options = Options.checked(size, color, ("grey", "rgb"), background, full_scale, skip_bad, n_jobs=n_jobs)
    path = as_path(path)
    notes = Notes(path)
    test, masks = found_test(path, Lister(notes))
    if masks is not None:
        return None
    defects: list[str | None] = [None] * len(test.paths) if test.defects is None else [*test.defects]
    groups = groupby(zip(test.paths, defects), key=itemgetter(1))
    part = Part(path, tuple(([own for own, _ in files], defect) for defect, files in groups))
    return PictureChunks({TEST: part}, options, notes, path)
