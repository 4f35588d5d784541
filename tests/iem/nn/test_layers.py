# SPDX-License-Identifier: BSD-3-Clause
"""Forward and backward passes of the steps: against sums written out, and every gradient against finite differences."""

import numpy as np
import pytest

import reference
from cbn.iem.nn import layers
from cbn.iem.nn.architecture import TABLE_4, Architecture, Level, ring
from cbn.iem.nn.steps import Conv, Fire, LocalResponseNorm, Pool, Relu

STEPS = [
    Conv(3, 3), Conv(3, 2), Conv(4, 3, 2, 1), Conv(2, 4, 3, 0), Conv(2, 3, 2, 2), Conv(6, 3, groups=2),
    Conv(4, 5, 2, 2, 4), Conv(3, 1), Pool(2, 2), Pool(3, 2), Pool(2, 3), Relu(), LocalResponseNorm(3, 0.4, 0.75, 1.5),
    LocalResponseNorm(5, 0.4, 0.5), LocalResponseNorm(9, 3.0, 1), Fire(3, 2),
]  # fmt: skip


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def parameters_of(step, channels, seed=1):
    shapes = step.parameter_shapes(channels)
    return {name: random(*shape, seed=seed + i) for i, (name, shape) in enumerate(shapes.items())}


@pytest.fixture
def in_float64(monkeypatch):
    """The passes over the engine's twin, which computes in the type of its input."""
    monkeypatch.setattr(layers, "_engine", reference)


def slope(function, array, step=1e-6):
    """Central differences of a function of an array, one element at a time."""
    result = np.empty_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        ends = []
        for moved in (value + step, value - step):
            array[index] = moved
            ends.append(function())
        array[index] = value
        result[index] = (ends[0] - ends[1]) / (2 * step)
    return result


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_gradients_of_every_step(step, in_float64):
    x, parameters = random(2, 6, 7, 4), parameters_of(step, 4)
    y, cache = layers.forward(step, parameters, x)
    assert y.shape == (2, *step.shape(6, 7, 4))
    towards = random(*y.shape, seed=9)
    d_x, d_parameters = layers.backward(step, parameters, cache, towards)

    def objective():
        return (layers.forward(step, parameters, x)[0] * towards).sum()

    np.testing.assert_allclose(d_x, slope(objective, x), rtol=1e-6, atol=1e-6)
    assert d_parameters.keys() == parameters.keys()
    for name, value in parameters.items():
        np.testing.assert_allclose(d_parameters[name], slope(objective, value), rtol=1e-6, atol=1e-6)
    nothing, same = layers.backward(step, parameters, cache, towards, to_input=False)
    assert nothing is None
    for name, value in d_parameters.items():
        np.testing.assert_array_equal(same[name], value)


def test_the_gradient_through_a_ring_of_neighbours(in_float64):
    taps, distance = ring(2), 2
    x, weights, towards = random(2, 5, 4, 3), random(16, 3, 4, seed=1), random(2, 5, 4, 4, seed=2)

    def objective():
        out = np.empty((2, 5, 4, 4))
        reference.convolve(layers.padded(x, distance, distance), taps, weights, np.zeros(4), 1, out)
        return (out * towards).sum()

    d_x = layers.input_gradient(towards, taps, weights, (5, 4), before=distance)
    np.testing.assert_allclose(d_x, slope(objective, x), rtol=1e-6, atol=1e-7)


