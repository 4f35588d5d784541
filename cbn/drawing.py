# SPDX-License-Identifier: BSD-3-Clause
"""The methods of the estimator that draw: samples, chains, inpainting."""

import warnings

import numpy as np
from sklearn.utils.validation import check_is_fitted

from . import _validation as validation
from . import sampling
from .exceptions import DataError, MixingWarning

# Draws at which a Gibbs run is looked at for the mixing report, the first half being warm-up: at least 200 of each
# chain, and enough of few chains for the effective sample size that the report asks for.
MIN_DRAWS, ALL_DRAWS = 200, 4000
# Sweeps of an inpainting whose length is left open: each round is tried if the one before has not mixed.
SWEEP_ROUNDS = (1_000, 4_000, 16_000, 64_000)
MAX_ROUND_PROPOSALS = 500_000_000  # some seconds


def draws_of(n_chains, n_steps):
    """Number of draws of each chain in a run of n_steps."""
    return min(n_steps, max(MIN_DRAWS, ALL_DRAWS // n_chains))


class DrawingMixin:
    """Sampling and inpainting for an estimator with a fitted network."""

    def sample(self, n_samples=1, method="ancestral", *, n_steps=100_000, random_state=None, return_mixing=False):
        """Draw images from the network.

        Parameters
        ----------
        n_samples : int
        method : {"ancestral", "gibbs"}
            "ancestral": exact and independent, one raster pass. "gibbs": one chain per sample from a random image
            (thesis Algorithm 1).
        n_steps : int
            Gibbs proposals per chain, at least 8.
        random_state : int, NumPy generator or None
            None: the constructor's.
        return_mixing : bool
            With "gibbs": return ``(images, MixingReport)``.

        Returns
        -------
        images : ndarray, (n_samples, height, width) uint8
            0 and the full scale of the training images (1 or 255), and values in between with several thresholds.

        Warns
        -----
        MixingWarning
            The chains had not mixed: do more steps.
        """
        check_is_fitted(self, "counts_")
        n = validation.check_integer(n_samples, "n_samples", 1, 2**24)
        validation.check_choice(method, "method", ("ancestral", "gibbs"))
        if method == "ancestral":
            if return_mixing:
                raise ValueError("return_mixing: ancestral samples are independent; use it with method='gibbs'")
            threads, seed = validation.check_threads(self.n_jobs), self._seed(random_state)
            states = sampling.ancestral_states(self._network.pixels, n, seed, threads)
            return self.binarizer_.pictures(states, self.image_shape_)
        n_steps = validation.check_integer(n_steps, "n_steps", 8, 2**62)
        recorder = sampling.Recorder(n_draws := draws_of(n, n_steps))
        for images in self.gibbs_chains(n, random_state).run(n_steps, n_draws):
            recorder.add(images)
        mixing = recorder.report()
        self._warn_unless_mixed(mixing, "n_steps")
        return (images, mixing) if return_mixing else images

    def gibbs_chains(self, n_chains, random_state=None):
        """Gibbs chains started from random images, to be advanced step by step: a cbn.sampling.GibbsChains."""
        check_is_fitted(self, "counts_")
        n_chains = validation.check_integer(n_chains, "n_chains", 1, 2**24)
        seed = self._seed(random_state)
        states = sampling.random_states(self.layer_, n_chains, seed)
        sites = np.arange(self.layer_.n_nodes, dtype=np.int64)
        threads = validation.check_threads(self.n_jobs)
        return sampling.GibbsChains(self._network, self.layer_, self.binarizer_, states, sites, seed, threads)

    def inpaint(self, image, mask, n=16, *, n_sweeps=None, random_state=None):
        """Posterior of missing pixels given the known ones, by Gibbs sampling with the known pixels clamped.

        Parameters
        ----------
        image : array-like, (height, width)
            What it holds under the mask is not used, but must be a legal value.
        mask : array-like, (height, width) bool
            True where a pixel is missing.
        n : int
            Number of chains, that is of samples.
        n_sweeps : int, optional
            Proposals per missing pixel and chain, at least 8. None: 1,000, then rounds of 4,000, 16,000 and 64,000 more
            until the chains have mixed, but no round of more than half a billion proposals.
        random_state : int, NumPy generator or None

        Returns
        -------
        cbn.sampling.Inpainting
            ``samples`` (n, height, width) uint8, ``mean`` (height, width) float64, ``mixing``.

        Warns
        -----
        MixingWarning
            The chains had not mixed: do more sweeps or chains.
        """
        image = validation.as_array(image, "image")
        if image.ndim != 2:
            raise DataError(f"image: shape {image.shape}; give one image of (height, width)")
        images = self._images(image[None], name="image")
        mask = validation.as_mask(mask, self.image_shape_)
        if not mask.any():
            raise DataError("mask: no pixel is missing; set it to True where pixels are to be filled in")
        n = validation.check_integer(n, "n", 1, 2**20)
        if n_sweeps is None:
            rounds = [r for r in SWEEP_ROUNDS if r == SWEEP_ROUNDS[0] or r * n * mask.sum() <= MAX_ROUND_PROPOSALS]
        else:
            rounds = [validation.check_integer(n_sweeps, "n_sweeps", 8, 2**40)]
        threads, seed = validation.check_threads(self.n_jobs), self._seed(random_state)
        result = sampling.inpaint(
            self._network, self.layer_, self.binarizer_, self.binarizer_.states(images, threads), mask, n,
            rounds, draws_of(n, rounds[0]), seed, threads,
        )  # fmt: skip
        self._warn_unless_mixed(result.mixing, "n_sweeps or n")
        return result

    def _seed(self, random_state):
        return validation.check_seed(self.random_state if random_state is None else random_state)

    @staticmethod
    def _warn_unless_mixed(mixing, argument):
        if not mixing.mixed:
            warnings.warn(f"{mixing.summary()}; raise {argument}", MixingWarning, stacklevel=3)
