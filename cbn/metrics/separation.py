# SPDX-License-Identifier: BSD-3-Clause
"""Whether images that are to set a threshold had no part in training, as far as scores and records can tell."""

import math
import warnings

import numpy as np
import numpy.typing as npt

from ..exceptions import CalibrationWarning, DataError
from .calibration import SEPARATE, Calibration

Floats = npt.NDArray[np.float64]

# Calibration scores of images that the model, or the one that judged them, had not seen.
LEFT_OUT = ("leave-one-out", "cross-validation", "held-out images")
# Of a million calibrations on images like those of training, one is suspected.
SUSPICION = 1e-6
# Without an image a network is a little smaller, and where hardly any pixel changes all scores are a little lower. What is
# less than this share of their deviation is no sign, nor is a threshold that does not raise so many times the alarms asked for.
MARGIN, HARM = 0.05, 2


def check_separate(known: Calibration, scores: Floats, *, trained_on: bool, stacklevel: int = 2) -> bool:
    """Refuses images that a model was trained on, and warns of such as look like it; whether it has warned.

    A model knows images that it was trained on too well: their scores are higher than those of new ones, so that a threshold
    from them makes false alarms of most new images. Where only some of them are among the images of a calibration no
    record tells; but then scores are higher than those of images that were left out.

    Parameters
    ----------
    known : Calibration
        That of the model before.
    scores : ndarray, (n,)
        Of the images of the new one, comparable with the scores of ``known``.
    trained_on : bool
        They are the very images that the model was trained on, all of them and no others.

    Raises
    ------
    DataError
        Such images, unless all have the same score: equal images raise no alarm, whichever of them set the threshold.
    """
    if trained_on and scores.min() < scores.max():
        of = f" of {len(known.scores):,} {known.source} scores" if known.source in LEFT_OUT[:2] else " of its own"
        raise DataError(
            f"X: are the images that the model was trained on; give others, or none: the model has a threshold{of}"
        )
    if known.source not in LEFT_OUT:
        return False
    left_out = known.scores + MARGIN * known.scores.std()
    alarms = int((left_out < Calibration.of(scores, SEPARATE, known.false_alarm_rate).offset).sum())
    if alarms > HARM * known.false_alarm_rate * len(left_out) and suspicion(left_out, scores) < SUSPICION:
        warnings.warn(
            "the calibration images look like images of the training: their scores are so high that the threshold calls "
            f"{alarms:,} of {len(left_out):,} images left out of it outliers; give images that had no part in training",
            CalibrationWarning,
            stacklevel=stacklevel + 1,
        )
        return True
    return False


def suspicion(left_out: Floats, scores: Floats) -> float:
    """How probable it is that scores of new images are as high as these, beside scores of images left out of training.

    The smaller p-value of two tests: the one-sided one of Mann & Whitney, and that the highest of all scores are none of images
    left out, which sees a part of training images among others.

    >>> suspicion(np.arange(100.0), np.arange(100.0) + 0.5) > 0.1, suspicion(np.arange(100.0), np.arange(100.0) + 60) < 1e-6
    (True, True)
    """
    from scipy.stats import mannwhitneyu

    higher = float(mannwhitneyu(scores, left_out, alternative="greater").pvalue)
    n, above = len(scores), int((scores > left_out.max()).sum())
    return min(higher, math.exp(_log_choose(n, above) - _log_choose(n + len(left_out), above)))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
