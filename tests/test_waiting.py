# SPDX-License-Identifier: BSD-3-Clause
"""Threads that wait sleep, unless the user has chosen; and no more of them are woken than a call is worth."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import cbn
from cbn import _engine, _waiting

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
openmp = pytest.mark.skipif(not _engine.has_openmp(), reason="needs OpenMP")


def child(code, **environ):
    """What a program prints that starts without a choice of its own, but for ``environ``."""
    own = {name: value for name, value in os.environ.items() if name not in (*_waiting.CHOICES, "CBN_EVERY_THREAD")}
    return subprocess.run(
        [sys.executable, "-P", "-c", code], env=own | environ, capture_output=True, text=True, check=True, timeout=60
    )


@openmp
@pytest.mark.parametrize(
    "chosen, spins", [({}, {"0"}), ({"GOMP_SPINCOUNT": "5000"}, {"5000"}), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)]
)
def test_the_library_is_told_before_it_is_loaded(chosen, spins):
    shown = child("import cbn", OMP_DISPLAY_ENV="verbose", **chosen).stderr
    found = set(re.findall(r"GOMP_SPINCOUNT = '(\d+)'", shown))
    if not found:
        pytest.skip("not GNU's library")
    assert found == spins if spins else min(map(int, found)) > 0


@pytest.mark.parametrize("chosen", [{}, {"OMP_WAIT_POLICY": "ACTIVE"}, {"KMP_BLOCKTIME": "3"}])
def test_the_environment_stays_as_it_was(chosen):
    code = f"import cbn, os; print({{name: os.environ[name] for name in {_waiting.CHOICES} if name in os.environ}})"
    assert child(code, **chosen).stdout.strip() == repr(chosen)


COUNT = """
import os
import numpy as np
from cbn import _engine
for n in (640, 200_000):
    planes = np.empty((400, _engine.plane_words(n)), np.uint64)
    _engine.pack_planes(np.zeros((n, 400), np.uint8), 0, planes, 3)
    print(len(os.listdir("/proc/self/task")))
"""


@linux
@openmp
def test_small_calls_wake_nobody():
    alone, together = map(int, child(COUNT).stdout.split())
    assert together == alone + 2
    every, all_along = map(int, child(COUNT, CBN_EVERY_THREAD="1").stdout.split())
    assert every == all_along == together


def test_what_a_call_is_worth_changes_no_byte(monkeypatch):
    images = np.random.default_rng(0).integers(0, 2, (700, 12, 12)).astype(np.uint8)
    found = []
    for every in ("0", "1"):
        monkeypatch.setenv("CBN_EVERY_THREAD", every)
        for threads in (1, 3):
            model = cbn.ConvolutionalBayesianNetwork("tree", n_jobs=threads, random_state=0).fit(images)
            found.append(model.score_samples(images).tobytes() + model.sample(99, random_state=1).tobytes())
    assert len(set(found)) == 1
