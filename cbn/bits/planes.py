# SPDX-License-Identifier: BSD-3-Clause
"""Bit-planes: what images are once they are binarized, and the one thing that travels through fits and scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .. import _engine


@dataclass(frozen=True, eq=False)
class BitPlanes:
    """The states of binary nodes in many images: a bit for every node and image.

    Attributes
    ----------
    words : ndarray, (nodes, words) uint64
        Bit i % 64 of ``words[node, i // 64]`` is the node's state in image i; bits beyond the last image are 0.
    n_images : int

    Examples
    --------
    >>> planes = BitPlanes.of_states(np.array([[0, 1], [1, 1], [0, 1]], np.uint8), 1)
    >>> planes.words.tolist(), planes.ones().tolist()
    ([[2], [7]], [1, 3])
    """

    words: npt.NDArray[np.uint64]
    n_images: int

    @classmethod
    def empty(cls, n_nodes: int, n_images: int) -> "BitPlanes":
        """Room for the states of so many nodes, to be filled by the engine."""
        return cls(np.empty((n_nodes, _engine.plane_words(n_images)), np.uint64), n_images)

    @classmethod
    def of_states(cls, states: npt.NDArray[np.uint8], num_threads: int) -> "BitPlanes":
        """From one byte per image and node: (n_images, nodes) uint8 of 0 and 1."""
        planes = cls.empty(states.shape[1], len(states))
        _engine.pack_planes(np.ascontiguousarray(states), 0, planes.words, num_threads)
        return planes

    @property
    def n_nodes(self) -> int:
        return len(self.words)

    def states(self, num_threads: int) -> npt.NDArray[np.uint8]:
        """The same bits as one byte per image and node: (n_images, nodes) uint8."""
        states = np.empty((self.n_images, self.n_nodes), np.uint8)
        _engine.unpack_planes(self.words, states, num_threads)
        return states

    def select(self, keep: npt.NDArray[np.bool_], num_threads: int) -> "BitPlanes":
        """The planes of the images for which ``keep`` (n_images,) is true, in their order."""
        selected = BitPlanes.empty(self.n_nodes, int(np.count_nonzero(keep)))
        _engine.planes_select(self.words, self.n_images, keep.astype(np.uint8), selected.words, num_threads)
        return selected

    @classmethod
    def joined(cls, parts: Sequence["BitPlanes"]) -> "BitPlanes":
        """The planes of the images of one after the other."""
        joined = cls.empty(parts[0].n_nodes, sum(own.n_images for own in parts))
        joined.words[:] = 0
        at = 0
        for own in parts:
            word, bit = divmod(at, 64)
            joined.words[:, word : word + own.words.shape[1]] |= own.words << np.uint64(bit)
            # what is beyond the first word of 64 images; the last part may have nothing there
            beyond = joined.words[:, word + 1 : word + 1 + own.words.shape[1]]
            if bit:
                beyond |= own.words[:, : beyond.shape[1]] >> np.uint64(64 - bit)
            at += own.n_images
        return joined

    def part(self, first_word: int, n_words: int) -> "BitPlanes":
        """The planes of the images of some words, copied."""
        n_images = min(64 * n_words, self.n_images - 64 * first_word)
        words = self.words[:, first_word : first_word + n_words]
        return BitPlanes(np.ascontiguousarray(words), n_images)

    def ones(self) -> npt.NDArray[np.int64]:
        """(nodes,) number of images in which each node is 1."""
        return np.bitwise_count(self.words).sum(axis=1, dtype=np.int64)

    def sha256(self) -> str:
        """Hash of the words, by which provenance and checkpoints know the images."""
        import hashlib  # only checkpoints ask

        return hashlib.sha256(self.words.data).hexdigest()
