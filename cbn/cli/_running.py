# SPDX-License-Identifier: BSD-3-Clause
"""Running a program: every failure is one line and an exit code; messages, progress and the clock.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Results go to stdout; progress and messages to stderr.
"""

import contextlib
import errno
import os
import re
import sys
import time
import warnings

from ..exceptions import CbnError, DataError, ModelFileError
from ._interrupt import is_interrupt
from ._parser import one_line, with_values

INTERRUPTED = "interrupted; files that were not complete have not been written"


class UsageError(Exception):
    """Options that do not fit together; exit code 2."""


def run(program, build_parser, body, argv):
    """Parses argv, runs body(arguments) and returns the exit code: every failure is one line on stderr."""
    try:
        arguments = build_parser().read(with_values(sys.argv[1:] if argv is None else argv))
        if sys.stdout is None:
            raise OSError(errno.EBADF, "closed; nothing can be printed", "standard output")
        # names that the terminal cannot show are shown escaped
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError):  # closed, or no stream of text with an encoding
                stream.reconfigure(errors="backslashreplace")
        with _short_warnings(arguments):
            body(arguments)
            sys.stdout.flush()
        return 0
    except UsageError as error:
        return _fail(program, error, 2, hint=f" (see {program} --help)")
    except (DataError, ModelFileError, CbnError) as error:
        return _fail(program, error, 1)
    except BrokenPipeError:  # the reader of the output, such as head, has gone
        _silence_stdout()
        return 1
    except KeyboardInterrupt as interrupt:  # a body that knows what it leaves behind raises one with a message
        return _fail(program, str(interrupt) or INTERRUPTED, 130)
    except MemoryError:
        return _fail(program, "not enough memory; use fewer or smaller images, or fewer parents", 1)
    except OSError as error:
        _silence_stdout()
        return _fail(program, f"{error.filename or 'output'}: {error.strerror or error}", 1)
    except ValueError as error:  # arguments of the fit, checked there
        _show_where()
        return _fail(program, error, 2)
    except Exception as error:  # noqa: BLE001 - whatever it is, users see one line
        if is_interrupt(error):
            return _fail(program, INTERRUPTED, 130)
        _show_where()
        return _fail(
            program, f"internal error: {type(error).__name__}: {error}; please report it (CBN_DEBUG=1 shows where)", 1
        )


def _show_where():
    if os.environ.get("CBN_DEBUG"):
        import traceback

        traceback.print_exc()


def _fail(program, error, code, hint=""):
    _to_stderr(f"{program}: error: {one_line(error)}{hint}")
    return code


def _to_stderr(message):
    if sys.stderr is not None:  # print would take standard output for None
        with contextlib.suppress(OSError):
            print(message, file=sys.stderr, flush=True)


def _silence_stdout():
    """Nothing more can be written; the interpreter's own flush at exit must not complain."""
    if sys.stdout is not None:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _short_warnings(arguments):
    """Warnings of cbn as one line on stderr, others not at all."""

    def show(message, category, filename, lineno, file=None, line=None):
        if category.__module__.startswith("cbn") or category is UserWarning:
            warn(arguments, message)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show
        yield


@contextlib.contextmanager
def naming(option):
    """Errors about data name the option that gave them."""
    try:
        yield
    except DataError as error:
        message = str(error).removeprefix("path: ")
        raise DataError(message if message.startswith("--") else f"{option}: {message}") from None


@contextlib.contextmanager
def renaming(**options):
    """Errors about arguments of a function name the options that gave them: renaming(n_sweeps="--sweeps").

    An error is about those before its first colon, with commas between them.
    """
    try:
        yield
    except ValueError as error:
        about, colon, rest = str(error).partition(": ")
        names = about.split(", ")
        if not colon or not all(name in options for name in names):
            raise
        # names with an underscore, or in backquotes, are meant as names wherever they stand
        rest = re.sub(r"`(\w+)`|\b(\w+_\w+)\b", lambda found: options.get(found[1] or found[2], found[0]), rest)
        message = f"{', '.join(options[name] for name in names)}: {rest}"
        raise (DataError(message) if isinstance(error, DataError) else UsageError(message)) from None


def say(arguments, message):
    """A message on stderr, unless --quiet."""
    if not arguments.quiet:
        _to_stderr(message)


def warn(arguments, message):
    """A warning on stderr, unless --quiet."""
    say(arguments, f"{arguments.program}: warning: {one_line(message)}")


def progress(iterable, arguments, total, unit, description):
    """A tqdm bar on stderr; none with --quiet or where stderr is closed or no terminal."""
    if arguments.quiet or sys.stderr is None or not sys.stderr.isatty():
        return NoBar(iterable, total)
    from tqdm import tqdm

    return tqdm(iterable, total=total, unit=unit, desc=description, leave=False, **_size(sys.stderr))


def _size(stream):
    """What tqdm is told of a terminal that does not know its own size, on which it would draw nothing."""
    with contextlib.suppress(OSError, ValueError):
        if 0 in os.get_terminal_size(stream.fileno()):
            return {"ncols": 80, "nrows": 24}
    return {}


class NoBar:
    """A bar that nobody sees, as far as programs ask one; to load tqdm takes longer than to train a network."""

    disable = True

    def __init__(self, iterable, total):
        self.iterable, self.total, self.n, self.initial = iterable, total, 0, 0

    def __iter__(self):
        return iter(self.iterable)

    def _ignore(self, *_, **__):
        pass

    update = refresh = clear = close = set_description = set_postfix_str = _ignore


class Clock:
    """Seconds by part of a program, on top of given ones."""

    def __init__(self, seconds=()):
        self.seconds = dict(seconds)

    @contextlib.contextmanager
    def part(self, name):
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
