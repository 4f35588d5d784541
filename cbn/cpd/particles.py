# SPDX-License-Identifier: BSD-3-Clause
"""Inpainting by sequential Monte Carlo: a particle filter over the raster pass of a network.

Missing nodes are drawn from their CPD given the earlier ones, a known node multiplies a particle's weight by the
probability of its state, and particles are drawn anew by systematic resampling when few carry the weight (Gordon, Salmond
& Smith 1993, "Novel approach to nonlinear/non-Gaussian Bayesian state estimation"; Doucet & Johansen 2009, "A tutorial
on particle filtering and smoothing"). With more particles the result comes ever closer to the true posterior, for known
pixels that come before and after the missing ones.
"""

import math
from collections.abc import Callable
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
        # a matrix product would let the threads of a BLAS spin, and round by their number
        return np.einsum("i,ij->j", self.weight, self.states)

    def at(self, u: Floats) -> States:
        """(n, nodes) uint8: the particles at shares u (n,) of the cumulated weights."""
        cumulated = np.cumsum(self.weight)
        place = np.searchsorted(cumulated, u * cumulated[-1], side="right")
        return self.states[np.minimum(place, len(self.states) - 1)]

    def draw(self, n: int, seed: int) -> States:
        """(n, nodes) uint8: independent draws of equal weight; draw i is a function of (seed, i) and the particles."""
        u = np.empty((n, 1))
        _engine.uniform(seed, _engine.RANDOM_RESAMPLE, self.states.shape[1], u)
        return self.at(u[:, 0])


class Pool:
    """Independent filters of one posterior, put together one after the other; only what is asked of them is kept.

    A filter counts in proportion to its estimate of the probability of the known nodes, which is unbiased: the pool is
    then an importance sample of the posterior. Each of the n draws goes over to the particles of a new filter with the
    probability that this is the filter's share of all until then, so that in the end it is a draw from the pool.

    Parameters
    ----------
    n, n_nodes : int

    Attributes
    ----------
    states : ndarray, (n, nodes) uint8
        Draws of equal weight.
    """

    def __init__(self, n: int, n_nodes: int) -> None:
        self.states = np.zeros((n, n_nodes), np.uint8)
        self._log_total = -np.inf
        self._log_marginals: list[float] = []
        self._means: list[Floats] = []

    def __len__(self) -> int:
        return len(self._means)

    def add(self, run: Particles, seed: int) -> None:
        """Takes in the particles of a filter and its seed, which no other filter has."""
        self._means.append(run.mean())
        self._log_marginals.append(run.log_marginal)
        self._log_total = float(np.logaddexp(self._log_total, run.log_marginal))
        u = np.empty((len(self.states), 2))
        _engine.uniform(seed, _engine.RANDOM_RESAMPLE, self.states.shape[1], u)
        goes = u[:, 1] < math.exp(run.log_marginal - self._log_total)
        self.states[goes] = run.at(u[goes, 0])

    def shares(self) -> Floats:
        """(filters,) float64: share of weight of each filter."""
        highest = max(self._log_marginals)
        share = np.array([math.exp(nats - highest) for nats in self._log_marginals])  # NumPy's differs with AVX-512
        return share / share.sum()

    def mean(self) -> Floats:
        """(nodes,) float64: posterior probability that a node is 1."""
        # not a matrix product: a BLAS rounds by the processor it runs on
        return np.clip((self.shares()[:, None] * np.stack(self._means)).sum(axis=0), 0, 1)

    def effective_size(self, n_particles: int) -> float:
        """Effective sample size of the mean: see :class:`cbn.inference.inpainting.ParticleReport`."""
        disagreement = np.stack(self._means).var(axis=0, ddof=1).sum() * np.square(self.shares()).sum()
        mean = self.mean()
        spread = (mean * (1 - mean)).sum()
        # agreement to rounding is no evidence of more than all particles
        return float(spread / disagreement) if disagreement * n_particles > spread else float(n_particles)


def posterior(
    inpaint: Callable[..., float], image: States, known: States, n_particles: int, *, seed: int, num_threads: int
) -> Particles:
    """Posterior of the missing nodes of one image: a particle filter of the engine.

    Parameters
    ----------
    inpaint : callable
        Of the engine, such as ``_engine.boosted_inpaint``, bound to the model: it is given seed, known, states, weight
        and num_threads, and returns the logarithm of the estimated probability of the known nodes.
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
    states = np.repeat(np.asarray(image, np.uint8)[None], n_particles, axis=0)
    weight = np.empty(n_particles)
    log_marginal = inpaint(seed, np.ascontiguousarray(known, np.uint8), states, weight, num_threads)
    return Particles(states, weight, log_marginal)


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
    weight = np.array([math.exp(x) for x in nats - highest])
    log_marginal = float(highest + math.log(weight.mean()))
    return Particles(states, weight / weight.sum(), log_marginal)
