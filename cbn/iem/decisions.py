# SPDX-License-Identifier: BSD-3-Clause
"""What fitted models of pictures share, whatever their sidewards models: decisions, and a threshold taken anew."""

import hashlib
import math
from abc import abstractmethod
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from ..distributed import is_dask
from ..metrics.calibration import SEPARATE, Calibration
from ..metrics.decisions import Decisions
from ..metrics.separation import check_separate
from .nn.arrays import Shape


class PictureDecisions(Decisions):
    """Decisions by :meth:`score_samples`.

    Attributes
    ----------
    picture_shape : (height, width, channels)
    calibration : Calibration
    provenance : dict
        Fields of the fitted dataclass.
    """

    picture_shape: Shape
    provenance: dict[str, Any]

    @abstractmethod
    def score_samples(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Minus the energy of every picture (n,) float64; higher is more normal."""

    @property
    def n_features(self) -> int:
        """Values of a picture."""
        return math.prod(self.picture_shape)

    def judged_scores(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Scores that can be compared with the calibration's and with the threshold: those of :meth:`score_samples`."""
        return self.score_samples(X)

    def calibrate(self, X: npt.ArrayLike) -> Self:
        """The same model with the threshold from normal pictures that had no part in its fit: p-values are then valid.

        Parameters
        ----------
        X : array-like, (n, height, width) or (n, height, width, channels)

        Raises
        ------
        DataError
            Pictures that cannot be used, or those that the model was trained on.
        """
        rate = self.calibration.false_alarm_rate
        trained_on = False
        if not is_dask(X):
            X = validation.as_pictures(X, picture_shape=self.picture_shape)
            trained_on = self._trained_on(X)
        scores = np.asarray(self.score_samples(X))
        check_separate(self.calibration, scores, trained_on=trained_on, stacklevel=3)
        calibration = Calibration.of(scores, SEPARATE, rate)
        calibration.threshold_at(rate, stacklevel=3)  # warns of too few pictures
        return replace(self, calibration=calibration, provenance=dict(self.provenance))  # type: ignore[type-var]

    def _trained_on(self, pictures: npt.NDArray[Any]) -> bool:
        """Whether pictures are all those of the fit, in the same order."""
        return hashlib.sha256(pictures.data).hexdigest() == self.provenance.get("data_sha256")
