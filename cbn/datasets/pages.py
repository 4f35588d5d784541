# SPDX-License-Identifier: BSD-3-Clause
"""The pages of picture files as they are wanted: grey or of colour, resized; of many files several are decoded at a time."""

import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..exceptions import DataError
from ..io.quiet import quiet
from ._files import data_error, sizes
from .picturefile import Page, read_pages, refuse_vanished
from .pictureformats import formats
from .pictureoptions import Options
from .report import Notes
from .resizing import grey_of, resized

# Smaller pictures are decoded one after the other: most of their time is that of Python, of which one thread runs at a time.
LEAST_PIXELS = 2**14
# Files that have about so many pixels are under way, whatever the number of threads, and of small ones so many for each thread.
TOGETHER_PIXELS, MOST_FOR_THREAD = 2**25, 16


@dataclass(eq=False)
class Read:
    """A page, resized, and what is known of it before that."""

    path: Path
    part: str
    values: npt.NDArray[Any]
    shape: tuple[int, int]
    deep: bool
    white: int | None
    darkest: float
    brightest: float
    whole: bool  # whole numbers only


def pages_of(path: Path, options: Options, notes: Notes) -> list[Read]:
    """The pages of a file; none, which is noted, where it cannot be read and may be skipped. Raises DataError."""
    with quiet():
        pages, own = noted_pages(path, options, notes.root)
    notes.add(own)
    return pages


def noted_pages(path: Path, options: Options, root: Path) -> tuple[list[Read], Notes]:
    """The same within quiet(), and what is to be noted of them."""
    own = Notes(root)
    pages: list[Read] = []
    iterator = read_pages(path, options.background, own)
    while True:
        try:
            page = next(iterator, None)
        except DataError:
            if not options.skip_bad:
                raise
            own = Notes(root)
            own.leave_out(path, "that cannot be read")
            return [], own
        if page is None:
            return pages, own
        refuse_vanished(page, path, options.background)
        pages.append(_resized(page, path, options, own))


def pages_of_all(paths: Iterable[Path], options: Options, notes: Notes) -> Iterator[list[Read]]:
    """The pages of many files, in order; several are decoded at a time where their pictures are worth it.

    What is noted, and what is wrong with a file, comes in this order too: after the pages of all files before it.
    """
    left, pixels = iter(paths), 0  # of the last file: those that lie together are mostly alike
    with ExitStack() as closing:
        pool: ThreadPoolExecutor | None = None
        while True:
            number = 1
            if options.n_threads > 1 and pixels >= LEAST_PIXELS:
                number = min(TOGETHER_PIXELS // pixels, MOST_FOR_THREAD * options.n_threads)
            some = list(islice(left, max(1, number)))
            if not some:
                return
            if number > 1 and pool is None:
                formats()  # once, not by several threads
                pool = ThreadPoolExecutor(options.n_threads)
                closing.callback(pool.shutdown, cancel_futures=True)
            if len(some) > 1 and pool is not None:
                found = _decoded_together(pool, some, options, notes)
            else:
                found = (pages_of(path, options, notes) for path in some)
            for pages in found:
                if pages:
                    pixels = sum(page.shape[0] * page.shape[1] for page in pages)
                yield pages


def _decoded_together(
    pool: ThreadPoolExecutor, paths: Sequence[Path], options: Options, notes: Notes
) -> Iterator[list[Read]]:
    with quiet():
        waiting = [pool.submit(noted_pages, path, options, notes.root) for path in paths]
        try:
            wait(waiting, return_when=FIRST_EXCEPTION)
        finally:
            for one in waiting:
                one.cancel()
            wait(waiting)  # none decodes on without the filter of warnings
    for one in waiting:
        pages, own = one.result()  # of the first that failed: what is wrong with it
        notes.add(own)
        yield pages


def _resized(page: Page, path: Path, options: Options, notes: Notes) -> Read:
    if page.has_color and options.color in (None, "grey"):
        if options.color is None:
            raise data_error(f"{path}{page.part}: has colour, but grey is needed; give color='grey' to lose the colour")
        page.values = grey_of(page.values)
        notes.count("of colour made grey", path, page.part)
    values, shape = page.values, page.shape
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise data_error(f"{path}{page.part}: holds NaN or infinity; replace these values")
    whole = values.dtype.kind in "iu" or bool((values == np.rint(values)).all())
    target = options.target(shape)
    if target != shape:
        values = resized(values.astype(np.float32) if page.deep else values, target)
        stretched = abs(shape[0] * target[1] / (shape[1] * target[0]) - 1) > 0.01
        change = f"resized from {sizes(shape)} to {sizes(target)} (height x width)"
        notes.count(change + (", its proportions changed" if stretched else ""), path, page.part)
    return Read(path, page.part, values, shape, page.deep, page.white, low, high, whole)
