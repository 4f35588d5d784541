# SPDX-License-Identifier: BSD-3-Clause
"""Kernels of a hidden layer: start, norm, activation, files. Training is in training.py."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _engine
from .._engine import WEIGHT_ONE
from ..bits.planes import BitPlanes
from ..cpd.grid import Grid
from ..exceptions import DataError
from ..io.archive import DAMAGE, reason_of
from ..io.files import atomic_write
from ..io.npz import read_npz
from .geometry import MAX_KERNELS, MAX_LAYERS, HiddenLayer, Transition

Floats = npt.NDArray[np.float64]

# Activations are measured on at most this many words of 64 images, spread over the training set.
MEASURED_WORDS = 8
# Numbers that are held of them, 64 MiB; where that is too few, activations are measured anew for every bias.
MOST_SUMS = 2**24
# Candidates that "promising" draws for every kernel, as far as the engine takes them at once.
CANDIDATES_PER_KERNEL = 12
# The engine's limit on the absolute weights and bias of a kernel together, with room for their rounding.
MAX_WEIGHT_SUM = 2047
MAX_FILE = 2**26  # bytes that a file of kernels may unpack to: more than the largest kernels of all layers
# Random numbers of hidden layer l (0 is the first) have this purpose + l in the engine's generator.
RANDOM_KERNELS = 2**16
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

    weights: Floats
    bias: Floats
    pool: int

    def transition(self, below: Grid) -> Transition:
        """The engine's transition on a layer of geometry ``below``; weights are rounded to multiples of 2^-20."""
        return Transition(
            below.channels, below.height, below.width,
            np.ascontiguousarray(np.rint(self.weights * WEIGHT_ONE), np.int32),
            np.ascontiguousarray(np.rint(self.bias * WEIGHT_ONE), np.int32),
            self.pool,
        )  # fmt: skip

    def weight_sums(self) -> Floats:
        """(kernels,) sum of the absolute weights of each."""
        return np.array([math.fsum(np.abs(w).ravel()) for w in self.weights])  # fsum: the same on any machine

    def usable(self) -> bool:
        """True where everything is finite and small enough for the engine."""
        # each alone first: NaN fails it, and sums of what is left cannot overflow
        alone = all((np.abs(values) < MAX_WEIGHT_SUM).all() for values in (self.weights, self.bias))
        return bool(alone and (self.weight_sums() + np.abs(self.bias) < MAX_WEIGHT_SUM).all())

    def normalized(self) -> "Kernels":
        """The same kernels with weights of unit Euclidean norm; the bias stays."""
        norms = [math.sqrt(math.fsum((w * w).ravel())) for w in self.weights]
        scale = np.array([1 / norm if norm > 0 else 1.0 for norm in norms])
        return Kernels(self.weights * scale[:, None, None, None], self.bias, self.pool)

    def select(self, chosen: Sequence[int]) -> "Kernels":
        """The kernels of given numbers."""
        return Kernels(self.weights[chosen], self.bias[chosen], self.pool)


def forward(kernels: Kernels, below: Grid, planes: BitPlanes, num_threads: int) -> BitPlanes:
    """BitPlanes of the layer that the kernels make of the layer below."""
    transition = _engine.Transition(kernels.transition(below))
    out = BitPlanes.empty(transition.n_nodes_out, planes.n_images)
    _engine.transition_forward(transition, planes.words, planes.n_images, out.words, num_threads)
    return out


class Draws:
    """Random numbers of one purpose: a function of (seed, layer, number) only, the same on every machine.

    Parameters
    ----------
    seed : int
    layer : int
        Hidden layer, 0 is the first.
    number : int
        Which drawing of that layer, below 2^32.
    """

    def __init__(self, seed: int, layer: int, number: int) -> None:
        self.seed, self.purpose, self.step = seed, RANDOM_KERNELS + layer, number << 32

    def uniform(self, low: float, high: float, shape: tuple[int, ...]) -> Floats:
        """Uniform in [low, high), in an array of that shape."""
        u = np.empty((1, math.prod(shape)))
        _engine.uniform(self.seed, self.purpose, self.step, u)
        self.step += u.size
        return low + (high - low) * u.reshape(shape)

    def normal(self, shape: tuple[int, ...]) -> Floats:
        """Mean 0 and variance 1, as sums of twelve uniforms: close to normal, and without a library's logarithm."""
        parts = self.uniform(-0.5, 0.5, (12, *shape))
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total


