# SPDX-License-Identifier: BSD-3-Clause
"""Which nodes of an image surprise most, and what training saw there: table rows, paths through trees, influences."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..bits.planes import BitPlanes
from .networks import Geometry, Grid, Relation


class PlacedGrid(Grid, Protocol):
    """A grid that knows where its nodes are."""

    def place(self, node: int) -> tuple[int, int, int]: ...


class Distribution(Protocol):
    """What an explanation asks of the CPDs of one layer."""

    @property
    def layer(self) -> "PlacedGrid": ...

    def surprise_maps(self, planes: BitPlanes, num_threads: int) -> npt.NDArray[np.float64]: ...
    def explain(self, place: "Place", node: int, states: npt.NDArray[np.uint8], num_threads: int) -> "Evidence": ...


class Layers(Protocol):
    """What it asks of several layers."""

    scales: dict[str, tuple[float, ...]]

    @property
    def networks(self) -> Sequence[Distribution]: ...
    @property
    def geometries(self) -> Sequence[Geometry]: ...


def on_off(state: int | None) -> str:
    return "on" if state else "off"


@dataclass(frozen=True)
class Place:
    """A node of an image, and how much it surprises there.

    Attributes
    ----------
    layer : int
        0 are the pixels.
    channel, row, column : int
        Of the node in its layer.
    field : (top, left, size)
        Receptive field: the square of pixels that the node is a function of.
    state : int
        0 or 1 in the image.
    surprise : float
        -log p - entropy of the node given its parents, nats.
    contribution : float
        The same times the factor of its layer: its part in the image's combined surprise, by which nodes are ranked.
    thresholds : tuple of float
        Of all channels of the pixels, as a share of full scale.
    """

    layer: int
    channel: int
    row: int
    column: int
    field: tuple[int, int, int]
    state: int
    surprise: float
    contribution: float
    thresholds: tuple[float, ...]

    @property
    def threshold(self) -> float | None:
        """Of the channel, where there are several."""
        return self.thresholds[self.channel] if self.layer == 0 and len(self.thresholds) > 1 else None

    def attributes(self) -> dict[str, Any]:
        """What every kind of evidence says of its node, by name."""
        return {own.name: getattr(self, own.name) for own in fields(self) if own.name != "thresholds"}


class Evidence:
    """What speaks at a node for its state; has layer, channel, row, column, field and threshold."""

    layer: int
    channel: int
    row: int
    column: int
    field: tuple[int, int, int]
    threshold: float | None

    def node_name(self) -> str:
        if self.layer == 0:
            above = "" if self.threshold is None else f" above {self.threshold:g}"
            return f"pixel ({self.row}, {self.column}){above}"
        top, left, size = self.field
        return (
            f"layer {self.layer} kernel {self.channel} at ({self.row}, {self.column}), "
            f"pixels ({top}, {left}) to ({top + size - 1}, {left + size - 1})"
        )

    def to_dict(self) -> dict[str, Any]:
        """All attributes as JSON can hold them, and the sentence."""
        raise NotImplementedError


@dataclass(frozen=True)
class NodeSurprise(Evidence):
    """A node of an image, its parents, and how often training saw what the image shows.

    Attributes
    ----------
    layer : int
        0 are the pixels.
    channel, row, column : int
        Of the node in its layer.
    field : (top, left, size)
        Receptive field: the square of pixels that the node is a function of.
    state : int
        0 or 1 in the image.
    surprise : float
        -log p - entropy of the node given its parents, nats.
    contribution : float
        The same times the factor of its layer: its part in the image's combined surprise, by which nodes are ranked.
    probability : float
        p(state | parents) of the model.
    parents : tuple of (Relation, state or None)
        None where the parent lies outside the layer.
    table_row : int
        Row of the node's probability table: bit j is the state of parent j.
    count, row_count, n_images : int
        Training images with this state in this row; in this row; in all.
    threshold : float or None
        Of the channel, as a share of full scale, where there are several.
    """

    layer: int
    channel: int
    row: int
    column: int
    field: tuple[int, int, int]
    state: int
    surprise: float
    contribution: float
    probability: float
    parents: tuple[tuple[Relation, int | None], ...]
    table_row: int
    count: int
    row_count: int
    n_images: int
    threshold: float | None = None

    def __str__(self) -> str:
        known = " ".join(f"{self._parent_name(r)}={state}" for r, state in self.parents if state is not None)
        given = f" with parents {known}" if known else ""
        return (
            f"{self.node_name()} is {on_off(self.state)}: {self.surprise:z.1f} nats, "
            f"{self.count:,} of {self.row_count:,} training images{given} (row {self.table_row})"
        )

    def _parent_name(self, relation: Relation) -> str:
        if self.layer:
            return f"({relation.dy},{relation.dx})k{relation.parent}"
        # the one other channel that a pixel looks at; see cbn.cpd.grid.pixel_layer
        return "lower threshold" if relation.parent != self.channel else f"({relation.dy},{relation.dx})"

    def to_dict(self) -> dict[str, Any]:
        """All attributes as JSON can hold them, parents as [parent channel, dy, dx, state], and the sentence."""
        parents = [[r.parent, r.dy, r.dx, state] for r, state in self.parents]
        return {"sentence": str(self), **asdict(self), "field": list(self.field), "parents": parents}


@dataclass(frozen=True)
class TreeSurprise(Evidence):
    """A node of an image whose CPD is a tree or boosted trees, and the earlier nodes that make it surprising.

    Attributes
    ----------
    layer, channel, row, column, field, state, surprise, contribution, probability, threshold
        As in NodeSurprise.
    given : tuple of (channel, row, column, state, influence)
        A tree: the nodes that decide on the way from the root to the leaf; influence is None. Boosted trees: up to
        three nodes whose other state would change the log-odds most, largest first. The influence is the log-odds with
        that one state flipped, less the log-odds as they are, in nats; nodes of no influence are left out.
    count, leaf_count : int or None
        Training images at that leaf in this state, and at that leaf; None for boosted trees, which have no counts.
    n_images : int
        Training images.
    log_odds : float or None
        log p(1) / p(0) given the earlier nodes, of boosted trees. None for trees, and where the next lower threshold of
        a grey pixel is off: 0 is certain then, and that node is ``given``, without influence.
    thresholds : tuple of float
        Of all channels of the pixels, as a share of full scale.
    """

    layer: int
    channel: int
    row: int
    column: int
    field: tuple[int, int, int]
    state: int
    surprise: float
    contribution: float
    probability: float
    given: tuple[tuple[int, int, int, int, float | None], ...]
    count: int | None
    leaf_count: int | None
    n_images: int
    log_odds: float | None
    thresholds: tuple[float, ...]
    threshold: float | None = None

    def __str__(self) -> str:
        names = [self._given_name(*entry) for entry in self.given]
        head = f"{self.node_name()} is {on_off(self.state)}: {self.surprise:z.1f} nats, "
        if self.count is None:
            if self.log_odds is None:
                return f"{head}probability {self.probability:.2g} with {', '.join(names)}"
            because = f"; flipped, these change it most: {', '.join(names)}" if names else ""
            return f"{head}probability {self.probability:.2g}, log-odds {self.log_odds:z.1f}{because}"
        given = f" with {', '.join(names)}" if names else ""
        return f"{head}{self.count:,} of {self.leaf_count:,} training images{given}"

    def _given_name(self, channel: int, row: int, column: int, state: int, influence: float | None) -> str:
        name = f"({row}, {column})"
        if self.layer:
            name += f" kernel {channel}"
        elif self.threshold is not None:
            name += f" above {self.thresholds[channel]:g}"
        name += f" {on_off(state)}"
        return name if influence is None else f"{name} ({influence:+.2g})"

    def to_dict(self) -> dict[str, Any]:
        """All attributes as JSON can hold them, and the sentence."""
        lists = {"field": list(self.field), "given": [list(g) for g in self.given], "thresholds": list(self.thresholds)}
        return {"sentence": str(self), **asdict(self), **lists}


def explain_image(
    network: Layers, planes: Sequence[BitPlanes], n: int, thresholds: tuple[float, ...], num_threads: int
) -> list[Evidence]:
    """The n nodes that contribute most to the surprise of one image.

    Parameters
    ----------
    network : cbn.layers.stack.LayeredNetwork
    planes : list of BitPlanes
        Of every layer for the one image.
    n : int
    thresholds : tuple of float
    num_threads : int

    Returns
    -------
    list of NodeSurprise or TreeSurprise
    """
    found = []
    for number, (own, bits) in enumerate(zip(network.networks, planes)):
        nodes = own.surprise_maps(bits, num_threads)[0]
        share = network.scales["surprise"][number] * nodes
        found += [(-share[node], number, int(node), nodes[node]) for node in np.argsort(-share, kind="stable")[:n]]
    states: dict[int, Any] = {}
    result = []
    for _, number, node, surprise in sorted(found)[:n]:
        if number not in states:
            states[number] = planes[number].states(num_threads)[0]
        own, geometry = network.networks[number], network.geometries[number]
        channel, row, column = own.layer.place(node)
        place = Place(
            number, channel, row, column, (row * geometry.stride, column * geometry.stride, geometry.receptive_field),
            int(states[number][node]), float(surprise), network.scales["surprise"][number] * float(surprise),
            tuple(thresholds),
        )  # fmt: skip
        result.append(own.explain(place, node, states[number], num_threads))
    return result
