# SPDX-License-Identifier: BSD-3-Clause
"""What all kinds of conditional probability distributions (CPDs) have in common: named scores over one layer."""

import numpy as np

from .. import _engine

# name -> (engine kind, sign that makes higher more normal)
SCORES = {
    "log_probability": (_engine.LOG_PROBABILITY, 1.0),
    "surprise": (_engine.SURPRISE, -1.0),
    "standardized": (_engine.SURPRISE, -1.0),
    "normalized": (_engine.NORMALIZED, -1.0),
}


class LayerNetwork:
    """The distribution of one layer of binary nodes, whatever its conditional distributions (CPDs) are.

    A kind of CPD says how scores add up over nodes (:meth:`sums`, :meth:`contributions`), what the statistics of its
    nodes are, and how it draws; see CountedNetwork for tables and cbn.cpd.tree for trees.
    """

    def score(self, planes, n_images, score, num_threads, *, leave_one_out=False):
        """(n_images,) of a named score, its sign such that higher is more normal.

        ``leave_one_out`` is for images that are in the counts: each is scored by the network without it.
        """
        kind, sign = SCORES[score]
        sums = self.sums(planes, n_images, kind, leave_one_out, num_threads)
        if score == "standardized":
            variance = self.sums(planes, n_images, _engine.VARIANCE, leave_one_out, num_threads)
            # a network that is certain everywhere has variance 0; its surprise is then 0 as well
            sums = np.divide(sums, np.sqrt(variance), out=sums, where=variance > 0)
        return sign * sums

    def surprise_maps(self, planes, n_images, num_threads):
        """(n_images, nodes) surprise of every node, nats."""
        return self.contributions(planes, n_images, _engine.SURPRISE, num_threads)