def measured_words(n_images: int) -> npt.NDArray[np.int64] | None:
    """The words of bit-planes on whose images activations are measured; None for all images."""
    full = n_images // 64
    return np.arange(MEASURED_WORDS) * full // MEASURED_WORDS if full > MEASURED_WORDS else None


class ActivationMeter:
    """Measures and sets the share of active nodes of every kernel, on a sample of the training images.

    Parameters
    ----------
    below : cbn.layers.geometry.LayerGeometry
    planes : BitPlanes
        Of the layer below.
    num_threads : int
    """

    def __init__(self, below: Grid, planes: BitPlanes, num_threads: int) -> None:
        self.below, self.num_threads, self.planes = below, num_threads, planes
        if (words := measured_words(planes.n_images)) is not None:
            self.planes = BitPlanes(np.ascontiguousarray(planes.words[:, words]), 64 * len(words))

    def bits(self, kernels: Kernels) -> tuple[npt.NDArray[np.uint64], int]:
        """(kernels, words) uint64: bits of each kernel at all positions in all measured images; and their number."""
        out = forward(kernels, self.below, self.planes, self.num_threads)
        n = len(kernels.bias)
        return out.words.reshape(n, -1), out.n_nodes // n * out.n_images

    def shares(self, kernels: Kernels) -> Floats:
        """Share of active nodes of every kernel: (kernels,) float64."""
        bits, n = self.bits(kernels)
        return np.bitwise_count(bits).sum(axis=1, dtype=np.int64) / n

    def shares_by_bias(self, kernels: Kernels) -> Callable[[Floats], Floats]:
        """What :meth:`shares` is with other biases: a function of (kernels,) float64."""
        unbiased = Kernels(kernels.weights, np.zeros(len(kernels.bias)), kernels.pool)
        transition = _engine.Transition(unbiased.transition(self.below))
        n_images, n_kernels = self.planes.n_images, len(kernels.bias)
        if transition.n_nodes_out * n_images > MOST_SUMS:
            return lambda bias: self.shares(Kernels(kernels.weights, bias, kernels.pool))
        sums = np.empty((transition.n_nodes_out, n_images), np.int32)
        _engine.transition_sums(transition, self.planes.words, n_images, sums, self.num_threads)
        of_kernel = sums.reshape(n_kernels, -1)

        def shares(bias: Floats) -> Floats:
            least = np.rint(-bias * WEIGHT_ONE).astype(np.int32)
            active = [np.count_nonzero(own > low) for own, low in zip(of_kernel, least)]
            return np.array(active) / of_kernel.shape[1]

        return shares

    def with_shares(self, kernels: Kernels, target: Floats, n_halvings: int = 12) -> Kernels:
        """The kernels with each bias moved so that its share of active nodes comes as close as it can to the target.

        The share can jump where many windows have the same sum (an empty background): the side whose share is nearer to
        the target is taken, but not one where nothing ever changes. Bisection over the range that a bias can matter in.
        """
        reach = kernels.weight_sums()
        low, high = -reach - 1e-3, reach + 1e-3  # nothing active, everything active
        share_low, share_high = np.zeros(len(reach)), np.ones(len(reach))
        shares = self.shares_by_bias(kernels)
        for _ in range(n_halvings):
            middle = (low + high) / 2
            share = shares(middle)
            above = share > target
            high, share_high = np.where(above, middle, high), np.where(above, share, share_high)
            low, share_low = np.where(above, low, middle), np.where(above, share_low, share)
        target = np.asarray(target)
        changing = target * (1 - target) > 0  # a target of 0 or 1 asks for nodes that never change
        off_target = [
            np.abs(share - target) + (changing & (share * (1 - share) == 0)) for share in (share_low, share_high)
        ]
        bias = np.where(off_target[0] <= off_target[1], low, high)
        return Kernels(kernels.weights, bias, kernels.pool)


