# SPDX-License-Identifier: BSD-3-Clause
"""AUROC with bootstrap intervals: against scikit-learn, against a plain loop, and how often they hold the truth."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from cbn.exceptions import DataError
from cbn.metrics.bootstrap import bootstrap_auroc, bootstrap_f1


def drawn(n_normal, n_other, seed, distance=1.0, decimals=8):
    generator = np.random.default_rng(seed)
    scores = np.concatenate([generator.normal(distance, size=n_normal), generator.normal(size=n_other)])
    order = generator.permutation(len(scores))
    return (np.arange(len(scores)) < n_normal)[order], np.round(scores, decimals)[order]


@pytest.mark.parametrize("decimals", [8, 0])  # 0: most scores are equal to others
def test_area_is_that_of_scikit_learn(decimals):
    normal, scores = drawn(40, 160, seed=1, decimals=decimals)
    found = bootstrap_auroc(normal, scores, n_resamples=50)
    assert found.value == pytest.approx(roc_auc_score(normal, scores), abs=1e-14)
    assert 0 < found.low < found.value < found.high < 1


def test_interval_is_that_of_a_plain_loop():
    """The resampled areas have the distribution of resampling each class by itself; two generators differ by chance."""
    normal, scores = drawn(30, 200, seed=2, decimals=1)
    own, others = scores[normal], scores[~normal]
    generator, areas = np.random.default_rng(3), []
    for _ in range(4000):
        a, b = generator.choice(own, len(own)), generator.choice(others, len(others))
        areas.append(np.mean((a[:, None] > b) + 0.5 * (a[:, None] == b)))
    found = bootstrap_auroc(normal, scores, level=0.9, n_resamples=4000)
    np.testing.assert_allclose(found[1:], np.quantile(areas, (0.05, 0.95)), atol=0.006)


@pytest.mark.slow
def test_interval_holds_the_truth_as_often_as_stated():
    """Normal scores one standard deviation apart have the area Phi(1 / sqrt 2) = 0.7602."""
    found = [bootstrap_auroc(*drawn(60, 120, seed), n_resamples=300) for seed in range(200)]
    share = np.mean([interval.low <= 0.7602 <= interval.high for interval in found])
    assert 0.89 <= share <= 0.985  # 0.95 within about three standard errors below, two above


def test_separated_classes_have_no_width():
    assert bootstrap_auroc([True, True, False], [3, 2, 1]) == (1, 1, 1)
    assert bootstrap_auroc([True, True, False], [1.0, 1.0, np.inf]) == (0, 0, 0)


def test_same_seed_same_interval():
    data = drawn(20, 30, seed=4)
    first = bootstrap_auroc(*data, random_state=7)
    assert first == bootstrap_auroc(*data, random_state=7)
    assert first == bootstrap_auroc(*data, random_state=np.int64(7))
    assert first != bootstrap_auroc(*data, random_state=8)


def test_higher_level_is_wider():
    data = drawn(20, 30, seed=5)
    widths = [high - low for _, low, high in (bootstrap_auroc(*data, level=level) for level in (0.5, 0.8, 0.99))]
    assert widths == sorted(widths) and widths[0] > 0


def test_tasks_share_the_images_drawn():
    """The mean of a task and of its opposite is exactly 1/2 in every resample, if both see the same images."""
    normal, scores = drawn(20, 30, seed=6)
    assert bootstrap_auroc([normal, ~normal], [scores, scores]) == (0.5, 0.5, 0.5)
    once, twice = bootstrap_auroc(normal, scores), bootstrap_auroc([normal, normal], [scores, scores])
    assert once == twice


def test_mean_of_classes():
    generator = np.random.default_rng(7)
    labels = generator.integers(3, size=90)
    normal = labels == np.arange(3)[:, None]
    scores = normal + generator.normal(size=(3, 90))
    found = bootstrap_auroc(normal, scores, n_resamples=200)
    assert found.value == pytest.approx(np.mean([roc_auc_score(*task) for task in zip(normal, scores)]), abs=1e-14)
    assert found.low < found.value < found.high


@pytest.mark.parametrize(
    ("normal", "scores", "message"),
    [
        ([1, 0], [1.0, 2.0], r"normal: int64; give booleans"),
        ([True, False], [1.0], r"scores: shape \(1,\) for labels of shape \(2,\)"),
        ([[[True]]], [[[1.0]]], r"scores: shape \(1, 1, 1\)"),
        ([True, False], [1.0, np.nan], r"scores: not all of them are numbers"),
        ([True, False], ["a", "b"], r"scores: not all of them are numbers"),
        ([True, True], [1.0, 2.0], r"normal: task 0 has 2 normal of 2 images"),
        ([[True, False], [False, False]], [[1.0, 2.0]] * 2, r"normal: task 1 has 0 normal of 2 images"),
        (np.ones((0, 2), bool), np.ones((0, 2)), r"normal: no tasks"),
    ],
)
def test_data_that_cannot_be_used(normal, scores, message):
    with pytest.raises(DataError, match=f"^{message}"):
        bootstrap_auroc(normal, scores)


@pytest.mark.parametrize("argument", [{"level": 1}, {"level": 0}, {"n_resamples": 0}, {"random_state": -1}])
def test_arguments_outside_their_range(argument):
    (name,) = argument
    with pytest.raises(ValueError, match=f"^{name}: "):
        bootstrap_auroc([True, False], [1, 2], **argument)


def test_f1_is_that_of_scikit_learn():
    generator = np.random.default_rng(8)
    defective, alarms = generator.random(90) < 0.6, generator.random(90) < 0.5
    found = bootstrap_f1(defective, alarms)
    assert found.value == pytest.approx(f1_score(defective, alarms), abs=1e-14)
    assert 0 < found.low < found.value < found.high < 1
    assert found == bootstrap_f1(defective, alarms, random_state=0) != bootstrap_f1(defective, alarms, random_state=1)


def test_f1_of_all_none_and_perfect_alarms():
    assert bootstrap_f1([True, False, False], [True, False, False]) == (1, 1, 1)
    assert bootstrap_f1([True, False, False], [False, False, True]) == (0, 0, 0)
    assert bootstrap_f1([True, True], [True, True]) == (1, 1, 1)  # no normal image


@pytest.mark.parametrize(
    ("defective", "alarms", "message"),
    [
        ([1, 0], [True, False], "alarms: bool .* for defective int64"),
        ([True, False], [True], r"alarms: bool \(1,\) for defective bool \(2,\)"),
        ([False, False], [True, False], "defective: no image has a defect"),
    ],
)
def test_alarms_that_cannot_be_used(defective, alarms, message):
    with pytest.raises(DataError, match=f"^{message}"):
        bootstrap_f1(defective, alarms)
