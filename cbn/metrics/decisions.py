# SPDX-License-Identifier: BSD-3-Clause
"""The decisions of a fitted object that has scores and a calibration: the same for networks and energy models."""

from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from .calibration import Calibration, Verdicts

Floats = npt.NDArray[np.float64]


class Decisions:
    """P-values, thresholds and verdicts from :meth:`judged_scores` and ``calibration``.

    Attributes
    ----------
    calibration : Calibration
        A field of the fitted object.
    """

    calibration: Calibration

    @abstractmethod
    def judged_scores(self, X: Any) -> Floats:
        """Scores that can be compared with the calibration's and with the threshold: (n,) float64, higher is more normal."""

    def decision_function(self, X: Any) -> Floats:
        """``judged_scores(X) - offset_``: negative for outliers. (n,) float64."""
        return self.judged_scores(X) - self.calibration.offset

    def predict(self, X: Any) -> npt.NDArray[np.int64]:
        """+1 for normal images, -1 where the conformal p-value is at most the false-alarm rate. (n,) int64.

        Where there are too few calibration images for the rate all are +1, with a CalibrationWarning; :meth:`verdicts`
        calls them undecided.
        """
        self.calibration.warn_if_too_few(stacklevel=3)
        outlier = self.judged_scores(X) < self.calibration.offset
        return 1 - 2 * outlier.astype(np.int64)

    def p_values(self, X: Any) -> Floats:
        """Conformal p-values (n,) float64: small for outliers.

        With a separate calibration set (``calibrate``), a normal image exchangeable with that set has P(p <= a) <= a for
        every a, whatever the data: the false-alarm rate is guaranteed. What else the scores of normal images come from
        makes it approximate: leave-one-out scores (tables) are close to it where one image changes the counts little,
        those of cross-validation (trees) are of networks that have seen fewer images, and held-out pictures (energy
        models) also say what errors are usual, each by the statistics of the others. With the training images' own
        scores false alarms are more frequent than asked for.
        """
        return self.p_values_of(np.asarray(self.judged_scores(X)))

    def p_values_of(self, scores: Floats) -> Floats:
        """Conformal p-values of given scores."""
        return self.calibration.p_values(scores)

    def verdicts(self, X: Any, *, false_alarm_rate: float | None = None, extrapolate: bool = False) -> Verdicts:
        """Normal, outlier or undecided, with p-values, their basis and the threshold.

        Parameters
        ----------
        X : array-like, (n, height, width)
            Images as ``score_samples`` takes them.
        false_alarm_rate : float, optional
            That of the fit by default.
        extrapolate : bool
            With too few calibration images for the rate: verdicts of a fitted tail, marked as such, rather than
            "undecided".

        Returns
        -------
        cbn.metrics.calibration.Verdicts
        """
        calibration = self.calibration if false_alarm_rate is None else self.calibration.at(false_alarm_rate)
        return calibration.verdicts(np.asarray(self.judged_scores(X)), extrapolate=extrapolate)

    def discoveries(self, X: Any, fdr: float = 0.05) -> npt.NDArray[np.bool_]:
        """Which of the images are outliers, such that of these the expected share of normal ones is at most ``fdr``.

        Benjamini & Hochberg 1995; for long lists of images, of which a false-alarm rate would call a share outliers even
        if all are normal. Where there are too few calibration images for any, none, with a CalibrationWarning. (n,) bool.
        """
        scores = np.asarray(self.judged_scores(X))
        self.calibration.warn_if_no_discovery(len(scores), fdr, stacklevel=3)
        return self.calibration.discoveries(scores, fdr)

    def threshold_at(self, false_alarm_rate: float) -> float:
        """The score below which images are outliers at a rate; -inf, with a warning, if too few calibration images."""
        return self.calibration.threshold_at(false_alarm_rate, stacklevel=3)
