# SPDX-License-Identifier: BSD-3-Clause
"""From scores to decisions: a threshold and p-values from the scores of normal images, for all estimators."""

import warnings

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import _validation as validation
from ..exceptions import CalibrationWarning
from ..metrics.conformal import alarm_threshold, conformal_p_values


class CalibrationMixin:
    """Decisions of an estimator that has ``score_samples`` and ``false_alarm_rate``."""

    def decision_function(self, X):
        """``score_samples(X) - offset_``: negative for outliers. (n,) float64."""
        return self.score_samples(X) - self.offset_

    def predict(self, X):
        """+1 for normal images, -1 where the conformal p-value is at most the false-alarm rate. (n,) int64."""
        return np.where(self.score_samples(X) < self.offset_, -1, 1)

    def p_values(self, X):
        """Conformal p-values (n,) float64: small for outliers.

        With a separate calibration set (:meth:`calibrate`), a normal image exchangeable with that set has
        P(p <= a) <= a for every a, whatever the data: the false-alarm rate is guaranteed. With the leave-one-out
        scores of the training images (the default) no image is set aside, but the guarantee is only approximate: it
        is close where one image changes the counts little. So it is with those of cross-validation, for trees: their
        networks have seen fewer images, which makes alarms rarer.
        """
        return self.p_values_of(self.score_samples(X))

    def p_values_of(self, scores):
        """Conformal p-values of given scores."""
        check_is_fitted(self, "calibration_scores_")
        return conformal_p_values(scores, self.calibration_scores_)

    def threshold_at(self, false_alarm_rate):
        """The score below which images are outliers at a rate; -inf, with a warning, if too few calibration images."""
        check_is_fitted(self, "calibration_scores_")
        rate = validation.check_real(false_alarm_rate, "false_alarm_rate", 0, 1, open_ends=True)
        threshold = alarm_threshold(self.calibration_scores_, rate)
        if threshold == -np.inf:
            n = len(self.calibration_scores_)
            needed = int(np.ceil(1 / rate)) - 1
            warnings.warn(
                f"{n} calibration images allow no alarm at a false-alarm rate of {rate:g}: at least {needed} are "
                "needed, or a higher rate",
                CalibrationWarning,
                stacklevel=3,
            )
        return threshold

    def calibrate(self, X):
        """Take the threshold from normal images that had no part in training: p-values are then exactly valid.

        Returns
        -------
        self
        """
        self._set_calibration(self.score_samples(X), "separate images")
        self.threshold_at(self.false_alarm_rate)  # warns of too few images
        return self

    def _set_calibration(self, scores, source):
        self.calibration_scores_ = np.sort(scores)
        self.calibration_ = source
        self.offset_ = alarm_threshold(self.calibration_scores_, self.false_alarm_rate)
