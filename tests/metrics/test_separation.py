# SPDX-License-Identifier: BSD-3-Clause
"""Images that set a threshold and had a part in training are refused, or suspected by their scores."""

import warnings

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from cbn import CalibrationWarning, DataError
from cbn.metrics.calibration import Calibration
from cbn.metrics.separation import LEFT_OUT, check_separate, suspicion

RNG = np.random.default_rng(0)
KNOWN = RNG.normal(size=200)


def known(source="leave-one-out"):
    return Calibration.of(KNOWN, source, 0.05)


def test_the_very_images_are_refused():
    with pytest.raises(DataError, match="^X: are the images .* of 200 leave-one-out scores$"):
        check_separate(known(), KNOWN, trained_on=True)
    with pytest.raises(DataError, match="a threshold of its own$"):
        check_separate(known("separate images"), KNOWN, trained_on=True)


def test_equal_images_are_no_sign():
    check_separate(Calibration.of(np.ones(30), "leave-one-out", 0.05), np.ones(30), trained_on=True)


@pytest.mark.parametrize("source", LEFT_OUT)
def test_scores_that_are_too_high_are_suspected(source):
    with pytest.warns(
        CalibrationWarning, match="look like images of the training: .* calls 200 of 200 images"
    ) as caught:
        check_separate(known(source), RNG.normal(size=40) + 8, trained_on=False, stacklevel=1)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("source", ["separate images", "training images"])
def test_other_scores_tell_nothing(source):
    check_separate(known(source), RNG.normal(size=40) + 2, trained_on=False)


def test_a_part_of_training_images_is_suspected():
    mixed = np.concatenate([RNG.normal(size=30), RNG.normal(size=15) + 8])
    assert mannwhitneyu(mixed, KNOWN, alternative="greater").pvalue > 1e-6 > suspicion(KNOWN, mixed)


def test_the_highest_scores_by_hand():
    """All of two above all of three: 1 of the 10 ways to choose two places of five."""
    assert suspicion(np.arange(3.0), np.array([8.0, 9.0])) == pytest.approx(0.1)
    assert suspicion(np.arange(3.0), np.array([-1.0, 9.0])) > 0.3


def test_scores_that_are_a_little_higher_do_no_harm():
    """As where networks are of one image more, and most images are equal."""
    mostly = np.repeat([0.0, -1.0, -2.0], [150, 40, 10])
    again = np.repeat([0.0, -1.0], [192, 8]) + 1e-3
    assert suspicion(mostly, again) < 1e-6
    check_separate(Calibration.of(mostly, "leave-one-out", 0.05), again, trained_on=False)
    check_separate(known(), KNOWN + 0.04 * KNOWN.std(), trained_on=False)


def test_lower_scores_and_few_are_not_suspected():
    check_separate(known(), RNG.normal(size=400) - 2, trained_on=False)
    check_separate(known(), np.full(2, 100.0), trained_on=False)


def test_suspicions_of_separate_images_are_rare():

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in (5, 20, 100, 1000):
            for _ in range(50):
                first, second = RNG.normal(size=n), RNG.normal(size=n)
                check_separate(Calibration.of(first, "leave-one-out", 0.05), second, trained_on=False)
