# SPDX-License-Identifier: BSD-3-Clause
"""The estimator: finds defects and where they are, odd pictures, arguments, scikit-learn's habits, interruption."""

import copy
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone, is_outlier_detector
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score

import cbn
from cbn import CalibrationWarning, DataError, IntrospectiveEnergyModel
from cbn.iem import TABLE_4, Architecture
from cbn.iem.parameters import Arguments
from cbn.iem.settings import held_out_count, resolve
from helpers.inspection import SMALL, energy_model, textures, with_defects

TRAIN, NORMAL = textures(60), textures(30, seed=1)
DEFECT = with_defects(NORMAL)


def model_of(**arguments):
    usual = {"architecture": SMALL, "held_out": 0, "epochs": 3, "learning_rate": 0.01, "random_state": 0, "n_jobs": 1}
    return energy_model(**usual | arguments)


@pytest.fixture(scope="module")
def fitted():
    return model_of(epochs=8, false_alarm_rate=0.05).fit(TRAIN)


def test_finds_defects(fitted):
    normal, defect = fitted.score_samples(NORMAL), fitted.score_samples(DEFECT)
    assert normal.shape == (30,) and normal.dtype == np.float64
    assert roc_auc_score(np.repeat([1, 0], 30), np.concatenate([normal, defect])) > 0.95
    assert (fitted.predict(DEFECT) == -1).mean() > 0.9 and (fitted.predict(NORMAL) == 1).mean() > 0.7
    np.testing.assert_array_equal(fitted.decision_function(NORMAL), normal - fitted.offset_)
    assert fitted.p_values(DEFECT).mean() < 0.1 < fitted.p_values(NORMAL).mean()


def test_maps_show_where(fitted):
    maps = fitted.energy_map(DEFECT)
    assert maps.shape == (30, 16, 16) and maps.dtype == np.float32
    inside = np.zeros((16, 16), bool)
    inside[6:10, 7:11] = True
    truth = np.broadcast_to(inside, maps.shape)
    assert roc_auc_score(truth.ravel(), maps.ravel()) > 0.9
    usual = fitted.energy_map(TRAIN)  # in standard deviations of the error: about 1
    assert 0.7 < np.sqrt(np.mean(usual**2)) < 1.3
    per_level = [fitted.energy_map(DEFECT, level) for level in range(3)]
    np.testing.assert_allclose(np.mean(per_level, axis=0), maps, rtol=1e-4)
    with pytest.raises(ValueError, match="^level: 3; "):
        fitted.energy_map(DEFECT, 3)


def test_level_energies_and_weights(fitted):
    energies = fitted.level_energies(DEFECT)
    assert energies.shape == (30, 3)
    scaled = (energies**0.25 - fitted.level_scales_[:, 0]) / fitted.level_scales_[:, 1]
    np.testing.assert_allclose(fitted.score_samples(DEFECT), -scaled.sum(axis=1))
    settings = replace(fitted.fitted_.settings, level_weights=(0.0, 2.0, 0.0))
    other = replace(fitted.fitted_, settings=settings)
    np.testing.assert_allclose(other.score_samples(DEFECT), -2 * scaled[:, 1])
    np.testing.assert_array_equal(other.energy_map(DEFECT), fitted.energy_map(DEFECT, 1))


def test_energies_as_the_thesis_sums_them():
    model = model_of(energy="sum", floor=0, false_alarm_rate=0.1, level_weights=(1, 2, 0.5)).fit(TRAIN)
    total = 0
    values = NORMAL.astype(np.float32)[..., None] / 255
    for weight, scale, (_, errors) in zip((1, 2, 0.5), model.node_scales_, model.fitted_.network.passes(values)):
        deviation = np.maximum(scale.deviation, 1e-3)
        total = total + weight * (np.abs(errors - scale.mean) / deviation).sum(axis=(1, 2, 3), dtype=np.float64)
    np.testing.assert_allclose(model.score_samples(NORMAL), -total, rtol=1e-5)


def test_pictures_that_are_odd_all_over_are_outliers():
    noise = np.random.default_rng(0).integers(0, 256, (10, 16, 16), dtype=np.uint8)
    for energy in ("relative", "pooled"):
        model = model_of(epochs=8, false_alarm_rate=0.05, energy=energy).fit(TRAIN)
        assert (model.predict(noise) == -1).all()
        assert model.score_samples(noise).max() < model.score_samples(TRAIN).min()


