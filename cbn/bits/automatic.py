# SPDX-License-Identifier: BSD-3-Clause
"""The thresholds of "auto": where the grey values of the training images part background and ink, and cut the ink.

What the frame of the pictures holds is the background: its level (the median) and how far it reaches, from the noise of
neighbouring pixels and from the spread of its values, within a picture and between pictures. Ink is what differs from it
by more than that, brighter or darker. No threshold lies within the noise of the background, nor where the noise of the
ink alone would decide.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from .._validation import Images

Floats = npt.NDArray[np.floating[Any]]

# Where the grey share of the ink (values above INK) reaches GREY_SHARE, levels are kept: scanned or photographed objects
# have 0.7 to 1, pen strokes about 0.5. The lowest threshold then parts object and background, and the others cut the ink
# into parts of equal size, wherever its grey values lie.
ONE_THRESHOLD, INK, WHITE, GREY_SHARE = (0.3,), 0.1, 0.9, 2 / 3
QUARTILES = (0.25, 0.5, 0.75)
# The background ends REACH standard deviations from its level, but never beyond the middle between it and the ink. That
# is seen beyond INK_REACH, where the noise itself leaves a seventh of one percent: a share of TAIL is more than that.
REACH, INK_REACH, TAIL = 5.0, 3.0, 0.005
# A cut of the ink must part values that are SEPARATION standard deviations of the noise from each other, with at most
# CROWD of the ink within one of the cut: within the noise of one grey value there would be two thirds.
SEPARATION, CROWD = 3.0, 0.2
# Both sides of the background count as ink where the lesser has this share of it; ink of a smaller share of all pixels
# than RARE must stand out clearly, or the pictures have no background (surfaces).
LESSER_SIDE, RARE, CLEARLY = 0.1, 0.01, 8.0
# Of normal values this share is within one standard deviation.
ONE_SIGMA = 0.6827
# What that share makes of the differences of normal values of which black or white clips half.
CLIPPED = 0.527


def automatic_thresholds(images: Images, full_scale: int) -> tuple[float, ...]:
    """Increasing thresholds, shares of the full scale, for images (n, height, width) that are not binary.

    Examples
    --------
    >>> images = np.zeros((4, 8, 8), np.uint8)
    >>> images[:, 2:6, 2:6] = 200
    >>> automatic_thresholds(images, 255), automatic_thresholds(255 - images, 255)
    ((0.1,), (0.9,))
    """
    levels = images if images.dtype.kind in "iu" else images * images.dtype.type(full_scale)
    background = _Background(levels, full_scale)
    bright = _Side(levels, background.level, background, full_scale)
    dark = _Side(full_scale - levels.astype(np.float32), full_scale - background.level, background, full_scale)
    n_ink = bright.n_ink + dark.n_ink
    greater = max(bright, dark, key=lambda side: side.n_ink)
    if n_ink < RARE * levels.size and not greater.stands_out:
        return _by_ink_alone(levels, full_scale)
    if min(bright.n_ink, dark.n_ink) >= LESSER_SIDE * n_ink:
        cuts = bright.cuts(1) + [full_scale - cut for cut in dark.cuts(1)]
    elif greater is bright:
        cuts = bright.all_cuts()
    else:
        cuts = [full_scale - cut for cut in dark.all_cuts()]
    inside = sorted({cut for cut in cuts if 0 <= cut < full_scale})
    return tuple(cut / full_scale for cut in inside) or ONE_THRESHOLD


class _Background:
    """Level and extent of what the frames of the pictures hold.

    Attributes
    ----------
    level : float
        Median over the pictures of the median of their frames.
    drift : float
        What nine of ten pictures' medians differ from it at most.
    noise : float
        Standard deviation of a pixel, from the differences of neighbours.
    extent : float
        Standard deviation within a picture: noise, or slow changes where these are larger.
    """

    def __init__(self, levels: npt.NDArray[Any], full_scale: int) -> None:
        sides = [side.astype(np.float32) for side in (levels[:, 0], levels[:, -1], levels[:, :, 0], levels[:, :, -1])]
        medians = np.median(np.concatenate(sides, axis=1), axis=1)
        self.level = float(np.median(medians))
        self.drift = float(np.quantile(np.abs(medians - self.level), 0.9))
        # objects reach beyond one or two of the sides: what counts is the second most quiet one
        self.noise = _second(np.abs(np.diff(side, axis=1)) for side in sides) / 2**0.5
        if self.level <= 0 or self.level >= full_scale:
            self.noise /= CLIPPED
        self.extent = max(self.noise, _second(np.abs(side - medians[:, None]) for side in sides))


def _second(sides: Iterable[Floats]) -> float:
    """The second smallest among the standard deviations of the sides of a frame, given deviations of either sign."""
    found = sorted(float(np.quantile(side, ONE_SIGMA)) if side.size else 0.0 for side in sides)
    return found[1]


class _Side:
    """The ink on one side of the background, in levels that grow away from it."""

    def __init__(self, levels: npt.NDArray[Any], ground: float, background: _Background, full_scale: int) -> None:
        self.ground, self.noise, self.full_scale = ground, background.noise, full_scale
        nearest = ground + background.drift
        beyond = levels[levels > nearest + max(INK_REACH * background.extent, 0.02 * full_scale)]
        center = float(np.median(beyond)) if len(beyond) else ground
        self.first = nearest + max(INK * full_scale, REACH * background.extent)
        if len(beyond) > TAIL * levels.size:
            self.first = min(self.first, (ground + center) / 2)
        self.ink = levels[levels > self.first].astype(np.float32)
        self.stands_out = center - ground > CLEARLY * max(background.extent, 1e-3 * full_scale)

    @property
    def n_ink(self) -> int:
        return len(self.ink)

    def all_cuts(self) -> list[float]:
        """One threshold for pen strokes, or the first and those that cut the ink into at most four parts."""
        if np.count_nonzero(self.ink < WHITE * self.full_scale) < GREY_SHARE * max(1, self.n_ink):
            return [max(self.first, self.ground + ONE_THRESHOLD[0] * (self.full_scale - self.ground))]
        return self.cuts(len(QUARTILES))

    def cuts(self, most: int) -> list[float]:
        """The threshold between background and ink, and at most so many that cut the ink into equal parts."""
        if not self.n_ink:
            return []
        for n in range(most, 0, -1):
            at = np.quantile(self.ink, [*np.arange(1, n + 1) / (n + 1), 1], method="lower")
            if self._are_above_noise(at[:-1], np.quantile(self.ink, (np.arange(n + 1) + 0.5) / (n + 1))):
                whole = np.unique(np.rint(at))
                # halfway between two levels of integer images, so that no rounding can move a threshold across one
                return [self.first, *(cut + 0.5 for cut in whole.tolist() if np.floor(self.first) < cut < whole[-1])]
        return [self.first]

    def _are_above_noise(self, cuts: Floats, middles: Floats) -> bool:
        if self.noise == 0:
            return True
        crowds = [np.mean(np.abs(self.ink - cut) <= self.noise) for cut in cuts]
        return max(crowds) <= CROWD and np.diff(middles).min() >= SEPARATION * self.noise


def _by_ink_alone(levels: npt.NDArray[Any], full_scale: int) -> tuple[float, ...]:
    """The rule for pictures without a background: ink is what exceeds INK."""
    ink = levels[levels > INK * full_scale]
    if np.count_nonzero(ink < WHITE * full_scale) < GREY_SHARE * max(1, len(ink)):
        return ONE_THRESHOLD
    at = np.rint(np.quantile(ink.astype(np.float64), (*QUARTILES, 1), method="lower"))
    inside = np.unique(at[(at > np.floor(INK * full_scale)) & (at < at[-1])])
    return INK, *((inside + 0.5) / full_scale).tolist()
