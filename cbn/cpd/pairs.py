# SPDX-License-Identifier: BSD-3-Clause
"""The sample of pairs that tied trees learn from, of images in several places.

The trees themselves grow here. They ask the same sample again and again, hundreds of trees one after the other, each split
of which follows from the one before: thousands of rounds if shards counted. The sample is as large for any number of
images, and is taken where they are.
"""

from typing import Any

from ..bits.shards import Shard, Shards
from .forest import BELOW_ALL, Rows, Sampling, Tied, below_for, pairs_of_words


def rows_of_shards(
    shards: Shards, number: int, causal: Any, channel: int, tied: Tied, nested: bool, seed: int
) -> Rows:  # fmt: skip
    """The rows of :meth:`Rows.sampled` of layer ``number`` of shards that begin at multiples of 64 images."""
    every = seed, BELOW_ALL, tied.thinning, nested, 0
    below = below_for(tied.pairs, shards.sum(count_pairs, number, causal, channel, every))
    some = seed, below, tied.thinning, nested, 0
    return Rows.joined(shards.map(take_pairs, number, causal, channel, some))


# ---- what shards are asked ----


def count_pairs(shard: Shard, num_threads: int, number: int, causal: Any, channel: int, how: Sampling) -> int:
    """How many pairs would be taken."""
    own = *how[:-1], shard.first
    return int(pairs_of_words(shard.layers[number], causal, channel, own, num_threads).sum())


def take_pairs(shard: Shard, num_threads: int, number: int, causal: Any, channel: int, how: Sampling) -> Rows:
    """The pairs that are taken."""
    planes, own = shard.layers[number], (*how[:-1], shard.first)
    counts = pairs_of_words(planes, causal, channel, own, num_threads)
    return Rows.taken(planes, causal, channel, own, counts, num_threads)
