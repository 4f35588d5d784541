# SPDX-License-Identifier: BSD-3-Clause
"""The steps between levels: convolution, pooling, ReLU, normalization, Fire modules. Shapes only; see layers.py."""

import math
from dataclasses import MISSING, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ..._engine import MAX_POOL, MAX_TAPS
from ..._validation import check_integer, check_real
from .arrays import Shape

MAX_CHANNELS = 4096
MAX_SIZE = 255  # any stride
MAX_KERNEL = math.isqrt(MAX_TAPS)  # side of a kernel


def window(size: int) -> npt.NDArray[np.int32]:
    """Taps of a square kernel in row-major order: (size * size, 2) int32."""
    return np.array([(dy, dx) for dy in range(size) for dx in range(size)], np.int32)


def short_repr(value: Any) -> str:
    """The repr of a dataclass without names of fields, and without defaults at its end; it makes the same object."""
    given = list(fields(value))
    while given and given[-1].default is not MISSING and getattr(value, given[-1].name) == given[-1].default:
        given.pop()
    return f"{type(value).__name__}({', '.join(repr(getattr(value, own.name)) for own in given)})"


@dataclass(frozen=True, repr=False)
class Step:
    """One operation between levels."""

    __repr__ = short_repr

    @property
    def extents(self) -> tuple[tuple[int, int], ...]:
        """(size, stride) of its windows, for receptive fields."""
        return ()

    @property
    def pads(self) -> tuple[int, int]:
        """Zeros (before, after) along height and along width."""
        return (0, 0)

    def shape(self, height: int, width: int, channels: int) -> Shape:
        """(height, width, channels) of the output. Raises ValueError when the input leaves no output."""
        return height, width, channels

    def channels(self, channels: int) -> int:
        """Channels of the output for an input of so many."""
        return channels

    def parameter_shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        """Name to shape of the step's parameters, for an input of so many channels."""
        return {}


def _windows(what: str, height: int, width: int, padding: int, size: int, stride: int) -> tuple[int, int]:
    """Output height and width of windows over a padded input, floor."""
    if min(height, width) + padding < size:
        raise ValueError(f"{what} of size {size} does not fit into {height} x {width} positions; give larger images")
    return (height + padding - size) // stride + 1, (width + padding - size) // stride + 1


@dataclass(frozen=True, repr=False)
class Conv(Step):
    """Convolution (cross-correlation) with bias.

    Parameters
    ----------
    kernels : int
        Output channels.
    size : int
        Side of a kernel.
    stride : int
    padding : "same" or int
        Zeros on each side. "same" keeps height and width at stride 1: size // 2 before and (size - 1) // 2 after.
    groups : int
        Input and output channels are split into so many groups that do not see each other.
    """

    kernels: int
    size: int
    stride: int = 1
    padding: str | int = "same"
    groups: int = 1

    def __post_init__(self) -> None:
        check_integer(self.kernels, "kernels", 1, MAX_CHANNELS)
        check_integer(self.size, "size", 1, MAX_KERNEL)
        check_integer(self.stride, "stride", 1, MAX_SIZE)
        if self.padding != "same":
            check_integer(self.padding, "padding", 0, self.size - 1)  # more would see nothing but zeros
        check_integer(self.groups, "groups", 1, MAX_CHANNELS)
        if self.kernels % self.groups:
            raise ValueError(f"groups: {self.groups} does not divide {self.kernels} kernels; give a divisor of it")

    @property
    def extents(self) -> tuple[tuple[int, int], ...]:
        return ((self.size, self.stride),)

    @property
    def pads(self) -> tuple[int, int]:
        if isinstance(self.padding, str):
            return self.size // 2, (self.size - 1) // 2
        return self.padding, self.padding

    def shape(self, height: int, width: int, channels: int) -> Shape:
        if channels % self.groups:
            raise ValueError(f"groups: {self.groups} does not divide {channels} input channels; give a divisor of it")
        out = _windows("a convolution", height, width, sum(self.pads), self.size, self.stride)
        return (*out, self.kernels)

    def channels(self, channels: int) -> int:
        return self.kernels

    def parameter_shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        return {"weights": (self.size**2, channels // self.groups, self.kernels), "bias": (self.kernels,)}


@dataclass(frozen=True, repr=False)
class Pool(Step):
    """Max pooling without padding; rows and columns that do not fill a window are left out."""

    size: int
    stride: int

    def __post_init__(self) -> None:
        check_integer(self.size, "size", 1, MAX_POOL)
        check_integer(self.stride, "stride", 1, MAX_SIZE)

    @property
    def extents(self) -> tuple[tuple[int, int], ...]:
        return ((self.size, self.stride),)

    def shape(self, height: int, width: int, channels: int) -> Shape:
        return (*_windows("a pooling window", height, width, 0, self.size, self.stride), channels)


@dataclass(frozen=True, repr=False)
class Relu(Step):
    """max(x, 0)."""


@dataclass(frozen=True, repr=False)
class LocalResponseNorm(Step):
    """Normalization across channels (Krizhevsky et al. 2012, section 3.3, with Caffe's alpha / size).

    y[c] = x[c] / (bias + alpha / size * sum of x^2 over the ``size`` channels around c) ^ beta
    """

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    bias: float = 1.0

    def __post_init__(self) -> None:
        check_integer(self.size, "size", 1, MAX_SIZE)
        if self.size % 2 == 0:
            raise ValueError(f"size: {self.size}; the channels around a channel are an odd number: give 3, 5, 7, ...")
        check_real(self.alpha, "alpha", 0, 1e6)
        if self.beta not in (0.5, 0.75, 1):  # powers made of square roots are the same bytes on every machine
            raise ValueError(f"beta: {self.beta!r}; choose one of 0.5, 0.75, 1")
        check_real(self.bias, "bias", 0, 1e6, open_ends=True)


@dataclass(frozen=True, repr=False)
class Fire(Step):
    """SqueezeNet's module: 1x1 convolution, ReLU, then 1x1 and 3x3 convolutions, ReLU, side by side.

    Parameters
    ----------
    squeeze : int
        Kernels of the first convolution.
    expand : int
        Kernels of each of the two others; the output has twice as many channels.
    """

    squeeze: int
    expand: int

    def __post_init__(self) -> None:
        check_integer(self.squeeze, "squeeze", 1, MAX_CHANNELS)
        check_integer(self.expand, "expand", 1, MAX_CHANNELS // 2)

    @property
    def extents(self) -> tuple[tuple[int, int], ...]:
        return ((3, 1),)

    @property
    def pads(self) -> tuple[int, int]:
        return (1, 1)

    @property
    def convolutions(self) -> dict[str, Conv]:
        """Name to :class:`Conv` of the three convolutions, in the order of their computation."""
        return {"squeeze": Conv(self.squeeze, 1), "expand1": Conv(self.expand, 1), "expand3": Conv(self.expand, 3)}

    def shape(self, height: int, width: int, channels: int) -> Shape:
        return height, width, 2 * self.expand

    def channels(self, channels: int) -> int:
        return 2 * self.expand

    def parameter_shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        for name, conv in self.convolutions.items():
            inner = conv.parameter_shapes(channels if name == "squeeze" else self.squeeze)
            shapes.update({f"{name}_{key}": shape for key, shape in inner.items()})
        return shapes


STEPS: dict[str, type[Step]] = {"conv": Conv, "pool": Pool, "relu": Relu, "lrn": LocalResponseNorm, "fire": Fire}