def test_seeds_and_threads():
    usual = {"random_state": 4, "false_alarm_rate": 0.1, "epochs": 1}
    first = model_of(**usual).fit(TRAIN[:20]).score_samples(NORMAL)
    for n_jobs in (2, 5):
        other = model_of(**usual, n_jobs=n_jobs).fit(TRAIN[:20])
        np.testing.assert_array_equal(other.score_samples(NORMAL), first)
    assert (model_of(**usual | {"random_state": 5}).fit(TRAIN[:20]).score_samples(NORMAL) != first).all()


def test_scores_do_not_depend_on_company(fitted):
    together = fitted.score_samples(NORMAL)
    np.testing.assert_array_equal(together[7:8], fitted.score_samples(NORMAL[7:8]))
    np.testing.assert_array_equal(together[::-1], fitted.score_samples(NORMAL[::-1]))


def test_forms_of_the_same_pictures(fitted):
    expected = fitted.score_samples(NORMAL)
    np.testing.assert_array_equal(fitted.score_samples(NORMAL[..., None]), expected)
    np.testing.assert_array_equal(fitted.score_samples(NORMAL.astype(np.int64)), expected)
    np.testing.assert_array_equal(fitted.score_samples(NORMAL.tolist()), expected)
    np.testing.assert_allclose(fitted.score_samples(NORMAL / 255), expected, rtol=1e-4, atol=1e-4)


def test_colour():
    train, normal = textures(60, channels=3), textures(20, seed=1, channels=3)
    model = model_of(epochs=15, false_alarm_rate=0.1).fit(train)
    assert model.picture_shape_ == (16, 16, 3) and model.n_features_in_ == 768
    scores = np.concatenate([model.score_samples(normal), model.score_samples(with_defects(normal))])
    assert roc_auc_score(np.repeat([1, 0], 20), scores) > 0.9
    with pytest.raises(DataError, match="^X: pictures of 16 x 16 pixels with 1 channel, but 16 x 16 pixels with 3 ch"):
        model.score_samples(normal[..., :1])


def test_brightness_is_taken_out():
    dark = (TRAIN * 0.5).astype(np.uint8)
    model = model_of(brightness="median", false_alarm_rate=0.1).fit(TRAIN)
    moved = np.abs(model.score_samples(dark) - model.score_samples(TRAIN)).mean()
    plain = model_of(false_alarm_rate=0.1).fit(TRAIN)
    assert moved < 0.2 * np.abs(plain.score_samples(dark) - plain.score_samples(TRAIN)).mean()


def test_held_out_pictures():
    model = model_of(held_out=0.25, false_alarm_rate=0.1).fit(TRAIN)
    assert model.calibration_ == "held-out images" and len(model.calibration_scores_) == 15
    assert model.n_images_ == 60 and model.node_scales_[0].n == 15
    assert model_of(false_alarm_rate=0.1).fit(TRAIN).calibration_ == "training images"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        few = model_of(held_out=0.4, false_alarm_rate=0.1).fit(TRAIN[:3])  # too few to hold any out
    assert few.calibration_ == "training images" and caught[0].category is CalibrationWarning
    assert len(few.calibrate(TRAIN[:20]).calibration_scores_) == 20 and few.calibration_ == "separate images"


# ---- odd pictures ----


def test_three_pictures():
    with pytest.warns(CalibrationWarning, match="^3 calibration images allow no alarm"):
        model = model_of().fit(TRAIN[:3])
    scores = model.score_samples(np.concatenate([TRAIN[:3], DEFECT[:3]]))
    assert np.isfinite(scores).all() and scores[:3].min() > scores[3:].max()
    with pytest.warns(CalibrationWarning, match="^3 calibration images allow no alarm"):
        assert (model.predict(DEFECT) == 1).all()
    with pytest.raises(DataError, match="^X: 1 picture; "):
        model_of().fit(TRAIN[:1])


@pytest.mark.parametrize("value", [0, 130, 255])
@pytest.mark.parametrize("brightness", [None, "median"])
def test_pictures_of_one_value(value, brightness):
    plain = np.full((20, 16, 16), value, np.uint8)
    model = model_of(false_alarm_rate=0.1, brightness=brightness).fit(plain)
    assert (model.dead_kernels_[1:] == 1).all() and model.dead_kernels_[0] == 0
    np.testing.assert_allclose(model.score_samples(plain), 0, atol=1e-6)
    spotted = plain.copy()
    spotted[:, 5, 5] = 255 - value
    scores, maps = model.score_samples(spotted), model.energy_map(spotted)
    assert np.isfinite(scores).all() and (scores < -1).all() and np.isfinite(maps).all()
    assert np.abs(np.array(np.unravel_index(maps[0].argmax(), (16, 16))) - 5).max() <= 3


