# SPDX-License-Identifier: BSD-3-Clause
"""What every reader shares: one-line errors, checked paths, files opened so that no foreign exception escapes."""

import io
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..exceptions import DataError

_LONGEST = 300  # characters of what others say in a message
_CHUNK = 1 << 20  # bytes a read; large enough to be fast, small enough to add nothing to the peak

# deflate cannot expand by more than 1032 to 1 (258 bytes from 2 bits): a claim beyond that is false, whatever follows
_DEFLATE_LIMIT = 1032
# images that anything can be learned from compress by far less than that
_LIKELY, _MUCH = 256, 2**28


class Stream(Protocol):
    """What is read: files, members of archives, inflated data."""

    def read(self, size: int = ..., /) -> bytes: ...
    def tell(self) -> int: ...


def printable(text: object) -> str:
    """Escape what would break a one-line message: newlines, control characters, undecodable file names."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def data_error(message: str) -> DataError:
    """A DataError whose message is certainly one printable line."""
    return DataError(printable(message))


def listed(values: Iterable[object], most: int = 12) -> str:
    """Values as "a, b, c", at most `most` of them and then "..."; long ones are cut."""
    values = list(values)
    return ", ".join(_cut(str(v)) for v in values[:most]) + (", ..." if len(values) > most else "")


def sizes(shape: Iterable[int]) -> str:
    """(28, 28) as "28x28"."""
    return "x".join(str(n) for n in shape)


def as_path(path: str | os.PathLike[str], argument: str = "path") -> Path:
    """Return `path` as a pathlib.Path that exists.

    Parameters
    ----------
    path : str or os.PathLike
        What the user gave.
    argument : str
        The argument's name, for the message.

    Raises
    ------
    DataError
        If it is not a path, is empty, does not exist or may not be looked at.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise data_error(f"{argument}: expected the path of a file or folder, got {type(path).__name__}")
    text = os.fspath(path)
    if not isinstance(text, str) or not text:
        raise data_error(f"{argument}: expected a path as non-empty text, got {text!r}")
    try:
        os.stat(text)
    except FileNotFoundError:
        raise data_error(f"{argument}: {text} does not exist; check the spelling") from None
    except (OSError, ValueError) as error:  # ValueError: a null character inside
        raise data_error(f"{argument}: {text} cannot be read ({reason_of(error)})") from error
    return Path(text)


def scan(folder: str | os.PathLike[str]) -> tuple[list[Path], list[Path]]:
    """The entries of a folder, sorted by name, as (files, folders): two lists of pathlib.Path."""
    files, folders = scan_names(folder)
    return [Path(folder) / name for name in files], [Path(folder) / name for name in folders]


def scan_names(folder: str | os.PathLike[str]) -> tuple[list[str], list[str]]:
    """The names of the entries of a folder, sorted, as (files, folders): a tenth of the memory of their paths."""
    files: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                is_folder = Path(entry).is_dir() if entry.is_symlink() else entry.is_dir()  # links may run in a circle
                (folders if is_folder else files).append(entry.name)
    except OSError as error:
        raise data_error(f"{folder}: the folder cannot be read ({reason_of(error)}); check its permissions") from error
    files.sort()
    folders.sort()
    return files, folders


@contextmanager
def reading(path: str | os.PathLike[str], kind: str) -> Iterator[tuple[io.BufferedReader, int]]:
    """Open a regular file and yield (binary stream, its size in bytes).

    Whatever the body raises leaves as a DataError. The net is wide on purpose: on damaged files zipfile, zlib, Pillow
    and NumPy's header parser raise nearly every built-in exception, and which one changes between their versions.

    Parameters
    ----------
    path : str or pathlib.Path
        The file.
    kind : str
        What it should be, for the message, as in "an IDX file".
    """
    try:
        # a pipe or a device would block for ever or never end
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise data_error(f"{path}: not a regular file; give {kind} on disk")
        with open(path, "rb") as stream:
            yield stream, os.fstat(stream.fileno()).st_size
    except DataError:
        raise
    except MemoryError as error:
        raise too_large(path) from error
    except Exception as error:
        raise data_error(f"{path}: cannot be read as {kind} ({reason_of(error)}); replace the file") from error


def too_large(path: str | os.PathLike[str]) -> DataError:
    """The DataError for images that do not fit."""
    return data_error(f"{path}: the images do not fit in memory; use fewer or smaller images")


def fill(stream: Stream, nbytes: int) -> npt.NDArray[np.uint8]:
    """Read up to `nbytes` bytes into a new writable uint8 array; it is shorter when the stream is.

    The caller has checked `nbytes` against the file. Memory is touched only as data arrive, so even a false claim that
    passes the check costs no more than the data that are really there.
    """
    buffer = np.empty(nbytes, dtype=np.uint8)
    done = 0
    while done < nbytes:
        chunk = stream.read(min(_CHUNK, nbytes - done))
        if not chunk:
            break
        buffer[done : done + len(chunk)] = np.frombuffer(chunk, dtype=np.uint8)
        done += len(chunk)
    return buffer[:done]


def most_inflated(compressed_bytes: int) -> int:
    """The largest number of bytes that so many bytes of deflate data can expand to."""
    return _DEFLATE_LIMIT * compressed_bytes


def refuse_unlikely(where: object, declared: int, compressed_bytes: int) -> None:
    """Raise DataError if few compressed bytes declare so many that they can only mean to waste time."""
    if declared > _MUCH + _LIKELY * compressed_bytes:
        raise data_error(
            f"{where}: {compressed_bytes} compressed bytes declare {declared}; save it uncompressed if that is so"
        )


def reason_of(error: Exception) -> str:
    """What an error says; cut, because zipfile's messages quote what a damaged file holds."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return _cut(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
