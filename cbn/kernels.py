# SPDX-License-Identifier: BSD-3-Clause
"""Kernels of a hidden layer: start, norm, activation, files. Training is in training.py."""

import math
from dataclasses import dataclass

import numpy as np

from . import _engine
from ._files import atomic_write
from .architecture import MAX_KERNELS, Transition
from .exceptions import DataError

WEIGHT_ONE = 2**20  # CBN_WEIGHT_ONE: weights of the engine are whole multiples of 1 / WEIGHT_ONE
# Activations are measured on at most this many words of 64 images, spread over the training set.
MEASURED_WORDS = 8
# Candidates that "promising" draws for every kernel, as far as the engine takes them at once.
CANDIDATES_PER_KERNEL = 12
INITIALIZATIONS = ("random", "promising")


@dataclass(frozen=True, eq=False)
class Kernels:
    """Kernels of one transition as training sees them.

    Attributes
    ----------
    weights : ndarray, (kernels, in_channels, kernel_size, kernel_size) float64
    bias : ndarray, (kernels,) float64
    pool : int
    """

    weights: np.ndarray
    bias: np.ndarray
    pool: int

    def transition(self, below):
        """The engine's transition on a layer of geometry ``below``; weights are rounded to multiples of 2^-20."""
        return Transition(
            below.channels, below.height, below.width,
            np.ascontiguousarray(np.rint(self.weights * WEIGHT_ONE), np.int32),
            np.ascontiguousarray(np.rint(self.bias * WEIGHT_ONE), np.int32),
            self.pool,
        )  # fmt: skip

    def normalized(self):
        """The same kernels with weights of unit Euclidean norm; the bias stays."""
        norms = [math.sqrt(math.fsum((w * w).ravel())) for w in self.weights]  # fsum: the same on any machine
        scale = np.array([1 / norm if norm > 0 else 1.0 for norm in norms])
        return Kernels(self.weights * scale[:, None, None, None], self.bias, self.pool)

    def select(self, chosen):
        """The kernels of given numbers."""
        return Kernels(self.weights[chosen], self.bias[chosen], self.pool)


def forward(kernels, below, planes, n_images, num_threads):
    """Bit-planes of the layer that the kernels make of the layer below."""
    transition = kernels.transition(below)
    out = np.empty((transition.out_channels * transition.height * transition.width, planes.shape[1]), np.uint64)
    _engine.transition_forward(_engine.Transition(transition), planes, n_images, out, num_threads)
    return out


