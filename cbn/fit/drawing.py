# SPDX-License-Identifier: BSD-3-Clause
"""What a fitted network draws: samples, chains, missing pixels."""

import warnings
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from ..exceptions import DataError, MixingWarning
from ..inference.chains import GibbsChains, Recorder, ancestral_states, random_states
from ..inference.inpainting import Inpainting, ParticleReport, inpaint, inpaint_by_particles
from ..inference.mixing import MixingReport
from ..inference.temperatures import Temperatures
from .state import FittedState

Pictures = npt.NDArray[np.uint8]
RandomState: TypeAlias = "int | np.random.Generator | None"
Temperature = float | tuple[float, float]

# Draws at which a Gibbs run is looked at for the mixing report, the first half being warm-up: at least 200 of each
# chain, and enough of few chains for the effective sample size that the report asks for.
MIN_DRAWS, ALL_DRAWS = 200, 4000
# Sweeps of an inpainting whose length is left open: each round is tried if the one before has not mixed.
SWEEP_ROUNDS = (1_000, 4_000, 16_000, 64_000)
# Some seconds' worth of proposals, over all chains: for pixels alone, and through all layers. Through all layers the
# first round is shortened to it as well, but for FEWEST_SWEEPS.
MAX_ROUND_PROPOSALS, MAX_LAYERED_ROUND_PROPOSALS = 500_000_000, 12_000_000
FEWEST_SWEEPS = 100
# Of an inpainting by particles; some seconds for half a digit.
PARTICLES = 4000


