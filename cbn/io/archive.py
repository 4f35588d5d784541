# SPDX-License-Identifier: BSD-3-Clause
"""What model files and checkpoints share: a zip of ``header.json`` and plain ``.npy`` arrays, read with suspicion.

Never pickle. Every size is checked before anything is allocated; the same content gives the same bytes.
"""

import io
import json
import math
import os
import stat
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, BinaryIO, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt

from .._version import __version__
from ..exceptions import CbnError, ModelFileError
from .files import atomic_write

Content = TypeVar("Content")
Scalar = TypeVar("Scalar", bound=np.generic)
# What makes something of an open archive and its header, which may hold anything that JSON can.
Restore = Callable[[zipfile.ZipFile, dict[str, Any]], Content]

MAX_HEADER_BYTES = 4 * 2**20
# The first member, whose name stands behind so many bytes of its local header (PKWARE, APPNOTE.TXT, 4.3.7).
_FIRST, _LOCAL_HEADER_BYTES = b"header.json", 30
# What json, zipfile, zlib and numpy raise on damaged input.
DAMAGE = (ValueError, KeyError, TypeError, EOFError, OverflowError, AttributeError, RecursionError, NotImplementedError,
           RuntimeError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error, struct.error,
           UnicodeError)  # fmt: skip


def write_archive(
    path: str | os.PathLike[str],
    header: Mapping[str, object],
    arrays: Mapping[str, npt.NDArray[Any]],
    stored: Collection[str] = (),
) -> None:
    """Write header and arrays, complete or not at all.

    Parameters
    ----------
    path : str or path-like
    header : dict
    arrays : dict of name -> ndarray
        Written as name.npy.
    stored : collection of str
        Names that are not compressed: arrays of a length that the reader does not know. What they claim to hold then
        cannot exceed the size of the file.
    """
    try:
        members = {"header.json": json.dumps(header, indent=1, sort_keys=True, allow_nan=False).encode()}
    except (TypeError, ValueError) as error:
        raise CbnError(f"provenance_: {error}; keep only what JSON can hold") from None
    members |= {f"{name}.npy": _npy(array) for name, array in arrays.items()}
    buffer = io.BytesIO()  # the file may be a pipe or device, in which a zip cannot seek
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            method = zipfile.ZIP_STORED if name.removesuffix(".npy") in stored else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name), content, method)  # ZipInfo's own time is 1980
    with atomic_write(path) as file:
        file.write(buffer.getvalue())


