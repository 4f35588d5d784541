# SPDX-License-Identifier: BSD-3-Clause
"""The scale of heat maps: a quantile near 1 without putting all values in order."""

import numpy as np
import pytest

from cbn.fit.assembling import upper_quantile


@pytest.mark.parametrize("share", [0.999, 0.99, 0.5, 0.0, 1.0, 0.7314])
@pytest.mark.parametrize("n", [1, 2, 3, 100, 5000, 100_003])
def test_upper_quantile_is_that_of_numpy(n, share):
    rng = np.random.default_rng(n)
    few = np.where(np.arange(n) % 64 == 0, rng.random(n), 0.0)  # the guess is of these alone
    for values in (rng.standard_normal(n), rng.integers(0, 4, n) / 3, np.zeros(n), few, -few, np.sort(rng.random(n))):
        assert upper_quantile(values, share) == np.quantile(values, share)
