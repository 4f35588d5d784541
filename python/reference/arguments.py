# SPDX-License-Identifier: BSD-3-Clause
"""Types of the arguments: the arrays of the engine's boundary, and the shapes of networks."""

import numpy as np
import numpy.typing as npt

from cbn.cpd.boosted import Boosted, BoostedLayer
from cbn.cpd.forest import TiedLayer
from cbn.cpd.grid import Layer, Relation
from cbn.cpd.tree import TreeLayer
from cbn.layers.geometry import Transition

__all__ = [
    "Bits",
    "Boosted",
    "BoostedLayer",
    "Counts",
    "Floats",
    "Layer",
    "Nodes",
    "Planes",
    "Reals",
    "Relation",
    "States",
    "TiedLayer",
    "Transition",
    "TreeLayer",
]

Planes = npt.NDArray[np.uint64]  # 64 images a word
States = npt.NDArray[np.uint8]  # a byte for every node, 0 or 1
Counts = npt.NDArray[np.int64]
Nodes = npt.NDArray[np.int32]
Reals = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating]  # of neural networks: single precision in the engine, double in tests of gradients
Bits = npt.NDArray[np.bool_]
