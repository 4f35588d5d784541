# SPDX-License-Identifier: BSD-3-Clause
"""What shards are asked in tests; workers of a cluster import it."""

from cbn.bits.planes import BitPlanes
from cbn.bits.shards import Shard


def shard_of(block, number, first, num_threads):
    """A shard of images of 0 and 1."""
    return Shard((BitPlanes.of_states(block.reshape(len(block), -1), 1),), first, (0, 1))


def failing(shard, num_threads, so_far):
    """Fails from image 70 on."""
    if shard.first >= 70:
        raise ValueError(shard.first)
    return shard


def counted(shard, num_threads, so_far):
    """Images so far, with those of the shard."""
    return so_far + shard.n_images
