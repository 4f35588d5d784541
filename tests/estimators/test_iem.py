# SPDX-License-Identifier: BSD-3-Clause
"""The face of the introspective energy model: arguments are those of the next fit, parameters nest, copies are equal."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold

import cbn
from cbn import IntrospectiveEnergyModel
from cbn.fit.fitted import Fitted
from cbn.iem import TABLE_4, Architecture, Training
from cbn.iem.fitted import FittedEnergyModel
from cbn.iem.parameters import Arguments
from cbn.metrics import conformal
from cbn.metrics.decisions import Decisions
from helpers.inspection import SMALL, energy_model, textures, with_defects

TRAIN, NORMAL = textures(40), textures(20, seed=1)
ODD = with_defects(NORMAL)

# Another value of every argument but n_jobs, each of which would change a fit.
OTHERS = {
    "architecture": Architecture(SMALL.levels[:2]), "backbone": "alexnet", "backbone_weights": "nowhere.npz",
    "sharing": "a", "training": Training(epochs=1), "training__epochs": 7, "training__optimizer": "sgd",
    "training__learning_rate": 0.5, "training__batch_size": 1, "energy": "sum", "level_weights": (0, 1, 0), "floor": 0.0,
    "held_out": 0.5, "brightness": "median", "false_alarm_rate": 0.9, "random_state": 5,
}  # fmt: skip


def answers(model):
    return {
        "scores": model.score_samples(ODD), "energies": model.level_energies(ODD), "p": model.p_values(ODD),
        "p of scores": model.p_values_of(np.linspace(-20, 0, 9)), "map": model.energy_map(ODD),
        "decisions": model.decision_function(ODD), "predictions": model.predict(NORMAL), "offset": model.offset_,
        "threshold": model.threshold_at(0.3), "calibration": model.calibration_scores_,
        "features": model.n_features_in_, "source": model.calibration_,
    }  # fmt: skip


@pytest.fixture(scope="module")
def fitted():
    return energy_model(
        architecture=SMALL, epochs=2, learning_rate=0.01, held_out=0.25, false_alarm_rate=0.2, random_state=0, n_jobs=1
    ).fit(TRAIN)


@pytest.fixture(scope="module")
def expected(fitted):
    return answers(fitted)


@pytest.fixture(scope="module", params=["fit", "load", "pickle", "deepcopy"])
def kept(request, fitted, tmp_path_factory):
    """The bytes of a pickle of the same model, come about in several ways."""
    model = fitted
    if request.param == "load":
        path = tmp_path_factory.mktemp("kept") / "model.cbn"
        fitted.save(path)
        model = cbn.load(path)
    elif request.param == "pickle":
        model = pickle.loads(pickle.dumps(fitted))
    elif request.param == "deepcopy":
        model = copy.deepcopy(fitted)
    return pickle.dumps(model)


def test_every_argument_has_another_value():
    names = set(IntrospectiveEnergyModel(training=Training()).get_params())
    # of Gaussian models; see tests/iem/gaussian/test_model.py
    assert set(OTHERS) == names - {"n_jobs", "sidewards", "gaussian"}


@pytest.mark.parametrize("name", OTHERS)
def test_arguments_are_those_of_the_next_fit(name, kept, expected, tmp_path):
    model = pickle.loads(kept)
    model.save(tmp_path / "before.cbn")
    model.set_params(**{name: OTHERS[name]})
    for what, found in answers(model).items():
        np.testing.assert_array_equal(found, expected[what], what)
    model.save(tmp_path / "after.cbn")
    assert (tmp_path / "after.cbn").read_bytes() == (tmp_path / "before.cbn").read_bytes()
    assert model.calibrate(NORMAL).offset_ == pickle.loads(kept).calibrate(NORMAL).offset_


def test_another_energy_raises_no_alarms(fitted):
    """It used to: 25 % alarms became 100 %."""
    model = copy.deepcopy(fitted).set_params(energy="sum")
    alarms = (model.predict(NORMAL) == -1).mean()
    assert alarms == (fitted.predict(NORMAL) == -1).mean() < 0.6


def test_threads_are_those_of_the_call(fitted, expected):
    model = copy.deepcopy(fitted).set_params(n_jobs=2)
    np.testing.assert_array_equal(model.score_samples(ODD), expected["scores"])
    with pytest.raises(ValueError, match="^n_jobs: 0; "):
        model.set_params(n_jobs=0).score_samples(ODD)


def test_a_shared_training_does_not_reach_into_models():
    training = Training(epochs=1)
    models = [IntrospectiveEnergyModel(SMALL, training=training, random_state=0, n_jobs=1) for _ in range(2)]
    with pytest.warns(cbn.CalibrationWarning):
        models[0].fit(TRAIN[:12])
    models[1].set_params(training__epochs=9)
    assert training.epochs == 9  # one object, as given
    assert models[0].fitted_.arguments.training == Training(epochs=1)


def test_defaults_are_those_of_the_arguments():
    model = IntrospectiveEnergyModel()
    given = model.get_params(deep=False)
    del given["n_jobs"]
    assert len(model.get_params(deep=False)) <= 15
    assert Arguments(**given) == Arguments()


# ---- training in the hands of scikit-learn ----


def test_fields_of_training_are_parameters():
    model = IntrospectiveEnergyModel(training=Training(epochs=(1, 2), optimizer="sgd"))
    params = model.get_params(deep=True)
    assert params["training__epochs"] == (1, 2) and params["training__batch_size"] == 8
    copied = clone(model)
    assert copied.training == model.training and copied.training is not model.training
    copied.set_params(training__learning_rate=0.5)
    assert (copied.training.learning_rate, model.training.learning_rate) == (0.5, 0.001)
    with pytest.raises(ValueError, match="momentum"):
        model.set_params(training__momentum=1)


def test_naming_a_field_makes_the_training():
    model = IntrospectiveEnergyModel().set_params(training__epochs=3)
    assert model.training == Training(epochs=3)
    assert model.set_params(training=None).training is None
    assert model.set_params(training=None, training__batch_size=2).training == Training(batch_size=2)
    given = Training(epochs=1)
    assert model.set_params(training=given, training__batch_size=4).training is given and given.batch_size == 4
    assert IntrospectiveEnergyModel().set_params(floor=0.5).training is None


@pytest.mark.parametrize("training", [None, Training(learning_rate=0.01)])
def test_grid_search_over_epochs(training):
    model = IntrospectiveEnergyModel(SMALL, training=training, false_alarm_rate=0.3, n_jobs=1, random_state=0)
    search = GridSearchCV(
        model, {"training__epochs": [1, 2]}, scoring=lambda model, X: model.score_samples(X).mean(),
        cv=KFold(2), error_score="raise",
    ).fit(TRAIN[:24])  # fmt: skip
    found = search.best_estimator_
    assert [len(level.curve) for level in found.levels_] == [search.best_params_["training__epochs"]] * 3
    assert model.training is training and (training is None or training.epochs is None)


def test_reprs_are_short(fitted):
    assert repr(IntrospectiveEnergyModel()) == "IntrospectiveEnergyModel()"
    assert repr(IntrospectiveEnergyModel(training=Training(epochs=3))) == (
        "IntrospectiveEnergyModel(training=Training(epochs=3))"
    )
    assert repr(Training()) == "Training()"
    assert len(repr(fitted)) < 400 and len(repr(TABLE_4)) < 400
    assert repr(fitted.fitted_) == (
        "<FittedEnergyModel: 3 levels, 40 grey pictures of 16 x 16, threshold from 10 held-out images>"
    )
    names = {kind.__name__: kind for kind in map(type, (TABLE_4, TABLE_4.levels[0], *TABLE_4.levels[1].steps))}
    assert eval(repr(TABLE_4), names) == TABLE_4


def test_learned_attributes_come_with_fit(fitted):
    model = clone(fitted)
    names = [name for name in vars(type(model)) if name.endswith("_") and not name.startswith("_")]
    assert len(names) == 12
    for name in names:
        assert not hasattr(model, name), name
        assert getattr(fitted, name) is not None or name == "backbone_"
    with pytest.raises(NotFittedError):
        model.predict(NORMAL)
    assert IntrospectiveEnergyModel.score_samples.__doc__.startswith("Minus the energy")


def test_warnings_point_at_the_line_of_the_user(fitted):
    model = copy.deepcopy(fitted)
    for use in (
        lambda: clone(model).fit(TRAIN[:3]),
        lambda: model.threshold_at(0.01),
        lambda: model.calibrate(TRAIN[:2]),
        lambda: model.predict(NORMAL),
        lambda: model.discoveries(NORMAL, 0.1),
    ):
        with pytest.warns(cbn.CalibrationWarning) as caught:
            use()
        assert [warning.filename for warning in caught] == [__file__]


def test_verdicts_are_those_of_the_calibration(fitted):
    found = fitted.verdicts(ODD)
    np.testing.assert_array_equal(found.p_values, fitted.p_values(ODD))
    np.testing.assert_array_equal(found.verdicts == "outlier", fitted.predict(ODD) == -1)
    assert found.basis == "approximate" and found.threshold == fitted.offset_ and found.needed == 4
    assert (found.verdicts == "outlier").any()
    other = fitted.verdicts(ODD, false_alarm_rate=0.4)
    assert other.threshold == fitted.threshold_at(0.4) > found.threshold
    few = fitted.verdicts(ODD, false_alarm_rate=0.01)
    assert few.basis == "none" and (few.verdicts == "undecided").all() and few.needed == 99
    guessed = fitted.verdicts(ODD, false_alarm_rate=0.01, extrapolate=True)
    assert guessed.basis == "extrapolated" and np.isfinite(guessed.threshold)
    with pytest.raises(ValueError, match="^false_alarm_rate: 2"):
        fitted.verdicts(ODD, false_alarm_rate=2)


def test_discoveries_are_those_of_the_p_values(fitted):
    both = np.concatenate([NORMAL[:5], ODD])
    found = fitted.discoveries(both, fdr=0.5)
    np.testing.assert_array_equal(found, conformal.discoveries(fitted.p_values(both), 0.5))
    np.testing.assert_array_equal(found, fitted.fitted_.discoveries(both, 0.5))
    assert found[5:].mean() > found[:5].mean()
    with pytest.warns(cbn.CalibrationWarning, match="^10 calibration images allow no discovery .* at least 99 "):
        assert not fitted.discoveries(both, 0.01).any()
    with pytest.raises(ValueError, match="^fdr: 0"):
        fitted.discoveries(both, 0)


def test_both_halves_share_the_methods_of_decisions():
    names = [name for name in vars(Decisions) if not name.startswith("_") and name != "judged_scores"]
    assert {"verdicts", "discoveries", "predict", "p_values", "threshold_at"} <= set(names)
    for name in names:
        for fitted, estimator in (
            (Fitted, cbn.ConvolutionalBayesianNetwork),
            (FittedEnergyModel, IntrospectiveEnergyModel),
        ):
            assert getattr(fitted, name) is getattr(Decisions, name)
            assert getattr(estimator, name).__wrapped__ is getattr(Decisions, name)


def test_the_record_can_be_replaced(fitted, tmp_path):
    model = copy.deepcopy(fitted)
    model.provenance_ = {"note": "mine"}
    model.provenance_["more"] = 1
    model.save(tmp_path / "model.cbn")
    assert cbn.load(tmp_path / "model.cbn").provenance_ == {"note": "mine", "more": 1}
    assert "note" not in fitted.provenance_


@pytest.mark.parametrize("training", [3, "adam", {"epochs": 1}, Training])
def test_what_is_no_training_is_refused(training):
    with pytest.raises(ValueError, match=r"^training: .*give a cbn.iem.Training") as caught:
        IntrospectiveEnergyModel(SMALL, training=training).fit(TRAIN)
    assert "\n" not in str(caught.value)
