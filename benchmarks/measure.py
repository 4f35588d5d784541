# SPDX-License-Identifier: BSD-3-Clause
"""Timing: engines take turns (A B C A B C ...), so that a slow second of the machine hits all of them."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from arrays import Facts, Times

# A round of a fast engine repeats its call until it has run this long; the round's time is the mean of its calls.
SHORTEST_ROUND = 0.03


@dataclass
class Engine:
    """One competitor in a case.

    Parameters
    ----------
    name : str
    call : callable
        What is timed. It is given the return value of ``prepare``.
    prepare : callable, optional
        Run before every timed round, untimed; a round then is a single call.
    max_rounds : int, optional
        For engines so slow that all rounds would take too long.
    accuracy : dict
        Figures printed beside the time.
    """

    name: Any  # most often text; in tables of several sizes a tuple
    call: Callable[..., object]
    prepare: Callable[[], object] | None = None
    max_rounds: int = 10**9
    accuracy: Facts = field(default_factory=dict)


def interleave(engines: Sequence[Engine], rounds: int, shortest: float = SHORTEST_ROUND) -> dict[Any, Times]:
    """{name: {round: seconds}}; round r of every engine comes before round r + 1 of any, and takes ``shortest`` seconds or more."""
    calls = {}
    for engine in engines:  # the first call pays for page faults, thread creation and caches
        seconds = _one_round(engine, 1)
        calls[engine.name] = max(1, math.ceil(shortest / max(seconds, 1e-9)))
    seconds = {engine.name: {} for engine in engines}
    for r in range(rounds):
        for engine in engines:
            if r % math.ceil(rounds / engine.max_rounds) == 0:  # the few rounds of a slow engine are spread over all
                seconds[engine.name][r] = _one_round(engine, calls[engine.name])
    return seconds


def _one_round(engine: Engine, calls: int) -> float:
    arguments = ()
    if engine.prepare:
        arguments, calls = (engine.prepare(),), 1
    gc.collect()
    begin = time.perf_counter()
    for _ in range(calls):
        engine.call(*arguments)
    return (time.perf_counter() - begin) / calls


def summary(seconds: Times | list[float]) -> Facts:
    """The figures of {round: seconds}, or of a list of seconds, that go to the JSON."""
    seconds = list(seconds.values()) if isinstance(seconds, dict) else seconds
    return {
        "seconds": [float(f"{s:.6g}") for s in seconds],
        "median": statistics.median(seconds),
        "min": min(seconds),
        "max": max(seconds),
    }


def pair_ratio(seconds: Times, reference: Times) -> float:
    """Median of seconds / reference seconds of the same round, both {round: seconds}: above 1 is slower."""
    return statistics.median(own / reference[r] for r, own in seconds.items())


def rows(engines: Sequence[Engine], seconds: dict[Any, Times], reference: str) -> list[Facts]:
    """The table of a case: one row per engine, ratios to the engine named ``reference``."""
    table = []
    for engine in engines:
        own = seconds[engine.name]
        row = {"engine": engine.name, **summary(own), "accuracy": engine.accuracy}
        row["ratio"] = pair_ratio(own, seconds[reference])
        table.append(row)
    return table


def ratio_of(table: list[Facts], name: str) -> float:
    """The ratio in a table of :func:`rows`."""
    return next(row["ratio"] for row in table if row["engine"] == name)


def goal(text: str, value: object, met: object, *, stretch: bool = False) -> Facts:
    """One goal of a case: what was wanted, what was found, whether it was met."""
    return {"goal": text, "found": value, "met": bool(met), "stretch": stretch}


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Slope of log(seconds) over log(size): 1 is proportional."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
