# SPDX-License-Identifier: BSD-3-Clause
"""Output files that are either complete or absent: written to a temporary name in the same folder, then renamed."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..exceptions import CbnError

# What went wrong, and what the user can do about it. Anything else is reported with the system's own words.
_MENDS = {
    errno.ENOENT: "its folder does not exist; create the folder or give another path",
    errno.ENOTDIR: "a part of the path is a file, not a folder; give another path",
    errno.EISDIR: "it is a folder; give the name of a file",
    errno.EEXIST: "a file of that name exists; give another path",
    errno.EACCES: "no permission; change the permissions or give another path",
    errno.EPERM: "no permission; change the permissions or give another path",
    errno.EROFS: "the file system is read-only; give a path elsewhere",
    errno.ENOSPC: "the disk is full; free space or give a path elsewhere",
    errno.EFBIG: "the file is too large for this file system or limit; give a path elsewhere",
    errno.ENAMETOOLONG: "the name is too long; give a shorter one",
    errno.ELOOP: "its symbolic links run in a circle; give another path",
}
if hasattr(errno, "EDQUOT"):  # absent on Windows
    _MENDS[errno.EDQUOT] = "the disk quota is used up; free space or give a path elsewhere"


def failure(verb: str, name: str, error: OSError) -> CbnError:
    """Return the one-line CbnError for an OSError; the path is shown quoted so that it cannot break the line."""
    mend = _MENDS.get(error.errno or 0) or f"{error.strerror or error}; give another path"
    return CbnError(f"cannot {verb} {name!r}: {mend}")


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raises the CbnError of :func:`atomic_write` before any work is done, where a file could not be made now.

    Whether a folder takes a file is tried: permissions alone tell neither of file systems that are read-only or full, nor of
    users to whom they do not apply.
    """
    name = os.fsdecode(path)
    try:
        target, status = _target(name)
        if status and not stat.S_ISREG(status.st_mode):
            return
        trial = _temporary_beside(target)
        with open(trial, "xb"):
            os.unlink(trial)
    except OSError as error:
        raise failure("write", name, error) from error


def _temporary_beside(target: str) -> str:
    """A hidden name in the folder of a file, independent of the file's own: a suffix could exceed the longest name allowed."""
    return os.path.join(os.path.dirname(target), f".cbn-{os.urandom(8).hex()}.tmp")


def _target(name: str) -> tuple[str, os.stat_result | None]:
    """Return the file that `open(path, "wb")` would write, and its status (None if it does not exist yet)."""
    if "\0" in name:
        raise OSError(errno.EINVAL, "the name contains a null character")
    try:
        status = os.stat(name)
    except FileNotFoundError:
        status = None
    if (status and stat.S_ISDIR(status.st_mode)) or name == "" or name.endswith(("/", os.sep)):
        raise OSError(errno.EISDIR, "is a folder")
    if status and not os.access(name, os.W_OK):
        # A rename needs only the folder's permission: without this test a write-protected file would be replaced.
        raise OSError(errno.EACCES, "no permission")
    # A link is followed, so that it still points to the (new) file afterwards. Pipes and devices have no real path.
    return (name if status and not stat.S_ISREG(status.st_mode) else os.path.realpath(name)), status


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write a file that appears complete or not at all.

    Parameters
    ----------
    path : str or path-like
        The file to write, of any suffix. A symbolic link is followed. An existing file keeps its permissions, a new one
        gets those of a plain `open`; hard links to an existing file keep the earlier content. A pipe or device such as
        /dev/stdout cannot be replaced and is written directly.

    Yields
    ------
    file : binary file object
        Readable, writable and seekable (a pipe or device: only writable). It is closed and renamed to `path` when the
        block ends; when the block raises anything, KeyboardInterrupt included, it is removed and `path` is untouched.

    Raises
    ------
    CbnError
        One line with the path and the mend, when the file cannot be written: missing folder, a folder, no permission,
        full disk. Errors of the block that concern other files pass unchanged.

    Notes
    -----
    There is no fsync: the promise is about failing programs, not about power cuts.
    """
    name = os.fsdecode(path)
    temporary = None
    ours = {name}  # an error of the block that names any other file is the caller's; writing to `file` names none
    try:
        target, status = _target(name)
        ours.add(target)
        if status and not stat.S_ISREG(status.st_mode):
            with open(target, "wb") as file:
                yield file
            return
        # Mode "x" never follows a link or overwrites, and unlike mkstemp leaves the permissions to the umask.
        temporary = _temporary_beside(target)
        ours.add(temporary)
        with open(temporary, "x+b") as file:
            yield file
        if status:
            with contextlib.suppress(OSError):  # file systems without permissions refuse; there is nothing to keep then
                os.chmod(temporary, stat.S_IMODE(status.st_mode) & 0o777)
        os.replace(temporary, target)
        temporary = None
    except OSError as error:
        if error.filename is not None and error.filename not in ours:
            raise
        raise failure("write", name, error) from error
    finally:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Create an output folder and its parents if they do not exist.

    Parameters
    ----------
    path : str or path-like
        The folder.

    Returns
    -------
    folder : pathlib.Path
        The same path.

    Raises
    ------
    CbnError
        One line with the path and the mend, when it cannot be created.
    """
    name = os.fsdecode(path)
    try:
        if "\0" in name:
            raise OSError(errno.EINVAL, "the name contains a null character")
        os.makedirs(name, exist_ok=True)
    except OSError as error:
        raise failure("create folder", name, error) from error
    return Path(name)
