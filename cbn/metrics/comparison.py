# SPDX-License-Identifier: BSD-3-Clause
"""Whether a rate was kept, and whether two samples of scores are alike."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .bootstrap import Interval

Floats = npt.NDArray[np.float64]


def share_interval(count: int, n: int, level: float = 0.95) -> Interval:
    """The share of ``count`` among n, with the interval of Clopper & Pearson 1934, which holds for any n.

    >>> tuple(round(value, 3) for value in share_interval(1, 20))
    (0.05, 0.001, 0.249)
    """
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = float(betaincinv(count, n - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, n - count, 1 - tail)) if count < n else 1.0
    return Interval(count / n, low, high)


class Difference(NamedTuple):
    """How one sample differs from another."""

    auroc: float  # the chance that a value of the first is above one of the second; ties count half
    p_value: float  # of the two-sided test of Mann & Whitney 1947


def difference(first: Floats, second: Floats) -> Difference:
    """Whether two samples of scores are alike: 0.5 and a large p-value where they are.

    >>> found = difference(np.arange(9.0) + 20, np.arange(9.0))
    >>> found.auroc, found.p_value < 0.001
    (1.0, True)
    """
    from scipy.stats import mannwhitneyu

    found = mannwhitneyu(first, second, alternative="two-sided")
    return Difference(float(found.statistic) / (len(first) * len(second)), float(found.pvalue))
