# SPDX-License-Identifier: BSD-3-Clause
"""Scores of images from counts: value tables, per-image and per-pixel sums, conformal p-values and thresholds.

A network with table CPDs is its counts. Everything here is a function of them: the tables of a score, the score of an
image as a sum of table entries, and the leave-one-out score of a training image as a sum over the tables of the counts
without that image.
"""

import numpy as np

from .. import _engine
from .base import LayerNetwork


class CountedNetwork(LayerNetwork):
    """A layer whose CPDs are counts of images by row and state: tables. Trees count by leaf and have the same methods.

    Parameters
    ----------
    layer : cbn.cpd.grid.Layer
    counts : ndarray, (rows, 2) int64
    pseudocount : float
    """

    # an image's probability can be had without it: its counts are subtracted
    leaves_one_out = True
    # what the engine calls for this kind of CPD; values and probabilities are per row and state
    _score_images = staticmethod(_engine.score_images)
    _score_nodes = staticmethod(_engine.score_nodes)
    _sample_ancestral = staticmethod(_engine.sample_ancestral)
    _sample_gibbs = staticmethod(_engine.sample_gibbs)

    def __init__(self, layer, counts, pseudocount):
        self.layer = layer
        self.engine_layer = _engine.Layer(layer)
        self.counts = counts
        self.pseudocount = pseudocount
        self._tables = {}

    def parts(self):
        """The class and its arguments, from which the network can be made again."""
        return type(self), (self.layer, self.counts, self.pseudocount)

    @classmethod
    def from_planes(cls, layer, planes, n_images, pseudocount, num_threads):
        """Counts the images of bit-planes."""
        counts = np.empty((layer.n_rows, 2), np.int64)
        network = cls(layer, counts, pseudocount)
        _engine.count(network.engine_layer, planes, n_images, counts, num_threads)
        return network

    def recounted(self, planes, n_images, num_threads):
        """The same network with the counts of other images."""
        return type(self).from_planes(self.layer, planes, n_images, self.pseudocount, num_threads)

    def add(self, earlier_counts):
        """Adds the counts of other images of the same layer (CBN_E_OVERFLOW becomes OverflowError)."""
        _engine.counts_add(earlier_counts, self.counts)
        self._tables.clear()

    def check_counts(self, n_images):
        """Raises ValueError unless the counts could come from n_images images."""
        _engine.counts_check(self.engine_layer, self.counts, n_images)

    def values(self, kind, leave_one_out, num_threads):
        """Value table (rows, 2) of an engine kind; kept, because scoring batch after batch uses the same."""
        key = kind, leave_one_out
        if key not in self._tables:
            table = self._make_values(kind, leave_one_out, num_threads)
            if leave_one_out:
                return table
            self._tables[key] = table
        return self._tables[key]

    def _make_values(self, kind, leave_one_out, num_threads):
        table = np.empty(self.counts.shape)
        _engine.value_table(self.engine_layer, self.counts, self.pseudocount, kind, leave_one_out, table, num_threads)
        return table

    def probabilities(self, num_threads):
        """Probability table (rows, 2): p(state | row), thesis eq. 2; kept like those of :meth:`values`."""
        if "probability" not in self._tables:
            self._tables["probability"] = self._make_probabilities(num_threads)
        return self._tables["probability"]

    def _make_probabilities(self, num_threads):
        table = np.empty(self.counts.shape)
        _engine.probability_table(self.engine_layer, self.counts, self.pseudocount, table, num_threads)
        return table

    def sums(self, planes, n_images, kind, leave_one_out, num_threads):
        """(n_images,) sum over nodes of an engine kind of value."""
        scores = np.empty(n_images)
        values = self.values(kind, leave_one_out, num_threads)
        self._score_images(self.engine_layer, planes, n_images, values, scores, num_threads)
        return scores

    def contributions(self, planes, n_images, kind, num_threads):
        """(n_images, nodes) of an engine kind of value."""
        nodes = np.empty((n_images, self.layer.n_nodes))
        values = self.values(kind, False, num_threads)
        self._score_nodes(self.engine_layer, planes, n_images, values, nodes, num_threads)
        return nodes

    def draw(self, states, clamped, seed, num_threads):
        """One ancestral pass over (n, nodes) uint8 states, in place; clamped nodes keep theirs."""
        probability = self.probabilities(num_threads)
        self._sample_ancestral(self.engine_layer, probability, seed, clamped, states, num_threads)

    def flip(self, states, sites, seed, first_step, n_steps, num_threads):
        """Gibbs proposals at the sites in every chain of (n, nodes) uint8 states, in place."""
        probability = self.probabilities(num_threads)
        self._sample_gibbs(self.engine_layer, probability, seed, first_step, n_steps, sites, states, num_threads)

    def leaf_begins(self):
        """First row of every node: (nodes,) int64."""
        return self.layer.table_begins()

    def surprise_quantile(self, share, num_threads):
        """The surprise that a share of all counted (image, node) pairs does not exceed, nats."""
        values = self.values(_engine.SURPRISE, False, num_threads).ravel()
        order = np.argsort(values, kind="stable")
        cumulated = np.cumsum(self._own_counts().ravel()[order])
        return float(values[order[np.searchsorted(cumulated, share * cumulated[-1])]])

    def node_means(self, num_threads):
        """Share of ones and mean -log p (nats) of every node over the counted images; both (nodes,)."""
        values = self.values(_engine.LOG_PROBABILITY, False, num_threads)
        counts = self._own_counts()
        nats = np.where(counts > 0, -values, 0.0) * counts  # 0 times infinity is 0 here
        begin = self.leaf_begins()
        n = np.add.reduceat(counts.sum(axis=1), begin)
        return np.add.reduceat(counts[:, 1], begin) / n, np.add.reduceat(nats.sum(axis=1), begin) / n

    def _own_counts(self):
        """Counts in which every image stands once for each node."""
        return self.counts

    def table_parents(self, node):
        """The nodes over which the CPD of a node is a table, for other programs."""
        layer = self.layer
        channel, inside = divmod(node, layer.n_positions)
        row, column = divmod(inside, layer.width)
        at = [(r.parent, row + r.dy, column + r.dx) for r in layer.parents(channel)]
        return [
            (c * layer.height + y) * layer.width + x for c, y, x in at if 0 <= y < layer.height and 0 <= x < layer.width
        ]

    def table_of(self, node, parents):
        """(2^parents, 2) probabilities over table_parents(node); the first parent is the highest bit of the row."""
        relations = self.layer.parents(node // self.layer.n_positions)
        inside = divmod(node % self.layer.n_positions, self.layer.width)
        present = [
            bit for bit, r in enumerate(relations)
            if 0 <= inside[0] + r.dy < self.layer.height and 0 <= inside[1] + r.dx < self.layer.width
        ]  # fmt: skip
        index = np.arange(1 << len(parents))
        row = sum((index >> (len(parents) - 1 - i) & 1) << bit for i, bit in enumerate(present)) + 0 * index
        return self.probabilities(1)[self.layer.table_begin(node) + row]

    def explain(self, node, states, num_threads):
        """What training saw at a node in the situation of one image, (nodes,) states: a dict for NodeSurprise."""
        layer = self.layer
        channel, inside = divmod(node, layer.n_positions)
        row, column = divmod(inside, layer.width)
        parents, table_row = [], 0
        for bit, relation in enumerate(layer.parents(channel)):
            y, x = row + relation.dy, column + relation.dx
            state = None
            if 0 <= y < layer.height and 0 <= x < layer.width:
                state = int(states[(relation.parent * layer.height + y) * layer.width + x])
                table_row |= state << bit
            parents.append((relation, state))
        first, state = layer.table_begin(node), int(states[node])
        return {
            "probability": float(self.probabilities(num_threads)[first + table_row, state]),
            "parents": tuple(parents),
            "table_row": table_row,
            "count": int(self.counts[first + table_row, state]),
            "row_count": int(self.counts[first + table_row].sum()),
            "n_images": int(self.counts[first : first + (1 << len(parents))].sum()),
        }

    def bic(self):
        """(log-likelihood, number of parameters, BIC) of the counts, thesis eq. 3."""
        return _engine.bic(self.engine_layer, self.counts)
