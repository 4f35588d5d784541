# SPDX-License-Identifier: BSD-3-Clause
"""The Bayesian information criterion, thesis eq. 3."""

import numpy as np

from .arguments import Counts, Layer, Nodes, Planes, Reals, Relation
from .counts import count
from .layer import possible_rows, table_of


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
    layer: Layer, planes: Planes, n_images: int, candidates: Nodes, bic_change: Reals, num_threads: int = 1
) -> None:
    """bic_change[i] = BIC with the relation candidates[i] = (child, parent, dy, dx) minus BIC without; by refitting."""

    def value(relations: tuple[Relation, ...]) -> float:
        trial = Layer(layer.channels, layer.height, layer.width, relations)
        counts = np.empty((trial.n_rows, 2), np.int64)
        count(trial, planes, n_images, counts)
        return bic(trial, counts)[2]

    now = value(layer.relations)
    for i, (child, parent, dy, dx) in enumerate(candidates.tolist()):
        bic_change[i] = value((*layer.relations, Relation(child, parent, dy, dx))) - now
