# SPDX-License-Identifier: BSD-3-Clause
"""From scores to verdicts: p-values, ties, thresholds, what is undecided, the fitted tail, lists of discoveries."""

import itertools
import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

from cbn import CalibrationWarning
from cbn.metrics.calibration import LEAST_FOR_TAIL, Calibration
from cbn.metrics.conformal import (
    TIE,
    alarm_threshold,
    conformal_p_values,
    discoveries,
    images_needed,
    least_discoveries,
    n_below,
    tie_levels,
)

RATES = (0.001, 0.003, 0.01, 0.02, 0.05, 0.07, 0.1, 0.14, 0.2, 0.29, 0.3, 1 / 3, 0.5, 0.57, 0.58, 0.1 + 0.2, 0.9, 0.999)


def calibration_of(n, rate=0.05, seed=0):
    return Calibration.of(np.random.default_rng(seed).normal(size=n), "separate images", rate)


# ---- p-values, thresholds ----


@pytest.mark.parametrize("n", [1, 2, 18, 19, 20, 99, 100, 300])
def test_p_values_and_thresholds_are_counts(n):
    calibration = calibration_of(n)
    scores = np.concatenate([np.random.default_rng(1).normal(size=200), calibration.scores])
    by_hand = [(1 + sum(s <= score for s in calibration.scores.tolist())) / (n + 1) for score in scores.tolist()]
    p_values = calibration.p_values(scores)
    np.testing.assert_array_equal(p_values, by_hand)
    for rate in RATES:
        own = calibration.at(rate)
        np.testing.assert_array_equal(scores < own.offset, p_values <= rate, err_msg=f"rate {rate!r}")
        assert (own.offset == -np.inf) == (not own.decides) == (n < own.needed)


def test_a_promise_of_p_values():
    """P(p <= a) <= a for scores exchangeable with the calibration's, and as near below it as ranks allow."""
    rng, n = np.random.default_rng(2), 39
    ranks = np.array([conformal_p_values(rng.normal(size=1), np.sort(rng.normal(size=n)))[0] for _ in range(20000)])
    for rate in (0.025, 0.05, 0.1, 0.5):
        error = 3 * np.sqrt(rate * (1 - rate) / len(ranks))
        assert abs((ranks <= rate).mean() - rate) <= error


# ---- ties ----


@pytest.mark.parametrize("scale", [1e-3, 1.0, 77.7, 12345.6])
def test_equal_scores_and_what_rounding_adds_are_ties(scale):
    rng = np.random.default_rng(3)
    rounding = 1 + 1e-13 * rng.normal(size=300)
    calibration = Calibration.of(-scale * rounding, "leave-one-out", 0.05)
    new = -scale * (1 + 1e-13 * rng.normal(size=100))
    assert (calibration.p_values(new) == 1).all() and (new >= calibration.offset).all()
    assert (calibration.verdicts(new).verdicts == "normal").all()
    assert not calibration.discoveries(new, 0.5).any()
    lower = new - 3 * TIE * max(1.0, scale)
    assert (calibration.p_values(lower) == 1 / 301).all() and (lower < calibration.offset).all()


def test_a_tie_is_a_share_of_the_largest_score():
    for scores in (np.array([-1e6, -2.0, 3.0]), np.array([-0.5, 0.25, 0.5]), np.array([7.0])):
        share = TIE * max(1.0, np.abs(scores).max())
        np.testing.assert_array_equal(tie_levels(scores), scores - share)
        assert (conformal_p_values(scores - share / 2, scores) == conformal_p_values(scores, scores)).all()
        assert (conformal_p_values(scores - 2 * share, scores) < conformal_p_values(scores, scores)).all()
    assert len(tie_levels(np.zeros(0))) == 0 and conformal_p_values(np.zeros(2), np.zeros(0)).tolist() == [1, 1]


# ---- how many images a rate needs ----


