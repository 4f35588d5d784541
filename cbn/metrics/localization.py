# SPDX-License-Identifier: BSD-3-Clause
"""How well anomaly maps find defects: pixel AUROC and AUPRO over all thresholds, with bootstrap intervals by image.

AUPRO is the area under the curve of per-region overlap (the share of each connected defect that is found, averaged over
the defects of all images, so that small ones count as much as large ones) against the false-positive rate of normal
pixels, up to a limit, divided by the limit: P. Bergmann et al., "The MVTec anomaly detection dataset", IJCV 129(4),
2021, section 5.2.

Both areas are sums over the pixels of defects. Let a and b be the shares of normal pixels above a pixel's value, and
at or above it. The pixel is not found at false-positive rates below a, and found beyond b; between them, a tie, the
curve is straight. So each pixel adds its weight times the part of its own step that lies below the limit, and only the
normal pixels need sorting.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from .._validation import RandomState
from ..exceptions import DataError
from .bootstrap import Interval

Maps = npt.NDArray[np.float32 | np.float64]

LIMIT = 0.3  # highest false-positive rate of AUPRO in the literature on MVTec AD

_BINS = 1024  # quantiles of the normal pixels that a resample of the bootstrap tells apart
_BATCH = 100  # resamples at a time
_WHOLE = 2.0**32  # shares of regions as whole numbers, so that their sums do not depend on the order


class LocalizationFigures(NamedTuple):
    """Figures from 0 to 1, each with its bootstrap interval; see the functions of the same names."""

    pixel_auroc: Interval
    mean_pixel_auroc: Interval
    aupro: Interval


def pixel_auroc(masks: npt.ArrayLike, maps: npt.ArrayLike) -> float:
    """Area under the ROC curve of all pixels of all images together.

    Parameters
    ----------
    masks : array-like of bool, (n, height, width)
        True where an image is defective. Images without defects belong in here, too.
    maps : array-like, (n, height, width)
        Higher is more anomalous. Equal values count half.

    Returns
    -------
    float

    Raises
    ------
    DataError
        Other shapes or types, NaN among the maps, or pixels of one kind only.

    Examples
    --------
    >>> pixel_auroc([[[True, False, False]]], [[[0.5, 0.7, 0.1]]])
    0.5
    """
    return _Pixels(masks, maps).area(1.0)


def mean_pixel_auroc(masks: npt.ArrayLike, maps: npt.ArrayLike) -> float:
    """Mean over images of the area under the ROC curve of the pixels of one image.

    Images whose mask is empty or full have no such area and do not count. It says less than :func:`pixel_auroc`, for a
    map may have any scale in every image, but it cannot be won by brightness that differs between images.

    Parameters, errors
        As for :func:`pixel_auroc`; there must be an image with pixels of both kinds.

    Examples
    --------
    >>> masks, maps = [[[True, False]], [[True, False]]], [[[2.0, 1.0]], [[20.0, 10.0]]]
    >>> mean_pixel_auroc(masks, maps), pixel_auroc(masks, maps)  # the second image is ten times as bright
    (1.0, 0.75)
    """
    return float(np.mean(_Pixels(masks, maps).image_areas()[1]))


def aupro(masks: npt.ArrayLike, maps: npt.ArrayLike, limit: float = LIMIT) -> float:
    """Area under the curve of per-region overlap up to a false-positive rate, divided by that rate.

    A perfect map has 1, one that is constant limit / 2. All thresholds count, ties as straight lines. Regions touch
    also at corners.

    Parameters
    ----------
    masks, maps
        As for :func:`pixel_auroc`.
    limit : float
        Highest false-positive rate, above 0 and up to 1.

    Returns
    -------
    float

    Raises
    ------
    DataError
        As :func:`pixel_auroc`.
    ValueError
        A limit outside its range.

    Examples
    --------
    >>> masks = [[[True, False, True, True, False]]]  # two defects
    >>> aupro(masks, [[[9, 1, 5, 0, 0]]])  # the first is found, and half of the second
    0.75
    """
    return _Pixels(masks, maps).area(_check_limit(limit), by_region=True)


def bootstrap_localization(
    masks: npt.ArrayLike,
    maps: npt.ArrayLike,
    *,
    limit: float = LIMIT,
    level: float = 0.95,
    n_resamples: int = 1000,
    random_state: RandomState = 0,
) -> LocalizationFigures:
    """All figures of localization, with percentile-bootstrap confidence intervals over images.

    Every resample draws as many images with defects and as many without as there are, with replacement. The figures
    themselves are exact; those of resamples tell about 2000 values of the maps apart, evenly over the normal pixels,
    which moves them by less than a thousandth.

    Parameters
    ----------
    masks, maps, limit
        As for :func:`aupro`.
    level, n_resamples, random_state
        As for :func:`cbn.metrics.bootstrap.bootstrap_auroc`.

    Returns
    -------
    LocalizationFigures

    Raises
    ------
    DataError, ValueError
        As :func:`aupro`; arguments outside their range.

    Examples
    --------
    >>> bootstrap_localization([[[True, False]]], [[[2.0, 1.0]]], n_resamples=10).aupro
    Interval(value=1.0, low=1.0, high=1.0)
    """
    limit = _check_limit(limit)
    level = validation.check_real(level, "level", 0, 1, open_ends=True)
    n_resamples = validation.check_integer(n_resamples, "n_resamples", 1, 10**7)
    generator = np.random.default_rng(validation.check_seed(random_state))
    pixels = _Pixels(masks, maps)
    images, areas = pixels.image_areas()
    own_area = np.zeros(pixels.n_images)
    own_area[images] = np.rint(areas * _WHOLE)
    has_area = np.zeros(pixels.n_images)
    has_area[images] = 1
    normal, found, regions = pixels.histograms()
    n_found = found.sum(axis=1)
    groups = [group for group in (np.flatnonzero(n_found > 0), np.flatnonzero(n_found == 0)) if len(group)]
    figures = np.empty((n_resamples, 3))
    for first in range(0, n_resamples, _BATCH):
        times = np.zeros((min(_BATCH, n_resamples - first), pixels.n_images))
        for own in times:
            drawn = np.concatenate([group[generator.integers(len(group), size=len(group))] for group in groups])
            own += np.bincount(drawn, minlength=pixels.n_images)
        # products of whole numbers, below 2^53 in all: exact in any order
        false_positives = _curves(times @ normal)
        part = figures[first : first + len(times)]
        part[:, 0] = _areas(false_positives, _curves(times @ found), 1.0)
        n_areas = times @ has_area
        # a resample may hold no image that has an area of its own
        part[:, 1] = np.where(n_areas > 0, times @ own_area / (np.maximum(n_areas, 1) * _WHOLE), np.nan)
        part[:, 2] = _areas(false_positives, _curves(times @ regions), limit)
    exact = pixels.area(1.0), float(np.mean(areas)), pixels.area(limit, by_region=True)
    bounds = np.nanquantile(figures, ((1 - level) / 2, (1 + level) / 2), axis=0)
    return LocalizationFigures(*(Interval(value, float(low), float(high)) for value, low, high in zip(exact, *bounds)))


class _Pixels:
    """Normal pixels sorted, defective ones in the order of the images."""

    def __init__(self, masks: npt.ArrayLike, maps: npt.ArrayLike) -> None:
        self.masks, self.maps = _check(masks, maps)
        self.n_images = len(self.masks)
        self.normal = np.sort(self.maps[~self.masks])
        self.defective = self.maps[self.masks]

    def area(self, limit: float, by_region: bool = False) -> float:
        """Area below `limit` divided by it; the defective pixels or the regions have equal weight."""
        steps = _steps_below(self.defective, self.normal, limit)
        if not by_region:
            return float(np.mean(steps))
        regions, n_regions = self.regions()
        own = np.bincount(regions, weights=steps, minlength=n_regions) / np.bincount(regions, minlength=n_regions)
        return float(np.mean(own))

    def regions(self) -> tuple[npt.NDArray[np.int32 | np.int64], int]:
        """(the region of every defective pixel, 0, 1, ...; their number)."""
        from scipy import ndimage

        structure = np.zeros((3, 3, 3), dtype=bool)
        structure[1] = True  # neighbours in the image, none in the images before and after
        labels, n_regions = ndimage.label(self.masks, structure=structure)
        return labels[self.masks] - 1, n_regions

    def image_areas(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
        """(numbers of the images with pixels of both kinds, AUROC of the pixels of each)."""
        n_defective = self.masks.sum(axis=(1, 2))
        images = np.flatnonzero((n_defective > 0) & (n_defective < self.masks[0].size))
        if not len(images):
            raise DataError("masks: no image has both normal and defective pixels; give at least one")
        areas = [
            np.mean(_steps_below(own[mask], np.sort(own[~mask]), 1.0))
            for own, mask in ((self.maps[i], self.masks[i]) for i in images)
        ]
        return images, np.array(areas)

    def histograms(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Pixels by bin of their value, highest first: three float64 arrays (images, bins) of whole numbers.

        Normal pixels, defective pixels, and shares of regions times 2^32.
        """
        n = len(self.normal)
        values = self.normal[(np.arange(_BINS) * n) // _BINS]
        # what equals one of these values stays apart from what lies between two of them
        edges = np.unique([values, np.nextafter(values, values.dtype.type(np.inf))])
        n_bins = len(edges) + 1
        regions, n_regions = self.regions()
        share = np.rint(_WHOLE / np.bincount(regions, minlength=n_regions))[regions]
        ends = np.cumsum(self.masks.sum(axis=(1, 2)))
        normal, found, weighted = (np.empty((self.n_images, n_bins)) for _ in range(3))
        for i, (own, mask) in enumerate(zip(self.maps, self.masks)):
            normal[i] = np.bincount(n_bins - 1 - np.searchsorted(edges, own[~mask], "right"), minlength=n_bins)
            places = n_bins - 1 - np.searchsorted(edges, own[mask], "right")
            found[i] = np.bincount(places, minlength=n_bins)
            begin = ends[i] - len(places)
            weighted[i] = np.bincount(places, weights=share[begin : ends[i]], minlength=n_bins)
        return normal, found, weighted


def _steps_below(defective: Maps, normal: Maps, limit: float) -> npt.NDArray[np.float64]:
    """For every defective pixel the part of its step of the curve below `limit`, divided by `limit`: (n,) float64."""
    n = len(normal)
    above = (n - np.searchsorted(normal, defective, "right")) / n
    at_or_above = (n - np.searchsorted(normal, defective, "left")) / n
    whole = limit - 0.5 * (above + at_or_above)
    if limit < 1:
        width = np.where(at_or_above > above, at_or_above - above, 1)
        cut = np.clip(limit - above, 0, None) ** 2 / (2 * width)
        whole = np.where(at_or_above <= limit, whole, cut)
    return whole / limit


def _curves(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Cumulative shares of each row, from 0 to 1."""
    sums = np.cumsum(counts, axis=1)
    whole = sums[:, -1:]  # 0 in a resample without such pixels: its figures are NaN and left out
    shares = np.divide(sums, whole, out=np.full(sums.shape, np.nan), where=whole > 0)
    return np.hstack([np.zeros((len(counts), 1)), shares])


def _areas(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], limit: float) -> npt.NDArray[np.float64]:
    """Areas under broken lines, one a row, up to x = limit, divided by it; x does not decrease, from 0 to 1."""
    # each step ends at the limit, where it is cut in proportion; steps beyond have no width
    left, right = np.minimum(x[:, :-1], limit), np.minimum(x[:, 1:], limit)
    width = x[:, 1:] - x[:, :-1]
    share = np.divide(right - left, width, out=np.zeros_like(width), where=width > 0)
    ends = y[:, :-1] + (y[:, 1:] - y[:, :-1]) * share
    return np.sum((right - left) * (y[:, :-1] + ends), axis=1) / (2 * limit)


def _check_limit(limit: float) -> float:
    value = validation.check_real(limit, "limit", 0, 1)
    if value == 0:
        raise ValueError("limit: 0; give a false-positive rate above 0, such as 0.3")
    return value


def _check(masks: npt.ArrayLike, maps: npt.ArrayLike) -> tuple[npt.NDArray[np.bool_], Maps]:
    masks, maps = validation.as_array(masks, "masks"), validation.as_array(maps, "maps")
    if masks.dtype != bool:
        raise DataError(f"masks: {masks.dtype}; give booleans, True where an image is defective")
    if masks.ndim != 3 or masks.shape != maps.shape:
        raise DataError(f"maps: shape {maps.shape} for masks of shape {masks.shape}; give both (n, height, width)")
    if maps.dtype.kind not in "iuf" or np.isnan(maps).any():
        raise DataError("maps: not all values are numbers; remove those images or replace the values")
    maps = maps if maps.dtype in (np.float32, np.float64) else maps.astype(np.float64)
    n_defective = int(masks.sum())
    if n_defective in (0, masks.size):
        raise DataError(f"masks: {n_defective} defective of {masks.size} pixels; give some of both kinds")
    return masks, maps
