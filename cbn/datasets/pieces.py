# SPDX-License-Identifier: BSD-3-Clause
"""Arrays of images read piece by piece from .npy, .npz and IDX files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._files import Stream, data_error, fill, reading
from .arrays import Header, Levels, Role, check_form, damaged, opened_npz, read_header, read_values
from .idx import check_end, opened_idx


class _Opened(NamedTuple):
    """A file of which the header is read."""

    stream: Stream
    header: Header
    check_end: Callable[[int], None]  # of the bytes that were read; raises DataError


class Pieces:
    """An array in a file, to be read from its beginning as often as it is asked for.

    The header is read, and checked, when this is made. Files are read rather than mapped, so that one that becomes shorter
    is an error and no crash.

    Attributes
    ----------
    where : str
        File and key, for messages.
    header : Header
    """

    def __init__(self, where: str, opened: Callable[[], AbstractContextManager[_Opened]]) -> None:
        self.where, self._opened = where, opened
        with opened() as own:
            self.header = own.header

    def __len__(self) -> int:
        return self.header.shape[0]

    @property
    def image_shape(self) -> tuple[int, int]:
        """(height, width)"""
        shape = self.header.shape
        if len(shape) == 2:
            side = round(shape[1] ** 0.5)
            return side, side
        return shape[1], shape[2]

    @property
    def image_bytes(self) -> int:
        """Of one image in the file."""
        return self.header.nbytes // len(self)

    def parts(self, size: int) -> Iterator[npt.NDArray[Any]]:
        """The array, cut into so many images at a time. Raises DataError where the file is damaged or has changed.

        Arrays in Fortran order, in which no image lies in one piece, are read as a whole.
        """
        with self._opened() as (stream, header, end):
            if header != self.header:
                raise data_error(f"{self.where}: changed while it was read; leave the file as it is until it is read")
            if header.fortran_order:
                whole = read_values(stream, header, self.where)
                yield from (whole[first : first + size] for first in range(0, len(whole), size))
                return
            n_read = 0
            while n_read < header.nbytes:
                wanted = min(size * self.image_bytes, header.nbytes - n_read)
                data = fill(stream, wanted)
                n_read += len(data)
                if len(data) < wanted or n_read == header.nbytes:
                    end(n_read)
                yield data.view(header.dtype).reshape(-1, *header.shape[1:])

    def levels(self, size: int, full_scale: float | None) -> Levels:
        """How its values become images, for which as much of the file is read as decides."""
        return Levels.of(self.parts(size), self.header.dtype, self.where, full_scale)


def npy_pieces(path: Path) -> Pieces:
    """The images of a .npy file. Raises DataError."""

    @contextmanager
    def opened() -> Iterator[_Opened]:
        with reading(path, "a .npy file") as (stream, size):
            yield _npy(stream, size, str(path))

    return Pieces(str(path), opened)


def idx_pieces(path: Path) -> Pieces:
    """The images of an IDX file. Raises DataError."""

    @contextmanager
    def opened() -> Iterator[_Opened]:
        with opened_idx(path) as (stream, shape):
            header = Header(shape, False, np.dtype(np.uint8))
            check_form(shape, header.dtype, str(path), "images")
            yield _Opened(stream, header, partial(check_end, stream, path, shape))

    return Pieces(str(path), opened)


def npz_pieces(path: Path, conventions: Sequence[Mapping[str, Role]]) -> dict[str, Pieces]:
    """The arrays of images of a .npz file by key; the labels are read by :func:`cbn.datasets.arrays.read_npz`."""

    @contextmanager
    def opened(key: str) -> Iterator[_Opened]:
        with opened_npz(path, conventions) as members:
            if key not in members:
                raise data_error(f"{path}: changed while it was read; leave the file as it is until it is read")
            with members[key].opened() as (stream, size):
                yield _npy(stream, size, members[key].where)

    with opened_npz(path, conventions) as members:
        wheres = {key: member.where for key, member in members.items() if member.role == "images"}
    return {key: Pieces(where, partial(opened, key)) for key, where in wheres.items()}


def _npy(stream: Stream, size: int, where: str) -> _Opened:
    header = read_header(stream, size, where, "images")

    def end(n_read: int) -> None:
        if n_read < header.nbytes or stream.read(1):
            raise damaged(where, header.nbytes)

    return _Opened(stream, header, end)
