# SPDX-License-Identifier: BSD-3-Clause
"""Geometry of a layer, node by node."""

import numpy as np

from .arguments import Bits, Counts, Layer, States


def parents_of(layer: Layer, node: int) -> list[tuple[int, int]]:
    """Parent nodes of a node: list of (row bit, node index), absent ones (outside the layer) left out."""
    channel, inside = divmod(node, layer.n_positions)
    row, column = divmod(inside, layer.width)
    found = []
    for bit, r in enumerate(layer.parents(channel)):
        y, x = row + r.dy, column + r.dx
        if 0 <= y < layer.height and 0 <= x < layer.width:
            found.append((bit, (r.parent * layer.height + y) * layer.width + x))
    return found


def children_of(layer: Layer, node: int) -> list[tuple[int, int]]:
    """Children of a node: list of (child node, row bit that the node is), in relation order."""
    channel, inside = divmod(node, layer.n_positions)
    row, column = divmod(inside, layer.width)
    found = []
    for child in range(layer.channels):
        for bit, r in enumerate(layer.parents(child)):
            y, x = row - r.dy, column - r.dx
            if r.parent == channel and 0 <= y < layer.height and 0 <= x < layer.width:
                found.append(((child * layer.height + y) * layer.width + x, bit))
    return found


def table_of(layer: Layer, node: int) -> slice:
    """Slice of the node's table rows."""
    begin = layer.table_begin(node)
    return slice(begin, begin + (1 << len(layer.parents(node // layer.n_positions))))


def possible_rows(layer: Layer, node: int) -> tuple[Bits, Bits]:
    """Two boolean masks over the node's rows: rows that can occur, rows in which state 1 can occur."""
    rows = np.arange(1 << len(layer.parents(node // layer.n_positions)))
    present = sum(1 << bit for bit, _ in parents_of(layer, node))
    relations = layer.parents(node // layer.n_positions)
    required = sum(1 << bit for bit, r in enumerate(relations) if r.required)
    return rows & ~present == 0, rows & required == required


def row_index(layer: Layer, node: int, states: States) -> Counts:
    """Row of the node's table in each image; states (n_images, n_nodes) of 0 and 1."""
    row = np.zeros(len(states), np.int64)
    for bit, parent in parents_of(layer, node):
        row |= states[:, parent].astype(np.int64) << bit
    return row