def test_images_needed_is_the_least_number():
    for rate in (*RATES, *(1 / k for k in range(2, 400)), *(np.nextafter(1 / k, 0) for k in range(2, 100))):
        needed = images_needed(rate)
        assert 1 / (needed + 1) <= rate and (needed == 1 or 1 / needed > rate)
        assert n_below(needed, rate) >= 0 and (needed == 1 or n_below(needed - 1, rate) == -1)
        assert needed == calibration_of(3, rate).needed
    assert [images_needed(rate) for rate in (0.1, 0.05, 0.01, 0.001)] == [9, 19, 99, 999]


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.07, 0.1, 0.29, 0.5])
def test_undecided_exactly_where_there_are_too_few(rate):
    scores = np.array([-1e9, 0.0, 1e9])
    for n in range(1, 130):
        own = calibration_of(n, rate)
        few = n < 1 / rate - 1 - 1e-9
        found = own.verdicts(scores)
        assert (found.basis, found.needed) == ("none" if few else "guaranteed", images_needed(rate))
        if few:
            assert found.verdicts.tolist() == 3 * ["undecided"] and np.isnan(found.p_values).all()
            assert found.threshold == -np.inf
            with pytest.warns(CalibrationWarning, match=rf"^{n} calibration .* {rate:g}: at least {own.needed} "):
                own.threshold_at(rate)
            with pytest.warns(CalibrationWarning):
                own.warn_if_too_few()
        else:
            assert found.verdicts[0] == "outlier" and found.verdicts[2] == "normal"
            np.testing.assert_array_equal(found.p_values, own.p_values(scores))
            assert found.threshold == own.offset == own.threshold_at(rate)
            own.warn_if_too_few()


def test_with_enough_scores_nothing_is_extrapolated():
    own, scores = calibration_of(19), np.linspace(-5, 5, 50)
    plain, asked = own.verdicts(scores), own.verdicts(scores, extrapolate=True)
    assert plain.basis == asked.basis == "guaranteed" and plain.threshold == asked.threshold
    np.testing.assert_array_equal(plain.p_values, asked.p_values)
    np.testing.assert_array_equal(plain.verdicts, asked.verdicts)


@pytest.mark.parametrize("bad", [0, 1, -0.1, 2, np.nan, "0.1", None, True])
def test_rates_out_of_range(bad):
    own = calibration_of(30)
    for ask in (own.at, own.threshold_at):
        with pytest.raises(ValueError, match=r"^false_alarm_rate: "):
            ask(bad)
    with pytest.raises(ValueError, match=r"^fdr: "):
        own.discoveries(own.scores, bad)


# ---- the fitted tail ----


def test_the_tail_is_student_s_t():
    own = calibration_of(12, 0.01, seed=4)
    scores = np.linspace(-6, 3, 40)
    found = own.verdicts(scores, extrapolate=True)
    spread = own.scores.std(ddof=1) * np.sqrt(1 + 1 / 12)
    np.testing.assert_allclose(found.p_values, student.cdf((scores - own.scores.mean()) / spread, 11), rtol=1e-9)
    assert found.basis == "extrapolated" and found.needed == 99
    np.testing.assert_array_equal(found.verdicts == "outlier", found.p_values <= 0.01)
    np.testing.assert_array_equal(found.verdicts == "outlier", scores < found.threshold)
    assert found.threshold == pytest.approx(own.scores.mean() + spread * student.ppf(0.01, 11))


@pytest.mark.parametrize("n", [5, 12, 40])
@pytest.mark.parametrize("rate", [0.001, 0.01])
def test_the_tail_is_exact_for_normal_scores(n, rate):
    """By simulation: the share of false alarms over many calibrations is the rate."""
    rng, shares = np.random.default_rng(5), []
    for _ in range(2000):
        own = Calibration.of(50 + 7 * rng.normal(size=n), "separate images", rate)
        threshold = own.verdicts(np.zeros(1), extrapolate=True).threshold
        shares.append(student.cdf((threshold - 50) / 7, 1e9))  # of the normal law, without a further draw
    error = np.std(shares) / np.sqrt(len(shares))
    assert abs(np.mean(shares) - rate) <= 4 * error


