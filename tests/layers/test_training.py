# SPDX-License-Identifier: BSD-3-Clause
"""Training of hidden layers: objective, steps, start and replacement of kernels against their definitions."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import reference
from cbn.bits.planes import BitPlanes
from cbn.layers import kernels as kernels_module
from cbn.layers.geometry import HiddenLayer, geometry
from cbn.layers.kernels import ActivationMeter, Draws, Kernels, initial_kernels, random_kernels
from cbn.layers.relations import search_relations
from cbn.layers.training import HiddenTraining, TrainingOptions
from helpers.engines import TWIN
from helpers.images import blots
from helpers.networks import Network
from reference.random import uniform_at
from reference.transition import activations, pooling_windows

PLAIN = TrainingOptions(iterations=3, momentum=0.0, normalize=False, keep_activation=False, seed=1)


class Problem:
    """Images and hidden layers, and training of them state by state."""

    def __init__(self, n=200, hidden=((3, 3, 2),), size=12, seed=0, noise=0.05):
        self.n, self.hidden = n, tuple(HiddenLayer(*layer) for layer in hidden)
        self.images = blots(n, size, seed, noise)
        self.geometries = geometry(size, size, 1, self.hidden)
        self.planes = TWIN.planes(self.images.reshape(n, -1), [0])

    def states(self, options, start=(), threads=1):
        training = HiddenTraining(self.hidden, self.geometries, BitPlanes(self.planes, self.n), options, threads, start)
        return list(training.run())

    def measured(self, options, start=()):
        """Kernels that the first layer had in every iteration, and the layer as it ended."""
        first = self.states(replace(options, iterations=0), start)[0].finished[0].kernels
        states = self.states(options, start)
        return [first, *(s.kernels for s in states if s.kernels is not None and not s.finished)], states[-1].finished[0]

    def bits(self, kernels):
        """(n, kernels, height, width) by the twin."""
        sums = pooling_windows(self.transition(kernels), activations(self.transition(kernels), self.planes, self.n))
        return (sums.max(axis=-1) > 0).astype(np.uint8)

    def transition(self, kernels):
        return kernels.transition(self.geometries[0])

    def search(self, bits, max_parents=6):
        planes = TWIN.planes(bits.reshape(self.n, -1), [0])
        return search_relations(self.geometries[1], BitPlanes(planes, self.n), max_parents)[0], planes


def log_likelihood(bits, relations):
    """ln of the bits' probability at maximum likelihood in nats, one value for every channel; own tables everywhere."""
    n, channels, height, width = bits.shape
    total = np.zeros(channels)
    for c, y, x in np.ndindex(channels, height, width):
        row = np.zeros(n, int)
        for r in relations:
            if r.child == c and 0 <= y + r.dy < height and 0 <= x + r.dx < width:
                row = 2 * row + bits[:, r.parent, y + r.dy, x + r.dx]
        for value in np.unique(row):
            own = bits[row == value, c, y, x]
            m = np.bincount(own, minlength=2)
            total[c] += sum(k * np.log(k / len(own)) for k in m if k)
    return total


def norms(kernels):
    return np.sqrt((kernels.weights**2).sum(axis=(1, 2, 3)))


# ---- the objective and its curve ----


def test_the_curve_holds_eq_8_bic_and_shares():
    problem = Problem()
    every, layer = problem.measured(TrainingOptions(iterations=3, learning_rate=0.05))
    assert len(every) == len(layer.curve) == 4
    for kernels, point in zip(every, layer.curve):
        bits = problem.bits(kernels)
        found, _ = problem.search(bits)
        gain = (log_likelihood(bits, found.relations).sum() - log_likelihood(bits, ()).sum()) / problem.n
        assert point.gain == pytest.approx(gain, rel=1e-9)
        np.testing.assert_allclose(point.activation, bits.mean(axis=(0, 2, 3)), rtol=1e-12)
        assert point.relations == len(found.relations)
        counts = TWIN.counts(found, TWIN.planes(bits.reshape(problem.n, -1), [0]), problem.n)
        assert point.bic == pytest.approx(reference.bic(found, counts)[2], rel=1e-9)


@pytest.mark.parametrize("rate", [0.02, 0.6])
def test_best_is_the_iteration_of_the_highest_gain(rate):
    """With a wild rate the best is not the last."""
    problem = Problem()
    every, layer = problem.measured(TrainingOptions(iterations=6, learning_rate=rate, seed=4))
    gains = [point.gain for point in layer.curve]
    assert layer.best == int(np.argmax(gains)) and gains[layer.best] > gains[0]
    assert rate < 0.1 or layer.best < 6
    np.testing.assert_array_equal(layer.kernels.weights, every[layer.best].weights)
    np.testing.assert_array_equal(layer.kernels.bias, every[layer.best].bias)
    assert layer.layer == problem.search(problem.bits(layer.kernels))[0]
    assert sorted(step.relation for step in layer.steps) == sorted(layer.layer.relations)


