# SPDX-License-Identifier: BSD-3-Clause
"""Random transitions from one layer to the next."""

import numpy as np

from cbn.layers.geometry import Transition
from reference.gradient import WEIGHT_ONE


def random_transition(rng, in_channels, height, width, kernels, size, pool):
    weights = rng.normal(size=(kernels, in_channels, size, size)) * WEIGHT_ONE / size
    bias = rng.normal(size=kernels) * WEIGHT_ONE / 2
    return Transition(in_channels, height, width, weights.astype(np.int32), bias.astype(np.int32), pool)
