# SPDX-License-Identifier: BSD-3-Clause
"""ReadingReport: which files were read, which were left out and why, and what was assumed about them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ._files import listed, printable

_NAMED = 3  # files that a line names for each reason


@dataclass(frozen=True)
class LeftOut:
    """A file, a page of a file or a folder that was not read.

    Attributes
    ----------
    name : str
        Below the folder that was read, as in "scratch/notes.txt" or "stack.tif[2]".
    reason : str
    """

    name: str
    reason: str


@dataclass(frozen=True)
class ReadingReport:
    """What became of the files of a source.

    Attributes
    ----------
    source : str
        The file or folder that was given.
    read : mapping of str to int
        Images by split.
    left_out : tuple of LeftOut
        Everything else that lies there.
    assumed : tuple of str
        What was done to the pictures or taken for granted, a sentence each: resized, turned, scaled, laid over black.
    without_mask : tuple of str
        Defective pictures whose mask is missing or empty.

    Examples
    --------
    >>> left_out = (LeftOut(".DS_Store", "hidden"), LeftOut("notes.txt", "no picture"), LeftOut("a.txt", "no picture"))
    >>> ReadingReport("parts", {"train": 14}, left_out, ("2 pictures turned",)).lines()
    ['3 left out: 1 hidden (.DS_Store), 2 no picture (notes.txt, a.txt)', '2 pictures turned']
    """

    source: str = ""
    read: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    assumed: tuple[str, ...] = ()
    without_mask: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """For people: one line on all that was left out, and one for each assumption; [] if there is nothing to say."""
        by_reason: dict[str, list[str]] = {}
        for one in self.left_out:
            by_reason.setdefault(one.reason, []).append(one.name)
        groups = (f"{len(names)} {reason} ({listed(names, _NAMED)})" for reason, names in by_reason.items())
        line = [f"{len(self.left_out)} left out: {', '.join(groups)}"] if by_reason else []
        return line + list(self.assumed)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "source": self.source,
            "read": dict(self.read),
            "left_out": [{"name": one.name, "reason": one.reason} for one in self.left_out],
            "assumed": list(self.assumed),
            "without_mask": list(self.without_mask),
        }


class Notes:
    """What readers write down on the way to a report."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._left_out: dict[str, str] = {}
        self._assumed: list[str] = []
        self._events: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def name(self, path: Path) -> str:
        """A path below the root, printable."""
        inside = path != self.root and path.is_relative_to(self.root)
        return printable(path.relative_to(self.root).as_posix() if inside else path.name)

    def leave_out(self, path: Path, reason: str, part: str = "") -> None:
        """A file, or a part of it such as "[2]", is not read. The first reason stays."""
        self._left_out.setdefault(self.name(path) + part, reason)

    def take_back(self, path: Path) -> None:
        """A file was read after all."""
        self._left_out.pop(self.name(path), None)

    def leave_out_all(self, paths: Iterable[Path], reason: str) -> None:
        """The same for several files."""
        for path in paths:
            self.leave_out(path, reason)

    def assume(self, sentence: str) -> None:
        """Something that holds for the whole source."""
        if sentence not in self._assumed:
            self._assumed.append(printable(sentence))

    def count(self, event: str, path: Path, part: str = "") -> None:
        """Something that happened to one picture, as in "turned by its EXIF orientation"."""
        self._events[event] += 1
        self._first.setdefault(event, self.name(path) + part)

    def add(self, other: "Notes") -> None:
        """What was noted apart."""
        for name, reason in other._left_out.items():
            self._left_out.setdefault(name, reason)
        for sentence in other._assumed:
            self.assume(sentence)
        if other._events:
            self._events += other._events
            self._first = other._first | self._first

    def report(self, read: Mapping[str, int], without_mask: Iterable[str] = ()) -> ReadingReport:
        """All that was written down."""
        events = [
            f"{plural(n, 'picture')} {event} ({self._first[event]}{', ...' if n > 1 else ''})"
            for event, n in self._events.items()
        ]
        left_out = tuple(LeftOut(name, reason) for name, reason in self._left_out.items())
        return ReadingReport(printable(self.root), dict(read), left_out, (*self._assumed, *events), tuple(without_mask))


def plural(n: int, noun: str) -> str:
    """ "1 picture", "2,000 pictures"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
