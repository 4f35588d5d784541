# SPDX-License-Identifier: BSD-3-Clause
"""All threads against one, on the machine as it is and with a busy process on every core."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from arrays import Facts
from context import SEED, Context
from engines import estimator
from measure import Engine, goal, interleave, pair_ratio, summary

import cbn
from cbn.datasets import make_category

BUSY = "import sys\nprint(flush=True)\nwhile True:\n    sys.intern('x')\n"
SETTLE = 0.5  # seconds until the system has spread them over the cores
ROUNDS = 15  # at least: a busy machine is noisy
# Seconds: beside others a process runs in turns of some milliseconds, of which a round is to have many.
LONG_ROUND = 0.4
SHORT = 3e-3  # seconds on one thread below which a call is short


@contextmanager
def busy_processes(n: int) -> Iterator[None]:
    """So many processes that do nothing but take a core each; they end with the block, whatever happens in it."""
    with ExitStack() as stack:
        for _ in range(n):
            process = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE)
            stack.callback(process.wait)
            stack.callback(process.kill)
            assert process.stdout is not None
            process.stdout.readline()
        time.sleep(SETTLE)
        yield


def _calls(context: Context) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """{call: with the threads of the run, with one}."""
    images, test = context.digit(), context.test
    calls = {}

    def add(name: str, call: Callable[[int], Any]) -> None:
        calls[name] = (lambda: call(context.threads), lambda: call(1))

    for preset, sizes in (("pixel", (1000, 10_000)), ("tree", (500, 10_000)), ("hidden", (200, 10_000))):
        model = estimator(1, preset, **({"iterations": 0} if preset == "hidden" else {})).fit(images)
        for n in sizes:
            add(
                f"{preset}, score {n:,} images",
                lambda threads, model=model, n=n: model.set_params(n_jobs=threads).score_samples(test[:n]),
            )
    add("pixel, fit", lambda threads: estimator(threads).fit(images))
    pictures = make_category("texture", 20, 1, 1, size=224, random_state=SEED)
    inspection = cbn.IntrospectiveEnergyModel(n_jobs=1, random_state=0, false_alarm_rate=0.2).fit(pictures.train)
    for n in (1, 16):
        add(
            f"Gaussian inspection, {n} picture{'s' * (n > 1)}",
            lambda threads, n=n: inspection.set_params(n_jobs=threads).score_samples(pictures.train[:n]),
        )
    return calls


def busy(context: Context) -> Facts:
    calls, cores = _calls(context), os.cpu_count() or 1
    table, ratios = [], {}
    for n_busy in (0, cores):
        engines = [Engine((name, own), pair[own]) for name, pair in calls.items() for own in (0, 1)]
        with busy_processes(n_busy):
            seconds = interleave(engines, max(ROUNDS, context.rounds), LONG_ROUND)
        for name in calls:
            own, one = seconds[name, 0], seconds[name, 1]
            ratios[name, n_busy] = pair_ratio(own, one)
            accuracy = {"one thread, ms": 1e3 * statistics.median(one.values())}
            row = {"engine": f"{name}; {n_busy} busy", **summary(own), "accuracy": accuracy}
            table.append({**row, "ratio": ratios[name, n_busy]})
    short = [name for name in calls if statistics.median(seconds_of_one(calls[name][1])) < SHORT]
    worst = max(ratios[name, cores] for name in short)
    large = max(ratios[name, 0] for name in calls if name not in short)
    return {
        "title": f"Threads: {context.threads} against one, on {cores} cores, free and busy",
        "about": f"`; 0 busy` is the machine as it is, `; {cores} busy` with that many processes that only count. The "
        f"ratio is the time with {context.threads} threads to the time with one in the same round, which repeats a call "
        f"for at least {1e3 * LONG_ROUND:.0f} ms. Short calls are those "
        f"below {1e3 * SHORT:.0f} ms on one thread: {', '.join(short)}.",
        "rows": table,
        "goals": [
            goal("busy: short calls at most 1.2 times one thread", f"at most {worst:.2f}", worst <= 1.2),
            goal("as it is: large calls no slower than one thread", f"at most {large:.2f}", large <= 1.05),
        ],
    }


def seconds_of_one(call: Callable[[], Any]) -> list[float]:
    """Of a few calls on the machine as it is."""
    found = []
    for _ in range(5):
        begin = time.perf_counter()
        call()
        found.append(time.perf_counter() - begin)
    return found
