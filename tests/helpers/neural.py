# SPDX-License-Identifier: BSD-3-Clause
"""The neural functions of engine and twin with their outputs returned, for engines of ``helpers/engines.py``.

The twin works in the precision of its input, so float64 inputs give it the accuracy that finite differences need; the
engine knows float32 only.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from helpers.engines import TWIN


def precision(engine):
    return np.float64 if engine is TWIN else np.float32


def given(engine, *arrays):
    """The arrays as the engine takes them."""
    return [np.ascontiguousarray(array, precision(engine)) for array in arrays]


def blank(engine, shape):
    return np.full(shape, np.nan, precision(engine))


def ring(distance):
    """Taps of the neighbours at a distance, in an input that is padded by it."""
    steps = range(-distance, distance + 1)
    offsets = [(dy, dx) for dy in steps for dx in steps if max(abs(dy), abs(dx)) == distance]
    return np.array(offsets, np.int32) + np.int32(distance)


def window(size):
    return np.array([(dy, dx) for dy in range(size) for dx in range(size)], np.int32)


def convolve(engine, x, taps, weights, bias, stride, shape, threads=1):
    out = blank(engine, (len(x), *shape, len(bias)))
    x, weights, bias = given(engine, x, weights, bias)
    with engine._path() as module:
        module.convolve(x, taps, weights, bias, stride, out, threads)
    return out


def convolve_weight_gradient(engine, x, taps, d_out, stride, threads=1):
    d_weights, d_bias = blank(engine, (len(taps), x.shape[3], d_out.shape[3])), blank(engine, d_out.shape[3])
    x, d_out = given(engine, x, d_out)
    with engine._path() as module:
        module.convolve_weight_gradient(x, taps, d_out, stride, d_weights, d_bias, threads)
    return d_weights, d_bias


def max_pool(engine, x, size, stride, threads=1):
    shape = len(x), (x.shape[1] - size) // stride + 1, (x.shape[2] - size) // stride + 1, x.shape[3]
    out, which = blank(engine, shape), np.full(shape, 255, np.uint8)
    with engine._path() as module:
        module.max_pool(*given(engine, x), size, stride, out, which, threads)
    return out, which


def max_pool_gradient(engine, d_out, which, size, stride, shape, threads=1):
    d_x = blank(engine, shape)
    with engine._path() as module:
        module.max_pool_gradient(*given(engine, d_out), which, size, stride, d_x, threads)
    return d_x


@dataclass
class Problem:
    """Inputs of the sidewards functions, in float64."""

    x: np.ndarray
    taps: np.ndarray
    first: np.ndarray
    extra: np.ndarray
    first_extra: np.ndarray
    hidden: np.ndarray
    units: np.ndarray
    last: np.ndarray
    target: np.ndarray

    parameters = "first", "first_extra", "hidden", "last"

    @classmethod
    def random(cls, rng, n, height, width, channels, distance, units, kernels, n_extra=0, own=True):
        x = np.zeros((n, height + 2 * distance, width + 2 * distance, channels + 1))
        x[:, distance:-distance, distance:-distance, :channels] = rng.normal(size=(n, height, width, channels))
        x[:, distance:-distance, distance:-distance, channels] = 1
        taps = ring(distance)
        positions = height * width if own else 1
        n_hidden = sum((below + 1) * above for below, above in pairwise(units))
        return cls(
            x,
            taps,
            rng.normal(size=(len(taps), channels + 1, units[0])) / np.sqrt(len(taps) * channels),
            rng.random((height, width, n_extra)),
            rng.normal(size=(n_extra + 1, units[0])),
            rng.normal(size=n_hidden) / np.sqrt(max(units)),
            np.array(units, np.int32),
            rng.normal(size=(positions, kernels, units[-1] + 1)),
            rng.normal(size=(n, height, width, kernels)),
        )

    def arguments(self, engine):
        floats = given(engine, self.x, self.first, self.extra, self.first_extra, self.hidden, self.last)
        x, first, extra, first_extra, hidden, last = floats
        return x, self.taps, extra, self.units, (first, first_extra, hidden, last)


def predict(engine, problem, threads=1):
    out = blank(engine, problem.target.shape)
    with engine._path() as module:
        module.sidewards_predict(*problem.arguments(engine), out, threads)
    return out


def gradient(engine, problem, threads=1, sums=True):
    """Gradients by name, with ``error`` and ``sums``."""
    out = {name: blank(engine, getattr(problem, name).shape) for name in ("target", *Problem.parameters)}
    out["error"] = out.pop("target")
    out["sums"] = blank(engine, (*problem.target.shape[:3], problem.units[0])) if sums else None
    with engine._path() as module:
        module.sidewards_gradient(
            *problem.arguments(engine),
            *given(engine, problem.target),
            tuple(out[name] for name in (*Problem.parameters, "error", "sums")),
            threads,
        )
    return out
