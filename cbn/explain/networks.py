# SPDX-License-Identifier: BSD-3-Clause
"""What explanations need to know of networks, as types: the classes themselves are in the rooms above."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class Relation(Protocol):
    """See cbn.cpd.grid.Relation."""

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


class RelatedGrid(Grid, Protocol):
    """A grid whose nodes have the same parents everywhere."""

    def parents(self, channel: int) -> Sequence[Relation]: ...


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


class LayerNetwork(Protocol):
    """The network of one layer, whatever its conditional distributions are."""

    @property
    def layer(self) -> Grid: ...

    def surprise_maps(
        self, planes: npt.NDArray[np.uint64], n_images: int, num_threads: int
    ) -> npt.NDArray[np.float64]: ...

    def explain(self, node: int, states: npt.NDArray[np.uint8], num_threads: int) -> dict[str, Any]: ...


class RelatedNetwork(Protocol):
    """The network of one layer with tied relations."""

    @property
    def layer(self) -> RelatedGrid: ...


class LayeredNetwork(Protocol):
    """Networks one above the other; see cbn.layers.stack.LayeredNetwork."""

    @property
    def networks(self) -> Sequence[LayerNetwork]: ...
    @property
    def geometries(self) -> Sequence[Geometry]: ...
    @property
    def scales(self) -> Mapping[str, Sequence[float]]: ...


class RelatedLayers(Protocol):
    """The same of layers with tied relations."""

    def __len__(self) -> int: ...
    @property
    def networks(self) -> Sequence[RelatedNetwork]: ...
    @property
    def geometries(self) -> Sequence[Geometry]: ...
    @property
    def transitions(self) -> Sequence[Transition]: ...
