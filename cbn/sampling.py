# SPDX-License-Identifier: BSD-3-Clause
"""Drawing images: ancestral passes, Gibbs chains, inpainting."""

import math
from dataclasses import dataclass

import numpy as np

from . import _engine
from .diagnostics import MIN_EFFECTIVE_SAMPLE_SIZE, MixingReport, image_statistics, mixing_report

# Gibbs work between two returns to Python, in proposals over all chains: a few hundredths of a second. The second
# figure is for chains through all layers, whose calls begin by making the hidden layers from scratch: the work of some
# ten steps, which at least LAYERED_BATCH_STEPS are to outweigh.
BATCH_PROPOSALS, LAYERED_BATCH_PROPOSALS, LAYERED_BATCH_STEPS = 2_000_000, 100_000, 50

# Particles from which chains start that fill in missing pixels.
PARTICLES = 500


def ancestral_states(network, n, seed, num_threads, *, clamped=None, states=None):
    """(n, nodes) uint8 states drawn by one raster pass; clamped nodes keep their given states."""
    if states is None:
        states = np.zeros((n, network.engine_layer.n_nodes), np.uint8)
    network.draw(states, clamped, seed, num_threads)
    return states


def posterior_states(network, n_particles, n, seed, num_threads, *, clamped, states):
    """Draws of missing nodes given the known ones, earlier and later, by a particle filter.

    Parameters
    ----------
    network : TreeNetwork or BoostedNetwork
    n_particles, n : int
        Particles, and draws from them.
    seed, num_threads : int
    clamped : ndarray, (nodes,) uint8
        1 where a node is known.
    states : ndarray, (1, nodes) uint8

    Returns
    -------
    draws : ndarray, (n, nodes) uint8
        Systematic draws from the weighted particles.
    particles : ndarray, (n_particles, nodes) uint8
    weights : ndarray, (n_particles,) float64
        Sum to 1.
    """
    particles = np.repeat(states, n_particles, axis=0)
    weights = network.filter_particles(particles, clamped, seed, num_threads)
    u = np.empty((1, 1))
    _engine.uniform(seed, _engine.RANDOM_RESAMPLE, 2**40, u)  # far beyond the steps that the filter itself uses
    points = (np.arange(n) + u[0, 0]) / n
    chosen = np.minimum(np.searchsorted(np.cumsum(weights), points, side="right"), n_particles - 1)
    return particles[chosen], particles, weights


def random_states(layer, n, seed):
    """(n, nodes) uint8: every pixel at a uniformly random grey level, the start of thesis Algorithm 1."""
    u = np.empty((n, layer.n_positions))
    _engine.uniform(seed, _engine.RANDOM_START, 0, u)
    level = np.floor(u * (layer.channels + 1)).astype(np.uint8)  # number of thresholds exceeded
    channels = np.arange(layer.channels, dtype=np.uint8)
    return (level[:, None, :] > channels[:, None]).astype(np.uint8).reshape(n, layer.n_nodes)


