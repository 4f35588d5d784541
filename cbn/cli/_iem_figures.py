# SPDX-License-Identifier: BSD-3-Clause
"""How good an introspective energy model is on pictures with known defects, beside what needs no model at all."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ..datasets import InspectionSet
from ..iem.fitted import FittedEnergyModel
from ..iem.nn.arrays import Array
from ..metrics.bootstrap import bootstrap_auroc, bootstrap_f1
from ..metrics.localization import aupro, bootstrap_localization, mean_pixel_auroc, pixel_auroc
from ._common import Clock

FIGURES = ("image_auroc", "pixel_auroc", "mean_pixel_auroc", "aupro", "f1")
_GRADIENT_SIGMA = 1.0  # pixels: the image gradient is taken of a picture that is smoothed by so many


def evaluate(fitted: FittedEnergyModel, dataset: InspectionSet, clock: Clock) -> dict[str, Any]:
    """All figures of a model on the test pictures of an InspectionSet, as --json prints them.

    Figures are from 0 to 1, those that the pictures do not allow None: of pixels without masks, of images without both
    kinds of pictures.
    """
    result: dict[str, Any] = dict.fromkeys(FIGURES) | {
        "n_test": 0, "intervals": dict.fromkeys(FIGURES), "auroc_against_calibration": None, "n_alarms": None,
        "false_alarms": None, "good_against_calibration": None,
        "defects": [], "baselines": None,
    }  # fmt: skip
    test = dataset.test
    if test is None:
        return result
    with clock.part("score"):
        scores = fitted.score_samples(test)
    result["n_test"] = len(test)
    clock.seconds["score_per_image"] = clock.seconds["score"] / len(test)
    alarms = scores < fitted.calibration.offset
    result["n_alarms"] = int(alarms.sum())
    if dataset.labels is None:
        return result
    defective = dataset.labels == 1
    if not defective.all():
        result |= _good_pictures(fitted, scores[~defective], alarms[~defective])
    figures = {}
    if defective.any():
        figures["f1"] = bootstrap_f1(defective, alarms)
        result["auroc_against_calibration"] = _auroc(
            np.r_[np.ones(len(fitted.calibration.scores), bool), np.zeros(defective.sum(), bool)],
            np.r_[fitted.calibration.scores, scores[defective]],
        )
        if not defective.all():
            figures["image_auroc"] = bootstrap_auroc(~defective, scores)
            result["baselines"] = _brightness_baselines(dataset)
    maps = None
    known = dataset.has_mask
    if dataset.masks is not None and _mixed(dataset.masks[known]).any():
        with clock.part("maps"):
            maps = fitted.energy_map(test)
        with clock.part("figures"):
            figures |= bootstrap_localization(dataset.masks[known], maps[known])._asdict()
            result["baselines"] = (result["baselines"] or {}) | {"image_gradient": _gradient_baseline(dataset)}
    for name, interval in figures.items():
        result[name], result["intervals"][name] = interval.value, list(interval[1:])
    with clock.part("figures"):
        result["defects"] = _by_defect(dataset, scores, alarms, maps)
    return result


def _good_pictures(
    fitted: FittedEnergyModel, scores: npt.NDArray[np.float64], alarms: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    """False alarms among good test pictures, and whether their scores are like those that set the threshold."""
    from ..metrics.comparison import difference, share_interval

    share = share_interval(int(alarms.sum()), len(alarms))
    return {
        "false_alarms": {"n": int(alarms.sum()), "of": len(alarms), "rate": share.value, "interval": list(share[1:])},
        "good_against_calibration": difference(fitted.calibration.scores, scores)._asdict(),
    }


def _auroc(normal: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64]) -> float:
    """Area under the ROC curve; no interval is asked for, so one resample is enough."""
    return bootstrap_auroc(normal, scores, n_resamples=1).value


def _mixed(masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """(n,) bool: pictures with pixels of both kinds, of which alone the place of a defect can be asked."""
    return np.logical_xor(masks.any(axis=(1, 2)), masks.all(axis=(1, 2)))


def _by_defect(
    dataset: InspectionSet, scores: npt.NDArray[np.float64], alarms: npt.NDArray[np.bool_], maps: Array | None
) -> list[dict[str, Any]]:
    """Figures of every kind of defect against all good test pictures."""
    kinds = np.array(dataset.defects)
    good = dataset.labels == 0
    rows = []
    for kind in dataset.defect_types:
        own = kinds == kind
        chosen = own | good
        row = {"defect": kind, "n": int(own.sum()), "found": float(alarms[own].mean()), "image_auroc": None,
               "pixel_auroc": None, "aupro": None}  # fmt: skip
        if good.any():
            row["image_auroc"] = _auroc(good[chosen], scores[chosen])
        known = chosen if maps is None else chosen & dataset.has_mask
        if maps is not None and dataset.masks[own].any() and not dataset.masks[known].all():
            row["pixel_auroc"] = pixel_auroc(dataset.masks[known], maps[known])
            row["aupro"] = aupro(dataset.masks[known], maps[known])
        rows.append(row)
    return rows


def _brightness_baselines(dataset: InspectionSet) -> dict[str, float]:
    """AUROC of what a light meter tells: the mean brightness, and how far it is from the mean of training pictures."""
    defective = dataset.labels == 1
    train, test = (pictures.reshape(len(pictures), -1).mean(axis=1) for pictures in (dataset.train, dataset.test))
    return {
        "mean_brightness": _auroc(defective, test),
        "brightness_distance": _auroc(defective, np.abs(test - train.mean())),
    }


def _gradient_baseline(dataset: InspectionSet) -> dict[str, float]:
    """Figures of maps that are the magnitude of the image gradient."""
    from scipy.ndimage import gaussian_gradient_magnitude

    maps = np.empty(dataset.masks.shape, np.float32)
    for own, picture in zip(maps, dataset.test, strict=True):
        grey = picture if picture.ndim == 2 else picture.mean(axis=2)
        gaussian_gradient_magnitude(grey.astype(np.float32), _GRADIENT_SIGMA, output=own)
    functions = {"pixel_auroc": pixel_auroc, "mean_pixel_auroc": mean_pixel_auroc, "aupro": aupro}
    known = dataset.has_mask
    return {name: function(dataset.masks[known], maps[known]) for name, function in functions.items()}
