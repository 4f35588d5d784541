# SPDX-License-Identifier: BSD-3-Clause
"""IDX, the file format of MNIST: two zero bytes, a type, the number of dimensions, big-endian sizes, the values."""

import gzip
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..exceptions import DataError
from ._files import Stream, as_path, data_error, fill, most_inflated, reading, refuse_unlikely, sizes

_TYPES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}


def load_idx(path: str | os.PathLike[str]) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, plain or gzip-compressed (recognized by content, not by name).

    Parameters
    ----------
    path : str or os.PathLike
        The file.

    Returns
    -------
    ndarray of uint8, 1 to 3 dimensions
        (n,) for labels, (n, height, width) for images; writable.

    Raises
    ------
    DataError
        If the file is missing, empty, no IDX file of unsigned bytes, truncated, or longer than it declares.
    """
    with opened_idx(as_path(path)) as (stream, shape):
        values = fill(stream, math.prod(shape))
        check_end(stream, path, shape, len(values))
    return values.reshape(shape)


@contextmanager
def opened_idx(path: Path) -> Iterator[tuple[Stream, tuple[int, ...]]]:
    """An IDX file, plain or compressed, as a stream of its values, and their shape."""
    with reading(path, "an IDX file") as (stream, size):
        if size == 0:
            raise data_error(f"{path}: the file is empty; expected an IDX file")
        compressed = stream.read(2) == b"\x1f\x8b"
        stream.seek(0)
        if not compressed:
            yield stream, _read_shape(stream, path, size)
            return
        with gzip.GzipFile(fileobj=stream) as inflated:
            yield inflated, _read_shape(inflated, path, most_inflated(size), size)


def _read_shape(stream: Stream, path: Path, limit: int, compressed: int | None = None) -> tuple[int, ...]:
    """Read the header of a `stream` that cannot yield more than `limit` bytes, inflated from `compressed` ones."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES:
        raise data_error(
            f"{path}: not an IDX file, it begins with {magic.hex(' ') or 'nothing'} and not with 00 00 08 and "
            "01, 02 or 03; give an IDX file (NumPy files must be named .npy or .npz)"
        )
    if magic[2] != 0x08:
        raise data_error(
            f"{path}: IDX values of type {_TYPES[magic[2]]} are not supported; save them as uint8 (type 08)"
        )
    ndim = magic[3]
    if not 1 <= ndim <= 3:
        raise data_error(f"{path}: IDX file of {ndim} dimensions; expected 1 (labels) to 3 (images, height, width)")
    header = stream.read(4 * ndim)
    if len(header) < 4 * ndim:
        raise data_error(f"{path}: truncated inside the IDX header; expected {4 + 4 * ndim} bytes of it")
    shape = tuple(int.from_bytes(header[i : i + 4], "big") for i in range(0, 4 * ndim, 4))
    declared = math.prod(shape)  # Python integers: up to 2**96 without overflow
    if declared == 0:
        raise data_error(f"{path}: the IDX header declares {sizes(shape)}, which is empty; expected at least one value")
    held = limit - 4 - 4 * ndim
    if declared > held:
        raise _truncated(path, shape, declared, f"at most {held}")
    if compressed is not None:
        refuse_unlikely(path, declared, compressed)
    return shape


def check_end(stream: Stream, path: str | os.PathLike[str], shape: tuple[int, ...], count: int) -> None:
    """Raise DataError unless a file ends after all its values, of which `count` were read."""
    declared = math.prod(shape)
    if count < declared:
        raise _truncated(path, shape, declared, count)
    if stream.read(1):  # at the end of a gzip stream this also checks its CRC
        raise data_error(
            f"{path}: bytes follow the {declared} values that the IDX header declares ({sizes(shape)}); remove them"
        )


def _truncated(path: str | os.PathLike[str], shape: tuple[int, ...], declared: int, found: int | str) -> DataError:
    return data_error(
        f"{path}: truncated, the IDX header declares {sizes(shape)} = {declared} values and the file holds {found}; "
        "replace the file"
    )
