# SPDX-License-Identifier: BSD-3-Clause
"""Densities of binary images that the package is compared with, in NumPy.

``fit`` takes grey images, binarized at 0.3; ``score_samples`` gives log-probabilities in nats; ``sample`` draws states.
"""

from typing import Self

import numpy as np
from arrays import Images, Reals, Singles, States
from context import SEED
from peers_one_class import states
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
from scipy.special import logsumexp

PSEUDOCOUNT = 1.0  # in every cell of a table, as in the preset "pixel"
COMPONENTS, STEPS = 64, 40  # of the mixture; twice as many of either lower the nats of unseen twos by less than one


class ChowLiu:
    """The tree of largest mutual information (Chow, Liu, IEEE Trans. Inf. Theory 14, 1968)."""

    name = "Chow-Liu tree"

    def fit(self, images: Images) -> Self:
        values = states(images).astype(np.float32)
        n, n_pixels = values.shape
        both = (values.T @ values).astype(np.float64)  # whole numbers below 2^24 are exact in 32 bits
        ones = both.diagonal()
        # counts[a, b][i, j]: images with state a at pixel i and b at pixel j
        counts = np.array([[n - ones[:, None] - ones + both, ones - both], [ones[:, None] - both, both]])
        counts = counts.transpose(2, 3, 0, 1)  # (pixel, pixel, its state, the other's state)
        tree = minimum_spanning_tree(self._lengths(counts / n))
        order, parents = breadth_first_order(tree, 0, directed=False)
        assert len(order) == n_pixels
        self.pixels, self.parents = order[1:], parents[order[1:]]
        self.log_root = np.log(np.array([n - ones[0], ones[0]]) + PSEUDOCOUNT) - np.log(n + 2 * PSEUDOCOUNT)
        joint = counts[self.parents, self.pixels] + PSEUDOCOUNT  # (pixels, parent's state, own state)
        self.log_tables = np.log(joint / joint.sum(axis=2, keepdims=True))
        return self

    @staticmethod
    def _lengths(joint: Reals) -> Reals:
        """Positive, and shorter for more mutual information: a length of 0 would be no edge."""
        independent = joint.sum(axis=3)[..., None] * joint.sum(axis=2)[..., None, :]
        terms = joint * np.log(np.divide(joint, independent, out=np.ones_like(joint), where=joint > 0))
        information = terms.sum(axis=(2, 3))
        return information.max() + 1 - information

    def score_samples(self, images: Images) -> Reals:
        values = states(images)
        scores = self.log_root[values[:, 0]]
        for pixel, parent, table in zip(self.pixels, self.parents, self.log_tables):
            scores = scores + table[values[:, parent], values[:, pixel]]
        return scores

    def sample(self, n: int) -> States:
        """(n, pixels) uint8, parents before children."""
        random = np.random.default_rng(SEED)
        drawn = np.empty((n, 1 + len(self.pixels)), np.uint8)
        drawn[:, 0] = random.random(n) < np.exp(self.log_root[1])
        on = np.exp(self.log_tables[:, :, 1])
        for pixel, parent, own in zip(self.pixels, self.parents, on):
            drawn[:, pixel] = random.random(n) < own[drawn[:, parent]]
        return drawn


class BernoulliMixture:
    """A mixture of products of Bernoulli distributions, by EM (Bishop, "Pattern Recognition", 2006, 9.3.3)."""

    name = "Bernoulli mixture"

    def fit(self, images: Images) -> Self:
        values = states(images).astype(np.float32)
        n = len(values)
        random = np.random.default_rng(SEED)
        share = np.zeros((n, COMPONENTS), np.float32)
        share[np.arange(n), random.integers(COMPONENTS, size=n)] = 1
        for _ in range(STEPS):
            self._maximize(values, share)
            joint = self._joint(values)
            share = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
        return self

    def _maximize(self, values: Singles, share: Singles) -> None:
        sizes = share.sum(axis=0, dtype=np.float64)
        on = (share.T @ values + PSEUDOCOUNT) / (sizes[:, None] + 2 * PSEUDOCOUNT)
        self.on = on.astype(np.float32)
        self.weights = (sizes + PSEUDOCOUNT) / (sizes + PSEUDOCOUNT).sum()
        self.log_odds = np.log(self.on) - np.log1p(-self.on)
        self.log_none = np.log1p(-self.on).sum(axis=1, dtype=np.float64) + np.log(self.weights)

    def _joint(self, values: Singles) -> Singles:
        """(n, components) log p(component, image)."""
        return values @ self.log_odds.T + self.log_none.astype(np.float32)

    def score_samples(self, images: Images) -> Reals:
        return logsumexp(self._joint(states(images).astype(np.float32)), axis=1)

    def sample(self, n: int) -> States:
        """(n, pixels) uint8."""
        random = np.random.default_rng(SEED)
        component = random.choice(COMPONENTS, size=n, p=self.weights)
        return (random.random((n, self.on.shape[1])) < self.on[component]).view(np.uint8)
