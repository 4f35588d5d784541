# SPDX-License-Identifier: BSD-3-Clause
"""What every case is given: the settings of the run and the images."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from arrays import Images, Labels

import cbn
from cbn.datasets import ImageSet

DIGIT = 2  # the digit of all cases that train on one
SEED = 1


@dataclass
class Context:
    """Settings of a run; the images are loaded when first asked for.

    Parameters
    ----------
    rounds : int
        How often every engine is timed.
    threads : int
    quick : bool
        A short run: fewer digits, and no structure search by pyAgrum.
    sets : sequence of str
        Sets of pictures to inspect; none names all.
    """

    rounds: int
    threads: int
    quick: bool
    sets: Sequence[str] = ()

    @cached_property
    def _mnist(self) -> tuple[ImageSet, ImageSet]:
        return cbn.datasets.load_mnist()

    @cached_property
    def train(self) -> Images:
        """(60000, 28, 28) uint8 of 0 and 255: grey images whose binarization is the embedded one."""
        return self._mnist[0].images * np.uint8(255)

    @cached_property
    def test(self) -> Images:
        return self._mnist[1].images * np.uint8(255)

    @property
    def train_labels(self) -> Labels:
        return self._mnist[0].labels

    @property
    def test_labels(self) -> Labels:
        return self._mnist[1].labels

    def digit(self, digit: int = DIGIT) -> Images:
        """Training images of one digit."""
        return np.ascontiguousarray(self.train[self.train_labels == digit])
