# SPDX-License-Identifier: BSD-3-Clause
"""From scores to decisions: thresholds, p-values and verdicts from the scores of normal images, for both halves."""

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from ..exceptions import CalibrationWarning
from .conformal import alarm_threshold, conformal_p_values, discoveries, images_needed, least_discoveries, n_below

Floats = npt.NDArray[np.float64]
Basis = Literal["guaranteed", "approximate", "extrapolated", "none"]
SEPARATE = "separate images"  # a source
Verdict = Literal["normal", "outlier", "undecided"]

# With fewer scores than this no tail is fitted.
LEAST_FOR_TAIL = 5


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What a rate makes of scores.

    Attributes
    ----------
    p_values : ndarray, (n,) float64
        NaN where there is no basis.
    verdicts : ndarray, (n,) of "normal", "outlier" or "undecided"
        "undecided" where there are too few calibration images for the rate.
    basis : "guaranteed", "approximate", "extrapolated" or "none"
        "guaranteed": counts of scores of separate images; the chance of a false alarm is at most the rate for images
        exchangeable with these. "approximate": counts of scores from another :attr:`Calibration.source`, for which no theorem
        holds. "extrapolated": a tail fitted to too few scores. "none": no verdict is possible, or a threshold was given
        (:meth:`Calibration.beyond`).
    threshold : float
        The score below which an image is an outlier; -inf without a basis.
    needed : int
        Calibration images that the rate needs; of a list at a false discovery rate, those with which a single outlier in
        it can be found.
    """

    p_values: Floats
    verdicts: npt.NDArray[np.str_]
    basis: Basis
    threshold: float
    needed: int


@dataclass(frozen=True, eq=False)
class Calibration:
    """Scores of normal images, where they come from, and the false-alarm rate that is asked for.

    Attributes
    ----------
    scores : ndarray, (n,) float64
        In increasing order; higher is more normal.
    source : str
        "leave-one-out", "cross-validation", "separate images", "held-out images" or "training images".
    false_alarm_rate : float
    """

    scores: Floats
    source: str
    false_alarm_rate: float

    @classmethod
    def of(cls, scores: Floats, source: str, false_alarm_rate: float) -> "Calibration":
        """From scores in any order."""
        return cls(np.sort(scores), source, false_alarm_rate)

    @classmethod
    def restored(cls, scores: Floats, source: str, false_alarm_rate: float) -> "Calibration":
        """From what a file holds. Raises ValueError where that is no increasing list of scores."""
        if len(scores) < 1 or not np.isfinite(scores).all() or (np.diff(scores) < 0).any():
            raise ValueError("calibration scores are not finite numbers in increasing order")
        return cls(scores, source, false_alarm_rate)

    @cached_property
    def offset(self) -> float:
        """The score below which an image is an outlier; -inf with too few images for the rate."""
        return alarm_threshold(self.scores, self.false_alarm_rate)

    def at(self, false_alarm_rate: float) -> "Calibration":
        """The same scores with another rate."""
        rate = validation.check_real(false_alarm_rate, "false_alarm_rate", 0, 1, open_ends=True)
        return replace(self, false_alarm_rate=rate)

    def p_values(self, scores: Floats) -> Floats:
        """Conformal p-values of scores: small for outliers."""
        return conformal_p_values(scores, self.scores)

    @property
    def _basis(self) -> Basis:
        """What counts of the scores promise."""
        return "guaranteed" if self.source == SEPARATE else "approximate"

    @property
    def decides(self) -> bool:
        """Whether there are enough scores for the rate."""
        return n_below(len(self.scores), self.false_alarm_rate) >= 0

    @property
    def needed(self) -> int:
        """The least number of scores with which an alarm is possible at the rate."""
        return images_needed(self.false_alarm_rate)

    def too_few(self) -> str:
        """The sentence for too few scores."""
        return (
            f"{len(self.scores)} calibration images allow no alarm at a false-alarm rate of {self.false_alarm_rate:g}: "
            f"at least {self.needed} are needed, or a higher rate"
        )

    def warn_if_too_few(self, *, stacklevel: int = 2) -> None:
        """A CalibrationWarning where the rate leaves everything undecided."""
        if not self.decides:
            warnings.warn(self.too_few(), CalibrationWarning, stacklevel=stacklevel + 1)

    def threshold_at(self, false_alarm_rate: float, *, stacklevel: int = 2) -> float:
        """The score below which images are outliers at a rate; -inf, with a CalibrationWarning, if there are too few."""
        own = self.at(false_alarm_rate)
        own.warn_if_too_few(stacklevel=stacklevel + 1)
        return own.offset

    def verdicts(self, scores: Floats, *, extrapolate: bool = False) -> Verdicts:
        """Normal, outlier or undecided at the rate.

        Parameters
        ----------
        scores : ndarray, (n,)
        extrapolate : bool
            Where there are too few calibration scores for the rate, but at least five, take p-values from Student's t
            distribution of a further score of a normal law: (score - mean) / (deviation sqrt(1 + 1 / n)) with n - 1 degrees
            of freedom. Exact if normal images' scores are normally distributed, else a guess, and marked so.
        """
        if self.decides:
            p_values = self.p_values(scores)
            return self._verdicts(p_values, p_values <= self.false_alarm_rate, self._basis, self.offset)
        if extrapolate and len(self.scores) >= LEAST_FOR_TAIL:
            threshold, p_values = self._tail(scores)
            return self._verdicts(p_values, p_values <= self.false_alarm_rate, "extrapolated", threshold)
        return self._undecided(len(scores))

    def beyond(self, scores: Floats, threshold: float) -> Verdicts:
        """Verdicts of a threshold that was given: outliers score below it. Without a promise; p-values are beside them."""
        return replace(self._verdicts(self.p_values(scores), scores < threshold, "none", threshold), needed=0)

    def _undecided(self, n: int) -> Verdicts:
        return Verdicts(np.full(n, np.nan), np.full(n, "undecided"), "none", -np.inf, self.needed)

    def _verdicts(self, p_values: Floats, alarms: npt.NDArray[np.bool_], basis: Basis, threshold: float) -> Verdicts:
        return Verdicts(p_values, np.where(alarms, "outlier", "normal"), basis, threshold, self.needed)

    def _tail(self, scores: Floats) -> tuple[float, Floats]:
        """(threshold, p-values) of Student's t distribution."""
        from scipy.special import stdtr, stdtrit

        n, mean = len(self.scores), float(self.scores.mean())
        spread = float(self.scores.std(ddof=1)) * np.sqrt(1 + 1 / n)
        spread = max(spread, 1e-9 * max(1.0, abs(mean)))  # equal scores: anything below them is far away
        threshold = float(mean + spread * stdtrit(n - 1, self.false_alarm_rate))
        return threshold, stdtr(n - 1, (scores - mean) / spread)

    def listed(self, scores: Floats, false_discovery_rate: float) -> Verdicts:
        """Verdicts of a list of images at a false discovery rate; the threshold is the lowest score of the normal ones.

        All are undecided where there are too few calibration images for any discovery.
        """
        needed = images_needed(false_discovery_rate / max(1, len(scores)))
        if self.no_discovery(len(scores), false_discovery_rate):
            return replace(self._undecided(len(scores)), needed=needed)
        found = self.discoveries(scores, false_discovery_rate)
        threshold = float(scores[~found].min()) if not found.all() else np.inf
        threshold = threshold if found.any() else -np.inf
        return replace(self._verdicts(self.p_values(scores), found, self._basis, threshold), needed=needed)

    def no_discovery(self, n: int, false_discovery_rate: float) -> str:
        """The sentence for too few scores to find any outlier in a list of n images; empty where there are enough."""
        if n == 0 or least_discoveries(len(self.scores), n, false_discovery_rate):
            return ""
        single = images_needed(false_discovery_rate / n)
        return (
            f"{len(self.scores)} calibration images allow no discovery at a false discovery rate of "
            f"{false_discovery_rate:g}: at least {images_needed(false_discovery_rate):,} are needed, and {single:,} to find "
            f"a single outlier among {n:,}; or a higher rate"
        )

    def warn_if_no_discovery(self, n: int, false_discovery_rate: float, *, stacklevel: int = 2) -> None:
        """A CalibrationWarning where no outlier can be found in a list of n images."""
        rate = validation.check_real(false_discovery_rate, "fdr", 0, 1, open_ends=True)
        if sentence := self.no_discovery(n, rate):
            warnings.warn(sentence, CalibrationWarning, stacklevel=stacklevel + 1)

    def discoveries(self, scores: Floats, false_discovery_rate: float) -> npt.NDArray[np.bool_]:
        """Which of many images are outliers at a false discovery rate; see :func:`cbn.metrics.conformal.discoveries`."""
        rate = validation.check_real(false_discovery_rate, "fdr", 0, 1, open_ends=True)
        return discoveries(self.p_values(scores), rate)
