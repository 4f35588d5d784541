# SPDX-License-Identifier: BSD-3-Clause
"""A density of binary images that the package is compared with, in NumPy: the Chow-Liu tree."""

import numpy as np
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from peers_one_class import states

PSEUDOCOUNT = 1.0  # in every cell of a table, as in the preset "pixel"


class ChowLiu:
    """The tree of largest mutual information (Chow, Liu, IEEE Trans. Inf. Theory 14, 1968).

    ``fit`` takes grey images, binarized at 0.3; ``score_samples`` gives log-probabilities in nats.
    """

    name = "Chow-Liu tree"

    def fit(self, images):
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
    def _lengths(joint):
        """Positive, and shorter for more mutual information: a length of 0 would be no edge."""
        independent = joint.sum(axis=3)[..., None] * joint.sum(axis=2)[..., None, :]
        terms = joint * np.log(np.divide(joint, independent, out=np.ones_like(joint), where=joint > 0))
        information = terms.sum(axis=(2, 3))
        return information.max() + 1 - information

    def score_samples(self, images):
        values = states(images)
        scores = self.log_root[values[:, 0]]
        for pixel, parent, table in zip(self.pixels, self.parents, self.log_tables):
            scores = scores + table[values[:, parent], values[:, pixel]]
        return scores
