# SPDX-License-Identifier: BSD-3-Clause
"""The levels of an introspective energy model at work: activations upwards, predictions and errors sidewards."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .architecture import Level
from .arrays import Array, Indices, Shape, Weights
from .layers import forward_level
from .sidewards import SidewardsModels

# Activations of all training images are kept where they need no more bytes than this, else computed batch by batch.
KEPT_BYTES = 640 * 2**20
# Pixel values that are scored at a time.
SCORED_VALUES = 2**20
# Deviations below this are rounding errors of constant values.
LEAST_DEVIATION = 1e-5


@dataclass(eq=False)
class LevelModel:
    """One level: its kernels, and the sidewards models that predict its nodes.

    Attributes
    ----------
    level : cbn.iem.nn.architecture.Level
    shape : (height, width, kernels)
    kernels : list of dict
        Parameters of every step from the level below.
    mean, deviation : ndarray, (kernels,) float32
        Of the activations over training images. Sidewards models see and predict standardized activations.
    models : SidewardsModels
    curve : list of float
        Mean squared error of every epoch, in units of the activations' variance.
    """

    level: Level
    shape: Shape
    kernels: list[Weights]
    mean: Array
    deviation: Array
    models: SidewardsModels
    curve: list[float] = field(default_factory=list)

    def activations(self, below: Array, num_threads: int = 1) -> tuple[Array, list[Any]]:
        """Activations from those of the level below, and what the backward pass needs."""
        return forward_level(self.level, self.kernels, below, num_threads)

    def standardized(self, activations: Array) -> Array:
        """(activations - mean) / deviation, a new array."""
        result = activations - self.mean
        result *= 1 / self.deviation
        return result

    def errors(self, standardized: Array, num_threads: int = 1) -> Array:
        """Prediction minus activation (eq. 11) of every node: (n, height, width, kernels) float32."""
        x = self.models.empty_input(len(standardized))
        self.models.inside(x)[...] = standardized
        out = np.empty(standardized.shape, np.float32)
        self.models.predict(x, out, num_threads)
        out -= standardized
        return out


@dataclass(eq=False)
class Network:
    """All levels, level 0 (the image) first.

    Attributes
    ----------
    levels : list of LevelModel
    frozen : bool
        Frozen kernels read the level below as it is, learned ones its standardized activations.
    """

    levels: list[LevelModel]
    frozen: bool = False

    def passes(self, x: Array, num_threads: int = 1) -> Iterator[tuple[Array, Array]]:
        """Yields (standardized activations, errors) of every level for prepared images (n, height, width, channels)."""
        for level in self.levels:
            activations, _ = level.activations(x, num_threads)
            standardized = level.standardized(activations)
            x = activations if self.frozen else standardized
            del activations
            yield standardized, level.errors(standardized, num_threads)


def batches(indices: Indices, shape: tuple[int, ...]) -> Iterator[Indices]:
    """Cuts indices of pictures into parts for scoring, by the size of a picture alone: results do not depend on it."""
    size = max(1, SCORED_VALUES // math.prod(shape))
    return (indices[begin : begin + size] for begin in range(0, len(indices), size))


class Source(Protocol):
    """Values of all training images at one level."""

    n: int

    def batch(self, indices: Indices) -> Array:
        """Values of some images, (len(indices), height, width, channels) float32."""


class PreparedImages:
    """Training images as the values that level 0 reads."""

    def __init__(self, images: npt.NDArray[Any], prepare: Callable[[npt.NDArray[Any]], Array]) -> None:
        self.images, self.prepare, self.n = images, prepare, len(images)

    def batch(self, indices: Indices) -> Array:
        """Values of some images, (len(indices), height, width, channels) float32."""
        return self.prepare(self.images[indices])


class KeptValues:
    """Values of all training images at one level, in memory."""

    def __init__(self, values: Array) -> None:
        self.values, self.n = values, len(values)

    def batch(self, indices: Indices) -> Array:
        return self.values[indices]


class ComputedValues:
    """Values of all training images at one level, computed from those of a level below whenever they are needed."""

    def __init__(self, source: Source, step: Callable[[Array], Array], n: int) -> None:
        self.source, self.step, self.n = source, step, n

    def batch(self, indices: Indices) -> Array:
        return self.step(self.source.batch(indices))


def values_above(
    source: Source, step: Callable[[Array], Array], shape: Shape, batch_size: int, kept_bytes: int = KEPT_BYTES
) -> KeptValues | ComputedValues:
    """The values that ``step`` makes of a source's: kept if there is room for them, else computed on demand.

    Parameters
    ----------
    source : Source
    step : callable
        From a batch of the source to a batch of values.
    shape : (height, width, kernels)
        Of the values of an image.
    """
    if 4 * source.n * math.prod(shape) > kept_bytes:
        return ComputedValues(source, step, source.n)
    values = np.empty((source.n, *shape), np.float32)
    for begin in range(0, source.n, batch_size):
        indices = np.arange(begin, min(begin + batch_size, source.n))
        values[indices] = step(source.batch(indices))
    return KeptValues(values)
