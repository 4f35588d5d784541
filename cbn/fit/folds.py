# SPDX-License-Identifier: BSD-3-Clause
"""Cross-validation of networks that have chosen by their images: which of these are left out, and when enough are scored."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .settings import Settings

Mask = npt.NDArray[np.bool_]

# Of so many scores that lie below it a threshold is made; more would not be worth another network. The rate that it keeps then
# has a standard deviation of a fifth of what was asked for. Rates above the second are often lowered later.
ENOUGH_ALARMS, USUAL_RATE = 25, 0.01


@dataclass(frozen=True)
class Folds:
    """Parts of the training images: image i belongs to part i modulo their number.

    The networks grown without them have all seen the same number of images (give or take one), so that the score of a
    new image under the first of them is distributed as the scores of the images that were left out.

    Attributes
    ----------
    n_images : int
    number : int
        0 where no image is left out.
    used : int
        The first so many are left out, one after the other: all of them, or as many as have ENOUGH_ALARMS / rate images.
    """

    n_images: int
    number: int
    used: int

    @classmethod
    def of(cls, settings: Settings, n_images: int, held_out: bool) -> "Folds":
        """Of training images; none where these are not to be held out, or can be left out of the counts."""
        number = min(settings.folds, n_images)
        if not held_out or settings.kind.leaves_one_out or number < 2:
            return cls(n_images, 0, 0)
        rate = min(settings.false_alarm_rate, USUAL_RATE)
        used = 1
        while used < number and cls(n_images, number, used).n_scored * rate < ENOUGH_ALARMS:
            used += 1
        return cls(n_images, number, used)

    def __bool__(self) -> bool:
        return self.number > 0

    @property
    def n_scored(self) -> int:
        """Images that are left out once."""
        return sum(len(range(fold, self.n_images, self.number)) for fold in range(self.used))

    def part(self, fold: int) -> Mask:
        """(n_images,) the images of one."""
        return np.arange(self.n_images) % self.number == fold

    def scored(self) -> Mask:
        """(n_images,) those that are left out once."""
        return np.arange(self.n_images) % self.number < self.used
