# SPDX-License-Identifier: BSD-3-Clause
"""Missing pixels given the known ones: independent draws, weighted particles, or Gibbs chains with clamped nodes."""

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..bits.binarization import Binarization
from ..cpd.base import CPD
from ..cpd.particles import Particles, Pool
from ..layers.stack import LayeredNetwork
from .chains import GibbsChains, Recorder, ancestral_states
from .mixing import MIN_EFFECTIVE_SAMPLE_SIZE, MixingReport

# Called with (work done, most work).
Progress = Callable[[int, int], None]
States = npt.NDArray[np.uint8]

# Particles from which chains start that fill in missing pixels.
START_PARTICLES = 500
# Independent filters at first, and how far apart their seeds are (the golden ratio in 64 bits). Each has so many
# particles, or as many as have this many nodes together: 64 MiB.
FILTERS, FILTER_STRIDE = 8, 0x9E3779B97F4A7C15
FILTER_PARTICLES, FILTER_NODES = 2048, 2**26
# Nodes of filters that run at the same time: a filter is a long row of small steps, so that a thread each is worth more
# than several threads for one.
NODES_TOGETHER = 2**28
# Most particles times missing nodes, in units of CPD.particle_cost, where it is left open: about two seconds of one thread.
PARTICLE_WORK = 100_000_000
# Independent draws from which the mean comes where the posterior is drawn from exactly.
EXACT_DRAWS = 4096


@dataclass(frozen=True)
class Inpainting:
    """Posterior of the missing pixels of one image.

    Attributes
    ----------
    samples : ndarray, (n, height, width) uint8
        Posterior samples: independent draws, draws from weighted particles, or the last states of n Gibbs chains. Known pixels are
        the image's own after binarization.
    mean : ndarray, (height, width) float64
        Mean picture value in [0, 1] over all draws, particles, or draws of chains after the warm-up; for one threshold the posterior
        probability that the pixel is 1.
    mixing : MixingReport, ParticleReport or ExactReport
    """

    samples: npt.NDArray[np.uint8]
    mean: npt.NDArray[np.float64]
    mixing: "MixingReport | ParticleReport | ExactReport"


