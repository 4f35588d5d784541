# SPDX-License-Identifier: BSD-3-Clause
"""Gibbs sampling through all layers: after every flip against the twin, whose energies are made from scratch; against
exactly enumerated distributions."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from cbn import _engine
from cbn.cpd.grid import Layer, Relation, pixel_layer
from cbn.layers.geometry import Transition
from helpers.engines import ALL, PATHS, TWIN
from helpers.transitions import random_transition
from reference.gibbs_layers import LayerStack, hidden_states, log_product

UNIT = 2.0**-40
THREADS = (1, 2, 3, 7)
INFINITY = float("inf")
THESIS = ((-1, -1), (-1, 0), (-1, 1), (0, -1))


def random_values(rng, layers, spread=1.5):
    """Tables of log-probabilities of all layers in units, uneven enough that flips are accepted and refused."""
    logits = rng.normal(size=sum(layer.n_rows for layer in layers)) * spread
    values = np.stack([-np.logaddexp(0, logits), -np.logaddexp(0, -logits)], axis=1)
    return np.rint(values / UNIT).astype(np.int64)


def random_relations(rng, channels, reach, n):
    """Up to n relations for each channel, anywhere earlier within reach."""
    earlier = [(p, dy, dx) for p in range(channels) for dy in range(-reach, 1) for dx in range(-reach, reach + 1)]
    earlier = [place for place in earlier if place[1:] < (0, 0)]
    relations = []
    for child in range(channels):
        chosen = rng.choice(len(earlier), min(n, len(earlier)), replace=False)
        relations += [Relation(child, *earlier[i]) for i in chosen]
    return tuple(relations)


def stacked(rng, pixels, hidden):
    """Layers and transitions above a pixel layer; hidden: (kernels, kernel_size, pool) of each."""
    layers, transitions = [pixels], []
    for kernels, size, pool in hidden:
        below = layers[-1]
        t = random_transition(rng, below.channels, below.height, below.width, kernels, size, pool)
        transitions.append(t)
        layers.append(Layer(kernels, t.height, t.width, random_relations(rng, kernels, 2, 4)))
    return layers, transitions


def random_pixels(rng, n, layer):
    """(n, nodes) states in which a higher threshold is exceeded only where the lower one is."""
    level = rng.integers(0, layer.channels + 1, (n, layer.n_positions))
    return np.concatenate([level > c for c in range(layer.channels)], axis=1).astype(np.uint8)


# height, width, thresholds, hidden layers; several windows of look-up, poolings that leave rows and columns over
SHAPES = {
    "one hidden layer": (7, 5, 1, [(3, 2, 1)]),
    "rows left over": (9, 8, 1, [(2, 3, 2), (3, 2, 1)]),
    "two thresholds": (8, 9, 2, [(4, 3, 2), (2, 2, 1)]),
    "three layers": (11, 14, 1, [(3, 2, 1), (9, 3, 2), (2, 2, 1)]),
    "three thresholds, pooling 3": (13, 10, 3, [(5, 2, 3), (3, 2, 1)]),
    "kernels of 4": (12, 17, 1, [(2, 4, 3), (3, 1, 1)]),
    "pixels alone": (5, 6, 1, []),
    "thresholds alone": (4, 5, 3, []),
}
TEMPERATURES = [(1.0, 0.5), (0.0, 1.0), (INFINITY, 2.0)]


@pytest.mark.slow
@pytest.mark.parametrize("temperatures", TEMPERATURES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_flip_equals_the_twin(shape, temperatures):
    """One step a call, so that every decision of every chain is compared; and one call for all of them."""
    height, width, n_thresholds, hidden = SHAPES[shape]
    rng = np.random.default_rng(list(SHAPES).index(shape))
    layers, transitions = stacked(rng, pixel_layer(height, width, THESIS, n_thresholds), hidden)
    values = random_values(rng, layers)
    n_chains, n_steps = 20, 40
    start = random_pixels(rng, n_chains, layers[0])
    sites = rng.permutation(layers[0].n_nodes)[: max(2, 2 * layers[0].n_nodes // 3)].astype(np.int64)
    schedule = np.resize(temperatures, n_steps)
    states, seen = start, [start]
    for step in range(n_steps):
        now = schedule[step : step + 1]
        expected = TWIN.gibbs_layers(layers, transitions, values, UNIT, now, 3, step, sites, states)
        for path in PATHS if step % 8 == 0 else PATHS[:1]:
            found = path.gibbs_layers(layers, transitions, values, UNIT, now, 3, step, sites, states)
            np.testing.assert_array_equal(found, expected)
        states = expected
        seen.append(states)
    clamped = np.setdiff1d(np.arange(layers[0].n_nodes), sites)
    np.testing.assert_array_equal(states[:, clamped], start[:, clamped])
    assert (np.diff(seen, axis=0) != 0).sum() > 20  # flips were made
    assert (np.diff(seen, axis=0) != 0).sum() < n_chains * n_steps  # and refused
    for path in PATHS:
        for threads in THREADS:
            whole = path.gibbs_layers(layers, transitions, values, UNIT, schedule, 3, 0, sites, start, threads)
            np.testing.assert_array_equal(whole, states)


@st.composite
def problems(draw):
    """Any stack of layers that fits, any relations."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    height, width = draw(st.integers(4, 12)), draw(st.one_of(st.integers(4, 12), st.integers(60, 70)))
    n_thresholds = draw(st.integers(1, 3))
    hidden, least = [], min(height, width)
    for _ in range(draw(st.integers(0, 3))):
        size, pool = draw(st.integers(1, min(4, least))), draw(st.integers(1, 3))
        if size + pool - 1 > least:
            break
        hidden.append((draw(st.sampled_from([1, 3, 9])), size, pool))
        least = (least - size + 1) // pool
    pixels = pixel_layer(height, width, THESIS[: draw(st.integers(0, 4))], n_thresholds)
    layers, transitions = stacked(rng, pixels, hidden)
    n_chains = draw(st.sampled_from([1, 2, 31, 33, 70]))
    schedule = np.array(draw(st.lists(st.sampled_from([0.0, 0.25, 1.0, 3.0, INFINITY]), min_size=1, max_size=12)))
    return layers, transitions, random_values(rng, layers), n_chains, schedule, rng


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(problems(), st.integers(0, 2**64 - 1), st.integers(0, 2**40))
def test_any_layers_equal_the_twin(problem, seed, first_step):
    layers, transitions, values, n_chains, schedule, rng = problem
    start = random_pixels(rng, n_chains, layers[0])
    sites = rng.permutation(layers[0].n_nodes)[:20].astype(np.int64)
    arguments = layers, transitions, values, UNIT, schedule, seed, first_step, sites, start
    expected = TWIN.gibbs_layers(*arguments)
    for path in PATHS:
        for threads in (1, 3):
            np.testing.assert_array_equal(path.gibbs_layers(*arguments, threads), expected)


