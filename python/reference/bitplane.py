# SPDX-License-Identifier: BSD-3-Clause
"""Images to bit-planes and back."""

import numpy as np

from .arguments import Planes, States


def plane_words(n_images: int) -> int:
    return -(-n_images // 64)


def pack_planes(images: States, cutoff: int, planes: Planes, num_threads: int = 1) -> None:
    """planes[p] bit i = images[i, p] > cutoff; images (n_images, n_pixels) uint8, planes (n_pixels, words) uint64."""
    packed = np.packbits((images > cutoff).T, axis=1, bitorder="little")
    padded = np.zeros((images.shape[1], 8 * plane_words(len(images))), np.uint8)
    padded[:, : packed.shape[1]] = packed
    planes[:] = padded.view("<u8")


def unpack_planes(planes: Planes, states: States, num_threads: int = 1) -> None:
    """states[i, v] = bit i of planes[v]; states (n_images, n_nodes) uint8."""
    as_bytes = np.ascontiguousarray(planes).astype("<u8").view(np.uint8)
    states[:] = np.unpackbits(as_bytes, axis=1, bitorder="little", count=len(states)).T


def planes_select(planes: Planes, n_images: int, keep: States, out: Planes, num_threads: int = 1) -> None:
    """Planes of the images with keep[i] != 0, in their order; keep (n_images,), out (n_nodes, their words)."""
    states = np.empty((n_images, len(planes)), np.uint8)
    unpack_planes(planes, states)
    if not keep.any() or out.shape[1] != plane_words(int(np.count_nonzero(keep))):
        raise ValueError("out: not the words of the images that are kept")
    pack_planes(states[keep != 0], 0, out)
