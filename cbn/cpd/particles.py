# SPDX-License-Identifier: BSD-3-Clause
"""Inpainting by sequential Monte Carlo: a particle filter over the raster pass of a network.

Missing nodes are drawn from their CPD given the earlier ones, a known node multiplies a particle's weight by the
probability of its state, and particles are drawn anew by systematic resampling when few carry the weight (Gordon, Salmond
& Smith 1993, "Novel approach to nonlinear/non-Gaussian Bayesian state estimation"; Doucet & Johansen 2009, "A tutorial
on particle filtering and smoothing"). With more particles the result comes ever closer to the true posterior, for known
pixels that come before and after the missing ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from .. import _engine
from ..bits.planes import BitPlanes

Floats = npt.NDArray[np.float64]
States = npt.NDArray[np.uint8]


class Drawing(Protocol):
    """What likelihood weighting asks of CPDs."""

    def draw(self, states: States, clamped: States | None, seed: int, num_threads: int) -> None: ...
    def contributions(self, planes: BitPlanes, kind: int, num_threads: int) -> Floats: ...


@dataclass(frozen=True, eq=False)
class Particles:
    """Weighted draws of the posterior of the missing nodes given the known ones.

    Attributes
    ----------
    states : ndarray, (n, nodes) uint8
        The particles; known nodes are the same in all.
    weight : ndarray, (n,) float64
        Sums to 1.
    log_marginal : float
        Nats: log of an unbiased estimate of the probability of the known nodes.
    """

    states: States
    weight: Floats
    log_marginal: float

    @property
    def effective_size(self) -> float:
        """Effective sample size 1 / sum w^2 at the end of the pass, an upper bound on how many draws differ."""
        return 1.0 / float(np.square(self.weight).sum())

    def mean(self) -> Floats:
        """(nodes,) float64: posterior probability that a node is 1."""
        return self.weight @ self.states

    def draw(self, n: int, seed: int) -> States:
        """(n, nodes) uint8: draws of equal weight, by systematic resampling."""
        u = np.empty((1, 1))
        _engine.uniform(seed, _engine.RANDOM_RESAMPLE, self.states.shape[1], u)
        cumulated = np.cumsum(self.weight)
        at = (np.arange(n) + u[0, 0]) / n * cumulated[-1]
        return self.states[np.minimum(np.searchsorted(cumulated, at, side="right"), len(self.states) - 1)]


def pooled(runs: Sequence[Particles]) -> tuple[Particles, Floats]:
    """The particles of independent filters of one posterior as one, and the share of weight of each filter.

    A filter counts in proportion to its estimate of the probability of the known nodes, which is unbiased: the pool is
    then an importance sample of the posterior.
    """
    log_marginal = np.array([run.log_marginal for run in runs])
    share = np.exp(log_marginal - log_marginal.max())
    total = float(np.log(share.mean()) + log_marginal.max())
    share /= share.sum()
    weight = np.concatenate([own * run.weight for own, run in zip(share, runs)])
    return Particles(np.concatenate([run.states for run in runs]), weight / weight.sum(), total), share


def _filter(call: Callable[..., float], known: States, image: States, n_particles: int) -> Particles:
    states = np.repeat(np.asarray(image, np.uint8)[None], n_particles, axis=0)
    weight = np.empty(n_particles)
    log_marginal = call(np.ascontiguousarray(known, np.uint8), states, weight)
    return Particles(states, weight, log_marginal)


def boosted_posterior(
    boosted: _engine.Boosted, image: States, known: States, n_particles: int, *, seed: int, num_threads: int
) -> Particles:
    """Posterior of the missing nodes of one image under boosted trees.

    Parameters
    ----------
    boosted : _engine.Boosted
    image : ndarray, (nodes,) uint8
        States of 0 and 1; what it holds at missing nodes is not used.
    known : ndarray, (nodes,) bool or uint8
        True where the state is known.
    n_particles : int
        More give a better approximation; time and memory grow in proportion.
    seed, num_threads : int

    Returns
    -------
    Particles

    Raises
    ------
    ValueError
        For sizes that do not fit, or known states that have probability 0.
    """
    return _filter(
        lambda known, states, weight: _engine.boosted_inpaint(boosted, seed, known, states, weight, num_threads),
        known, image, n_particles,
    )  # fmt: skip


def tree_posterior(
    trees: _engine.Trees,
    probability: Floats,
    image: States,
    known: States,
    n_particles: int,
    *,
    seed: int,
    num_threads: int,
) -> Particles:
    """The same under single trees; probability (vertices, 2) as ``_engine.tree_probability`` makes it."""
    return _filter(
        lambda known, states, weight: _engine.tree_inpaint(
            trees, probability, seed, known, states, weight, num_threads
        ),
        known, image, n_particles,
    )  # fmt: skip


def weighted_by_likelihood(
    network: Drawing, image: States, known: States, n_particles: int, seed: int, num_threads: int
) -> Particles:
    """Posterior of the missing nodes under anything that draws and scores: likelihood weighting.

    Every particle is one pass with the known nodes clamped, its weight the probability of these given the nodes before
    them (Fung & Chang 1990, "Weighing and integrating evidence for stochastic simulation in Bayesian networks").

    Parameters
    ----------
    network : cbn.cpd.base.CPD
    image, known : ndarray, (nodes,) uint8
    n_particles, seed, num_threads : int

    Raises
    ------
    ValueError
        The known states have probability 0.
    """
    is_known = np.asarray(known).astype(bool)
    states = np.repeat(np.asarray(image, np.uint8)[None], n_particles, axis=0)
    states[:, ~is_known] = 0
    network.draw(states, is_known.view(np.uint8), seed, num_threads)
    planes = BitPlanes.of_states(states, num_threads)
    nats = network.contributions(planes, _engine.LOG_PROBABILITY, num_threads)[:, is_known].sum(axis=1)
    highest = nats.max()
    if not np.isfinite(highest):
        raise ValueError("the known states are impossible: every particle has probability 0")
    weight = np.exp(nats - highest)
    log_marginal = float(highest + np.log(weight.mean()))
    return Particles(states, weight / weight.sum(), log_marginal)
