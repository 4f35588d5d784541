# SPDX-License-Identifier: BSD-3-Clause
"""A forked child that calls the engine gets one thread and the same bytes; it never waits for threads it does not have."""

import multiprocessing
import os
import signal
import sys
import warnings

import numpy as np
import pytest

from cbn import _engine
from cbn.cpd.candidates import candidates
from cbn.cpd.grid import Grid, pixel_layer
from helpers.boosted import SMALL, grow, structured
from helpers.engines import PATHS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork") or sys.platform == "darwin", reason="fork is not safe here")

THREADS = 4
PATIENCE = 60  # seconds until a child counts as hanging
OFFSETS = ((-1, -1), (-1, 0), (-1, 1), (0, -1))


def entry_points():
    """Name to call of functions that run in several threads; each returns an array."""
    rng = np.random.default_rng(3)
    engine, layer, n = PATHS[0], pixel_layer(6, 6, OFFSETS), 3000
    states = rng.integers(0, 2, (n, 36), dtype=np.uint8)
    planes = engine.planes(states, [0])
    counts = engine.counts(layer, planes, n)
    probability = engine.probability(layer, counts)
    values = engine.values(layer, counts, _engine.LOG_PROBABILITY)
    nearby = candidates(Grid(1, 6, 6), 1, 3)
    trees, tree_counts = engine.grow((1, 6, 6), planes, n, *nearby)
    tree_probability = engine.tree_probability(trees, tree_counts)
    chains = np.zeros((300, 36), np.uint8)
    sites = np.arange(36)
    few = structured(150, (1, 3, 3), 3)
    return {
        "pack": lambda: engine.planes(states, [0], THREADS),
        "count": lambda: engine.counts(layer, planes, n, THREADS),
        "value_table": lambda: engine.values(layer, counts, _engine.SURPRISE, threads=THREADS),
        "score": lambda: engine.scores(layer, planes, n, values, THREADS),
        "ancestral": lambda: engine.ancestral(layer, probability, 1, chains, threads=THREADS),
        "gibbs": lambda: engine.gibbs(layer, probability, 1, 0, 50, sites, chains, THREADS),
        "tree_grow": lambda: engine.grow((1, 6, 6), planes, n, *nearby, threads=THREADS)[1],
        "tree_gibbs": lambda: engine.tree_gibbs(trees, tree_probability, 1, 0, 50, sites, chains, THREADS),
        "boosted_grow": lambda: grow(engine, (1, 3, 3), few, SMALL, threads=THREADS).value,
    }


def in_child(work):
    """What ``work`` (bytes) returns in a forked child, which is killed when it takes too long."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads, which is the point here
        child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            signal.alarm(PATIENCE)
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(work())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        found = pipe.read()
    assert os.waitpid(child, 0)[1] == 0, "the child hung or died"
    return found


@pytest.mark.parametrize("name", entry_points())
def test_child_of_a_process_with_threads(name):
    call = entry_points()[name]
    expected = call().tobytes()  # starts the threads
    assert in_child(lambda: call().tobytes()) == expected
    assert call().tobytes() == expected  # the parent keeps its threads


def test_child_of_a_child():
    call = entry_points()["score"]
    expected = call().tobytes()
    assert in_child(lambda: call().tobytes() + in_child(lambda: call().tobytes())) == 2 * expected


def test_child_says_that_it_has_one_thread():
    assert in_child(lambda: str(_engine.max_threads()).encode()) == b"1"


_MODEL = []  # what a forked pool finds in its memory


def _score_in_pool(images):
    return _MODEL[-1].score_samples(images)


def test_pool_that_forks():
    import cbn

    images = (np.random.default_rng(1).integers(0, 2, (200, 6, 6)) * 255).astype(np.uint8)
    model = cbn.ConvolutionalBayesianNetwork(n_jobs=2).fit(images)
    _MODEL.append(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            found = pool.map_async(_score_in_pool, [images] * 4).get(timeout=PATIENCE)
    expected = model.score_samples(images)
    for scores in found:
        np.testing.assert_array_equal(scores, expected)
