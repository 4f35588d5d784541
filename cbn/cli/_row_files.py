# SPDX-License-Identifier: BSD-3-Clause
"""Results as files, a row for each picture: --csv, --jsonl and --parquet, with the same columns."""

import csv
import fcntl
import io
import json
import os
import stat
from contextlib import ExitStack, contextmanager, nullcontext, suppress

from ..exceptions import CbnError
from ..io.files import atomic_write, failure
from ._results import finite
from ._running import UsageError

OPTIONS = ("--csv", "--jsonl", "--parquet")
STREAMS = OPTIONS[:2]  # may go to stdout
_ROW_GROUP = 16384  # rows of Parquet that are in memory at a time


def add_row_files(parser, what, columns):
    """The options; ``columns`` says in words what is in a row."""
    group = parser.add_argument_group(f"files with a row for each of the {what}")
    group.add_argument(
        "--csv", metavar="FILE",
        help=f"write rows as soon as they are known: {columns}; -: to stdout",
    )  # fmt: skip
    group.add_argument(
        "--jsonl", metavar="FILE",
        help="the same rows as JSON Lines, an object a line; null for what is empty, NaN or infinite; -: to stdout",
    )  # fmt: skip
    group.add_argument(
        "--parquet", metavar="FILE",
        help="the same rows as Parquet, complete or not at all; needs pyarrow: pip install 'cbn[parquet]'",
    )  # fmt: skip


def check_row_files(arguments):
    """Refuses what cannot be written, before anything is read."""
    streams = [option for option in STREAMS if _path(arguments, option) == "-"]
    if streams and arguments.json:
        raise UsageError(f"{streams[0]} -: stdout is that of --json; give a file")
    if len(streams) > 1:
        raise UsageError("--jsonl -: stdout is that of --csv; give a file")
    if arguments.parquet is None:
        return
    if arguments.parquet == "-":
        raise UsageError("--parquet -: a Parquet file cannot go to stdout; give the name of a file")
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise CbnError("--parquet: needs pyarrow, which is not installed: pip install 'cbn[parquet]'") from None


def has_files(arguments):
    """Whether rows go anywhere."""
    return any(_path(arguments, option) is not None for option in OPTIONS)


def takes_stdout(arguments):
    """Whether stdout is for the rows of --csv or --jsonl."""
    return any(_path(arguments, option) == "-" for option in STREAMS)


def _path(arguments, option):
    return getattr(arguments, option.removeprefix("--"))


@contextmanager
def row_files(arguments, columns):
    """A function that writes one row (a dict) to every file that is asked for, or None where none is.

    Rows of CSV and JSON Lines are written as they are known, and are on the disk then. A program that is killed leaves all
    its whole rows: each is one write. With --top or --sort the rows of stdout are left to :func:`print_rows`.
    """
    with ExitStack() as closing:
        writers = []
        for option in OPTIONS:
            path = _path(arguments, option)
            if path is None or (path == "-" and (arguments.sort or arguments.top is not None)):
                continue
            opened = _parquet(path, columns) if option == "--parquet" else _lines(option, path, columns)
            writers.append(closing.enter_context(opened))

        def write(row):
            for writer in writers:
                writer(row)

        yield write if writers else None


def print_rows(arguments, columns, rows):
    """Rows on stdout as --csv - or --jsonl - ask."""
    option = next(option for option in STREAMS if _path(arguments, option) == "-")
    with _lines(option, "-", columns) as write:
        for row in rows:
            write(row)


@contextmanager
def live_rows(arguments, columns):
    """A function that writes one row as JSON to stdout as soon as it is known, or does nothing where --jsonl is not given."""
    if arguments.jsonl is None:
        yield lambda row: None
    else:
        with _lines("--jsonl", "-", columns) as write:

            def tell(row):
                try:
                    write(row)
                except BrokenPipeError:
                    raise CbnError(
                        "--jsonl -: who read stdout has ended; the same command goes on with this picture"
                    ) from None

            yield tell


