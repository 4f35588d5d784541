# SPDX-License-Identifier: BSD-3-Clause
"""Shapes of a network: layers of binary nodes and the tied relations between them. Pure arithmetic, no images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._engine import MAX_PARENTS

MAX_CHANNELS = 4096  # far more than thresholds or kernels anybody uses; bounds what a damaged file can ask for
# Tables beyond this are refused before anything is allocated: 4 GiB of counts, and as much again for every score.
MAX_ROWS = 2**28


@dataclass(frozen=True)
class Grid:
    """Binary nodes in channels, rows and columns: pixels (a channel per threshold) or features (one per kernel).

    A node is (channel, row, column) with index ``(channel * height + row) * width + column``.
    """

    channels: int
    height: int
    width: int

    @property
    def n_positions(self) -> int:
        return self.height * self.width

    @property
    def n_nodes(self) -> int:
        return self.channels * self.n_positions

    def place(self, node: int) -> tuple[int, int, int]:
        """(channel, row, column) of a node."""
        channel, inside = divmod(node, self.n_positions)
        return channel, *divmod(inside, self.width)

    def node(self, channel: int, row: int, column: int) -> int | None:
        """Index of a node; None outside the grid."""
        if not (0 <= row < self.height and 0 <= column < self.width):
            return None
        return (channel * self.height + row) * self.width + column

    def sizes(self) -> dict[str, int]:
        """Channels, height and width by name, as files have them."""
        return {"channels": self.channels, "height": self.height, "width": self.width}

    def grid(self) -> "Grid":
        """The grid alone, of anything that stands on one."""
        return Grid(self.channels, self.height, self.width)

    def __str__(self) -> str:
        return f"{self.channels} x {self.height} x {self.width}"


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
class Layer(Grid):
    """A grid with tied relations.

    Relations are kept in the order of their child; the j-th relation of a channel is bit j of the row index of its
    tables.
    """

    relations: tuple[Relation, ...] = ()

    def __post_init__(self) -> None:
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
    def n_rows(self) -> int:
        """Table rows of all nodes together: 2^parents for every node."""
        return sum(self.n_positions << len(self.parents(c)) for c in range(self.channels))

    def parents(self, channel: int) -> list[Relation]:
        """The relations whose child is ``channel``, in the order of their row bits."""
        return [r for r in self.relations if r.child == channel]

    def table_begin(self, node: int) -> int:
        """First table row of a node."""
        channel, inside = divmod(node, self.n_positions)
        before = sum(self.n_positions << len(self.parents(c)) for c in range(channel))
        return before + (inside << len(self.parents(channel)))

    def table_begins(self) -> npt.NDArray[np.int64]:
        """First table row of every node: (nodes,) int64."""
        rows = np.repeat([1 << len(self.parents(c)) for c in range(self.channels)], self.n_positions)
        return np.cumsum(rows, dtype=np.int64) - rows

    def arrays(self) -> tuple[npt.NDArray[Any], ...]:
        """The relations as the flat arrays of ``cbn_layer`` in cbn.h: begin, parent channel, dy, dx, required."""
        begin = np.cumsum([0] + [len(self.parents(c)) for c in range(self.channels)], dtype=np.int64)
        columns = np.array([(r.parent, r.dy, r.dx) for r in self.relations], np.int32).reshape(-1, 3).T
        required = np.array([r.required for r in self.relations], np.uint8)
        return (begin, *(np.ascontiguousarray(c) for c in columns), required)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able description, read back by :meth:`from_dict`."""
        return {
            **self.sizes(),
            "relations": [[r.child, r.parent, r.dy, r.dx, int(r.required)] for r in self.relations],
        }

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> "Layer":
        """The layer of a description. Raises ValueError, KeyError or TypeError on anything else."""

        def integer(value: object) -> int:
            if type(value) is not int or abs(value) > 2**30:
                raise ValueError(f"{value!r} is not a whole number below 2^30")
            return value

        relations = []
        for entry in description["relations"]:
            child, parent, dy, dx, required = (integer(v) for v in entry)
            relations.append(Relation(child, parent, dy, dx, bool(required)))
        channels, height, width = (integer(description[name]) for name in ("channels", "height", "width"))
        return cls(channels, height, width, tuple(relations))


def check_table_size(layer: Layer, argument: str) -> None:
    """Refuses a layer whose tables are too large. Raises ValueError naming the argument to change."""
    if layer.n_rows > MAX_ROWS:
        raise ValueError(
            f"{argument}: tables of {layer.n_rows:,} rows ({layer.n_rows / 2**26:.1f} GiB of counts), more than "
            f"{MAX_ROWS:,}; every parent fewer halves them"
        )


def pixel_layer(height: int, width: int, offsets: Sequence[tuple[int, int]], n_thresholds: int = 1) -> Layer:
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
