# SPDX-License-Identifier: BSD-3-Clause
"""Shards that workers of a cluster make of the blocks of a dask array, and keep."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import dask
import numpy as np

from ..bits.shards import Conversation, Piece, Shards, Source, joined, piece_of
from ..exceptions import DataError
from .cluster import TOGETHER, Cluster, Failure, answer, failure_of

T = TypeVar("T")


class DaskSource(Source):
    """The blocks of a dask array along its first axis; other axes become one block.

    Parameters
    ----------
    X : dask.array.Array
        Images, or pictures.
    name : str
    together : int
        Answers that are added by one task, and so are in the memory of one worker.

    Raises
    ------
    DataError
        No client is connected, or an array without images.
    """

    def __init__(self, X: Any, name: str = "X", together: int = TOGETHER) -> None:
        self.name, self.cluster = name, Cluster(name, together)
        if X.ndim < 2:
            raise DataError(f"{name}: a dask array of {X.ndim} axes; give (n, height, width), or flat (n, values)")
        if np.isnan(X.chunks[0]).any():
            X = X.compute_chunk_sizes()
        if 0 in X.shape:
            raise DataError(f"{name}: array of shape {X.shape} holds no pixels; at least one image of 1 x 1 is needed")
        self.array = X.rechunk(dict.fromkeys(range(1, X.ndim), -1))

    def head(self, n: int) -> Any:
        blocks = self.array[:n].to_delayed().ravel()
        futures = self.cluster.made(blocks, range(len(blocks)))
        return np.concatenate(self.cluster.client.gather(futures))

    def shards(self, make: Callable[..., Any], *arguments: Any) -> "DaskShards":
        sizes = [int(size) for size in self.array.chunks[0]]
        firsts = np.concatenate([[0], np.cumsum(sizes)]).tolist()
        blocks, delayed = self.array.to_delayed().ravel(), dask.delayed(made, pure=False)
        numbers = [number for number, size in enumerate(sizes) if size]
        tasks = [delayed(self.name, blocks[i], i, firsts[i], make, arguments) for i in numbers]
        return DaskShards(self.cluster, self.cluster.made(tasks, numbers), numbers, sum(sizes))


@dataclass(frozen=True, eq=False)
class Held:
    """What a worker keeps: a shard, and what messages call it."""

    name: str
    number: int
    value: Any

    def __sizeof__(self) -> int:  # by which workers know what they hold
        return object.__sizeof__(self) + self.value.__sizeof__()


class DaskShards(Shards):
    """Shards on the workers of a cluster.

    Parameters
    ----------
    cluster : Cluster
    futures : sequence of distributed.Future
        Of a `Held` or a `Failure` each.
    numbers : sequence of int
        Of their blocks.
    n_images : int
    """

    def __init__(self, cluster: Cluster, futures: Sequence[Any], numbers: Sequence[int], n_images: int) -> None:
        self.cluster, self.futures, self.numbers, self.n_images = cluster, tuple(futures), tuple(numbers), n_images

    @property
    def n_threads(self) -> int:
        return self.cluster.n_threads

    def map(self, function: Callable[..., T], *arguments: Any) -> list[T]:
        return self.cluster.answers(self.futures, self.numbers, (function, arguments))

    def made(self, function: Callable[..., Any], *arguments: Any, n_images: int | None = None) -> "DaskShards":
        asked, _ = self.cluster.ask(self.futures, (function, arguments), made_of)
        return DaskShards(self.cluster, asked, self.numbers, self.n_images if n_images is None else n_images)

    def chained(self, function: Callable[..., T], start: T, *arguments: Any) -> T:
        return self.cluster.chained(self.futures, self.numbers, (function, arguments), start)

    def regrouped(self, groups: Sequence[Sequence[Piece]]) -> "DaskShards":
        submit, futures = self.cluster.client.submit, []
        for group in groups:
            pieces = [submit(piece_held, self.futures[i], first, end, pure=False) for i, first, end in group]
            futures.append(submit(joined_held, pieces, pure=False))
        numbers = [self.numbers[group[0][0]] for group in groups]
        return DaskShards(self.cluster, futures, numbers, self.n_images)

    def spread(self) -> "DaskShards":
        self.cluster.spread(self.futures, self.numbers)
        return self

    def converse(self, conversations: Iterable[Conversation[T]]) -> list[T]:
        return self.cluster.converse(self.futures, self.numbers, conversations)


# ---- what runs on the workers ----


def made(
    name: str, block: Any, number: int, first: int, make: Callable[..., Any], arguments: Sequence[Any]
) -> Held | Failure:
    """What a function makes of a block."""
    try:
        return Held(name, number, make(np.asarray(block), number, first, 1, *arguments))
    except Exception as error:  # noqa: BLE001  whatever it is, one line of it goes back
        return failure_of(name, number, error)


def made_of(shard: Held | Failure, message: bytes) -> Held | Failure:
    """What a function makes of a shard."""
    if isinstance(shard, Failure):
        return shard
    found = answer(shard, message)
    return found if isinstance(found, Failure) else Held(shard.name, shard.number, found)


def piece_held(shard: Held | Failure, first: int, end: int) -> Held | Failure:
    """Some consecutive images of a shard."""
    return shard if isinstance(shard, Failure) else Held(shard.name, shard.number, piece_of(shard.value, 1, first, end))


def joined_held(pieces: Sequence[Held | Failure]) -> Held | Failure:
    """One shard of consecutive ones; the failure of the first block if there is any."""
    held = [own for own in pieces if isinstance(own, Held)]
    if len(held) < len(pieces):
        return next(own for own in pieces if isinstance(own, Failure))
    return Held(held[0].name, held[0].number, joined([own.value for own in held]))
