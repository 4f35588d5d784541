# SPDX-License-Identifier: BSD-3-Clause
"""Learned kernels: how they are drawn, held to their size, and kept alive.

Drawn as they come, kernels die and activations explode with depth. Therefore every kernel is scaled to responses of
standard deviation 1 over training images, its bias puts the median response at 0, so that a ReLU passes half of them,
and its norm is held during training. A kernel whose activations do not vary over the training images is dead; one that
dies gets its median back.
"""

import numpy as np

from ..nn.architecture import Level
from ..nn.arrays import Array, Weights
from ..nn.layers import forward
from ..nn.steps import Conv, Fire, Relu, Step

# Responses of a kernel from which its median and deviation are measured.
SAMPLED_RESPONSES = 2**16
# Response deviations below this share of the kernel's norm are those of constant images: such a kernel gets norm 1.
LEAST_RESPONSE = 1e-4


def convolutions(step: Step) -> dict[str, Conv]:
    """Prefix of the parameters' names, and :class:`Conv`, of every convolution of a step."""
    if isinstance(step, Conv):
        return {"": step}
    if isinstance(step, Fire):
        return {f"{name}_": conv for name, conv in step.convolutions.items()}
    return {}


def draw_kernels(level: Level, x: Array, rng: np.random.Generator, num_threads: int = 1) -> list[Weights]:
    """Kernels of a level, scaled and centred on a sample of its inputs.

    Parameters
    ----------
    level : Level
    x : ndarray, (n, height, width, channels) float32
        Activations of the level below.
    rng : numpy.random.Generator

    Returns
    -------
    parameters : list of dict
        One for every step.
    """
    parameters = []
    for step in level.steps:
        drawn: Weights = {}
        for name, shape in step.parameter_shapes(x.shape[3]).items():
            drawn[name] = np.zeros(shape, x.dtype)
            if name.endswith("weights"):  # uniform numbers are exact on every machine
                drawn[name][...] = 2 * rng.random(shape) - 1
        parameters.append(drawn)
        x = centre(step, drawn, x, scale=True, num_threads=num_threads)
    return parameters


def revive_kernels(level: Level, parameters: list[Weights], x: Array, num_threads: int = 1) -> None:
    """Centres, in place, the kernels of a level whose responses to a sample are nowhere above 0."""
    for step, own in zip(level.steps, parameters):
        x = centre(step, own, x, scale=False, num_threads=num_threads)


def centre(step: Step, parameters: Weights, x: Array, scale: bool, num_threads: int = 1) -> Array:
    """Sets biases, and scales, in place; returns the output of the step.

    Parameters
    ----------
    scale : bool
        True: every kernel to response deviation 1 and median 0. False: median 0 for the dead ones alone.
    """
    if not isinstance(step, Fire):
        if isinstance(step, Conv):
            _centre_convolution(step, parameters, "", x, scale, num_threads)
        return forward(step, parameters, x, num_threads)[0]
    outputs = []
    for prefix, conv in convolutions(step).items():
        y = _centre_convolution(conv, parameters, prefix, x, scale, num_threads)
        y = forward(Relu(), {}, y, num_threads)[0]
        if prefix == "squeeze_":
            x = y
        else:
            outputs.append(y)
    return np.concatenate(outputs, axis=3)


def _centre_convolution(conv: Conv, parameters: Weights, prefix: str, x: Array, scale: bool, num_threads: int) -> Array:
    weights, bias = parameters[f"{prefix}weights"], parameters[f"{prefix}bias"]
    own = {"weights": weights, "bias": bias}
    response, _ = forward(conv, own, x, num_threads)
    flat = response.reshape(-1, conv.kernels)
    flat = flat[:: max(1, len(flat) // SAMPLED_RESPONSES)]
    if scale:
        deviation = flat.std(axis=0, dtype=np.float64).astype(x.dtype)
        norm = _norms(weights)
        factor = 1 / np.where(deviation > LEAST_RESPONSE * norm, deviation, norm)
        weights *= factor
        bias[...] = -np.median(flat, axis=0) * factor
    else:
        dead = flat.max(axis=0) <= 0
        if not dead.any():
            return response
        bias[dead] -= np.median(flat[:, dead], axis=0)
    return forward(conv, own, x, num_threads)[0]


def kernel_norms(parameters: list[Weights]) -> list[Weights]:
    """Norm of every kernel: for every step a dict of the name of its weights to (kernels,) float32."""
    return [
        {name: _norms(values) for name, values in own.items() if name.endswith("weights")} for own in parameters
    ]  # fmt: skip


def hold_norms(parameters: list[Weights], norms: list[Weights]) -> None:
    """Scales the kernels back to given norms, in place."""
    for own, held in zip(parameters, norms):
        for name, norm in held.items():
            found = _norms(own[name])
            own[name] *= np.where(found > 0, norm / np.where(found > 0, found, 1), 1)


def _norms(weights: Array) -> Array:
    return np.sqrt(np.sum(weights * weights, axis=(0, 1)))
