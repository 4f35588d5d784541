# SPDX-License-Identifier: BSD-3-Clause
"""Gaussian energy models: fit, thresholds, decisions, files, and what is refused."""

import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from sklearn.base import clone

import cbn
from cbn.datasets import make_category
from cbn.iem import Gaussian
from cbn.iem.gaussian import fitting
from cbn.iem.parameters import Arguments, sidewards_of
from helpers.modelfiles import assert_damaged_arrays_are_refused

SMALL = Gaussian(directions=24)


@pytest.fixture(scope="module")
def category():
    return make_category("texture", n_train=24, n_good=8, n_defects=3, size=48, random_state=3)


@pytest.fixture(scope="module")
def model(category):
    return cbn.IntrospectiveEnergyModel(gaussian=SMALL, false_alarm_rate=0.05).fit(category.train)


def test_defects_are_found_and_shown_where_they_are(category, model):
    scores = model.score_samples(category.test)
    defective = category.labels == 1
    better = (scores[defective][:, None] < scores[~defective]).mean()
    assert better > 0.9
    maps = model.energy_map(category.test)
    assert maps.shape == category.test.shape[:3] and maps.dtype == np.float32
    masked = category.masks.any(axis=(1, 2))
    inside = [
        own[mask].mean() > own[~mask].mean() for own, mask in zip(maps[masked], category.masks[masked], strict=True)
    ]
    assert np.mean(inside) > 0.8
    assert 0.5 < np.median(maps[~defective]) < 2  # about 1 where all is as usual


def test_decisions_agree(category, model):
    verdicts = model.verdicts(category.test)
    assert verdicts.basis == "approximate" and verdicts.needed == 19
    np.testing.assert_array_equal(verdicts.verdicts == "outlier", model.predict(category.test) == -1)
    np.testing.assert_array_equal(model.decision_function(category.test) < 0, model.predict(category.test) == -1)
    assert model.calibration_ == "leave-one-out" and len(model.calibration_scores_) == 24
    assert model.n_images_ == 24 and model.n_features_in_ == 48 * 48 and model.picture_shape_ == (48, 48, 1)


def test_too_few_pictures_are_undecided_or_extrapolated(category):
    with pytest.warns(cbn.CalibrationWarning, match="6 calibration images allow no alarm"):
        few = cbn.IntrospectiveEnergyModel(gaussian=SMALL, false_alarm_rate=0.05).fit(category.train[:6])
    assert set(few.verdicts(category.test).verdicts) == {"undecided"}
    extrapolated = few.verdicts(category.test, extrapolate=True)
    assert extrapolated.basis == "extrapolated" and np.isfinite(extrapolated.threshold)


def refitted(pictures, i):
    others = cbn.IntrospectiveEnergyModel(gaussian=SMALL, false_alarm_rate=0.3).fit(np.delete(pictures, i, axis=0))
    return others.score_samples(pictures[i : i + 1])[0]


def test_few_pictures_are_scored_by_models_without_them(category):
    pictures = category.train[:5]
    few = cbn.IntrospectiveEnergyModel(gaussian=SMALL, false_alarm_rate=0.3).fit(pictures)
    np.testing.assert_allclose(few.calibration_scores_, np.sort([refitted(pictures, i) for i in range(5)]), rtol=1e-6)


def test_scores_of_few_rows_are_those_of_new_pictures():
    """The whitening of 24 pictures of 36 positions each knows them too well: the formula would leave that as it is."""
    data = make_category("texture", n_train=24, n_good=40, n_defects=1, size=48, random_state=3)
    with pytest.warns(cbn.CalibrationWarning):
        own = cbn.IntrospectiveEnergyModel(false_alarm_rate=0.01).fit(data.train)
    found = np.median(own.score_samples(data.test[data.labels == 0])) / np.median(own.calibration_scores_)
    assert 0.85 < found < 1.1


@pytest.mark.slow
def test_scores_by_formula_are_close_to_refits(category, model):
    by_refits = np.array([refitted(category.train, i) for i in (0, 9, 17)])
    own = model.score_samples(category.train)
    by_formula = model.calibration_scores_[np.argsort(np.argsort(own))][[0, 9, 17]]  # nearly in the same order
    assert np.abs(by_formula - by_refits).mean() < 0.5 * np.abs(own[[0, 9, 17]] - by_refits).mean()


def saved_bytes(model, path):
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_same_bytes_for_threads_and_kept_features(category, model, tmp_path, monkeypatch):
    expected = saved_bytes(model, tmp_path / "a.cbn")
    for threads in (1, 2, 3):
        own = clone(model).set_params(n_jobs=threads).fit(category.train)
        assert saved_bytes(own, tmp_path / "b.cbn") == expected
    monkeypatch.setattr(fitting, "KEPT_BYTES", 0)
    monkeypatch.setattr(fitting, "TOGETHER", 5)
    assert saved_bytes(clone(model).fit(category.train), tmp_path / "b.cbn") == expected


SCRIPT = """
import sys, hashlib, zipfile, cbn
from cbn.datasets import make_category
pictures = make_category("texture", n_train=22, n_good=1, n_defects=1, size=32).train
model = cbn.IntrospectiveEnergyModel(gaussian=cbn.iem.Gaussian(directions=20), false_alarm_rate=0.1, n_jobs=2).fit(pictures)
model.save(sys.argv[1])
print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest(), float(model.energy_map(pictures[:2]).sum()).hex())
"""


