# SPDX-License-Identifier: BSD-3-Clause
"""From the errors of nodes to energies of images and maps of where they come from.

Errors are normalized by what they were at the same node over training images (thesis eq. 14). ``"sum"`` is the thesis:
the energy of a level is the sum of the normalized errors' magnitudes (eq. 15), that of the image the weighted sum over
levels (eq. 16). ``"pooled"`` looks for places: squared normalized errors, mean over the kernels of a position, mean
over 3 x 3 positions, and of those the largest; a small defect does not drown in the noise of all other nodes.
``"relative"`` is the same in units of the picture's own typical error, the median over its positions: a picture that is
rougher or richer in contrast than others everywhere is then no outlier, only one that differs somewhere. Typical errors
beyond those of all normal pictures count as the largest of these: such a picture is an outlier as a whole. ``"pattern"``
is of :mod:`cbn.iem.patterns`; only how energies of positions and levels are put together is here.
"""

import numpy as np
import numpy.typing as npt

from .nn.arrays import Array, Indices, Shape

Doubles = npt.NDArray[np.float64]
# Added to a picture's typical squared error, about 0.45 for normal ones, so that a spotless picture divides by no 0.
LEAST_TYPICAL = 0.1
# Deviations below this, in units of the activations' own, are those of nodes that never change: background.
LEAST_ERROR = 1e-3
# Energies of a level that spread less than this share of their mean do not spread at all.
LEAST_SPREAD = 1e-9


class ErrorStatistics:
    """Mean and spread of every node's error over images, which come batch by batch (Chan et al. 1979).

    Parameters
    ----------
    shape : (height, width, kernels)
    """

    def __init__(self, shape: Shape) -> None:
        self.n = 0
        self.mean, self.squares = np.zeros(shape), np.zeros(shape)

    def add(self, errors: Array) -> None:
        """Count in errors (n, height, width, kernels)."""
        n = len(errors)
        mean = errors.mean(axis=0, dtype=np.float64)
        squares = np.zeros(mean.shape)
        for image in errors:
            own = image - mean
            own *= own
            squares += own
        shift, total = mean - self.mean, self.n + n
        self.mean += shift * (n / total)
        shift *= shift
        self.squares += squares + shift * (self.n * n / total)
        self.n = total

    def scale(self, floor: float) -> "NodeScale":
        """The NodeScale of these statistics."""
        return NodeScale(self.mean.astype(np.float32), np.sqrt(self.squares / self.n).astype(np.float32), self.n, floor)


class NodeScale:
    """What normalizes the errors of a level's nodes (eq. 14).

    Parameters
    ----------
    mean, deviation : ndarray, (height, width, kernels) float32
        Of every node's error over n images.
    n : int
    floor : float
        A node's deviation counts as at least this share of the mean over its kernel's nodes.
    largest_typical : float
        Of the typical squared errors of normal pictures.
    """

    def __init__(self, mean: Array, deviation: Array, n: int, floor: float, largest_typical: float = np.inf) -> None:
        self.mean, self.deviation, self.n, self.floor = mean, deviation, n, floor
        self.largest_typical = largest_typical
        self.least: Array = np.maximum(floor * deviation.mean(axis=(0, 1), dtype=np.float64), LEAST_ERROR).astype(
            np.float32
        )
        self.factor = 1 / np.maximum(deviation, self.least)

    def normalized(self, errors: Array) -> Array:
        """(error - mean) / deviation, signed, in place of the errors."""
        errors -= self.mean
        errors *= self.factor
        return errors

    def normalized_without(self, errors: Array) -> Array:
        """The same for images among the n: each by the mean and deviation of the n - 1 others."""
        n = self.n
        shift = errors - self.mean
        squares = shift * shift
        squares *= np.float32(-n / (n - 1) ** 2)
        squares += self.deviation * self.deviation * np.float32(n / (n - 1))
        deviation = np.sqrt(np.maximum(squares, 0, out=squares), out=squares)
        shift *= np.float32(n / (n - 1))
        shift /= np.maximum(deviation, self.least, out=deviation)
        return shift

    def position_energies(self, errors: Array, energy: str) -> Array:
        """Energy of every position for errors of new images, which are overwritten."""
        return position_energies(self.normalized(errors), energy, self.largest_typical)

    def energies_without(self, errors: Array, energy: str) -> tuple[Doubles, Array]:
        """Energies and typical squared errors (n,) of images among the n, each by the statistics of the others."""
        normalized = self.normalized_without(errors)
        typical = typical_squares(np.square(normalized).mean(axis=3))
        return image_energies(position_energies(normalized, energy), energy), typical


