# SPDX-License-Identifier: BSD-3-Clause
"""Conformal p-values of scores, and the threshold at which they raise an alarm."""

import numpy as np
import numpy.typing as npt


def conformal_p_values(
    scores: npt.NDArray[np.float64], calibration: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Conformal p-values of scores (higher = more normal) against calibration scores in increasing order.

    p = (1 + number of calibration scores <= score) / (1 + number of calibration scores); Vovk, Gammerman, Shafer,
    "Algorithmic Learning in a Random World", 2005. If the calibration images are exchangeable with a new normal image
    and had no part in training, P(p <= a) <= a for every a.

    Examples
    --------
    >>> conformal_p_values(np.array([0.5, 3.5]), np.array([1.0, 2.0, 3.0, 4.0])).tolist()
    [0.2, 0.8]
    """
    return (1 + np.searchsorted(calibration, scores, side="right")) / (1 + len(calibration))


def alarm_threshold(calibration: npt.NDArray[np.float64], false_alarm_rate: float) -> float:
    """The score below which an image is an outlier: exactly where its conformal p-value is <= the rate.

    p <= rate holds when at most k = floor(rate (n + 1)) - 1 calibration scores are <= the score, that is when the score
    is below the (k + 1)-th smallest. With k < 0 there are too few calibration images to raise any alarm: -inf.

    Examples
    --------
    >>> calibration = np.array([1.0, 2.0, 3.0, 4.0])
    >>> alarm_threshold(calibration, 0.4), alarm_threshold(calibration, 0.1)
    (2.0, -inf)
    """
    n = len(calibration)
    k = int(false_alarm_rate * (n + 1)) - 1
    # the product may be rounded across a whole number, as 0.29 * 100 = 28.999999999999996: the p-value itself decides
    k += (k + 2) / (n + 1) <= false_alarm_rate
    k -= k >= 0 and (k + 1) / (n + 1) > false_alarm_rate
    return float(calibration[k]) if k >= 0 else -np.inf
