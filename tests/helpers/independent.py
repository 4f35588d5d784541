# SPDX-License-Identifier: BSD-3-Clause
"""A kind of conditional distributions that the package does not have: every pixel on its own, from a marginal.

It is one file and nothing else, as cbn.cpd.base says of a kind. Only a thermometer code makes a node depend on another:
that of the next lower threshold, without which it is never 1.
"""

import contextlib

import numpy as np
import pytest

from cbn import _engine
from cbn import _validation as validation
from cbn._params import Parameters, Real, parameter, parameters
from cbn.cpd import kinds
from cbn.cpd.base import CPD
from cbn.cpd.candidates import no_required, required_nodes
from cbn.cpd.grid import Relation
from cbn.explain.surprise import NodeSurprise
from cbn.io.archive import read_array

MAX_NODES = 2**27
DRAWS = 2**20  # purpose of its random numbers
# Situations of a node in an image: the required node is off; on, and the node is off; both on; only the node is on.
OFF, ZERO, ONE, IMPOSSIBLE = range(4)


@parameters
class Independent(Parameters):
    """Every pixel on its own: the share of training images in which it is 1."""

    pseudocount: float = parameter(
        Real(1e-9, 1e9), "Added to the counts of both states before the share is made.", default=1.0
    )


class IndependentCPD(CPD):
    """A layer of independent nodes.

    Parameters
    ----------
    layer : Grid
    required : ndarray, (nodes,) int32
        The node without which each is never 1, -1 for none.
    counts : ndarray, (nodes, 2) int64
        Images by state, of those where the required node is 1.
    pseudocount : float
    """

    name = "independent"
    nouns = "independent pixels"
    parameter_class = Independent
    adds_counts = True
    leaves_one_out = True
    exports = True
    has_features = True

    def __init__(self, layer, required, counts, pseudocount):
        self.layer, self.required, self.counts, self.pseudocount = layer, required, counts, pseudocount

    def parts(self):
        return self.layer, self.required, self.counts, self.pseudocount

    # ---- learning ----

    @classmethod
    def check_size(cls, parameters, field, pixels):
        if field.grid().n_nodes > MAX_NODES:
            raise ValueError(f"threshold: {field.grid()} are more than {MAX_NODES:,} nodes; use smaller images")

    @classmethod
    def learn(cls, parameters, task):
        required = no_required(task.grid, required_nodes(task.grid, task.pixels))
        empty = np.zeros((task.grid.n_nodes, 2), np.int64)
        return cls(task.grid, required, empty, parameters.pseudocount).recounted(task.planes, task.num_threads)

    def recounted(self, planes, num_threads):
        ones = planes.ones()
        allowed = np.where(self.required < 0, planes.n_images, ones[self.required])
        return type(self)(self.layer, self.required, np.stack([allowed - ones, ones], axis=1), self.pseudocount)

    def add(self, earlier_counts):
        _engine.counts_add(earlier_counts, self.counts)

    def check_counts(self, n_images):
        allowed = np.where(self.required < 0, n_images, self.counts[self.required, 1])
        if (self.counts < 0).any() or (self.counts.sum(axis=1) != allowed).any():
            raise ValueError("the counts cannot come from images of this layer")

    # ---- scores ----

    def _situations(self, states):
        allowed = (self.required < 0) | (states[:, self.required] == 1)
        return np.where(allowed, np.where(states == 1, ONE, ZERO), np.where(states == 1, IMPOSSIBLE, OFF))

    def _values(self, kind, without=None):
        """(nodes, 4) values by situation; ``without`` is one in which one image fewer was counted."""
        counts, pseudocount = (
            np.column_stack([self.counts[0].sum() - self.counts.sum(axis=1), self.counts]),
            self.pseudocount,
        )
        if without is not None:
            counts[:, without] -= 1  # of no meaning where there was none
            pseudocount *= 1 - 1 / self.n_images if self.n_images > 1 else 1.0
        n, zeros, ones = counts.sum(axis=1), counts[:, ZERO], counts[:, ONE]
        p = (np.stack([zeros, ones], axis=1) + pseudocount) / (zeros + ones + 2 * pseudocount)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            nats = -np.log(p)
            entropy = (p * nats).sum(axis=1)
            if kind == _engine.LOG_PROBABILITY:
                own, outside = -nats, (0.0, -np.inf)
            elif kind == _engine.SURPRISE:
                own, outside = nats - entropy[:, None], (0.0, np.inf)
            elif kind == _engine.VARIANCE:
                own, outside = np.repeat((p * nats**2).sum(axis=1) - entropy**2, 2).reshape(-1, 2), (0.0, 0.0)
            else:
                mean = (counts[:, 1:] * nats).sum(axis=1) / n
                variance = (counts[:, 1:] * nats**2).sum(axis=1) / n - mean**2
                deviation = np.maximum(np.sqrt(np.maximum(variance, 0.0)), _engine.STD_FLOOR)
                own = np.abs(nats - mean[:, None]) / deviation[:, None]
                outside = np.abs(mean) / deviation, np.full(len(mean), np.inf)
        return np.column_stack([np.broadcast_to(outside[0], n.shape), own, np.broadcast_to(outside[1], n.shape)])

    def contributions(self, planes, kind, num_threads, leave_one_out=False):
        situations = self._situations(planes.states(num_threads))
        nodes = np.arange(self.layer.n_nodes)
        if not leave_one_out:
            return self._values(kind)[nodes, situations]
        by_situation = np.stack([self._values(kind, without=s)[:, s] for s in (OFF, ZERO, ONE)], axis=1)
        return by_situation[nodes, situations]  # images that were counted are possible

    def sums(self, planes, kind, leave_one_out, num_threads):
        return np.cumsum(self.contributions(planes, kind, num_threads, leave_one_out), axis=1)[:, -1]

    # ---- draws ----

    def draw(self, states, clamped, seed, num_threads):
        u = np.empty(states.shape)
        _engine.uniform(seed, DRAWS, 0, u)
        p = (self.counts[:, 1] + self.pseudocount) / (self.counts.sum(axis=1) + 2 * self.pseudocount)
        for node in range(self.layer.n_nodes):  # thresholds lie behind each other
            if clamped is None or not clamped[node]:
                allowed = states[:, self.required[node]] if self.required[node] >= 0 else 1
                states[:, node] = (u[:, node] < p[node]) & allowed

    # ---- what it is ----

    def node_means(self, num_threads):
        n = self.counts[0].sum()
        nats = -self._values(_engine.LOG_PROBABILITY)[:, (ZERO, ONE)]
        return self.counts[:, 1] / n, (self.counts * nats).sum(axis=1) / n

    def bic(self):
        n, total = int(self.counts[0].sum()), self.counts.sum(axis=1, keepdims=True)
        share = np.divide(self.counts, total, out=np.ones(self.counts.shape), where=self.counts > 0)
        log_likelihood = float((self.counts * np.log(share)).sum())
        return log_likelihood, len(self.counts), len(self.counts) * np.log(n) - 2 * log_likelihood

    def explain(self, place, node, states, num_threads):
        required, channel = int(self.required[node]), place.channel
        parents = () if required < 0 else ((Relation(channel, channel - 1, 0, 0, True), int(states[required])),)
        situation = int(self._situations(states[None])[0, node])
        state = place.state if situation in (ZERO, ONE) else 0
        return NodeSurprise(
            **place.attributes(), probability=float(np.exp(self._values(_engine.LOG_PROBABILITY)[node, situation])),
            parents=parents, table_row=int(bool(parents) and bool(parents[0][1])), count=int(self.counts[node, state]),
            row_count=int(self.counts[node].sum()), n_images=int(self.counts[0].sum()), threshold=place.threshold,
        )  # fmt: skip

    def facts(self):
        return {"pseudocount": self.pseudocount}

    def table_parents(self, node):
        return [] if self.required[node] < 0 else [int(self.required[node])]

    def table_of(self, node, parents):
        own = np.exp(self._values(_engine.LOG_PROBABILITY)[node, (ZERO, ONE)])
        return own[None] if not parents else np.array([[1.0, 0.0], own])

    # ---- files ----

    def describe(self):
        return {"cpd": self.name, "layer": self.layer.sizes(), "pseudocount": self.pseudocount}

    def arrays(self):
        return {"counts": self.counts}

    @classmethod
    def read(cls, source):
        pseudocount = validation.check_real(source.value("pseudocount"), "pseudocount", 1e-9, 1e9)
        counts = read_array(source.archive, source.array_name("counts"), np.int64, (source.grid.n_nodes, 2))
        return cls(
            source.grid, no_required(source.grid, required_nodes(source.grid, source.pixels)), counts, pseudocount
        )


@contextlib.contextmanager
def registered():
    """Within the block the package knows the kind."""
    kinds.register(IndependentCPD)
    try:
        yield IndependentCPD
    finally:
        kinds.unregister(IndependentCPD)


@pytest.fixture(scope="module")
def independent():
    """The kind, known while the tests of a file run."""
    with registered() as kind:
        yield kind