class ActivationMeter:
    """Measures and sets the share of active nodes of every kernel, on a sample of the training images.

    Parameters
    ----------
    below : cbn.architecture.LayerGeometry
    planes : ndarray, (nodes below, words) uint64
    n_images, num_threads : int
    """

    def __init__(self, below, planes, n_images, num_threads):
        full = n_images // 64
        self.below, self.num_threads = below, num_threads
        if full <= MEASURED_WORDS:
            self.planes, self.n_images = planes, n_images
        else:
            words = np.arange(MEASURED_WORDS) * full // MEASURED_WORDS
            self.planes, self.n_images = np.ascontiguousarray(planes[:, words]), 64 * MEASURED_WORDS

    def bits(self, kernels):
        """(kernels, images x positions) uint8 of the layer above."""
        out = forward(kernels, self.below, self.planes, self.n_images, self.num_threads)
        states = np.empty((self.n_images, len(out)), np.uint8)
        _engine.unpack_planes(out, states, self.num_threads)
        return states.reshape(self.n_images, len(kernels.bias), -1).transpose(1, 0, 2).reshape(len(kernels.bias), -1)

    def shares(self, kernels):
        """Share of active nodes of every kernel: (kernels,) float64."""
        out = forward(kernels, self.below, self.planes, self.n_images, self.num_threads)
        ones = np.bitwise_count(out).reshape(len(kernels.bias), -1).sum(axis=1, dtype=np.int64)
        return ones / (len(out) // len(kernels.bias) * self.n_images)

    def with_shares(self, kernels, target, n_halvings=12):
        """The kernels with each bias moved so that its share of active nodes comes as close as it can to the target.

        The share can jump where many windows have the same sum (an empty background): the side whose share is nearer to
        the target is taken. Bisection over the range that a bias can matter in.
        """
        reach = np.abs(kernels.weights).sum(axis=(1, 2, 3))
        low, high = -reach - 1e-3, reach + 1e-3  # nothing active, everything active
        share_low, share_high = np.zeros(len(reach)), np.ones(len(reach))
        for _ in range(n_halvings):
            middle = (low + high) / 2
            share = self.shares(Kernels(kernels.weights, middle, kernels.pool))
            above = share > target
            high, share_high = np.where(above, middle, high), np.where(above, share, share_high)
            low, share_low = np.where(above, low, middle), np.where(above, share_low, share)
        bias = np.where(np.abs(share_low - target) <= np.abs(share_high - target), low, high)
        return Kernels(kernels.weights, bias, kernels.pool)


def random_kernels(hidden, below, rng):
    """Normal weights of unit norm, bias 0.

    Parameters
    ----------
    hidden : cbn.architecture.HiddenLayer
    below : cbn.architecture.LayerGeometry
    rng : numpy.random.Generator
    """
    size = hidden.kernel_size
    weights = rng.standard_normal((hidden.kernels, below.channels, size, size))
    return Kernels(weights, np.zeros(hidden.kernels), hidden.pool).normalized()


def initial_kernels(hidden, meter, initialization, activation, rng):
    """Kernels to start from.

    Parameters
    ----------
    hidden : cbn.architecture.HiddenLayer
    meter : ActivationMeter
    initialization : {"random", "promising"}
        "random": normal weights, each kernel's share of active nodes drawn uniformly from ``activation``. "promising":
        many such kernels are drawn; of those one after the other is taken whose largest absolute correlation with the
        ones already taken is smallest, the first being the one whose share is nearest to the middle of the range.
    activation : (low, high)
        Range of the share of active nodes.
    rng : numpy.random.Generator
    """
    low, high = activation
    if initialization == "random":
        kernels = random_kernels(hidden, meter.below, rng)
        return meter.with_shares(kernels, rng.uniform(low, high, hidden.kernels))
    pool = _candidates(hidden, meter, activation, rng)
    return pool.select(_least_correlated(meter.bits(pool), hidden.kernels, (low + high) / 2))


def replacement(kernels, worst, hidden, meter, activation, rng):
    """The kernels with one replaced by the candidate that is least correlated with the others."""
    pool = _candidates(hidden, meter, activation, rng)
    others = np.delete(np.arange(len(kernels.bias)), worst)
    bits = np.concatenate([meter.bits(kernels.select(others)), meter.bits(pool)])
    first = len(others)
    chosen = _least_correlated(bits, first + 1, None, taken=list(range(first)))[-1] - first
    weights, bias = kernels.weights.copy(), kernels.bias.copy()
    weights[worst], bias[worst] = pool.weights[chosen], pool.bias[chosen]
    return Kernels(weights, bias, kernels.pool)


def _candidates(hidden, meter, activation, rng):
    n = min(MAX_KERNELS, CANDIDATES_PER_KERNEL * hidden.kernels)
    pool = random_kernels(type(hidden)(n, hidden.kernel_size, hidden.pool), meter.below, rng)
    return meter.with_shares(pool, rng.uniform(*activation, n))


def _least_correlated(bits, n, share, taken=None):
    """Numbers of n rows of bits, see initial_kernels; ``taken`` are in the result already."""
    ones = bits.sum(axis=1, dtype=np.int64)
    both = bits.astype(np.float32) @ bits.T.astype(np.float32)  # whole numbers, exact below 2^24
    m = bits.shape[1]
    covariance = both / m - np.outer(ones, ones) / m**2
    deviation = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    correlation = np.abs(covariance / np.outer(deviation, deviation))
    correlation[ones * (m - ones) == 0] = 1.0  # a kernel that never changes says nothing
    correlation[:, ones * (m - ones) == 0] = 1.0
    taken = [int(np.argmin(np.abs(ones / m - share)))] if taken is None else list(taken)
    while len(taken) < n:
        largest = correlation[:, taken].max(axis=1, initial=0.0)
        largest[taken] = np.inf
        taken.append(int(np.argmin(largest)))
    return taken


# ---- files of kernels alone ----


def save_kernels(kernels, path):
    """Write the kernels of every hidden layer as .npz: ``weights_1``, ``bias_1``, ``pool_1``, ``weights_2``, ..."""
    arrays = {}
    for number, layer in enumerate(kernels, start=1):
        arrays |= {f"weights_{number}": layer.weights, f"bias_{number}": layer.bias, f"pool_{number}": np.array(layer.pool)}
    with atomic_write(path) as file:
        np.savez(file, **arrays)


def load_kernels(path):
    """Read what :func:`save_kernels` wrote: a tuple of Kernels, the first hidden layer first.

    Raises
    ------
    DataError
        No such file, or not a file of kernels.
    """
    found = []
    try:
        with np.load(path, allow_pickle=False) as file:
            while f"weights_{len(found) + 1}" in file:
                number = len(found) + 1
                weights, bias, pool = (file[f"{name}_{number}"] for name in ("weights", "bias", "pool"))
                found.append(Kernels(weights, bias, int(pool)))
    except FileNotFoundError:
        raise DataError(f"{str(path)!r}: no such file") from None
    except Exception as error:  # a damaged zip raises anything
        raise DataError(f"{str(path)!r}: not a file of kernels ({type(error).__name__}: {error})") from None
    if not found:
        raise DataError(f"{str(path)!r}: not a file of kernels: it has no weights_1")
    return check_kernels(found, str(path))


def check_kernels(kernels, name):
    """Kernels of all layers as they can be used: a tuple of Kernels, or DataError that says what is wrong."""
    checked = []
    for number, layer in enumerate(kernels, start=1):
        weights, bias = np.asarray(layer.weights, dtype=float), np.asarray(layer.bias, dtype=float)
        if weights.ndim != 4 or weights.shape[2] != weights.shape[3] or bias.shape != weights.shape[:1] or 0 in weights.shape:
            raise DataError(
                f"{name}: layer {number} has weights of shape {weights.shape} and bias {bias.shape}; needed are (kernels, "
                "channels, size, size) and (kernels,)"
            )
        if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
            raise DataError(f"{name}: layer {number} holds NaN or infinity")
        if (np.abs(weights).sum(axis=(1, 2, 3)) + np.abs(bias) >= 2047).any():
            raise DataError(f"{name}: layer {number} has weights that sum to more than 2,047: scale the kernel down")
        checked.append(Kernels(weights, bias, layer.pool))
    return tuple(checked)
