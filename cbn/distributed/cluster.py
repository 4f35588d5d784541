# SPDX-License-Identifier: BSD-3-Clause
"""Questions to shards that are on the workers of a dask.distributed cluster, and the sums of their answers.

A question is pickled once; a large one goes to one worker, from which the others have it. Answers are added where they
are, a few at a time, so that this process gets a few sums whatever the number of shards. Everything that is asked can be
asked again: what a worker loses dask makes anew, the shards of its blocks among it.
"""

import pickle
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import dask
import distributed
import numpy as np
from dask.sizeof import sizeof

from ..bits.shards import Conversation, Question
from ..exceptions import CbnError, DataError
from .traffic import Round, Traffic

T = TypeVar("T")

# Bytes of a question to all shards together from which on it is sent to one worker only, and not with every task.
LARGE = 2**20
# Answers that are added by one task, and that come here: a task costs the scheduler as much as some 100 KB.
TOGETHER, HERE = 8, 4
# Conversations that are under way, at least: while workers count for one, this process thinks about another.
AT_ONCE = 3


@dataclass(eq=False)
class _UnderWay:
    """A conversation that waits for an answer."""

    number: int
    conversation: Conversation[Any]
    question: Question
    size: int
    begin: float
    sums: list[Any]
    missing: int


@dataclass(frozen=True)
class Failure:
    """What came of a shard instead of an answer; ``number`` is that of its block."""

    number: int
    message: str


