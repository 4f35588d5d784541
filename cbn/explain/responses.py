# SPDX-License-Identifier: BSD-3-Clause
"""What hidden nodes respond to: the mean pixels below them."""

import numpy as np
import numpy.typing as npt

from .networks import Geometry


def mean_patches(
    images: npt.NDArray[np.uint8], states: npt.NDArray[np.uint8], geometry: Geometry
) -> npt.NDArray[np.float64]:
    """Mean pixels of the receptive fields of nodes that are off, and on.

    Parameters
    ----------
    images : ndarray, (n, height, width) uint8
    states : ndarray, (n, kernels, rows, columns) uint8
        Of the nodes of a layer.
    geometry : cbn.layers.geometry.LayerGeometry
        Of that layer.

    Returns
    -------
    ndarray, (kernels, 2, field, field) float64
        Second index: state. NaN where no node is in it.

    Examples
    --------
    >>> from cbn.layers.geometry import LayerGeometry
    >>> images = np.array([[[0, 1], [0, 1]], [[1, 1], [1, 1]]], np.uint8)
    >>> on_in_the_first = np.array([1, 0], np.uint8).reshape(2, 1, 1, 1)
    >>> mean_patches(images, on_in_the_first, LayerGeometry(1, 1, 1, receptive_field=2, stride=1))[0, 1].tolist()
    [[0.0, 1.0], [0.0, 1.0]]
    """
    n, kernels, rows, columns = states.shape
    field, stride = geometry.receptive_field, geometry.stride
    sums, n_nodes = np.zeros((kernels, 2, field, field)), np.zeros((kernels, 2))
    for y in range(rows):
        for x in range(columns):
            patches = images[:, y * stride : y * stride + field, x * stride : x * stride + field].reshape(n, -1)
            on = states[:, :, y, x].T.astype(np.float64)
            ones = (on @ patches).reshape(kernels, field, field)  # whole numbers below 2^53: exact in any order
            sums[:, 1] += ones
            sums[:, 0] += patches.sum(axis=0, dtype=np.int64).reshape(field, field) - ones
            n_nodes[:, 1] += on.sum(axis=1)
            n_nodes[:, 0] += n - on.sum(axis=1)
    known = n_nodes > 0
    return np.where(known, 1.0, np.nan)[:, :, None, None] * sums / np.maximum(n_nodes, 1)[:, :, None, None]
