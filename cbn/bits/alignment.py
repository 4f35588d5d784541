# SPDX-License-Identifier: BSD-3-Clause
"""Shards that begin at multiples of a number of images, for what is made of blocks of images that must not be cut.

Images are cut where the user's blocks end. What draws at random among the images of a word, or adds doubles in the order
of blocks, is the same for all cuts only if none goes through a block: each shard gives the images before its first whole
block to the one before it, at most a block for each shard.
"""

from collections.abc import Sequence

from .shards import Piece, Shard, Shards


def aligned(shards: Shards, multiple: int) -> Shards:
    """The same images, in shards that begin at multiples and have images; these themselves if they are so."""
    places = shards.map(place_of)
    groups = groups_of(places, multiple)
    whole = [[(number, 0, n)] for number, (_, n) in enumerate(places)]
    return shards if groups == whole else shards.regrouped(groups)


def place_of(shard: Shard, num_threads: int) -> tuple[int, int]:
    """The number of the first image, and how many there are; 0 where none counts."""
    return shard.first, 0 if shard.members is not None and not shard.members.any() else shard.n_images


def groups_of(places: Sequence[tuple[int, int]], multiple: int) -> list[list[Piece]]:
    """The pieces of every aligned shard.

    Examples
    --------
    >>> groups_of([(0, 100), (100, 40), (140, 0), (140, 90)], 64)
    [[(0, 0, 100), (1, 0, 28)], [(1, 28, 40), (3, 0, 52)], [(3, 52, 90)]]
    """
    groups: list[list[Piece]] = []
    for number, (first, n) in enumerate(places):
        earlier = min(n, -first % multiple)
        if earlier:
            groups[-1].append((number, 0, earlier))
        if n > earlier:
            groups.append([(number, earlier, n)])
    return groups
