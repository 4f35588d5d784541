# SPDX-License-Identifier: BSD-3-Clause
"""A layer whose CPDs are boosted trees: scores, and what the training images were like."""

import numpy as np
from scipy.special import expit

from .. import _engine
from . import boostedlayer as boosted
from .base import LayerNetwork
from .candidates import candidates
from .particles import boosted_posterior

N_INFLUENCES = 3  # earlier nodes that an explanation names


class BoostedNetwork(LayerNetwork):
    """A layer of boosted trees.

    Parameters
    ----------
    layer : cbn.cpd.boostedlayer.BoostedLayer
    counts : ndarray, (nodes, 2) int64
        Training images by state of each node.
    moments : ndarray, (nodes, 2) float64
        Mean and standard deviation of every node's -log p over the training images, nats.
    """

    leaves_one_out = False

    def __init__(self, layer, counts, moments):
        self.layer, self.counts, self.moments = layer, counts, moments
        self.engine_layer = _engine.Boosted(layer)

    def parts(self):
        """The class and its arguments, from which the network can be made again."""
        return type(self), (self.layer, self.counts, self.moments)

    @classmethod
    def grown(cls, geometry, planes, n_images, required, setting, seed, num_threads, progress=None):
        """Grows the trees of a layer on bit-planes; ``setting`` has ``reach`` and ``boosting``."""
        shape = geometry.channels, geometry.height, geometry.width
        layer = boosted.grow(
            shape, planes, n_images, *candidates(*shape, geometry.distance, setting["reach"]), required,
            setting["boosting"], seed=seed, num_threads=num_threads, progress=progress,
        )  # fmt: skip
        ones = np.bitwise_count(planes).sum(axis=1, dtype=np.int64)
        network = cls(layer, np.stack([n_images - ones, ones], axis=1), np.zeros((layer.n_nodes, 2)))
        network.moments[:] = network._moments_of(planes, n_images, num_threads)
        return network

    def check_counts(self, n_images):
        """Raises ValueError unless the counts could come from n_images images."""
        ones, required = self.counts[:, 1], self.layer.required
        more = ones > np.where(required < 0, n_images, ones[required])  # than images with the required node at 1
        if (self.counts < 0).any() or (self.counts.sum(axis=1) != n_images).any() or more.any():
            raise ValueError("the counts cannot come from images of this layer")

    def _moments_of(self, planes, n_images, num_threads):
        """Mean and standard deviation of each node's -log p over images, 512 at a time."""
        first, second = np.zeros(self.layer.n_nodes), np.zeros(self.layer.n_nodes)
        for word in range(0, planes.shape[1], 8):
            n = min(512, n_images - 64 * word)
            part = np.ascontiguousarray(planes[:, word : word + 8])
            nats = -self.contributions(part, n, _engine.LOG_PROBABILITY, num_threads)
            first += nats.sum(axis=0)
            second += (nats * nats).sum(axis=0)
        mean = first / n_images
        return np.stack([mean, np.sqrt(np.maximum(second / n_images - mean * mean, 0.0))], axis=1)

    def sums(self, planes, n_images, kind, leave_one_out, num_threads):
        """(n_images,) sum over nodes of an engine kind of value."""
        if kind == _engine.NORMALIZED:
            return self.contributions(planes, n_images, kind, num_threads).sum(axis=1)
        scores = np.empty(n_images)
        _engine.boosted_score_images(self.engine_layer, planes, n_images, kind, scores, num_threads)
        return scores

    def contributions(self, planes, n_images, kind, num_threads):
        """(n_images, nodes) of an engine kind of value."""
        nodes = np.empty((n_images, self.layer.n_nodes))
        normalized = kind == _engine.NORMALIZED
        own = _engine.LOG_PROBABILITY if normalized else kind
        _engine.boosted_score_nodes(self.engine_layer, planes, n_images, own, nodes, num_threads)
        if normalized:
            nodes = np.abs(-nodes - self.moments[:, 0]) / np.maximum(self.moments[:, 1], _engine.STD_FLOOR)
        return nodes

    def draw(self, states, clamped, seed, num_threads):
        """One ancestral pass over (n, nodes) uint8 states, in place; clamped nodes keep theirs."""
        _engine.boosted_sample(self.engine_layer, seed, clamped, states, num_threads)

    def posterior(self, image, known, n_particles, seed, num_threads):
        """cbn.cpd.particles.Particles of the nodes of an image (nodes,) uint8 that are not known."""
        return boosted_posterior(self.engine_layer, image, known, n_particles, seed=seed, num_threads=num_threads)

    def node_means(self, num_threads):
        """Share of ones and mean -log p (nats) of every node over the training images; both (nodes,)."""
        return self.counts[:, 1] / self.counts.sum(axis=1), self.moments[:, 0]

    def explain(self, node, states, num_threads):
        """The earlier nodes whose other state would change a node's log-odds most: a dict for TreeSurprise."""
        layer, state = self.layer, int(states[node])
        n_images, required = int(self.counts[node].sum()), int(layer.required[node])
        facts = {"count": None, "leaf_count": None, "n_images": n_images}
        if required >= 0 and not states[required]:  # whatever the trees say
            return facts | {"probability": float(not state), "nodes": [(required, 0, None)], "log_odds": None}
        trees = layer.tree_begin[layer.begin[node]], layer.tree_begin[layer.begin[node + 1]]
        used = np.unique(layer.split[trees[0] : trees[1]])
        used = used[used >= 0]
        variants = np.repeat(np.asarray(states, np.uint8)[None], 1 + len(used), axis=0)
        variants[np.arange(1, len(variants)), used] ^= 1
        planes = np.zeros((layer.n_nodes, _engine.plane_words(len(variants))), np.uint64)
        _engine.pack_planes(variants, 0, planes, num_threads)
        odds = np.empty((len(variants), layer.n_nodes), np.int32)
        _engine.boosted_log_odds(self.engine_layer, planes, len(variants), odds, num_threads)
        log_odds = odds[:, node] / _engine.LOG_ODDS_ONE
        influence = log_odds[1:] - log_odds[0]
        largest = [i for i in np.argsort(-np.abs(influence), kind="stable")[:N_INFLUENCES] if influence[i]]
        return facts | {
            "probability": float(expit(log_odds[0] if state else -log_odds[0])),
            "nodes": [(int(used[i]), int(states[used[i]]), float(influence[i])) for i in largest],
            "log_odds": float(log_odds[0]),
        }

    def bic(self):
        """(log-likelihood of the training images in nats, number of leaf values, BIC)."""
        n = int(self.counts[0].sum())
        log_likelihood = -float(self.moments[:, 0].sum()) * n
        n_parameters = self.layer.n_leaves + self.layer.n_nodes
        return log_likelihood, n_parameters, n_parameters * np.log(n) - 2 * log_likelihood
