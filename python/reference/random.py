# SPDX-License-Identifier: BSD-3-Clause
"""Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011)."""

from collections.abc import Sequence

import numpy as np

from .arguments import Reals

ANCESTRAL, SITE, FLIP, START, CANDIDATE, ROUNDING, RESAMPLE = 1, 2, 3, 4, 5, 6, 7
MASK = 0xFFFFFFFF


def philox(counter: Sequence[int], key: Sequence[int]) -> tuple[int, int, int, int]:
    """One block: four 32-bit words from a counter of four and a key of two."""
    c0, c1, c2, c3 = (int(c) for c in counter)
    k0, k1 = (int(k) for k in key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & MASK, (p0 >> 32) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c0, c1, c2, c3


def block(seed: int, purpose: int, chain: int, number: int) -> tuple[int, int, int, int]:
    """The block of a purpose and chain with a given number."""
    return philox((number & MASK, number >> 32, chain, purpose), (seed & MASK, seed >> 32))


def uniform_at(seed: int, purpose: int, chain: int, step: int) -> float:
    """The uniform of one step: 53 bits of half a block."""
    words = block(seed, purpose, chain, step >> 1)
    high, low = words[2:] if step & 1 else words[:2]
    return ((high << 32 | low) >> 11) * 2.0**-53


def uniform(seed: int, purpose: int, first_step: int, out: Reals) -> None:
    """out (n_chains, n_steps): uniforms of the steps from first_step on."""
    for chain in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[chain, i] = uniform_at(seed, purpose, chain, first_step + i)


def uniforms_of_step(seed: int, purpose: int, n_chains: int, step: int) -> Reals:
    """(n_chains,) uniforms of one step."""
    return np.array([uniform_at(seed, purpose, chain, step) for chain in range(n_chains)])
