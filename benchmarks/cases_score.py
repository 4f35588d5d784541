# SPDX-License-Identifier: BSD-3-Clause
"""Log-probabilities of the 10,000 test images."""

from collections.abc import Callable
from typing import Any

import numpy as np
from arrays import Facts
from context import DIGIT, Context
from engines import CUTOFF, N_PIXELS, PlainNumpy, TunedNumpy, Twin, estimator, generic
from measure import Engine, goal, interleave, ratio_of, rows
from peer_pyagrum import Database, log_probabilities_one_by_one, template

from cbn import _engine

# pyAgrum's interface takes about 2 ms per image; its time is scaled up from this many.
PYAGRUM_IMAGES = 100


def score(context: Context) -> Facts:
    images, test, threads = context.digit(), context.test, context.threads
    model, model_one = estimator(threads).fit(images), estimator(1).fit(images)
    twin = Twin().fit(images)
    values = twin.values(_engine.LOG_PROBABILITY)
    expected = twin.score(test, values)
    plain, tuned = PlainNumpy(), TunedNumpy()

    def engine(name: str, call: Callable[..., Any], **settings: object) -> Engine:
        difference = float(np.abs(call() - expected).max())
        return Engine(name, call, accuracy={"max difference from the twin, nats": difference}, **settings)

    engines = [
        engine("cbn", lambda: model.score_samples(test)),
        engine("cbn, 1 thread", lambda: model_one.score_samples(test)),
        engine("cbn generic", generic(lambda: model.score_samples(test))),
        engine("numpy", lambda: plain.score(test, values)),
        engine("numpy tuned", lambda: tuned.score(test, values)),
        engine("twin", lambda: twin.score(test, values), max_rounds=5),
    ]
    with Database(images) as database:
        network = template()
        learned = database.learner(threads, network).learnParameters(network)
    few = (test[:PYAGRUM_IMAGES] > CUTOFF).astype(np.uint8).reshape(-1, N_PIXELS)
    difference = np.abs(log_probabilities_one_by_one(learned, few) - expected[:PYAGRUM_IMAGES]).max()
    engines.append(
        Engine(
            "pyagrum",
            lambda: log_probabilities_one_by_one(learned, few),
            max_rounds=3,
            accuracy={"max difference from the twin, nats": float(difference)},
        )
    )
    seconds = interleave(engines, context.rounds)
    seconds["pyagrum"] = {r: s * len(test) / PYAGRUM_IMAGES for r, s in seconds["pyagrum"].items()}
    table = rows(engines, seconds, "cbn")
    ratio = ratio_of(table, "numpy")
    ours = [row["accuracy"] for row in table if row["engine"].startswith("cbn")]
    worst = max(accuracy["max difference from the twin, nats"] for accuracy in ours)
    return {
        "title": f"Score: log-probability of {len(test):,} grey images, network of digit {DIGIT}",
        "about": "All engines start from grey images; their tables are made beforehand. NumPy uses one thread. "
        f"pyAgrum is timed on {PYAGRUM_IMAGES} binarized images, one by one, and its time multiplied by "
        f"{len(test) // PYAGRUM_IMAGES}.",
        "rows": table,
        "goals": [
            goal("at least 15 times faster than plain NumPy", f"{ratio:.1f} times", ratio >= 15),
            goal("within 1e-9 nats of the twin", f"{worst:.1e} nats", worst <= 1e-9),
        ],
    }
