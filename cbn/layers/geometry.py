# SPDX-License-Identifier: BSD-3-Clause
"""Shapes of hidden layers: transitions, receptive fields, distances. Pure arithmetic, no images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .._engine import MAX_KERNEL_SIZE, MAX_KERNELS, MAX_LAYERS
from ..cpd.grid import Grid


@dataclass(frozen=True, eq=False)
class Transition:
    """From a layer of bits to the next: convolution, max pooling, threshold at 0.

    Parameters
    ----------
    in_channels, in_height, in_width : int
        The layer below.
    weights : ndarray, (kernels, in_channels, kernel_size, kernel_size) int32
        In units of 2^-20, so that sums are exact.
    bias : ndarray, (kernels,) int32
    pool : int
        Side and stride of the pooling windows.
    """

    in_channels: int
    in_height: int
    in_width: int
    weights: npt.NDArray[np.int32]
    bias: npt.NDArray[np.int32]
    pool: int

    @property
    def out_channels(self) -> int:
        return len(self.weights)

    @property
    def kernel_size(self) -> int:
        return self.weights.shape[2]

    @property
    def height(self) -> int:
        return (self.in_height - self.kernel_size + 1) // self.pool

    @property
    def width(self) -> int:
        return (self.in_width - self.kernel_size + 1) // self.pool


@dataclass(frozen=True)
class HiddenLayer:
    """What a hidden layer is made of: kernels, and how they are pooled.

    Parameters
    ----------
    kernels : int
        Number of kernels, that is of channels.
    kernel_size : int
        Side of a kernel; the convolution has stride 1 and no padding.
    pool : int
        Side and stride of the max-pooling windows.
    """

    kernels: int
    kernel_size: int = 3
    pool: int = 2

    def __post_init__(self) -> None:
        for name, high in (("kernels", MAX_KERNELS), ("kernel_size", MAX_KERNEL_SIZE), ("pool", 1024)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or not 1 <= value <= high:
                raise ValueError(f"hidden layer: {name} {value!r}; give a whole number from 1 to {high}")
            object.__setattr__(self, name, int(value))


@dataclass(frozen=True)
class LayerGeometry(Grid):
    """Where the nodes of a layer are, and how far apart two must be to see different pixels.

    Attributes
    ----------
    channels, height, width : int
    receptive_field : int
        Side of the square of pixels that a node is a function of; that of node (y, x) begins at pixel
        (y * stride, x * stride).
    stride : int
        Pixels between the receptive fields of neighbours.
    distance : int
        Smallest offset, in positions, at which receptive fields do not overlap: ceil(receptive_field / stride).
    """

    receptive_field: int
    stride: int

    @property
    def distance(self) -> int:
        return -(-self.receptive_field // self.stride)

    def relation_offsets(self) -> tuple[tuple[int, int], ...]:
        """(dy, dx) north-west, north, north-east and west at ``distance``, those that fit into the layer."""
        d = self.distance
        offsets = ((-d, -d), (-d, 0), (-d, d), (0, -d))
        return tuple(offset for offset in offsets if self._fits(*offset))

    def _fits(self, dy: int, dx: int) -> bool:
        return abs(dy) < self.height and abs(dx) < self.width

    def check_offset(self, dy: int, dx: int) -> None:
        """Refuses a relation whose nodes share pixels, or of which the layer has no pair. Raises ValueError."""
        if max(abs(dy), abs(dx)) < self.distance:
            raise ValueError(
                f"offset ({dy}, {dx}): nodes less than {self.distance} positions apart see the same pixels; give a "
                "larger offset"
            )
        if not self._fits(dy, dx):
            raise ValueError(
                f"offset ({dy}, {dx}) leads out of the {self.height} x {self.width} positions; give a smaller offset"
            )


def geometry(height: int, width: int, n_thresholds: int, hidden: Sequence[HiddenLayer]) -> tuple[LayerGeometry, ...]:
    """The geometry of the pixels and of every hidden layer above them.

    Parameters
    ----------
    height, width, n_thresholds : int
    hidden : sequence of HiddenLayer

    Returns
    -------
    tuple of LayerGeometry, one more than ``hidden`` has

    Raises
    ------
    ValueError
        Names the hidden layer (1 is the first) that does not fit, or has no room for a relation, and why.
    """
    if len(hidden) >= MAX_LAYERS:
        raise ValueError(f"layers: {len(hidden)} hidden layers, at most {MAX_LAYERS - 1} are possible")
    if hidden and n_thresholds > MAX_KERNELS:
        raise ValueError(
            f"threshold: {n_thresholds} values, but kernels look at no more than {MAX_KERNELS}: give fewer, or no "
            "hidden layers"
        )
    layers = [LayerGeometry(n_thresholds, height, width, 1, 1)]
    for number, wanted in enumerate(hidden, start=1):
        below = layers[-1]
        least = wanted.kernel_size + wanted.pool - 1
        what = f"hidden layer {number} (kernels {wanted.kernel_size} x {wanted.kernel_size}, pooling {wanted.pool})"
        if min(below.height, below.width) < least:
            raise ValueError(
                f"{what} needs {least} x {least} positions below it, but there are {below.height} x {below.width}: "
                "use fewer layers, smaller kernels, less pooling or larger images"
            )
        layer = LayerGeometry(
            wanted.kernels,
            (below.height - wanted.kernel_size + 1) // wanted.pool,
            (below.width - wanted.kernel_size + 1) // wanted.pool,
            below.receptive_field + (wanted.kernel_size + wanted.pool - 2) * below.stride,
            below.stride * wanted.pool,
        )
        if not layer.relation_offsets():
            raise ValueError(
                f"{what} has {layer.height} x {layer.width} positions, but nodes must be {layer.distance} apart to see "
                f"different pixels ({layer.receptive_field} x {layer.receptive_field} each), so none can have a "
                "parent: use fewer layers, smaller kernels, less pooling or larger images"
            )
        layers.append(layer)
    return tuple(layers)
