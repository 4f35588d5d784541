# SPDX-License-Identifier: BSD-3-Clause
"""Convolution layers in the engine: forward pass, gains of relations, kernel gradient; twin, textbook, finite differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from cbn import _engine
from cbn.cpd.grid import Layer, Relation
from cbn.layers.geometry import Transition
from helpers.engines import ALL, PATHS, TWIN
from helpers.transitions import random_transition
from reference.gradient import WEIGHT_ONE
from reference.layer import possible_rows, row_index, table_of


@st.composite
def transitions(draw):
    """Any shape that leaves a position; rows of more than one word, kernels of more than one look-up."""
    size, pool = draw(st.integers(1, 10)), draw(st.integers(1, 3))
    least = size + pool - 1
    height = draw(st.integers(least, least + 8))
    width = draw(st.one_of(st.integers(least, least + 8), st.integers(60, 140)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.integers(1, 4)), height, width, draw(st.sampled_from([1, 3, 5, 8, 9, 20])), size, pool
    n = draw(st.sampled_from([1, 5, 63, 64, 65, 130]))
    states = (rng.random((n, shape[0] * height * width)) < draw(st.sampled_from([0.1, 0.5, 0.9]))).astype(np.uint8)
    return random_transition(rng, *shape), states, rng


def forward(engine, transition, planes, n, threads=1):
    out = np.empty((transition.out_channels * transition.height * transition.width, planes.shape[1]), np.uint64)
    made = transition if engine is TWIN else _engine.Transition(transition)
    with engine._path() as module:
        module.transition_forward(made, planes, n, out, threads)
    return out


def gains(engine, layer, planes, n, candidates, threads=1, kept=None):
    change, asked = np.empty(len(candidates)), np.array(candidates, np.int32)
    with engine._path() as module:
        module.relation_gains(engine.make_layer(layer), planes, n, asked, change, threads, kept)
    return change


def gradient(engine, transition, layer, planes_in, planes_out, n, threads=1):
    counts = TWIN.counts(layer, planes_out, n)
    weights, bias = np.empty(transition.weights.shape), np.empty(transition.out_channels)
    made = transition if engine is TWIN else _engine.Transition(transition)
    with engine._path() as module:
        objective = engine.make_layer(layer), counts, 1.0, 8.0
        module.kernel_gradient(made, objective, planes_in, planes_out, n, (weights, bias), threads)
    return weights, bias


@settings(max_examples=40, deadline=None)
@given(transitions())
def test_forward(problem):
    transition, states, _ = problem
    planes = TWIN.planes(states, [0])
    expected = forward(TWIN, transition, planes, len(states))
    for path in PATHS:
        for threads in (1, 2, 3, 7):
            np.testing.assert_array_equal(forward(path, transition, planes, len(states), threads), expected)


@pytest.mark.parametrize("engine", ALL, ids=repr)
def test_forward_by_hand(engine):
    """A kernel for a horizontal pair, on one row of six pixels, pooled by pairs of positions that are left after it."""
    kernel = np.zeros((1, 1, 2, 2), np.int32)
    kernel[0, 0, 0] = WEIGHT_ONE
    transition = Transition(1, 3, 7, kernel, np.array([-WEIGHT_ONE * 3 // 2], np.int32), 2)
    assert (transition.height, transition.width) == (1, 3)
    image = np.zeros((1, 3, 7), np.uint8)
    image[0, 1, 3:5] = 1  # the pair at columns 3 and 4 is found at position (1, 3), in the second pooling window
    out = forward(engine, transition, TWIN.planes(image.reshape(1, -1), [0]), 1)
    np.testing.assert_array_equal(TWIN.states(out, 1), [[0, 1, 0]])


@settings(max_examples=25, deadline=None)
@given(transitions())
def test_sums(problem):
    """The largest activation of every pooling window, of images alone."""
    transition, states, _ = problem
    n = len(states)
    planes = TWIN.planes(states, [0])
    shape = transition.out_channels * transition.height * transition.width, n
    expected = np.empty(shape, np.int64)
    reference.transition_sums(transition, planes, n, expected)
    assert ((expected > 0).T == TWIN.states(forward(TWIN, transition, planes, n), n)).all()
    for path in PATHS:
        for threads in (1, 3):
            found = np.full(shape, -1, np.int32)
            with path._path() as module:
                module.transition_sums(_engine.Transition(transition), planes, n, found, threads)
            np.testing.assert_array_equal(found, expected)
    for wrong in (
        np.empty((shape[0], n + 1), np.int32),
        np.empty((shape[0] + 1, n), np.int32),
        np.empty(shape, np.int64),
    ):
        with pytest.raises(ValueError, match="^sums: |of sums: "):
            _engine.transition_sums(_engine.Transition(transition), planes, n, wrong)


def hidden_problem(seed, n=150):
    rng = np.random.default_rng(seed)
    transition = random_transition(rng, 2, 10, 13, 3, 3, 2)
    states = (rng.random((n, 260)) < 0.4).astype(np.uint8)
    planes = TWIN.planes(states, [0])
    relations = (
        Relation(0, 1, -2, 0), Relation(0, 0, 0, -2), Relation(1, 2, -2, 2), Relation(2, 0, -2, -2), Relation(2, 2, 0, -1),
    )  # fmt: skip
    layer = Layer(3, transition.height, transition.width, relations)
    return transition, layer, planes, forward(TWIN, transition, planes, n), n


@pytest.mark.parametrize("seed", range(3))
def test_relation_gains(seed):
    _, layer, _, planes, n = hidden_problem(seed)
    taken = {(r.child, r.parent, r.dy, r.dx) for r in layer.relations}
    candidates = [
        (c, p, dy, dx) for c in range(3) for p in range(3) for dy, dx in ((-2, -2), (-2, 0), (-2, 2), (0, -2), (-9, 0))
        if (c, p, dy, dx) not in taken
    ]  # fmt: skip
    expected = gains(TWIN, layer, planes, n, candidates)
    assert expected[candidates.index((0, 0, -9, 0))] == 0  # a parent that exists nowhere changes nothing
    for path in PATHS:
        for threads in (1, 2, 3, 7):
            found = gains(path, layer, planes, n, candidates, threads)
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-7)
            np.testing.assert_array_equal(found, gains(PATHS[0], layer, planes, n, candidates))


def test_relation_gains_beside_many_parents():
    """Nine variables and a candidate: more than the subsets that are counted at once."""
    rng = np.random.default_rng(0)
    n = 200
    planes = TWIN.planes((rng.random((n, 2 * 8 * 6)) < 0.4).astype(np.uint8), [0])
    layer = Layer(2, 8, 6, tuple(Relation(1, i % 2, -1 - i // 4, i % 4 - 2) for i in range(8)))
    candidates = [(1, 0, -3, 0), (0, 1, -1, 0), (1, 1, 0, -1)]
    expected = gains(TWIN, layer, planes, n, candidates)
    for path in PATHS:
        found = gains(path, layer, planes, n, candidates, 2)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-7)
        np.testing.assert_array_equal(found, gains(PATHS[0], layer, planes, n, candidates))


@pytest.mark.parametrize("entries", [2, 8, 64])
@pytest.mark.parametrize("seed", range(2))
def test_relation_gains_with_kept_tables(entries, seed):
    """A search that goes on: each step counts only the images of the last parent, and finds what counting all finds."""
    rng = np.random.default_rng(seed)
    n, shape = 150, (3, 5, 4)
    planes = TWIN.planes((rng.random((n, 60)) < 0.4).astype(np.uint8), [0])
    candidates = [
        (c, p, dy, dx) for c in range(3) for p in range(3) for dy, dx in ((-2, -2), (-2, 0), (-1, 2), (0, -2))
    ]
    tables = {path: np.full((len(candidates), 20, entries), -7, np.int32) for path in (TWIN, *PATHS)}
    relations = ()
    for step in range(7):
        layer = Layer(*shape, relations)
        for path, own in tables.items():
            found = gains(path, layer, planes, n, candidates, 1 + step % 3, (own, step > 0))
            if path is not TWIN:
                np.testing.assert_array_equal(found, gains(PATHS[0], layer, planes, n, candidates))
            np.testing.assert_allclose(found, gains(TWIN, layer, planes, n, candidates), rtol=1e-9, atol=1e-7)
            fits = np.array([entries >= 2 << len(layer.parents(c)) for c, *_ in candidates])
            np.testing.assert_array_equal(own[fits], tables[TWIN][fits])
        taken = [next(i for i, (child, *_) in enumerate(candidates) if child == c) for c in range(3)]
        relations += tuple(Relation(*candidates[i]) for i in taken)
        left = [i for i in range(len(candidates)) if i not in taken]
        candidates = [candidates[i] for i in left]
        tables = {path: own[left] for path, own in tables.items()}


def test_kept_tables_that_cannot_be():
    _, layer, _, planes, n = hidden_problem(0)
    candidate, tables = [(0, 0, -2, -2)], np.zeros((1, layer.n_positions, 8), np.int32)
    alone = Layer(layer.channels, layer.height, layer.width)
    for shape in (
        (2, layer.n_positions, 8),
        (1, layer.n_positions - 1, 8),
        (1, layer.n_positions, 3),
        (1, layer.n_positions, 1),
    ):
        with pytest.raises(ValueError):
            gains(PATHS[0], layer, planes, n, candidate, kept=(np.zeros(shape, np.int32), False))
    with pytest.raises(ValueError):  # no step came before
        gains(PATHS[0], alone, planes, n, candidate, kept=(tables, True))
    one = Layer(layer.channels, layer.height, layer.width, (Relation(0, 0, -2, 0),))
    gains(PATHS[0], alone, planes, n, candidate, kept=(tables, False))
    expected = gains(PATHS[0], one, planes, n, candidate)
    np.testing.assert_array_equal(gains(PATHS[0], one, planes, n, candidate, kept=(tables.copy(), True)), expected)
    for wrong in (-1, n + 1, 2**31 - 1):
        with pytest.raises(ValueError):
            gains(PATHS[0], one, planes, n, candidate, kept=(np.full_like(tables, wrong), True))


def test_relation_gains_refuse():
    _, layer, _, planes, n = hidden_problem(0)
    for candidate in [(0, 0, 0, 0), (0, 0, 1, 0), (3, 0, -1, 0), (0, 3, -1, 0), (0, 1, -2, 0)]:
        with pytest.raises(ValueError):
            gains(PATHS[0], layer, planes, n, [candidate])
    full = Layer(1, 30, 5, tuple(Relation(0, 0, -dy, 0) for dy in range(1, 11)))
    with pytest.raises(ValueError):
        gains(PATHS[0], full, np.zeros((150, 3), np.uint64), n, [(0, 0, 0, -1)])


# one look-up table or several, kernels in one group or two, rows of more than one word, tables of few bits or many
@pytest.mark.parametrize(
    "shape, n_far",
    [((1, 12, 12, 5, 3, 2), 0), ((1, 16, 17, 9, 2, 3), 3), ((3, 9, 10, 9, 3, 2), 5), ((2, 9, 70, 4, 4, 1), 9)],
)
def test_gradient_equals_the_twin(shape, n_far):
    rng = np.random.default_rng(shape[0])
    n = 150
    transition = random_transition(rng, *shape)
    planes = TWIN.planes((rng.random((n, shape[0] * shape[1] * shape[2])) < 0.4).astype(np.uint8), [0])
    out = forward(TWIN, transition, planes, n)
    relations = (Relation(0, 1, -2, 0), Relation(0, 0, 0, -2), Relation(1, 2, -2, 2), Relation(2, 0, -2, -2))
    relations += tuple(Relation(3, i % 4, -1, i - 4) for i in range(n_far))
    layer = Layer(transition.out_channels, transition.height, transition.width, relations)
    expected = gradient(TWIN, transition, layer, planes, out, n)
    first = gradient(PATHS[0], transition, layer, planes, out, n)
    for path in PATHS:
        for threads in (1, 2, 3, 7):
            found = gradient(path, transition, layer, planes, out, n, threads)
            for a, b, c in zip(found, expected, first):
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * abs(b).max())
                np.testing.assert_array_equal(a, c)


def test_row_weights_of_the_relaxed_objective():
    """The oracle's own oracle: at binary states its soft counts are the counts."""
    _, layer, _, planes, n = hidden_problem(4, 40)
    states = TWIN.states(planes, n)
    counts = TWIN.counts(layer, planes, n)
    smoothed = counts + 1.0
    expected = 0.0
    for node in range(layer.n_nodes):
        table = smoothed[table_of(layer, node)]
        own = counts[table_of(layer, node)].sum(0) + 1.0
        expected += (table * np.log(table / table.sum(1, keepdims=True))).sum() - (own * np.log(own / own.sum())).sum()
        assert possible_rows(layer, node)[0][np.unique(row_index(layer, node, states))].all()
    assert reference.relaxed_objective(layer, states.astype(float)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("engine", [TWIN, PATHS[0], PATHS[-1]], ids=repr)
def test_gradient_equals_finite_differences(engine):
    """Central differences of the relaxed objective along z = binary state + change of the surrogate of the winner."""
    n = 40
    transition, layer, planes_in, planes_out, _ = hidden_problem(7, n)
    weights, bias = gradient(engine, transition, layer, planes_in, planes_out, n)
    objective = reference.objective_near(transition, layer, planes_in, planes_out, n)
    start = transition.weights / WEIGHT_ONE, transition.bias / WEIGHT_ONE
    for place in [(0, 0, 0, 0), (1, 1, 2, 1), (2, 0, 1, 1), (2, 1, 0, 2)]:
        assert weights[place] == pytest.approx(reference.central_difference(objective, *start, place), rel=1e-4)
    for kernel in range(3):
        assert bias[kernel] == pytest.approx(reference.central_difference(objective, *start, (kernel,)), rel=1e-4)


def test_unsound_transitions_are_refused():
    good = np.ones((2, 1, 3, 3), np.int32), np.zeros(2, np.int32)
    _engine.Transition(Transition(1, 4, 4, *good, 2))
    for shape, weights, bias, pool in [
        ((1, 3, 4), *good, 2),  # no position
        ((1, 4, 4), *good, 0),
        ((2, 4, 4), *good, 2),  # channels
        ((1, 4, 4), good[0], good[1][:1], 2),
        ((1, 40, 40), np.ones((1, 1, 11, 11), np.int32), good[1][:1], 2),
        ((1, 4, 4), np.ones((65, 1, 3, 3), np.int32), np.zeros(65, np.int32), 2),
        ((1, 4, 4), np.full((2, 1, 3, 3), 2**29, np.int32), good[1], 2),  # sums beyond 32 bits
    ]:
        with pytest.raises(ValueError):
            _engine.Transition(Transition(*shape, weights, bias, pool))
