# SPDX-License-Identifier: BSD-3-Clause
"""The Bayesian information criterion, thesis eq. 3."""

import numpy as np

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
