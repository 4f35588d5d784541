# SPDX-License-Identifier: BSD-3-Clause
"""Shapes of a network: layers of binary nodes and the tied relations between them. Pure arithmetic, no images."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np

MAX_PARENTS = 16  # CBN_MAX_PARENTS of the engine
MAX_CHANNELS = 4096  # far more than thresholds or kernels anybody uses; bounds what a damaged file can ask for
# Tables beyond this are refused before anything is allocated: 4 GiB of counts, and as much again for every score.
MAX_ROWS = 2**28
MAX_LAYERS = 8  # CBN_MAX_LAYERS: pixels and hidden layers
MAX_KERNELS = 64  # CBN_MAX_KERNELS
MAX_KERNEL_SIZE = 10  # CBN_MAX_KERNEL_SIZE
MAX_SEARCH_PARENTS = 10  # CBN_MAX_SEARCH_PARENTS


@dataclass(frozen=True, order=True)
class Relation:
    """A tied relation: at every position, ``parent`` at offset (dy, dx) is a parent of ``child``.

    Parameters
    ----------
    child, parent : int
        Channels.
    dy, dx : int
        Offset of the parent from the child in positions; the parent must come first in raster order.
    required : bool
        The child can be 1 only where this parent is 1 (thermometer code). Only for offset (0, 0).
    """

    child: int
    parent: int
    dy: int
    dx: int
    required: bool = False


@dataclass(frozen=True)
class Layer:
    """A grid of binary nodes with its relations: pixels (a channel per threshold) or features (a channel per kernel).

    A node is (channel, row, column) with index ``(channel * height + row) * width + column``. Relations are kept in
    the order of their child; the j-th relation of a channel is bit j of the row index of its tables.
    """

    channels: int
    height: int
    width: int
    relations: tuple = ()

    def __post_init__(self):
        if min(self.channels, self.height, self.width) < 1:
            raise ValueError(
                f"layer of {self.channels} channels x {self.height} x {self.width} positions: "
                "every size must be at least 1"
            )
        if self.channels > MAX_CHANNELS:
            raise ValueError(f"layer of {self.channels} channels: at most {MAX_CHANNELS} are possible")
        seen = set()
        for r in self.relations:
            if not (0 <= r.child < self.channels and 0 <= r.parent < self.channels):
                raise ValueError(f"{r}: the layer has channels 0 to {self.channels - 1}")
            if (r.dy, r.dx, r.parent - r.child) >= (0, 0, 0):
                raise ValueError(
                    f"{r}: a parent must come before its child in raster order (rows above, or left in the same row)"
                )
            if r.required and (r.dy, r.dx) != (0, 0):
                raise ValueError(f"{r}: only a parent at offset (0, 0) can be required")
            if (r.child, r.parent, r.dy, r.dx) in seen:
                raise ValueError(f"{r}: given twice")
            seen.add((r.child, r.parent, r.dy, r.dx))
        for c in range(self.channels):
            if len(self.parents(c)) > MAX_PARENTS:
                raise ValueError(
                    f"channel {c} has {len(self.parents(c))} parents, at most {MAX_PARENTS} are possible "
                    "(its tables have 2^parents rows): give fewer offsets"
                )
        object.__setattr__(self, "relations", tuple(sorted(self.relations, key=lambda r: r.child)))

    @property
    def n_positions(self):
        return self.height * self.width

    @property
    def n_nodes(self):
        return self.channels * self.n_positions

    @property
    def n_rows(self):
        """Table rows of all nodes together: 2^parents for every node."""
        return sum(self.n_positions << len(self.parents(c)) for c in range(self.channels))

    def parents(self, channel):
        """The relations whose child is ``channel``, in the order of their row bits."""
        return [r for r in self.relations if r.child == channel]

    def table_begin(self, node):
        """First table row of a node."""
        channel, inside = divmod(node, self.n_positions)
        before = sum(self.n_positions << len(self.parents(c)) for c in range(channel))
        return before + (inside << len(self.parents(channel)))

    def table_begins(self):
        """First table row of every node: (nodes,) int64."""
        rows = np.repeat([1 << len(self.parents(c)) for c in range(self.channels)], self.n_positions)
        return np.cumsum(rows, dtype=np.int64) - rows

    def arrays(self):
        """The relations as the flat arrays of ``cbn_layer`` in cbn.h: begin, parent channel, dy, dx, required."""
        begin = np.cumsum([0] + [len(self.parents(c)) for c in range(self.channels)], dtype=np.int64)
        columns = np.array([(r.parent, r.dy, r.dx) for r in self.relations], np.int32).reshape(-1, 3).T
        required = np.array([r.required for r in self.relations], np.uint8)
        return (begin, *(np.ascontiguousarray(c) for c in columns), required)

    def to_dict(self):
        """A JSON-able description, read back by :meth:`from_dict`."""
        return {
            "channels": self.channels,
            "height": self.height,
            "width": self.width,
            "relations": [[r.child, r.parent, r.dy, r.dx, int(r.required)] for r in self.relations],
        }

    @classmethod
    def from_dict(cls, description):
        """The layer of a description. Raises ValueError, KeyError or TypeError on anything else."""

        def integer(value):
            if type(value) is not int or abs(value) > 2**30:
                raise ValueError(f"{value!r} is not a whole number below 2^30")
            return value

        relations = []
        for entry in description["relations"]:
            child, parent, dy, dx, required = (integer(v) for v in entry)
            relations.append(Relation(child, parent, dy, dx, bool(required)))
        sizes = (integer(description[name]) for name in ("channels", "height", "width"))
        return cls(*sizes, tuple(relations))


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
    weights: np.ndarray
    bias: np.ndarray
    pool: int

    @property
    def out_channels(self):
        return len(self.weights)

    @property
    def kernel_size(self):
        return self.weights.shape[2]

    @property
    def height(self):
        return (self.in_height - self.kernel_size + 1) // self.pool

    @property
    def width(self):
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

    def __post_init__(self):
        for name, high in (("kernels", MAX_KERNELS), ("kernel_size", MAX_KERNEL_SIZE), ("pool", 1024)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or not 1 <= value <= high:
                raise ValueError(f"hidden layer: {name} {value!r}; give a whole number from 1 to {high}")
            object.__setattr__(self, name, int(value))


@dataclass(frozen=True)
class LayerGeometry:
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

    channels: int
    height: int
    width: int
    receptive_field: int
    stride: int

    @property
    def distance(self):
        return -(-self.receptive_field // self.stride)

    def relation_offsets(self):
        """(dy, dx) north-west, north, north-east and west at ``distance``, those that fit into the layer."""
        d = self.distance
        offsets = ((-d, -d), (-d, 0), (-d, d), (0, -d))
        return tuple(offset for offset in offsets if self._fits(*offset))

    def _fits(self, dy, dx):
        return abs(dy) < self.height and abs(dx) < self.width

    def check_offset(self, dy, dx):
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


def geometry(height, width, n_thresholds, hidden):
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
        raise ValueError(f"hidden: {len(hidden)} layers, at most {MAX_LAYERS - 1} are possible")
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


def check_table_size(layer, argument):
    """Refuses a layer whose tables are too large. Raises ValueError naming the argument to change."""
    if layer.n_rows > MAX_ROWS:
        raise ValueError(
            f"{argument}: tables of {layer.n_rows:,} rows ({layer.n_rows / 2**26:.1f} GiB of counts), more than "
            f"{MAX_ROWS:,}; every parent fewer halves them"
        )


def pixel_layer(height, width, offsets, n_thresholds=1):
    """The layer of the preset ``pixel``: every channel sees its own channel at the offsets.

    With several thresholds (a thermometer code) the channel of the next lower threshold at the same pixel is one more
    parent, and a required one: a pixel above a threshold is above all lower ones.

    Parameters
    ----------
    height, width : int
    offsets : sequence of (dy, dx)
        Offsets of the parents, rows above or left in the same row; thesis section 3.1 has NW, N, NE and W.
    n_thresholds : int
    """
    relations = []
    for c in range(n_thresholds):
        relations += [Relation(c, c, int(dy), int(dx)) for dy, dx in offsets]
        if c > 0:
            relations.append(Relation(c, c - 1, 0, 0, required=True))
    return Layer(n_thresholds, height, width, tuple(relations))
