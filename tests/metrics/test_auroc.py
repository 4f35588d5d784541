# SPDX-License-Identifier: BSD-3-Clause
"""The area under the ROC curve is that of scikit-learn, ties and infinities included."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cbn import DataError
from cbn.metrics.bootstrap import auroc


@pytest.mark.parametrize("kind", ["real", "ties", "one value", "infinite"])
@pytest.mark.parametrize("seed", range(3))
def test_equals_scikit_learn(kind, seed):
    rng = np.random.default_rng(seed)
    normal = rng.random(300) < rng.uniform(0.05, 0.95)
    normal[:2] = True, False
    scores = rng.normal(normal.astype(float), 1.5)
    if kind == "ties":
        scores = np.round(scores)
    elif kind == "one value":
        scores = np.zeros(300)
    expected = roc_auc_score(normal, scores)
    if kind == "infinite":
        scores[::7] = -np.inf
        expected = roc_auc_score(normal, np.where(np.isinf(scores), -1e9, scores))
    assert auroc(normal, scores) == pytest.approx(expected, abs=1e-12)


def test_needs_both_kinds():
    with pytest.raises(DataError, match="some of both"):
        auroc([True, True], [1.0, 2.0])
