# SPDX-License-Identifier: BSD-3-Clause
"""The Bayesian information criterion, thesis eq. 3."""

import numpy as np
import numpy.typing as npt

from .arguments import Counts, Layer, Nodes, Planes, Reals, Relation
from .bitplane import unpack_planes
from .counts import count
from .layer import parents_of, possible_rows, row_index, table_of
from .log import log


def bic(layer: Layer, counts: Counts) -> tuple[float, int, float]:
    """(log-likelihood at maximum likelihood in nats, number of free parameters, BIC)."""
    log_likelihood, n_parameters = 0.0, 0
    for node in range(layer.n_nodes):
        table = counts[table_of(layer, node)].astype(float)
        occurs, can_be_one = possible_rows(layer, node)
        n_parameters += int((occurs & can_be_one).sum())
        n = table.sum(axis=1, keepdims=True)
        seen = table > 0
        log_likelihood += (table[seen] * np.log((table / np.maximum(n, 1))[seen])).sum()
    n_images = int(counts[table_of(layer, 0)].sum())
    return log_likelihood, n_parameters, n_parameters * np.log(n_images) - 2 * log_likelihood


def relation_gains(
    layer: Layer,
    planes: Planes,
    n_images: int,
    candidates: Nodes,
    bic_change: Reals,
    num_threads: int = 1,
    kept: tuple[npt.NDArray[np.int32], bool] | None = None,
) -> None:
    """bic_change[i] = BIC with the relation candidates[i] = (child, parent, dy, dx) minus BIC without; by refitting.

    Kept tables are written, never read.
    """

    def value(relations: tuple[Relation, ...]) -> float:
        trial = Layer(layer.channels, layer.height, layer.width, relations)
        counts = np.empty((trial.n_rows, 2), np.int64)
        count(trial, planes, n_images, counts)
        return bic(trial, counts)[2]

    now = value(layer.relations)
    for i, (child, parent, dy, dx) in enumerate(candidates.tolist()):
        bic_change[i] = value((*layer.relations, Relation(child, parent, dy, dx))) - now
    if kept is not None:
        tables = np.empty(relation_counts_size(layer, candidates), np.int64)
        relation_counts(layer, planes, n_images, candidates, tables)
        for i, node, parent in _places(layer, candidates):
            size = 2 * (table_of(layer, node).stop - table_of(layer, node).start)
            own, tables = tables[:size], tables[size:]
            # rows that cannot be: of absent parents
            own = own.reshape(-1, 2)[possible_rows(layer, node)[0]].ravel()
            if parent >= 0 and own.size <= kept[0].shape[2]:
                kept[0][i, node % layer.n_positions, : own.size] = own


def _places(layer: Layer, candidates: Nodes) -> list[tuple[int, int, int]]:
    """(candidate, child node, parent node or -1) in the order of the tables of relation_counts."""
    found = []
    for i, (child, parent, dy, dx) in enumerate(candidates.tolist()):
        for row in range(layer.height):
            for column in range(layer.width):
                inside = 0 <= row + dy < layer.height and 0 <= column + dx < layer.width
                found.append((
                    i, (child * layer.height + row) * layer.width + column,
                    (parent * layer.height + row + dy) * layer.width + column + dx if inside else -1,
                ))  # fmt: skip
    return found


def relation_counts_size(layer: Layer, candidates: Nodes) -> int:
    """Entries of the tables of relation_counts."""
    tables = [table_of(layer, node) for _, node, _ in _places(layer, candidates)]
    return sum(2 * (table.stop - table.start) for table in tables)


def relation_counts(
    layer: Layer, planes: Planes, n_images: int, candidates: Nodes, part: Counts, num_threads: int = 1
) -> None:
    """For every candidate and position the child's table of the images in which the candidate parent is 1."""
    states = np.empty((n_images, layer.n_nodes), np.uint8)
    unpack_planes(planes, states)
    begin = 0
    for _, node, parent in _places(layer, candidates):
        table = table_of(layer, node)
        size = 2 * (table.stop - table.start)
        index = 2 * row_index(layer, node, states) + states[:, node]
        there = states[:, parent] == 1 if parent >= 0 else np.zeros(n_images, bool)
        part[begin : begin + size] = np.bincount(index[there], minlength=size)
        begin += size


def relation_gains_of_counts(
    layer: Layer, counts: Counts, candidates: Nodes, part: Counts, bic_change: Reals, num_threads: int = 1
) -> None:
    """relation_gains of the sums of counts and relation_counts, term by term in the order of positions."""

    def n_ln_n(n: Counts) -> Reals:
        return np.where(n > 0, n * log(np.maximum(n, 1).astype(float)), 0.0)

    def likelihood(table: Counts) -> Reals:
        return n_ln_n(table[:, 0]) + n_ln_n(table[:, 1]) - n_ln_n(table.sum(axis=1))

    n_images = counts[table_of(layer, 0)].sum()
    bic_change[:] = 0.0
    begin = 0
    for i, node, parent in _places(layer, candidates):
        whole = counts[table_of(layer, node)]
        on = part[begin : begin + whole.size].reshape(-1, 2)
        begin += whole.size
        if (on < 0).any() or (on > whole).any():
            raise ValueError("more images than there are in all")
        if parent >= 0:
            gained = 0.0
            for row in likelihood(whole - on) + likelihood(on) - likelihood(whole):
                gained += row
            bic_change[i] += (1 << len(parents_of(layer, node))) * log(np.array([float(n_images)]))[0] - 2 * gained
