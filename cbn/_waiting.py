# SPDX-License-Identifier: BSD-3-Clause
"""Loads the engine so that its threads sleep while they wait for each other.

OpenMP's own choice is to spin for milliseconds. Where other programs keep the cores busy, a thread that spins takes the
core from the very thread that it waits for, and a call of a millisecond takes ten. Sleeping costs a wake-up, some 30
microseconds, which the engine saves by giving short calls one thread.

The OpenMP library reads the choice once, when it is loaded or first used, and has no function for it. So it is in the
environment during that moment only: programs that the process starts later do not inherit it. Where something else has
loaded the same library before cbn, its choice stands; the copies that wheels of other packages bring are their own.
"""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

POLICY = "OMP_WAIT_POLICY"
CHOICES = POLICY, "GOMP_SPINCOUNT", "KMP_BLOCKTIME"  # of OpenMP, of GNU's library, of LLVM's


@contextmanager
def _sleeping() -> Iterator[None]:
    """The environment asks for sleeping threads, unless it has a choice of its own."""
    if any(name in os.environ for name in CHOICES):
        yield
        return
    os.environ[POLICY] = "PASSIVE"
    try:
        yield
    finally:
        os.environ.pop(POLICY, None)


def load_engine() -> None:
    """Imports ``cbn._engine`` and with it the OpenMP library."""
    with _sleeping():
        importlib.import_module("._engine", __package__).max_threads()  # LLVM's library waits for a first question
