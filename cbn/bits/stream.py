# SPDX-License-Identifier: BSD-3-Clause
"""Images that come in chunks: each becomes bits as it comes, and nothing else of it is kept."""

import mmap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from .._validation import Images
from ..exceptions import DataError
from .binarization import Binarization
from .planes import BitPlanes

# The rule that makes bits is chosen by so many images, the first ones.
FIRST = 10_000
# Images are packed together until they have so many bytes, by multiples of 64 images: the words of a plane.
BATCH_BYTES = 2**25


@dataclass(frozen=True, eq=False)
class Streamed:
    """What is kept of images that came in chunks.

    Attributes
    ----------
    binarization : Binarization
    planes : BitPlanes
    extremes : ndarray, (1, 1, 2)
        The darkest and the brightest value, as an image of the type of all.
    """

    binarization: Binarization
    planes: BitPlanes
    extremes: Images


class Parts:
    """Planes of some images after those of others, joined without holding all of them twice.

    Rows of nodes are kept in BLOCKS blocks; joining goes from block to block, and returns each to the system.
    """

    BLOCKS = 16

    def __init__(self) -> None:
        self.n_nodes = self.n_images = 0
        self._parts: list[list[npt.NDArray[np.uint64]]] = []  # each its blocks, in order

    def add(self, planes: BitPlanes) -> None:
        """All but the last ones hold a multiple of 64 images."""
        assert self.n_images % 64 == 0
        self.n_nodes, n_words = planes.words.shape
        self.n_images += planes.n_images
        blocks = []
        for words in np.array_split(planes.words, min(self.BLOCKS, self.n_nodes)):
            own = np.frombuffer(mmap.mmap(-1, words.nbytes), np.uint64).reshape(-1, n_words)  # not from the heap
            own[:] = words
            blocks.append(own)
        self._parts.append(blocks)

    def joined(self) -> BitPlanes:
        """All images; the parts are gone then."""
        planes, row = BitPlanes.empty(self.n_nodes, self.n_images), 0
        while self._parts[0]:
            first, n_rows = 0, len(self._parts[0][0])
            for blocks in self._parts:
                words = blocks.pop(0)
                planes.words[row : row + n_rows, first : first + words.shape[1]] = words
                first += words.shape[1]
                del words
            row += n_rows
        return planes


def is_stream(X: object) -> bool:
    """Whether images come in chunks: from an iterator or generator."""
    return hasattr(X, "__next__")


def read_stream(
    X: Iterator[Any],
    rule: Callable[[Images], Binarization],
    num_threads: int,
    *,
    name: str = "X",
    image_shape: Sequence[int] | None = None,
    full_scale: int | None = None,
    first: int | None = None,
) -> Streamed:
    """Bits of all images of an iterator of chunks.

    Parameters
    ----------
    X : iterator of array-like, (n, height, width) or flat (n, height * width)
        Of any numbers of images; the result does not depend on how they are cut.
    rule : callable
        Images -> Binarization, by the first images.
    first : int
        How many these are, FIRST by default; they are held in memory until there are so many.
    image_shape, full_scale
        As for :func:`cbn._validation.as_images`.

    Raises
    ------
    DataError
        Names the chunk, what was found and what to do.
    """
    first = FIRST if first is None else first
    chunks = _checked(X, name, image_shape, full_scale)
    head: list[Images] = []
    n_head = 0
    for chunk in chunks:
        head.append(chunk.copy())  # an iterator may fill one array again and again
        n_head += len(chunk)
        if n_head >= first:
            break
    if not head:
        raise DataError(f"{name}: no images came; give an iterator of arrays (n, height, width)")
    binarization = rule(np.concatenate(head)[:first])
    one, parts = head[0][:1].copy(), Parts()
    extremes: list[Any] = []
    only_bits = full_scale is None and binarization.full_scale == 1 and one.dtype != bool
    for images in _batches(_chain(head, chunks)):
        extremes += [images.min(), images.max()]
        if only_bits and max(extremes) > 1:
            raise DataError(
                f"{name}: integers up to {max(extremes)} come after {first:,} images of only 0 and 1; give full_scale, such "
                "as full_scale=255"
            )
        parts.add(binarization.planes(images, num_threads))
    darkest_and_brightest = np.array([[[min(extremes), max(extremes)]]], one.dtype)
    return Streamed(binarization, parts.joined(), darkest_and_brightest)


def _chain(head: list[Images], rest: Iterable[Images]) -> Iterator[Images]:
    while head:
        yield head.pop(0)
    yield from rest


def _checked(
    X: Iterator[Any], name: str, image_shape: Sequence[int] | None, full_scale: int | None
) -> Iterator[Images]:
    """Validated chunks that are not empty, all of one shape and kind."""
    first = None
    for number, chunk in enumerate(X):
        chunk = validation.as_array(chunk, f"{name}, chunk {number}")
        if chunk.ndim and not len(chunk):
            continue
        images = validation.as_images(
            chunk, name=f"{name}, chunk {number}", image_shape=image_shape, full_scale=full_scale
        )
        if first is None:
            first = images[:1].copy()
        if images.shape[1:] != first.shape[1:]:
            raise DataError(
                f"{name}, chunk {number}: images of {images.shape[1]} x {images.shape[2]} pixels after others of "
                f"{first.shape[1]} x {first.shape[2]}; bring them to one size"
            )
        if images.dtype != first.dtype:
            raise DataError(f"{name}, chunk {number}: {images.dtype} after {first.dtype}; give all chunks in one type")
        yield images


def pack_chunks(chunks: Iterable[Images], binarization: Binarization, num_threads: int) -> BitPlanes:
    """Bits of all images of validated chunks, at least one, by a rule that is known."""
    parts = Parts()
    for images in _batches(chunks):
        parts.add(binarization.planes(images, num_threads))
    return parts.joined()


def _batches(chunks: Iterable[Images]) -> Iterator[Images]:
    """The same images, cut into so many at a time that their bits fill words; the last may be fewer.

    All are in one array, which holds the next ones after a step.
    """
    held, n_held = np.empty((0, 0, 0), bool), 0
    for chunk in chunks:
        if not len(held):
            size = max(1, BATCH_BYTES // (64 * chunk[0].nbytes)) * 64
            held = np.empty((size, *chunk.shape[1:]), chunk.dtype)
        while len(chunk):
            n_new = min(len(chunk), len(held) - n_held)
            held[n_held : n_held + n_new] = chunk[:n_new]
            n_held += n_new
            chunk = chunk[n_new:]
            if n_held == len(held):
                yield held
                n_held = 0
    if n_held:
        yield held[:n_held]
