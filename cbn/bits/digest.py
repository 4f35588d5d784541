# SPDX-License-Identifier: BSD-3-Clause
"""Digests of sets of images, which add: by them provenance knows the images, wherever they are and in whatever order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _engine
from .planes import BitPlanes

KEY = "data_digest"  # in the provenance
OLD_KEY = "data_sha256"  # of files of before, a hash of all images that does not add


@dataclass(frozen=True)
class Digest:
    """Two sums of hashes of images, modulo 2^64; see cbn_planes_digest in src_c/cbn_sums.h.

    Examples
    --------
    >>> parts = [BitPlanes.of_states(np.full((1, 5), state, np.uint8), 1) for state in (0, 1)]
    >>> both = BitPlanes.of_states(np.repeat(np.array([[1], [0]], np.uint8), 5, axis=1), 1)
    >>> Digest.of(parts[0], 1) + Digest.of(parts[1], 1) == Digest.of(both, 1)
    True
    """

    first: int
    second: int

    @classmethod
    def of(cls, planes: BitPlanes, num_threads: int) -> "Digest":
        """Of the images of bit-planes."""
        found = np.empty(2, np.uint64)
        _engine.planes_digest(planes.words, planes.n_images, found, num_threads)
        return cls(*found.tolist())

    @classmethod
    def recorded(cls, provenance: Mapping[str, Any]) -> "Digest":
        """What a record says; files of before stand in with a part of their hash, those of nothing with 0."""
        text = str(provenance.get(KEY) or provenance.get(OLD_KEY) or "")[:32]
        try:
            return cls(int(text[:16], 16), int(text[16:], 16))
        except ValueError:  # a record that somebody else has written
            return cls(0, 0)

    def __add__(self, other: "Digest") -> "Digest":
        """That of the images of both."""
        return Digest((self.first + other.first) % 2**64, (self.second + other.second) % 2**64)

    def __str__(self) -> str:
        """32 hexadecimal digits."""
        return f"{self.first:016x}{self.second:016x}"
