# SPDX-License-Identifier: BSD-3-Clause
"""Networks of inverted residuals (MobileNetV2, EfficientNet-Lite), channels last, batch norms folded into weights.

A block has three steps. Its expansion raises the channels to ``expanded``; a depthwise convolution slides a window of
its own over every channel; its projection goes down to ``out_channels``. What comes out of the first two is clipped to
[0, 6], the third is not, and the block's input is added to it where the stride is 1 and the channels are as many. The
expansion of the first block is the stem, a 3 x 3 convolution with stride 2 over the picture, whose input is never
added; those of the others look at single positions.
"""

import numpy as np
import numpy.typing as npt

from .arguments import Floats, Nodes
from .convolution import seen

PICTURE_CHANNELS, STEM_SIZE, STEM_STRIDE = 3, 3, 2


def padded(x: Floats, size: int, stride: int) -> tuple[Floats, int, int]:
    """The input with zeros around it, and the height and width of what a window sees of it.

    A length h gives ceil(h / stride) positions. The zeros that they need are shared out between both sides, the smaller
    half first.
    """
    sides, lengths = [(0, 0)], []
    for length in x.shape[1:3]:
        n = -(-length // stride)
        total = max((n - 1) * stride + size - length, 0)
        sides.append((total // 2, total - total // 2))
        lengths.append(n)
    return np.pad(x, [*sides, (0, 0)]), *lengths


def clipped(x: Floats) -> Floats:
    return np.clip(x, 0, 6)


def taps_of(size: int) -> list[Nodes]:
    return [np.array([dy, dx], np.int32) for dy in range(size) for dx in range(size)]


def shapes_of(blocks: Nodes) -> list[list[tuple[int, ...]]]:
    """For every block the shapes of its six arrays, in the order in which they follow each other."""
    shapes: list[list[tuple[int, ...]]] = []
    inputs = STEM_SIZE**2 * PICTURE_CHANNELS
    for expanded, out_channels, size, _ in blocks.tolist():
        depthwise = (size**2, expanded), (expanded,)
        shapes.append([(inputs, expanded), (expanded,), *depthwise, (expanded, out_channels), (out_channels,)])
        inputs = out_channels
    return shapes


def mobile_weights(blocks: Nodes) -> int:
    """Number of all weights and biases.

    Parameters
    ----------
    blocks : (B, 4) array of int
        Expanded channels (a multiple of 16), output channels (a multiple of 8), side and stride of the window.
    """
    return sum(int(np.prod(shape)) for shapes in shapes_of(blocks) for shape in shapes)


def mobile_pack(blocks: Nodes, weights: Floats, packed: Floats) -> None:
    """packed[:] = weights, in the order in which the engine reads them; here they stay as they are.

    Parameters
    ----------
    blocks : (B, 4) array of int
    weights : (W,) array of float
        For every block the weights of its expansion (inputs, expanded) and their bias, of its window (size * size,
        expanded) and their bias, of its projection (expanded, out_channels) and their bias. The inputs of the first
        expansion are the 3 x 3 pixels row by row, each red, green, blue.
    packed : (W,) array of float
        Filled.
    """
    packed[:] = weights


def mobile_features(
    blocks: Nodes,
    packed: Floats,
    pictures: npt.NDArray[np.floating],
    scale: float,
    shift: float,
    out: tuple[Floats | None, ...],
    num_threads: int = 1,
) -> None:
    """Outputs of blocks.

    Parameters
    ----------
    blocks : (B, 4) array of int
    packed : (W,) array of float
        What ``mobile_pack`` made of the weights.
    pictures : (n, h, w, 1 or 3) array of float
        Grey, which is three times the same, or RGB. The network reads value * scale + shift.
    out : tuple of B arrays of float or None
        Those that are arrays (n, height, width, channels of the block) are filled.
    """
    x = np.broadcast_to(pictures * pictures.dtype.type(scale) + pictures.dtype.type(shift), (*pictures.shape[:3], 3))
    begin = 0
    for b, (shapes, (_, _, size, stride)) in enumerate(zip(shapes_of(blocks), blocks.tolist())):
        arrays = []
        for shape in shapes:
            arrays.append(packed[begin : begin + int(np.prod(shape))].reshape(shape))
            begin += arrays[-1].size
        expansion, expansion_bias, windows, windows_bias, projection, projection_bias = arrays
        if b == 0:
            around, *lengths = padded(x, STEM_SIZE, STEM_STRIDE)
            patches = [seen(around, tap, STEM_STRIDE, *lengths) for tap in taps_of(STEM_SIZE)]
            y = np.concatenate(patches, axis=3) @ expansion
        else:
            y = x @ expansion
        around, *lengths = padded(clipped(y + expansion_bias), size, stride)
        y = sum(seen(around, tap, stride, *lengths) * window for tap, window in zip(taps_of(size), windows))
        y = clipped(y + windows_bias) @ projection + projection_bias
        x = y + x if b and stride == 1 and x.shape[3] == y.shape[3] else y
        target = out[b]
        if target is not None:
            target[...] = x
