# SPDX-License-Identifier: BSD-3-Clause
"""EfficientNet-Lite0 in PyTorch, the peer of the case ``backbone``: batch norms folded, clipping in place, no gradients.

The weights are those that come with cbn. What a user of the published package runs has the batch norms as layers of
their own, and is slower.
"""

import numpy as np
import torch
from arrays import Images, Singles
from torch.nn import functional

from cbn.iem.pretrained import efficientnet
from cbn.iem.pretrained.weights import load_weights


def kernels(matrix: Singles, side: int, depthwise: bool) -> torch.Tensor:
    """(inputs, outputs) with the window's places before the channels -> (outputs, channels, side, side)."""
    shaped = matrix.reshape(side, side, -1 if not depthwise else 1, matrix.shape[1])
    return torch.from_numpy(np.ascontiguousarray(shaped.transpose(3, 2, 0, 1)))


class TorchEfficientNet:
    """The blocks that come with cbn.

    Parameters
    ----------
    channels_last : bool
        Memory format of weights and activations.
    """

    def __init__(self, channels_last: bool = False) -> None:
        arrays = load_weights(efficientnet._FILE)
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.blocks = []
        for b, (_, _, size, stride) in enumerate(efficientnet.BLOCKS[: efficientnet.N_EMBEDDED]):
            parts = []
            for part, side in (("expansion", 1 if b else 3), ("windows", size), ("projection", 1)):
                weights = kernels(arrays[f"{b}.{part}"], side, part == "windows").to(memory_format=self.format)
                parts.append((weights, torch.from_numpy(arrays[f"{b}.{part}_bias"].copy())))
            self.blocks.append((parts, stride))

    @torch.inference_mode()
    def features(self, pictures: Images, wanted: tuple[int, ...]) -> list[torch.Tensor]:
        x = ((torch.from_numpy(pictures).float() - 127) / 128).permute(0, 3, 1, 2).contiguous(memory_format=self.format)
        out = []
        for b, ((expansion, windows, projection), stride) in enumerate(self.blocks):
            y = convolve(x, expansion, 1 if b else efficientnet.STEM_STRIDE).clamp_(0, 6)
            y = convolve(y, windows, stride, groups=len(windows[0])).clamp_(0, 6)
            y = convolve(y, projection)
            x = y.add_(x) if b and stride == 1 and x.shape == y.shape else y
            if b in wanted:
                out.append(x)
        return out


def convolve(
    x: torch.Tensor, weights: tuple[torch.Tensor, torch.Tensor], stride: int = 1, groups: int = 1
) -> torch.Tensor:
    kernel, bias = weights
    size = kernel.shape[2]
    zeros = [max((-(-n // stride) - 1) * stride + size - n, 0) for n in x.shape[2:]]
    if zeros[0] == zeros[1] and zeros[0] % 2 == 0:  # PyTorch's own padding is faster, and the same on both sides
        return functional.conv2d(x, kernel, bias, stride, zeros[0] // 2, groups=groups)
    (top, left), (bottom, right) = [n // 2 for n in zeros], [n - n // 2 for n in zeros]
    return functional.conv2d(functional.pad(x, (left, right, top, bottom)), kernel, bias, stride, groups=groups)
