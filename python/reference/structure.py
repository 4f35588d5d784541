# SPDX-License-Identifier: BSD-3-Clause
"""The Bayesian information criterion, thesis eq. 3."""

import numpy as np

from cbn.cpd.grid import Layer, Relation

from .counts import count
from .layer import possible_rows, table_of


def bic(layer, counts):
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


def relation_gains(layer, planes, n_images, candidates, bic_change, num_threads=1):
    """bic_change[i] = BIC with the relation candidates[i] = (child, parent, dy, dx) minus BIC without; by refitting."""

    def value(relations):
        trial = Layer(layer.channels, layer.height, layer.width, relations)
        counts = np.empty((trial.n_rows, 2), np.int64)
        count(trial, planes, n_images, counts)
        return bic(trial, counts)[2]

    now = value(layer.relations)
    for i, candidate in enumerate(candidates):
        bic_change[i] = value((*layer.relations, Relation(*(int(v) for v in candidate)))) - now
