# SPDX-License-Identifier: BSD-3-Clause
"""A layer whose CPDs are decision trees: counts by vertex, and what follows from them."""

import numpy as np

from .. import _engine
from . import treelayer as trees
from .candidates import candidates
from .particles import tree_posterior
from .table import CountedNetwork


class TreeNetwork(CountedNetwork):
    """A layer of trees with counts; the leaf that an image reaches is what the row of a table is.

    Parameters
    ----------
    layer : cbn.cpd.treelayer.TreeLayer
    counts : ndarray, (vertices, 2) int64
    pseudocount : float
        At the root.
    shrinkage : float
        With how many images' weight a vertex leans on its parent.
    """

    # the splits were chosen with the image, which its own counts do not show
    leaves_one_out = False
    _score_images = staticmethod(_engine.tree_score_images)
    _score_nodes = staticmethod(_engine.tree_score_nodes)
    _sample_ancestral = staticmethod(_engine.tree_sample_ancestral)
    _sample_gibbs = staticmethod(_engine.tree_sample_gibbs)

    def __init__(self, layer, counts, pseudocount, shrinkage):
        self.layer = layer
        self.engine_layer = _engine.Trees(layer)
        self.counts = counts
        self.pseudocount, self.shrinkage = pseudocount, shrinkage
        self._tables = {}

    def parts(self):
        return type(self), (self.layer, self.counts, self.pseudocount, self.shrinkage)

    @classmethod
    def grown(cls, geometry, planes, n_images, required, setting, num_threads):
        """Grows the trees of a layer on bit-planes.

        Parameters
        ----------
        geometry : cbn.layers.geometry.LayerGeometry
        planes : ndarray, (nodes, words) uint64
        n_images : int
        required : ndarray, (nodes,) int32, or None
            The lower threshold of every pixel of a thermometer code.
        setting : dict
            ``reach``, ``penalty``, ``max_leaves``, ``min_leaf``, ``pseudocount``, ``shrinkage``.
        num_threads : int
        """
        shape = geometry.channels, geometry.height, geometry.width
        layer, counts = trees.grow(
            shape, planes, n_images, *candidates(*shape, geometry.distance, setting["reach"]), required,
            num_threads=num_threads, **{name: setting[name] for name in ("penalty", "max_leaves", "min_leaf")},
        )  # fmt: skip
        return cls(layer, counts, setting["pseudocount"], setting["shrinkage"])

    def recounted(self, planes, n_images, num_threads):
        """The same trees with the counts of other images."""
        counts = np.empty(self.counts.shape, np.int64)
        _engine.tree_count(self.engine_layer, planes, n_images, counts, num_threads)
        return type(self)(self.layer, counts, self.pseudocount, self.shrinkage)

    def check_counts(self, n_images):
        """Raises ValueError unless the counts could come from n_images images."""
        _engine.tree_counts_check(self.engine_layer, self.counts, n_images)

    def _make_values(self, kind, leave_one_out, num_threads):
        table = np.empty(self.counts.shape)
        _engine.tree_values(
            self.engine_layer, self.counts, self.probabilities(num_threads), self.pseudocount, self.shrinkage, kind,
            leave_one_out, table, num_threads,
        )  # fmt: skip
        return table

    def _make_probabilities(self, num_threads):
        table = np.empty(self.counts.shape)
        _engine.tree_probability(self.engine_layer, self.counts, self.pseudocount, self.shrinkage, table, num_threads)
        return table

    def posterior(self, image, known, n_particles, seed, num_threads):
        """cbn.cpd.particles.Particles of the nodes of an image (nodes,) uint8 that are not known."""
        return tree_posterior(
            self.engine_layer,
            self.probabilities(num_threads),
            image,
            known,
            n_particles,
            seed=seed,
            num_threads=num_threads,
        )

    def table_parents(self, node):
        """The nodes that the tree of a node asks, in increasing order."""
        own = self.layer.split[self.layer.begin[node] : self.layer.begin[node + 1]]
        return np.unique(own[own >= 0]).tolist()

    def table_of(self, node, parents):
        """(2^parents, 2) probabilities over table_parents(node); the first parent is the highest bit of the row."""
        first, end = self.layer.begin[node], self.layer.begin[node + 1]
        split, child = self.layer.split[first:end], self.layer.child[first:end]
        index = np.arange(1 << len(parents))
        vertex = np.zeros(len(index), np.int64)
        bit = {parent: len(parents) - 1 - i for i, parent in enumerate(parents)}
        while (inner := split[vertex] >= 0).any():
            shift = np.array([bit.get(int(decides), 0) for decides in split[vertex]])
            vertex = np.where(inner, child[vertex] + (index >> shift & 1), vertex)
        return self.probabilities(1)[first + vertex]

    def explain(self, node, states, num_threads):
        """The way of an image through the tree of a node: a dict for TreeSurprise."""
        first, vertex, way = int(self.layer.begin[node]), 0, []
        while (decides := int(self.layer.split[first + vertex])) >= 0:
            state = int(states[decides])
            way.append((decides, state, None))
            vertex = int(self.layer.child[first + vertex]) + state
        state = int(states[node])
        return {
            "probability": float(self.probabilities(num_threads)[first + vertex, state]),
            "nodes": way,
            "count": int(self.counts[first + vertex, state]),
            "leaf_count": int(self.counts[first + vertex].sum()),
            "n_images": int(self.counts[first].sum()),
            "log_odds": None,
        }

    def leaf_begins(self):
        return self.layer.begin[:-1]

    def _own_counts(self):
        return np.where(self.layer.split[:, None] < 0, self.counts, 0)

    def bic(self):
        """(log-likelihood at maximum likelihood, number of free parameters, BIC) of the counts."""
        return _engine.tree_bic(self.engine_layer, self.counts)
