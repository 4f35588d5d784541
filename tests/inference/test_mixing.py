# SPDX-License-Identifier: BSD-3-Clause
"""Split R-hat, effective sample size and the report made of them, against values known by theory or by hand."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from cbn.inference import mixing as diagnostics
from cbn.inference.mixing import MixingReport, effective_sample_size, image_statistics, mixing_report, split_r_hat


def autoregressive(rho, chains, draws, seed):
    """Return stationary AR(1) chains with autocorrelation rho**lag and variance 1."""
    noise = np.random.default_rng(seed).standard_normal((chains, draws))
    noise[:, 1:] *= math.sqrt(1 - rho**2)
    return lfilter([1.0], [1.0, -rho], noise, axis=1)


def slow_effective_sample_size(trace):
    """The definition written with loops: no FFT, no vectors."""
    n = trace.shape[1] // 2
    halves = [chain[:n] for chain in trace] + [chain[-n:] for chain in trace]
    m = len(halves)
    means = [sum(h) / n for h in halves]
    variances = [sum((x - mu) ** 2 for x in h) / (n - 1) for h, mu in zip(halves, means, strict=True)]
    within = sum(variances) / m
    grand = sum(means) / m
    pooled = (n - 1) / n * within + sum((mu - grand) ** 2 for mu in means) / (m - 1)

    def rho(lag):
        if lag == 0:
            return 1.0
        covariances = [
            sum((h[i] - mu) * (h[i + lag] - mu) for i in range(n - lag)) / n
            for h, mu in zip(halves, means, strict=True)
        ]
        return 1 - (within - sum(covariances) / m) / pooled

    tau, previous, lag = -1.0, math.inf, 0
    while lag + 1 < n:
        pair = rho(lag) + rho(lag + 1)
        if pair <= 0:
            tau += max(0.0, rho(lag))
            break
        previous = min(previous, pair)
        tau += 2 * previous
        lag += 2
    return m * n / max(tau, 1 / math.log10(m * n))


def test_independent_draws():
    trace = np.random.default_rng(0).standard_normal((4, 5000))
    assert split_r_hat(trace) == pytest.approx(1.0, abs=0.002)
    assert effective_sample_size(trace) == pytest.approx(trace.size, rel=0.05)


@pytest.mark.parametrize("rho", [0.9, 0.6, 0.3, -0.4])
def test_autoregressive_chain_has_its_known_effective_sample_size(rho):
    trace = autoregressive(rho, chains=4, draws=40_000, seed=1)
    assert effective_sample_size(trace) == pytest.approx((1 - rho) / (1 + rho) * trace.size, rel=0.15)
    assert split_r_hat(trace) < 1.01


def test_effective_sample_size_of_an_antithetic_chain_is_bounded():
    trace = autoregressive(-0.999, chains=2, draws=1000, seed=2)
    assert effective_sample_size(trace) == pytest.approx(2000 * math.log10(2000))


def test_separated_chains():
    trace = np.random.default_rng(3).standard_normal((4, 500)) + 5.0 * np.arange(4)[:, None]
    assert split_r_hat(trace) > 2
    assert effective_sample_size(trace) < 10


def test_drift_is_caught_by_the_split():
    # All chains drift alike: whole chains have equal means, and only their halves tell.
    trace = np.random.default_rng(4).standard_normal((4, 1000)) + np.linspace(-3, 3, 1000)
    assert np.ptp(trace.mean(axis=1)) < 0.2
    assert split_r_hat(trace) > 1.5


def test_single_chain():
    good = np.random.default_rng(5).standard_normal((1, 4000))
    assert split_r_hat(good) == pytest.approx(1.0, abs=0.01)
    assert effective_sample_size(good) == pytest.approx(4000, rel=0.1)
    bad = good + np.linspace(0, 10, 4000)
    assert split_r_hat(bad) > 1.5


def test_r_hat_by_hand():
    # Halves (0, 2), (4, 6), (2, 4), (2, 4): every variance is 2, so W = 2. Means 1, 5, 3, 3 have variance 8/3 = B/n.
    # var_plus = 1/2 * 2 + 8/3 = 11/3, and R-hat = sqrt(11/6).
    assert split_r_hat([[0, 2, 4, 6], [2, 4, 2, 4]]) == pytest.approx(math.sqrt(11 / 6), rel=1e-14)


def test_middle_draw_of_an_odd_number_is_dropped():
    assert split_r_hat([[0, 2, 1000, 4, 6], [2, 4, -7, 2, 4]]) == pytest.approx(math.sqrt(11 / 6), rel=1e-14)


@pytest.mark.parametrize("draws", [4, 5, 6, 7, 50, 101])
@pytest.mark.parametrize("rho", [0.8, 0.0, -0.7])
def test_effective_sample_size_equals_its_definition(draws, rho):
    for seed in range(5):
        trace = autoregressive(rho, chains=3, draws=draws, seed=seed)
        assert effective_sample_size(trace) == pytest.approx(slow_effective_sample_size(trace), rel=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e300, 1e-310])
def test_equal_constant_chains(value):
    trace = np.full((3, 11), value)
    assert split_r_hat(trace) == 1.0
    assert effective_sample_size(trace) == 33


@pytest.mark.parametrize("step", [1.0, 1e-15, 1e-300])
def test_different_constant_chains(step):
    trace = np.repeat([[0.1], [0.1 + 0.1 * step if step > 1e-16 else 0.1 + 2**-56], [0.1]], 11, axis=1)
    assert np.ptp(trace) > 0
    assert split_r_hat(trace) == math.inf
    assert effective_sample_size(trace) == 3


@pytest.mark.parametrize("draws", [14, 22, 101])
def test_rounded_means_of_constant_chains_are_no_variance(draws):
    trace = np.repeat([[0.1], [0.3], [0.7]], draws, axis=1)
    assert split_r_hat(trace) == math.inf
    assert effective_sample_size(trace) == 3


def test_values_near_the_largest_float_do_not_overflow():
    trace = np.random.default_rng(7).uniform(-1, 1, (2, 50))
    assert split_r_hat(trace * 1.7e308) == pytest.approx(split_r_hat(trace), rel=1e-9)
    assert effective_sample_size(trace * 1.7e308) == pytest.approx(effective_sample_size(trace), rel=1e-9)


def test_one_chain_with_one_jump_in_the_middle():
    trace = [[0.1] * 6 + [0.7] * 6]
    assert split_r_hat(trace) == math.inf
    assert effective_sample_size(trace) == 1


@settings(deadline=None, max_examples=200)
@given(
    seed=st.integers(0, 2**32 - 1),
    chains=st.integers(1, 5),
    draws=st.integers(4, 40),
    slope=st.floats(1e-3, 1e3) | st.floats(-1e3, -1e-3) | st.sampled_from([2.0**900, 2.0**-900]),
    offset=st.floats(-1e3, 1e3),
)
def test_affine_maps_change_nothing(seed, chains, draws, slope, offset):
    trace = np.random.default_rng(seed).standard_normal((chains, draws))
    mapped = slope * (trace + offset)
    assert split_r_hat(mapped) == pytest.approx(split_r_hat(trace), rel=1e-6)
    assert effective_sample_size(mapped) == pytest.approx(effective_sample_size(trace), rel=1e-6)


@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 2**32 - 1), chains=st.integers(1, 5), draws=st.integers(4, 40), levels=st.integers(1, 4))
def test_integer_traces_give_sane_values(seed, chains, draws, levels):
    trace = np.random.default_rng(seed).integers(0, levels, (chains, draws))
    total = chains * draws
    assert split_r_hat(trace) > 0
    assert 0 < effective_sample_size(trace) <= total * max(1, math.log10(total)) * (1 + 1e-12)


@pytest.mark.parametrize("measure", [split_r_hat, effective_sample_size])
@pytest.mark.parametrize(
    ("trace", "word"),
    [
        (np.zeros((2, 3)), "at least 4 draws"),
        (np.zeros(10), "shape"),
        (np.zeros((0, 10)), "shape"),
        (np.array([[0, 1, np.nan, 2]]), "finite"),
        (np.array([[0, 1, np.inf, 2]]), "finite"),
        (np.array([["a", "b", "c", "d"]]), "real numbers"),
        (np.ones((1, 4), dtype=complex), "real numbers"),
    ],
)
def test_wrong_traces(measure, trace, word):
    with pytest.raises(ValueError, match=f"trace must .*{word}|{word}") as caught:
        measure(trace)
    assert str(caught.value).startswith("trace must")
    assert "\n" not in str(caught.value)


def test_image_statistics_by_hand():
    images = np.zeros((3, 3, 4), dtype=np.uint8)
    images[1, 0, 3] = 1  # a corner: two neighbours differ
    images[2, 1, 1:3] = 1  # a bar of two: ends 2, sides 4
    statistics = image_statistics(images)
    assert all(values.dtype == np.float64 and values.shape == (3,) for values in statistics.values())
    assert statistics["ink"] == pytest.approx([0, 1 / 12, 2 / 12])
    assert statistics["edges"].tolist() == [0, 2, 6]
    assert statistics["row_centre"].tolist() == [1.0, 0.0, 1.0]
    assert statistics["column_centre"].tolist() == [1.5, 3.0, 1.5]


def test_image_statistics_of_grey_bool_and_no_images():
    grey = np.array([[[0, 100], [0, 300]]], dtype=np.uint16)
    assert image_statistics(grey)["row_centre"] == pytest.approx([0.75])
    assert image_statistics(grey)["ink"] == pytest.approx([100])
    assert image_statistics(grey > 0)["edges"].tolist() == [2]
    assert image_statistics(np.zeros((0, 2, 2)))["ink"].shape == (0,)
    assert image_statistics(np.full((1, 1, 1), 7))["edges"].tolist() == [0]


@pytest.mark.parametrize(
    "images",
    [np.zeros((3, 3)), np.zeros((1, 0, 3)), *(np.full((1, 2, 2), bad) for bad in (-1, np.nan, np.inf, "a"))],
)
def test_image_statistics_refuses(images):
    with pytest.raises(ValueError, match=r"^images must"):
        image_statistics(images)


def test_report_of_good_and_bad_chains():
    rng = np.random.default_rng(6)
    good = {"ink": rng.standard_normal((4, 1000)), "edges": rng.standard_normal((4, 1000))}
    report = mixing_report(good)
    assert report.mixed
    assert (report.n_chains, report.n_draws) == (4, 1000)
    assert report.r_hat["edges"] == split_r_hat(good["edges"])
    assert report.ess["ink"] == effective_sample_size(good["ink"])
    assert report.summary().endswith("of 4000 draws: mixed")
    bad = mixing_report(good | {"edges": good["edges"] + np.arange(4)[:, None]})
    assert not bad.mixed
    assert "(edges), smallest" in bad.summary()
    assert bad.summary().endswith("NOT mixed")


def test_summary_is_exact():
    report = MixingReport({"ink": 1.23, "edges": 1.01}, {"ink": 99.0, "edges": 37.9}, 64, 100)
    assert report.summary() == (
        "mixing: worst split R-hat 1.23 (ink), smallest effective sample size 37 (edges) of 6400 draws: NOT mixed"
    )


@pytest.mark.parametrize(
    ("r_hat", "ess", "mixed", "shown"),
    [
        (1.01, 400.0, True, "R-hat 1.01 "),
        (1.0101, 400.0, False, "R-hat 1.02 "),
        (1.0, 399.9, False, "size 399 "),
        (0.9987, 4e4, True, "R-hat 1.00 "),
        (math.inf, 4.0, False, "R-hat inf "),
    ],
)
def test_thresholds(r_hat, ess, mixed, shown):
    report = MixingReport({"ink": r_hat}, {"ink": ess}, 4, 100)
    assert report.mixed is mixed
    assert shown in report.summary()
    assert "\n" not in report.summary()


def test_either_statistic_can_fail_the_report():
    assert not MixingReport({"a": 1.0, "b": 1.5}, {"a": 900.0, "b": 900.0}, 4, 1000).mixed
    assert not MixingReport({"a": 1.0, "b": 1.0}, {"a": 900.0, "b": 90.0}, 4, 1000).mixed
    assert (diagnostics.MAX_R_HAT, diagnostics.MIN_EFFECTIVE_SAMPLE_SIZE) == (1.01, 400)


def test_report_as_json():
    report = mixing_report({"ink": np.repeat([[0.0], [1.0]], 8, axis=1), "edges": np.zeros((2, 8))})
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain == {
        "r_hat": {"ink": None, "edges": 1.0},
        "ess": {"ink": 2.0, "edges": 16.0},
        "n_chains": 2,
        "n_draws": 8,
        "mixed": False,
    }


def test_report_refuses():
    with pytest.raises(ValueError, match="at least one statistic"):
        mixing_report({})
    with pytest.raises(ValueError, match="same shape"):
        mixing_report({"a": np.zeros((2, 8)), "b": np.zeros((2, 9))})
    with pytest.raises(ValueError, match="at least 4 draws"):
        mixing_report({"a": np.zeros((2, 3))})