def random_kernels(hidden: HiddenLayer, below: Grid, draws: Draws) -> Kernels:
    """Normal weights of unit norm, bias 0.

    Parameters
    ----------
    hidden : cbn.layers.geometry.HiddenLayer
    below : cbn.layers.geometry.LayerGeometry
    draws : Draws
    """
    size = hidden.kernel_size
    weights = draws.normal((hidden.kernels, below.channels, size, size))
    return Kernels(weights, np.zeros(hidden.kernels), hidden.pool).normalized()


def initial_kernels(
    hidden: HiddenLayer, meter: ActivationMeter, initialization: str, activation: tuple[float, float], draws: Draws
) -> Kernels:
    """Kernels to start from.

    Parameters
    ----------
    hidden : cbn.layers.geometry.HiddenLayer
    meter : ActivationMeter
    initialization : {"random", "promising"}
        "random": normal weights, each kernel's share of active nodes drawn uniformly from ``activation``. "promising":
        many such kernels are drawn; of those one after the other is taken whose largest absolute correlation with the
        ones already taken is smallest, the first being the one whose share is nearest to the middle of the range.
    activation : (low, high)
        Range of the share of active nodes.
    draws : Draws
    """
    low, high = activation
    if initialization == "random":
        kernels = random_kernels(hidden, meter.below, draws)
        return meter.with_shares(kernels, draws.uniform(low, high, (hidden.kernels,)))
    pool = _candidates(hidden, meter, activation, draws)
    bits, n = meter.bits(pool)
    first = int(np.argmin(np.abs(np.bitwise_count(bits).sum(axis=1, dtype=np.int64) / n - (low + high) / 2)))
    return pool.select(_least_correlated(_correlations(bits, n), hidden.kernels, [first]))


def replacement(
    kernels: Kernels,
    worst: int,
    hidden: HiddenLayer,
    meter: ActivationMeter,
    activation: tuple[float, float],
    draws: Draws,
) -> Kernels:
    """The kernels with one replaced by the candidate that is least correlated with the others."""
    pool = _candidates(hidden, meter, activation, draws)
    bits, n = meter.bits(kernels)
    correlation = _correlations(np.concatenate([bits, meter.bits(pool)[0]]), n)
    correlation[:, worst] = 0.0  # it goes, so it may be like its successor
    old = list(range(len(bits)))
    chosen = _least_correlated(correlation, len(bits) + 1, old)[-1] - len(bits)
    weights, bias = kernels.weights.copy(), kernels.bias.copy()
    weights[worst], bias[worst] = pool.weights[chosen], pool.bias[chosen]
    return Kernels(weights, bias, kernels.pool)


def _candidates(hidden: HiddenLayer, meter: ActivationMeter, activation: tuple[float, float], draws: Draws) -> Kernels:
    n = min(MAX_KERNELS, CANDIDATES_PER_KERNEL * hidden.kernels)
    pool = random_kernels(type(hidden)(n, hidden.kernel_size, hidden.pool), meter.below, draws)
    return meter.with_shares(pool, draws.uniform(*activation, (n,)))


def _correlations(bits: npt.NDArray[np.uint64], n: int) -> Floats:
    """(kernels, kernels) absolute correlation of rows of n bits; 1 with a row that never changes and says nothing."""
    # counted in whole numbers: what is chosen cannot depend on the order of sums, that is on a library or its threads
    both = np.array([np.bitwise_count(bits & row).sum(axis=1, dtype=np.int64) for row in bits])
    ones = np.diag(both)
    constant = (ones == 0) | (ones == n)
    share = ones / n
    deviation = np.sqrt(np.where(constant, 1.0, share * (1 - share)))
    correlation = np.abs(both / n - np.outer(share, share)) / np.outer(deviation, deviation)
    correlation[constant] = 1.0
    correlation[:, constant] = 1.0
    return correlation


