# SPDX-License-Identifier: BSD-3-Clause
"""Optimizers: steps as published, own and common parts of per-position weights, parts that do not change the result."""

import math

import numpy as np
import pytest

from cbn.iem.nn import optimizers
from cbn.iem.nn.optimizers import OPTIMIZERS, SGD, Adam


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    return {"shared": rng.normal(size=(1, 7, 3)), "own": rng.normal(size=(2, 5, 3, 4))}


TERMS, POSITIONS = {"shared": 15.0, "own": 1.0}, {"own": 1}


def test_adam_as_published():
    parameters, gradients = arrays(), [arrays(seed) for seed in (1, 2, 3)]
    expected = {name: values.copy() for name, values in parameters.items()}
    adam = Adam(0.01, parameters, TERMS, {})
    for given in gradients:
        adam.step(given, 4)
    for name, values in expected.items():
        m = v = 0
        for t, given in enumerate(gradients, start=1):
            m = 0.9 * m + 0.1 * given[name]
            v = 0.999 * v + 0.001 * given[name] ** 2
            values = values - 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(parameters[name], values, rtol=1e-10)


def test_sgd_descends_along_means():
    parameters, gradient = arrays(), arrays(1)
    expected = {name: values.copy() for name, values in parameters.items()}
    SGD(0.1, parameters, TERMS, {}).step(gradient, 8)
    for name, values in expected.items():
        np.testing.assert_allclose(parameters[name], values - 0.1 * gradient[name] / (8 * TERMS[name]), rtol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_own_weights_are_a_common_part_and_differences(name):
    """The same as two parameters whose sum is used."""
    parameters = arrays()
    start = parameters["own"].copy()
    base, difference = np.zeros((2, 1, 3, 4)), np.zeros((2, 5, 3, 4))
    optimizer = OPTIMIZERS[name](0.01, parameters, TERMS, POSITIONS)
    parts = OPTIMIZERS[name](0.01, {"base": base, "difference": difference}, {"base": 5.0, "difference": 1.0}, {})
    for seed in (1, 2, 3):
        gradients = arrays(seed)
        optimizer.step(gradients, 4)
        parts.step({"base": gradients["own"].sum(axis=1, keepdims=True), "difference": gradients["own"]}, 4)
    np.testing.assert_allclose(parameters["own"], start + base + difference, rtol=1e-10)
    assert np.abs(base).min() > 0


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_parts_of_any_size_give_the_same_bytes(name, monkeypatch):
    results = []
    for chunk in (1, 7, 10**6):
        monkeypatch.setattr(optimizers, "CHUNK", chunk)
        parameters = {key: values.astype(np.float32) for key, values in arrays().items()}
        optimizer = OPTIMIZERS[name](0.01, parameters, TERMS, POSITIONS)
        for seed in (1, 2):
            optimizer.step({key: values.astype(np.float32) for key, values in arrays(seed).items()}, 4)
        results.append(parameters)
    for other in results[1:]:
        assert all(np.array_equal(results[0][key], other[key]) for key in other)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_learning_rates_of_single_parameters(name):
    parameters, same = arrays(), arrays()
    OPTIMIZERS[name](0.1, parameters, TERMS, POSITIONS, {"shared": 0.25}).step(arrays(1), 4)
    OPTIMIZERS[name](0.1, same, TERMS, POSITIONS).step(arrays(1), 4)
    np.testing.assert_array_equal(parameters["own"], same["own"])
    start = arrays()["shared"]
    np.testing.assert_allclose(parameters["shared"] - start, 0.25 * (same["shared"] - start), rtol=1e-10)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_finds_the_minimum(name):
    target, parameters = np.arange(6.0).reshape(1, 2, 3), {"x": np.zeros((1, 2, 3))}
    optimizer = OPTIMIZERS[name](0.1, parameters, {"x": 1.0}, {})
    for _ in range(400):
        optimizer.step({"x": 2 * (parameters["x"] - target)}, 1)
    np.testing.assert_allclose(parameters["x"], target, atol=1e-3)


def test_memory_by_name():
    adam = Adam(0.01, arrays(), TERMS, POSITIONS)
    assert {name: values.shape for name, values in adam.state.items()} == {
        "shared_mean": (1, 7, 3), "shared_square": (1, 7, 3), "own_mean": (2, 5, 3, 4), "own_square": (2, 5, 3, 4),
        "own_common_mean": (2, 1, 3, 4), "own_common_square": (2, 1, 3, 4),
    }  # fmt: skip
    assert SGD(0.01, arrays(), TERMS, POSITIONS).state == {}
    assert math.prod(adam.state["own_common_mean"].shape) == 24
