# SPDX-License-Identifier: BSD-3-Clause
"""Learning the network of one digit, and pyAgrum's structure search among the same parents."""

import time

import numpy as np
from arrays import Counts, Facts, Images, Reals
from context import DIGIT, Context
from engines import CUTOFF, N_PIXELS, OFFSETS, SIDE, PlainNumpy, TunedNumpy, Twin, estimator, generic
from measure import Engine, goal, interleave, ratio_of, rows, summary
from peer_pyagrum import Database, learn_structure, log_probabilities_from_tables, template
from sklearn.metrics import roc_auc_score

import cbn
from cbn import _engine
from cbn.cpd.grid import pixel_layer


def counts_only(images: Images, threads: int) -> Counts:
    """The two engine calls that do what the NumPy peers do: bit-planes and counts, without calibration."""
    layer = pixel_layer(SIDE, SIDE, OFFSETS)
    planes = np.empty((N_PIXELS, _engine.plane_words(len(images))), np.uint64)
    counts = np.empty((layer.n_rows, 2), np.int64)
    _engine.pack_planes(images.reshape(len(images), -1), CUTOFF, planes, threads)
    _engine.count(_engine.Layer(layer), planes, len(images), counts, threads)
    return counts


def _differing(counts: Counts, expected: Counts) -> Facts:
    return {"counts that differ from the twin's": int((counts != expected).sum())}


def fit(context: Context) -> Facts:
    images, threads = context.digit(), context.threads
    expected = Twin().fit(images).counts
    plain, tuned = PlainNumpy(), TunedNumpy()

    def fit_with(n: int) -> "cbn.ConvolutionalBayesianNetwork":
        return estimator(n).fit(images)

    engines = [
        Engine("cbn", lambda: fit_with(threads), accuracy=_differing(fit_with(threads).counts_, expected)),
        Engine("cbn, 1 thread", lambda: fit_with(1), accuracy=_differing(fit_with(1).counts_, expected)),
        Engine(
            "cbn generic",
            generic(lambda: fit_with(threads)),
            accuracy=_differing(generic(lambda: fit_with(threads))().counts_, expected),
        ),
        Engine(
            "cbn, counts only",
            lambda: counts_only(images, threads),
            accuracy=_differing(counts_only(images, threads), expected),
        ),
        Engine("numpy", lambda: plain.fit(images), accuracy=_differing(plain.fit(images), expected)),
        Engine("numpy tuned", lambda: tuned.fit(images), accuracy=_differing(tuned.fit(images), expected)),
        Engine("twin", lambda: Twin().fit(images), max_rounds=5, accuracy=_differing(expected, expected)),
    ]
    with Database(images) as database:
        network = template()
        begin = time.perf_counter()
        learner = database.learner(threads, network)
        reading = time.perf_counter() - begin
        learned = learner.learnParameters(network)
        ours = fit_with(threads).score_samples(context.test)
        theirs = log_probabilities_from_tables(learned, (context.test > CUTOFF).reshape(-1, N_PIXELS).astype(np.uint8))
        engines.append(
            Engine(
                "pyagrum, parameters",
                lambda learner: learner.learnParameters(network),
                prepare=lambda: database.learner(threads, network),  # a learner may keep counts: a new one every round
                max_rounds=5,
                accuracy={
                    "max difference of test log-probability from cbn, nats": float(np.abs(theirs - ours).max()),
                    "reading the CSV file, not in the time, s": reading,
                },
            )
        )
        seconds = interleave(engines, context.rounds)
    table = rows(engines, seconds, "cbn")
    ratio = ratio_of(table, "numpy")
    identical = all(not v for row in table for k, v in row["accuracy"].items() if k.startswith("counts"))
    return {
        "title": f"Fit: {len(images):,} grey images of digit {DIGIT}",
        "about": "`cbn` is the whole `fit`: checks, binarization, counts, a hash of the data, tables and leave-one-out "
        "scores of all images. `cbn, counts only`, NumPy and the twin binarize and count. NumPy uses one thread. "
        "pyAgrum is given the same arcs and the data already read.",
        "rows": table,
        "goals": [
            goal("at least 15 times faster than plain NumPy", f"{ratio:.1f} times", ratio >= 15),
            goal("30 times faster than plain NumPy", f"{ratio:.1f} times", ratio >= 30, stretch=True),
            goal("counts identical to the twin's", "identical" if identical else "different", identical),
        ],
    }


def structure(context: Context) -> Facts:
    """One run of pyAgrum's search, beside cbn's fit of the given structure."""
    images, threads = context.digit(), context.threads
    states = (context.test > CUTOFF).reshape(-1, N_PIXELS).astype(np.uint8)
    own = context.test_labels == DIGIT

    def accuracy(scores: Reals, n_arcs: int) -> Facts:
        return {
            "arcs": n_arcs,
            "nats per test image of the digit": float(-scores[own].mean()),
            "AUROC of the digit": 100 * float(roc_auc_score(own, scores)),
        }

    model = estimator(threads).fit(images)
    n_arcs = template().sizeArcs()
    times = []
    with Database(images) as database:
        for _ in range(context.rounds):
            begin = time.perf_counter()
            estimator(threads).fit(images)
            times.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        learned = learn_structure(database, threads)
        searching = [time.perf_counter() - begin]
    ratio = searching[0] / summary(times)["median"]
    return {
        "title": f"Structure search by pyAgrum among the same parents, digit {DIGIT}",
        "about": "Greedy hill climbing by BIC: every pixel may take any of its four parents. `cbn` has no search among "
        "them; its row is the network with all of them. One search, because it takes long; its ratio is to the median "
        "of cbn.",
        "rows": [
            {
                "engine": "cbn, all parents",
                **summary(times),
                "ratio": 1.0,
                "accuracy": accuracy(model.score_samples(context.test), n_arcs),
            },
            {
                "engine": "pyagrum, hill climbing",
                **summary(searching),
                "ratio": ratio,
                "accuracy": accuracy(log_probabilities_from_tables(learned, states), learned.sizeArcs()),
            },
        ],
        "goals": [],
    }
