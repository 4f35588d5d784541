# SPDX-License-Identifier: BSD-3-Clause
"""Training by level: what is learned, what is held, seeds and threads, frozen kernels, memory, dead kernels."""

import itertools
from functools import partial

import numpy as np
import pytest

from cbn import IntrospectiveEnergyModel
from cbn.iem import TABLE_4, Architecture, Conv, Fire, Level, Pool, Relu, Training
from cbn.iem.nn import network
from cbn.iem.nn.layers import forward_level
from cbn.iem.training import levelwise
from cbn.iem.training.kernels import draw_kernels, hold_norms, kernel_norms, revive_kernels
from cbn.iem.training.levelwise import LevelwiseTraining, TrainingOptions
from helpers.inspection import SMALL, textures

PICTURES = textures(20)[..., None]


def as_float(pictures):
    return pictures.astype(np.float32) / 255


def train(pictures=PICTURES, architecture=SMALL, kernels=None, num_threads=1, trained_on=None, **options):
    epochs = (options.pop("epochs", 2),) * len(architecture.levels)
    trained_on = np.arange(len(pictures)) if trained_on is None else trained_on
    own = TrainingOptions(epochs=epochs, **options)
    return list(LevelwiseTraining(architecture, pictures, as_float, trained_on, own, kernels, num_threads).run())


def numbers(state):
    """All parameters of a state, flat."""
    parts = [level.mean for level in state.levels] + [level.deviation for level in state.levels]
    for level in state.levels:
        parts += [values for own in level.kernels for values in own.values()]
        parts += list(level.models.parameters.values())
    return np.concatenate([np.ravel(part) for part in parts])


def test_states_count_the_epochs():
    states = train(epochs=3)
    assert [(s.level, s.epoch, s.n_done) for s in states[:4]] == [(0, 1, 1), (0, 2, 2), (0, 3, 3), (1, 1, 4)]
    assert len(states) == states[-1].n_done == sum(states[-1].epochs) == 9
    assert states[0].n_steps == 3 and states[2].n_steps == 9  # 20 pictures in batches of 8
    assert states[1].levels[0].models.parameters["first"] is not states[2].levels[0].models.parameters["first"]


