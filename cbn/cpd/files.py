# SPDX-License-Identifier: BSD-3-Clause
"""What the kinds of CPDs share when they are read from files."""

import numpy as np
import numpy.typing as npt

from ..io.archive import read_array
from .base import Source


def read_begins(source: Source, name: str, n: int, total: int) -> npt.NDArray[np.int64]:
    """(n + 1,) int64 begins of n runs whose lengths are stored and sum to total."""
    name = source.array_name(name)
    sizes = read_array(source.archive, name, np.int32, (n,))
    if (sizes < 0).any() or sizes.sum(dtype=np.int64) != total:
        raise ValueError(f"{name} does not sum to {total}")
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
