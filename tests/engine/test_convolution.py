# SPDX-License-Identifier: BSD-3-Clause
"""Convolution over taps and max pooling: textbook, finite differences, engine against twin, same bytes everywhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbn import _engine
from helpers.engines import ALL, PATHS, TWIN
from helpers.neural import (
    convolve,
    convolve_weight_gradient,
    max_pool,
    max_pool_gradient,
    ring,
    window,
)

# around the widths of panels (16, 32) and tiles, several strides and taps
PROBLEMS = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32),
        "taps": st.sampled_from([window(1), window(3), window(4), ring(1), ring(2)]),
        "n": st.integers(1, 3),
        "height": st.integers(1, 6),
        "width": st.sampled_from([1, 2, 3, 5, 13, 26, 41]),
        "stride": st.integers(1, 3),
        "spare": st.integers(0, 2),
        "channels": st.sampled_from([1, 2, 3, 9, 17]),
        "kernels": st.sampled_from([1, 3, 15, 16, 17, 32, 33, 50, 70]),
    }
)


def problem(seed, taps, n, height, width, stride, spare, channels, kernels):
    """Arguments of the two functions: x, taps, weights, bias, stride, d_out."""
    rng = np.random.default_rng(seed)
    rows, columns = np.array([height - 1, width - 1]) * stride + taps.max(axis=0) + 1 + spare
    shapes = (n, rows, columns, channels), (len(taps), channels, kernels), (kernels,), (n, height, width, kernels)
    x, weights, bias, d_out = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    return x, taps, weights, bias, stride, d_out


@pytest.mark.parametrize("engine", ALL, ids=repr)
def test_a_convolution_by_hand(engine):
    x = np.arange(2 * 3).reshape(1, 2, 3, 1)  # 0 1 2 / 3 4 5
    weights = np.array([1, 10, 100, 1000]).reshape(4, 1, 1)
    out = convolve(engine, x, window(2), weights, [0.5], 1, (1, 2))
    np.testing.assert_array_equal(out.ravel(), [0 + 10 + 300 + 4000 + 0.5, 1 + 20 + 400 + 5000 + 0.5])


@pytest.mark.parametrize("engine", ALL, ids=repr)
def test_a_stride_skips_positions(engine):
    x = np.arange(25).reshape(1, 5, 5, 1)
    out = convolve(engine, x, window(1), np.ones((1, 1, 1)), [0], 2, (3, 3))
    np.testing.assert_array_equal(out[0, ..., 0], np.arange(25).reshape(5, 5)[::2, ::2])


@settings(max_examples=40, deadline=None)
@given(PROBLEMS)
def test_engine_and_twin_agree(shape):
    x, taps, weights, bias, stride, d_out = problem(**shape)
    expected = convolve(TWIN, x, taps, weights, bias, stride, d_out.shape[1:3])
    slopes = convolve_weight_gradient(TWIN, x, taps, d_out, stride)
    out = convolve(PATHS[0], x, taps, weights, bias, stride, d_out.shape[1:3])
    np.testing.assert_allclose(out, expected, rtol=0, atol=2e-5 * np.abs(expected).max() + 1e-5)
    for found, wanted in zip(convolve_weight_gradient(PATHS[0], x, taps, d_out, stride), slopes):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-5 * np.abs(wanted).max() + 1e-5)


@settings(max_examples=40, deadline=None)
@given(PROBLEMS, st.integers(2, 5))
def test_the_same_bytes_for_all_instruction_sets_and_threads(shape, threads):
    x, taps, weights, bias, stride, d_out = problem(**shape)
    results = [
        (
            convolve(path, x, taps, weights, bias, stride, d_out.shape[1:3], n).tobytes(),
            *(a.tobytes() for a in convolve_weight_gradient(path, x, taps, d_out, stride, n)),
        )
        for path in PATHS
        for n in (1, threads)
    ]
    assert len(set(results)) == 1


@pytest.mark.parametrize("stride", [1, 2])
def test_the_weight_gradient_is_that_of_finite_differences(stride):
    rng = np.random.default_rng(3)
    x, taps = rng.normal(size=(2, 7, 8, 2)), window(3)
    weights, bias, d_out = rng.normal(size=(9, 2, 3)), rng.normal(size=3), rng.normal(size=(2, 3, 3, 3))
    d_weights, d_bias = convolve_weight_gradient(TWIN, x, taps, d_out, stride)

    def objective(weights, bias):
        return (convolve(TWIN, x, taps, weights, bias, stride, (3, 3)) * d_out).sum()

    for i in np.ndindex(weights.shape):
        step = np.zeros_like(weights)
        step[i] = 1e-6
        slope = (objective(weights + step, bias) - objective(weights - step, bias)) / 2e-6
        assert abs(slope - d_weights[i]) < 1e-6 * max(1, abs(slope))
    for k in range(3):
        step = np.eye(3)[k] * 1e-6
        slope = (objective(weights, bias + step) - objective(weights, bias - step)) / 2e-6
        assert abs(slope - d_bias[k]) < 1e-6 * max(1, abs(slope))


@pytest.mark.parametrize("engine", ALL, ids=repr)
def test_pooling_by_hand(engine):
    x = np.array([[1, 5, 2, 2, 9], [4, 3, 2, 2, 9], [7, 7, 7, 7, 9]], float).reshape(1, 3, 5, 1)
    out, which = max_pool(engine, x, 2, 2)
    np.testing.assert_array_equal(out[0, ..., 0], [[5, 2]])  # the third row and the fifth column do not fit
    np.testing.assert_array_equal(which[0, ..., 0], [[1, 0]])  # the first of equals
    d_x = max_pool_gradient(engine, np.array([[3.0, 4.0]]).reshape(1, 1, 2, 1), which, 2, 2, x.shape)
    np.testing.assert_array_equal(d_x[0, ..., 0], [[0, 3, 4, 0, 0], [0] * 5, [0] * 5])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 3), st.integers(0, 5), st.integers(0, 5))
def test_pooling_agrees_in_engine_and_twin_and_over_threads(seed, size, stride, more_rows, more_columns):
    rng = np.random.default_rng(seed)
    x = rng.integers(-3, 4, (3, size + more_rows, size + more_columns, 5)).astype(np.float32)  # with many ties
    expected, which = max_pool(TWIN, x, size, stride)
    d_out = rng.integers(-9, 10, expected.shape).astype(np.float32)  # exact sums, whatever their order
    slopes = max_pool_gradient(TWIN, d_out, which, size, stride, x.shape)
    for path in PATHS:
        for threads in (1, 2):
            found, places = max_pool(path, x, size, stride, threads)
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(places, which)
            np.testing.assert_array_equal(max_pool_gradient(path, d_out, which, size, stride, x.shape, threads), slopes)


def test_what_does_not_fit_is_refused():
    x, taps = np.zeros((1, 4, 4, 1), np.float32), window(3)
    weights, bias = np.zeros((9, 1, 1), np.float32), np.zeros(1, np.float32)
    with pytest.raises(ValueError, match="tap .* outside"):
        _engine.convolve(x, taps, weights, bias, 1, np.empty((1, 3, 3, 1), np.float32))
    with pytest.raises(ValueError, match="tap .* outside"):
        _engine.convolve(x, taps - 1, weights, bias, 1, np.empty((1, 2, 2, 1), np.float32))
    with pytest.raises(ValueError, match="bias"):
        _engine.convolve(x, taps, weights, np.zeros(2, np.float32), 1, np.empty((1, 2, 2, 1), np.float32))
    with pytest.raises(ValueError, match="size is not positive"):
        _engine.convolve(x[:0], taps, weights, bias, 1, np.empty((0, 2, 2, 1), np.float32))
    with pytest.raises(ValueError, match="no such window"):
        _engine.max_pool(x, 5, 1, np.empty((1, 1, 1, 1), np.float32), np.empty((1, 1, 1, 1), np.uint8))
    which = np.full((1, 2, 2, 1), 4, np.uint8)
    with pytest.raises(ValueError, match="outside"):
        _engine.max_pool_gradient(np.zeros((1, 2, 2, 1), np.float32), which, 2, 2, np.empty_like(x))
