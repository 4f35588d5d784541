# SPDX-License-Identifier: BSD-3-Clause
"""Have Markov chains mixed? Split R-hat and effective sample size of summary statistics of the sampled images.

Source: A. Vehtari, A. Gelman, D. Simpson, B. Carpenter, P.-C. Buerkner, "Rank-normalization, folding, and localization:
an improved R-hat for assessing convergence of MCMC", Bayesian Analysis 16(2), 667-718, 2021 ("the paper" below). R-hat
here is their plain split R-hat, without rank normalization: image statistics are bounded, so their variance exists.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Recommended in the paper for trusting a sample; 400 is 50 draws for each half of four chains, enough for the variances
# and autocorrelations that enter R-hat and the effective sample size to be estimated themselves.
MAX_R_HAT = 1.01
MIN_EFFECTIVE_SAMPLE_SIZE = 400.0
# Each chain is halved, and a variance needs two draws.
MIN_DRAWS = 4


def _split(trace: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the halves of all chains, (2 * chains, draws // 2) float64, centred and scaled to at most 1 in magnitude.

    The middle draw of an odd number is dropped, as in the paper's software. Centring and scaling change neither R-hat
    nor the effective sample size; they keep squares from overflowing and large means from eating the variance's digits.
    """
    trace = np.asarray(trace)
    if trace.ndim != 2 or trace.shape[0] < 1:
        raise ValueError(f"trace must have shape (chains, draws) with at least one chain, got shape {trace.shape}")
    if trace.dtype.kind not in "fiub":
        raise ValueError(f"trace must hold real numbers, got dtype {trace.dtype}")
    if trace.shape[1] < MIN_DRAWS:
        raise ValueError(f"trace must have at least {MIN_DRAWS} draws per chain, got {trace.shape[1]}")
    trace = trace.astype(np.float64)
    if not np.isfinite(trace).all():
        raise ValueError("trace must be finite, got NaN or infinity")
    n = trace.shape[1] // 2
    halves = np.concatenate([trace[:, :n], trace[:, -n:]])
    largest = np.abs(halves).max()
    if largest > 0:
        halves /= largest  # before centring: the difference of two huge numbers may overflow
    # Subtracting a value of the trace, not the mean, keeps constant chains exactly constant.
    halves -= halves[0, 0]
    spread = np.abs(halves).max()
    return halves / spread if spread > 0 else halves


