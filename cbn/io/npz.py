# SPDX-License-Identifier: BSD-3-Clause
"""Arrays of numbers from .npz files that users give: claims are checked before anything is allocated, never a pickle."""

import math
import os
import stat
import zipfile
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ..exceptions import DataError
from .archive import DAMAGE, reason_of
from .quiet import quiet

MUCH, LIKELY = 2**28, 64  # bytes that any file may unpack to, and that each of its bytes may beyond that
MAX_BYTES = 4 * 2**30  # of all arrays together: what a file may unpack to


def read_npz(path: str | os.PathLike[str], what: str, most: int | None = None) -> dict[str, npt.NDArray[Any]]:
    """All arrays of a .npz file by name.

    Parameters
    ----------
    path : str or path-like
    what : str
        What they are, for messages: "weights".
    most : int, optional
        Bytes that they may unpack to; MAX_BYTES without it.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    DataError
        One line: no .npz file, damaged, larger than ``most``, or with anything but numbers.
    """
    path, most = os.fspath(path), MAX_BYTES if most is None else most
    arrays = {}
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe or a device would block for ever or never end
            raise DataError(f"{path!r}: not a regular file; give a file of {what} on disk")
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if (total := sum(info.file_size for info in infos)) > min(most, MUCH + LIKELY * os.stat(path).st_size):
                raise DataError(
                    f"{path!r}: unpacks to {total:,} bytes; keep only the {what} in it, {most:,} at most, and the numbers uncompressed"
                )
            for info in infos:
                if not info.filename.endswith(".npy"):
                    raise DataError(f"{path!r}: {info.filename[:80]!r} in it is no array; give a file of numpy.savez")
                with archive.open(info) as member:
                    arrays[info.filename.removesuffix(".npy")] = _read_npy(member, info.file_size, what)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"{path!r}: cannot be read: {error.strerror or 'damaged'}") from None
    except MemoryError:
        raise DataError(f"{path!r}: too large for the memory of this machine") from None
    except DataError:
        raise
    except zipfile.BadZipFile:
        raise DataError(f"{path!r}: no .npz file, or damaged") from None
    except DAMAGE as error:
        raise DataError(f"{path!r}: damaged: {reason_of(error)}") from None
    return arrays


def _read_npy(member: IO[bytes], n_bytes: int, what: str) -> npt.NDArray[Any]:
    """One array; its header is checked against the member's size before anything is allocated."""
    version = np.lib.format.read_magic(member)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"an array of npy version {version}")
    with quiet():  # of Python-2 headers and odd escapes; what counts is checked below
        shape, fortran, dtype = readers[version](member)
    if dtype.hasobject or dtype.kind not in "biuf":
        raise ValueError(f"an array of type {dtype}; {what} are numbers")
    size = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or size > n_bytes:
        raise ValueError(f"an array of {size} bytes in {n_bytes}")
    content = member.read(size)
    if len(content) != size:
        raise ValueError("an array ends early")
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="), copy=False)
