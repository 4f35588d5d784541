# SPDX-License-Identifier: BSD-3-Clause
"""Images that are in the processes of a dask.distributed cluster; docs/DISTRIBUTED.md says how it works and what it costs.

The only room that imports dask, and only where a dask array is given.
"""

from collections.abc import Callable
from typing import Any


def is_dask(X: Any) -> bool:
    """Whether something is a dask array."""
    return hasattr(X, "__dask_graph__") and hasattr(X, "chunks")


def lazily(function: Callable[..., Any], fitted: Any, X: Any, *arguments: Any) -> Any:
    """The dask array of scores that a function of (fitted, images, *arguments) gives; see :mod:`cbn.distributed.blocks`."""
    from .blocks import by_blocks

    return by_blocks(function, fitted, X, *arguments)
