# SPDX-License-Identifier: BSD-3-Clause
"""Fitting without an estimator: the steps, what an interruption leaves, models that nothing changes."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from cbn import CalibrationWarning
from cbn.iem import FittedEnergyModel, Training, fitting, names
from cbn.iem.files.modelfile import restore
from cbn.iem.nn.optimizers import OPTIMIZERS
from cbn.iem.parameters import Arguments
from cbn.iem.pretrained.backbone import GEOMETRIES
from cbn.io.modelformat import read_model
from helpers.inspection import SMALL, textures, with_defects

TRAIN, NORMAL = textures(24), textures(12, seed=1)
ODD = with_defects(NORMAL)
ARGUMENTS = Arguments(architecture=SMALL, training=Training(epochs=2), false_alarm_rate=0.2, random_state=0)


@pytest.fixture(scope="module")
def fitted():
    return fitting.fit(TRAIN, ARGUMENTS, n_jobs=1)


def test_a_fitted_model_answers(fitted):
    assert isinstance(fitted, FittedEnergyModel) and fitted.n_images == 24 and fitted.picture_shape == (16, 16, 1)
    scores = fitted.score_samples(ODD)
    np.testing.assert_array_equal(fitted.decision_function(ODD), scores - fitted.calibration.offset)
    np.testing.assert_array_equal(fitted.predict(ODD) == -1, fitted.p_values(ODD) <= 0.2)
    np.testing.assert_array_equal(fitted.p_values(ODD), fitted.p_values_of(scores))
    assert fitted.threshold_at(0.2) == fitted.calibration.offset
    assert fitted.settings.epochs == (2, 2, 2) and fitted.settings.n_held_out == len(fitted.calibration.scores)
    assert fitted.arguments == ARGUMENTS and fitted.arguments is not ARGUMENTS


def test_nothing_changes_a_fitted_model(fitted):
    for own in dataclasses.fields(fitted):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(fitted, own.name, None)
    before = fitted.calibration
    other = fitted.calibrate(NORMAL)
    assert other is not fitted and fitted.calibration is before
    assert other.calibration.source == "separate images" and len(other.calibration.scores) == 12
    other.provenance["note"] = 1
    assert "note" not in fitted.provenance
    with pytest.warns(CalibrationWarning, match="^3 calibration images"):
        fitted.calibrate(NORMAL[:3])


@pytest.mark.parametrize("after", [1, 3, 5])
def test_an_interruption_carries_the_model_so_far(after):
    def stop(state):
        if state.n_done == after:
            raise KeyboardInterrupt

    with pytest.raises(fitting.Interrupted) as caught:
        fitting.fit(TRAIN, ARGUMENTS, n_jobs=1, progress=stop)
    assert isinstance(caught.value, KeyboardInterrupt) and str(caught.value) == ""
    model = caught.value.fitted
    assert sum(len(level.curve) for level in model.levels) == after and np.isfinite(model.score_samples(ODD)).all()


def test_an_interruption_before_the_first_epoch_is_a_plain_one(monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("cbn.iem.training.levelwise._LevelTask.epoch", stop)
    with pytest.raises(KeyboardInterrupt) as caught:
        fitting.fit(TRAIN, ARGUMENTS, n_jobs=1)
    assert type(caught.value) is KeyboardInterrupt


def test_files_need_no_estimator(fitted, tmp_path):
    fitted.save(tmp_path / "model.cbn")
    other = read_model(tmp_path / "model.cbn", {"energy": restore})
    np.testing.assert_array_equal(other.score_samples(ODD), fitted.score_samples(ODD))
    assert other.arguments == fitted.arguments and other.settings == fitted.settings


def test_arguments_are_kept_as_plain_values():
    given = Arguments(
        training=Training(epochs=[1, np.int64(2)]), level_weights=np.array([1.0, 0.5]), floor=np.float32(0.5),
        random_state=np.random.default_rng(0),
    )  # fmt: skip
    kept = given.kept()
    assert kept == Arguments(training=Training(epochs=(1, 2)), level_weights=(1.0, 0.5), floor=0.5)
    assert kept.training is not given.training
    with pytest.raises(dataclasses.FrozenInstanceError):
        kept.floor = 0.1


def test_words_are_those_of_what_they_stand_for():
    assert tuple(OPTIMIZERS) == names.OPTIMIZER_NAMES and tuple(GEOMETRIES) == names.GEOMETRY_NAMES


def test_the_inspection_half_needs_no_scikit_learn():
    code = (
        "import sys, cbn.iem.fitting, cbn.iem.files.modelfile\n"
        "heavy = {'sklearn', 'scipy', 'matplotlib', 'PIL', 'tqdm', 'cbn.estimators', 'cbn.fit'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
