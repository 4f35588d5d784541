# SPDX-License-Identifier: BSD-3-Clause
"""More training images from the ones there are: shifted copies."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Scalar = TypeVar("Scalar", bound=np.generic)


def shifted_images(images: npt.NDArray[Scalar], shift: int) -> npt.NDArray[Scalar]:
    """The images and their copies moved by up to ``shift`` pixels; what moves in is 0, what moves out is lost.

    Parameters
    ----------
    images : ndarray, (n, height, width)
    shift : int
        0 returns the images themselves.

    Returns
    -------
    ndarray, (n * (2 shift + 1)^2, height, width) of the same type, the unmoved images first

    Examples
    --------
    >>> shifted_images(np.array([[[1, 2]]]), 1)[:, 0].tolist()
    [[1, 2], [0, 0], [0, 0], [0, 0], [2, 0], [0, 1], [0, 0], [0, 0], [0, 0]]
    """
    if shift == 0:
        return images
    height, width = images.shape[1:]
    moves = [(dy, dx) for dy in range(-shift, shift + 1) for dx in range(-shift, shift + 1)]
    moves.sort(key=lambda move: move != (0, 0))  # a stable sort: the unmoved first
    copies = np.zeros((len(moves), *images.shape), images.dtype)
    for copy, (dy, dx) in zip(copies, moves):
        if abs(dy) < height and abs(dx) < width:
            to = copy[:, max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
            to[:] = images[:, max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)]
    return copies.reshape(-1, height, width)
