# SPDX-License-Identifier: BSD-3-Clause
"""Boosted trees on any engine of helpers/engines.py, with outputs returned."""

import itertools
from unittest import mock

import numpy as np

from cbn import _engine
from cbn.bits.planes import BitPlanes
from cbn.cpd import boosted
from cbn.cpd.boosted import Boosted
from cbn.cpd.candidates import candidates
from cbn.cpd.grid import Grid
from helpers.engines import PATHS, TWIN
from reference import LOG_PROBABILITY

SMALL = Boosted(
    rounds=4, max_leaves=4, n_candidates=5, rate=0.5, l2=1.0, min_gain=0.1, min_hessian=0.5, pseudocount=1.0
)
THREADS = (1, 2, 3)


def grow(engine, shape, states, boosting, *, reach=3, required=None, seed=7, threads=1, progress=None):
    """The boosted layer that an engine (or the twin) grows on states (n, nodes)."""
    begin, candidate = candidates(Grid(*shape), 1, reach)
    if required is not None and shape[0] > 1:  # channels of one position may decide too, as thermometer codes do
        begin, candidate = with_lower_channels(shape, begin, candidate)
    with engine._path() as module, mock.patch.object(boosted, "_engine", module):
        return boosted.grow(
            Grid(*shape), BitPlanes(TWIN.planes(states, [0]), len(states)), (begin, candidate), required, boosting,
            seed=seed, num_threads=threads, progress=progress,
        )  # fmt: skip


def with_lower_channels(shape, begin, candidate):
    positions = shape[1] * shape[2]
    lists = [candidate[begin[v] : begin[v + 1]] for v in range(len(begin) - 1)]
    lists = [np.append(c, v - positions).astype(np.int32) if v >= positions else c for v, c in enumerate(lists)]
    return np.concatenate([[0], np.cumsum([len(c) for c in lists])]).astype(np.int64), np.concatenate(lists)


def call(engine, name, layer, *arguments):
    with engine._path() as module:
        return getattr(module, name)(layer if engine is TWIN else _engine.Boosted(layer), *arguments)


def scores(engine, layer, states, kind=LOG_PROBABILITY, threads=1):
    found = np.empty(len(states))
    call(engine, "boosted_score_images", layer, TWIN.planes(states, [0]), len(states), kind, found, threads)
    return found


def contributions(engine, layer, states, kind, threads=1):
    found = np.empty(states.shape)
    call(engine, "boosted_score_nodes", layer, TWIN.planes(states, [0]), len(states), kind, found, threads)
    return found


def log_odds(engine, layer, states, threads=1):
    found = np.empty(states.shape, np.int32)
    call(engine, "boosted_log_odds", layer, TWIN.planes(states, [0]), len(states), found, threads)
    return found


def all_images(n_nodes):
    return np.array(list(itertools.product((0, 1), repeat=n_nodes)), np.uint8)


def structured(n, shape, seed):
    """States in which nodes follow others before them, with noise."""
    rng = np.random.default_rng(seed)
    n_nodes = int(np.prod(shape))
    states = (rng.random((n, n_nodes)) < rng.uniform(0.1, 0.9, n_nodes)).astype(np.uint8)
    for v in range(2, n_nodes):
        follows = rng.random(n) < 0.7
        states[follows, v] = states[follows, v - 1] ^ states[follows, v - 2]
    return states


def assert_same_layer(a, b):
    for x, y in zip(a.arrays(), b.arrays(), strict=True):
        np.testing.assert_array_equal(x, y)


def small_layer(engine=PATHS[0], seed=3):
    return grow(engine, (1, 3, 3), structured(150, (1, 3, 3), seed), SMALL)
