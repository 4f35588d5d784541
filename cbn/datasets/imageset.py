# SPDX-License-Identifier: BSD-3-Clause
"""ImageSet: images of one size with what is known about them."""

import unicodedata
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ._files import data_error, listed, sizes
from .layout import SPLITS
from .report import ReadingReport


@dataclass(frozen=True, eq=False, repr=False)  # the generated == and repr are of no use on arrays
class ImageSet:
    """Images of one size, with their labels and file names where these are known.

    Parameters
    ----------
    images : ndarray of shape (n, height, width), dtype uint8
        Grey values 0..255, or 0 and 1 when `binarization` is given.
    labels : ndarray of shape (n,), integers or text, optional
        One label an image.
    names : tuple of str, optional
        One file name an image, for sets that come from folders.
    source : str
        A short description for people.
    binarization : str, optional
        None for grey images; otherwise how they became 0 and 1, as in "value > 0.3 x 255". A likelihood means nothing
        without it.
    split : {"train", "val", "test"}, optional
        Which part of a source the images are, where it has parts.
    report : ReadingReport
        What was read from the source, what was left out and what was assumed; one for all its splits.

    Raises
    ------
    DataError
        If shapes, types or counts do not fit together.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.integer] | npt.NDArray[np.str_] | None = None
    names: tuple[str, ...] | None = None
    source: str = ""
    binarization: str | None = None
    split: str | None = None
    report: ReadingReport = field(default_factory=ReadingReport)

    def __post_init__(self) -> None:
        images, labels, names = self.images, self.labels, self.names
        if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 3:
            found = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
            raise data_error(f"images: expected a uint8 array of shape (n, height, width), got {found}")
        if 0 in images.shape:
            raise data_error(
                f"images: shape {images.shape} holds nothing; give at least one image of at least one pixel"
            )
        if self.binarization is not None and images.max() > 1:
            raise data_error(
                f"images: value {images.max()} in binary images; use 0 and 1, or binarization=None for grey"
            )
        if self.split not in (None, *SPLITS):
            raise data_error(f"split: {self.split!r}; give one of {', '.join(SPLITS)}, or None")
        if labels is not None:
            if not isinstance(labels, np.ndarray) or labels.ndim != 1 or labels.dtype.kind not in "iuU":
                found = f"{labels.dtype} {labels.shape}" if isinstance(labels, np.ndarray) else type(labels).__name__
                raise data_error(f"labels: expected an array of shape (n,) of integers or text, got {found}")
            check_count(len(labels), "labels", len(images), "images")
        if names is not None:
            names = tuple(names)
            object.__setattr__(self, "names", names)
            check_count(len(names), "names", len(images), "images")

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        kind = "grey" if self.binarization is None else f"binary ({self.binarization})"
        labels = "no labels" if self.labels is None else f"labels {listed(np.unique(self.labels))}"
        return (
            f"ImageSet({len(self)} images of {sizes(self.images.shape[1:])}, {kind}, {labels}, source={self.source!r})"
        )

    def select(self, label: int | str) -> "ImageSet":
        """Keep the images of one label.

        Parameters
        ----------
        label : int or str
            The label; "2" selects the integer label 2 as well. Text must be the same to the last blank, but accents may
            be composed in another way, as file systems do.

        Returns
        -------
        ImageSet
            Copies of the chosen images, in their order.

        Raises
        ------
        DataError
            If there are no labels or none equals `label`.

        Examples
        --------
        >>> ImageSet(np.zeros((3, 4, 4), np.uint8), np.array([7, 2, 7]), source="dots").select("7")
        ImageSet(2 images of 4x4, grey, labels 7, source='dots, label 7')
        """
        labels = self.labels
        found = check_label(labels, label, self.source)
        assert labels is not None
        chosen = labels == found
        names = None if self.names is None else tuple(name for name, keep in zip(self.names, chosen) if keep)
        source = f"{self.source}, label {found}" if self.source else f"label {found}"
        return replace(self, images=self.images[chosen], labels=labels[chosen], names=names, source=source)


def check_label(labels: npt.NDArray[Any] | None, label: int | str, source: str) -> Any:
    """The label of images that `label` names, as :func:`label_among`. Raises DataError also where there are no labels."""
    if labels is None:
        raise data_error(f"label: cannot select {label!r}, these images have no labels ({source or 'no source'})")
    return label_among(labels, label)


def label_among(labels: npt.NDArray[Any], label: int | str) -> Any:
    """The one of the labels (n,) that `label` names, as a Python object. Raises DataError if none does.

    Text must be the same to the last blank; only where no label is the same may accents be composed in another way, as
    file systems do.
    """
    present = np.unique(labels)
    text = str(label)
    if present.dtype.kind == "U":
        matching = [value for value in present.tolist() if value == text]
        composed = unicodedata.normalize("NFC", text)
        matching = matching or [v for v in present.tolist() if unicodedata.normalize("NFC", v) == composed]
    else:
        matching = [value for value in present.tolist() if value == as_integer(text.strip())]
    if len(matching) != 1:
        what = f"has the label {label!r}" if not matching else f"has exactly the label {label!r}"
        raise data_error(f"label: no image {what}; choose one of {listed(_quoted(present))}")
    return matching[0]


def _quoted(labels: npt.NDArray[np.integer] | npt.NDArray[np.str_]) -> list[str]:
    """Labels as a message shows them: text in quotes where blanks at its ends would be lost."""
    texts = [str(label) for label in labels.tolist()]
    return [repr(text) for text in texts] if any(text != text.strip() or not text for text in texts) else texts


def as_integer(text: str) -> int | None:
    """The int64 that `text` spells in plain decimal digits, or None. (int() alone would take "1_0" as well.)

    Examples
    --------
    >>> as_integer("-3"), as_integer("1_0")
    (-3, None)
    """
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 19):
        return None
    value = int(text)
    return value if -(2**63) <= value < 2**63 else None


def check_count(count: int, what: str, expected: int, of: str) -> None:
    """Raise DataError unless there is one of `what` for each of `of`."""
    if count != expected:
        raise data_error(f"{what}: {count} for {expected} {of}; give exactly one for each")