class Cluster:
    """The workers to which this process is connected.

    Parameters
    ----------
    name : str
        Of the argument whose images are there, for messages.
    together : int
        Answers that are added by one task.

    Attributes
    ----------
    traffic : Traffic
        What has been asked so far.

    Raises
    ------
    DataError
        No client is connected.
    """

    def __init__(self, name: str, together: int = TOGETHER) -> None:
        self.name, self.together, self.traffic = name, together, Traffic()
        try:
            self.client = distributed.get_client()
        except ValueError:
            raise DataError(
                f"{name}: a dask array, and no client is connected to a cluster; start one, "
                f"client = dask.distributed.Client(), or give {name}.compute()"
            ) from None

    @property
    def n_threads(self) -> int:
        """Of all workers."""
        return max(1, sum(self.client.nthreads().values()))

    def made(self, delayed: Sequence[Any], numbers: Sequence[int]) -> list[Any]:
        """Futures of tasks, all done; ``numbers`` are those of their blocks."""
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
            futures = self.client.compute(list(delayed))
        distributed.wait(futures)
        self._check(futures, numbers)
        return futures

    def ask(self, futures: Sequence[Any], question: Question, run: Callable[..., Any]) -> tuple[list[Any], int]:
        """Futures of the answers of all shards, and the bytes of the question."""
        message, size = self._message(question, len(futures))
        return [self.client.submit(run, shard, message, pure=False) for shard in futures], size

    def _message(self, question: Question, n: int) -> tuple[Any, int]:
        """A question to n shards as it is sent, and its bytes."""
        message: Any = pickle.dumps(question, pickle.HIGHEST_PROTOCOL)
        size = len(message)
        if size * n > LARGE:
            with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
                message = self.client.submit(_same, message, pure=False)
        return message, size

    def answers(self, futures: Sequence[Any], numbers: Sequence[int], question: Question) -> list[Any]:
        """The answers of all shards, in their order."""
        begin = time.perf_counter()
        asked, size = self.ask(futures, question, answer)
        distributed.wait(asked)
        self._check([*futures, *asked], [*numbers, *numbers])
        found = self._gathered(asked)
        self._record(question, len(asked), size, sizeof(found), begin)
        for own in found:
            self._refuse(own)
        return found

    def chained(self, futures: Sequence[Any], numbers: Sequence[int], question: Question, start: T) -> T:
        """What a question makes of one shard after the other, each told what came of those before it."""
        begin = time.perf_counter()
        message, size = self._message(question, len(futures))
        so_far: Any = start
        for shard in futures:
            so_far = self.client.submit(answer_next, shard, message, so_far, pure=False)
        distributed.wait(so_far)
        self._check([*futures, so_far], [*numbers, -1])
        (found,) = self._gathered([so_far])
        self._record(question, len(futures), size, sizeof(found), begin)
        answer: T = self._refuse(found)
        return answer

    def spread(self, futures: Sequence[Any], numbers: Sequence[int]) -> None:
        """Copies of what futures hold to all workers, so far as they are there: tasks fetch what their worker has not."""
        begin = time.perf_counter()
        distributed.wait(futures)
        self._check(futures, numbers)
        size = 0
        with suppress(Exception):  # of many kinds, where a worker is lost meanwhile; nothing depends on the copies
            self.client.replicate(list(futures))
            size = sum(self.client.nbytes([own.key for own in futures], summary=False).values())
        self.traffic.rounds.append(Round("spread", len(futures), size, 0, time.perf_counter() - begin))

    def converse(
        self, futures: Sequence[Any], numbers: Sequence[int], conversations: Iterable[Conversation[T]]
    ) -> list[T]:
        """What conversations return whose questions are answered by sums over the shards."""
        coming, results = enumerate(conversations), dict[int, T]()
        under_way: dict[Any, _UnderWay] = {}
        completed = distributed.as_completed()

        def go_on(number: int, conversation: Conversation[T], total: Any) -> None:
            try:
                question = conversation.send(total)
            except StopIteration as end:
                results[number] = end.value
                begin_another()
                return
            begin = time.perf_counter()
            sums, size = self.ask(futures, question, answer_small)
            while len(sums) > min(HERE, self.together):
                sums = [
                    self.client.submit(added, sums[first : first + self.together], pure=False)
                    for first in range(0, len(sums), self.together)
                ]
            own = _UnderWay(number, conversation, question, size, begin, sums, len(sums))
            under_way.update(dict.fromkeys(sums, own))
            completed.update(sums)

        def begin_another() -> None:
            for number, conversation in coming:
                go_on(number, conversation, None)
                return

        # of few shards so many questions that all threads have one
        for _ in range(max(AT_ONCE, 1 + self.n_threads // len(futures))):
            begin_another()
        for future in completed:
            own = under_way.pop(future)
            own.missing -= 1
            if own.missing:
                continue
            self._check([*futures, *own.sums], [*numbers, *(-1 for _ in own.sums)])
            found = self._gathered(own.sums)
            self._record(own.question, len(futures), own.size, sizeof(found), own.begin)
            go_on(own.number, own.conversation, self._refuse(sum_of(found)))
        return [results[number] for number in range(len(results))]

    def _gathered(self, futures: Sequence[Any]) -> list[Any]:
        """Results; from workers of this machine without a detour over the scheduler."""
        here = any(host in str(self.client.scheduler.address) for host in ("127.0.0.1", "inproc://"))
        found: list[Any] = self.client.gather(list(futures), direct=here)
        return found

    def _record(self, question: Question, n_shards: int, sent: int, received: int, begin: float) -> None:
        what = getattr(_innermost(question), "__name__", "")
        self.traffic.rounds.append(Round(what, n_shards, sent, received, time.perf_counter() - begin))

    def _check(self, futures: Sequence[Any], numbers: Sequence[int]) -> None:
        """One line for the first block of which something failed. Raises DataError."""
        for future, number in zip(futures, numbers):
            if future.status == "error":
                error = future.exception()
                raise DataError(failure_of(self.name, number, error).message) from None

    def _refuse(self, answer: T | Failure) -> T:
        if isinstance(answer, Failure):
            raise DataError(answer.message)
        return answer


def failure_of(name: str, number: int, error: BaseException) -> Failure:
    """One line for an error at a block."""
    where = f"{name}, chunk {number}" if number >= 0 else name
    line = next(iter(str(error).splitlines()), "")
    if isinstance(error, CbnError):
        return Failure(number, line if line.startswith(name) else f"{where}: {line}")
    if isinstance(error, distributed.KilledWorker):
        return Failure(
            number, f"{where}: workers died while they held it, again and again; give smaller chunks, or more memory"
        )
    return Failure(number, f"{where}: {type(error).__name__}: {line}; see the workers' logs")


def _innermost(question: Question) -> Callable[..., Any]:
    """The function that is asked: of a layer's, the one that is asked of the layer."""
    function, arguments = question
    asked = [own for own in arguments if callable(own) and not isinstance(own, type)]
    return asked[0] if asked and function.__name__ == "of_layer" else function


# ---- what runs on the workers, by one thread of the engine for each of their own ----


def _same(message: bytes) -> bytes:
    return message


def answer(shard: Any, message: bytes, *so_far: Any) -> Any:
    """The answer of a shard to a question, which may be of what came of earlier shards too."""
    if isinstance(shard, Failure):
        return shard
    function, arguments = pickle.loads(message)
    try:
        return function(shard.value, 1, *so_far, *arguments)
    except Exception as error:  # noqa: BLE001  whatever it is, one line of it goes back
        return failure_of(shard.name, shard.number, error)


def answer_next(shard: Any, message: bytes, so_far: Any) -> Any:
    """What comes of a shard and of those before it; the failure of the first block if there is any."""
    return so_far if isinstance(so_far, Failure) else answer(shard, message, so_far)


def answer_small(shard: Any, message: bytes) -> Any:
    """The same, to be sent."""
    return small(answer(shard, message))


def added(answers: Sequence[Any]) -> Any:
    """The sum of answers, to be sent."""
    return small(sum_of(answers))


def sum_of(answers: Sequence[Any]) -> Any:
    """The sum of answers; the failure of the first block if there is any."""
    failed = [own for own in answers if isinstance(own, Failure)]
    if failed:
        return min(failed, key=lambda own: own.number)
    total = large(answers[0]) if len(answers) == 1 else answers[0]
    for own in answers[1:]:
        if isinstance(own, np.ndarray) and own.dtype.kind in "iu":
            total = np.add(total, own, dtype=np.int64)
        else:
            total = total + own
    return total


def small(answer: Any) -> Any:
    """Counts in the smallest type that has them; everything else as it is."""
    if not isinstance(answer, np.ndarray) or answer.dtype != np.int64 or not answer.size or answer.min() < 0:
        return answer
    return answer.astype(np.min_scalar_type(int(answer.max())))


def large(answer: Any) -> Any:
    """Counts that can be added."""
    if isinstance(answer, np.ndarray) and answer.dtype.kind == "u":
        return answer.astype(np.int64)
    return answer
