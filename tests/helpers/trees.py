# SPDX-License-Identifier: BSD-3-Clause
"""Small networks of trees and boosted trees."""

import numpy as np

from helpers.images import blots
from helpers.networks import Boosting, Network

BITS = blots(150)
X = (BITS * np.random.default_rng(0).integers(50, 256, BITS.shape)).astype(np.uint8)
SMALL = {"random_state": 0, "n_jobs": 1}
QUICK = {
    "tree": {"reach": 3, "folds": 2}, "boosted": {"reach": 3, "boosting": Boosting(rounds=4, max_leaves=4, rate=0.5)},
    "best": {"hidden": ((3, 3, 1), (2, 2, 1)), "reach": 4},
}  # fmt: skip


def fitted(preset, **arguments):
    return Network(preset, **SMALL | QUICK.get(preset, {}) | arguments).fit(X)
