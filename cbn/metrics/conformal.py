# SPDX-License-Identifier: BSD-3-Clause
"""Conformal p-values of scores, the threshold at which they raise an alarm, and lists of them.

Scores are higher for more normal images; calibration scores are those of normal images.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Scores that differ by less than this share of the largest calibration score are the same score: they are sums of
# logarithms in double precision, and equal images must be equally normal.
TIE = 1e-9


def tie_levels(calibration: Floats) -> Floats:
    """Calibration scores less what rounding may have added: a score at or above one of these is as normal as it.

    >>> import numpy as np
    >>> tie_levels(np.array([-2.0, -1.0])) < np.array([-2.0, -1.0])
    array([ True,  True])
    """
    largest = float(np.abs(calibration).max(initial=0.0))
    return calibration - TIE * max(1.0, largest)


def conformal_p_values(scores: Floats, calibration: Floats) -> Floats:
    """Conformal p-values of scores (higher = more normal) against calibration scores in increasing order.

    p = (1 + number of calibration scores <= score) / (1 + number of calibration scores); Vovk, Gammerman, Shafer,
    "Algorithmic Learning in a Random World", 2005. If the calibration images are exchangeable with a new normal image
    and had no part in training, P(p <= a) <= a for every a. Scores that differ by rounding alone are ties.

    >>> import numpy as np
    >>> conformal_p_values(np.array([-9.0, -2.0, 0.0]), np.array([-3.0, -2.0, -1.0])).tolist()
    [0.25, 0.75, 1.0]
    """
    return (1 + np.searchsorted(tie_levels(calibration), scores, side="right")) / (1 + len(calibration))


def alarm_threshold(calibration: Floats, false_alarm_rate: float) -> float:
    """The score below which an image is an outlier: exactly where its conformal p-value is <= the rate.

    p <= rate holds when at most k = floor(rate (n + 1)) - 1 calibration scores are <= the score, that is when the score
    is below the (k + 1)-th smallest. With k < 0 there are too few calibration images to raise any alarm: -inf.
    """
    k = n_below(len(calibration), false_alarm_rate)
    return float(tie_levels(calibration)[k]) if k >= 0 else -np.inf


def n_below(n: int, false_alarm_rate: float) -> int:
    """How many of n calibration scores may be at or below a score that raises an alarm; -1 where none can."""
    k = int(false_alarm_rate * (n + 1)) - 1
    # the product may be rounded across a whole number, as 0.29 * 100 = 28.999999999999996: the p-value itself decides
    k += (k + 2) / (n + 1) <= false_alarm_rate
    k -= k >= 0 and (k + 1) / (n + 1) > false_alarm_rate
    return k


def images_needed(false_alarm_rate: float) -> int:
    """The least number of calibration images with which an alarm is possible at a rate.

    >>> images_needed(0.05), images_needed(0.01)
    (19, 99)
    """
    n = max(1, int(1 / false_alarm_rate) - 2)
    while n_below(n, false_alarm_rate) < 0:
        n += 1
    return n


def least_discoveries(n_calibration: int, n: int, false_discovery_rate: float) -> int:
    """The least number of outliers that can be found in a list of n images, all with the smallest p-value; 0 where none can.

    >>> least_discoveries(99, 10, 0.05), least_discoveries(199, 10, 0.05), least_discoveries(18, 10, 0.05)
    (2, 1, 0)
    """
    within = 1 / (1 + n_calibration) <= false_discovery_rate * np.arange(1, n + 1) / n if n else np.zeros(0, bool)
    return int(np.argmax(within)) + 1 if within.any() else 0


def discoveries(p_values: Floats, false_discovery_rate: float) -> npt.NDArray[np.bool_]:
    """Which of many images are outliers, such that of these the expected share of normal ones is at most a rate.

    Benjamini & Hochberg 1995, "Controlling the false discovery rate". Conformal p-values of one calibration set are
    positively dependent, under which the procedure keeps its promise (Bates, Candes, Lei, Romano & Sesia 2023, "Testing
    for outliers with conformal p-values").

    >>> import numpy as np
    >>> discoveries(np.array([0.001, 0.2, 0.01, 0.9]), 0.05).tolist()
    [True, False, True, False]
    """
    n = len(p_values)
    if n == 0:
        return np.zeros(0, bool)
    order = np.sort(p_values)
    within = np.flatnonzero(order <= false_discovery_rate * np.arange(1, n + 1) / n)
    return p_values <= order[within[-1]] if len(within) else np.zeros(n, bool)