@pytest.mark.slow
def test_same_bytes_for_instruction_sets(tmp_path, monkeypatch):
    found = set()
    for instruction_set in ("generic", "avx2", "avx512", "neon"):
        monkeypatch.setenv("CBN_INSTRUCTION_SET", instruction_set)
        command = [sys.executable, "-P", "-c", SCRIPT, str(tmp_path / "a.cbn")]
        found.add(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert len(found) == 1


def test_files_and_copies(category, model, tmp_path):
    model.save(tmp_path / "a.cbn")
    loaded = cbn.load(tmp_path / "a.cbn")
    for copy in (loaded, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(copy.score_samples(category.test), model.score_samples(category.test))
        assert copy.calibration_ == model.calibration_ and copy.offset_ == model.offset_
    assert loaded.gaussian == SMALL and loaded.sidewards is None and loaded.false_alarm_rate == 0.05
    assert saved_bytes(loaded, tmp_path / "b.cbn") == saved_bytes(model, tmp_path / "a.cbn")
    with pytest.warns(cbn.CalibrationWarning, match="8 calibration images"):
        again = loaded.calibrate(category.test[category.labels == 0])
    assert again.calibration_ == "separate images" and len(again.calibration_scores_) == 8


def test_nothing_reads_arguments_after_the_fit(category, model, tmp_path):
    own = pickle.loads(pickle.dumps(model))
    expected = saved_bytes(own, tmp_path / "a.cbn"), own.predict(category.test)
    own.set_params(
        gaussian__directions=3, brightness="median", false_alarm_rate=0.5, sidewards="neural", random_state=1
    )
    assert saved_bytes(own, tmp_path / "a.cbn") == expected[0]
    np.testing.assert_array_equal(own.predict(category.test), expected[1])


@pytest.mark.parametrize("name", ["mean", "factors", "basis", "offset", "usual", "calibration"])
def test_damaged_files_are_refused(model, tmp_path, name):
    model.save(tmp_path / "a.cbn")
    assert_damaged_arrays_are_refused(tmp_path / "a.cbn", tmp_path / "b.cbn", name)


def test_brightness_that_is_taken_out_says_nothing(category):
    own = cbn.IntrospectiveEnergyModel(gaussian=SMALL, brightness="median", false_alarm_rate=0.1)
    pictures = (category.train // 2).astype(np.uint8)
    scores = own.fit(pictures).score_samples(pictures[:4])
    np.testing.assert_allclose(own.score_samples(pictures[:4] / 255 * 1.5), scores, rtol=1e-3)


def test_which_kind_of_sidewards_models():
    assert sidewards_of(Arguments()) == "gaussian"
    assert sidewards_of(Arguments(gaussian=SMALL, backbone="efficientnet_lite0", brightness="median")) == "gaussian"
    for neural in ({"sharing": "a"}, {"energy": "sum"}, {"held_out": 0.1}, {"backbone": "alexnet"}, {"floor": 0.5}):
        assert sidewards_of(Arguments(**neural)) == "neural"
    assert sidewards_of(Arguments(sidewards="neural")) == "neural"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sidewards": "gaussian", "sharing": "a"}, "sharing: belongs to sidewards='neural'"),
        ({"sidewards": "neural", "gaussian": SMALL}, "gaussian: belongs to sidewards='gaussian'"),
        ({"gaussian": SMALL, "floor": 0.5}, "floor: belongs"),
        ({"sidewards": "other"}, "sidewards: 'other'"),
        ({"gaussian": Gaussian(directions=0)}, "directions: 0"),
        ({"gaussian": Gaussian(reach=2)}, "reach: 2"),
        ({"gaussian": Gaussian(smooth=2)}, "smooth: 2"),
        ({"gaussian": Gaussian(relative=-1)}, "relative: -1"),
        ({"gaussian": 3}, "gaussian: 3"),
        ({"backbone_weights": "weights.pth"}, "backbone_weights: 'weights.pth'"),
        ({"brightness": "mean"}, "brightness: 'mean'"),
        ({"false_alarm_rate": 0}, "false_alarm_rate: 0"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        cbn.IntrospectiveEnergyModel(**arguments).fit(np.zeros((3, 16, 16), np.uint8))
    assert "\n" not in str(error.value)


def test_wrong_pictures(model):
    for pictures in (np.zeros((1, 48, 48), np.uint8), np.full((3, 8, 8), np.nan), np.zeros((3, 8, 8, 2), np.uint8)):
        with pytest.raises(cbn.DataError):
            cbn.IntrospectiveEnergyModel().fit(pictures)
    with pytest.raises(cbn.DataError):
        model.score_samples(np.zeros((1, 47, 48), np.uint8))
    with pytest.raises(ValueError, match="checkpoint"):
        cbn.IntrospectiveEnergyModel().fit(np.zeros((3, 16, 16), np.uint8), checkpoint="a.checkpoint")
    with pytest.raises(AttributeError, match="level_energies"):
        model.level_energies(np.zeros((1, 48, 48), np.uint8))


def test_equal_pictures_are_normal():
    pictures = np.repeat(make_category("object", 1, 1, 1, size=40).train, 25, axis=0)
    own = cbn.IntrospectiveEnergyModel(gaussian=SMALL, false_alarm_rate=0.05).fit(pictures)
    assert (own.predict(pictures[:3]) == 1).all()
