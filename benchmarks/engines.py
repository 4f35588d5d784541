# SPDX-License-Identifier: BSD-3-Clause
"""The engines that are compared, apart from pyAgrum: the package, its twin, and NumPy written by hand.

All take grey uint8 images (n, 28, 28) with values 0 and 255, and learn the network of the preset "pixel".
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from arrays import Counts, Images, Planes, Reals, States

import cbn
from cbn.cpd.grid import pixel_layer
from cbn.fit.presets import PRESETS

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))
import reference  # the NumPy twin is not installed

OFFSETS = ((-1, -1), (-1, 0), (-1, 1), (0, -1))  # of the preset "pixel", in the order of its row bits
CUTOFF = 76  # value > 0.3 x 255
SIDE, N_PIXELS, N_ENTRIES = 28, 784, 32  # entries of a pixel's table: 16 rows x 2 states


@contextmanager
def forced_generic() -> Iterator[None]:
    """The portable code path; the engine reads the variable at every call."""
    os.environ["CBN_FORCE_GENERIC"] = "1"
    try:
        yield
    finally:
        del os.environ["CBN_FORCE_GENERIC"]


def generic(call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call on the portable code path."""

    def on_generic_path(*arguments: object) -> Any:
        with forced_generic():
            return call(*arguments)

    return on_generic_path


def estimator(
    threads: int, preset: str = "pixel", iterations: int | None = None, **arguments: Any
) -> "cbn.ConvolutionalBayesianNetwork":
    """The estimator of a preset; ``iterations`` are those of its hidden layers."""
    if iterations is not None:
        arguments["features"] = PRESETS[preset].features.replaced(iterations=iterations)
    return cbn.ConvolutionalBayesianNetwork(preset, n_jobs=threads, random_state=0, **arguments)


class Twin:
    """The NumPy twin behind the same steps as the estimator."""

    name = "twin"

    def __init__(self) -> None:
        self.layer = pixel_layer(SIDE, SIDE, OFFSETS)
        self.counts = np.empty((self.layer.n_rows, 2), np.int64)

    def planes(self, images: Images) -> Planes:
        planes = np.empty((N_PIXELS, reference.plane_words(len(images))), np.uint64)
        reference.pack_planes(images.reshape(len(images), -1), CUTOFF, planes)
        return planes

    def fit(self, images: Images) -> Self:
        reference.count(self.layer, self.planes(images), len(images), self.counts)
        return self

    def values(self, kind: int) -> Reals:
        values = np.empty(self.counts.shape)
        reference.value_table(self.layer, self.counts, 1.0, kind, False, values)
        return values

    def probabilities(self) -> Reals:
        probability = np.empty(self.counts.shape)
        reference.probability_table(self.layer, self.counts, 1.0, probability)
        return probability

    def score(self, images: Images, values: Reals) -> Reals:
        scores = np.empty(len(images))
        reference.score_images(self.layer, self.planes(images), len(images), values, scores)
        return scores


class PlainNumpy:
    """NumPy as one would first write it: 64-bit indices, one bincount per pixel, one look-up for all."""

    name = "numpy"
    index_type = np.int64

    def indices(self, images: Images) -> npt.NDArray[np.integer]:
        """(n, 784) index of every pixel in its table: state + 2 x row."""
        n = len(images)
        bits = np.zeros((n, SIDE + 1, SIDE + 2), self.index_type)  # a border of zeros for absent parents
        bits[:, 1:, 1:-1] = images > CUTOFF
        index = bits[:, 1:, 1:-1].copy()
        for bit, (dy, dx) in enumerate(OFFSETS):
            index |= bits[:, 1 + dy : 1 + dy + SIDE, 1 + dx : 1 + dx + SIDE] << (bit + 1)
        return index.reshape(n, N_PIXELS)

    def fit(self, images: Images) -> Counts:
        """Counts in the layout of ``counts_``."""
        index = self.indices(images)
        counts = [np.bincount(index[:, pixel], minlength=N_ENTRIES) for pixel in range(N_PIXELS)]
        return np.stack(counts).reshape(-1, 2)

    def score(self, images: Images, values: Reals) -> Reals:
        """Log-probabilities (n,) from log-probability tables in the layout of ``counts_``."""
        return values.reshape(N_PIXELS, N_ENTRIES)[np.arange(N_PIXELS), self.indices(images)].sum(axis=1)


class TunedNumpy(PlainNumpy):
    """The same with indices of one byte, laid out pixel by pixel so that every look-up stays in one small table."""

    name = "numpy tuned"
    index_type = np.uint8

    def by_pixel(self, images: Images) -> npt.NDArray[np.integer]:
        return np.ascontiguousarray(self.indices(images).T)

    def fit(self, images: Images) -> Counts:
        counts = [np.bincount(index, minlength=N_ENTRIES) for index in self.by_pixel(images)]
        return np.stack(counts).reshape(-1, 2)

    def score(self, images: Images, values: Reals) -> Reals:
        scores = np.zeros(len(images))
        for table, index in zip(values.reshape(N_PIXELS, N_ENTRIES), self.by_pixel(images)):
            scores += table.take(index)
        return scores


class NumpySampler:
    """Samplers in NumPy, vectorized over chains, with NumPy's own random numbers."""

    def __init__(self, probability: Reals, seed: int) -> None:
        self.tables = probability.reshape(N_PIXELS, 16, 2)
        self.random = np.random.default_rng(seed)
        self.parents = [self._inside(pixel, 1) for pixel in range(N_PIXELS)]
        self.children = [self._inside(pixel, -1) for pixel in range(N_PIXELS)]

    @staticmethod
    def _inside(pixel: int, sign: int) -> Counts:
        """(neighbours, row bit of each) at the offsets (parents, sign 1) or opposite to them (children, sign -1)."""
        row, column = divmod(pixel, SIDE)
        found = [(row + sign * dy, column + sign * dx, 1 << bit) for bit, (dy, dx) in enumerate(OFFSETS)]
        found = [(y * SIDE + x, weight) for y, x, weight in found if 0 <= y < SIDE and 0 <= x < SIDE]
        return np.array(found, np.int64).reshape(-1, 2).T

    def rows(self, states: States, pixel: int) -> Counts:
        neighbours, weights = self.parents[pixel]
        return states[:, neighbours] @ weights

    def ancestral(self, n: int) -> States:
        states = np.zeros((n, N_PIXELS), np.uint8)
        uniform = self.random.random((N_PIXELS, n))
        for pixel in range(N_PIXELS):
            states[:, pixel] = uniform[pixel] < self.tables[pixel, self.rows(states, pixel), 1]
        return states

    def conditional(self, states: States, pixel: int) -> Reals:
        """(n,) p(pixel = 1 | all others), from the pixel's table and those of its children."""
        weight = self.tables[pixel, self.rows(states, pixel)]  # (n, 2), a copy
        for child, bit in self.children[pixel].T:
            table, row, state = self.tables[child], self.rows(states, child), states[:, child]
            weight[:, 0] *= table[row & ~bit, state]
            weight[:, 1] *= table[row | bit, state]
        return weight[:, 1] / weight.sum(axis=1)

    def gibbs(self, states: States, n_steps: int) -> None:
        for pixel in self.random.integers(N_PIXELS, size=n_steps):
            states[:, pixel] = self.random.random(len(states)) < self.conditional(states, pixel)
