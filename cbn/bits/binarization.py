# SPDX-License-Identifier: BSD-3-Clause
"""Grey images to bit-planes by thresholds, and bits back to picture values."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from .. import _engine
from .._validation import Images, integers_for
from ..exceptions import DataError
from .automatic import ONE_THRESHOLD, automatic_thresholds
from .planes import BitPlanes

Threshold = float | Sequence[float]


@dataclass(frozen=True)
class Binarization:
    """The rule "value > threshold x full scale", one channel per threshold.

    Parameters
    ----------
    thresholds : tuple of float
        Increasing, each in [0, 1), as a share of the full scale. More than one make a thermometer code.
    full_scale : int
        What integer images hold where a pixel is white: 255, 1 for images of 0 and 1, or what the user says, such as
        4095. Float images always have full scale 1.0, boolean images True.

    Examples
    --------
    >>> rule = Binarization((0.2, 0.6), 255)
    >>> rule.describe()
    'value > 0.2 x 255, value > 0.6 x 255'
    >>> states = rule.planes(np.array([[[10, 100, 200]]], np.uint8), 1).states(1)  # above 0.2, above 0.6
    >>> states.tolist()
    [[0, 1, 1, 0, 0, 1]]
    >>> rule.pictures(states, (1, 3)).tolist()
    [[[0, 102, 255]]]
    """

    thresholds: tuple[float, ...]
    full_scale: int

    @property
    def channels(self) -> int:
        return len(self.thresholds)

    def describe(self) -> str:
        """The rule in words, printed beside every likelihood."""
        if self.full_scale == 1:
            return "already binary (0 and 1)"
        return ", ".join(f"value > {t:g} x {self.full_scale}" for t in self.thresholds)

    def planes(self, images: Images, num_threads: int) -> BitPlanes:
        """BitPlanes of validated images (n, height, width): nodes channel by channel, row by row."""
        n, n_pixels = len(images), images[0].size
        planes = BitPlanes.empty(self.channels * n_pixels, n)
        for c, threshold in enumerate(self.thresholds):
            own = planes.words[c * n_pixels : (c + 1) * n_pixels]
            level = int(np.floor(threshold * self.full_scale))  # value > t for integers is value > floor(t)
            if images.dtype == np.uint8 and level <= 255:
                bits, cutoff = images.view(np.uint8), level
            elif images.dtype == bool:
                bits, cutoff = images.view(np.uint8), 0
            else:
                bits, cutoff = (images > (threshold if images.dtype.kind == "f" else level)).view(np.uint8), 0
            _engine.pack_planes(np.ascontiguousarray(bits).reshape(n, n_pixels), cutoff, own, num_threads)
        return planes

    def pictures(self, states: npt.NDArray[np.uint8 | np.bool_], shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Picture values of states (n, nodes): (n, height, width) that give the same states when binarized.

        The value of a level is 0 below the first threshold, the full scale above the last and the middle between two
        thresholds in between. The type is uint8, or uint16 or uint32 for a full scale beyond 255.
        """
        bits = np.asarray(states).reshape(len(states), self.channels, *shape)
        return self.level_values()[bits.sum(axis=1, dtype=np.intp)]

    def mean_picture(self, mean: npt.NDArray[np.float64], shape: tuple[int, int]) -> npt.NDArray[np.float64]:
        """(height, width) mean picture value in [0, 1] of states whose means are (nodes,), thresholds in order."""
        steps = np.diff(self.level_values().astype(np.float64)) / self.full_scale
        # not a matrix product: a BLAS rounds by the processor it runs on
        return np.clip((steps[:, None, None] * mean.reshape(self.channels, *shape)).sum(axis=0), 0, 1)

    def level_values(self) -> npt.NDArray[np.uint8]:
        """(channels + 1,) integers: the picture value of "exactly j thresholds exceeded"."""
        cutoffs = [int(np.floor(t * self.full_scale)) for t in self.thresholds]
        between = [(a + 1 + b) // 2 for a, b in pairwise(cutoffs)]  # in a + 1 .. b
        return np.array([0, *between, self.full_scale], integers_for(self.full_scale))


def chosen_thresholds(threshold: Threshold | Literal["auto"], images: Images, full_scale: int) -> Threshold:
    """The thresholds as given, or, for "auto", those that suit the images.

    Parameters
    ----------
    threshold : float, sequence of float or "auto"
    images : ndarray, (n, height, width), validated
    full_scale : int

    Examples
    --------
    >>> chosen_thresholds("auto", np.array([[[0, 255]]], np.uint8), 255)  # next to no grey
    (0.3,)
    """
    if not (isinstance(threshold, str) and threshold == "auto"):
        return threshold
    if images.dtype == bool or (full_scale == 1 and images.dtype.kind == "u"):
        return ONE_THRESHOLD
    return automatic_thresholds(images, full_scale)


def refuse_flat(planes: BitPlanes, binarization: Binarization, images: Images, name: str = "X") -> None:
    """Raise DataError if the bits of all training images are the same although their values are not.

    Then the threshold lies beside all that the images show, and every network of them would call every dark (or bright)
    image normal. Images that are black, or white, throughout show nothing that another threshold would find.

    Parameters
    ----------
    planes : BitPlanes
        Of the images under the rule.
    binarization : Binarization
    images : ndarray, (n, height, width), validated
    """
    refuse_flat_counts(planes.ones(), planes.n_images, binarization, images, name)


def refuse_flat_counts(
    ones: npt.NDArray[np.int64], n_images: int, binarization: Binarization, images: Images, name: str = "X"
) -> None:
    """The same of numbers of images (nodes,) in which each node is 1; of ``images`` only the extremes count."""
    ones = ones.reshape(binarization.channels, -1)
    if not np.isin(ones, (0, n_images)).all() or (ones.min(axis=1) != ones.max(axis=1)).any():
        return
    white = 1 if images.dtype.kind == "f" else binarization.full_scale
    darkest, brightest = images.min(), images.max()
    if darkest == brightest and darkest in (0, white):
        return
    exceeded = np.count_nonzero(ones[:, 0])  # thresholds below all values
    if not exceeded:
        mend = "lower the threshold"
        if 1 < brightest < white:
            mend += f", or give full_scale={brightest} if that is white"
        raise DataError(
            f"{name}: no pixel of any training image exceeds the threshold ({binarization.describe()}); brightest value "
            f"{brightest:g} of {white}: {mend}"
        )
    if exceeded == binarization.channels:
        raise DataError(
            f"{name}: every pixel of every training image exceeds the threshold ({binarization.describe()}); darkest "
            f"value {darkest:g} of {white}: raise the threshold"
        )
    raise DataError(
        f"{name}: all pixels of all training images lie between the same two thresholds ({binarization.describe()}); "
        f"values {darkest:g} to {brightest:g} of {white}: give thresholds among these"
    )


def check_thresholds(threshold: Threshold, full_scale: int) -> tuple[float, ...]:
    """A tuple of increasing thresholds that differ on the scale. Raises ValueError.

    Examples
    --------
    >>> check_thresholds([0.2, 0.6], 255)
    (0.2, 0.6)
    """
    try:
        values = np.atleast_1d(np.asarray(threshold))
    except ValueError:
        values = np.array([None])
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise ValueError(f"threshold: {threshold!r} is not a number or a sequence of numbers in [0, 1)")
    thresholds = tuple(values.astype(float).tolist())
    if not thresholds or not all(0 <= t < 1 for t in thresholds):
        raise ValueError(f"threshold: {threshold!r} must lie in [0, 1): it is a share of the full scale, such as 0.3")
    cutoffs = [int(np.floor(t * full_scale)) for t in thresholds]
    if full_scale == 1 and len(thresholds) > 1:
        raise ValueError(
            f"threshold: {len(thresholds)} values, but the images hold only 0 and 1: give one threshold, or grey images"
        )
    if any(a >= b for a, b in pairwise(cutoffs)):
        raise ValueError(f"threshold: {threshold!r} must increase by at least one step of {1 / full_scale:.3g}")
    return thresholds