def test_a_convolution_written_out(in_float64):
    conv, x = Conv(4, 3, 2, 1, groups=2), random(2, 5, 6, 4)
    parameters = parameters_of(conv, 4)
    y, _ = layers.forward(conv, parameters, x)
    for i, row, column, kernel in np.ndindex(y.shape):
        total = parameters["bias"][kernel]
        for tap, (dy, dx) in enumerate(np.ndindex(3, 3)):
            at = 2 * row + dy - 1, 2 * column + dx - 1
            if 0 <= at[0] < 5 and 0 <= at[1] < 6:
                for c in range(2):
                    total += x[i, *at, 2 * (kernel // 2) + c] * parameters["weights"][tap, c, kernel]
        assert y[i, row, column, kernel] == pytest.approx(total, abs=1e-12)


def test_local_response_normalization_written_out():
    norm, x = LocalResponseNorm(3, 0.6, 0.75, 2.0), random(1, 2, 2, 5)
    y, _ = layers.forward(norm, {}, x)
    for i, row, column, c in np.ndindex(x.shape):
        around = x[i, row, column, max(0, c - 1) : c + 2]
        assert y[i, row, column, c] == pytest.approx(x[i, row, column, c] / (2 + 0.2 * (around**2).sum()) ** 0.75)


def test_a_fire_module_is_three_convolutions(in_float64):
    fire, x = Fire(3, 2), random(1, 4, 5, 6)
    parameters = parameters_of(fire, 6)
    y, _ = layers.forward(fire, parameters, x)
    parts = {name: {k: parameters[f"{name}_{k}"] for k in ("weights", "bias")} for name in fire.convolutions}
    squeezed = np.maximum(layers.forward(Conv(3, 1), parts["squeeze"], x)[0], 0)
    np.testing.assert_array_equal(y[..., :2], np.maximum(layers.forward(Conv(2, 1), parts["expand1"], squeezed)[0], 0))
    np.testing.assert_array_equal(y[..., 2:], np.maximum(layers.forward(Conv(2, 3), parts["expand3"], squeezed)[0], 0))


def test_a_whole_level(in_float64):
    level = Level((Relu(), Conv(3, 3), LocalResponseNorm(3), Pool(2, 2), Relu(), Fire(2, 2)), 1, (4,))
    x, parameters, channels = random(2, 6, 6, 2), [], 2
    for i, step in enumerate(level.steps):
        parameters.append(parameters_of(step, channels, seed=10 * i))
        channels = step.channels(channels)
    y, caches = layers.forward_level(level, parameters, x)
    towards = random(*y.shape, seed=3)

    def objective():
        return (layers.forward_level(level, parameters, x)[0] * towards).sum()

    d_x, gradients = layers.backward_level(level, parameters, caches, towards, to_input=True)
    np.testing.assert_allclose(d_x, slope(objective, x), rtol=1e-6, atol=1e-6)
    for gradient, inner in zip(gradients, parameters, strict=True):
        assert gradient.keys() == inner.keys()
        for name, value in inner.items():
            np.testing.assert_allclose(gradient[name], slope(objective, value), rtol=1e-6, atol=1e-6)
    nothing, same = layers.backward_level(level, parameters, caches, towards)
    assert nothing is None
    for one, other in zip(gradients, same, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_a_level_without_parameters_has_no_gradient_to_compute():
    level = Level((Relu(),), 1, (4,))
    _, caches = layers.forward_level(level, [{}], random(1, 3, 3, 1))
    assert layers.backward_level(level, [{}], caches, random(1, 3, 3, 1)) == (None, [{}])


ODD_STEPS = Architecture(
    (
        Level((), 1, (4,)),
        Level((Conv(4, 5, 2, 2), Relu(), LocalResponseNorm(3), Pool(3, 2)), 1, (4,)),
        Level((Fire(2, 3), Pool(2, 1)), 1, (4,)),
    )
)


@pytest.mark.parametrize("architecture", [Architecture(TABLE_4.levels[:3]), ODD_STEPS], ids=["table 4", "other steps"])
def test_receptive_fields_are_the_pixels_that_reach_a_node(architecture, in_float64):
    side = 33
    x = np.eye(side).reshape(side, 1, side, 1) * np.ones((1, side, 1, 1))  # image i is lit in column i
    dark = np.zeros((1, side, side, 1))
    for level, (size, stride) in list(zip(architecture.levels, architecture.receptive_fields()))[1:]:
        parameters, channels = [], x.shape[3]
        for step in level.steps:
            shapes = step.parameter_shapes(channels)
            parameters.append({name: np.full(shape, float("bias" not in name)) for name, shape in shapes.items()})
            channels = step.channels(channels)
        x, dark = (layers.forward_level(level, parameters, values)[0] for values in (x, dark))
        middle = x.shape[2] // 2
        first, second = (np.flatnonzero((x != dark)[:, middle, c].any(axis=1)) for c in (middle, middle + 1))
        assert len(first) == size and first[-1] - first[0] == size - 1
        assert second[0] - first[0] == stride


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_the_engine_gives_the_same_as_its_twin(step, monkeypatch):
    x = random(3, 9, 8, 4).astype(np.float32)
    parameters = {name: value.astype(np.float32) for name, value in parameters_of(step, 4).items()}
    towards = random(3, *step.shape(9, 8, 4), seed=9).astype(np.float32)

    def passes(x, parameters, towards, threads):
        y, cache = layers.forward(step, parameters, x, threads)
        d_x, d_parameters = layers.backward(step, parameters, cache, towards, threads)
        return {"y": y, "x": d_x, **d_parameters}

    one, three = (passes(x, parameters, towards, threads) for threads in (1, 3))
    monkeypatch.setattr(layers, "_engine", reference)
    wide = {name: value.astype(np.float64) for name, value in parameters.items()}
    twin = passes(x.astype(np.float64), wide, towards.astype(np.float64), 1)
    for name, value in twin.items():
        assert one[name].dtype == np.float32 and one[name].tobytes() == three[name].tobytes()
        np.testing.assert_allclose(one[name], value, rtol=1e-4, atol=1e-4)


def torch_of(step, x, parameters):
    """A step by torch, channels first."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    functional = torch.nn.functional

    def conv(conv, x, weights, bias):
        before, after = conv.pads
        kernels = weights.reshape(conv.size, conv.size, *weights.shape[1:]).permute(3, 2, 0, 1)
        padded = functional.pad(x, (before, after, before, after))
        return functional.conv2d(padded, kernels, bias, conv.stride, groups=conv.groups)

    if isinstance(step, Conv):
        return conv(step, x, parameters["weights"], parameters["bias"])
    if isinstance(step, Pool):
        return functional.max_pool2d(x, step.size, step.stride)
    if isinstance(step, Relu):
        return functional.relu(x)
    if isinstance(step, LocalResponseNorm):
        return functional.local_response_norm(x, step.size, step.alpha, step.beta, step.bias)

    def part(name, x):
        own = parameters[f"{name}_weights"], parameters[f"{name}_bias"]
        return functional.relu(conv(step.convolutions[name], x, *own))

    squeezed = part("squeeze", x)
    return torch.cat([part("expand1", squeezed), part("expand3", squeezed)], 1)


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_outputs_and_gradients_are_those_of_torch(step):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x, parameters = random(2, 9, 8, 4).astype(np.float32), parameters_of(step, 4)
    parameters = {name: value.astype(np.float32) for name, value in parameters.items()}
    theirs = {name: torch.tensor(value, requires_grad=True) for name, value in parameters.items()}
    their_x = torch.tensor(x, requires_grad=True)
    their_y = torch_of(step, their_x.permute(0, 3, 1, 2), theirs).permute(0, 2, 3, 1)
    y, cache = layers.forward(step, parameters, x)
    np.testing.assert_allclose(y, their_y.detach().numpy(), rtol=1e-4, atol=1e-4)
    towards = random(*y.shape, seed=9).astype(np.float32)
    their_y.backward(torch.tensor(towards))
    d_x, d_parameters = layers.backward(step, parameters, cache, towards)
    np.testing.assert_allclose(d_x, their_x.grad.numpy(), rtol=1e-4, atol=1e-4)
    for name, value in d_parameters.items():
        np.testing.assert_allclose(value, theirs[name].grad.numpy(), rtol=1e-4, atol=1e-4)
