# SPDX-License-Identifier: BSD-3-Clause
"""InspectionSet: normal pictures to learn from, and pictures to judge with what is known about their defects."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from ._files import data_error, sizes
from .imageset import check_count
from .layout import GOOD
from .report import ReadingReport


@dataclass(frozen=True, eq=False, repr=False)  # the generated == and repr are of no use on arrays
class InspectionSet:
    """Pictures of one kind of product, all of one size.

    Parameters
    ----------
    category : str
        What the pictures show, for people.
    train : ndarray of shape (n, height, width) or (n, height, width, 3), uint8, or None
        Normal pictures only. None for a set that is only judged.
    test : ndarray of shape (m, ...), uint8, optional
    labels : ndarray of shape (m,), int64, optional
        0 for good test pictures, 1 for defects.
    defects : tuple of str, optional
        The kind of defect of every test picture, "good" where there is none.
    masks : ndarray of shape (m, height, width), bool, optional
        True where a test picture is defective.
    has_mask : ndarray of shape (m,), bool, optional
        Where the mask is known: False for a defective picture whose mask is missing or empty. Figures of pixels leave
        these pictures out. With `masks` alone all are known.
    train_names, test_names : tuple of str, optional
        File names, those of the test pictures with the folder of their defect.
    report : ReadingReport
        What was read, what was left out and what was assumed.

    Raises
    ------
    DataError
        If shapes, types or counts do not fit together.
    """

    category: str
    train: npt.NDArray[np.uint8] | None
    test: npt.NDArray[np.uint8] | None = None
    labels: npt.NDArray[np.int64] | None = None
    defects: tuple[str, ...] | None = None
    masks: npt.NDArray[np.bool_] | None = None
    train_names: tuple[str, ...] | None = None
    test_names: tuple[str, ...] | None = None
    has_mask: npt.NDArray[np.bool_] | None = None
    report: ReadingReport = field(default_factory=ReadingReport)

    def __post_init__(self) -> None:
        if self.train is not None or self.test is None:
            _check_pictures(self.train, "train")
        if self.train_names is not None:
            n_train = 0 if self.train is None else len(self.train)
            check_count(len(self.train_names), "train_names", n_train, "training pictures")
        about_test = ("labels", "defects", "masks", "test_names", "has_mask")
        if self.test is None:
            for name in about_test:
                if getattr(self, name) is not None:
                    raise data_error(f"{name}: given without test pictures; leave it out or give test")
            return
        _check_pictures(self.test, "test")
        if self.train is not None and self.test.shape[1:] != self.train.shape[1:]:
            raise data_error(
                f"test: pictures of {sizes(self.test.shape[1:])}, those of train are {sizes(self.train.shape[1:])}; "
                "bring them to one size and number of channels"
            )
        for name in about_test:
            if getattr(self, name) is not None:
                check_count(len(getattr(self, name)), name, len(self.test), "test pictures")
        if self.labels is not None and not np.isin(self.labels, (0, 1)).all():
            raise data_error("labels: values other than 0 and 1; give 0 for good pictures and 1 for defects")
        if self.masks is not None and (self.masks.dtype != bool or self.masks.shape != self.test.shape[:3]):
            raise data_error(
                f"masks: {self.masks.dtype} {self.masks.shape}; give booleans of shape {self.test.shape[:3]}"
            )
        if self.has_mask is None and self.masks is not None:
            object.__setattr__(self, "has_mask", np.ones(len(self.test), bool))
        if self.has_mask is not None and (self.masks is None or self.has_mask.dtype != bool):
            raise data_error("has_mask: goes with masks and is an array of booleans; give both, or leave it out")

    @property
    def image_shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self._pictures.shape[1:3]

    @property
    def channels(self) -> Literal[1, 3]:
        """1 for grey pictures, 3 for RGB."""
        return 1 if self._pictures.ndim == 3 else 3

    @property
    def _pictures(self) -> npt.NDArray[np.uint8]:
        pictures = self.test if self.train is None else self.train
        assert pictures is not None  # a set without either is refused
        return pictures

    @property
    def defect_types(self) -> tuple[str, ...]:
        """Kinds of defects among the test pictures, sorted; () if they are not known."""
        return tuple(sorted(set(self.defects or ()) - {GOOD}))

    def describe(self) -> str:
        """The set in a few words, for people."""
        n_train, n_test = (0 if pictures is None else len(pictures) for pictures in (self.train, self.test))
        known = "not labelled" if self.labels is None else f"{int(self.labels.sum())} with defects"
        color = "grey" if self.channels == 1 else "RGB"
        return (
            f"{self.category}: {n_train} training and {n_test} test pictures of {sizes(self.image_shape)}, {color}"
            + (f", {known}" if n_test else "")
        )

    def __repr__(self) -> str:
        return f"InspectionSet({self.describe()})"


def _check_pictures(pictures: object, name: str) -> None:
    found = type(pictures).__name__
    if isinstance(pictures, np.ndarray):
        grey_or_rgb = pictures.ndim == 3 or (pictures.ndim == 4 and pictures.shape[3] == 3)
        if pictures.dtype == np.uint8 and 0 not in pictures.shape and grey_or_rgb:
            return
        found = f"{pictures.dtype} {pictures.shape}"
    raise data_error(f"{name}: {found}; give uint8 of shape (n, height, width) or (n, height, width, 3), not empty")
