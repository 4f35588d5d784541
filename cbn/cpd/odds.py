# SPDX-License-Identifier: BSD-3-Clause
"""What kinds of CPDs have in common whose nodes have log-odds that the engine computes from earlier nodes."""

from functools import partial
from typing import Any, ClassVar

import numpy as np

from .. import _engine
from ..bits.planes import BitPlanes
from .base import CPD, Counts, Floats, States
from .particles import Particles, posterior

# nats; log-odds are 32-bit numbers of units of 2^-16, so that no -log p is above 2^15
MAX_SURPRISE = 2.0**16


class OddsCPD(CPD):
    """A layer whose nodes have log-odds.

    Parameters
    ----------
    layer : Grid
    counts : ndarray, (nodes, 2) int64
        Training images by state of each node.
    moments : ndarray, (nodes, 2) float64
        Mean and standard deviation of every node's -log p over the training images, nats.

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

    def __init__(self, layer: Any, counts: Counts, moments: Floats) -> None:
        self.layer, self.counts, self.moments = layer, counts, moments
        self.engine_layer = self.engine_class(layer)

    def parts(self) -> tuple[Any, ...]:
        return self.layer, self.counts, self.moments

    def _engine_function(self, name: str) -> Any:
        return partial(getattr(_engine, f"{self.engine_prefix}_{name}"), self.engine_layer)

    @classmethod
    def of_images(cls, layer: Any, planes: BitPlanes, num_threads: int) -> Any:
        """The CPDs of a layer that was learned from these images."""
        ones = planes.ones()
        network = cls(layer, np.stack([planes.n_images - ones, ones], axis=1), np.zeros((layer.n_nodes, 2)))
        network.moments[:] = network._moments_of(planes, num_threads)
        return network

    def _required(self) -> Any:
        """(nodes,) the node without which each node is never 1, -1 for none."""
        raise NotImplementedError

    def check_counts(self, n_images: int) -> None:
        ones, required = self.counts[:, 1], self._required()
        more = ones > np.where(required < 0, n_images, ones[required])  # than images with the required node at 1
        if (self.counts < 0).any() or (self.counts.sum(axis=1) != n_images).any() or more.any():
            raise ValueError("the counts cannot come from images of this layer")

    def _moments_of(self, planes: BitPlanes, num_threads: int) -> Floats:
        """Mean and standard deviation of each node's -log p over images, 512 at a time."""
        first, second = np.zeros(self.layer.n_nodes), np.zeros(self.layer.n_nodes)
        for word in range(0, planes.words.shape[1], 8):
            nats = -self.contributions(planes.part(word, 8), _engine.LOG_PROBABILITY, num_threads)
            first += nats.sum(axis=0)
            second += (nats * nats).sum(axis=0)
        mean = first / planes.n_images
        return np.stack([mean, np.sqrt(np.maximum(second / planes.n_images - mean * mean, 0.0))], axis=1)

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


def check_moments(moments: Floats) -> Floats:
    """Moments of -log p from a file. Raises ValueError where they cannot be."""
    if not ((moments >= 0) & (moments <= MAX_SURPRISE)).all():  # NaN fails it too
        raise ValueError("moments of -log p that cannot be")
    return moments