def test_a_tail_needs_some_scores_and_stands_equal_ones():
    few = calibration_of(LEAST_FOR_TAIL - 1, 0.01).verdicts(np.zeros(2), extrapolate=True)
    assert few.basis == "none" and few.verdicts.tolist() == ["undecided"] * 2
    assert calibration_of(LEAST_FOR_TAIL, 0.01).verdicts(np.zeros(2), extrapolate=True).basis == "extrapolated"
    equal = Calibration.of(np.full(9, -123.4), "leave-one-out", 0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = equal.verdicts(np.array([-123.4, -123.4 - 1e-9, -123.5]), extrapolate=True)
    assert found.verdicts.tolist() == ["normal", "normal", "outlier"]


# ---- lists ----


def plain_benjamini_hochberg(p_values, rate):
    """Step up, as it is written in the paper: the largest k of which the k-th smallest p-value is at most k rate / n."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    last = 0
    for k, i in enumerate(order, start=1):
        if p_values[i] <= k * rate / len(p_values):
            last = k
    found = [False] * len(p_values)
    for i in order[:last]:
        found[i] = True
    return found


def test_discoveries_are_those_of_benjamini_and_hochberg():
    rng = np.random.default_rng(6)
    for trial in range(300):
        n = int(rng.integers(1, 60))
        p_values = rng.random(n) ** rng.integers(1, 6)
        if trial % 2:  # ranks, which tie
            p_values = np.ceil(p_values * 40) / 40
        for rate in (0.01, 0.05, 0.2, 0.6):
            assert discoveries(p_values, rate).tolist() == plain_benjamini_hochberg(p_values.tolist(), rate)
    assert discoveries(np.zeros(0), 0.1).shape == (0,)
    assert discoveries(np.ones(5), 0.1).tolist() == [False] * 5 and discoveries(np.full(5, 0.1), 0.1).all()


def test_listed_verdicts():
    own = calibration_of(400)
    scores = np.concatenate([np.random.default_rng(7).normal(size=80), np.full(20, -9.0)])
    found = own.listed(scores, 0.1)
    np.testing.assert_array_equal(found.verdicts == "outlier", own.discoveries(scores, 0.1))
    np.testing.assert_array_equal(found.p_values, own.p_values(scores))
    assert found.basis == "guaranteed" and (found.verdicts[80:] == "outlier").all()
    outliers = found.verdicts == "outlier"
    assert scores[outliers].max() < found.threshold == scores[~outliers].min()
    assert own.listed(np.full(4, 9.0), 0.1).threshold == -np.inf  # nothing is one
    assert own.listed(np.full(4, -9.0), 0.1).threshold == np.inf  # all are


def test_how_many_can_be_found_together():
    """The least number, and the images that are needed, against the procedure itself."""
    for n_calibration, n, rate in itertools.product((1, 5, 18, 19, 59, 99, 239), (1, 2, 12, 40), (0.05, 0.2, 0.5)):
        smallest = 1 / (1 + n_calibration)
        able = [k for k in range(1, n + 1) if discoveries(np.array([smallest] * k + [1.0] * (n - k)), rate).any()]
        assert least_discoveries(n_calibration, n, rate) == (able[0] if able else 0)
        own = calibration_of(n_calibration)
        assert bool(own.no_discovery(n, rate)) == (not able)
        needed = own.listed(np.zeros(n), rate).needed
        assert least_discoveries(needed, n, rate) == 1 != least_discoveries(needed - 1, n, rate)
    assert least_discoveries(5, 0, 0.5) == 0


def test_lists_with_too_few_images_are_undecided():
    own = calibration_of(18)
    assert own.no_discovery(12, 0.05) == (
        "18 calibration images allow no discovery at a false discovery rate of 0.05: at least 19 are needed, and 239 to "
        "find a single outlier among 12; or a higher rate"
    )
    found = own.listed(np.full(12, -99.0), 0.05)
    assert found.basis == "none" and (found.verdicts == "undecided").all() and np.isnan(found.p_values).all()
    assert found.needed == 239 and found.threshold == -np.inf
    assert (calibration_of(19).listed(np.full(12, -99.0), 0.05).verdicts == "outlier").all()
    with pytest.warns(CalibrationWarning, match="at least 19 are needed") as caught:
        own.warn_if_no_discovery(12, 0.05, stacklevel=1)
    assert caught[0].filename == __file__
    with pytest.raises(ValueError, match="^fdr: 1"):
        own.warn_if_no_discovery(12, 1)


def test_false_discoveries_are_as_rare_as_promised():
    """Of 100 images of which 20 are outliers, the mean share of normal ones among those that are called so."""
    rng, rate, shares, powers = np.random.default_rng(8), 0.1, [], []
    for _ in range(400):
        own = Calibration.of(rng.normal(size=300), "separate images", 0.05)
        scores = np.concatenate([rng.normal(size=80), rng.normal(-4, 1, 20)])
        found = own.discoveries(scores, rate)
        shares.append(found[:80].sum() / max(1, found.sum()))
        powers.append(found[80:].mean())
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) <= 0.8 * rate + 3 * error and np.mean(powers) > 0.6


def test_thresholds_of_few_scores():
    assert alarm_threshold(np.array([1.0, 2.0, 3.0, 4.0]), 0.1) == -np.inf
    assert alarm_threshold(np.array([1.0, 2.0, 3.0, 4.0]), 0.4) == pytest.approx(2.0, rel=1e-8)
    assert alarm_threshold(np.zeros(0), 0.5) == -np.inf


@pytest.mark.parametrize("source", ["leave-one-out", "cross-validation", "held-out images", "training images"])
def test_only_separate_images_guarantee(source):
    own = replace(calibration_of(99), source=source)
    assert own.verdicts(np.zeros(3)).basis == own.listed(np.full(9, -9.0), 0.1).basis == "approximate"
    assert calibration_of(99).verdicts(np.zeros(3)).basis == "guaranteed"
