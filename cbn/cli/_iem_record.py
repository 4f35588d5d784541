# SPDX-License-Identifier: BSD-3-Clause
"""A CSV file that grows from run to run, and is the record of what was done."""

import contextlib
import csv
import fcntl
import io
import os
import stat
from collections.abc import Callable, Iterable
from typing import Any, Self

from ..exceptions import CbnError, DataError
from ._row_files import csv_line, write_all


class Record:
    """Rows that are appended; those of earlier runs are read. A row that a kill has cut is removed.

    Parameters
    ----------
    option : str
        That gave the file, for messages.
    path : str
    columns : sequence of str
    fresh : bool
        Begin anew, whatever is there.

    Attributes
    ----------
    files : list of str
        The first column of every row.
    """

    def __init__(self, option: str, path: str, columns: Iterable[str], *, fresh: bool = False) -> None:
        self.option, self.path, self.files = option, path, list[str]()
        self._columns = list(columns)
        self._starts: list[int] = []  # where every row begins
        with self._errors():
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if fresh else 0)
            self._descriptor = os.open(path, flags, 0o666)
        try:
            with self._errors():
                self._open(fresh)
        except BaseException:
            self.close()
            raise

    def _open(self, fresh: bool) -> None:
        if not fresh:
            if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                raise DataError(f"{self.option}: {self.path!r} is no plain file, which a record needs; give another")
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataError(
                    f"{self.option}: {self.path!r} is written by another program that watches; end it, or give another file"
                ) from None
            except OSError:  # a file system without locks
                pass
            self._read()
        if fresh or not os.fstat(self._descriptor).st_size:
            write_all(self._descriptor, csv_line(self._columns))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._descriptor)

    @contextlib.contextmanager
    def _errors(self) -> Any:
        try:
            yield
        except OSError as error:
            raise CbnError(f"{self.option}: cannot write {self.path!r}: {error.strerror or error}") from error

    def _read(self) -> None:
        with open(self.path, "rb") as file:
            content = file.read()
        rows, whole = _whole_rows(content)
        if whole < len(content):
            os.ftruncate(self._descriptor, whole)
        for number, (start, line) in enumerate(rows):
            text = line.decode("utf-8", "surrogateescape")
            found = next(csv.reader(io.StringIO(text, newline="")), [])
            if (number == 0 and found != self._columns) or len(found) != len(self._columns):
                raise DataError(
                    f"{self.option}: {self.path!r}: row {number + 1} has not the columns {', '.join(self._columns)}; give "
                    "the file of an earlier run, or a new one"
                )
            if number:
                self.files.append(found[0])
                self._starts.append(start)

    def append(self, rows: Iterable[dict[str, Any]]) -> None:
        """Rows that belong together: all in one write."""
        lines = b"".join(csv_line(row.get(name) for name in self._columns) for row in rows)
        with self._errors():
            write_all(self._descriptor, lines)

    def keep_while(self, known: Callable[[str], bool]) -> None:
        """Removes the first row of an earlier run whose file is not known, and all after it."""
        for i, name in enumerate(self.files):
            if not known(name):
                with self._errors():
                    os.ftruncate(self._descriptor, self._starts[i])
                del self.files[i:], self._starts[i:]
                return


def _whole_rows(content: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """((start, row) of every row that ends, where they end); line breaks within quotes end none."""
    rows: list[tuple[int, bytes]] = []
    start = end = quotes = 0
    for line in content.split(b"\n")[:-1]:
        end += len(line) + 1
        quotes += line.count(b'"')
        if quotes % 2 == 0:
            rows.append((start, content[start:end]))
            start = end
    return rows, start
