# SPDX-License-Identifier: BSD-3-Clause
"""The nodes that may decide for a node in a tree, and those that must."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .grid import Grid

# Lists of no more entries are kept, because the networks of a fit's folds ask for the same: 4 MiB each, and their begins.
KEPT = 2**20

Candidates = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]  # begins of the nodes, and the nodes that may decide


def candidates(grid: Grid, distance: int, reach: int) -> Candidates:
    """The nodes that may decide: earlier ones at a Chebyshev distance of ``distance`` to ``reach`` positions.

    Parameters
    ----------
    grid : Grid
    distance : int
        Smallest distance at which two nodes see different pixels; 1 for the pixels.
    reach : int

    Returns
    -------
    begin : ndarray, (nodes + 1,) int64
    candidate : ndarray, int32
        The nodes that may decide for node v are ``candidate[begin[v] : begin[v + 1]]``, nearest first.
    """
    if most_candidates(grid, reach) <= KEPT:
        return _kept(grid.grid(), distance, reach)
    return _listed(grid, distance, reach)


@lru_cache(maxsize=4)
def _kept(grid: Grid, distance: int, reach: int) -> Candidates:
    begin, candidate = _listed(grid, distance, reach)
    begin.flags.writeable = candidate.flags.writeable = False  # whoever asks gets these very arrays
    return begin, candidate


def _listed(grid: Grid, distance: int, reach: int) -> Candidates:
    channels, height, width = grid.channels, grid.height, grid.width
    offsets = sorted(
        (max(-dy, abs(dx)), -dy, abs(dx), dy, dx)
        for dy in range(-min(reach, height - 1), 1)
        for dx in range(-min(reach, width - 1), min(reach, width - 1) + 1)
        if max(-dy, abs(dx)) >= distance and (dy, dx) < (0, 0)
    )
    dy, dx = np.array([offset[3:] for offset in offsets], np.int32).reshape(-1, 2).T
    y, x = np.divmod(np.arange(height * width, dtype=np.int32), width)
    other_y, other_x = y[:, None] + dy, x[:, None] + dx
    inside = (other_y >= 0) & (other_x >= 0) & (other_x < width)
    positions = (other_y * width + other_x)[inside]
    own = positions[:, None] + np.arange(channels, dtype=np.int32) * (height * width)
    counts = channels * np.count_nonzero(inside, axis=1)
    begin = np.concatenate([[0], np.cumsum(np.tile(counts, channels))]).astype(np.int64)
    return begin, np.tile(own.ravel(), channels)


def asking_by_split(
    split: npt.NDArray[np.int32], first: npt.NDArray[np.int64], nodes: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """(nodes,) uint8: whether a node has a vertex that splits on one of the given nodes; first: its first vertex."""
    hits = np.concatenate([[0], np.cumsum((split >= 0) & (nodes[split] != 0))])
    return (hits[first[1:]] > hits[first[:-1]]).astype(np.uint8)


# Entries of the list of candidates beyond which growth is refused: 4 GiB.
MAX_CANDIDATES = 2**30


def most_candidates(grid: Grid, reach: int) -> int:
    """Entries of the list, were no node at a border."""
    rows, columns = min(reach, grid.height - 1), min(reach, grid.width - 1)
    return grid.n_nodes * grid.channels * (rows * (2 * columns + 1) + columns)


def check_candidates_size(grid: Grid, reach: int) -> None:
    """Refuses, before it is allocated, a list of candidates that takes too much memory. Raises ValueError."""
    n_candidates = most_candidates(grid, reach)
    if n_candidates > MAX_CANDIDATES:
        raise ValueError(
            f"reach: {reach} gives {n_candidates:,} pairs of nodes ({n_candidates / 2**28:.1f} GiB) in a layer of "
            f"{grid} nodes, more than {MAX_CANDIDATES:,}; reduce it"
        )


def required_nodes(grid: Grid, pixels: bool) -> npt.NDArray[np.int32] | None:
    """The node without which each node is never 1, None where no node has one.

    That of the next lower threshold, for pixels with several; kernels of hidden layers require none.
    """
    if not pixels or grid.channels == 1:
        return None
    nodes = np.arange(grid.n_nodes, dtype=np.int32) - grid.n_positions
    return np.maximum(nodes, -1).astype(np.int32)


def no_required(grid: Grid, required: npt.NDArray[np.int32] | None) -> npt.NDArray[np.int32]:
    """(nodes,) int32, -1 for every node where none is required."""
    return np.full(grid.n_nodes, -1, np.int32) if required is None else required


def check_distance(
    grid: Grid,
    split: npt.NDArray[np.int32],
    required: npt.NDArray[np.int32],
    first: npt.NDArray[np.int64],
    distance: int,
) -> None:
    """Refuses splits by which a node decides for another that sees one of its pixels, but for the required ones.

    ``first`` (nodes + 1,) are the first vertices of the nodes.
    """
    node = np.repeat(np.arange(grid.n_nodes), np.diff(first))
    inner = split >= 0
    node, decides = node[inner], split[inner]
    (y, x), (other_y, other_x) = (np.divmod(n % grid.n_positions, grid.width) for n in (node, decides))
    near = np.maximum(abs(y - other_y), abs(x - other_x)) < distance
    if (near & (decides != required[node])).any():
        raise ValueError(f"nodes less than {distance} positions apart decide for each other")
