# SPDX-License-Identifier: BSD-3-Clause
"""The introspective energy model in PyTorch, as a user of that library would write it: the peer of the case ``iem``.

The same architecture, sharing "b", optimizer and start as cbn's own. Neighbours are gathered by slices, hidden layers
are 1 x 1 convolutions, own last layers one einsum; autograd does the rest. Channels first, as PyTorch likes them.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from arrays import Singles
from torch.nn import functional

from cbn.iem.nn.architecture import ring
from cbn.iem.nn.steps import Conv, Pool


def tensor(array: npt.ArrayLike) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


class TorchLevel(torch.nn.Module):
    """One level, with the parameters of a cbn.iem.nn.network.LevelModel as its start.

    Parameters
    ----------
    model : LevelModel
        Of learned kernels (or level 0) and sharing "b".
    learning_rate : float
    """

    def __init__(self, model: Any, learning_rate: float = 0.001) -> None:
        super().__init__()
        height, width, kernels = model.shape
        self.distance, self.taps = model.level.distance, ring(model.level.distance)
        self.steps, self.norms = model.level.steps, None
        self.mean, self.scale = tensor(model.mean)[:, None, None], 1 / tensor(model.deviation)[:, None, None]
        own = model.models.parameters
        self.hidden = torch.nn.ModuleList()
        first, bias = own["first"][0], own["first_extra"][0, -1]
        self._add_hidden(first.reshape(-1, first.shape[2]), bias)
        begin, units = 0, model.level.hidden
        for below, above in pairwise(units):
            part = own["hidden"][0, begin : begin + (below + 1) * above].reshape(below + 1, above)
            self._add_hidden(part[:-1], part[-1])
            begin += (below + 1) * above
        last = tensor(own["last"][0].reshape(height, width, kernels, units[-1] + 1))
        self.shared = torch.nn.Parameter(last.mean(dim=(0, 1)))
        self.delta = torch.nn.Parameter(last - self.shared.detach())
        for step, parameters in zip(self.steps, model.kernels):
            if isinstance(step, Conv):
                channels, n = parameters["weights"].shape[1:]
                self.conv = torch.nn.Conv2d(channels, n, step.size, padding=step.size // 2)
                weights = parameters["weights"].reshape(step.size, step.size, channels, n)
                self.conv.weight.data = tensor(weights.transpose(3, 2, 0, 1))
                self.conv.bias.data = tensor(parameters["bias"])
                self.norms = self.conv.weight.data.flatten(1).norm(dim=1)
        self.optimizer = torch.optim.Adam(self.parameters(), lr=learning_rate)

    def _add_hidden(self, weights: Singles, bias: Singles) -> None:
        layer = torch.nn.Conv2d(len(weights), len(bias), 1)
        layer.weight.data = tensor(weights.T)[:, :, None, None]
        layer.bias.data = tensor(bias)
        self.hidden.append(layer)

    def activations(self, below: torch.Tensor) -> torch.Tensor:
        x = below
        for step in self.steps:
            if isinstance(step, Conv):
                x = self.conv(x)
            elif isinstance(step, Pool):
                x = functional.max_pool2d(x, step.size, step.stride)
            else:
                x = torch.relu(x)
        return (x - self.mean) * self.scale

    def predicted(self, activations: torch.Tensor) -> torch.Tensor:
        n, _, height, width = activations.shape
        x = torch.cat([activations, torch.ones(n, 1, height, width)], dim=1)
        x = functional.pad(x, (self.distance,) * 4)
        u = torch.cat([x[:, :, dy : dy + height, dx : dx + width] for dy, dx in self.taps], dim=1)
        for layer in self.hidden:
            u = torch.relu(layer(u))
        last = self.shared + self.delta
        return torch.einsum("njyx,yxkj->nkyx", u, last[..., :-1]) + last[..., -1].permute(2, 0, 1)

    def step(self, below: torch.Tensor) -> float:
        """One training step; returns the sum of squared errors."""
        self.optimizer.zero_grad()
        activations = self.activations(below)
        loss = (self.predicted(activations) - activations.detach()).square().sum()
        loss.backward()
        self.optimizer.step()
        if self.norms is not None:
            with torch.no_grad():
                weight = self.conv.weight
                weight *= (self.norms / weight.flatten(1).norm(dim=1))[:, None, None, None]
        return float(loss.detach())

    def epoch(self, below: torch.Tensor, order: torch.Tensor, batch_size: int) -> float:
        """Mean squared error of one pass over values of the level below, (n, channels, height, width)."""
        squares = sum(self.step(below[order[i : i + batch_size]]) for i in range(0, len(order), batch_size))
        return squares / (len(order) * self.delta[..., 0].numel())

    @torch.no_grad()
    def look(self, below: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(activations, errors) of pictures, channels first."""
        activations = self.activations(below)
        return activations, self.predicted(activations) - activations


def channels_first(values: Singles) -> torch.Tensor:
    return tensor(values).permute(0, 3, 1, 2).contiguous()


def channels_last(values: torch.Tensor) -> Singles:
    return np.ascontiguousarray(values.permute(0, 2, 3, 1).numpy())
