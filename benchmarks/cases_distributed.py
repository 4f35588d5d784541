# SPDX-License-Identifier: BSD-3-Clause
"""Trees of many images on a cluster of this machine, against threads of one process.

Alone, without the peers of run.py: ``python benchmarks/cases_distributed.py [--images N] [--rounds N]``.
"""

import argparse
import json
import os
import time
from typing import Any

import dask.array as da
import distributed
import numpy as np
import psutil
from arrays import Facts, Images, Times
from context import SEED, Context
from measure import goal, pair_ratio, summary

import cbn
from cbn.fit.fitted import Fitted

N_IMAGES, WORKERS = 600_000, 2
MOST = 1.5  # times as long as one process with as many threads


def many(images: Images, n: int) -> Images:
    """n images: those of MNIST moved by up to a pixel, with a few pixels changed; (n, height, width) uint8 of 0 and 1."""
    rng, moves = np.random.default_rng(SEED), [(dy, dx) for dy in (0, 1, -1) for dx in (0, 1, -1)]
    parts = []
    for k in range(-(-n // len(images))):
        moved = np.roll(images, moves[k % len(moves)], axis=(1, 2)) != 0
        parts.append((moved ^ (rng.random(moved.shape, dtype=np.float32) < 0.004)).view(np.uint8))
    return np.concatenate(parts)[:n]


def fitted(X: Any, threads: int) -> Fitted:
    return cbn.ConvolutionalBayesianNetwork("tree", n_jobs=threads, random_state=SEED).fit(X).fitted_


def distributed_fit(context: Context, n: int | None = None) -> Facts:
    """The case: a cluster that runs, its array persisted."""
    n = n or (20_000 if context.quick else N_IMAGES)
    images = many(context.train, n)
    kept: dict[str, Fitted] = {}
    cpu: dict[str, list[float]] = {"one": [], "cluster": []}
    with (
        distributed.LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1", memory_limit=0
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        X = da.from_array(images, chunks=(-(-n // WORKERS), -1, -1)).persist()
        distributed.wait(X)
        processes = [psutil.Process(pid) for pid in (os.getpid(), *client.run(os.getpid).values())]

        def processor_seconds() -> float:
            return sum(sum(own.cpu_times()[:2]) for own in processes)

        seconds: dict[str, Times] = {"one": {}, "cluster": {}}
        for turn in range(max(1, min(3, context.rounds))):  # minutes each: nothing is to be warmed up
            for name, own in (("one", images), ("cluster", X)):
                begin, processors = time.perf_counter(), processor_seconds()
                kept[name] = fitted(own, WORKERS)
                seconds[name][turn] = time.perf_counter() - begin
                cpu[name].append(processor_seconds() - processors)
    traffic = kept["cluster"].traffic
    assert traffic is not None
    assert (kept["one"].network.pixels.counts == kept["cluster"].network.pixels.counts).all()
    ratio = pair_ratio(seconds["cluster"], seconds["one"])
    rows = [
        {
            "engine": label,
            **summary(seconds[name]),
            "accuracy": {"processor seconds": float(np.median(cpu[name]))},
            "ratio": pair_ratio(seconds[name], seconds["one"]),
        }
        for name, label in (
            ("one", f"one process, {WORKERS} threads"),
            ("cluster", f"cluster, {WORKERS} workers of 1 thread"),
        )
    ]
    return {
        "title": "Trees on a cluster of this machine",
        "about": f"Preset tree, {n:,} images of 28 x 28; the array is persisted on the workers. "
        f"{len(traffic.rounds)} rounds, {traffic.sent / 1e6:.1f} MB asked, {traffic.received / 1e6:.1f} MB answered.",
        "rows": rows,
        "goals": [goal(f"at most {MOST} times as long as one process", f"{ratio:.2f}", ratio <= MOST)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Trees on a cluster of this machine.")
    parser.add_argument("--images", type=int, default=N_IMAGES)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    begin = time.perf_counter()
    facts = distributed_fit(Context(options.rounds, WORKERS, False), options.images)
    print(json.dumps(facts, indent=1), f"{time.perf_counter() - begin:.0f} s", sep="\n")


if __name__ == "__main__":
    main()
