# SPDX-License-Identifier: BSD-3-Clause
"""Files of pictures, in chunks: each is read when its turn comes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ._files import data_error, printable, too_large
from .folder import Part, as_labels, check_counts
from .imageset import ImageSet
from .pages import Read, pages_of_all
from .pictureoptions import Options
from .pictures import Scale, Sizes, none_readable, note_darkness
from .report import Notes, ReadingReport


class PictureChunks:
    """The pictures of files, by split; see cbn.datasets.stream.Chunks."""

    binarization: str | None = None
    has_names = True

    def __init__(
        self, parts: Mapping[str, Part], options: Options, notes: Notes, where: Path, others: Sequence[Part] = ()
    ) -> None:
        """``others`` are splits that are looked at only where white is to be told by all pictures."""
        self._parts, self._options, self._notes, self._where = parts, options, notes, where
        self._others = others
        self.counts = {split: len(part) for split, part in parts.items()}
        self.n_done = 0
        self.image_shape = options.target(self._first().shape)
        self._shape = (*self.image_shape, 3) if options.color == "rgb" else self.image_shape
        self.image_bytes = self.image_shape[0] * self.image_shape[1]
        self.source = printable(next(iter(parts.values())).place)
        self.report: ReadingReport | None = None

    def label_counts(self, split: str) -> dict[int | str, int] | None:
        """The labels of a split and the files of each, or None."""
        part = self._parts[split]
        if not part.has_labels:
            return None
        labels = as_labels([str(label) for _, label in part.groups]).tolist()
        return dict(sorted(zip(labels, [len(paths) for paths, _ in part.groups])))

    def sets(self, chunk_size: int) -> Iterator[ImageSet]:
        """All pictures in order, those of a split apart from those of others."""
        label_of: dict[str, dict[str | None, Any]] = {}
        for split, part in self._parts.items():
            if part.has_labels:
                texts = [str(label) for _, label in part.groups]
                label_of[split] = dict(zip(texts, as_labels(texts)))
        for chunk in self.chunks(chunk_size):
            own = label_of.get(chunk.split)
            labels = None if own is None else np.array([own[label] for label in chunk.labels])
            place = printable(self._parts[chunk.split].place)
            yield ImageSet(chunk.images, labels, tuple(chunk.names), place, split=chunk.split)

    def chunks(self, size: int) -> Iterator["Chunk"]:
        """The same as they are read, grey or of the three channels that ``color`` asks for."""
        try:
            yield from self._read(size)
        except MemoryError as error:
            raise too_large(self._where) from error

    def _read(self, size: int) -> Iterator["Chunk"]:
        notes, counts, brightest = self._notes, dict.fromkeys(self._parts, 0), 0
        found, scale = Sizes(self._options, notes, self._where), _StreamedScale(self._options, self._surveyed)
        for split, part in self._parts.items():
            chunk = Chunk(split, self._shape)
            every = pages_of_all((path for path, _ in part), self._options, notes)
            for (path, label), pages in zip(part, every, strict=True):
                for number, one in enumerate(pages, start=1):
                    found.add(one)
                    if found.differ:
                        for other in chain(pages[number:], self._left(self.n_done + 1)):
                            found.add(other)
                        found.check()
                    chunk.add(scale.in_bytes(one, self.n_done), f"{part.name(path)}{one.part}", label)
                    if len(chunk.names) == size:
                        counts[split] += size
                        brightest = max(brightest, int(chunk.images.max()))
                        yield chunk
                        chunk = Chunk(split, self._shape)
                self.n_done += 1
            if chunk.names:
                counts[split] += len(chunk.names)
                brightest = max(brightest, int(chunk.images.max()))
                yield chunk
        if not sum(counts.values()):
            raise none_readable(self._where, sum(self.counts.values()))
        scale.note(notes)
        note_darkness(brightest, notes)
        self.report = check_counts(self._parts, counts, notes)

    def _files(self) -> Iterator[Path]:
        return (path for part in self._parts.values() for path, _ in part)

    def _first(self) -> Read:
        """The first picture that can be read."""
        for one in self._left(0):
            return one
        raise none_readable(self._where, sum(self.counts.values()))

    def _surveyed(self, n_done: int) -> Scale:
        """The scale of the pictures that are left."""
        scale = Scale(self._options)
        for one in chain(self._left(n_done), self._read_beforehand(path for part in self._others for path, _ in part)):
            scale.add(one)
        return scale

    def _left(self, n_done: int) -> Iterator[Read]:
        """The pictures of all files but the first ones, read beforehand."""
        yield from self._read_beforehand(islice(self._files(), n_done, None))

    def _read_beforehand(self, paths: Iterable[Path]) -> Iterator[Read]:
        return chain.from_iterable(pages_of_all(paths, self._options, Notes(self._where)))


class _StreamedScale:
    """What is white in pictures that come one after the other; where it is to be told by all, the others are looked at first."""

    def __init__(self, options: Options, surveyed: Callable[[int], Scale]) -> None:
        self.of_read = Scale(options)
        self.of_all: Scale | None = None
        self._surveyed = surveyed

    def in_bytes(self, one: Read, n_done: int) -> npt.NDArray[np.uint8]:
        """The values of a picture, 0 to 255; so many files were done before."""
        own = self.of_read
        if not own.concerns(one):
            return own.in_bytes(one, None)
        own.add(one)
        if own.given is not None:
            return own.in_bytes(one, own.white())
        if self.of_all is None:
            self.of_all = self._surveyed(n_done)
        if one.brightest > self.of_all.brightest[0] or one.darkest < self.of_all.darkest[0]:
            raise data_error(
                f"{one.path}: changed while it was read; leave the pictures as they are until they are read"
            )
        return own.in_bytes(one, self.of_all.white())

    def note(self, notes: Notes) -> None:
        """What was made of the pictures that were handed out, by what all of them say of white."""
        own, every = self.of_read, self.of_all
        if every is not None:
            own.darkest, own.brightest, own.whole = every.darkest, every.brightest, every.whole
        own.note(notes)


class Chunk:
    """Pictures of a split that are handed out together, with their names and the folders that are their labels."""

    def __init__(self, split: str, shape: tuple[int, ...]) -> None:
        self.split, self._shape = split, shape
        self._images: list[npt.NDArray[np.uint8]] = []
        self.names: list[str] = []
        self.labels: list[str | None] = []

    @cached_property
    def images(self) -> npt.NDArray[np.uint8]:
        """All of them; asked when there come no more."""
        return np.stack(self._images)

    def add(self, image: npt.NDArray[np.uint8], name: str, label: str | None) -> None:
        """A picture more."""
        if image.shape != self._shape:
            image = np.broadcast_to(image if image.ndim == len(self._shape) else image[..., None], self._shape)
        self._images.append(image)
        self.names.append(name)
        self.labels.append(label)