def _least_correlated(correlation: Floats, n: int, taken: Sequence[int]) -> list[int]:
    """Numbers of n kernels: those taken already, then one after the other the least correlated with all before."""
    taken = list(taken)
    while len(taken) < n:
        largest = correlation[:, taken].max(axis=1)
        largest[taken] = np.inf
        taken.append(int(np.argmin(largest)))
    return taken


# ---- files of kernels alone ----


def save_kernels(kernels: Sequence[Kernels], path: str | os.PathLike[str]) -> None:
    """Write the kernels of every hidden layer as .npz: ``weights_1``, ``bias_1``, ``pool_1``, ``weights_2``, ..."""
    arrays: dict[str, Any] = {}
    for number, layer in enumerate(kernels, start=1):
        arrays |= {
            f"weights_{number}": layer.weights,
            f"bias_{number}": layer.bias,
            f"pool_{number}": np.array(layer.pool),
        }
    with atomic_write(path) as file:
        np.savez(file, **arrays)  # numbers alone; NumPy 2.0 would save any other argument as an array of its name


def load_kernels(path: str | os.PathLike[str]) -> tuple[Kernels, ...]:
    """Read what :func:`save_kernels` wrote: a tuple of Kernels, the first hidden layer first.

    Raises
    ------
    DataError
        No such file, or not a file of kernels.
    """
    found: list[Kernels] = []
    try:
        file = read_npz(path, "kernels", MAX_FILE)
        while f"weights_{len(found) + 1}" in file and len(found) < MAX_LAYERS:
            number = len(found) + 1
            weights, bias, pool = (file[f"{name}_{number}"] for name in ("weights", "bias", "pool"))
            found.append(Kernels(weights, bias, int(pool)))
    except FileNotFoundError:
        raise DataError(f"{str(path)!r}: no such file; save_kernels() of a fitted model writes one") from None
    except DataError as error:
        raise DataError(f"{error}; not a file of kernels") from None
    except DAMAGE as error:
        raise DataError(f"{str(path)!r}: not a file of kernels ({reason_of(error)})") from None
    if not found:
        raise DataError(f"{str(path)!r}: not a file of kernels: it has no weights_1")
    return check_kernels(found, str(path))


def check_kernels(kernels: Sequence[Kernels], name: str) -> tuple[Kernels, ...]:
    """Kernels of all layers as they can be used: a tuple of Kernels, or DataError that says what is wrong."""
    checked: list[Kernels] = []
    for number, layer in enumerate(kernels, start=1):
        weights, bias = np.asarray(layer.weights), np.asarray(layer.bias)
        if weights.dtype.kind not in "iuf" or bias.dtype.kind not in "iuf":
            raise DataError(
                f"{name}: layer {number} has weights of type {weights.dtype} and bias {bias.dtype}; give floats"
            )
        if (
            weights.ndim != 4
            or weights.shape[2] != weights.shape[3]
            or bias.shape != weights.shape[:1]
            or not weights.size
        ):
            raise DataError(
                f"{name}: layer {number} has weights of shape {weights.shape} and bias {bias.shape}; needed are "
                "(kernels, channels, size, size) and (kernels,)"
            )
        if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
            raise DataError(f"{name}: layer {number} holds NaN or infinity; replace the values")
        if isinstance(layer.pool, bool) or not isinstance(layer.pool, Integral) or layer.pool < 1:
            raise DataError(f"{name}: layer {number} has pooling {layer.pool!r}; give a whole number from 1 on")
        own = Kernels(np.array(weights, float, order="C"), np.array(bias, float), int(layer.pool))
        if not own.usable():
            raise DataError(
                f"{name}: layer {number} has weights that sum to {MAX_WEIGHT_SUM:,} or more; scale the kernel down"
            )
        checked.append(own)
    return tuple(checked)
