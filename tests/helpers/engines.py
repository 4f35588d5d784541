# SPDX-License-Identifier: BSD-3-Clause
"""The engine and its NumPy twin behind one face, so that the same tests run on both.

Both fill arrays that the caller gives; the methods here allocate them. The engine stands for several code paths, one per
instruction set of the architecture (one that the processor lacks runs the generic code).
"""

import os
import platform
from contextlib import contextmanager

import numpy as np

import reference
from cbn import _engine
from cbn.cpd.tree import TreeLayer


class Engine:
    """All engine functions with their outputs returned."""

    def __init__(self, name, module, make_layer, instruction_set=None):
        self.name, self.module, self.make_layer, self.instruction_set = name, module, make_layer, instruction_set
        self.make_trees = getattr(module, "Trees", lambda trees: trees)

    def __repr__(self):
        return self.name

    @contextmanager
    def _path(self):
        before = os.environ.get("CBN_INSTRUCTION_SET")
        if self.instruction_set:
            os.environ["CBN_INSTRUCTION_SET"] = self.instruction_set
        try:
            yield self.module
        finally:
            os.environ.pop("CBN_INSTRUCTION_SET", None)
            if before is not None:
                os.environ["CBN_INSTRUCTION_SET"] = before

    def planes(self, images, cutoffs, threads=1):
        n, n_pixels = images.shape
        planes = np.empty((len(cutoffs) * n_pixels, reference.plane_words(n)), np.uint64)
        with self._path() as module:
            for c, cutoff in enumerate(cutoffs):
                module.pack_planes(images, cutoff, planes[c * n_pixels : (c + 1) * n_pixels], threads)
        return planes

    def states(self, planes, n, threads=1):
        states = np.empty((n, len(planes)), np.uint8)
        with self._path() as module:
            module.unpack_planes(planes, states, threads)
        return states

    def selected(self, planes, n, keep, threads=1):
        out = np.full((len(planes), reference.plane_words(np.count_nonzero(keep))), 2**64 - 1, np.uint64)
        with self._path() as module:
            module.planes_select(planes, n, keep, out, threads)
        return out

    def counts(self, layer, planes, n, threads=1):
        counts = np.full((layer.n_rows, 2), -1, np.int64)
        with self._path() as module:
            module.count(self.make_layer(layer), planes, n, counts, threads)
        return counts

    def check(self, layer, counts, n):
        self.module.counts_check(self.make_layer(layer), counts, n)

    def bic(self, layer, counts):
        return self.module.bic(self.make_layer(layer), counts)

    def probability(self, layer, counts, pseudocount=1.0, threads=1):
        table = np.empty((layer.n_rows, 2))
        with self._path() as module:
            module.probability_table(self.make_layer(layer), counts, pseudocount, table, threads)
        return table

    def values(self, layer, counts, kind, pseudocount=1.0, leave_one_out=False, threads=1):
        table = np.empty((layer.n_rows, 2))
        with self._path() as module:
            module.value_table(self.make_layer(layer), counts, pseudocount, kind, leave_one_out, table, threads)
        return table

    def scores(self, layer, planes, n, values, threads=1):
        scores = np.empty(n)
        with self._path() as module:
            module.score_images(self.make_layer(layer), planes, n, values, scores, threads)
        return scores

    def contributions(self, layer, planes, n, values, threads=1):
        nodes = np.empty((n, layer.n_nodes))
        with self._path() as module:
            module.score_nodes(self.make_layer(layer), planes, n, values, nodes, threads)
        return nodes

    def ancestral(self, layer, probability, seed, states, clamped=None, threads=1):
        states = states.copy()
        with self._path() as module:
            module.sample_ancestral(self.make_layer(layer), probability, seed, clamped, states, threads)
        return states

    def gibbs(self, layer, probability, seed, first_step, n_steps, sites, states, threads=1):
        states = states.copy()
        with self._path() as module:
            module.sample_gibbs(self.make_layer(layer), probability, seed, first_step, n_steps, sites, states, threads)
        return states

    def gibbs_layers(self, layers, transitions, values, unit, schedule, seed, first_step, sites, states, threads=1):
        states = states.copy()
        if self.module is not reference:
            layers, transitions = [_engine.Layer(x) for x in layers], [_engine.Transition(t) for t in transitions]
        with self._path() as module:
            stack = module.LayerStack(layers, transitions)
            module.sample_gibbs_layers(stack, values, unit, schedule, seed, first_step, sites, states, threads)
        return states

    def grow(self, shape, planes, n, begin, candidate, required=None, penalty=0.5, max_leaves=8, min_leaf=1, threads=1):
        """The trees (a TreeLayer) and their counts; every tree must be numbered breadth first."""
        n_nodes, capacity = len(planes), 2 * max_leaves - 1
        n_vertices = np.full(n_nodes, -7, np.int32)
        split, child = (np.full((n_nodes, capacity), -7, np.int32) for _ in range(2))
        counts = np.full((n_nodes, capacity, 2), -7, np.int64)
        with self._path() as module:
            module.tree_grow(
                shape, planes, n, (begin, candidate, required), (penalty, max_leaves, min_leaf),
                (n_vertices, split, child, counts), threads,
            )  # fmt: skip
        used = np.arange(capacity) < n_vertices[:, None]
        assert (split[~used] == -7).all()  # written to the beginning only
        ends = np.concatenate([[0], np.cumsum(n_vertices, dtype=np.int64)])
        trees = TreeLayer(*shape, ends, split[used], np.full(n_nodes, -1, np.int32) if required is None else required)
        np.testing.assert_array_equal(trees.child, child[used])
        return trees, counts[used]

    def count_vertices(self, shape, planes, n, members, candidates, vertices, threads=1):
        """totals (vertices, 2) and counts (useful, 2)."""
        totals, counts = (np.full((size, 2), -7, np.int64) for size in (vertices[0][-1], len(vertices[4])))
        with self._path() as module:
            module.count_vertices(shape, planes, n, members, candidates, vertices, totals, counts, threads)
        return totals, counts

    def best_splits(self, totals, useful_begin, counts, penalty, n, min_leaf, threads=1):
        """gain, best, pays."""
        found = np.full(len(totals), np.nan), np.full(len(totals), -7, np.int32), np.full(len(totals), 7, np.uint8)
        with self._path() as module:
            module.best_splits(totals, useful_begin, counts, (penalty, n, min_leaf), found, threads)
        return found

    def choose_splits(self, root, child, gain, max_leaves, threads=1):
        """taken, chosen."""
        found = np.full(len(child), 7, np.uint8), np.full(len(child), 7, np.uint8)
        with self._path() as module:
            module.choose_splits(root, child, gain, max_leaves, found, threads)
        return found

    def trees_check(self, trees):
        if hasattr(self.module, "Trees"):
            self.module.Trees(trees)
        else:
            self.module.trees_check(trees)

    def tree_counts(self, trees, planes, n, threads=1):
        counts = np.full((len(trees.split), 2), -1, np.int64)
        with self._path() as module:
            module.tree_count(self.make_trees(trees), planes, n, counts, threads)
        return counts

    def tree_counts_check(self, trees, counts, n):
        self.module.tree_counts_check(self.make_trees(trees), counts, n)

    def tree_bic(self, trees, counts):
        return self.module.tree_bic(self.make_trees(trees), counts)

    def tree_probability(self, trees, counts, pseudocount=1.0, shrinkage=1.0, threads=1):
        probability = np.empty((len(trees.split), 2))
        with self._path() as module:
            module.tree_probability(self.make_trees(trees), counts, pseudocount, shrinkage, probability, threads)
        return probability

    def tree_values(self, trees, counts, kind, pseudocount=1.0, shrinkage=1.0, leave_one_out=False, threads=1):
        """NaN at inner vertices, where values have no meaning."""
        probability = self.tree_probability(trees, counts, pseudocount, shrinkage)
        values = np.empty((len(trees.split), 2))
        with self._path() as module:
            module.tree_values(
                self.make_trees(trees), counts, probability, pseudocount, shrinkage, kind, leave_one_out, values,
                threads,
            )  # fmt: skip
        values[trees.split >= 0] = np.nan
        return values

    def tree_scores(self, trees, planes, n, values, threads=1):
        scores = np.empty(n)
        with self._path() as module:
            module.tree_score_images(self.make_trees(trees), planes, n, values, scores, threads)
        return scores

    def tree_contributions(self, trees, planes, n, values, threads=1):
        nodes = np.empty((n, len(planes)))
        with self._path() as module:
            module.tree_score_nodes(self.make_trees(trees), planes, n, values, nodes, threads)
        return nodes

    def tree_ancestral(self, trees, probability, seed, states, clamped=None, threads=1):
        states = states.copy()
        with self._path() as module:
            module.tree_sample_ancestral(self.make_trees(trees), probability, seed, clamped, states, threads)
        return states

    def tree_gibbs(self, trees, probability, seed, first_step, n_steps, sites, states, threads=1):
        states = states.copy()
        with self._path() as module:
            module.tree_sample_gibbs(
                self.make_trees(trees), probability, seed, first_step, n_steps, sites, states, threads
            )
        return states


TWIN = Engine("twin", reference, lambda layer: layer)
INSTRUCTION_SETS = ("neon", "generic") if platform.machine() in ("aarch64", "arm64") else ("avx512", "avx2", "generic")
PATHS = [Engine(name, _engine, _engine.Layer, name) for name in INSTRUCTION_SETS]
ALL = [TWIN, *PATHS]
