# SPDX-License-Identifier: BSD-3-Clause
"""What estimators refuse in one line, at once: images that cannot be added, labels of mixed types, names that are no more."""

import warnings
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

import cbn

LINES = np.random.default_rng(4).integers(0, 2, (24, 8, 8)).astype(bool)
SMALL_PICTURES = np.random.default_rng(4).integers(0, 256, (12, 24, 24)).astype(np.uint8)
SMALL_BOOSTED = cbn.Boosted(rounds=2, max_leaves=3, n_candidates=8)


def one_line(error, call, *words):
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message, message
    for word in words:
        assert word in message, message


def test_boosted_trees_refuse_to_add_images_before_anything_is_grown(monkeypatch):
    labels = np.arange(24) % 2
    boosted = cbn.ConvolutionalBayesianNetwork("boosted", cpd=SMALL_BOOSTED, false_alarm_rate=0.3, n_jobs=1)
    classes = cbn.ConvolutionalBayesianNetworkClassifier("boosted", cpd=SMALL_BOOSTED, n_jobs=1).fit(LINES, labels)
    fresh, known = clone(boosted), boosted.fit(LINES)
    monkeypatch.setattr("cbn.fit.recipe.Growing.grow", lambda *_: pytest.fail("grown"))
    for call in (
        lambda: fresh.partial_fit(LINES),
        lambda: known.partial_fit(LINES),
        lambda: classes.partial_fit(LINES, labels + 1),  # 1 is known, 2 is new
    ):
        one_line(ValueError, call, "partial_fit: boosted trees", "fit all images at once")


@pytest.mark.filterwarnings("ignore::cbn.CalibrationWarning")
def test_searches_without_scoring_find_finite_numbers_or_refuse():
    labels = np.arange(24) % 2
    for model, grid, y in (
        (cbn.ConvolutionalBayesianNetwork("pixel"), {"cpd__pseudocount": [0.5, 1]}, None),
        (cbn.ConvolutionalBayesianNetwork("tree"), {"cpd__penalty": [0.5, 1]}, None),
        (cbn.ConvolutionalBayesianNetworkClassifier("pixel"), {"cpd__pseudocount": [0.5, 1]}, labels),
    ):
        assert np.isfinite(cross_val_score(model, LINES, y, cv=2)).all()
        assert np.isfinite(GridSearchCV(model, grid, cv=2).fit(LINES, y).cv_results_["mean_test_score"]).all()
    energy = (
        cbn.IntrospectiveEnergyModel()
    )  # energies of different fits have different units: there is no score to search by
    for call in (
        lambda: cross_val_score(energy, SMALL_PICTURES, cv=2),
        lambda: GridSearchCV(energy, {"floor": [0.1, 0.2]}, cv=2).fit(SMALL_PICTURES),
    ):
        one_line(TypeError, call, "If no scoring is specified", "score")


@pytest.mark.parametrize(
    "y",
    [
        ["a", 1] * 12,
        [None, 1] * 12,
        np.array(["a", 1.0, None, 2] * 6, object),
        [{}, "a"] * 12,
        [(1, 2), 1] * 12,
        [[1], ["a"]] * 12,
        [[1], [2, 3]] * 12,
    ],
    ids=str,
)
def test_labels_of_mixed_types_are_refused_in_one_line(y):
    model = cbn.ConvolutionalBayesianNetworkClassifier("pixel", n_jobs=1)
    one_line(ValueError, lambda: model.fit(LINES, y))
    one_line(ValueError, lambda: model.partial_fit(LINES, y))
    model.fit(LINES, np.arange(24) % 2)
    one_line(ValueError, lambda: model.score(LINES, y))
    one_line(ValueError, lambda: model.partial_fit(LINES, np.array(["0", "1"] * 12)), "y: labels of different types")


def test_labels_that_are_of_one_type_are_taken():
    for y in (["a", "b"] * 12, np.array(["a", "b"] * 12, object), [1, 2.0] * 12, [[1], [2]] * 12, [True, False] * 12):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a column vector
            model = cbn.ConvolutionalBayesianNetworkClassifier("pixel", n_jobs=1).fit(LINES, y)
            assert len(model.classes_) == 2 and 0 <= model.score(LINES, y) <= 1


def test_the_old_name_of_the_outlier_score_is_refused_by_a_sentence():
    for kind, words in (
        (cbn.ConvolutionalBayesianNetwork, "give outlier_score="),
        (cbn.ConvolutionalBayesianNetworkClassifier, "leave it out"),
    ):
        one_line(TypeError, partial(kind, score="surprise"), "score: is the name of a method", words)
        one_line(ValueError, partial(kind().set_params, score="surprise"), "score: is the name of a method", words)
    one_line(TypeError, partial(cbn.IntrospectiveEnergyModel, score="surprise"), "score")
