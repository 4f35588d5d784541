# SPDX-License-Identifier: BSD-3-Clause
"""How much of the machine other programs used: two threads on two cores are slow when one core is taken."""

import os
import time
from pathlib import Path

STAT = Path("/proc/stat")


def _busy_seconds() -> float:
    """Processor seconds of all programs since the start of the machine, without idle and waiting time."""
    user, nice, system, _idle, _wait, irq, softirq, steal = (int(x) for x in STAT.read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    return sum(os.times()[:4])  # of this process and of the children that have ended


class OthersLoad:
    """Measures from its making to :meth:`cores`."""

    def __init__(self) -> None:
        self._begin = self._now()

    @staticmethod
    def _now() -> tuple[float, float | None, float]:
        busy = _busy_seconds() if STAT.exists() else None
        return time.perf_counter(), busy, _own_seconds()

    def cores(self) -> float | None:
        """Mean number of cores that others kept busy meanwhile; None where the system does not tell."""
        end, busy, own = self._now()
        begin, busy_before, own_before = self._begin
        if busy is None or end == begin:
            return None
        return round(max(0.0, (busy - busy_before) - (own - own_before)) / (end - begin), 2)