def inpaint_by_chains(
    network: LayeredNetwork,
    chains_of: Callable[[npt.NDArray[np.uint8], npt.NDArray[np.int64]], GibbsChains],
    states: npt.NDArray[np.uint8],
    mask: npt.NDArray[np.bool_],
    n: int,
    rounds: Iterable[int],
    n_draws: int,
    seed: int,
    num_threads: int,
    progress: Progress | None = None,
) -> Inpainting:
    """Gibbs chains over the missing pixels, started from draws of the pixel layer's posterior by one particle filter.

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
    progress : callable, optional
        Called with (sweeps done, most sweeps) at every draw.
    """
    rounds = list(rounds)
    missing = np.tile(mask.ravel(), network.pixels.layer.channels)
    sites = np.flatnonzero(missing).astype(np.int64)
    clamped = (~missing).view(np.uint8)
    particles = network.pixels.posterior(states[0], clamped, START_PARTICLES, seed, num_threads)
    chains = chains_of(particles.draw(n, seed), sites)
    for sweeps in rounds:
        recorder = Recorder(n_draws)
        total, n_counted = np.zeros(mask.shape), 0
        for pictures in chains.run(sweeps * len(sites), n_draws):
            if recorder.add(pictures):
                total += pictures.mean(axis=0) / chains.binarization.full_scale
                n_counted += 1
            if progress is not None:
                progress(chains.steps_done // len(sites), sum(rounds))
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
    def mixed(self) -> bool:
        """bool: whether the posterior mean is as good as that of 400 independent draws."""
        return self.ess >= MIN_EFFECTIVE_SAMPLE_SIZE

    @property
    def problem(self) -> str:
        """str: what is wrong where they are too few."""
        return f"the particles are worth fewer than {MIN_EFFECTIVE_SAMPLE_SIZE:.0f} independent draws"

    def summary(self) -> str:
        """One line with the effective sample size."""
        return (
            f"particles: effective sample size {math.floor(self.ess)} of {self.n_particles}: "
            f"{'enough' if self.mixed else 'NOT enough'}"
        )

    def to_dict(self) -> dict[str, float | bool]:
        """The report as a dict that JSON can hold."""
        return {"ess": self.ess, "n_particles": self.n_particles, "mixed": self.mixed}


@dataclass(frozen=True)
class ExactReport:
    """The posterior is one ancestral pass: no known node's distribution depends on a missing one.

    Attributes
    ----------
    n_draws : int
        Independent draws behind the mean.
    """

    n_draws: int

    @property
    def mixed(self) -> bool:
        """bool: True, there is nothing to mix."""
        return True

    @property
    def problem(self) -> str:
        """str: empty, nothing can be wrong."""
        return ""

    def summary(self) -> str:
        """One line that says so."""
        return f"exact: all known pixels come before the missing ones; the mean is that of {self.n_draws} independent draws"

    def to_dict(self) -> dict[str, float | bool]:
        """The report as a dict that JSON can hold."""
        return {"exact": True, "n_draws": self.n_draws, "mixed": True}


def most_particles(network: CPD, mask: npt.NDArray[np.bool_]) -> int:
    """How many particles an inpainting may take at most if nobody says: what some seconds do."""
    work = PARTICLE_WORK / network.particle_cost
    return max(FILTERS * 64, int(work / (int(mask.sum()) * network.layer.channels)))


def inpaint_directly(
    network: CPD,
    binarization: Binarization,
    states: npt.NDArray[np.uint8],
    mask: npt.NDArray[np.bool_],
    n: int,
    n_particles: int,
    seed: int,
    num_threads: int,
    progress: Progress | None = None,
) -> Inpainting:
    """Draws of the posterior of one layer of pixels, without chains: exact ones where it is an ancestral pass, else from
    weighted particles.

    Parameters
    ----------
    network : CPD
    states, mask : ndarray
        As in inpaint_by_chains.
    n_particles : int
        At most so many, of all filters together. There are FILTERS independent filters at first, and half as many more until
        their mean is worth as many independent draws as the report asks for, and not fewer than n.
    progress : callable, optional
        Called with (particles drawn, n_particles) after every filter.
    """
    missing = np.tile(mask.ravel(), network.layer.channels).view(np.uint8)
    known = 1 - missing
    if not (network.asking(missing) & known).any():
        n_draws = max(n, EXACT_DRAWS if EXACT_DRAWS * network.layer.n_nodes <= FILTER_NODES else 64)
        drawn = np.repeat(states, n_draws, axis=0)
        ancestral_states(network, n_draws, seed, num_threads, clamped=known, states=drawn)
        mean = np.where(missing, drawn.mean(axis=0), states[0])
        return _inpainting(binarization, mask, drawn[:n], mean, ExactReport(n_draws))
    pool = Pool(n, network.layer.n_nodes)
    size = max(1, min(FILTER_PARTICLES, max(64, FILTER_NODES // network.layer.n_nodes), n_particles // FILTERS))
    most, enough = max(FILTERS, n_particles // size), max(MIN_EFFECTIVE_SAMPLE_SIZE, n)
    looked_at = FILTERS
    for run, own_seed in _filters(network, states[0], known, size, most, seed, num_threads):
        pool.add(run, own_seed)
        if progress is not None:
            progress(size * len(pool), size * most)
        if len(pool) == looked_at:
            if pool.effective_size(size * len(pool)) >= enough:
                break
            looked_at += looked_at // 2
    n_drawn = size * len(pool)
    report = ParticleReport(pool.effective_size(n_drawn), n_drawn)
    return _inpainting(binarization, mask, pool.states, np.where(missing, pool.mean(), states[0]), report)


def _filters(
    network: CPD, image: States, known: States, size: int, most: int, seed: int, num_threads: int
) -> Iterator[tuple[Particles, int]]:
    """Yields the particles and the seed of independent filters, always in the same order."""
    together = max(1, min(num_threads, NODES_TOGETHER // (size * network.layer.n_nodes)))
    seeds = [(seed + FILTER_STRIDE * i) % 2**64 for i in range(most)]

    def run(own_seed: int) -> tuple[Particles, int]:
        return network.posterior(image, known, size, own_seed, num_threads // together), own_seed

    if together == 1:
        yield from map(run, seeds)
        return
    with ThreadPoolExecutor(together) as threads:
        for begin in range(0, most, together):
            yield from threads.map(run, seeds[begin : begin + together])


def _inpainting(
    binarization: Binarization,
    mask: npt.NDArray[np.bool_],
    draws: npt.NDArray[np.uint8],
    mean: npt.NDArray[np.float64],
    report: ParticleReport | ExactReport,
) -> Inpainting:
    samples = binarization.pictures(draws, mask.shape)
    return Inpainting(samples, binarization.mean_picture(mean, mask.shape), report)