@contextmanager
def _naming(option, path):
    """What the system says of the file, and of nothing else, is said of its option."""
    try:
        yield
    except OSError as error:
        if path == "-" and isinstance(error, BrokenPipeError):  # the reader, such as head, has seen enough
            raise
        raise CbnError(f"{option}: {failure('write', path, error)}") from error
    except CbnError as error:
        raise CbnError(f"{option}: {error}") from error


@contextmanager
def _lines(option, path, columns):
    """A function that writes one row as a line."""

    def write(descriptor, line):
        with _naming(option, path):
            write_all(descriptor, line)

    with nullcontext(1) if path == "-" else _descriptor(option, path) as descriptor:
        if option == "--csv":
            write(descriptor, csv_line(columns))
            yield lambda row: write(descriptor, csv_line(row.get(name) for name in columns))
        else:
            yield lambda row: write(descriptor, json_line({name: row.get(name) for name in columns}))


@contextmanager
def _descriptor(option, path):
    """The file, emptied; locked, because rows of two programs in one file would be of no use."""
    with _naming(option, path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CbnError(f"{option}: another program is writing {path!r}; give another file") from None
            except OSError:
                pass  # a file system without locks
            os.ftruncate(descriptor, 0)
        yield descriptor
    finally:
        os.close(descriptor)


def write_all(descriptor, data):
    """One or several rows; where there is no room for all of it nothing of it stays."""
    done = 0
    try:
        while done < len(data):
            done += os.write(descriptor, data[done:])
    except OSError:
        if done:
            with suppress(OSError):  # a pipe keeps what it has
                os.ftruncate(descriptor, os.lseek(descriptor, 0, os.SEEK_CUR) - done)
        raise


def csv_line(values):
    """A row as bytes, with every digit; empty for None."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(map(_text, values))
    try:
        return buffer.getvalue().encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # halves of a character that no file name has, but labels may
        return buffer.getvalue().encode("utf-8", "backslashreplace")


def _text(value):
    if isinstance(value, float):
        return repr(value)
    return "" if value is None else str(value)


def json_line(row):
    """A row as bytes; null for what JSON has no number for."""
    return json.dumps(finite(row), allow_nan=False).encode() + b"\n"


@contextmanager
def _parquet(path, columns):
    """A function that takes one row; the file is there when all have come."""
    outside = True
    try:
        with atomic_write(path) as file:
            table = _Parquet(file, columns)

            def add(row):
                with _naming("--parquet", path):
                    table.add(row)

            outside = False
            yield add
            outside = True
            table.close()
    except (CbnError, OSError):
        if not outside:  # what went wrong between the rows
            raise
        with _naming("--parquet", path):
            raise


class _Parquet:
    """Rows in groups. The first group says which type a column has."""

    def __init__(self, file, columns):
        self.file, self.columns, self.rows, self.writer = file, columns, [], None

    def add(self, row):
        self.rows.append([row.get(name) for name in self.columns])
        if len(self.rows) == _ROW_GROUP:
            self._write()

    def close(self):
        if self.rows or self.writer is None:
            self._write()
        self.writer.close()

    def _write(self):
        import pyarrow
        import pyarrow.parquet

        values = list(zip(*self.rows)) if self.rows else [()] * len(self.columns)
        if self.writer is None:
            types = {int: pyarrow.int64(), float: pyarrow.float64()}
            fields = []
            for name, column in zip(self.columns, values):
                kind = next((type(value) for value in column if value is not None), None)
                kind = float if name in _REAL else kind
                fields.append((name, types.get(kind, pyarrow.string())))
            self.writer = pyarrow.parquet.ParquetWriter(self.file, pyarrow.schema(fields))
        schema = self.writer.schema
        arrays = [
            pyarrow.array([_valid(value) if field.type == pyarrow.string() else value for value in column], field.type)
            for field, column in zip(schema, values)
        ]
        self.writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
        self.rows = []


_REAL = {"score", "p_value", "threshold"}  # whatever the first rows hold


def _valid(value):
    """Text that UTF-8 can hold: bytes of file names that are none are escaped."""
    return None if value is None else str(value).encode("utf-8", "backslashreplace").decode()
