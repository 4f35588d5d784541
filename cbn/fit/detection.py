# SPDX-License-Identifier: BSD-3-Clause
"""What a fitted network says of images: scores, p-values, verdicts."""

from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from ..cpd.base import SCORES
from ..metrics.calibration import Calibration, Verdicts
from .state import FittedState, Floats


class Detection(FittedState):
    """Scores and decisions of a fitted network."""

    def score_samples(self, X: Any, score: str | None = None) -> Floats:
        """Score of every image; higher is more normal.

        Parameters
        ----------
        X : array-like, (n, height, width) or flat
        score : str, optional
            One of the scores below; the constructor's (or the preset's) by default.

            - "log_probability": log p(image) in nats (thesis eq. 1), under the rule ``binarization_``.
            - "surprise": minus the sum of (-log p - entropy of the pixel given its parents), nats. Images of few
              strokes are likely under every model; this takes that advantage away.
            - "standardized": minus the surprise divided by the standard deviation that the model expects of it.
            - "normalized": minus the sum of \\|-log p - mean\\| / standard deviation, both of that pixel's -log p over
              the training images, the deviation at least 0.01 nats (thesis eq. 14, 15).

            With hidden layers the score is the sum over layers of weight x score, each brought to the spread that the
            pixel layer's has over the training images, so that no layer drowns the others. "log_probability" is then
            an energy in nats of the pixel layer, no normalized probability; :meth:`layer_scores` has its parts.

        Returns
        -------
        scores : ndarray, (n,) float64
        """
        return self.combined(self.planes(self.validated(X)), self.score_name(score))

    def mean_log_probability(self, X: Any) -> float:
        """Mean log-probability of the pixels of images, nats: of the normalized part of the network."""
        return float(self.layer_scores(X, "log_probability")[:, 0].mean())

    def layer_scores(self, X: Any, score: str | None = None) -> Floats:
        """The score of every layer before they are combined: (n, layers) float64, the pixel layer first.

        Parameters
        ----------
        X : array-like, (n, height, width) or flat
        score : str, optional
            As in :meth:`score_samples`. Column 0 of "log_probability" is the normalized log p(image) in nats.
        """
        planes = self.planes(self.validated(X))
        return self.network.layer_scores(planes, self.score_name(score), self.threads)

    def score_name(self, score: str | None) -> str:
        """A given score, checked, or that of the settings."""
        return self.settings.score if score is None else validation.check_choice(score, "score", SCORES)

    def decision_function(self, X: Any) -> Floats:
        """``score_samples(X) - offset_``: negative for outliers. (n,) float64."""
        return self.judged_scores(X) - self.calibration.offset

    def predict(self, X: Any) -> npt.NDArray[np.int64]:
        """+1 for normal images, -1 where the conformal p-value is at most the false-alarm rate. (n,) int64."""
        self.calibration.warn_if_too_few(stacklevel=4)
        return np.where(self.judged_scores(X) < self.calibration.offset, -1, 1)

    def p_values(self, X: Any) -> Floats:
        """Conformal p-values (n,) float64: small for outliers.

        With a separate calibration set (:meth:`calibrate`), a normal image exchangeable with that set has
        P(p <= a) <= a for every a, whatever the data: the false-alarm rate is guaranteed. With the leave-one-out
        scores of the training images (the default) no image is set aside, but the guarantee is only approximate: it
        is close where one image changes the counts little. So it is with those of cross-validation, for trees: their
        networks have seen fewer images, which makes alarms rarer.
        """
        return self.p_values_of(self.judged_scores(X))

    def judged_scores(self, X: Any) -> Floats:
        """Scores that can be compared with the calibration's and with the threshold: (n,) float64, higher is more normal.

        For tables they are those of :meth:`score_samples`. Trees were chosen with the training images in view, so that
        these are judged by networks grown without them, and new images by one of these networks.
        """
        return self.judged(self.planes(self.validated(X)))

    def verdicts(self, X: Any, *, false_alarm_rate: float | None = None, extrapolate: bool = False) -> Verdicts:
        """Normal, outlier or undecided, with p-values, their basis and the threshold.

        Parameters
        ----------
        X : array-like, (n, height, width) or flat
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
        return calibration.verdicts(self.judged_scores(X), extrapolate=extrapolate)

    def discoveries(self, X: Any, fdr: float = 0.05) -> npt.NDArray[np.bool_]:
        """Which of the images are outliers, such that of these the expected share of normal ones is at most ``fdr``.

        Benjamini & Hochberg 1995; for long lists of images, of which a false-alarm rate would call a share outliers even
        if all are normal. (n,) bool.
        """
        return self.calibration.discoveries(self.judged_scores(X), fdr)

    def p_values_of(self, scores: Floats) -> Floats:
        """Conformal p-values of given scores."""
        return self.calibration.p_values(scores)

    def threshold_at(self, false_alarm_rate: float) -> float:
        """The score below which images are outliers at a rate; -inf, with a warning, if too few calibration images."""
        return self.calibration.threshold_at(false_alarm_rate, stacklevel=4)

    def calibrated(self, X: Any) -> Self:
        """The same network with its threshold from normal images that had no part in training.

        P-values are then exactly valid.
        """
        rate = self.settings.false_alarm_rate
        calibration = Calibration.of(self.score_samples(X), "separate images", rate)
        calibration.warn_if_too_few(stacklevel=4)
        return replace(self, calibration=calibration, judge=None)