def mnist_like(n_chains, seed=0):
    """A network of the size of the preset `hidden`."""
    rng = np.random.default_rng(seed)
    layers, transitions = stacked(rng, pixel_layer(28, 28, THESIS), [(5, 3, 2), (5, 3, 2)])
    return layers, transitions, random_values(rng, layers), random_pixels(rng, n_chains, layers[0])


@pytest.mark.slow
def test_long_runs_do_not_depend_on_threads_paths_or_calls():
    layers, transitions, values, start = mnist_like(70)
    sites, schedule = np.arange(784), np.linspace(0.2, 2, 3000)
    expected = PATHS[0].gibbs_layers(layers, transitions, values, UNIT, schedule, 9, 11, sites, start)
    assert (expected != start).mean() > 0.2
    for path in PATHS:
        for threads in THREADS:
            found = path.gibbs_layers(layers, transitions, values, UNIT, schedule, 9, 11, sites, start, threads)
            np.testing.assert_array_equal(found, expected)
    states, done = start, 0
    for end, threads in ((1, 2), (1, 1), (4, 1), (1001, 3), (3000, 2)):
        part = schedule[done:end]
        states = PATHS[0].gibbs_layers(layers, transitions, values, UNIT, part, 9, 11 + done, sites, states, threads)
        done = end
    np.testing.assert_array_equal(states, expected)
    few = PATHS[0].gibbs_layers(layers, transitions, values, UNIT, schedule, 9, 11, sites, start[:5], 2)
    np.testing.assert_array_equal(few, expected[:5])  # a chain does not depend on how many there are
    # what is kept up to date for thousands of flips decides as what is made from scratch
    last = PATHS[0].gibbs_layers(layers, transitions, values, UNIT, schedule[:-1], 9, 11, sites, start[:3])
    arguments = values, UNIT, schedule[-1:], 9, 11 + 2999, sites, last
    np.testing.assert_array_equal(TWIN.gibbs_layers(layers, transitions, *arguments), expected[:3])


