# SPDX-License-Identifier: BSD-3-Clause
"""Missing pixels given the known ones: Gibbs chains with clamped nodes, or weighted particles."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..bits.binarization import Binarization
from ..cpd.base import CPD
from ..cpd.particles import Particles, pooled
from ..layers.stack import LayeredNetwork
from .chains import GibbsChains, Recorder, ancestral_states
from .mixing import MIN_EFFECTIVE_SAMPLE_SIZE, MixingReport

# Particles from which chains start that fill in missing pixels.
PARTICLES = 500
# Independent filters of an inpainting by particles, and how far apart their seeds are (the golden ratio in 64 bits).
FILTERS, FILTER_STRIDE = 8, 0x9E3779B97F4A7C15


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

    samples: npt.NDArray[np.uint8]
    mean: npt.NDArray[np.float64]
    mixing: "MixingReport | ParticleReport"


def inpaint(
    network: LayeredNetwork,
    chains_of: Callable[[npt.NDArray[np.uint8], npt.NDArray[np.int64]], GibbsChains],
    states: npt.NDArray[np.uint8],
    mask: npt.NDArray[np.bool_],
    n: int,
    rounds: Iterable[int],
    n_draws: int,
    seed: int,
    num_threads: int,
) -> Inpainting:
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
    if network.pixels.chains_through_layers:
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
    def mixed(self) -> bool:
        """bool: whether the posterior mean is as good as that of 400 independent draws."""
        return self.ess >= MIN_EFFECTIVE_SAMPLE_SIZE

    def summary(self) -> str:
        """One line with the effective sample size."""
        return (
            f"particles: effective sample size {math.floor(self.ess)} of {self.n_particles}: "
            f"{'enough' if self.mixed else 'NOT enough'}"
        )

    def to_dict(self) -> dict[str, float | bool]:
        """The report as a dict that JSON can hold."""
        return {"ess": self.ess, "n_particles": self.n_particles, "mixed": self.mixed}


def inpaint_by_particles(
    network: CPD,
    binarization: Binarization,
    states: npt.NDArray[np.uint8],
    mask: npt.NDArray[np.bool_],
    n: int,
    n_particles: int,
    seed: int,
    num_threads: int,
) -> Inpainting:
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


def _particle_report(runs: Sequence[Particles], particles: Particles, share: npt.NDArray[np.float64]) -> ParticleReport:
    means = np.stack([run.mean() for run in runs])
    disagreement = means.var(axis=0, ddof=1).sum() * np.square(share).sum()
    mean = particles.mean()
    spread = np.clip(mean * (1 - mean), 0, None).sum()
    n = len(particles.states)
    # agreement to rounding is no evidence of more than all particles
    ess = spread / disagreement if disagreement * n > spread else n
    return ParticleReport(float(ess), n)
