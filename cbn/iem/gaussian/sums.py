# SPDX-License-Identifier: BSD-3-Clause
"""What a Gaussian energy model keeps in order to learn from more pictures: exact sums, and some pictures' features."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .positions import Moments
from .whitening import Rounded

# Pictures whose features are kept: the threshold is taken from them. 99 are enough for a rate of 1 %.
MOST_KEPT = 128

Digests = npt.NDArray[np.uint64]


@dataclass(eq=False)
class KeptSums:
    """Sums over all pictures, and the features of those with the smallest digests: neither knows any order.

    Attributes
    ----------
    moments : Moments
        Of rounded features as they come, not whitened.
    digest : int
        Sum of the digests of all pictures, modulo 2^64.
    digests : ndarray, (kept,) uint64, increasing
    features : ndarray, (kept, rows, columns, features) int16
        Of the same pictures.
    """

    moments: Moments
    digest: int
    digests: Digests
    features: Rounded

    @classmethod
    def empty(cls, rows: int, columns: int, n_features: int) -> "KeptSums":
        """Of no picture yet."""
        none = np.empty((0, rows, columns, n_features), np.int16)
        return cls(Moments.empty(rows * columns, n_features), 0, np.empty(0, np.uint64), none)

    def copy(self) -> "KeptSums":
        """Sums of their own, to which others can be added."""
        own = self.moments
        return KeptSums(Moments(own.sums.copy(), own.products.copy(), own.n), self.digest, self.digests, self.features)

    def add(self, features: Rounded, digests: Digests, num_threads: int = 1) -> None:
        """Count in pictures (n, rows, columns, features)."""
        self.moments.add(features, num_threads)
        self._keep(features, digests, digest_of(digests))

    def add_sums(self, other: "KeptSums") -> None:
        """Count in what other sums have."""
        self.moments.sums += other.moments.sums
        self.moments.products += other.moments.products
        self.moments.n += other.moments.n
        self._keep(other.features, other.digests, other.digest)

    def __add__(self, other: "KeptSums") -> "KeptSums":
        """The sums of both."""
        total = self.copy()
        total.add_sums(other)
        return total

    def _keep(self, features: Rounded, digests: Digests, digest: int) -> None:
        self.digest = (self.digest + digest) % 2**64
        both = np.concatenate([self.digests, digests])
        order = np.argsort(both, kind="stable")[:MOST_KEPT]
        if len(order) == len(self.digests) and (order < len(self.digests)).all():
            return
        self.features = np.concatenate([self.features, features])[order]
        self.digests = both[order]


def digest_of(digests: Digests) -> int:
    """Of several pictures, in whatever order: the sum of theirs, modulo 2^64."""
    return int(digests.sum(dtype=np.uint64))


def digests_of(pictures: npt.NDArray[Any]) -> Digests:
    """(n,) uint64: a hash of every picture's values."""
    hashes = [hashlib.blake2b(np.ascontiguousarray(own).data, digest_size=8).digest() for own in pictures]
    return np.frombuffer(b"".join(hashes), "<u8").astype(np.uint64)
