# SPDX-License-Identifier: BSD-3-Clause
"""How well scores separate normal images from others, and how sure one can be of it."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from .._validation import RandomState
from ..exceptions import DataError


class Interval(NamedTuple):
    """A figure with its bootstrap interval."""

    value: float
    low: float
    high: float


def auroc(normal: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Area under the ROC curve, from 0 to 1: the share of pairs of a normal and another image in the right order.

    Parameters
    ----------
    normal : array-like of bool, (n,)
        Which images are normal.
    scores : array-like, (n,)
        Higher is more normal. Equal scores count half.

    Raises
    ------
    DataError
        As :func:`bootstrap_auroc`.

    Examples
    --------
    >>> auroc([True, True, False, False], [3, 1, 1, 0])
    0.875
    """
    normal, scores = _tasks(normal, scores)
    return float(np.mean([_Ranked(*task).area(np.arange(normal.shape[1])) for task in zip(normal, scores)]))


def bootstrap_auroc(
    normal: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    level: float = 0.95,
    n_resamples: int = 1000,
    random_state: RandomState = 0,
) -> Interval:
    """Area under the ROC curve, with a percentile-bootstrap confidence interval.

    Every resample draws as many normal and as many other images as there are, with replacement; the interval has the
    quantiles (1 - level) / 2 and (1 + level) / 2 of the resampled areas. It tells how far the figure depends on which
    test images there are, not how far it depends on the training images.

    Several tasks on the same images, such as one digit after the other against all others, give the mean of their
    areas. A resample then draws the images once for all tasks, within every group of images that are normal in the
    same tasks, because the areas of the tasks are not independent.

    Parameters
    ----------
    normal : array-like of bool, (n,) or (tasks, n)
        Which images are normal.
    scores : array-like, the shape of ``normal``
        Higher is more normal. Equal scores count half.
    level : float
        Share of the resampled areas within the interval.
    n_resamples : int
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        The same integer gives the same interval.

    Returns
    -------
    Interval
        ``value``, the area for the images as they are, ``low`` and ``high``, from 0 to 1.

    Raises
    ------
    DataError
        Other shapes, labels that are not boolean, NaN among the scores, or a task of only one class.
    ValueError
        ``level``, ``n_resamples`` or ``random_state`` outside its range.

    Notes
    -----
    B. Efron, R. J. Tibshirani, *An Introduction to the Bootstrap*, 1993, section 13.3.

    Examples
    --------
    >>> bootstrap_auroc([True, True, True, False, False], [0.9, 0.8, 0.4, 0.5, 0.1]).value  # 5 of 6 pairs in order
    0.8333333333333334
    """
    level = validation.check_real(level, "level", 0, 1, open_ends=True)
    n_resamples = validation.check_integer(n_resamples, "n_resamples", 1, 10**7)
    seed = validation.check_seed(random_state)
    normal, scores = _tasks(normal, scores)
    tasks = [_Ranked(*task) for task in zip(normal, scores)]
    # images that are normal in the same tasks
    groups = np.unique(normal, axis=1, return_inverse=True)[1].ravel()
    members = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
    generator = np.random.default_rng(seed)
    areas = np.empty(n_resamples)
    for i in range(n_resamples):
        drawn = np.concatenate([own[generator.integers(len(own), size=len(own))] for own in members])
        areas[i] = np.mean([task.area(drawn) for task in tasks])
    low, high = np.quantile(areas, ((1 - level) / 2, (1 + level) / 2))
    auroc = np.mean([task.area(np.arange(normal.shape[1])) for task in tasks])
    return Interval(float(auroc), float(low), float(high))


