# SPDX-License-Identifier: BSD-3-Clause
"""Images of --data as bits, with what a training asks of an ImageSet, and the hash by which trainings know images."""

import hashlib
from dataclasses import dataclass

import numpy as np

from ..bits.binarization import Binarization
from ..bits.planes import BitPlanes
from ..bits.stream import Streamed
from ..datasets.report import ReadingReport
from ._apart import hashes_of


class PixelHash:
    """Hash of images (n, height, width) uint8 that come some at a time; ``shape`` is that of all."""

    def __init__(self, shape):
        self._n_left, self._hash = shape[0], hashlib.sha256(repr(tuple(shape)).encode())

    def update(self, images):
        self._n_left -= len(images)
        self._hash.update(np.ascontiguousarray(images))

    @property
    def is_complete(self):
        """Whether there were as many images as were said."""
        return self._n_left == 0

    def hexdigest(self):
        return self._hash.hexdigest()


def pixel_hash(images):
    """The PixelHash of an ImageSet, or of a PackedSet as its reader has found it."""
    if isinstance(images, PackedSet):
        return images.sha256
    found = PixelHash(images.images.shape)
    found.update(images.images)
    return found.hexdigest()


def image_hashes(images):
    """:func:`hashes_of` the images of an ImageSet, or of a PackedSet as its reader has found them."""
    return images.hashes if isinstance(images, PackedSet) else hashes_of(images.images)


@dataclass(frozen=True, eq=False)
class PackedSet:
    """Training images of one network.

    Attributes
    ----------
    images : Streamed
        What ``fit`` takes.
    label : int, str or None
        Of all of them, where they were chosen by it.
    source : str
    binarization : str or None
        As of an ImageSet.
    report : ReadingReport
    sha256 : str or None
        The :func:`pixel_hash` of the ImageSet of these images; None where nothing asks for it.
    hashes : list of bytes or None
        One of every image, as :func:`cbn.cli._apart.hashes_of` has them; None where nothing asks for them.
    """

    images: Streamed
    label: int | str | None
    source: str
    binarization: str | None
    report: ReadingReport
    sha256: str | None = None
    hashes: list[bytes] | None = None

    def __len__(self):
        return self.images.planes.n_images

    @property
    def labels(self):
        """(n,) label of each."""
        return None if self.label is None else np.broadcast_to(np.array(self.label), len(self))


@dataclass(frozen=True, eq=False)
class PackedSets:
    """Training images of a network for each label, in the order of the labels."""

    sets: dict[int | str, PackedSet]
    source: str
    binarization: str | None
    report: ReadingReport

    def __len__(self):
        return sum(map(len, self.sets.values()))

    def select(self, label):
        """The PackedSet of a label."""
        return self.sets[label]


@dataclass(frozen=True, eq=False)
class PackedTest:
    """Test images by every rule that a network of the training has.

    Attributes
    ----------
    planes : dict of Binarization to BitPlanes
    labels : ndarray, (n,), or None
    """

    planes: dict[Binarization, BitPlanes]
    labels: np.ndarray | None

    def __len__(self):
        return next(iter(self.planes.values())).n_images
