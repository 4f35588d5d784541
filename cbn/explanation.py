# SPDX-License-Identifier: BSD-3-Clause
"""Which nodes of an image surprise most, and what training saw there."""

from dataclasses import asdict, dataclass

import numpy as np

from . import _engine


@dataclass(frozen=True)
class NodeSurprise:
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
    field: tuple
    state: int
    surprise: float
    contribution: float
    probability: float
    parents: tuple
    table_row: int
    count: int
    row_count: int
    n_images: int
    threshold: float | None = None

    def __str__(self):
        if self.layer == 0:
            name = f"pixel ({self.row}, {self.column})"
            if self.threshold is not None:
                name += f" above {self.threshold:g}"
        else:
            top, left, size = self.field
            name = (
                f"layer {self.layer} kernel {self.channel} at ({self.row}, {self.column}), "
                f"pixels ({top}, {left}) to ({top + size - 1}, {left + size - 1})"
            )
        known = " ".join(f"{self._parent_name(r)}={state}" for r, state in self.parents if state is not None)
        given = f" with parents {known}" if known else ""
        return (
            f"{name} is {'on' if self.state else 'off'}: {self.surprise:z.1f} nats, "
            f"{self.count:,} of {self.row_count:,} training images{given} (row {self.table_row})"
        )

    def _parent_name(self, relation):
        if self.layer:
            return f"({relation.dy},{relation.dx})k{relation.parent}"
        # the one other channel that a pixel looks at; see cbn.architecture.pixel_layer
        return "lower threshold" if relation.parent != self.channel else f"({relation.dy},{relation.dx})"

    def to_dict(self):
        """All attributes as JSON can hold them, parents as [parent channel, dy, dx, state], and the sentence."""
        parents = [[r.parent, r.dy, r.dx, state] for r, state in self.parents]
        return {"sentence": str(self), **asdict(self), "field": list(self.field), "parents": parents}


def explain_image(network, planes, n, thresholds, num_threads):
    """The n nodes that contribute most to the surprise of one image: list of NodeSurprise.

    Parameters
    ----------
    network : LayeredNetwork
    planes : list of ndarray
        Bit-planes of every layer for the one image.
    n : int
    thresholds : tuple of float
    num_threads : int
    """
    found = []
    for number, (counted, own) in enumerate(zip(network.networks, planes)):
        nodes = counted.surprise_maps(own, 1, num_threads)[0]
        share = network.scales["surprise"][number] * nodes
        found += [(-share[node], number, int(node), nodes[node]) for node in np.argsort(-share, kind="stable")[:n]]
    states = {}
    result = []
    for _, number, node, surprise in sorted(found)[:n]:
        if number not in states:
            states[number] = np.empty((1, len(planes[number])), np.uint8)
            _engine.unpack_planes(planes[number], states[number], num_threads)
        result.append(_describe(network, number, node, float(surprise), states[number][0], thresholds, num_threads))
    return result


def _describe(network, number, node, surprise, states, thresholds, num_threads):
    counted, geometry = network.networks[number], network.geometries[number]
    layer = counted.layer
    channel, inside = divmod(node, layer.n_positions)
    row, column = divmod(inside, layer.width)
    parents, table_row = [], 0
    for bit, relation in enumerate(layer.parents(channel)):
        y, x = row + relation.dy, column + relation.dx
        state = None
        if 0 <= y < layer.height and 0 <= x < layer.width:
            state = int(states[(relation.parent * layer.height + y) * layer.width + x])
            table_row |= state << bit
        parents.append((relation, state))
    at = layer.table_begin(node) + table_row
    state = int(states[node])
    count, row_count = int(counted.counts[at, state]), int(counted.counts[at].sum())
    probability = float(counted.probabilities(num_threads)[at, state])
    contribution = network.scales["surprise"][number] * surprise
    first = layer.table_begin(node)
    n_images = int(counted.counts[first : first + (1 << len(parents))].sum())
    field = row * geometry.stride, column * geometry.stride, geometry.receptive_field
    threshold = thresholds[channel] if number == 0 and len(thresholds) > 1 else None
    return NodeSurprise(
        number, channel, row, column, field, state, surprise, contribution, probability, tuple(parents), table_row,
        count, row_count, n_images, threshold,
    )  # fmt: skip