def test_the_second_layer_is_trained_on_the_first_as_it_ended():
    problem = Problem(hidden=((3, 3, 1), (2, 3, 1)))
    first, second = problem.states(TrainingOptions(iterations=2, learning_rate=0.3))[-1].finished
    alone = Problem(hidden=((3, 3, 1),)).states(TrainingOptions(iterations=2, learning_rate=0.3))[-1].finished[0]
    np.testing.assert_array_equal(first.kernels.weights, alone.kernels.weights)
    bits = problem.bits(first.kernels)
    above = second.kernels.transition(problem.geometries[1])
    out = np.empty((2 * problem.geometries[2].height * problem.geometries[2].width, problem.planes.shape[1]), np.uint64)
    reference.transition_forward(above, TWIN.planes(bits.reshape(problem.n, -1), [0]), problem.n, out)
    states = TWIN.states(out, problem.n).reshape(problem.n, 2, -1)
    np.testing.assert_allclose(second.curve[second.best].activation, states.mean(axis=(0, 2)), rtol=1e-12)


# ---- the step ----


def twin_gradient(problem, kernels, pseudocount=1.0):
    """By the twin, at the relations that a search finds: (weights, bias) in nats."""
    layer, planes = problem.search(problem.bits(kernels))
    counts = TWIN.counts(layer, planes, problem.n)
    weights, bias = np.empty_like(kernels.weights), np.empty_like(kernels.bias)
    objective = layer, counts, pseudocount, 8.0
    reference.kernel_gradient(
        problem.transition(kernels), objective, problem.planes, planes, problem.n, (weights, bias)
    )
    return weights, bias


