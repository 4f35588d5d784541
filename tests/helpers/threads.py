# SPDX-License-Identifier: BSD-3-Clause
"""Which number of threads reaches the engine."""

import functools
import inspect

from cbn import _engine

# These run beside each other in threads of Python; each is given its share.
FILTERS = ("table_inpaint", "tree_inpaint", "boosted_inpaint", "tied_inpaint")


def watch(monkeypatch):
    """A set that gathers (function, number of threads) of every call of the engine."""
    seen = set()
    for name, function in inspect.getmembers(_engine, callable):
        if inspect.isclass(function) or "num_threads" not in (function.__doc__ or ""):
            continue
        monkeypatch.setattr(_engine, name, _watched(name, function, inspect.signature(function), seen))
    assert not seen
    return seen


def _watched(name, function, signature, seen):
    @functools.wraps(function)
    def call(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        seen.add((name, bound.arguments["num_threads"]))
        return function(*args, **kwargs)

    return call