def _variances(halves: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return (W, var_plus): the mean within-chain variance and the pooled estimate of the paper's equations 1 to 3.

    A chain that is constant has variance exactly 0, which rounding of its mean would otherwise spoil.
    """
    n = halves.shape[1]
    within_each = halves.var(axis=1, ddof=1)
    within_each[np.ptp(halves, axis=1) == 0] = 0.0
    within = within_each.mean()
    means = np.where(np.ptp(halves, axis=1) == 0, halves[:, 0], halves.mean(axis=1))
    between_over_n = 0.0 if np.ptp(means) == 0 else means.var(ddof=1)
    return within, (n - 1) / n * within + between_over_n


def split_r_hat(trace: npt.ArrayLike) -> float:
    """Split R-hat: by how much the spread of all draws exceeds the spread inside half-chains.

    Parameters
    ----------
    trace : (chains, draws) array
        One scalar statistic along each chain, any unit; at least 4 draws. One chain is enough, its halves are compared.

    Returns
    -------
    r_hat : float
        Near 1 when the chains agree (slightly below is possible), large when they do not. Exactly 1.0 when all draws
        are equal; infinity when every half-chain is constant but they differ.

    Raises
    ------
    ValueError
        Wrong shape, fewer than 4 draws, values that are not finite real numbers.

    Notes
    -----
    The paper, equations 1 to 4, on half-chains (its section 3.1), which reveals drift inside a chain too.

    Examples
    --------
    >>> round(split_r_hat([[0, 1, 0, 1, 0, 1, 0, 1], [5, 6, 5, 6, 5, 6, 5, 6]]), 2)  # two chains in different places
    5.07
    """
    within, pooled = _variances(_split(trace))
    if pooled == 0:
        return 1.0
    return math.sqrt(pooled / within) if within > 0 else math.inf


def _autocovariance(halves: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the biased autocovariances (divisor n) of each row at lags 0 .. n - 1, by FFT in O(n log n)."""
    n = halves.shape[1]
    size = 1 << (2 * n - 1).bit_length()  # zero padding to 2 n or more, so that the circular correlation does not wrap
    spectrum = np.fft.rfft(halves - halves.mean(axis=1, keepdims=True), size, axis=1)
    return np.fft.irfft(spectrum.real**2 + spectrum.imag**2, size, axis=1)[:, :n] / n


def effective_sample_size(trace: npt.ArrayLike) -> float:
    """Effective sample size: the number of independent draws whose mean would be as accurate as the trace's.

    Parameters
    ----------
    trace : (chains, draws) array
        One scalar statistic along each chain, any unit; at least 4 draws.

    Returns
    -------
    ess : float
        At most chains * draws * log10(chains * draws): above the number of draws when successive draws are negatively
        correlated. The number of draws when all are equal (nothing is left to estimate); the number of chains when
        every half-chain is constant but they differ (each chain told one value).

    Raises
    ------
    ValueError
        Wrong shape, fewer than 4 draws, values that are not finite real numbers.

    Notes
    -----
    The paper, section 3.2 (equations 10 to 14): autocorrelations pooled over half-chains, summed by Geyer's initial
    monotone positive sequence. Pairs rho_2k + rho_2k+1 are positive and decreasing for a reversible chain; the sum
    stops at the first pair that noise makes negative, and a pair that noise makes larger than its predecessor is cut
    down to it. As in the paper's software, rho_2k of the first dropped pair is added where positive: less bias for
    antithetic chains.

    Examples
    --------
    >>> round(effective_sample_size([[1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0]]), 1)  # 16 draws that persist
    7.7
    """
    halves = _split(trace)
    n_chains, n = halves.shape
    within, pooled = _variances(halves)
    if pooled == 0:
        return float(np.asarray(trace).size)
    if within == 0:
        return float(n_chains // 2)
    rho = 1.0 - (within - _autocovariance(halves).mean(axis=0)) / pooled
    rho[0] = 1.0  # the biased autocovariance is a little below the variance at lag 0
    pairs = rho[0 : n - n % 2 : 2] + rho[1::2]
    negative = np.flatnonzero(pairs <= 0)
    stop = int(negative[0]) if negative.size else pairs.size
    tau = -1.0 + 2.0 * float(np.minimum.accumulate(pairs[:stop]).sum())
    if stop < pairs.size:
        tau += max(0.0, float(rho[2 * stop]))
    total = n_chains * n
    return total / max(tau, 1.0 / math.log10(total))


def image_statistics(images: npt.ArrayLike) -> dict[str, npt.NDArray[np.float64]]:
    """Scalar summaries of images, to be traced along Markov chains.

    Parameters
    ----------
    images : (n, height, width) array
        Real numbers, any unit.

    Returns
    -------
    statistics : dict of str to (n,) float64 array
        "ink", the mean value (unit of the images); "edges", the number of horizontal or vertical neighbour pairs whose
        values differ; "row_centre" and "column_centre", the centre of mass in pixels from the first row or column, the
        middle of the image when it is empty.

    Raises
    ------
    ValueError
        Wrong shape or dtype, negative or non-finite values.

    Examples
    --------
    >>> {name: value.tolist() for name, value in image_statistics([[[0, 1], [0, 1]]]).items()}
    {'ink': [0.5], 'edges': [2.0], 'row_centre': [0.5], 'column_centre': [1.0]}
    """
    images = np.asarray(images)
    if images.ndim != 3 or 0 in images.shape[1:]:
        raise ValueError(f"images must have shape (n, height, width), got shape {images.shape}")
    if images.dtype.kind not in "fiub":
        raise ValueError(f"images must hold real numbers, got dtype {images.dtype}")
    values = images.astype(np.float64)
    if not np.isfinite(values).all() or (values < 0).any():
        raise ValueError("images must be finite and not negative: a centre of mass needs masses")
    height, width = values.shape[1:]
    edges = (values[:, 1:] != values[:, :-1]).sum(axis=(1, 2))
    edges += (values[:, :, 1:] != values[:, :, :-1]).sum(axis=(1, 2))
    mass = values.sum(axis=(1, 2))
    safe_mass = np.where(mass > 0, mass, 1.0)
    row_centre = values.sum(axis=2) @ np.arange(height, dtype=np.float64) / safe_mass
    column_centre = values.sum(axis=1) @ np.arange(width, dtype=np.float64) / safe_mass
    return {
        "ink": mass / (height * width),
        "edges": edges.astype(np.float64),
        "row_centre": np.where(mass > 0, row_centre, (height - 1) / 2),
        "column_centre": np.where(mass > 0, column_centre, (width - 1) / 2),
    }


@dataclass(frozen=True)
class MixingReport:
    """How well Markov chains mixed, statistic by statistic.

    Parameters
    ----------
    r_hat : dict of str to float
        Split R-hat of each statistic.
    ess : dict of str to float
        Effective sample size of each statistic, in draws.
    n_chains : int
        Number of chains.
    n_draws : int
        Number of draws of each chain.
    """

    r_hat: dict[str, float]
    ess: dict[str, float]
    n_chains: int
    n_draws: int

    @property
    def mixed(self) -> bool:
        """bool: whether every R-hat is at most 1.01 and every effective sample size at least 400, as the paper asks."""
        return all(value <= MAX_R_HAT for value in self.r_hat.values()) and all(
            value >= MIN_EFFECTIVE_SAMPLE_SIZE for value in self.ess.values()
        )

    @property
    def problem(self) -> str:
        """str: what is wrong where they have not mixed."""
        return "the chains have not mixed: the samples depend on where they started"

    def summary(self) -> str:
        """Return one line with the worst R-hat, the smallest effective sample size and the verdict."""
        worst = max(self.r_hat, key=self.r_hat.__getitem__)
        smallest = min(self.ess, key=self.ess.__getitem__)
        # Both are rounded to the pessimistic side: 1.0101 must not read "1.01: NOT mixed", nor 399.6 "400: NOT mixed".
        # The tiny term keeps 1.23, which is a hair above 123 hundredths in binary, from reading 1.24.
        r_hat = self.r_hat[worst]
        shown = f"{math.ceil(100 * r_hat - 1e-9) / 100:.2f}" if math.isfinite(r_hat) else str(r_hat)
        return (
            f"mixing: worst split R-hat {shown} ({worst}), smallest effective sample size"
            f" {math.floor(self.ess[smallest])} ({smallest}) of {self.n_chains * self.n_draws} draws:"
            f" {'mixed' if self.mixed else 'NOT mixed'}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a dict that JSON can hold; infinity and NaN, which JSON lacks, become None."""

        def plain(values: dict[str, float]) -> dict[str, float | None]:
            return {name: float(value) if math.isfinite(value) else None for name, value in values.items()}

        return {
            "r_hat": plain(self.r_hat),
            "ess": plain(self.ess),
            "n_chains": int(self.n_chains),
            "n_draws": int(self.n_draws),
            "mixed": self.mixed,
        }


def mixing_report(traces: Mapping[str, npt.ArrayLike]) -> MixingReport:
    """Diagnose the mixing of chains from the traces of their statistics.

    Parameters
    ----------
    traces : dict of str to (chains, draws) array
        At least one statistic; all of the same shape; at least 4 draws.

    Returns
    -------
    report : MixingReport
        Split R-hat and effective sample size of each statistic.

    Raises
    ------
    ValueError
        No statistic, different shapes, or a trace that `split_r_hat` refuses.

    Examples
    --------
    >>> mixing_report({"ink": [[0, 1, 0, 1], [0, 1, 0, 1]]}).summary()
    'mixing: worst split R-hat 0.71 (ink), smallest effective sample size 7 (ink) of 8 draws: NOT mixed'
    """
    if not traces:
        raise ValueError("traces must hold at least one statistic, got none")
    shapes = {np.shape(trace) for trace in traces.values()}
    if len(shapes) > 1:
        raise ValueError(f"traces must all have the same shape (chains, draws), got {sorted(shapes)}")
    r_hat = {name: split_r_hat(trace) for name, trace in traces.items()}
    ess = {name: effective_sample_size(trace) for name, trace in traces.items()}
    n_chains, n_draws = shapes.pop()
    return MixingReport(r_hat=r_hat, ess=ess, n_chains=int(n_chains), n_draws=int(n_draws))
