# SPDX-License-Identifier: BSD-3-Clause
"""Whether Ctrl-C is behind an error."""


def is_interrupt(error):
    """True of a KeyboardInterrupt, and of an error that one caused.

    Python 3.11 turns what is raised while a class is made, as when a module loads, into a RuntimeError.
    """
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__
    return False