def _npy(array: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def read_archive(
    path: str | os.PathLike[str], kind: str, missing: str, format_name: str, newest: int, restore: Restore[Content]
) -> Content:
    """What ``restore(archive, header)`` makes of a file, or ModelFileError in one line.

    Parameters
    ----------
    path : path-like
    kind, missing : str
        For messages: "a cbn model", and what to do where there is no such file.
    format_name, newest : str, int
        What the header must say, and the newest version that is known.
    restore : callable
        May raise anything in DAMAGE.
    """
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a pipe or a device would block for ever or never end
            raise ModelFileError(f"{str(path)!r}: not a regular file; give {kind} file on disk")
        with open(path, "rb") as file:
            return _read_open(path, file, kind, format_name, newest, restore)
    except FileNotFoundError:
        raise ModelFileError(f"{str(path)!r}: no such file; {missing}") from None
    except IsADirectoryError:
        raise ModelFileError(f"{str(path)!r}: a folder; give {kind} file") from None
    except OSError as error:
        raise ModelFileError(f"{str(path)!r}: cannot be read: {error.strerror or error}") from None


def _read_open(
    path: str | os.PathLike[str], file: BinaryIO, kind: str, format_name: str, newest: int, restore: Restore[Content]
) -> Content:
    try:
        archive = zipfile.ZipFile(file)
        info = archive.getinfo("header.json")
    except DAMAGE:
        if _begins_as_ours(file):
            raise ModelFileError(
                f"{str(path)!r}: damaged: its end is missing, as of a copy that was cut short; copy or make the file again"
            ) from None
        raise ModelFileError(f"{str(path)!r}: not {kind}") from None
    with archive:
        if info.file_size > MAX_HEADER_BYTES:
            raise ModelFileError(f"{str(path)!r}: damaged: header of {info.file_size} bytes")
        try:
            header = json.loads(read_member(archive, info, MAX_HEADER_BYTES), parse_constant=_refuse_constant)
            known = header["format"] == format_name
            version = header["version"]
        except DAMAGE:
            raise ModelFileError(f"{str(path)!r}: not {kind}") from None
        if not known:
            raise ModelFileError(f"{str(path)!r}: not {kind}")
        if type(version) is not int or version < 1:
            raise ModelFileError(f"{str(path)!r}: damaged: version {str(version)[:40]!r}")
        if version > newest:
            raise ModelFileError(
                f"{str(path)!r}: format {version} is newer than this version of cbn ({__version__}): upgrade cbn"
            )
        try:
            return restore(archive, header)
        except MemoryError:
            raise ModelFileError(f"{str(path)!r}: too large for the memory of this machine") from None
        except DAMAGE as error:
            raise ModelFileError(f"{str(path)!r}: damaged: {reason_of(error)}") from None


def _begins_as_ours(file: BinaryIO) -> bool:
    """Whether a file begins as write_archive does, with the local header of its first member.

    Other zips, and theirs that are cut off, begin with another name.
    """
    file.seek(0)
    first = file.read(_LOCAL_HEADER_BYTES + len(_FIRST))
    return first[:4] == b"PK\x03\x04" and first[_LOCAL_HEADER_BYTES:] == _FIRST


def is_foreign(path: str | os.PathLike[str]) -> bool:
    """Whether a plain file is there and holds something that is no model of any version."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return bool(file.read(1)) and not _begins_as_ours(file)


def reason_of(error: BaseException) -> str:
    """What an error says, as one short line that can be printed; its type where it says nothing."""
    text = str(error)[:3000]  # of a hostile file it may be megabytes
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:300] or type(error).__name__


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} in the header")


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, size_limit: int) -> bytes:
    """The bytes of a member, at most size_limit of them whatever the archive claims."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{info.filename} is compressed in another way than cbn does")
    if info.file_size > size_limit:
        raise ValueError(f"{info.filename} has {info.file_size} bytes, more than the {size_limit} expected")
    with archive.open(info) as member:
        content = member.read(size_limit + 1)
    if len(content) != info.file_size:
        raise ValueError(f"{info.filename} has {len(content)} bytes instead of {info.file_size}")
    return content


def read_array(
    archive: zipfile.ZipFile, name: str, dtype: type[Scalar] | np.dtype[Scalar], shape: tuple[int | None, ...]
) -> npt.NDArray[Scalar]:
    """An array whose type and shape (None: any length) are known before its bytes are read."""
    name = f"{name}.npy"
    info = archive.getinfo(name)
    head = 10 + 256  # magic, version and header of a plain .npy; write_array pads to a multiple of 64
    item = np.dtype(dtype).itemsize
    known = tuple(n for n in shape if n is not None)
    if shape[0] is None:
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise ValueError(f"{name} is compressed, so its size is only a claim")
        known = (max(0, (info.file_size - 128) // (item * math.prod(known))), *known)
    size = math.prod(known) * item
    content = read_member(archive, info, size + head)
    buffer = io.BytesIO(content)
    if np.lib.format.read_magic(buffer) != (1, 0):
        raise ValueError(f"{name} is not a version-1 npy file")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # NumPy warns of odd headers that it mends; save() writes none
        try:
            found_shape, fortran, found_dtype = np.lib.format.read_array_header_1_0(buffer)
        except Warning:
            raise ValueError(f"{name} has a header that cbn does not write") from None
    if found_shape != known or found_dtype != np.dtype(dtype) or (fortran and len(known) > 1):
        raise ValueError(f"{name} holds {found_dtype} {found_shape} instead of {np.dtype(dtype)} {known}")
    data = content[buffer.tell() :]
    if len(data) != size:
        raise ValueError(f"{name} holds {len(data)} bytes of data instead of {size}")
    return np.frombuffer(data, dtype).reshape(known).copy()
