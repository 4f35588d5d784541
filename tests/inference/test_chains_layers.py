# SPDX-License-Identifier: BSD-3-Clause
"""Gibbs chains through hidden layers, and their temperatures: exact distributions, climbing, annealing, seeds."""

import functools
import itertools

import numpy as np
import pytest

from cbn import MixingWarning
from cbn.fit.drawing import sweep_rounds
from helpers.distributions import LEVELS, THRESHOLDS, assert_distributed, enumerated, fitted, levels_of, numbers
from helpers.networks import Network

IGNORE_MIXING = pytest.mark.filterwarnings("ignore::cbn.MixingWarning")


@functools.cache
def hidden_model(weights=(1.0, 0.7)):
    """A network of 3 x 4 pixels with a hidden layer that matters."""
    rng = np.random.default_rng(0)
    images = rng.random((80, 3, 4)) < np.where(rng.random((80, 1, 1)) < 0.5, 0.25, 0.75)
    model = Network(hidden=[(3, 2, 1)], layer_weights=weights, iterations=1, false_alarm_rate=0.1, random_state=1)
    return model.set_params(n_jobs=1).fit(images)


def product_of_layers(model, weights, temperature=1.0):
    """All images of a two-level model, and the normalized product over layers of p(layer)^(weight / temperature)."""
    levels = np.array(list(itertools.product(range(2), repeat=12))).reshape(-1, 3, 4)
    energy = model.layer_scores(levels.astype(bool), "log_probability") @ np.array(weights) / temperature
    probability = np.exp(energy - energy.max())
    return levels, probability / probability.sum()


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [1, 1.6])
@pytest.mark.parametrize("weights", [(1.0, 0.7), (0.5, 0.0)])
def test_gibbs_chains_follow_the_weighted_product_of_all_layers(weights, temperature):
    model = hidden_model(weights)
    _, probability = product_of_layers(model, weights, temperature)
    chains = model.gibbs_chains(20_000, random_state=1, temperature=temperature)
    chains.advance(100 * model.layer_.n_nodes)
    found = numbers(chains.pictures().astype(int), 2)
    assert_distributed(found, probability)
    for other in [(1.0, 1.0), (1.0, 0.0)]:  # a bound that other weights fail
        with pytest.raises(AssertionError):
            assert_distributed(found, product_of_layers(model, other, temperature)[1])


def test_pixels_at_another_temperature():
    model = fitted(3, 3, 2)
    _, probability = enumerated(model, 2)
    chains = model.gibbs_chains(20_000, random_state=1, temperature=0.8)
    chains.advance(150 * model.layer_.n_nodes)
    found = numbers(levels_of(chains.pictures(), 2), 2)
    assert_distributed(found, probability**1.25 / (probability**1.25).sum())
    with pytest.raises(AssertionError):
        assert_distributed(found, probability)


@pytest.mark.slow
@IGNORE_MIXING
def test_inpainting_through_all_layers_follows_the_exact_conditional():
    model = hidden_model()
    everything, probability = product_of_layers(model, (1.0, 0.7))
    mask = np.array([[0, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 0]], bool)
    known = everything[1234]
    agree = (everything == known)[:, ~mask].all(axis=1)
    conditional = probability[agree] / probability[agree].sum()
    result = model.inpaint(known.astype(bool), mask, n=20_000, n_sweeps=100, random_state=0)
    np.testing.assert_array_equal(result.samples[:, ~mask], np.tile(known[~mask], (20_000, 1)))
    order = np.argsort(numbers(everything[agree][:, mask], 2))
    assert_distributed(numbers(result.samples[:, mask].astype(int), 2), conditional[order])
    alone = model.layer_scores(everything[agree].astype(bool), "log_probability")[:, 0]
    with pytest.raises(AssertionError):  # the pixel layer alone says otherwise
        assert_distributed(
            numbers(result.samples[:, mask].astype(int), 2), (np.exp(alone) / np.exp(alone).sum())[order]
        )


def test_ancestral_samples_are_those_of_the_pixel_layer_alone():
    model = hidden_model()
    pixels = Network(false_alarm_rate=0.1, n_jobs=1)
    rng = np.random.default_rng(0)
    images = rng.random((80, 3, 4)) < np.where(rng.random((80, 1, 1)) < 0.5, 0.25, 0.75)
    np.testing.assert_array_equal(model.sample(50, random_state=3), pixels.fit(images).sample(50, random_state=3))


def test_temperature_0_climbs_to_where_no_flip_is_an_improvement():
    model = hidden_model()
    _, probability = product_of_layers(model, (1.0, 0.7))
    images = model.sample(64, method="gibbs", n_steps=600, temperature=0, random_state=0)
    ranks = probability[numbers(images.astype(int), 2)]
    for y, x in itertools.product(range(3), range(4)):
        flipped = images.astype(int)
        flipped[:, y, x] ^= 1
        assert (probability[numbers(flipped, 2)] <= ranks * (1 + 1e-9)).all()