@pytest.mark.parametrize("sharing", ["a", "b", "c", "d", "e", "f"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_every_sharing_learns(sharing, optimizer):
    architecture = Architecture(SMALL.levels[:2])
    pictures, rate = textures(16, side=8)[..., None], {"adam": 0.003, "sgd": 0.1}[optimizer]
    states = train(pictures, architecture, sharing=sharing, optimizer=optimizer, learning_rate=rate, epochs=6)
    for level in states[-1].levels:
        assert level.curve[-1] < 0.8 * level.curve[0]


def test_same_seed_same_bytes_for_any_number_of_threads():
    first = numbers(train(seed=5)[-1])
    np.testing.assert_array_equal(first, numbers(train(seed=5, num_threads=2)[-1]))
    np.testing.assert_array_equal(first, numbers(train(seed=5, num_threads=7)[-1]))
    assert (first != numbers(train(seed=6)[-1])).mean() > 0.5


@pytest.mark.parametrize("stop", range(5))
def test_goes_on_from_every_state_to_the_same_bytes(stop):
    task = LevelwiseTraining(SMALL, PICTURES, as_float, np.arange(20), TrainingOptions(epochs=(2, 2, 2), seed=1))
    expected = train(seed=1)[-1]
    state = next(itertools.islice(task.run(), stop, None))
    rest = list(task.run(state))
    assert len(rest) == 5 - stop
    np.testing.assert_array_equal(numbers(rest[-1]), numbers(expected))
    for name, values in expected.moments.items():
        np.testing.assert_array_equal(rest[-1].moments[name], values)


def test_values_that_do_not_fit_into_memory_are_computed_again(monkeypatch):
    expected = numbers(train()[-1])
    frozen = [[], *(level.kernels for level in train()[-1].levels[1:])]
    expected_frozen = numbers(train(kernels=frozen)[-1])
    monkeypatch.setattr(levelwise, "values_above", partial(network.values_above, kept_bytes=0))
    np.testing.assert_array_equal(numbers(train()[-1]), expected)
    np.testing.assert_array_equal(numbers(train(kernels=frozen)[-1]), expected_frozen)


def test_frozen_kernels_stay():
    given = [[], *(level.kernels for level in train(seed=3)[-1].levels[1:])]
    copies = [[{k: v.copy() for k, v in own.items()} for own in level] for level in given]
    state = train(kernels=given)[-1]
    for level, before in zip(state.levels, copies):
        for own, kept in zip(level.kernels, before):
            assert all(np.array_equal(own[name], kept[name]) for name in kept)
    x = as_float(PICTURES)  # frozen kernels read the level below as it is, so statistics are those of a plain chain
    for level in state.levels:
        x = forward_level(level.level, level.kernels, x)[0]
        np.testing.assert_allclose(level.mean, x.mean(axis=(0, 1, 2)), rtol=1e-4, atol=1e-6)
        deviation = x.std(axis=(0, 1, 2))
        np.testing.assert_allclose(level.deviation, np.where(deviation > 0, deviation, 1), rtol=1e-3)


def test_learned_kernels_move_but_keep_their_norm():
    task_states = train(epochs=4)
    first, last = task_states[4].levels[1], task_states[7].levels[1]
    assert (first.kernels[0]["weights"] != last.kernels[0]["weights"]).any()
    norms = task_states[7].norms
    found = kernel_norms(last.kernels)
    np.testing.assert_allclose(found[0]["weights"], norms[0]["weights"], rtol=1e-5)


def test_the_gradient_of_the_kernels_holds_the_targets_constant():
    """Predictions that ignore the neighbours cannot be improved by kernels: these stay, though a collapse would pay."""
    moved = []
    for blind in (False, True):
        task = levelwise._LevelTask(
            LevelwiseTraining(SMALL, PICTURES, as_float, np.arange(20), TrainingOptions(epochs=(1, 1, 1))), 1,
            network.PreparedImages(PICTURES, as_float),
        )  # fmt: skip
        task.begin()
        if blind:
            task.model.models.parameters["first"][...] = 0
            del task.optimizer.parameters["first"]
        before = [values.copy() for values in task.model.kernels[0].values()]
        task.epoch()
        assert task.model.curve[-1] > 0.1  # the errors are there
        moved.append(max(np.abs(a - b).max() for a, b in zip(before, task.model.kernels[0].values())))
    assert moved[0] > 1e-3 and moved[1] < 1e-5


def test_kernels_begin_with_unit_deviation_and_median_zero():
    x = np.random.default_rng(0).normal(size=(6, 20, 20, 3)).astype(np.float32) * 7 + 2
    level = Level((Conv(6, 3), Pool(2, 2), Relu()), 1, (4,))
    kernels = draw_kernels(level, x, np.random.default_rng(1))
    response = forward_level(Level((Conv(6, 3),), 1, (4,)), kernels[:1], x)[0]
    np.testing.assert_allclose(response.std(axis=(0, 1, 2)), 1, rtol=1e-3)
    np.testing.assert_allclose((response > 0).mean(axis=(0, 1, 2)), 0.5, atol=0.01)


def test_kernels_of_fire_modules_begin_alive():
    x = np.random.default_rng(0).normal(size=(6, 20, 20, 3)).astype(np.float32)
    level = Level((Conv(6, 3), Relu(), Fire(4, 5)), 1, (4,))
    kernels = draw_kernels(level, x, np.random.default_rng(1))
    out = forward_level(level, kernels, x)[0]
    assert out.shape[3] == 10 and (out.std(axis=(0, 1, 2)) > 0.1).all()
    states = train(architecture=Architecture((SMALL.levels[0], level)), epochs=3)
    assert states[-1].levels[1].curve[-1] < states[-1].levels[1].curve[-3]


def test_dead_kernels_are_revived():
    x = np.random.default_rng(0).normal(size=(6, 12, 12, 3)).astype(np.float32)
    level = Level((Conv(5, 3), Pool(2, 2), Relu()), 1, (4,))
    kernels = draw_kernels(level, x, np.random.default_rng(1))
    alive = kernels[0]["bias"].copy()
    kernels[0]["bias"][[1, 3]] = -1000
    revive_kernels(level, kernels, x)
    np.testing.assert_array_equal(kernels[0]["bias"][[0, 2, 4]], alive[[0, 2, 4]])
    out = forward_level(level, kernels, x)[0]
    assert (out.std(axis=(0, 1, 2)) > 0.1).all()


def test_constant_kernels_keep_finite():
    x = np.full((4, 10, 10, 1), 0.3, np.float32)
    level = Level((Conv(5, 3), Pool(2, 2), Relu()), 1, (4,))
    kernels = draw_kernels(level, x, np.random.default_rng(1))
    for values in kernels[0].values():
        assert np.isfinite(values).all() and np.abs(values).max() < 1e3
    zeros = [{"weights": np.zeros((9, 1, 5), np.float32), "bias": np.zeros(5, np.float32)}]
    hold_norms(zeros, kernel_norms(kernels)[:1])
    assert np.isfinite(zeros[0]["weights"]).all()


def test_held_out_pictures_have_no_part_in_gradients():
    other = PICTURES.copy()
    other[10:] = textures(10, seed=9)[..., None]
    first = train(trained_on=np.arange(10))[-1]
    np.testing.assert_array_equal(numbers(first), numbers(train(other, trained_on=np.arange(10))[-1]))
    assert (numbers(first) != numbers(train(other)[-1])).any()


def test_no_kernel_of_table_4_is_dead():
    pictures = textures(8, side=64)[..., None]
    state = train(pictures, TABLE_4, epochs=2)[-1]
    for values, _ in network.Network(state.levels).passes(as_float(pictures)):
        assert (values.max(axis=(0, 1, 2)) > values.min(axis=(0, 1, 2))).all()


def test_a_training_that_diverges_says_so(tmp_path):
    training = Training(learning_rate=900.0, epochs=8)
    model = IntrospectiveEnergyModel(SMALL, training=training, n_jobs=1, random_state=0, false_alarm_rate=0.2)
    with pytest.raises(ValueError, match=r"learning_rate: 900.0; level \d diverged in epoch \d"):
        model.fit(textures(24), checkpoint=tmp_path / "model.checkpoint")
