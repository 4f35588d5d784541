# SPDX-License-Identifier: BSD-3-Clause
"""Drawing images: ancestral passes, Gibbs chains, inpainting."""

import math
from dataclasses import dataclass

import numpy as np

from . import _engine
from .diagnostics import MIN_EFFECTIVE_SAMPLE_SIZE, MixingReport, image_statistics, mixing_report
from .particles import pooled

# Gibbs work between two returns to Python, in proposals over all chains: a few hundredths of a second. The second
# figure is for chains through all layers, whose calls begin by making the hidden layers from scratch: the work of some
# ten steps, which at least LAYERED_BATCH_STEPS are to outweigh.
BATCH_PROPOSALS, LAYERED_BATCH_PROPOSALS, LAYERED_BATCH_STEPS = 2_000_000, 100_000, 50

# Particles from which chains start that fill in missing pixels.
PARTICLES = 500
# Independent filters of an inpainting by particles, and how far apart their seeds are (the golden ratio in 64 bits).
FILTERS, FILTER_STRIDE = 8, 0x9E3779B97F4A7C15


def ancestral_states(network, n, seed, num_threads, *, clamped=None, states=None):
    """(n, nodes) uint8 states drawn by one raster pass; clamped nodes keep their given states."""
    if states is None:
        states = np.zeros((n, network.engine_layer.n_nodes), np.uint8)
    network.draw(states, clamped, seed, num_threads)
    return states


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
        Posterior samples: the last states of n Gibbs chains, or draws from weighted particles. Known pixels are the image's own after binarization.
    mean : ndarray, (height, width) float64
        Mean picture value in [0, 1] over all chains and draws after the warm-up; for one threshold the posterior
        probability that the pixel is 1.
    mixing : MixingReport or ParticleReport
    """

    samples: np.ndarray
    mean: np.ndarray
    mixing: "MixingReport | ParticleReport"


def inpaint(network, chains_of, states, mask, n, rounds, n_draws, seed, num_threads):
    """Gibbs chains over the missing pixels, started from an ancestral pass that sees the known ones (tables) or from
    the draws of a particle filter (trees).

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
        particles = network.pixels.posterior(states[0], clamped, max(PARTICLES, n), seed, num_threads)
        states = particles.draw(n, seed)
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
    """How far weighted particles can be trusted, by what several independent filters say.

    Attributes
    ----------
    ess : float
        Effective sample size of the posterior mean: with as many independent draws of the posterior, its squared error,
        summed over the missing nodes, would be the one that the disagreement of the filters shows. All particles if the
        filters agree exactly, such as where only one image is possible.
    n_particles : int
        Of all filters together.
    """

    ess: float
    n_particles: int

    @property
    def mixed(self):
        """bool: whether the posterior mean is as good as that of 400 independent draws."""
        return self.ess >= MIN_EFFECTIVE_SAMPLE_SIZE

    def summary(self):
        """One line with the effective sample size."""
        return (
            f"particles: effective sample size {math.floor(self.ess)} of {self.n_particles}: "
            f"{'enough' if self.mixed else 'NOT enough'}"
        )

    def to_dict(self):
        """The report as a dict that JSON can hold."""
        return {"ess": self.ess, "n_particles": self.n_particles, "mixed": self.mixed}


def inpaint_by_particles(network, binarization, states, mask, n, n_particles, seed, num_threads):
    """Weighted particles over the missing pixels: for CPDs that have no Gibbs sampler. Parameters as in inpaint.

    The particles are those of FILTERS independent filters, each of which counts as much as it finds the known pixels
    probable.
    """
    clamped = (~np.tile(mask.ravel(), network.layer.channels)).view(np.uint8)
    size = -(-n_particles // FILTERS)
    runs = [
        network.posterior(states[0], clamped, size, (seed + FILTER_STRIDE * run) % 2**64, num_threads)
        for run in range(FILTERS)
    ]
    particles, share = pooled(runs)
    pictures = binarization.pictures(particles.states, mask.shape) / binarization.full_scale
    mean = np.tensordot(particles.weight, pictures, axes=1)
    draws = binarization.pictures(particles.draw(n, seed), mask.shape)
    return Inpainting(draws, np.clip(mean, 0, 1), _particle_report(runs, particles, share))


def _particle_report(runs, particles, share):
    means = np.stack([run.mean() for run in runs])
    disagreement = means.var(axis=0, ddof=1).sum() * np.square(share).sum()
    mean = particles.mean()
    spread = np.clip(mean * (1 - mean), 0, None).sum()
    n = len(particles.states)
    # agreement to rounding is no evidence of more than all particles
    ess = spread / disagreement if disagreement * n > spread else n
    return ParticleReport(float(ess), n)
