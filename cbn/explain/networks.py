# SPDX-License-Identifier: BSD-3-Clause
"""What explanations need to know of networks, as types: the classes themselves are in the rooms above."""

from collections.abc import Sequence
from typing import Protocol


class Relation(Protocol):
    """See cbn.cpd.grid.Relation."""

    @property
    def child(self) -> int: ...
    @property
    def parent(self) -> int: ...
    @property
    def dy(self) -> int: ...
    @property
    def dx(self) -> int: ...


class Grid(Protocol):
    """A grid of binary nodes; see cbn.cpd.grid.Layer."""

    @property
    def channels(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def n_positions(self) -> int: ...


class Geometry(Protocol):
    """See cbn.layers.geometry.LayerGeometry."""

    @property
    def channels(self) -> int: ...
    @property
    def receptive_field(self) -> int: ...
    @property
    def stride(self) -> int: ...


class Transition(Protocol):
    """See cbn.layers.geometry.Transition."""

    @property
    def in_channels(self) -> int: ...
    @property
    def in_height(self) -> int: ...
    @property
    def in_width(self) -> int: ...
    @property
    def kernel_size(self) -> int: ...
    @property
    def pool(self) -> int: ...


class RelatedNetwork(Protocol):
    """The network of one layer with tied relations."""

    @property
    def layer(self) -> Grid: ...
    @property
    def tied_relations(self) -> Sequence[Relation] | None: ...


class RelatedLayers(Protocol):
    """Layers with tied relations, one above the other; see cbn.layers.stack.LayeredNetwork."""

    def __len__(self) -> int: ...
    @property
    def networks(self) -> Sequence[RelatedNetwork]: ...
    @property
    def geometries(self) -> Sequence[Geometry]: ...
    @property
    def transitions(self) -> Sequence[Transition]: ...
