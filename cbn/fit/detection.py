# SPDX-License-Identifier: BSD-3-Clause
"""What a fitted network says of images: scores, p-values, verdicts."""

from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from ..bits.digest import KEY as DIGEST
from ..bits.digest import Digest
from ..cpd.base import SCORES
from ..distributed import is_dask, lazily
from ..layers.contrast import NAME as CONTRAST
from ..metrics.calibration import SEPARATE, Calibration
from ..metrics.decisions import Decisions
from ..metrics.separation import check_separate
from .preparing import packed
from .state import FittedState, Floats


class Detection(Decisions, FittedState):
    """Scores and decisions of a fitted network."""

    def score_samples(self, X: Any, score: str | None = None) -> Floats:
        """Score of every image; higher is more normal.

        Parameters
        ----------
        X : array-like or dask array, (n, height, width) or flat
            Of a dask array the scores are one, computed block by block when they are asked for.
        score : str, optional
            One of the scores below; the constructor's (or the preset's) by default.

            - "log_probability": log p(image) in nats (thesis eq. 1), under the rule ``binarization_``.
            - "surprise": minus the sum of (-log p - entropy of the pixel given its parents), nats. Images of few
              strokes are likely under every model; this takes that advantage away.
            - "standardized": minus the surprise divided by the standard deviation that the model expects of it.
            - "normalized": minus the sum of \\|-log p - mean\\| / standard deviation, both of that pixel's -log p over
              the training images, the deviation at least 0.01 nats (thesis eq. 14, 15).
            - "contrast": "standardized", and how much more the image surprises a network of its class than one of
              strokes in general, as a whole and at places; only of a model that has a contrast (preset "best"). In
              standard deviations of the contrast's part over normal images.

            With hidden layers the score is the sum over layers of weight x score, each brought to the spread that the
            pixel layer's has over the training images, so that no layer drowns the others. "log_probability" is then
            an energy in nats of the pixel layer, no normalized probability; :meth:`layer_scores` has its parts.

        Returns
        -------
        scores : ndarray or dask array, (n,) float64
        """
        if is_dask(X):
            return lazily(Detection.score_samples, self, X, self.score_name(score))
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
            As in :meth:`score_samples`. Column 0 of "log_probability" is the normalized log p(image) in nats. Of
            "contrast" there are two columns more: minus the log-ratio of the image, in nats, and minus what is above the
            normal at places.
        """
        planes = self.planes(self.validated(X))
        return self.network.layer_scores(planes, self.score_name(score), self.threads)

    def score_name(self, score: str | None) -> str:
        """A given score, checked, or that of the settings."""
        return self.settings.score if score is None else validation.check_choice(score, "score", self.score_names)

    @property
    def score_names(self) -> tuple[str, ...]:
        """The scores that this network has."""
        return (*SCORES, *((CONTRAST,) if self.network.contrast else ()))

    def judged_scores(self, X: Any) -> Floats:
        """Scores that can be compared with the calibration's and with the threshold: (n,) float64, higher is more normal.

        For tables they are those of :meth:`score_samples`. Trees were chosen with the training images in view, so that
        these are judged by networks grown without them, and new images by one of these networks.
        """
        if is_dask(X):
            return lazily(Detection.judged_scores, self, X)
        return self.judged(self.planes(self.validated(X)))

    def calibrated(self, X: Any) -> Self:
        """The same network with its threshold from normal images that had no part in training.

        P-values are then exactly valid.

        Raises
        ------
        DataError
            Images that cannot be used, or those that the network was trained on.
        """
        rate = self.settings.false_alarm_rate
        if is_dask(X):
            scores, judged = (np.asarray(own(X)) for own in (self.score_samples, self.judged_scores))
            trained_on = False
        else:
            images = self.validated(X)
            planes = self.planes(images)
            scores = self.combined(planes, self.settings.score)
            judged = scores if self.judge is None else self.judged(planes)
            trained_on = self._trained_on(images)
        suspected = check_separate(self.calibration, judged, trained_on=trained_on, stacklevel=3)
        if self.judge is not None and not suspected:  # it has not seen some of the training images, this network has
            check_separate(self.calibration, scores, trained_on=False, stacklevel=3)
        calibration = Calibration.of(scores, SEPARATE, rate)
        calibration.warn_if_too_few(stacklevel=3)
        return replace(self, calibration=calibration, judge=None)

    def _trained_on(self, images: npt.NDArray[Any]) -> bool:
        """Whether validated images are, as bits, all that were counted, in whatever order."""
        shift = self.settings.shift
        if len(images) > self.n_images or (not shift and len(images) != self.n_images):
            return False
        counted = packed(self.binarization, images, shift, self.threads)[1]
        return str(Digest.of(counted, self.threads)) == self.provenance.get(DIGEST)
