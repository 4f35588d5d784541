# SPDX-License-Identifier: BSD-3-Clause
"""Ctrl-C: it waits for imports to end, and whether it is behind an error."""

import contextlib
import signal

_AGAIN = 0.02  # seconds until it is asked again whether a module is being loaded


@contextlib.contextmanager
def after_imports():
    """Ctrl-C raises KeyboardInterrupt, but no sooner than the module that is being loaded is there.

    Extensions that are interrupted while they load, as NumPy, lose the interrupt or make an ImportError of it. Where
    Ctrl-C is ignored, as under nohup, or answered by someone else, and outside the main thread, it is left so.
    """
    earlier = {}
    try:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            for number in (signal.SIGINT, signal.SIGALRM):
                earlier[number] = signal.signal(number, _interrupt)
    except (ValueError, AttributeError):  # not the main thread; a system without alarms
        pass
    try:
        yield
    finally:
        if earlier:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in earlier.items():
            if signal.getsignal(number) is _interrupt:
                signal.signal(number, handler)


def _interrupt(_, frame):
    """The handler of Ctrl-C and, as long as a module is being loaded, of an alarm that asks again."""
    if not _is_loading(frame):
        raise KeyboardInterrupt
    signal.setitimer(signal.ITIMER_REAL, _AGAIN)


def _is_loading(frame):
    """Whether a module is being loaded by the program, not by who started the program."""
    while frame is not None and frame.f_globals.get("__name__") != __package__:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def is_interrupt(error):
    """True of a KeyboardInterrupt, and of an error that one caused.

    Python 3.11 turns what is raised while a class is made into a RuntimeError.
    """
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__
    return False