@pytest.mark.parametrize("n_thresholds", [1, 2])
def test_one_layer_equals_the_sampler_of_one_layer(n_thresholds):
    """The same sites and draws: the same bytes, as long as no draw falls on a rounding error."""
    rng = np.random.default_rng(n_thresholds)
    layer = pixel_layer(9, 8, THESIS, n_thresholds)
    states = random_pixels(rng, 100, layer)
    probability = TWIN.probability(layer, TWIN.counts(layer, TWIN.planes(states, [0]), 100))
    with np.errstate(divide="ignore"):
        log_p = np.log(probability)
    values = np.rint(np.where(probability > 0, log_p, 0) / UNIT).astype(np.int64)
    sites = np.arange(layer.n_nodes)
    expected = PATHS[0].gibbs(layer, probability, 5, 0, 5000, sites, states)
    found = PATHS[0].gibbs_layers([layer], [], values, UNIT, np.ones(5000), 5, 0, sites, states)
    np.testing.assert_array_equal(found, expected)


# ---- the distribution ----


def small_network(seed, n_thresholds):
    """A hidden layer over so few pixels that all images can be enumerated; strong tables, so that it matters."""
    rng = np.random.default_rng(seed)
    pixels = pixel_layer(3, 4, ((-1, 0), (0, -1))) if n_thresholds == 1 else pixel_layer(2, 3, ((-1, 0),), 2)
    hidden = [(3, 2, 1)]
    layers, transitions = stacked(rng, pixels, hidden)
    return layers, transitions, random_values(rng, layers, 2.0), rng


def enumerated(layers, transitions, values):
    """All pixel states that no required relation excludes, and the log of their product in nats."""
    states = np.array(list(itertools.product((0, 1), repeat=layers[0].n_nodes)), np.uint8)
    for r in layers[0].relations:
        if r.required:
            planes = states.reshape(len(states), layers[0].channels, -1)
            states = states[(planes[:, r.child] <= planes[:, r.parent]).all(axis=1)]
    return states, log_product(LayerStack(layers, transitions), values, states) * UNIT


def p_value(found, states, probability):
    """Chi-square test of drawn states against probabilities; rare ones (expected below 5) share a cell."""
    number = 1 << np.arange(states.shape[1])
    order = np.argsort(states @ number)
    place = order[np.searchsorted((states @ number)[order], found @ number)]
    observed, expected = np.bincount(place, minlength=len(states)), len(found) * probability
    rare = expected < 5
    cells = [np.append(counts[~rare], counts[rare].sum()) for counts in (observed, expected)]
    assert len(cells[0]) > 50
    return chisquare(*cells).pvalue


@pytest.mark.slow
@pytest.mark.parametrize("beta", [1.0, 0.5])
@pytest.mark.parametrize("n_thresholds", [1, 2])
def test_chains_follow_the_product_of_the_layers(n_thresholds, beta):
    layers, transitions, values, rng = small_network(3, n_thresholds)
    states, energy = enumerated(layers, transitions, values)
    probability = np.exp(beta * (energy - energy.max()))
    probability /= probability.sum()
    n, n_steps = 20_000, 200 * layers[0].n_nodes
    found = PATHS[0].gibbs_layers(
        layers, transitions, values, UNIT, np.full(n_steps, beta), 7, 0, np.arange(layers[0].n_nodes),
        random_pixels(rng, n, layers[0]), 2,
    )  # fmt: skip
    assert p_value(found, states, probability) > 1e-3
    # the bound is one that other distributions fail: another temperature, the pixel layer alone
    colder = probability ** (1.1) / (probability**1.1).sum()
    assert p_value(found, states, colder) < 1e-6
    alone = np.exp(beta * log_product(LayerStack(layers[:1], []), values[: layers[0].n_rows], states) * UNIT)
    assert p_value(found, states, alone / alone.sum()) < 1e-6


def test_climbing_ends_at_a_state_that_no_flip_improves():
    layers, transitions, values, rng = small_network(5, 1)
    stack = LayerStack(layers, transitions)
    start = random_pixels(rng, 40, layers[0])
    before = log_product(stack, values, start)
    sites = np.arange(layers[0].n_nodes)
    found = start
    for step in range(400):
        found = PATHS[0].gibbs_layers(layers, transitions, values, UNIT, np.array([INFINITY]), 1, step, sites, found)
        after = log_product(stack, values, found)
        assert (after >= before).all()
        before = after
    for site in sites:
        flipped = found.copy()
        flipped[:, site] ^= 1
        assert (log_product(stack, values, flipped) <= before).all()