class GibbsChains:
    """Parallel Gibbs chains (thesis Algorithm 1) through all layers of a network.

    A step proposes to flip one pixel in every chain. With hidden layers it is accepted by the product over layers of
    p(layer)^weight, hidden nodes being functions of the pixels.

    Parameters
    ----------
    network : LayeredNetwork
    layer_weights : sequence of float, one for each layer
    binarization : Binarization
    states : ndarray, (n_chains, pixel nodes) uint8
        Start of the chains; changed in place.
    sites : ndarray of int64
        The nodes that may change.
    seed, num_threads : int
    temperatures : cbn.annealing.Temperatures
    """

    def __init__(self, network, layer_weights, binarization, states, sites, seed, num_threads, temperatures):
        self.network, self.layer, self.binarization = network, network.pixels.layer, binarization
        self.states, self.sites = states, sites
        self.seed, self.num_threads = seed, num_threads
        self.temperatures = temperatures
        self.steps_done = 0
        # pixels alone at temperature 1 have a faster sampler, which gives the same; trees have no other
        self._plain = not network.chains_through_layers or (
            len(network) == 1 and temperatures.first == temperatures.last == 1
        )
        if not self._plain:
            self._tables = network.chain_tables(layer_weights, num_threads)

    def advance(self, n_steps):
        """Does n_steps proposals in every chain, in batches short enough for Ctrl-C."""
        if self._plain:
            batch = max(1, BATCH_PROPOSALS // len(self.states))
        else:
            batch = max(LAYERED_BATCH_STEPS, LAYERED_BATCH_PROPOSALS // len(self.states))
        end = self.steps_done + n_steps
        while self.steps_done < end:
            now = min(batch, end - self.steps_done)
            if self._plain:
                self.network.pixels.flip(
                    self.states, self.sites, self.seed, self.steps_done, now, self.num_threads
                )
            else:
                inverse = self.temperatures.inverse(self.steps_done, now)
                _engine.sample_gibbs_layers(
                    *self._tables, inverse, self.seed, self.steps_done, self.sites, self.states, self.num_threads
                )
            self.steps_done += now

    def pictures(self):
        """(n_chains, height, width) uint8 pictures of the present states."""
        return self.binarization.pictures(self.states, (self.layer.height, self.layer.width))

    def run(self, n_steps, n_draws):
        """Yields the pictures at n_draws equally spaced steps, the last one at n_steps."""
        done = 0
        for draw in range(1, n_draws + 1):
            now = n_steps * draw // n_draws
            self.advance(now - done)
            done = now
            yield self.pictures()


class Recorder:
    """Collects what the mixing report needs: statistics of the pictures of the second half of a run."""

    def __init__(self, n_draws):
        self.n_warm_up = n_draws // 2
        self.n_seen = 0
        self._statistics = []

    def add(self, pictures):
        """Takes the pictures of one draw; True when they count (the warm-up is over)."""
        self.n_seen += 1
        if self.n_seen <= self.n_warm_up:
            return False
        self._statistics.append(image_statistics(pictures))
        return True

    def report(self):
        """The MixingReport of the draws after the warm-up."""
        names = self._statistics[0]
        return mixing_report({name: np.stack([s[name] for s in self._statistics], axis=1) for name in names})


@dataclass(frozen=True)
class Inpainting:
    """Posterior of the missing pixels of one image.

    Attributes
    ----------
    samples : ndarray, (n, height, width) uint8
        Posterior samples: the last states of n Gibbs chains. Known pixels are the image's own after binarization.
    mean : ndarray, (height, width) float64
        Mean picture value in [0, 1] over all chains and draws after the warm-up; for one threshold the posterior
        probability that the pixel is 1.
    mixing : MixingReport
    """

    samples: np.ndarray
    mean: np.ndarray
    mixing: MixingReport


def inpaint(network, chains_of, states, mask, n, rounds, n_draws, seed, num_threads):
    """Gibbs chains over the missing pixels, started from an ancestral pass that sees the known ones (tables) or from the
    draws of a particle filter (trees).

    Parameters
    ----------
    network : LayeredNetwork
    chains_of : callable, (states, sites) -> GibbsChains
    states : ndarray, (1, nodes) uint8
        The binarized image; what it holds under the mask is not used.
    mask : ndarray, (height, width) bool
        True where a pixel is missing.
    rounds : sequence of int
        Sweeps (proposals per missing node and chain) of each round. Every round goes on where the one before ended and
        is judged by its own second half; the first round that has mixed is the last.
    """
    missing = np.tile(mask.ravel(), network.pixels.layer.channels)
    sites = np.flatnonzero(missing).astype(np.int64)
    clamped = (~missing).view(np.uint8)
    if network.chains_through_layers:
        states = np.repeat(states, n, axis=0)
        ancestral_states(network.pixels, n, seed, num_threads, clamped=clamped, states=states)
    else:
        states, *_ = posterior_states(
            network.pixels, max(PARTICLES, n), n, seed, num_threads, clamped=clamped, states=states
        )
    chains = chains_of(states, sites)
    for sweeps in rounds:
        recorder = Recorder(n_draws)
        total, n_counted = np.zeros(mask.shape), 0
        for pictures in chains.run(sweeps * len(sites), n_draws):
            if recorder.add(pictures):
                total += pictures.mean(axis=0) / chains.binarization.full_scale
                n_counted += 1
        mixing = recorder.report()
        if mixing.mixed:
            break
    return Inpainting(pictures, total / n_counted, mixing)


@dataclass(frozen=True)
class ParticleReport:
    """How far weighted particles can be trusted.

    Attributes
    ----------
    ess : float
        Effective sample size of the last weights, 1 / sum of squares.
    n_distinct : int
        Different images among the particles: ancestors die out at every resampling.
    n_particles : int
    n_possible : float
        Images that differ in the missing pixels only: 2 to the number of missing nodes.
    """

    ess: float
    n_distinct: int
    n_particles: int
    n_possible: float

    @property
    def mixed(self):
        """bool: whether at least 400 draws carry the estimate, and as many different images where there can be so many.

        Fewer different images than that are no fault where the hole itself allows no more than ten times as many.
        """
        few = self.n_possible <= 10 * MIN_EFFECTIVE_SAMPLE_SIZE
        return self.ess >= MIN_EFFECTIVE_SAMPLE_SIZE and (few or self.n_distinct >= MIN_EFFECTIVE_SAMPLE_SIZE)

    def summary(self):
        """One line with the effective sample size and the number of different images."""
        return (
            f"particles: effective sample size {math.floor(self.ess)} of {self.n_particles}, {self.n_distinct} different "
            f"images: {'enough' if self.mixed else 'NOT enough'}"
        )

    def to_dict(self):
        """The report as a dict that JSON can hold."""
        return {"ess": self.ess, "n_distinct": self.n_distinct, "n_particles": self.n_particles, "mixed": self.mixed}


def inpaint_by_particles(network, binarization, states, mask, n, n_particles, seed, num_threads):
    """Weighted particles over the missing pixels: for CPDs that have no Gibbs sampler. Parameters as in inpaint."""
    shape = mask.shape
    clamped = (~np.tile(mask.ravel(), network.layer.channels)).view(np.uint8)
    draws, particles, weights = posterior_states(
        network, n_particles, n, seed, num_threads, clamped=clamped, states=states
    )
    pictures = binarization.pictures(particles, shape) / binarization.full_scale
    mean = np.tensordot(weights, pictures, axes=1)
    n_distinct = len(np.unique(particles[:, clamped == 0], axis=0))
    n_possible = 2.0 ** min(1000, int((clamped == 0).sum()))
    report = ParticleReport(float(1 / (weights**2).sum()), n_distinct, n_particles, n_possible)
    return Inpainting(binarization.pictures(draws, shape), np.clip(mean, 0, 1), report)
