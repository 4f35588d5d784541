# SPDX-License-Identifier: BSD-3-Clause
"""Growth of the trees of all nodes of images that are in one place."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ..bits.planes import BitPlanes
from .candidates import Candidates
from .grid import Grid
from .rounds import Grown


def grow_all(
    engine: Any, grid: Grid, planes: BitPlanes, candidate: Candidates, required: npt.NDArray[np.int32] | None,
    penalty: float, max_leaves: int, min_leaf: int, num_threads: int,
) -> Grown:  # fmt: skip
    """Vertices of every node's tree, and of all of them splits and counts; arguments as for :func:`cbn.cpd.tree.grow`."""
    n_nodes, capacity = planes.n_nodes, 2 * max_leaves - 1
    n_vertices = np.empty(n_nodes, np.int32)
    split, child = (np.empty((n_nodes, capacity), np.int32) for _ in range(2))
    counts = np.empty((n_nodes, capacity, 2), np.int64)
    engine.tree_grow(
        (grid.channels, grid.height, grid.width), planes.words, planes.n_images, (*candidate, required),
        (penalty, max_leaves, min_leaf), (n_vertices, split, child, counts), num_threads,
    )  # fmt: skip
    used = np.arange(capacity) < n_vertices[:, None]
    return n_vertices, split[used], counts[used]