@pytest.mark.parametrize("engine", ALL, ids=repr)
def test_climbing_stays_where_nothing_changes(engine):
    """A flip that leaves the product as it is does not raise it."""
    layers, transitions, values, rng = small_network(5, 1)
    start = random_pixels(rng, 9, layers[0])
    arguments = UNIT, np.full(200, INFINITY), 1, 0, np.arange(12), start
    np.testing.assert_array_equal(engine.gibbs_layers(layers, transitions, 0 * values, *arguments), start)


@pytest.mark.parametrize("engine", ALL, ids=repr)
def test_required_relations_hold_at_every_temperature(engine):
    layers, transitions, values, rng = small_network(4, 2)
    start = random_pixels(rng, 9, layers[0])
    for beta in (0.0, 1.0, INFINITY):
        found = engine.gibbs_layers(layers, transitions, values, UNIT, np.full(60, beta), 1, 0, np.arange(12), start)
        assert (found[:, 6:] <= found[:, :6]).all()
        assert (found != start).any()
    broken = start.copy()
    broken[:, 0], broken[:, 6] = 0, 1
    for site in (0, 6):  # either flip mends it, and is made although it lowers the product
        against = np.zeros_like(values)
        found = engine.gibbs_layers(
            layers, transitions, against, UNIT, np.array([INFINITY]), 1, 0, np.array([site]), broken
        )
        assert (found[:, 6] <= found[:, 0]).all()


def test_the_oracle_s_hidden_nodes_by_hand():
    """One kernel that fires where two pixels in a row are 1."""
    weights = np.full((1, 1, 1, 2), 2**20, np.int32)
    weights = np.concatenate([weights, 0 * weights], axis=2)
    transition = Transition(1, 3, 4, weights, np.array([-(2**20) * 3 // 2], np.int32), 1)
    stack = LayerStack([pixel_layer(3, 4, ()), Layer(1, 2, 3)], [transition])
    states = np.array([[0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1]], np.uint8)
    np.testing.assert_array_equal(hidden_states(stack, states)[1], [[0, 1, 1, 0, 0, 0]])


# ---- refusals ----


def test_unsound_stacks_are_refused():
    rng = np.random.default_rng(0)
    layers, transitions = stacked(rng, pixel_layer(8, 7, THESIS), [(3, 3, 2), (2, 2, 1)])
    made = [_engine.Layer(x) for x in layers], [_engine.Transition(t) for t in transitions]
    _engine.LayerStack(*made)
    required = Layer(3, 3, 2, (Relation(1, 0, 0, 0, True),))
    other = random_transition(rng, 1, 8, 8, 3, 3, 2)
    for wrong in [
        ([], []),
        (made[0], made[1][:1]),
        (made[0][:2], made[1]),
        (made[0][::-1], made[1]),
        ([made[0][0], _engine.Layer(required), made[0][2]], made[1]),
        (made[0], [_engine.Transition(other), made[1][1]]),
        ([made[0][0]] * 9, made[1][:1] * 8),
    ]:
        with pytest.raises(ValueError):
            _engine.LayerStack(*wrong)
    with pytest.raises(TypeError):
        _engine.LayerStack(layers, transitions)


@pytest.mark.parametrize(
    "name, wrong",
    [("unit", 0.0), ("unit", -1.0), ("unit", INFINITY), ("unit", float("nan")), ("schedule", np.array([1.0, -1e-9])),
     ("schedule", np.array([float("nan")])), ("schedule", np.ones((1, 1))), ("sites", np.array([56])),
     ("sites", np.array([-1])), ("sites", np.array([], np.int64)), ("sites", np.array([1.0])), ("threads", 0),
     ("states", np.zeros((2, 55), np.uint8)), ("states", np.zeros((0, 56), np.uint8)), ("states", np.zeros((2, 56))),
     ("values", np.zeros((3, 2), np.int64)), ("values", np.zeros((1, 2)))],
)  # fmt: skip
def test_wrong_arguments_are_refused(name, wrong):
    layers, transitions = stacked(np.random.default_rng(0), pixel_layer(8, 7, THESIS), [(3, 3, 2)])
    good = {
        "values": random_values(np.random.default_rng(1), layers), "unit": UNIT, "schedule": np.ones(3), "seed": 1,
        "first_step": 0, "sites": np.arange(56), "states": np.zeros((2, 56), np.uint8), "threads": 1,
    }  # fmt: skip
    stack = _engine.LayerStack([_engine.Layer(x) for x in layers], [_engine.Transition(t) for t in transitions])
    _engine.sample_gibbs_layers(stack, *good.values())
    _engine.sample_gibbs_layers(stack, *(good | {"schedule": np.ones(0)}).values())
    with pytest.raises((ValueError, TypeError)):
        _engine.sample_gibbs_layers(stack, *(good | {name: wrong}).values())
