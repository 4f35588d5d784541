# SPDX-License-Identifier: BSD-3-Clause
"""Sidewards models: six designs of sharing, their counts, predictions and gradients; borders; targets are constant."""

import math

import numpy as np
import pytest

import reference
from cbn.iem import TABLE_4
from cbn.iem.nn import layers, sidewards
from cbn.iem.nn.architecture import SHARINGS, sidewards_parameters
from cbn.iem.nn.sidewards import SidewardsModels

SHAPE, DISTANCE, HIDDEN = (4, 5, 3), 2, (6, 4)


@pytest.fixture
def exact(monkeypatch):
    """Double precision, which finite differences need: the twin in place of the engine."""
    monkeypatch.setattr(sidewards, "_engine", reference)
    monkeypatch.setattr(layers, "_engine", reference)


def models_of(sharing, shape=SHAPE, distance=DISTANCE, hidden=HIDDEN, dtype=np.float64, seed=0):
    """Models with all weights drawn, own last layers and biases too."""
    rng = np.random.default_rng(seed)
    models = SidewardsModels(shape, distance, hidden, sharing, dtype=dtype).draw(rng)
    for values in models.parameters.values():
        values += 0.2 * rng.normal(size=values.shape).astype(dtype)
    return models


def predicted(models, activations):
    x = models.empty_input(len(activations))
    models.inside(x)[...] = activations
    out = np.full(activations.shape, np.nan, activations.dtype)
    models.predict(x, out)
    return out


def gradients_of(models, activations, target, with_activations=True, num_threads=1):
    x = models.empty_input(len(activations))
    models.inside(x)[...] = activations
    error, d_activations = np.empty_like(target), np.empty_like(target)
    gradients = {name: np.full_like(values, np.nan) for name, values in models.parameters.items()}
    models.gradient(x, target, error, gradients, d_activations if with_activations else None, num_threads)
    return error, gradients, d_activations


def by_hand(models, activations):
    """Predictions of single nodes, written as the thesis describes them."""
    p, (height, width, kernels), d = models.parameters, models.shape, models.distance
    out = np.empty(activations.shape)
    ring = [(dy, dx) for dy in range(-d, d + 1) for dx in range(-d, d + 1) if max(abs(dy), abs(dx)) == d]
    for i, y, x, k in np.ndindex(activations.shape):
        node = (y * width + x) * kernels + k
        own = {"c": k, "d": node}.get(models.sharing, 0)
        position = y * width + x if models.sharing in "bc" else 0
        output = 0 if models.sharing in "cdf" else k
        total = p["first_extra"][own, -1].copy()
        if models.sharing in "ef":
            total += y / (height - 1) * p["first_extra"][own, 0] + x / (width - 1) * p["first_extra"][own, 1]
        if models.sharing == "f":
            total += p["first_extra"][own, 2 + k]
        for t, (dy, dx) in enumerate(ring):
            if 0 <= y + dy < height and 0 <= x + dx < width:
                inputs = np.append(activations[i, y + dy, x + dx], 1)  # the flag: this neighbour exists
                total += inputs @ p["first"][own, t]
        begin = 0
        for below, above in zip(models.hidden, models.hidden[1:]):
            layer = p["hidden"][own, begin : begin + (below + 1) * above].reshape(below + 1, above)
            total = np.maximum(total, 0) @ layer[:-1] + layer[-1]
            begin += (below + 1) * above
        last = p["last"][own, position, output]
        out[i, y, x, k] = np.maximum(total, 0) @ last[:-1] + last[-1]
    return out


@pytest.mark.parametrize("sharing", SHARINGS)
def test_predictions_are_those_of_single_nodes(sharing, exact):
    models = models_of(sharing)
    activations = np.random.default_rng(1).normal(size=(2, *SHAPE))
    np.testing.assert_allclose(predicted(models, activations), by_hand(models, activations), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sharing", SHARINGS)
def test_engine_predicts_and_descends_as_the_twin(sharing, monkeypatch):
    activations = np.random.default_rng(1).normal(size=(3, *SHAPE))
    target = np.random.default_rng(2).normal(size=activations.shape)
    single = models_of(sharing, dtype=np.float32)
    args = activations.astype(np.float32), target.astype(np.float32)
    found = predicted(single, args[0]), *gradients_of(single, *args, num_threads=2)
    alone = gradients_of(single, *args, with_activations=False)
    assert all(np.array_equal(alone[1][name], values) for name, values in found[2].items())
    monkeypatch.setattr(sidewards, "_engine", reference)
    monkeypatch.setattr(layers, "_engine", reference)
    double = models_of(sharing)
    for name, values in double.parameters.items():
        values[...] = single.parameters[name]
    expected = predicted(double, activations), *gradients_of(double, activations, target)
    for own, other in zip(found[::1], expected):
        pairs = [(own[name], other[name]) for name in own] if isinstance(own, dict) else [(own, other)]
        for a, b in pairs:
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4 * np.abs(b).max(initial=1))