def draws_of(n_chains: int, n_steps: int) -> int:
    """Number of draws of each chain in a run of n_steps."""
    return min(n_steps, max(MIN_DRAWS, ALL_DRAWS // n_chains))


def sweep_rounds(n_sites: int, n_chains: int, n_layers: int) -> list[int]:
    """Sweeps of the rounds of an inpainting whose length is left open."""
    if n_layers == 1:
        limit, first = MAX_ROUND_PROPOSALS, SWEEP_ROUNDS[0]
    else:
        limit = MAX_LAYERED_ROUND_PROPOSALS
        first = min(SWEEP_ROUNDS[0], max(FEWEST_SWEEPS, limit // (n_sites * n_chains)))
    return [first, *(sweeps for sweeps in SWEEP_ROUNDS[1:] if sweeps * n_sites * n_chains <= limit)]


class Drawing(FittedState):
    """Sampling and inpainting of a fitted network."""

    def sample(
        self,
        n_samples: int = 1,
        method: Literal["ancestral", "gibbs"] = "ancestral",
        *,
        n_steps: int = 100_000,
        temperature: Temperature = 1,
        random_state: RandomState = None,
        return_mixing: bool = False,
    ) -> Any:
        """Draw images from the network.

        Parameters
        ----------
        n_samples : int
        method : {"ancestral", "gibbs"}
            "ancestral": exact and independent, one raster pass through the pixel layer; hidden layers have no part in
            it. "gibbs": one chain per sample from a random image (thesis Algorithm 1), through all layers: see
            :meth:`gibbs_chains`.
        n_steps : int
            Gibbs proposals per chain, at least 8.
        temperature : float or (first, last)
            Of Gibbs chains: see :meth:`gibbs_chains`; a pair is spread over n_steps.
        random_state : int, NumPy generator or None
            None: that of the fit.
        return_mixing : bool
            With "gibbs": return ``(images, MixingReport)``.

        Returns
        -------
        images : ndarray, (n_samples, height, width) uint8
            0 and the full scale of the training images (1 or 255), and values in between with several thresholds.

        Warns
        -----
        MixingWarning
            The chains had not mixed: do more steps. Not for temperature 0 or a pair, which have nothing to mix into.
        """
        n = validation.check_integer(n_samples, "n_samples", 1, 2**24)
        validation.check_choice(method, "method", ("ancestral", "gibbs"))
        if method == "ancestral":
            if return_mixing:
                raise ValueError("return_mixing: ancestral samples are independent; use it with method='gibbs'")
            if validation.check_temperature(temperature) != (1, 1):
                raise ValueError("temperature: ancestral samples have temperature 1; use it with method='gibbs'")
            states = ancestral_states(self.network.pixels, n, self.settings.seed(random_state), self.threads)
            return self.binarization.pictures(states, self.image_shape)
        n_steps = validation.check_integer(n_steps, "n_steps", 8, 2**62)
        recorder = Recorder(n_draws := draws_of(n, n_steps))
        chains = self.gibbs_chains(n, random_state, temperature=temperature, n_steps=n_steps)
        for images in chains.run(n_steps, n_draws):
            recorder.add(images)
        mixing = recorder.report()
        _warn_unless_mixed(mixing, chains.temperatures, "n_steps")
        return (images, mixing) if return_mixing else images

    def gibbs_chains(
        self,
        n_chains: int,
        random_state: RandomState = None,
        *,
        temperature: Temperature = 1,
        n_steps: int | None = None,
    ) -> GibbsChains:
        """Gibbs chains started from random images, to be advanced step by step.

        A step proposes to flip one pixel and accepts with probability P'^(1/T) / (P^(1/T) + P'^(1/T)). P is the
        probability of the image; with hidden layers it is the product over the layers of p(layer)^weight, the weights
        being ``layer_weights`` (the thesis's product, not the scaled sum of :meth:`score_samples`), and the hidden
        nodes what the flipped pixel makes of them.

        Parameters
        ----------
        n_chains : int
        random_state : int, NumPy generator or None
            None: that of the fit.
        temperature : float or (first, last)
            T: 1 is the model's distribution, more flattens it, less sharpens it, 0 accepts only what raises P (strict
            climbing). A pair of positive numbers: from the first to the last geometrically over ``n_steps``, the last
            from then on (simulated annealing).
        n_steps : int, optional
            Steps over which a pair is spread; needed with one.

        Returns
        -------
        cbn.inference.chains.GibbsChains
        """
        layer = self.network.pixels.layer
        n_chains = validation.check_integer(n_chains, "n_chains", 1, 2**24)
        temperatures = _temperatures(temperature, n_steps)
        seed = self.settings.seed(random_state)
        states = random_states(layer, n_chains, seed)
        return self._chains(states, np.arange(layer.n_nodes, dtype=np.int64), seed, temperatures)

    def inpaint(
        self,
        image: Any,
        mask: Any,
        n: int = 16,
        *,
        n_sweeps: int | None = None,
        temperature: Temperature = 1,
        random_state: RandomState = None,
    ) -> Inpainting:
        """Posterior of missing pixels given the known ones, by Gibbs sampling with the known pixels clamped.

        With hidden layers the chains go through all of them, see :meth:`gibbs_chains`; they start from an ancestral
        pass through the pixel layer. Chains of trees go through the pixels alone and start from the draws of a particle
        filter. Boosted trees have no chains: their samples are draws from at least 4,000 weighted particles, or 4 n.

        Parameters
        ----------
        image : array-like, (height, width)
            What it holds under the mask is not used, but must be a legal value.
        mask : array-like, (height, width) bool
            True where a pixel is missing.
        n : int
            Number of samples; each is the end of a chain of its own, but for boosted trees.
        n_sweeps : int, optional
            Proposals per missing pixel and chain, at least 8. None: 1,000, then rounds of 4,000, 16,000 and 64,000 more
            until the chains have mixed, but no round of more than half a billion proposals (with hidden layers 12
            million, the first round included, but for 100 sweeps). With temperature 0 or a pair there is one round.
            Not for boosted trees.
        temperature : float or (first, last)
            As in :meth:`gibbs_chains`; a pair is spread over the whole run. ``mean`` is then no posterior mean. Only 1
            for trees and boosted trees.
        random_state : int, NumPy generator or None

        Returns
        -------
        cbn.inference.inpainting.Inpainting
            ``samples`` (n, height, width) uint8, ``mean`` (height, width) float64, ``mixing``.

        Warns
        -----
        MixingWarning
            The chains had not mixed: do more sweeps or chains. Not for temperature 0 or a pair. With boosted trees: the
            particles are worth fewer than 400 independent draws.
        """
        images, pixels = self.validated_image(image), self.network.pixels
        mask = validation.as_mask(mask, self.image_shape)
        if not mask.any():
            raise DataError("mask: no pixel is missing; set it to True where pixels are to be filled in")
        n = validation.check_integer(n, "n", 1, 2**20)
        n_sites = int(mask.sum()) * pixels.layer.channels
        if n_sweeps is None:
            rounds = sweep_rounds(n_sites, n, len(self.network))
        else:
            rounds = [validation.check_integer(n_sweeps, "n_sweeps", 8, 2**40)]
        temperatures = _temperatures(temperature, rounds[0] * n_sites)
        seed, states = self.settings.seed(random_state), self.pixel_planes(images).states(self.threads)
        if not pixels.gibbs:
            return self._inpaint_by_particles(states, mask, n, n_sweeps, temperatures, seed)
        if not temperatures.stationary:
            rounds = rounds[:1]
        result = inpaint(
            self.network, lambda states, sites: self._chains(states, sites, seed, temperatures), states, mask, n, rounds,
            draws_of(n, rounds[0]), seed, self.threads,
        )  # fmt: skip
        _warn_unless_mixed(result.mixing, temperatures, "n_sweeps or n")
        return result

    def _inpaint_by_particles(
        self,
        states: Pictures,
        mask: npt.NDArray[np.bool_],
        n: int,
        n_sweeps: int | None,
        temperatures: Temperatures,
        seed: int,
    ) -> Inpainting:
        nouns = self.network.pixels.nouns
        if n_sweeps is not None:
            raise ValueError(f"n_sweeps: {n_sweeps}; {nouns} are filled in by particles, not by sweeps: leave it out")
        if (temperatures.first, temperatures.last) != (1, 1):
            raise ValueError(f"temperature: {nouns} are filled in at temperature 1; leave it out")
        n_particles = max(PARTICLES, 4 * n)
        result = inpaint_by_particles(
            self.network.pixels, self.binarization, states, mask, n, n_particles, seed, self.threads
        )
        _warn_unless_mixed(result.mixing, temperatures, f"n above {n_particles // 4}")
        return result

    def _chains(
        self, states: Pictures, sites: npt.NDArray[np.int64], seed: int, temperatures: Temperatures
    ) -> GibbsChains:
        pixels = self.network.pixels
        if not pixels.gibbs:
            raise ValueError(f"method: {pixels.nouns} have no Gibbs sampler; ancestral samples are exact")
        if not pixels.chains_through_layers and (temperatures.first, temperatures.last) != (1, 1):
            raise ValueError(f"temperature: Gibbs chains of {pixels.nouns} run at temperature 1; leave it out")
        weights = self.settings.features.weights(len(self.network))
        return GibbsChains(self.network, weights, self.binarization, states, sites, seed, self.threads, temperatures)


def _temperatures(temperature: Temperature, n_steps: int | None) -> Temperatures:
    first, last = validation.check_temperature(temperature)
    if first == last:
        return Temperatures(first, last)
    if n_steps is None:
        raise ValueError(f"n_steps: None; give the number of steps from temperature {first:g} to {last:g}")
    return Temperatures(first, last, validation.check_integer(n_steps, "n_steps", 1, 2**62))


def _warn_unless_mixed(mixing: MixingReport | ParticleReport, temperatures: Temperatures, argument: str) -> None:
    if temperatures.stationary and not mixing.mixed:
        warnings.warn(f"{mixing.summary()}; raise {argument}", MixingWarning, stacklevel=4)
