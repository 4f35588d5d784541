# SPDX-License-Identifier: BSD-3-Clause
"""From counts to probabilities (thesis eq. 2) and to what each (row, state) contributes to a score."""

import numpy as np

from .arguments import Counts, Layer, Reals
from .layer import possible_rows, table_of

LOG_PROBABILITY, SURPRISE, VARIANCE, NORMALIZED = range(4)
STD_FLOOR = 0.01


def probability_table(
    layer: Layer, counts: Counts, pseudocount: float, probability: Reals, num_threads: int = 1
) -> None:
    """probability[row, state] = (count + pseudocount) / (row sum + 2 pseudocount)."""
    for node in range(layer.n_nodes):
        probability[table_of(layer, node)] = _probabilities(layer, node, counts[table_of(layer, node)], pseudocount)


def _probabilities(layer: Layer, node: int, table: Counts, pseudocount: float) -> Reals:
    p = (table + pseudocount) / (table.sum(axis=1, keepdims=True) + 2 * pseudocount)
    p[~possible_rows(layer, node)[1]] = (1.0, 0.0)  # a required parent is 0
    return p


def value_table(
    layer: Layer,
    counts: Counts,
    pseudocount: float,
    kind: int,
    leave_one_out: bool,
    values: Reals,
    num_threads: int = 1,
) -> None:
    """values[row, state] of a score kind; with leave_one_out from the counts without one image in (row, state)."""
    for node in range(layer.n_nodes):
        table = counts[table_of(layer, node)]
        own = _node_values(layer, node, table, pseudocount, kind)
        if leave_one_out:
            for row, state in np.argwhere(table > 0):
                without = table.copy()
                without[row, state] -= 1
                own[row, state] = _node_values(layer, node, without, pseudocount, kind)[row, state]
        values[table_of(layer, node)] = own


def _node_values(layer: Layer, node: int, table: Counts, pseudocount: float, kind: int) -> Reals:
    """Values of one node's whole table, straight from the definitions."""
    return table_values(_probabilities(layer, node, table, pseudocount), table, kind)


def table_values(p: Reals, table: Counts, kind: int) -> Reals:
    """Values of rows with probabilities p (rows, 2) and counts table (rows, 2)."""
    with np.errstate(divide="ignore"):
        log_p = np.log(p)
    finite = np.where(p > 0, log_p, 0.0)  # 0 log 0 = 0
    entropy = -(p * finite).sum(axis=1, keepdims=True)
    if kind == LOG_PROBABILITY:
        return log_p
    if kind == SURPRISE:
        return -log_p - entropy
    if kind == VARIANCE:
        variance = (p * (-finite - entropy) ** 2).sum(axis=1, keepdims=True)
        return np.repeat(variance, 2, axis=1)
    n = table.sum()
    if n == 0:
        return np.zeros_like(p)
    mean = (table * -finite).sum() / n
    deviation = np.sqrt((table * (-finite - mean) ** 2).sum() / n)
    return np.abs(-log_p - mean) / max(deviation, STD_FLOOR)
