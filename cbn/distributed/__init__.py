# SPDX-License-Identifier: BSD-3-Clause
"""Images that are in the processes of a dask.distributed cluster; docs/DISTRIBUTED.md says how it works and what it costs.

The only room that imports dask, and only where a dask array is given.
"""

from collections.abc import Callable
from typing import Any

from .._validation import is_dask
from ..bits.shards import Source
from ..exceptions import DataError
from .traffic import Traffic

__all__ = ["is_dask", "lazily", "source_of"]


def source_of(X: Any, together: int | None = None) -> tuple[Source, Traffic]:
    """The blocks of a dask array, and what will have been sent; see :class:`cbn.distributed.shards.DaskSource`.

    Raises
    ------
    DataError
        No client is connected, or dask.distributed is not installed.
    """
    try:
        from .shards import DaskSource
    except ImportError:
        raise DataError(
            "X: a dask array, and dask.distributed is not installed: pip install 'cbn[distributed]', or give X.compute()"
        ) from None
    source = DaskSource(X) if together is None else DaskSource(X, together=together)
    return source, source.cluster.traffic


def lazily(function: Callable[..., Any], fitted: Any, X: Any, *arguments: Any) -> Any:
    """The dask array of scores that a function of (fitted, images, *arguments) gives; see :mod:`cbn.distributed.blocks`."""
    from .blocks import by_blocks

    return by_blocks(function, fitted, X, *arguments)
