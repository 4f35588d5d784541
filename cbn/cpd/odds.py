# SPDX-License-Identifier: BSD-3-Clause
"""What kinds of CPDs have in common whose nodes have log-odds that the engine computes from earlier nodes."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np

from .. import _engine
from ..bits.planes import BitPlanes
from ..bits.shards import Mask, Shard, Shards
from .base import CPD, Counts, Floats, States
from .particles import Particles, posterior

# nats; log-odds are 32-bit numbers of units of 2^-16, so that no -log p is above 2^15
MAX_SURPRISE = 2.0**16
# Images whose sums of -log p are made at once, and then added block by block.
BLOCK_IMAGES = 512
# Values of nodes in images that are held at a time for these sums, 256 MiB.
MOST_NATS = 2**25


class OddsCPD(CPD):
    """A layer whose nodes have log-odds.

    Parameters
    ----------
    layer : Grid
    counts : ndarray, (nodes, 2) int64
        Training images by state of each node.
    moments : ndarray, (nodes, 2) float64, or None
        Mean and standard deviation of every node's -log p over the training images, nats. None until they are made,
        which waits until somebody asks: a reader, a file, or freeze(). Nobody asks the networks of most folds.

    Attributes
    ----------
    engine_class : type
        Of the engine's object, made from a layer.
    engine_prefix : str
        Of the engine's functions ``*_score_images``, ``*_score_nodes``, ``*_log_odds``, ``*_sample``, ``*_inpaint``.
    """

    draws_at_random = True
    reports = True
    engine_class: ClassVar[Any]
    engine_prefix: ClassVar[str]

    def __init__(self, layer: Any, counts: Counts, moments: Floats | None) -> None:
        self.layer, self.counts, self._moments = layer, counts, moments
        self._learned_of: tuple[BitPlanes, int] | None = None  # the images and threads, until moments are made of them
        self.engine_layer = self.engine_class(layer)

    def parts(self) -> tuple[Any, ...]:
        return self.layer, self.counts, self.moments if self._learned_of else self._moments

    def _engine_function(self, name: str) -> Any:
        return partial(getattr(_engine, f"{self.engine_prefix}_{name}"), self.engine_layer)

    @classmethod
    def of_images(cls, layer: Any, planes: BitPlanes, num_threads: int) -> Any:
        """The CPDs of a layer that was learned from these images."""
        network = cls._counted(layer, planes.ones(), planes.n_images)
        network._learned_of = planes, num_threads
        return network

    @classmethod
    def of_shards(cls, layer: Any, shards: Shards, number: int) -> Any:
        """The same of images in several places: layer ``number`` of shards that begin at multiples of BLOCK_IMAGES."""
        network = cls._counted(layer, shards.layer(number).sum(ones_of_layer), shards.n_images)
        blocks = shards.made(sums_of_shard, number, network)
        network._set_moments(blocks.chained(added_in_order, network.no_nats()))
        return network

    @classmethod
    def _counted(cls, layer: Any, ones: Counts, n_images: int) -> Self:
        return cls(layer, np.stack([n_images - ones, ones], axis=1), None)

    @property
    def moments(self) -> Floats:
        if self._learned_of is not None:
            self._set_moments(sum_in_order(self.sums_of_nats(*self._learned_of), self.no_nats()))
        assert self._moments is not None
        return self._moments

    def _required(self) -> Any:
        """(nodes,) the node without which each node is never 1, -1 for none."""
        raise NotImplementedError

    def check_counts(self, n_images: int) -> None:
        ones, required = self.counts[:, 1], self._required()
        more = ones > np.where(required < 0, n_images, ones[required])  # than images with the required node at 1
        if (self.counts < 0).any() or (self.counts.sum(axis=1) != n_images).any() or more.any():
            raise ValueError("the counts cannot come from images of this layer")

    def sums_of_nats(self, planes: BitPlanes, num_threads: int) -> Iterator[Floats]:
        """Of every block of images: (2, nodes), the sums of each node's -log p and of its square."""
        # the engine gives such a block to one thread: as many are asked for at once as there are threads
        together = max(1, min(num_threads, MOST_NATS // (BLOCK_IMAGES * self.layer.n_nodes)))
        words = together * BLOCK_IMAGES // 64
        for word in range(0, planes.words.shape[1], words):
            nats = -self.contributions(planes.part(word, words), _engine.LOG_PROBABILITY, num_threads)
            for first in range(0, len(nats), BLOCK_IMAGES):
                own = nats[first : first + BLOCK_IMAGES]
                yield np.stack([own.sum(axis=0), (own * own).sum(axis=0)])

    def no_nats(self) -> Floats:
        """The sums of no images."""
        return np.zeros((2, self.layer.n_nodes))

    def _set_moments(self, sums: Floats) -> None:
        """Mean and standard deviation of each node's -log p from the sums over all images."""
        mean, square = sums / self.n_images
        self._moments = np.stack([mean, np.sqrt(np.maximum(square - mean * mean, 0.0))], axis=1)
        self._learned_of = None

    # ---- scores and draws ----

    def sums(self, planes: BitPlanes, kind: int, leave_one_out: bool, num_threads: int) -> Floats:
        if kind == _engine.NORMALIZED:
            return self.contributions(planes, kind, num_threads).sum(axis=1)
        scores = np.empty(planes.n_images)
        self._engine_function("score_images")(planes.words, planes.n_images, kind, scores, num_threads)
        return scores

    def contributions(self, planes: BitPlanes, kind: int, num_threads: int) -> Floats:
        nodes = np.empty((planes.n_images, self.layer.n_nodes))
        normalized = kind == _engine.NORMALIZED
        own = _engine.LOG_PROBABILITY if normalized else kind
        self._engine_function("score_nodes")(planes.words, planes.n_images, own, nodes, num_threads)
        if normalized:
            nodes = np.abs(-nodes - self.moments[:, 0]) / np.maximum(self.moments[:, 1], _engine.STD_FLOOR)
        return nodes

    def draw(self, states: States, clamped: States | None, seed: int, num_threads: int) -> None:
        self._engine_function("sample")(seed, clamped, states, num_threads)

    def posterior(self, image: States, known: States, n_particles: int, seed: int, num_threads: int) -> Particles:
        return posterior(
            self._engine_function("inpaint"), image, known, n_particles, seed=seed, num_threads=num_threads
        )

    def log_odds(self, states: States, num_threads: int) -> Floats:
        """(n, nodes) log-odds given the earlier nodes, in images (n, nodes) uint8; whatever is required."""
        odds = np.empty(states.shape, np.int32)
        planes = BitPlanes.of_states(states, num_threads)
        self._engine_function("log_odds")(planes.words, len(states), odds, num_threads)
        return odds / _engine.LOG_ODDS_ONE

    # ---- what it is ----

    def node_means(self, num_threads: int) -> tuple[Floats, Floats]:
        return self.counts[:, 1] / self.counts.sum(axis=1), self.moments[:, 0]

    def _n_parameters(self) -> int:
        raise NotImplementedError

    def bic(self) -> tuple[float, int, float]:
        """Of the training images, leaf values and bases being the parameters."""
        n = int(self.counts[0].sum())
        log_likelihood = -float(self.moments[:, 0].sum()) * n
        n_parameters = self._n_parameters()
        return log_likelihood, n_parameters, n_parameters * np.log(n) - 2 * log_likelihood


def sum_in_order(blocks: Iterable[Floats], so_far: Floats) -> Floats:
    """The sum of blocks, which is that of all images only in their order: doubles are rounded at every step."""
    for own in blocks:
        so_far = so_far + own
    return so_far


# ---- what shards are asked ----


def ones_of_layer(planes: BitPlanes, num_threads: int, members: Mask | None) -> Counts:
    """(nodes,) images in which each node is 1."""
    return planes.ones() if members is None else planes.select(members, num_threads).ones()


def sums_of_shard(shard: Shard, num_threads: int, number: int, network: OddsCPD) -> Floats:
    """(blocks, 2, nodes) sums of -log p of a layer and of its square; they stay where they are."""
    return np.stack(list(network.sums_of_nats(shard.layers[number], num_threads)))


def added_in_order(blocks: Floats, num_threads: int, so_far: Floats) -> Floats:
    """What has come of earlier shards, and the blocks of this one."""
    return sum_in_order(blocks, so_far)


def check_moments(moments: Floats) -> Floats:
    """Moments of -log p from a file. Raises ValueError where they cannot be."""
    if not ((moments >= 0) & (moments <= MAX_SURPRISE)).all():  # NaN fails it too
        raise ValueError("moments of -log p that cannot be")
    return moments