@pytest.mark.parametrize("shape", [(16, 1), (1, 16), (2, 2), (1, 2)])
def test_thin_and_small_pictures(shape):
    thin = np.random.default_rng(0).integers(0, 256, (20, *shape), dtype=np.uint8)
    model = model_of(architecture=Architecture(SMALL.levels[:1]), false_alarm_rate=0.1).fit(thin)
    assert np.isfinite(model.score_samples(thin)).all() and model.energy_map(thin).shape == thin.shape
    with pytest.raises(ValueError, match="^level [123]: ") as caught:
        model_of(architecture=TABLE_4).fit(thin)
    assert "\n" not in str(caught.value)


BAD_PICTURES = {
    "NaN": np.where(np.arange(256).reshape(16, 16) == 5, np.nan, 0.5)[None].repeat(3, 0), "range": TRAIN * 3.0,
    "negative": TRAIN.astype(int) - 200, "flat": TRAIN.reshape(60, -1), "single": TRAIN[0], "two channels":
    np.zeros((4, 16, 16, 2)), "four channels": np.zeros((4, 16, 16, 4)), "none": TRAIN[:0],
    "text": np.full((3, 4, 4), "a"), "empty": np.zeros((3, 0, 4)), "ragged": [[[1, 2]], [[1]]], "complex": TRAIN * 1j,
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_bad_pictures_are_refused(name, fitted):
    for method in (model_of().fit, fitted.score_samples, fitted.energy_map):
        with pytest.raises(DataError) as caught:
            method(BAD_PICTURES[name])
        text = str(caught.value)
        assert text.startswith("X: ") and "\n" not in text and len(text) < 300


# ---- arguments ----

NAN = float("nan")
BAD_ARGUMENTS = {
    "architecture": ["table 4", (3, 4), SMALL.levels], "sharing": ["g", None, 1], "optimizer": ["lbfgs", None],
    "learning_rate": [0, -1, NAN, "0.1", True], "batch_size": [0, 1.5, "8", None], "epochs": [0, 2.5, (1, 2), "3", NAN,
    (1, 2, 0)], "energy": ["mean", None], "level_weights": [(1, 2), (0, 0, 0), (1, -1, 1), "abc", NAN], "floor": [-1,
    NAN, None], "held_out": [-0.1, 0.6, NAN], "brightness": ["mean", 1], "false_alarm_rate": [0, 1, None],
    "n_jobs": [0, 1.5], "random_state": [-1, "0", 0.5],
}  # fmt: skip


@pytest.mark.parametrize("name, value", [(name, value) for name, values in BAD_ARGUMENTS.items() for value in values])
def test_bad_arguments_are_refused(name, value):
    model = model_of(**{name: value})  # only stored
    with pytest.raises(ValueError) as caught:
        model.fit(TRAIN)
    assert str(caught.value).startswith(f"{name}: ") and "\n" not in str(caught.value)


def test_parameters_are_stored_cloned_and_set():
    model = model_of(epochs=[1, 2, 3], level_weights=np.array([1.0, 1, 1]), false_alarm_rate=0.1)
    assert model.get_params()["training__epochs"] == [1, 2, 3] and is_outlier_detector(model)
    model.fit(TRAIN[:20], progress=lambda state: None)
    assert [len(level.curve) for level in model.levels_] == [1, 2, 3] and model.training.epochs == [1, 2, 3]
    copied = clone(model)
    assert not any(name.endswith("_") for name in vars(copied)) and copied.get_params()["architecture"] == SMALL
    assert model.set_params(sharing="a").sharing == "a"
    assert set(IntrospectiveEnergyModel().get_params()) == set(model.get_params(deep=False))
    assert cbn.IntrospectiveEnergyModel is IntrospectiveEnergyModel


@pytest.mark.parametrize(
    "n, arguments, epochs", [(60, {}, 100), (60, {"batch_size": 60}, 800), (60, {"held_out": 0.5}, 200), (5, {}, 800)]
)
def test_small_sets_are_trained_for_more_epochs(n, arguments, epochs, monkeypatch):
    monkeypatch.setattr("cbn.iem.training.levelwise._LevelTask.epoch", lambda task: task.model.curve.append(0.0))
    model = model_of(architecture=Architecture(SMALL.levels[:1]), epochs=None, false_alarm_rate=0.3, **arguments)
    assert len(model.fit(TRAIN[:n]).levels_[0].curve) == epochs


@pytest.mark.parametrize("side, epochs", [(300, 13), (1000, 13), (250, 18), (150, 25), (32, 25)])
def test_steps_by_the_size_of_pictures(side, epochs):
    """320 pictures, 64 of them held out: 32 steps an epoch; 400 steps, in proportion more below 300 x 300, up to 800."""
    settings = resolve(Arguments(false_alarm_rate=0.05), None, 320, (side, side, 1))
    assert settings.epochs == (epochs,) * 5 and settings.n_held_out == 64


@pytest.mark.parametrize(
    "n, rate, count",
    [
        (1000, 0.05, 200),
        (60, 0.05, 19),
        (60, 0.01, 20),
        (60, 0.2, 12),
        (758, 0.01, 152),
        (12, 0.05, 4),
        (5, 0.5, 2),
        (3, 0.5, 0),
    ],
)
def test_pictures_held_out_by_default(n, rate, count):
    """A fifth, or what the lowest p-value needs, at most a third; at least two, none of three."""
    assert held_out_count(n, None, rate) == count
    assert held_out_count(n, 0, rate) == 0


def test_copies_are_the_same_model(fitted):
    for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted), copy.copy(fitted)):
        np.testing.assert_array_equal(other.score_samples(DEFECT), fitted.score_samples(DEFECT))
        np.testing.assert_array_equal(other.energy_map(DEFECT), fitted.energy_map(DEFECT))


