# SPDX-License-Identifier: BSD-3-Clause
"""Sidewards models in the engine: textbook, finite differences, engine against twin, same bytes everywhere."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbn import _engine
from helpers.engines import ALL, PATHS, TWIN
from helpers.neural import Problem, gradient, predict, ring

SHAPES = [
    {"n": 2, "height": 3, "width": 4, "channels": 2, "distance": 1, "units": (4, 3), "kernels": 2},
    {"n": 1, "height": 5, "width": 4, "channels": 1, "distance": 2, "units": (3,), "kernels": 1},
    {"n": 2, "height": 2, "width": 3, "channels": 1, "distance": 1, "units": (3, 4, 2), "kernels": 3, "n_extra": 2},
]


PROBLEMS = st.fixed_dictionaries(
    {
        "rng": st.builds(np.random.default_rng, st.integers(0, 2**32)),
        "n": st.integers(1, 3),
        "height": st.integers(1, 6),
        "width": st.sampled_from([1, 2, 4, 13, 27]),
        "channels": st.sampled_from([1, 3, 15]),
        "distance": st.integers(1, 3),
        "units": st.sampled_from([(5,), (32, 12), (33, 16), (20, 50, 17)]),
        "kernels": st.sampled_from([1, 3, 16, 17, 40]),
        "n_extra": st.integers(0, 2),
        "own": st.booleans(),
    }
)


def loss(problem):
    return ((predict(TWIN, problem) - problem.target) ** 2).sum()


@pytest.mark.parametrize("own", [False, True], ids=["one last layer", "own last layers"])
@pytest.mark.parametrize("shape", SHAPES, ids=["two hidden", "one hidden", "three hidden, coordinates"])
def test_gradients_are_those_of_finite_differences(shape, own):
    rng = np.random.default_rng(1)
    problem = Problem.random(rng, own=own, **shape)
    slopes = gradient(TWIN, problem)
    for name in Problem.parameters:
        values = getattr(problem, name)
        for i in np.ndindex(values.shape):
            step = np.zeros_like(values)
            step[i] = 1e-6
            above, below = (loss(replace(problem, **{name: values + sign * step})) for sign in (1, -1))
            assert abs((above - below) / 2e-6 - slopes[name][i]) < 1e-5 * max(1, abs(slopes[name][i])), (name, i)


def test_the_gradient_of_the_sums_is_that_of_the_inputs():
    rng = np.random.default_rng(2)
    problem = Problem.random(rng, **SHAPES[0])
    sums = gradient(TWIN, problem)["sums"]
    for i in [(0, 2, 2, 0), (1, 1, 3, 1), (0, 3, 4, 1)]:
        step = np.zeros_like(problem.x)
        step[i] = 1e-6
        slope = (loss(replace(problem, x=problem.x + step)) - loss(replace(problem, x=problem.x - step))) / 2e-6
        by_taps = 0
        for tap, weights in zip(problem.taps, problem.first):
            y, x = i[1] - tap[0], i[2] - tap[1]
            if 0 <= y < sums.shape[1] and 0 <= x < sums.shape[2]:
                by_taps += sums[i[0], y, x] @ weights[i[3]]
        assert abs(slope - by_taps) < 1e-6 * max(1, abs(slope))


@pytest.mark.parametrize("engine", ALL, ids=repr)
def test_a_prediction_by_hand(engine):
    """The mean of the neighbours that exist: a sum of activations beside a count of flags."""
    x = np.zeros((1, 4, 4, 2))
    x[0, 1:3, 1:3, 0] = [[1, 2], [4, 8]]
    x[0, 1:3, 1:3, 1] = 1
    first = np.zeros((8, 2, 2))
    first[:, 0, 0] = first[:, 1, 1] = 1
    problem = Problem(
        x, ring(1), first, np.zeros((2, 2, 0)), np.zeros((1, 2)), np.zeros(0), np.array([2], np.int32),
        np.array([[[1.0, 0, 0], [0, 1, 0.5]]]), np.zeros((1, 2, 2, 2)),
    )  # fmt: skip
    out = predict(engine, problem)
    np.testing.assert_array_equal(out[0, ..., 0], [[14, 13], [11, 7]])
    np.testing.assert_array_equal(out[0, ..., 1], np.full((2, 2), 3.5))


def test_a_prediction_does_not_see_its_own_position():
    rng = np.random.default_rng(4)
    problem = Problem.random(rng, n=1, height=7, width=7, channels=2, distance=2, units=(8, 4), kernels=2)
    moved = problem.x.copy()
    moved[0, 2 + 3, 2 + 3] += 5
    changed = predict(PATHS[0], problem) != predict(PATHS[0], replace(problem, x=moved))
    expected = np.zeros((7, 7), bool)
    expected[3 - 2 : 3 + 3, 3 - 2 : 3 + 3] = True
    expected[3 - 1 : 3 + 2, 3 - 1 : 3 + 2] = False  # only the ring at distance 2 has it as a neighbour
    np.testing.assert_array_equal(changed[0].any(axis=2) <= expected, True)
    assert changed[0].any(axis=2).sum() > 8


@settings(max_examples=40, deadline=None)
@given(PROBLEMS)
def test_engine_and_twin_agree(shape):
    problem = Problem.random(**shape)
    expected = predict(TWIN, problem)
    np.testing.assert_allclose(predict(PATHS[0], problem), expected, rtol=0, atol=3e-5 * np.abs(expected).max())
    slopes, found = gradient(TWIN, problem), gradient(PATHS[0], problem)
    for name, wanted in slopes.items():
        np.testing.assert_allclose(
            found[name], wanted, rtol=0, atol=2e-3 * np.abs(wanted).max(initial=1e-9), err_msg=name
        )
        assert np.linalg.norm(found[name] - wanted) <= 2e-4 * np.linalg.norm(wanted) + 1e-9, name


@settings(max_examples=40, deadline=None)
@given(PROBLEMS, st.integers(2, 5))
def test_the_same_bytes_for_all_instruction_sets_and_threads(shape, threads):
    problem = Problem.random(**shape)
    results = [
        (predict(path, problem, n).tobytes(), *(a.tobytes() for a in gradient(path, problem, n).values()))
        for path in PATHS
        for n in (1, threads)
    ]
    assert len(set(results)) == 1


def test_the_sums_may_be_left_out():
    problem = Problem.random(np.random.default_rng(5), **SHAPES[0])
    full, without = gradient(PATHS[0], problem), gradient(PATHS[0], problem, sums=False)
    assert without.pop("sums") is None
    for name, values in without.items():
        np.testing.assert_array_equal(values, full[name])


def test_wrong_shapes_are_refused():
    problem = Problem.random(np.random.default_rng(6), **SHAPES[0])
    for name, wrong in [
        ("first", problem.first[:-1]),
        ("first_extra", problem.first_extra[:, :-1]),
        ("hidden", problem.hidden[:-1]),
        ("last", problem.last[:-1]),
    ]:
        with pytest.raises(ValueError, match=name):
            predict(PATHS[0], replace(problem, **{name: wrong}))
    with pytest.raises(ValueError, match="tap .* outside"):
        predict(PATHS[0], replace(problem, taps=problem.taps + np.int32(1)))
    with pytest.raises(ValueError, match="units"):
        predict(PATHS[0], replace(problem, units=problem.units[:0]))
    arguments = problem.arguments(PATHS[0])
    with pytest.raises(ValueError, match="rows of out"):
        _engine.sidewards_predict(*arguments, np.empty((2, 9, 4, 2), np.float32))
