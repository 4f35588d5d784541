# SPDX-License-Identifier: BSD-3-Clause
"""Images that come in chunks: each becomes bits as it comes, and nothing else of it is kept."""

import mmap
from collections.abc import Callable, Iterator, Sequence
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
    shape : (height, width)
    """

    binarization: Binarization
    planes: BitPlanes
    extremes: Images
    shape: tuple[int, int]


class Parts:
    """Planes of some images after those of others, joined without holding all of them twice.

    Those that came last wait until they are large enough. Then rows of nodes are kept in BLOCKS blocks; joining goes from
    block to block, and returns each to the system.
    """

    BLOCKS = 16
    LEAST_BYTES = 2**22

    def __init__(self) -> None:
        self.n_images = 0
        self._recent: list[BitPlanes] = []
        self._parts: list[list[npt.NDArray[np.uint64]]] = []  # each its blocks, in order

    def add(self, planes: BitPlanes) -> None:
        """The images that come next, at least one."""
        self.n_images += planes.n_images
        self._recent.append(planes)
        if sum(own.words.nbytes for own in self._recent) >= self.LEAST_BYTES:
            self._settle(in_whole_words=True)

    def _settle(self, in_whole_words: bool) -> None:
        """What waits becomes blocks; images that fill no word wait on, if they may."""
        recent = self._recent[0] if len(self._recent) == 1 else BitPlanes.joined(self._recent)
        n_words = recent.n_images // 64 if in_whole_words else recent.words.shape[1]
        self._recent = [] if 64 * n_words >= recent.n_images else [recent.part(n_words, 1)]
        if not n_words:
            return
        blocks = []
        for words in np.array_split(recent.words[:, :n_words], min(self.BLOCKS, recent.n_nodes)):
            # not from the heap, which keeps what is returned to it
            own = np.frombuffer(mmap.mmap(-1, words.nbytes), np.uint64).reshape(-1, n_words)
            own[:] = words
            blocks.append(own)
        self._parts.append(blocks)

    def joined(self) -> BitPlanes:
        """All images, at least one; the parts are gone then."""
        if self._recent:
            self._settle(in_whole_words=False)
        planes, row = BitPlanes.empty(sum(map(len, self._parts[0])), self.n_images), 0
        while self._parts[0]:
            first, n_rows = 0, len(self._parts[0][0])
            for blocks in self._parts:
                words = blocks.pop(0)
                planes.words[row : row + n_rows, first : first + words.shape[1]] = words
                first += words.shape[1]
                del words
            row += n_rows
        return planes


class Packer:
    """Images that are handed over some at a time, and become bits.

    Parameters
    ----------
    rule : Binarization, or callable from images to one
        The latter is asked with the first images, which are held until there are enough of them.
    num_threads : int
    first : int
        How many these are, FIRST by default.
    batch_bytes : int
        Images are packed together when they have about so many bytes, BATCH_BYTES by default.

    Attributes
    ----------
    n_images : int
    darkest, brightest
        Of all values so far; None before any came.
    """

    def __init__(
        self, rule: Binarization | Callable[[Images], Binarization], num_threads: int, *, first: int | None = None,
        batch_bytes: int | None = None,
    ) -> None:  # fmt: skip
        self.binarization = rule if isinstance(rule, Binarization) else None
        self.n_images = 0
        self.darkest: Any = None
        self.brightest: Any = None
        self._rule, self._num_threads = rule, num_threads
        self._first = FIRST if first is None else first
        self._batch_bytes = BATCH_BYTES if batch_bytes is None else batch_bytes
        self._head: list[Images] = []
        self._held: Images = np.empty((0, 0, 0), bool)
        self._n_held, self._parts = 0, Parts()

    def add(self, images: Images) -> None:
        """Validated images (n, height, width), at least one, of the size and type of those before; they are copied."""
        darkest, brightest = images.min(), images.max()
        self.darkest = darkest if self.darkest is None else min(self.darkest, darkest)
        self.brightest = brightest if self.brightest is None else max(self.brightest, brightest)
        self.n_images += len(images)
        if self.binarization is None:
            self._head.append(images.copy())  # an iterator may fill one array again and again
            if self.n_images >= self._first:
                self._decide()
        else:
            self._hold(images)

    def done(self) -> Streamed:
        """The bits of all images, at least one."""
        if self.binarization is None:
            self._decide()
        assert self.binarization is not None
        if self._n_held:
            self._pack()
        extremes = np.array([[[self.darkest, self.brightest]]], self._held.dtype)
        height, width = self._held.shape[1:]
        self._held = self._held[:0].copy()
        return Streamed(self.binarization, self._parts.joined(), extremes, (height, width))

    def _decide(self) -> None:
        assert not isinstance(self._rule, Binarization)
        self.binarization = self._rule(np.concatenate(self._head)[: self._first])
        while self._head:
            self._hold(self._head.pop(0))

    def _hold(self, images: Images) -> None:
        if not len(self._held):
            size = max(1, self._batch_bytes // images[0].nbytes)
            self._held = np.empty((size - size % 64 if size > 64 else size, *images.shape[1:]), images.dtype)
        while len(images):
            n_new = min(len(images), len(self._held) - self._n_held)
            self._held[self._n_held : self._n_held + n_new] = images[:n_new]
            self._n_held += n_new
            images = images[n_new:]
            if self._n_held == len(self._held):
                self._pack()

    def _pack(self) -> None:
        assert self.binarization is not None
        self._parts.add(self.binarization.planes(self._held[: self._n_held], self._num_threads))
        self._n_held = 0


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
    packer = Packer(rule, num_threads, first=first)
    for chunk in _checked(X, name, image_shape, full_scale):
        packer.add(chunk)
        known = packer.binarization
        if full_scale is None and known is not None and known.full_scale == 1 and packer.brightest > 1:
            raise DataError(
                f"{name}: integers up to {packer.brightest} come after {FIRST if first is None else first:,} images of only 0 "
                "and 1; give full_scale, such as full_scale=255"
            )
    if not packer.n_images:
        raise DataError(f"{name}: no images came; give an iterator of arrays (n, height, width)")
    return packer.done()


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
