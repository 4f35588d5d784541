# SPDX-License-Identifier: BSD-3-Clause
"""Fits one engine in a process of its own and prints, as JSON, how far memory rose above what it was before.

Arguments: engine, file of uint8 images, number of images. Started by ``cases_memory``. The images and everything the
engine loads are in memory before the fit that is measured, so the rise is the fit's own.
"""

import gc
import json
import resource
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
from arrays import Images
from engines import PlainNumpy, TunedNumpy, Twin, estimator

STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
KIB = 1024


def _field(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name + ":"))
    return int(line.split()[1]) * KIB


def _forget_peak() -> None:
    """Sets the recorded peak to the present size, so that an earlier peak cannot hide the fit's."""
    CLEAR_REFS.write_text("5")


def _peak() -> int:
    return _field("VmHWM")


def rise_of(fit: Callable[[], object]) -> tuple[int, str, object]:
    """(bytes of peak memory above the start, how it was measured)."""
    gc.collect()
    try:
        _forget_peak()
        before = _field("VmRSS")
        result = fit()
        return _peak() - before, "VmHWM after a reset, minus VmRSS", result
    except OSError:  # not Linux, or no permission
        unit = 1 if sys.platform == "darwin" else KIB
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        result = fit()
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit, "rise of ru_maxrss", result


def _pyagrum(images: Images, threads: int) -> tuple[Callable[[], object], object]:
    from peer_pyagrum import Database, template

    network = template()
    database = Database(images).__enter__()
    del database.states  # only the file is the input
    return lambda: database.learner(threads, network).learnParameters(network), database


def main() -> None:
    name, path, n_images, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    images = np.fromfile(path, np.uint8, n_images * 784).reshape(-1, 28, 28)
    warm_up = np.ascontiguousarray(images[:64])
    database = None
    if name == "pyagrum":
        fit, small = _pyagrum(warm_up, threads)
        fit()
        small.__exit__()
        fit, database = _pyagrum(images, threads)
    else:
        learn = {
            "cbn": lambda x: estimator(threads).fit(x),
            "numpy": PlainNumpy().fit,
            "numpy tuned": TunedNumpy().fit,
            "twin": lambda x: Twin().fit(x),
        }[name]
        learn(warm_up)  # libraries, threads and caches that the first fit sets up

        def fit() -> object:
            return learn(images)

    rise, method, result = rise_of(fit)
    del result
    tracemalloc.start()
    fit()
    traced = tracemalloc.get_traced_memory()[1]
    if database:
        database.__exit__()
    print(json.dumps({"rise": rise, "method": method, "traced": traced}))


if __name__ == "__main__":
    main()
