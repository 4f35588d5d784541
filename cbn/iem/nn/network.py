# SPDX-License-Identifier: BSD-3-Clause
"""The levels of an introspective energy model at work: activations upwards, predictions and errors sidewards."""

import math
from dataclasses import dataclass, field

import numpy as np

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

    level: object
    shape: tuple
    kernels: list
    mean: np.ndarray
    deviation: np.ndarray
    models: SidewardsModels
    curve: list = field(default_factory=list)

    def activations(self, below, num_threads=1):
        """Activations from those of the level below, and what the backward pass needs."""
        return forward_level(self.level, self.kernels, below, num_threads)

    def standardized(self, activations):
        """(activations - mean) / deviation, a new array."""
        result = activations - self.mean
        result *= 1 / self.deviation
        return result

    def errors(self, standardized, num_threads=1):
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

    levels: list
    frozen: bool = False

    def passes(self, x, num_threads=1):
        """Yields (standardized activations, errors) of every level for prepared images (n, height, width, channels)."""
        for level in self.levels:
            activations, _ = level.activations(x, num_threads)
            standardized = level.standardized(activations)
            x = activations if self.frozen else standardized
            del activations
            yield standardized, level.errors(standardized, num_threads)


def batches(indices, shape):
    """Cuts indices of pictures into parts for scoring, by the size of a picture alone: results do not depend on it."""
    size = max(1, SCORED_VALUES // math.prod(shape))
    return (indices[begin : begin + size] for begin in range(0, len(indices), size))


class PreparedImages:
    """Training images as the values that level 0 reads."""

    def __init__(self, images, prepare):
        self.images, self.prepare, self.n = images, prepare, len(images)

    def batch(self, indices):
        """Values of some images, (len(indices), height, width, channels) float32."""
        return self.prepare(self.images[indices])


class KeptValues:
    """Values of all training images at one level, in memory."""

    def __init__(self, values):
        self.values, self.n = values, len(values)

    def batch(self, indices):
        return self.values[indices]


class ComputedValues:
    """Values of all training images at one level, computed from those of a level below whenever they are needed."""

    def __init__(self, source, step, n):
        self.source, self.step, self.n = source, step, n

    def batch(self, indices):
        return self.step(self.source.batch(indices))


def values_above(source, step, shape, batch_size, kept_bytes=KEPT_BYTES):
    """The values that ``step`` makes of a source's: kept if there is room for them, else computed on demand.

    Parameters
    ----------
    source : PreparedImages, KeptValues or ComputedValues
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
