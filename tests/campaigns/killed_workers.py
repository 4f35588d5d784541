# SPDX-License-Identifier: BSD-3-Clause
"""Workers of a cluster killed at random moments of a fit: the model has the bytes of one process every time.

    python tests/campaigns/killed_workers.py --kills 20 --seed 0

Two workers of one thread; presets take turns, and so do one kill and two. The exit status is 1 if any model differs.
"""

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
import warnings
from contextlib import contextmanager
from pathlib import Path
from random import Random

import dask.array as da
import distributed
import numpy as np

import cbn

DRAWN = cbn.Features(layers=((5, 3, 2), (5, 3, 2)), iterations=0)
MODELS = {"pixel": ({}, 20_000), "tree": ({"cpd": cbn.Tree(max_leaves=20), "folds": 2}, 3000),
          "hidden": ({"features": DRAWN}, 5000), "tied": ({"cpd": cbn.Tied(rounds=20, pairs=200_000)}, 4000),
          "boosted": ({"cpd": cbn.Boosted(rounds=4)}, 1500),
          "best": ({"contrast": cbn.Contrast(pairs=50_000, rounds=20, background_rounds=5)}, 2500)}  # fmt: skip


def saved(preset, X, path):
    arguments = MODELS[preset][0]
    cbn.ConvolutionalBayesianNetwork(preset, random_state=1, n_jobs=1, **arguments).fit(X).save(path)
    return path.read_bytes()


def kill_one(client, random):
    """Kills one of the workers, if any answers."""
    pids = [pid for pid in client.run(os.getpid, on_error="ignore").values() if isinstance(pid, int)]
    if pids:
        os.kill(random.choice(sorted(pids)), signal.SIGKILL)


@contextmanager
def connected():
    """A client of a cluster of its own: dask does not always start a killed worker again, and two are to be killed."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1", memory_limit=0
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def disturbed(client, random, preset, moments, images, path):
    """The bytes of a fit during which workers are killed after some seconds each, and the number of shards."""
    n = MODELS[preset][1]
    cuts = sorted(random.sample(range(1, n), random.choice((1, 2, 6))))
    X = da.concatenate([da.from_array(part) for part in np.split(images[:n], cuts)])
    if random.random() < 0.5:
        X = X.persist()
        distributed.wait(X)
    timers = [threading.Timer(at, kill_one, (client, random)) for at in moments]
    for timer in timers:
        timer.start()
    found = saved(preset, X, path)
    for timer in timers:
        timer.join()
    return found, len(cuts) + 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="fits in which workers are killed")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random, images = Random(options.seed), cbn.datasets.load_mnist()[0].images
    wrong, expected, seconds = 0, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.cbn"
        with connected():
            for preset, (_, n) in MODELS.items():
                expected[preset] = saved(preset, images[:n], path)
                begin = time.monotonic()
                assert saved(preset, da.from_array(images[:n], chunks=(n // 3, -1, -1)), path) == expected[preset]
                seconds[preset] = time.monotonic() - begin
                print(f"{preset}: {seconds[preset]:.1f} s undisturbed", flush=True)
        for number in range(options.kills):
            preset = list(MODELS)[number % len(MODELS)]
            moments = sorted(random.uniform(0, seconds[preset]) for _ in range(1 + number % 2))
            with connected() as client:
                found, n_shards = disturbed(client, random, preset, moments, images, path)
            wrong += found != expected[preset]
            after = ", ".join(f"{at:.1f} s" for at in moments)
            verdict = "right" if found == expected[preset] else "WRONG"
            print(f"{number + 1:3} {preset:7} {n_shards} shards, killed after {after}: {verdict}", flush=True)
    print(f"{options.kills - wrong} of {options.kills} right")
    return int(wrong > 0)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main())
