# SPDX-License-Identifier: BSD-3-Clause
"""Digests of sets of images: sums of hashes."""

import numpy as np

from .arguments import Planes
from .bitplane import pack_planes, unpack_planes


def mix(x: Planes) -> Planes:
    """The finalizer of SplitMix64, Stafford's variant 13; modulo 2^64."""
    x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return x ^ x >> np.uint64(31)


def planes_digest(planes: Planes, n_images: int, digest: Planes, num_threads: int = 1) -> None:
    """digest[k] = sum over images of hash k of their states, modulo 2^64."""
    states = np.empty((n_images, len(planes)), np.uint8)
    unpack_planes(planes, states)
    words = np.empty((n_images, -(-len(planes) // 64)), np.uint64)  # 64 nodes a word
    pack_planes(np.ascontiguousarray(states.T), 0, words)
    for k in range(2):
        start = (len(planes) + (k + 1) * 0x9E3779B97F4A7C15) % 2**64
        found = mix(np.full(n_images, start, np.uint64))
        for column in words.T:
            found = mix(found ^ column)
        digest[k] = found.sum(dtype=np.uint64)
