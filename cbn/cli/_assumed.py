# SPDX-License-Identifier: BSD-3-Clause
"""What a program chose where nothing was asked for, in one line on stderr, each with the option that decides otherwise."""

import os

from ._running import say


def assume(arguments, *parts):
    """Notes down what is to be told; None is nothing."""
    arguments.assumed = [*getattr(arguments, "assumed", ()), *(part for part in parts if part is not None)]


def tell_assumed(arguments):
    """The line of everything that was noted down since the last one."""
    parts = getattr(arguments, "assumed", None)
    if parts:
        say(arguments, f"assumed: {'; '.join(parts)}")
    arguments.assumed = []


def assume_model(arguments):
    """The model is the one that is read where none is named."""
    assume(arguments, unless("named_model" in arguments, f"model {arguments.model} (--model)"))


def unless(given, text):
    """The text, or None where an option is given."""
    return None if given else text


def of_threads(arguments):
    """Where fewer are used than the machine has processors."""
    from .._validation import check_threads

    if arguments.threads is not None:
        return None
    used, there = check_threads(None), os.cpu_count() or 1
    return f"{used} threads of {there} processors (--threads)" if used < there else None


def of_out(arguments, several):
    """Where no name is given for a model, and that of an earlier training is written over; ``several`` have names of their own."""
    keeps = several or "out" in arguments.given or arguments.dry_run or arguments.resume
    return (
        None if keeps or not os.path.isfile(arguments.out) else f"{arguments.out}, which is there, is replaced (--out)"
    )