def test_a_step_climbs_the_relaxed_objective():
    """Its rise is that of a step along the gradient: rate / n |gradient|^2, to first order."""
    problem = Problem(n=60)
    (before, after), _ = problem.measured(replace(PLAIN, iterations=1, learning_rate=1e-6))
    layer, planes = problem.search(problem.bits(before))
    states = TWIN.states(planes, problem.n).astype(float)
    bits = problem.images[:, None]
    windows = np.lib.stride_tricks.sliding_window_view(bits, (3, 3), axis=(2, 3))
    transition = problem.transition(before)
    won = pooling_windows(transition, activations(transition, problem.planes, problem.n)).argmax(-1)[..., None]

    def surrogate(kernels):
        sums = np.einsum("ncyxij,kcij->nkyx", windows, kernels.weights) + kernels.bias[:, None, None]
        s = np.take_along_axis(pooling_windows(transition, sums), won, -1)[..., 0]
        return (1 / (1 + np.exp(-8 * s))).reshape(problem.n, -1)

    moved = states + surrogate(after) - surrogate(before)
    rise = reference.relaxed_objective(layer, moved) - reference.relaxed_objective(layer, states)
    weights, bias = twin_gradient(problem, before)
    assert rise > 0 and rise == pytest.approx(1e-6 / problem.n * ((weights**2).sum() + (bias**2).sum()), rel=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_small_steps_raise_the_gain_on_planted_data(seed):
    _, layer = Problem(n=400, seed=seed).measured(TrainingOptions(iterations=12, learning_rate=0.02, seed=seed))
    gains = [point.gain for point in layer.curve]
    assert gains[-1] > 1.1 * gains[0] and gains[6] > gains[0]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("pseudocount", [1.0, 20.0])
def test_two_steps_by_hand(momentum, pseudocount):
    problem, rate = Problem(n=80), 0.03
    options = replace(PLAIN, iterations=2, learning_rate=rate, momentum=momentum, pseudocount=pseudocount)
    (start, second, third), _ = problem.measured(options)
    velocity = [rate / problem.n * g for g in twin_gradient(problem, start, pseudocount)]
    np.testing.assert_allclose(second.weights, start.weights + velocity[0], rtol=1e-9)
    np.testing.assert_allclose(second.bias, start.bias + velocity[1], rtol=1e-9)
    new = twin_gradient(problem, second, pseudocount)
    velocity = [momentum * v + rate / problem.n * g for v, g in zip(velocity, new)]
    np.testing.assert_allclose(third.weights, second.weights + velocity[0], rtol=1e-9)
    np.testing.assert_allclose(third.bias, second.bias + velocity[1], rtol=1e-9)
    assert np.abs(third.weights - second.weights).max() > 1e-4


def test_normalization_keeps_unit_norms():
    problem = Problem()
    for normalize in (True, False):
        every, _ = problem.measured(replace(PLAIN, learning_rate=0.5, normalize=normalize))
        errors = [np.abs(norms(kernels) - 1).max() for kernels in every[1:]]
        assert max(errors) < 1e-12 if normalize else min(errors) > 1e-3
        assert np.abs(norms(every[0]) - 1).max() < 1e-12  # drawn ones have it anyway


def test_activation_is_kept():
    problem = Problem(n=300, noise=0.2)  # of many different windows, so that a bias can set any share
    options = replace(PLAIN, iterations=6, learning_rate=0.5, normalize=True)
    drift = {}
    for keep in (True, False):
        _, layer = problem.measured(replace(options, keep_activation=keep))
        shares = np.array([point.activation for point in layer.curve])
        drift[keep] = np.abs(shares - shares[0]).max()
    assert drift[True] < 0.03 < 0.1 < drift[False]


def test_rates_that_blow_kernels_up_are_refused():
    X = blots(100)
    for arguments in ({"normalize_kernels": False}, {"keep_activation": False}):
        with pytest.raises(ValueError, match="^learning_rate: 1e.06 lets .* hidden layer 1 .*smaller one$"):
            Network(hidden=((3, 3, 2),), learning_rate=1e6, iterations=3, random_state=0, **arguments).fit(X)


# ---- replacing the worst ----


@pytest.mark.parametrize(
    "iterations, times, expected",
    [(8, 2, [2, 4]), (8, 4, [1, 2, 3, 4]), (8, 0, []), (9, 1, [4]), (2, 1, [1]), (8, 9, [1, 2, 3, 4]), (1, 1, [])],
)
def test_the_worst_is_replaced_as_often_as_asked(iterations, times, expected):
    problem = Problem(hidden=((4, 3, 2),))
    options = replace(PLAIN, iterations=iterations, learning_rate=0.0, replace_worst=times)  # all else stays
    every, _ = problem.measured(options)
    assert len(every) == iterations + 1
    for iteration, (before, after) in enumerate(pairwise(every), start=1):
        changed = np.flatnonzero((before.weights != after.weights).any(axis=(1, 2, 3)))
        assert len(changed) == (iteration in expected)
        if len(changed):
            bits = problem.bits(before)
            gains = log_likelihood(bits, problem.search(bits)[0].relations) - log_likelihood(bits, ())
            assert changed == [np.argmin(gains)] and norms(after)[changed] == pytest.approx(1)
            share = problem.bits(after).mean(axis=(0, 2, 3))[changed[0]]
            assert 0.25 < share < 0.65  # of the range that kernels are drawn from


def test_a_new_kernel_starts_without_momentum_and_keeps_its_own_share():
    problem = Problem(hidden=((4, 3, 2),), noise=0.2)
    options = TrainingOptions(iterations=4, learning_rate=0.02, replace_worst=1, seed=2)
    *states, last = problem.states(options)
    kernels = [state.kernels for state in states]
    moved = [np.abs(b.weights - a.weights).max(axis=(1, 2, 3)) for a, b in pairwise(kernels)]
    new = int(np.argmax(moved[0]))  # iteration 2 of 4
    assert moved[0][new] > 0.2 and (states[1].velocity[0][new] == 0).all() and states[1].velocity[1][new] == 0
    assert (states[1].velocity[0] != 0).any(axis=(1, 2, 3)).sum() == 3
    assert states[1].target[new] != states[0].target[new]
    assert (np.delete(states[1].target, new) == np.delete(states[0].target, new)).all()
    for point in last.finished[0].curve[2:]:
        assert point.activation[new] == pytest.approx(states[1].target[new], abs=0.03)


# ---- the start ----


def test_draws_are_the_generator_of_the_engine():
    draws = Draws(7, 2, 3)
    first, second = draws.uniform(0, 1, (2, 2)), draws.uniform(-1, 3, (3,))
    expected = [uniform_at(7, 2**16 + 2, 0, (3 << 32) + i) for i in range(7)]
    np.testing.assert_array_equal(first.ravel(), expected[:4])
    np.testing.assert_allclose(second, 4 * np.array(expected[4:]) - 1)
    several = [Draws(*key).uniform(0, 1, (4,)) for key in ((7, 2, 3), (8, 2, 3), (7, 1, 3), (7, 2, 4))]
    assert len({values.tobytes() for values in several}) == 4
    normal = Draws(0, 0, 0).normal((20_000,))
    assert abs(normal.mean()) < 0.03 and abs(normal.std() - 1) < 0.02 and abs((normal < -1).mean() - 0.1587) < 0.01


def meter_of(problem):
    return ActivationMeter(problem.geometries[0], BitPlanes(problem.planes, problem.n), 1)


@pytest.mark.parametrize("n", [5, 64, 100, 512])
def test_shares_are_measured_and_set(n, monkeypatch):
    problem = Problem(n=n, hidden=((6, 3, 2),))
    meter = meter_of(problem)
    kernels = random_kernels(problem.hidden[0], problem.geometries[0], Draws(0, 0, 0))
    np.testing.assert_allclose(meter.shares(kernels), problem.bits(kernels).mean(axis=(0, 2, 3)), rtol=1e-12)
    target = np.array([0.0, 0.1, 0.3, 0.5, 0.9, 1.0])
    errors = np.abs(meter.shares(meter.with_shares(kernels, target)) - target)
    for bias in np.linspace(-3.5, 3.5, 71):  # no other bias comes nearer, but one that never changes anything
        share = meter.shares(Kernels(kernels.weights, np.full(6, bias), 2))
        constant = (share == 0) | (share == 1)
        assert ((errors <= np.abs(share - target) + 2e-3) | (constant & (target > 0) & (target < 1))).all()
    inside = meter.shares(meter.with_shares(kernels, target))[1:-1]
    assert ((inside > 0) & (inside < 1)).all()
    assert errors[0] == errors[-1] == 0
    for bias in np.linspace(-2, 2, 9):  # by sums that are held, and by bits that are made for every bias
        given = np.full(6, bias)
        expected = meter.shares(Kernels(kernels.weights, given, 2))
        np.testing.assert_array_equal(meter.shares_by_bias(kernels)(given), expected)
        monkeypatch.setattr(kernels_module, "MOST_SUMS", 0)
        np.testing.assert_array_equal(meter.shares_by_bias(kernels)(given), expected)
        monkeypatch.undo()


def test_the_sample_on_which_shares_are_measured():
    problem = Problem(n=1300, hidden=((3, 3, 2),))
    meter = meter_of(problem)
    assert (
        meter.planes.n_images == 512 and meter.planes.words.shape[1] == 8
    )  # full words only: the last one has 20 images
    kernels = random_kernels(problem.hidden[0], problem.geometries[0], Draws(0, 0, 0))
    np.testing.assert_allclose(meter.shares(kernels), problem.bits(kernels).mean(axis=(0, 2, 3)), atol=0.03)


def correlations(problem, kernels):
    """Absolute correlations of different kernels' bits."""
    bits = problem.bits(kernels).transpose(1, 0, 2, 3).reshape(len(kernels.bias), -1)
    return np.abs(np.corrcoef(bits))[np.triu_indices(len(bits), 1)]


@pytest.mark.parametrize("seed", range(4))
def test_promising_kernels_are_less_correlated(seed):
    problem = Problem(hidden=((4, 3, 2),), seed=seed, noise=0.2)
    found = {}
    for name in ("random", "promising"):
        kernels = initial_kernels(problem.hidden[0], meter_of(problem), name, (0.3, 0.6), Draws(seed, 0, 0))
        assert kernels.weights.shape == (4, 1, 3, 3) and len(np.unique(kernels.weights, axis=0)) == 4
        shares = problem.bits(kernels).mean(axis=(0, 2, 3))
        assert (shares > 0.25).all() and (shares < 0.65).all()
        found[name] = correlations(problem, kernels)
    assert found["promising"].max() < 0.8 * found["random"].max()
    assert found["promising"].mean() < found["random"].mean()


def test_the_only_kernel_is_replaced_too():
    problem = Problem(hidden=((1, 3, 2),))
    every, _ = problem.measured(replace(PLAIN, iterations=2, learning_rate=0.0, replace_worst=1))
    assert 0.2 < problem.bits(every[1]).mean() < 0.7


def test_given_kernels_are_kept_when_nothing_is_trained(tmp_path):
    X = blots(150)
    arguments = {"hidden": ((3, 3, 1), (2, 3, 1)), "random_state": 5, "n_jobs": 1}
    model = Network(**arguments, iterations=2).fit(X)
    model.save_kernels(tmp_path / "kernels.npz")
    kernels = [layer.kernels for layer in model.hidden_layers_]
    for given in (tmp_path / "kernels.npz", str(tmp_path / "kernels.npz"), kernels, tuple(kernels)):
        other = Network(**arguments, iterations=0, kernels=given).fit(X)
        for layer, expected in zip(other.hidden_layers_, kernels):
            np.testing.assert_array_equal(layer.kernels.weights, expected.weights)
            np.testing.assert_array_equal(layer.kernels.bias, expected.bias)
            assert len(layer.curve) == 1
        np.testing.assert_array_equal(other.score_samples(X), model.score_samples(X))
    partly = Network(**arguments, iterations=0, kernels=kernels[:1]).fit(X)
    np.testing.assert_array_equal(partly.hidden_layers_[0].kernels.weights, kernels[0].weights)
    assert (partly.hidden_layers_[1].kernels.weights != kernels[1].weights).any()