def mean_3x3(values: Array) -> Array:
    """Mean over a position and its up to eight neighbours; values (n, height, width)."""
    summed = values.copy()
    summed[:, 1:] += values[:, :-1]
    summed[:, :-1] += values[:, 1:]
    result = summed.copy()
    result[:, :, 1:] += summed[:, :, :-1]
    result[:, :, :-1] += summed[:, :, 1:]
    rows, columns = (_window_lengths(side) for side in values.shape[1:])
    result /= (rows[:, None] * columns).astype(values.dtype)
    return result


def _window_lengths(side: int) -> Indices:
    """How many of the three places around every index exist."""
    index = np.arange(side)
    return 3 - (index == 0) - (index == side - 1)


def typical_squares(squares: Array) -> Array:
    """The typical squared error of images: (n,) median over positions (n, height, width)."""
    return np.median(squares, axis=(1, 2))


def position_energies(normalized: Array, energy: str, largest_typical: float = np.inf) -> Array:
    """Energy of every position of a level.

    Parameters
    ----------
    normalized : ndarray, (n, height, width, kernels) float32
        Normalized errors; overwritten.
    energy : {"pooled", "relative", "sum"}
    largest_typical : float
        What the typical squared error of an image counts as at most.

    Returns
    -------
    ndarray, (n, height, width) float32
        "pooled": squared normalized error, mean over kernels and 3 x 3 positions. "relative": the same over the median
        of the squared errors. "sum": magnitude, sum over kernels.
    """
    if energy == "sum":
        return np.abs(normalized, out=normalized).sum(axis=3)
    normalized *= normalized
    squares = normalized.mean(axis=3)
    if energy == "relative":
        typical = np.minimum(typical_squares(squares), largest_typical) + LEAST_TYPICAL
        squares /= typical.astype(squares.dtype)[:, None, None]
    return mean_3x3(squares)


def image_energies(positions: Array, energy: str) -> Doubles:
    """Energy of a level (n,) float64: the largest of its positions, or for "sum" their sum (eq. 15)."""
    if energy == "sum":
        return positions.sum(axis=(1, 2), dtype=np.float64)
    return positions.max(axis=(1, 2)).astype(np.float64)


def evened(energies: Doubles, energy: str) -> Doubles:
    """Energies of levels as they are scaled and added: their fourth roots, or for "sum" themselves (eq. 16).

    The largest of many squared errors has a long tail, and one level in which normal images differ much would outweigh
    all others. The root tames it like a logarithm, and is the same on every machine.
    """
    return energies if energy == "sum" else np.sqrt(np.sqrt(energies))


def level_scales(energies: Doubles, energy: str) -> Doubles:
    """Mean and deviation of the evened energies (n, levels) of normal images, (levels, 2); 0 and 1 for "sum"."""
    scales = np.tile([0.0, 1.0], (energies.shape[1], 1))
    if energy != "sum":
        energies = evened(energies, energy)
        scales[:, 0], scales[:, 1] = energies.mean(axis=0), energies.std(axis=0)
        scales[scales[:, 1] <= LEAST_SPREAD * np.abs(scales[:, 0]), 1] = 1
    return scales


def combined(energies: Doubles, scales: Doubles, weights: Doubles, energy: str) -> Doubles:
    """Energies of images (n,): over levels, the weighted sum of (evened energy - mean) / deviation."""
    return np.sum(weights * ((evened(energies, energy) - scales[:, 0]) / scales[:, 1]), axis=1)


def in_deviations(positions: Array, kernels: int, energy: str) -> Array:
    """Energies of positions in units of a training error's standard deviation: root mean square, or mean magnitude."""
    return positions / np.float32(kernels) if energy == "sum" else np.sqrt(positions)


def enlarged(maps: Array, first: float, stride: float, height: int, width: int) -> Array:
    """Maps (n, h, w) of a level at the size of the image, (n, height, width): linear between the nodes' centres.

    Parameters
    ----------
    first, stride : float
        Pixel at the centre of the first node's receptive field, and pixels from one node to the next.
    """
    low, high, share = _between(maps.shape[1], first, stride, height)
    of_rows = share[:, None].astype(maps.dtype)
    maps = maps[:, low] * (1 - of_rows) + maps[:, high] * of_rows
    low, high, share = _between(maps.shape[2], first, stride, width)
    of_columns = share.astype(maps.dtype)
    return maps[:, :, low] * (1 - of_columns) + maps[:, :, high] * of_columns


def _between(size: int, first: float, stride: float, length: int) -> tuple[Indices, Indices, Doubles]:
    """For every one of ``length`` pixels: the two nodes it lies between, and the share of the second."""
    place = np.clip((np.arange(length) - first) / stride, 0, size - 1)
    low = np.floor(place).astype(np.int64)
    return low, np.minimum(low + 1, size - 1), place - low