def bootstrap_f1(
    defective: npt.ArrayLike,
    alarms: npt.ArrayLike,
    *,
    level: float = 0.95,
    n_resamples: int = 1000,
    random_state: RandomState = 0,
) -> Interval:
    """F1 of alarms: 2 true / (2 true + false + missed), with a percentile-bootstrap confidence interval.

    Every resample draws as many images with defects and as many without as there are, with replacement.

    Parameters
    ----------
    defective : array-like of bool, (n,)
        Which images have defects.
    alarms : array-like of bool, (n,)
        Which images were called so.
    level, n_resamples, random_state
        As for :func:`bootstrap_auroc`.

    Returns
    -------
    Interval

    Raises
    ------
    DataError
        Other shapes or types, or no image with a defect.
    ValueError
        ``level``, ``n_resamples`` or ``random_state`` outside its range.

    Examples
    --------
    >>> bootstrap_f1([True, True, False], [True, False, False]).value
    0.6666666666666666
    """
    level = validation.check_real(level, "level", 0, 1, open_ends=True)
    n_resamples = validation.check_integer(n_resamples, "n_resamples", 1, 10**7)
    generator = np.random.default_rng(validation.check_seed(random_state))
    defective, alarms = validation.as_array(defective, "defective"), validation.as_array(alarms, "alarms")
    if defective.dtype != bool or alarms.dtype != bool or defective.ndim != 1 or defective.shape != alarms.shape:
        raise DataError(
            f"alarms: {alarms.dtype} {alarms.shape} for defective {defective.dtype} {defective.shape}; give booleans, "
            "both of shape (n,)"
        )
    if not defective.any():
        raise DataError("defective: no image has a defect; give at least one")

    def f1(caught: npt.NDArray[np.bool_], false: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        return 2 * caught.sum(axis=-1) / (caught.sum(axis=-1) + false.sum(axis=-1) + caught.shape[-1])

    caught, false = alarms[defective], alarms[~defective]
    drawn = [
        own[generator.integers(len(own), size=(n_resamples, len(own)))] if len(own) else own for own in (caught, false)
    ]
    low, high = np.quantile(f1(*drawn), ((1 - level) / 2, (1 + level) / 2))
    return Interval(float(f1(caught, false)), float(low), float(high))


class _Ranked:
    """One task, its scores replaced by ranks 0, 1, ...: a resample then needs no sorting."""

    def __init__(self, normal: npt.NDArray[np.bool_], scores: npt.NDArray[Any]) -> None:
        values, ranks = np.unique(scores, return_inverse=True)
        self.n_values = len(values)
        # one histogram for both classes: the ranks of normal images come after those of the others
        self.places = ranks + self.n_values * normal
        self.n_pairs = int(normal.sum()) * int((~normal).sum())

    def area(self, drawn: npt.NDArray[np.intp]) -> float:
        counts = np.bincount(self.places[drawn], minlength=2 * self.n_values)
        others, own = counts[: self.n_values], counts[self.n_values :]
        # twice the number of other images below each value, half of those at it: whole numbers
        below = 2 * np.cumsum(others) - others
        return int(own @ below) / (2 * self.n_pairs)


def _tasks(normal: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[npt.NDArray[np.bool_], npt.NDArray[Any]]:
    """(tasks, n) booleans and scores."""
    normal, scores = validation.as_array(normal, "normal"), validation.as_array(scores, "scores")
    if normal.dtype != bool:
        raise DataError(f"normal: {normal.dtype}; give booleans, True for normal images, such as labels == 2")
    if normal.ndim not in (1, 2) or normal.shape != scores.shape:
        raise DataError(
            f"scores: shape {scores.shape} for labels of shape {normal.shape}; give both (n,) or (tasks, n)"
        )
    if scores.dtype.kind not in "iuf" or np.isnan(scores).any():
        raise DataError("scores: not all of them are numbers; remove those images or replace the values")
    normal, scores = np.atleast_2d(normal), np.atleast_2d(scores)
    for number, own in enumerate(normal):
        if own.all() or not own.any():
            raise DataError(
                f"normal: task {number} has {int(own.sum())} normal of {own.size} images; give some of both"
            )
    if not len(normal):
        raise DataError("normal: no tasks; give at least one")
    return normal, scores