@pytest.mark.parametrize(
    "method", ["score_samples", "predict", "decision_function", "p_values", "energy_map", "level_energies", "calibrate"]
)
def test_unfitted_use(method, tmp_path):
    with pytest.raises(NotFittedError):
        getattr(model_of(), method)(NORMAL)
    with pytest.raises(NotFittedError):
        model_of().save(tmp_path / "model.cbn")
    assert not list(tmp_path.iterdir())


# ---- progress and interruption ----


def test_progress_to_the_end():
    seen = []
    model_of(false_alarm_rate=0.1).fit(TRAIN, progress=lambda state: seen.append((state.n_done, sum(state.epochs))))
    assert seen == [(i, 9) for i in range(1, 10)]


@pytest.mark.parametrize("after", [1, 3, 5])
def test_interruption_keeps_the_last_complete_epoch(after):
    def stop(state):
        if state.n_done == after:
            raise KeyboardInterrupt

    model = model_of(false_alarm_rate=0.1)
    with pytest.raises(KeyboardInterrupt):
        model.fit(TRAIN, progress=stop)
    assert sum(len(level.curve) for level in model.levels_) == after
    assert np.isfinite(model.score_samples(NORMAL)).all() and model.energy_map(NORMAL).shape == NORMAL.shape
    assert len(model.levels_) == 1 + (after - 1) // 3


def test_interruption_before_the_first_epoch_leaves_the_model_unfitted(monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("cbn.iem.training.levelwise._LevelTask.epoch", stop)
    model = model_of()
    with pytest.raises(KeyboardInterrupt):
        model.fit(TRAIN)
    with pytest.raises(NotFittedError):
        model.score_samples(NORMAL)


def test_interruption_within_an_epoch(monkeypatch):
    from cbn.iem.training import levelwise

    expected, calls = [], []
    model_of(false_alarm_rate=0.1).fit(TRAIN, progress=lambda state: expected.append(state.levels[-1]))
    step = levelwise.hold_norms

    def stop(*arguments):
        calls.append(1)
        if len(calls) == 12:  # in the second epoch of level 1
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(levelwise, "hold_norms", stop)
    model = model_of(false_alarm_rate=0.1)
    with pytest.raises(KeyboardInterrupt):
        model.fit(TRAIN)
    last = model.levels_[-1]
    assert len(model.levels_) == 2 and len(last.curve) == 1
    for name, values in expected[3].models.parameters.items():
        np.testing.assert_array_equal(last.models.parameters[name], values)
    np.testing.assert_array_equal(last.kernels[0]["weights"], expected[3].kernels[0]["weights"])
