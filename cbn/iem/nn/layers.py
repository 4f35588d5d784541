# SPDX-License-Identifier: BSD-3-Clause
"""Forward and backward passes of the steps, over the engine's convolution and pooling.

Everything is float32, C-contiguous and channels last. What the engine does not do is made of exact elementwise
operations (no pow, no exp, no matrix product of a library), so that results are the same bytes on every machine.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from ... import _engine
from .architecture import Level
from .arrays import Array, Weights
from .steps import Conv, Fire, LocalResponseNorm, Pool, Relu, Step, window


def padded(x: Array, before: int, after: int) -> Array:
    """x with zeros around height and width; x itself when there is nothing to add."""
    if before == after == 0:
        return np.ascontiguousarray(x)
    return np.pad(x, ((0, 0), (before, after), (before, after), (0, 0)))


def input_gradient(
    d_out: Array,
    taps: npt.NDArray[np.int32],
    weights: Array,
    shape: tuple[int, ...],
    stride: int = 1,
    before: int = 0,
    num_threads: int = 1,
) -> Array:
    """Gradient with respect to the input of ``convolve``, itself a convolution: taps flipped, weights transposed.

    Parameters
    ----------
    d_out : ndarray, (n, H, W, O) float32
        Gradient with respect to the output.
    taps : ndarray, (T, 2) int32
    weights : ndarray, (T, C, O) float32
    shape : (height, width)
        Of the input before it was padded.
    stride : int
    before : int
        Rows and columns of zeros that were put before the input.

    Returns
    -------
    d_x : ndarray, (n, height, width, C) float32
        Of the input without its padding.
    """
    reach = taps.max(axis=0)
    height, width = shape
    spread = np.zeros((len(d_out), height + reach[0], width + reach[1], d_out.shape[3]), d_out.dtype)
    # the stride leaves zeros between the values; the first one stands where the first tap of the input's origin looks
    spread[:, reach[0] - before :: stride, reach[1] - before :: stride][:, : d_out.shape[1], : d_out.shape[2]] = d_out
    d_x = np.empty((len(d_out), height, width, weights.shape[1]), d_out.dtype)
    flipped = np.ascontiguousarray(reach - taps, dtype=np.int32)
    transposed = np.ascontiguousarray(weights.transpose(0, 2, 1))
    _engine.convolve(spread, flipped, transposed, np.zeros(weights.shape[1], d_out.dtype), 1, d_x, num_threads)
    return d_x


def forward(step: Step, parameters: Weights, x: Array, num_threads: int = 1) -> tuple[Array, Any]:
    """Output of a step.

    Parameters
    ----------
    step : Step
    parameters : dict of str to ndarray
        Of the names and shapes of ``step.parameter_shapes``; weights are (taps, channels / groups, kernels), taps in
        row-major order.
    x : ndarray, (n, height, width, channels) float32

    Returns
    -------
    y : ndarray, (n, *step.shape(height, width, channels)) float32
    cache : tuple
        What :func:`backward` needs.
    """
    return _PASSES[type(step)][0](step, parameters, x, num_threads)


def backward(
    step: Step, parameters: Weights, cache: Any, d_y: Array, num_threads: int = 1, to_input: bool = True
) -> tuple[Array | None, Weights]:
    """Gradients of a step.

    Parameters
    ----------
    cache : tuple
        From :func:`forward`.
    d_y : ndarray
        Gradient with respect to the output, of its shape.
    to_input : bool
        Whether the gradient with respect to the input is wanted.

    Returns
    -------
    d_x : ndarray or None
    d_parameters : dict of str to ndarray
    """
    return _PASSES[type(step)][1](step, parameters, cache, d_y, num_threads, to_input)


def forward_level(level: Level, parameters: list[Weights], x: Array, num_threads: int = 1) -> tuple[Array, list[Any]]:
    """Activations of a level from those of the level below, and the caches of its steps.

    Parameters
    ----------
    parameters : list of dict
        One for every step.
    """
    caches = []
    for step, inner in zip(level.steps, parameters, strict=True):
        x, cache = forward(step, inner, x, num_threads)
        caches.append(cache)
    return x, caches


def backward_level(
    level: Level, parameters: list[Weights], caches: list[Any], d_y: Any, num_threads: int = 1, to_input: bool = False
) -> tuple[Array | None, list[Weights]]:
    """Gradients of a level: (d_x or None, list of dict). Only ``to_input`` makes it compute what d_x alone needs."""
    first = 0 if to_input else next((i for i, inner in enumerate(parameters) if inner), len(parameters))
    gradients: list[Weights] = [{} for _ in parameters]
    for index in range(len(parameters) - 1, first - 1, -1):
        wanted = to_input or index > first
        step, inner, cache = level.steps[index], parameters[index], caches[index]
        d_y, gradients[index] = backward(step, inner, cache, d_y, num_threads, wanted)
    return (d_y if to_input else None), gradients


def _conv_forward(conv: Conv, parameters: Weights, x: Array, num_threads: int) -> tuple[Array, Any]:
    weights, bias = parameters["weights"], parameters["bias"]
    out = np.empty((len(x), *conv.shape(*x.shape[1:])), x.dtype)
    inner = padded(x, *conv.pads)
    if conv.groups == 1:
        _engine.convolve(inner, window(conv.size), weights, bias, conv.stride, out, num_threads)
    else:
        for into, outof in _groups(conv, x.shape[3]):
            part = np.empty((*out.shape[:3], conv.kernels // conv.groups), x.dtype)
            own = np.ascontiguousarray(weights[..., outof])
            given = np.ascontiguousarray(inner[..., into])
            _engine.convolve(given, window(conv.size), own, bias[outof], conv.stride, part, num_threads)
            out[..., outof] = part
    return out, (inner, x.shape)


def _conv_backward(
    conv: Conv, parameters: Weights, cache: Any, d_y: Array, num_threads: int, to_input: bool
) -> tuple[Array | None, Weights]:
    inner, shape = cache
    weights, taps = parameters["weights"], window(conv.size)
    gradient = {name: np.empty_like(value) for name, value in parameters.items()}
    d_x = np.empty(shape, d_y.dtype) if to_input else None
    for into, outof in _groups(conv, shape[3]):
        given, d_part = np.ascontiguousarray(inner[..., into]), np.ascontiguousarray(d_y[..., outof])
        own = np.ascontiguousarray(weights[..., outof])
        d_own, d_bias = np.empty_like(own), np.empty(own.shape[2], d_y.dtype)
        _engine.convolve_weight_gradient(given, taps, d_part, conv.stride, d_own, d_bias, num_threads)
        gradient["weights"][..., outof], gradient["bias"][outof] = d_own, d_bias
        if d_x is not None:
            size, before = shape[1:3], conv.pads[0]
            d_x[..., into] = input_gradient(d_part, taps, own, size, conv.stride, before, num_threads)
    return d_x, gradient


def _groups(conv: Conv, channels: int) -> list[tuple[slice, slice]]:
    """Slices of the input and the output channels of every group."""
    into, outof = channels // conv.groups, conv.kernels // conv.groups
    return [(slice(g * into, (g + 1) * into), slice(g * outof, (g + 1) * outof)) for g in range(conv.groups)]


def _pool_forward(pool: Pool, parameters: Weights, x: Array, num_threads: int) -> tuple[Array, Any]:
    out = np.empty((len(x), *pool.shape(*x.shape[1:])), x.dtype)
    which = np.empty(out.shape, np.uint8)
    _engine.max_pool(np.ascontiguousarray(x), pool.size, pool.stride, out, which, num_threads)
    return out, (which, x.shape)


def _pool_backward(
    pool: Pool, parameters: Weights, cache: Any, d_y: Array, num_threads: int, to_input: bool
) -> tuple[Array | None, Weights]:
    which, shape = cache
    d_x = np.empty(shape, d_y.dtype) if to_input else None
    if d_x is not None:
        _engine.max_pool_gradient(np.ascontiguousarray(d_y), which, pool.size, pool.stride, d_x, num_threads)
    return d_x, {}


def _relu_forward(relu: Relu, parameters: Weights, x: Array, num_threads: int) -> tuple[Array, Any]:
    y = np.maximum(x, 0)
    return y, (y,)


def _relu_backward(
    relu: Relu, parameters: Weights, cache: Any, d_y: Array, num_threads: int, to_input: bool
) -> tuple[Array | None, Weights]:
    return (np.where(cache[0] > 0, d_y, 0) if to_input else None), {}


def _neighbouring_channels(values: Array, size: int) -> Array:
    """For every channel the sum over the ``size`` channels around it, in a fixed order."""
    total, half, channels = np.zeros_like(values), size // 2, values.shape[3]
    for offset in range(-min(half, channels - 1), min(half, channels - 1) + 1):
        low, high = max(0, -offset), min(channels, channels - offset)
        total[..., low:high] += values[..., low + offset : high + offset]
    return total


def _power(values: Array, exponent: float) -> Array:
    """values ** exponent out of square roots, which IEEE 754 rounds in one way only."""
    root = np.sqrt(values)
    return {0.5: root, 0.75: root * np.sqrt(root), 1: values}[exponent]


def _norm_forward(norm: LocalResponseNorm, parameters: Weights, x: Array, num_threads: int) -> tuple[Array, Any]:
    scale = norm.bias + norm.alpha / norm.size * _neighbouring_channels(x * x, norm.size)
    power = _power(scale, norm.beta)
    y = x / power
    return y, (x, y, scale, power)


def _norm_backward(
    norm: LocalResponseNorm, parameters: Weights, cache: Any, d_y: Array, num_threads: int, to_input: bool
) -> tuple[Array | None, Weights]:
    if not to_input:
        return None, {}
    x, y, scale, power = cache
    shared = _neighbouring_channels(d_y * y / scale, norm.size)
    return d_y / power - 2 * norm.beta * norm.alpha / norm.size * x * shared, {}


def _inner(parameters: Weights, name: str) -> Weights:
    """The parameters of one convolution of a Fire module."""
    return {key: parameters[f"{name}_{key}"] for key in ("weights", "bias")}


def _fire_forward(fire: Fire, parameters: Weights, x: Array, num_threads: int) -> tuple[Array, Any]:
    outputs, caches = [], []
    for name, conv in fire.convolutions.items():
        y, cache = _conv_forward(conv, _inner(parameters, name), x, num_threads)
        y = np.maximum(y, 0, out=y)
        if name == "squeeze":
            x = y
        else:
            outputs.append(y)
        caches.append((cache, y))
    return np.concatenate(outputs, axis=3), tuple(caches)


def _fire_backward(
    fire: Fire, parameters: Weights, cache: Any, d_y: Array, num_threads: int, to_input: bool
) -> tuple[Array | None, Weights]:
    d_inner: Any = None  # gradient with respect to what the next convolution gave
    gradient: Weights = {}
    parts = {"expand1": d_y[..., : fire.expand], "expand3": d_y[..., fire.expand :]}
    for (name, conv), (inner, y) in reversed(list(zip(fire.convolutions.items(), cache))):
        last = name == "squeeze"
        d_part = np.where(y > 0, d_inner if last else parts[name], 0)
        wanted = to_input if last else True
        d_x, inner_gradient = _conv_backward(conv, _inner(parameters, name), inner, d_part, num_threads, wanted)
        gradient.update({f"{name}_{key}": value for key, value in inner_gradient.items()})
        d_inner = d_x if last or d_inner is None else d_inner + d_x
    return d_inner, gradient


_PASSES: dict[type[Step], tuple[Any, Any]] = {
    Conv: (_conv_forward, _conv_backward),
    Pool: (_pool_forward, _pool_backward),
    Relu: (_relu_forward, _relu_backward),
    LocalResponseNorm: (_norm_forward, _norm_backward),
    Fire: (_fire_forward, _fire_backward),
}
