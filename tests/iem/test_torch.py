# SPDX-License-Identifier: BSD-3-Clause
"""Parity with PyTorch where it is installed: outputs and gradients of convolution, pooling and sidewards models."""

import numpy as np
import pytest

from helpers.engines import PATHS
from helpers.neural import (
    Problem,
    convolve,
    convolve_weight_gradient,
    gradient,
    max_pool,
    max_pool_gradient,
    predict,
    window,
)

torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is a peer of the benchmark")
ENGINE = PATHS[0]


def leaf(array):
    """A double-precision tensor that collects gradients."""
    return torch.tensor(np.asarray(array, np.float64), requires_grad=True)


def assert_close(found, tensor):
    wanted = tensor.detach().numpy()
    assert np.linalg.norm(found - wanted) <= 1e-5 * np.linalg.norm(wanted)


def channels_first(tensor):
    return tensor.permute(0, 3, 1, 2)


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (5, 1), (11, 4)])
def test_convolution(size, stride):
    rng = np.random.default_rng(0)
    side = size + 6 * stride
    x, weights, bias = (rng.normal(size=s) for s in ((2, side, side, 3), (size * size, 3, 20), (20,)))
    tensors = [leaf(a) for a in (x, weights, bias)]
    kernels = tensors[1].reshape(size, size, 3, 20).permute(3, 2, 0, 1)
    out = torch.nn.functional.conv2d(channels_first(tensors[0]), kernels, tensors[2], stride)
    assert_close(convolve(ENGINE, x, window(size), weights, bias, stride, (7, 7)), out.permute(0, 2, 3, 1))
    d_out = rng.normal(size=(2, 7, 7, 20))
    (out.permute(0, 2, 3, 1) * torch.tensor(d_out)).sum().backward()
    d_weights, d_bias = convolve_weight_gradient(ENGINE, x, window(size), d_out, stride)
    assert_close(d_weights, tensors[1].grad)
    assert_close(d_bias, tensors[2].grad)


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2)])
def test_pooling(size, stride):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 9, 11, 5))
    tensor = leaf(x)
    out = torch.nn.functional.max_pool2d(channels_first(tensor), size, stride).permute(0, 2, 3, 1)
    found, which = max_pool(ENGINE, x, size, stride)
    assert_close(found, out)
    d_out = rng.normal(size=found.shape)
    (out * torch.tensor(d_out)).sum().backward()
    assert_close(max_pool_gradient(ENGINE, d_out, which, size, stride, x.shape), tensor.grad)


@pytest.mark.parametrize("own", [False, True], ids=["one last layer", "own last layers"])
def test_sidewards_models(own):
    """Neighbours are gathered position by position here, as the thesis describes them."""
    rng = np.random.default_rng(2)
    shape = {"n": 3, "height": 6, "width": 5, "channels": 4, "distance": 2, "units": (9, 7, 6), "kernels": 4}
    shape["n_extra"] = 2
    problem = Problem.random(rng, own=own, **shape)
    t = {name: leaf(getattr(problem, name)) for name in ("x", *Problem.parameters)}
    neighbours = torch.cat([t["x"][:, dy : dy + 6, dx : dx + 5] for dy, dx in problem.taps], dim=3)
    extra = torch.cat([torch.tensor(problem.extra), torch.ones(6, 5, 1, dtype=torch.float64)], dim=2)
    sums = neighbours @ t["first"].reshape(-1, 9) + extra @ t["first_extra"]
    sums.retain_grad()
    u, begin = torch.relu(sums), 0
    for below, above in ((9, 7), (7, 6)):
        part = t["hidden"][begin : begin + (below + 1) * above].reshape(below + 1, above)
        u, begin = torch.relu(u @ part[:-1] + part[-1]), begin + (below + 1) * above
    last = t["last"].reshape(6, 5, 4, 7) if own else t["last"].reshape(1, 1, 4, 7)
    out = (u[:, :, :, None, :] * last[..., :-1]).sum(dim=4) + last[..., -1]
    assert_close(predict(ENGINE, problem), out)
    ((out - torch.tensor(problem.target)) ** 2).sum().backward()
    slopes = gradient(ENGINE, problem)
    for name in Problem.parameters:
        assert_close(slopes[name], t[name].grad)
    assert_close(slopes["sums"], sums.grad)