@pytest.mark.parametrize("sharing", SHARINGS)
def test_gradients_against_finite_differences(sharing, exact):
    models = models_of(sharing)
    rng = np.random.default_rng(3)
    activations, target = rng.normal(size=(2, *SHAPE)), rng.normal(size=(2, *SHAPE))
    error, gradients, d_activations = gradients_of(models, activations, target)
    np.testing.assert_allclose(error, predicted(models, activations) - target, rtol=1e-12, atol=1e-12)

    def loss():
        return np.sum((predicted(models, activations) - target) ** 2)

    def slope(values, index, step=1e-6):
        before = values[index]
        values[index] = before + step
        above = loss()
        values[index] = before - step
        below = loss()
        values[index] = before
        return (above - below) / (2 * step)

    arrays = [(models.parameters[name], gradients[name]) for name in gradients] + [(activations, d_activations)]
    n_checked = 0
    for values, gradient in arrays:
        for flat in rng.permutation(values.size)[:16]:
            index = np.unravel_index(flat, values.shape)
            assert math.isclose(gradient[index], slope(values, index), rel_tol=1e-5, abs_tol=1e-6)
            n_checked += gradient[index] != 0
    assert n_checked > 25  # not all zeros


@pytest.mark.parametrize("sharing", SHARINGS)
def test_collapsing_the_targets_is_no_way_down(sharing, exact):
    """With targets equal to the inputs, the gradient is that with respect to the inputs alone (eq. 13).

    Shrinking all activations would lower the squared error; a gradient that went through the targets would say so.
    """
    models = models_of(sharing)
    activations = np.random.default_rng(4).normal(size=(2, *SHAPE))
    error, _, d_detached = gradients_of(models, activations, activations.copy())
    other = gradients_of(models, activations, activations + 0.0)[2]
    np.testing.assert_array_equal(d_detached, other)
    direction, step = -activations, 1e-6

    def loss(inputs, targets):
        return np.sum((predicted(models, inputs) - targets) ** 2)

    def along(inputs, targets):
        moved = activations + step * direction
        back = activations - step * direction
        above = loss(moved if inputs else activations, moved if targets else activations)
        below = loss(back if inputs else activations, back if targets else activations)
        return (above - below) / (2 * step)

    assert math.isclose(np.sum(d_detached * direction), along(True, False), rel_tol=1e-5, abs_tol=1e-5)
    through_targets = along(True, True) - along(True, False)
    assert abs(through_targets) > 1 and math.isclose(through_targets, np.sum(-2 * error * direction), rel_tol=1e-5)


@pytest.mark.parametrize("sharing", SHARINGS)
def test_nodes_see_their_ring_and_nothing_else(sharing, exact):
    models = models_of(sharing, shape=(7, 7, 2), distance=2)
    activations = np.random.default_rng(5).normal(size=(1, 7, 7, 2))
    before = predicted(models, activations)
    for place in ((3, 3), (0, 6), (2, 5)):
        moved = activations.copy()
        moved[0, place[0], place[1]] += 1
        changed = (predicted(models, moved) != before).any(axis=(0, 3))
        rows, columns = np.indices((7, 7))
        in_reach = np.maximum(abs(rows - place[0]), abs(columns - place[1])) == 2
        assert not changed[~in_reach].any() and changed[in_reach].mean() > 0.5


def test_flags_say_which_neighbours_exist():
    models = SidewardsModels((3, 4, 2), 1, (4,), "a")
    x = models.empty_input(2)
    assert x.shape == (2, 5, 6, 3) and models.inside(x).shape == (2, 3, 4, 2)
    flags = x[0, ..., 2]
    assert flags[1:4, 1:5].all() and flags.sum() == 12
    assert not x[..., :2].any()
    seen = [[flags[y + dy, x + dx] for dy, dx in models.taps] for y, x in ((0, 0), (0, 1), (1, 1), (2, 3))]
    assert [int(sum(own)) for own in seen] == [3, 5, 8, 3]


def test_inputs_of_table_4():
    shapes = TABLE_4.shapes(300, 300, 3)
    counts = []
    for level, shape in zip(TABLE_4.levels, shapes):
        first = SidewardsModels(shape, level.distance, level.hidden, "a", {}).shapes()["first"]
        counts.append(first[1] * first[2])
    assert counts == [32, 384, 624, 864, 976]


@pytest.mark.parametrize("sharing", SHARINGS)
def test_numbers_of_parameters(sharing):
    for level, shape in zip(TABLE_4.levels, TABLE_4.shapes(48, 56, 1)[:3]):
        models = SidewardsModels(shape, level.distance, level.hidden, sharing, {})
        inputs = 8 * level.distance * (shape[2] + 1)
        expected = sidewards_parameters(sharing, shape, inputs, level.hidden)
        assert sum(map(math.prod, models.shapes().values())) == expected


@pytest.mark.parametrize("sharing", SHARINGS)
def test_terms_count_the_nodes_behind_a_parameter(sharing):
    models = models_of(sharing, dtype=np.float32)
    nodes = math.prod(SHAPE)
    expected = {"a": (nodes, 20), "b": (nodes, 1), "c": (20, 1), "d": (1, 1), "e": (nodes, 20), "f": (nodes, nodes)}
    assert (models.terms()["first"], models.terms()["last"]) == expected[sharing]


def test_own_last_layers_begin_alike():
    models = SidewardsModels(SHAPE, DISTANCE, HIDDEN, "b").draw(np.random.default_rng(0))
    last = models.parameters["last"]
    assert last.shape == (1, 20, 3, 5) and (last == last[:, :1]).all() and last.any()
    assert not last[..., -1].any()