@IGNORE_MIXING
def test_annealing_ends_nearer_to_the_most_probable_image():
    model = hidden_model()
    _, probability = product_of_layers(model, (1.0, 0.7))
    mean = {}
    for temperature in (1, 0, (4, 0.05)):
        drawn = model.sample(200, method="gibbs", n_steps=20_000, temperature=temperature, random_state=0)
        mean[temperature] = probability[numbers(drawn.astype(int), 2)].mean()
    assert mean[1] < mean[0] < mean[4, 0.05]
    assert mean[4, 0.05] > 0.8 * probability.max()


@pytest.mark.parametrize("temperature", [0.5, 0, (3, 0.2)])
@pytest.mark.parametrize("model", [hidden_model, functools.partial(fitted, 5, 4, 3)])
def test_temperatures_depend_on_the_step_alone(model, temperature, monkeypatch):
    """Not on batches, threads, the number of chains, or where a run is cut."""
    model = model()
    arguments = {"temperature": temperature, "n_steps": 500}
    expected = model.gibbs_chains(40, 3, **arguments)
    expected.advance(700)  # beyond the end of the annealing
    for batch, n_jobs, n in ((1, 1, 40), (7, 2, 40), (100, 3, 3)):
        monkeypatch.setattr("cbn.inference.chains.LAYERED_BATCH_PROPOSALS", batch * n)
        monkeypatch.setattr("cbn.inference.chains.LAYERED_BATCH_STEPS", 1)
        chains = model.set_params(n_jobs=n_jobs).gibbs_chains(n, 3, **arguments)
        for n_steps in (1, 0, 299, 400):
            chains.advance(n_steps)
        np.testing.assert_array_equal(chains.pictures(), expected.pictures()[:n])
    monkeypatch.undo()
    model.set_params(n_jobs=1)


def test_a_pair_runs_geometrically_from_the_first_to_the_last():
    chains = hidden_model().gibbs_chains(2, 0, temperature=(8, 2), n_steps=5)
    inverse = chains.temperatures.inverse(0, 7)
    np.testing.assert_allclose(1 / inverse, [8, 8 / 2**0.5, 4, 8 / 2**1.5, 2, 2, 2], rtol=1e-12)
    np.testing.assert_array_equal(inverse[3:5], chains.temperatures.inverse(3, 2))


@IGNORE_MIXING
def test_same_seed_same_bytes_through_all_layers():
    model = hidden_model()

    def drawn():
        yield model.sample(70, method="gibbs", n_steps=300, random_state=9)
        result = model.inpaint(np.zeros((3, 4), bool), np.eye(3, 4, dtype=bool), n=70, n_sweeps=20, random_state=9)
        yield from (result.samples, result.mean)

    expected = [array.tobytes() for array in drawn()]
    for n_jobs in (2, 3, None, 1):
        model.set_params(n_jobs=n_jobs)
        assert [array.tobytes() for array in drawn()] == expected


def test_several_thresholds_with_hidden_layers_stay_in_order():
    level = np.random.default_rng(0).integers(0, 3, (60, 6, 6))
    model = Network(threshold=THRESHOLDS[3], hidden=[(3, 2, 1)], iterations=0, false_alarm_rate=0.1, random_state=0)
    model.fit(LEVELS[level])
    for temperature in (1, 0, 5):
        chains = model.gibbs_chains(20, 0, temperature=temperature)
        chains.advance(3000)
        low, high = chains.states.reshape(20, 2, 36).transpose(1, 0, 2)
        assert (high <= low).all() and high.any() and (high < low).any()


def test_no_warning_where_mixing_means_nothing():
    model = hidden_model()
    for temperature in (0, (2, 0.1)):  # warnings are errors here
        model.sample(4, method="gibbs", n_steps=50, temperature=temperature, random_state=0)
        model.inpaint(np.zeros((3, 4), bool), np.eye(3, 4, dtype=bool), n=2, temperature=temperature, random_state=0)
    with pytest.warns(MixingWarning):
        model.sample(4, method="gibbs", n_steps=50, temperature=0.3, random_state=0)


def test_rounds_of_an_open_inpainting_stay_within_some_seconds():
    assert sweep_rounds(392, 16, 1) == [1_000, 4_000, 16_000, 64_000]
    assert sweep_rounds(1, 16, 3) == [1_000, 4_000, 16_000, 64_000]
    assert sweep_rounds(392, 16, 3) == [1_000]
    assert sweep_rounds(90_000, 1_000, 3) == [100]
    assert 100 < sweep_rounds(784, 100, 3)[0] < 1_000
