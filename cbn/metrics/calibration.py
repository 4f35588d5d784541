# SPDX-License-Identifier: BSD-3-Clause
"""From scores to decisions: a threshold and p-values from the scores of normal images, for both halves."""

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from ..exceptions import CalibrationWarning
from .conformal import alarm_threshold, conformal_p_values


@dataclass(frozen=True, eq=False)
class Calibration:
    """Scores of normal images, where they come from, and the false-alarm rate that is asked for.

    Attributes
    ----------
    scores : ndarray, (n,) float64
        In increasing order; higher is more normal.
    source : str
        "leave-one-out", "cross-validation", "separate images", "held-out pictures" or "training images".
    false_alarm_rate : float
    """

    scores: npt.NDArray[np.float64]
    source: str
    false_alarm_rate: float

    @classmethod
    def of(cls, scores: npt.NDArray[np.float64], source: str, false_alarm_rate: float) -> "Calibration":
        """From scores in any order."""
        return cls(np.sort(scores), source, false_alarm_rate)

    @property
    def offset(self) -> float:
        """The score below which an image is an outlier; -inf with too few images for the rate."""
        return alarm_threshold(self.scores, self.false_alarm_rate)

    def p_values(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Conformal p-values of scores: small for outliers."""
        return conformal_p_values(scores, self.scores)

    def threshold_at(self, false_alarm_rate: float, *, stacklevel: int = 2) -> float:
        """The score below which images are outliers at a rate; -inf, with a CalibrationWarning, if there are too few."""
        rate = validation.check_real(false_alarm_rate, "false_alarm_rate", 0, 1, open_ends=True)
        threshold = alarm_threshold(self.scores, rate)
        if threshold == -np.inf:
            needed = int(np.ceil(1 / rate)) - 1
            warnings.warn(
                f"{len(self.scores)} calibration images allow no alarm at a false-alarm rate of {rate:g}: at least "
                f"{needed} are needed, or a higher rate",
                CalibrationWarning,
                stacklevel=stacklevel + 1,
            )
        return threshold
