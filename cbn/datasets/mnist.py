# SPDX-License-Identifier: BSD-3-Clause
"""MNIST: the embedded binarized copy, and the grey original through scikit-learn.

The embedded payload is laid out for xz: the images sorted by label (stable, so the labels alone restore the order),
every row of 28 pixels padded to 32 bits, first pixel in the highest bit; then the 70,000 labels in the original order,
one byte each. The padding makes a row a word of xz's 4-byte position model: the images take 1.25 MB, against 1.44 MB
without padding and sorting; the labels, which nothing predicts, 0.03 MB.
`python/analysis/embed_mnist.py` writes it.
"""

import hashlib
import importlib.util
import os
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..exceptions import DataError
from ._files import data_error
from .imageset import ImageSet, label_among

_FILE = Path(__file__).with_name("data") / "mnist_binary.xz"
_TRAIN, _TOTAL, _SIDE, _ROW_BYTES = 60_000, 70_000, 28, 4
_IMAGE_BYTES = _TOTAL * _SIDE * _ROW_BYTES
_PAYLOAD_BYTES = _IMAGE_BYTES + _TOTAL
PAYLOAD_SHA256 = "e0cebe37e4e84b0c9d56b6262895bb3ccc41c75355756708d99657706b52146e"
BINARIZATION = "value > 0.3 x 255"


def load_mnist() -> tuple[ImageSet, ImageSet]:
    """Load all 70,000 MNIST images, binarized at 0.3; they come with the package and need no network.

    A pixel is 1 where the grey value exceeds 0.3 x 255, that is, from 77 upwards. The data are by Y. LeCun, C. Cortes
    and C. J. C. Burges under CC BY-SA 3.0; see `data/MNIST-LICENSE.txt` beside this module.

    Returns
    -------
    train : ImageSet
        60,000 images, uint8 in {0, 1}, shape (60000, 28, 28); labels int64, 0..9.
    test : ImageSet
        10,000 images of the same kind.

    Raises
    ------
    DataError
        If the embedded file is missing or damaged.

    Examples
    --------
    >>> train, test = load_mnist()
    >>> test
    ImageSet(10000 images of 28x28, binary (value > 0.3 x 255), labels 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, \
source='MNIST test (embedded)')
    """
    embedded = EmbeddedMnist()
    return embedded.part("train"), embedded.part("test")


class EmbeddedMnist:
    """The embedded images as bits, of which parts become images; to unpack all of them takes longer than to train a network.

    Raises DataError if the embedded file is missing or damaged.
    """

    splits = ("train", "test")

    def __init__(self) -> None:
        payload = _payload()
        self._rows = payload[:_IMAGE_BYTES].reshape(_TOTAL, _SIDE, _ROW_BYTES)
        labels = payload[_IMAGE_BYTES:]
        self._labels = {"train": labels[:_TRAIN].astype(np.int64), "test": labels[_TRAIN:].astype(np.int64)}
        # where image i of the original order stands among the sorted ones
        rank = np.empty(_TOTAL, dtype=np.intp)
        rank[np.argsort(labels, kind="stable")] = np.arange(_TOTAL)
        self._rank = {"train": rank[:_TRAIN], "test": rank[_TRAIN:]}

    def part(self, split: Literal["train", "test"], label: int | str | None = None) -> ImageSet:
        """What ``select(label)`` leaves of a half, or all of it. Raises DataError for a label that is none."""
        labels, rank, source = self._labels[split], self._rank[split], f"MNIST {split} (embedded)"
        if label is not None:
            found = label_among(labels, label)
            chosen = labels == found
            labels, rank, source = labels[chosen], rank[chosen], f"{source}, label {found}"
        bits = np.unpackbits(self._rows[rank].reshape(-1)).reshape(-1, _SIDE, 8 * _ROW_BYTES)
        images = np.ascontiguousarray(bits[:, :, :_SIDE])
        return ImageSet(images, labels, source=source, binarization=BINARIZATION)

    def indices(self, split: Literal["train", "test"], label: int | str | None = None) -> npt.NDArray[np.intp]:
        """The index of every image of :meth:`part` in its half."""
        labels = self._labels[split]
        return np.arange(len(labels)) if label is None else np.flatnonzero(labels == label_among(labels, label))


def fetch_mnist_grey(data_home: str | os.PathLike[str] | None = None) -> tuple[ImageSet, ImageSet]:
    """Download the full grey MNIST from OpenML through scikit-learn, which keeps it for the next time.

    Parameters
    ----------
    data_home : str or os.PathLike, optional
        scikit-learn's data folder; None means its default.

    Returns
    -------
    train : ImageSet
        60,000 grey images, uint8 0..255, shape (60000, 28, 28); labels int64, 0..9.
    test : ImageSet
        10,000 images of the same kind.

    Raises
    ------
    DataError
        If the data cannot be had: no network, a failing server, a damaged download.
    """
    import http.client

    from sklearn.datasets import fetch_openml

    # The liac-arff parser is slow but part of scikit-learn; the fast one needs pandas, which cbn does not ask for.
    parser = "pandas" if importlib.util.find_spec("pandas") else "liac-arff"
    try:
        bunch = fetch_openml("mnist_784", version=1, data_home=data_home, as_frame=False, parser=parser)
        values = np.asarray(bunch.data)
        labels = np.asarray(bunch.target).astype(np.int64)
        if values.shape != (_TOTAL, _SIDE * _SIDE) or labels.shape != (_TOTAL,):
            raise ValueError(f"got shapes {values.shape} and {labels.shape}")
        if not (values.min() >= 0 and values.max() <= 255):
            raise ValueError(f"values from {values.min()} to {values.max()}")
    # OpenML's own errors are ValueErrors; urllib's are OSErrors; a connection cut half-way is none of these; an
    # ImportError comes from a pandas too old for scikit-learn
    except (ImportError, OSError, ValueError, TypeError, EOFError, zlib.error, http.client.HTTPException) as error:
        raise data_error(
            f"grey MNIST: the download from OpenML failed ({type(error).__name__}: {error}); "
            "the embedded binarized MNIST needs no network (load_mnist), or pass MNIST's IDX files (load_images)"
        ) from error
    images = values.astype(np.uint8).reshape(_TOTAL, _SIDE, _SIDE)
    return (
        ImageSet(images[:_TRAIN], labels[:_TRAIN], source="MNIST train (OpenML)"),
        ImageSet(images[_TRAIN:], labels[_TRAIN:], source="MNIST test (OpenML)"),
    )


def _payload() -> npt.NDArray[np.uint8]:
    """The verified bytes of the embedded file as a uint8 array."""
    try:
        import lzma
    except ImportError as error:
        raise data_error(
            "embedded MNIST: this Python lacks the lzma module; use a Python built with liblzma"
        ) from error
    try:
        payload = lzma.LZMADecompressor().decompress(_FILE.read_bytes(), max_length=_PAYLOAD_BYTES + 1)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise _damaged(f"{type(error).__name__}: {error}") from error
    if hashlib.sha256(payload).hexdigest() != PAYLOAD_SHA256:
        raise _damaged("wrong SHA-256")
    return np.frombuffer(payload, dtype=np.uint8)


def _damaged(reason: str) -> DataError:
    return data_error(f"embedded MNIST: {_FILE} is missing or damaged ({reason}); install cbn again")
