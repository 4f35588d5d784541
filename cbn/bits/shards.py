# SPDX-License-Identifier: BSD-3-Clause
"""Images that are in several places: what is learned of them are functions of sums, and only these come together.

A shard is consecutive images, as bits, in one place. `Shards` ask functions of every shard; where these run is known to
the subclass alone: `LocalShards` here, other processes and machines in :mod:`cbn.distributed`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from ..exceptions import DataError
from .binarization import Binarization
from .planes import BitPlanes

Mask = npt.NDArray[np.bool_]
T = TypeVar("T")
# A function of (shard, num_threads, *arguments), whose results add; and the arguments.
Question: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...]]
# Number of a shard in the order of all, the first of its images and the one after the last.
Piece: TypeAlias = tuple[int, int, int]
# Asks for sums over all shards, one after the other, and returns what it made of them.
Conversation: TypeAlias = Generator[Question, Any, T]


@dataclass(frozen=True, eq=False)
class Shard:
    """Consecutive images in one place.

    Attributes
    ----------
    layers : tuple of BitPlanes
        Of the pixels, and of the hidden layers that are known.
    first : int
        Number of its first image among all.
    extremes : (float or int, float or int)
        The darkest and the brightest value.
    members : ndarray, (n_images,) bool, optional
        Which of them count; None for all.
    """

    layers: tuple[BitPlanes, ...]
    first: int
    extremes: tuple[Any, Any]
    members: Mask | None = None

    @property
    def n_images(self) -> int:
        return self.layers[0].n_images

    @property
    def nbytes(self) -> int:
        """Bytes of all its bits."""
        return sum(own.words.nbytes for own in self.layers)

    def __sizeof__(self) -> int:  # by which clusters know what they hold
        return super().__sizeof__() + self.nbytes

    def numbers(self) -> npt.NDArray[np.int64]:
        """(n_images,) the number of every image among all."""
        return np.arange(self.first, self.first + self.n_images)


@dataclass(frozen=True)
class Part:
    """Which of all images are meant: the first ones, or all but every k-th, or every k-th of them.

    Attributes
    ----------
    below : int
        Numbers of images are less than this.
    fold, folds : int
        All but images ``fold``, ``fold + folds`` and so on; none is left out by fewer than two folds.
    inside : bool
        Only these instead.
    """

    below: int
    fold: int = 0
    folds: int = 1
    inside: bool = False

    def of(self, numbers: npt.NDArray[np.int64]) -> Mask:
        """Which of some numbers are meant."""
        mask = numbers < self.below
        return mask if self.folds < 2 else mask & ((numbers % self.folds == self.fold) == self.inside)

    def before(self, number: int) -> int:
        """How many of those that are meant are below a number."""
        end = min(number, self.below)
        own = len(range(self.fold, end, self.folds)) if self.folds > 1 else 0
        return own if self.inside else end - own

    @property
    def n_images(self) -> int:
        return self.before(self.below)

    @property
    def others(self) -> "Part":
        """The fold that is left out, or all but the fold that is meant."""
        return replace(self, inside=not self.inside)


class Shards(ABC):
    """All shards, in the order of their images.

    Attributes
    ----------
    n_images : int
        Of all shards.
    """

    n_images: int

    @property
    @abstractmethod
    def n_threads(self) -> int:
        """How many questions can be answered at a time, wherever the shards are."""

    @abstractmethod
    def map(self, function: Callable[..., T], *arguments: Any) -> list[T]:
        """What a function of (shard, num_threads, *arguments) gives of every shard."""

    @abstractmethod
    def made(self, function: Callable[..., Any], *arguments: Any, n_images: int | None = None) -> "Shards":
        """Shards that such a function makes of these, each where it is; of as many images, or of n_images.

        Or whatever the functions are of that they will be asked.
        """

    @abstractmethod
    def chained(self, function: Callable[..., T], start: T, *arguments: Any) -> T:
        """What such functions of (shard, num_threads, so far, *arguments) make of one shard after the other.

        For what must be added in the order of the images; ``start`` is so far before the first one.
        """

    @abstractmethod
    def regrouped(self, groups: Sequence[Sequence[Piece]]) -> "Shards":
        """Shards of pieces of these, each where its first piece is, or most of it; all images, in their order."""

    @abstractmethod
    def spread(self) -> "Shards":
        """The same shards, with copies everywhere: for many questions to few of them."""

    def only(self, part: Part) -> "Shards":
        """Copies of the bits of a part of the images, to be counted again and again; they are numbered among the part."""
        return self.made(only_part, part, n_images=part.n_images)

    @abstractmethod
    def converse(self, conversations: Iterable[Conversation[T]]) -> list[T]:
        """What conversations return; they know nothing of each other, and several may be under way."""

    def sum(self, function: Callable[..., T], *arguments: Any) -> T:
        """The sum over shards of what such a function gives: arrays, or anything that has ``+``."""

        def once() -> Conversation[T]:
            total: T = yield function, arguments
            return total

        return self.converse([once()])[0]

    def layer(self, number: int, part: Part | None = None) -> "LayerImages":
        """One layer of all images, or of a part."""
        part = part or Part(self.n_images)
        return LayerImages(self, number, part)


@dataclass(frozen=True, eq=False)
class LayerImages:
    """The states of the nodes of one layer, wherever they are: what a layer is learned from.

    Functions of it have the arguments (planes, num_threads, members, *arguments): bit-planes of the layer, threads, which
    of their images count, (n,) bool, or None for all.
    """

    shards: Shards
    number: int
    part: Part

    @property
    def n_images(self) -> int:
        return self.part.n_images

    def chosen(self) -> Shards:
        """Shards of these images alone, for functions that are of shards."""
        return self.shards if self.part == Part(self.shards.n_images) else self.shards.only(self.part)

    def sum(self, function: Callable[..., T], *arguments: Any) -> T:
        """The sum over shards of what such a function gives."""
        return self.shards.sum(*self._question(function, arguments))

    def _question(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        part = self.part if self.part != Part(self.shards.n_images) else None
        return of_layer, self.number, part, function, arguments

    def question(self, function: Callable[..., Any], *arguments: Any) -> Question:
        """The same, to be asked in a conversation."""
        asked, *rest = self._question(function, arguments)
        return asked, tuple(rest)


def of_layer(
    shard: Shard, num_threads: int, number: int, part: Part | None, function: Callable[..., T], arguments: Sequence[Any]
) -> T:
    """What a function of a layer gives of a shard; see :class:`LayerImages`."""
    members = shard.members if part is None else part.of(shard.numbers())
    return function(shard.layers[number], num_threads, members, *arguments)


class LocalShards(Shards):
    """Shards of this process.

    Parameters
    ----------
    shards : sequence of Shard
    num_threads : int
    n_images : int
    """

    def __init__(self, shards: Sequence[Any], num_threads: int, n_images: int) -> None:
        self.shards, self.num_threads, self.n_images = tuple(shards), num_threads, n_images

    @property
    def n_threads(self) -> int:
        return self.num_threads

    def map(self, function: Callable[..., T], *arguments: Any) -> list[T]:
        return [function(shard, self.num_threads, *arguments) for shard in self.shards]

    def made(self, function: Callable[..., Any], *arguments: Any, n_images: int | None = None) -> "LocalShards":
        made = self.map(function, *arguments)
        return LocalShards(made, self.num_threads, self.n_images if n_images is None else n_images)

    def chained(self, function: Callable[..., T], start: T, *arguments: Any) -> T:
        for shard in self.shards:
            start = function(shard, self.num_threads, start, *arguments)
        return start

    def regrouped(self, groups: Sequence[Sequence[Piece]]) -> "LocalShards":
        made = [
            joined([piece_of(self.shards[number], self.num_threads, first, end) for number, first, end in group])
            for group in groups
        ]
        return LocalShards(made, self.num_threads, self.n_images)

    def spread(self) -> "LocalShards":
        return self

    def converse(self, conversations: Iterable[Conversation[T]]) -> list[T]:
        return [self._conversed(own) for own in conversations]

    def _conversed(self, conversation: Conversation[T]) -> T:
        try:
            function, arguments = next(conversation)
            while True:
                total: Any = None
                for shard in self.shards:
                    own = function(shard, self.num_threads, *arguments)
                    total = own if total is None else total + own
                function, arguments = conversation.send(total)
        except StopIteration as end:
            result: T = end.value
            return result


class Source(ABC):
    """Images in blocks, wherever they are, of which shards are made."""

    @abstractmethod
    def head(self, n: int) -> Any:
        """The first n images, or all if there are fewer, as an array here."""

    @abstractmethod
    def shards(self, make: Callable[..., Any], *arguments: Any) -> Shards:
        """What a function of (block, number, first image, num_threads, *arguments) makes of every block.

        A `Shard`, or whatever the functions are of that these shards will be asked.
        """


class LocalSource(Source):
    """Blocks of this process.

    Parameters
    ----------
    blocks : sequence of array
        None is empty.
    num_threads : int
    """

    def __init__(self, blocks: Sequence[npt.NDArray[Any]], num_threads: int) -> None:
        self.blocks, self.num_threads = blocks, num_threads

    def head(self, n: int) -> Any:
        return np.concatenate(self.blocks)[:n]

    def shards(self, make: Callable[..., Any], *arguments: Any) -> LocalShards:
        made, first = [], 0
        for number, block in enumerate(self.blocks):
            made.append(make(block, number, first, self.num_threads, *arguments))
            first += len(block)
        return LocalShards(made, self.num_threads, first)


# ---- what shards are asked, whatever is learned ----


def packed(
    block: Any, number: int, first: int, num_threads: int, binarization: Binarization, image_shape: Sequence[int],
    full_scale: int | None,
) -> Shard:  # fmt: skip
    """The shard of a block of images (n, height, width) or (n, height * width).

    Parameters
    ----------
    block : array-like
    number, first : int
        Of the block, and of its first image.
    binarization : Binarization
    image_shape : (height, width)
    full_scale : int, optional
        What the user said; see :func:`cbn._validation.as_images`.

    Raises
    ------
    DataError
        Names the block, what was found and what to do.
    """
    name = f"X, chunk {number}"
    images = validation.as_images(block, name=name, image_shape=image_shape, full_scale=full_scale)
    darkest, brightest = images.min(), images.max()
    if full_scale is None and binarization.full_scale == 1 and images.dtype != bool and brightest > 1:
        raise DataError(
            f"{name}: integers up to {brightest} after images of only 0 and 1; give full_scale, such as full_scale=255"
        )
    return Shard((binarization.planes(images, num_threads),), first, (darkest, brightest))


def extremes_of(shard: Shard, num_threads: int) -> tuple[Any, Any]:
    """The darkest and the brightest value."""
    return shard.extremes


def ones_of(shard: Shard, num_threads: int) -> npt.NDArray[np.int64]:
    """(nodes,) images in which each pixel node is 1."""
    return shard.layers[0].ones()


def states_of(shard: Shard, num_threads: int, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """(n, nodes) states of the pixel nodes of those of the images that a shard has, in their order; numbers rise."""
    own = np.isin(shard.numbers(), numbers)
    if not own.any():
        return np.empty((0, shard.layers[0].n_nodes), np.uint8)
    return shard.layers[0].select(own, num_threads).states(num_threads)


def gathered(shards: Shards, numbers: npt.NDArray[np.int64], num_threads: int) -> BitPlanes:
    """Bit-planes of the pixels of a few images, here; their numbers rise."""
    return BitPlanes.of_states(np.concatenate(shards.map(states_of, numbers)), num_threads)


def only_part(shard: Shard, num_threads: int, part: Part) -> Shard:
    """The images of a part; where there are none, all of them, of which none counts."""
    members, first = part.of(shard.numbers()), part.before(shard.first)
    if not members.any():
        return replace(shard, first=first, members=members)
    return replace(shard, first=first, layers=tuple(own.select(members, num_threads) for own in shard.layers))


def piece_of(shard: Shard, num_threads: int, first: int, end: int) -> Shard:
    """Some consecutive images of a shard."""
    if (first, end) == (0, shard.n_images):
        return shard
    keep = np.zeros(shard.n_images, bool)
    keep[first:end] = True
    layers = tuple(own.select(keep, num_threads) for own in shard.layers)
    return replace(shard, layers=layers, first=shard.first + first)


def joined(pieces: Sequence[Shard]) -> Shard:
    """One shard of consecutive ones."""
    if len(pieces) == 1:
        return pieces[0]
    layers = tuple(BitPlanes.joined(own) for own in zip(*(piece.layers for piece in pieces)))
    darkest, brightest = zip(*(piece.extremes for piece in pieces))
    return Shard(layers, pieces[0].first, (min(darkest), max(brightest)))


def with_layer(shard: Shard, planes: BitPlanes) -> Shard:
    """The same images with a layer more."""
    return replace(shard, layers=(*shard.layers, planes))
