# SPDX-License-Identifier: BSD-3-Clause
"""Scores of the blocks of a dask array, computed where and when dask does it; no client is needed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import dask
import dask.array
import numpy as np


def by_blocks(function: Callable[..., Any], fitted: Any, X: Any, *arguments: Any) -> Any:
    """The dask array (n,) of what a function of (fitted, images, *arguments) gives of every block of images.

    Parameters
    ----------
    function : callable
        Of a module, so that it can be sent.
    fitted : dataclass with ``n_jobs``
        Sent once; every block takes one thread of the engine, so that there are as many as dask has.
    X : dask.array.Array, (n, ...)
        Axes but the first become one block.
    """
    X = X.rechunk(dict.fromkeys(range(1, X.ndim), -1))
    model = dask.delayed(replace(fitted, n_jobs=1), pure=False)
    return dask.array.map_blocks(
        _scored, X, function, model, arguments,
        dtype=np.float64, chunks=X.chunks[:1], drop_axis=list(range(1, X.ndim)), meta=np.empty(0),
    )  # fmt: skip


def _scored(images: Any, function: Callable[..., Any], fitted: Any, arguments: tuple[Any, ...]) -> Any:
    return function(fitted, images, *arguments) if len(images) else np.empty(0)
