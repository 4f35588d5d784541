# SPDX-License-Identifier: BSD-3-Clause
"""Shares with their intervals, and samples that are or are not alike."""

import numpy as np
import pytest
from scipy.stats import binomtest

from cbn.metrics.comparison import difference, share_interval


@pytest.mark.parametrize(("count", "n"), [(0, 5), (5, 5), (1, 20), (37, 194)])
def test_intervals_are_those_of_clopper_and_pearson(count, n):
    found = share_interval(count, n)
    expected = binomtest(count, n).proportion_ci(0.95, method="exact")
    assert found == pytest.approx((count / n, expected.low, expected.high))


def test_difference_of_samples():
    rng = np.random.default_rng(0)
    low, high = rng.normal(size=40), rng.normal(size=30) + 2
    found = difference(high, low)
    assert found.auroc == pytest.approx((high[:, None] > low).mean()) and found.p_value < 1e-6
    assert difference(low[:20], low[20:]).p_value > 0.01
    equal = difference(np.ones(3), np.ones(4))
    assert equal.auroc == 0.5 and not equal.p_value < 0.5
