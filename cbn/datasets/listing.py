# SPDX-License-Identifier: BSD-3-Clause
"""What lies in folders: pictures, folders, and the rest, which is written down with the reason."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from ..exceptions import DataError
from ._files import data_error, scan_names
from .pictureformats import kind_of_file
from .report import Notes

# Litter of operating systems and programs, beside names that begin with a dot.
_LITTER = {"__macosx", "__pycache__", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "$recycle.bin"}


class Listed(Sequence[Path]):
    """Paths of files of one folder, made as they are asked for: a path takes ten times the memory of its name."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder, self.names = folder, names

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> "Listed": ...
    def __getitem__(self, index: int | slice) -> "Path | Listed":
        if isinstance(index, slice):
            return Listed(self.folder, self.names[index])
        return self.folder / self.names[index]


class Lister:
    """Lists folders, each once, and notes what is neither picture nor folder.

    Links are followed, but not to a folder that holds the link: that would have no end.
    """

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self._found: dict[Path, tuple[Listed, list[Path]]] = {}

    def __call__(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """The pictures and the folders in a folder, both sorted by name."""
        pictures, folders = self.listed(folder)
        return list(pictures), folders

    def listed(self, folder: Path) -> tuple[Listed, list[Path]]:
        """The same, without a path in memory for every picture."""
        if folder not in self._found:
            files, inner = scan_names(folder)
            self._found[folder] = (
                Listed(folder, [name for name in files if self._is_picture(folder / name)]),
                [path for path in Listed(folder, inner) if self._is_visible(path) and not self._is_loop(path)],
            )
        pictures, folders = self._found[folder]
        return pictures, list(folders)

    def below(self, folder: Path) -> Iterator[Path]:
        """All pictures in a folder and the folders in it, however deep."""
        waiting, seen = [folder], set()
        while waiting:
            current = waiting.pop()
            place = os.path.realpath(current)
            if place in seen:
                continue
            seen.add(place)
            pictures, folders = self.listed(current)
            yield from pictures
            waiting += reversed(folders)

    def leave_out(self, folder: Path, reason: str) -> None:
        """Note all pictures in a folder, however deep, as not read."""
        self.notes.leave_out_all(self.below(folder), reason)

    def _is_visible(self, path: Path) -> bool:
        if path.name.startswith(".") or path.name.lower() in _LITTER:
            self.notes.leave_out(path, "hidden")
            return False
        return True

    def _is_loop(self, folder: Path) -> bool:
        try:
            loops = folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())
        except (OSError, RuntimeError):
            loops = True
        if loops:
            self.notes.leave_out(folder, "link to a folder that holds it")
        return loops

    def _is_picture(self, path: Path) -> bool:
        if not self._is_visible(path):
            return False
        reason = kind_of_file(path)
        if reason is not None:
            self.notes.leave_out(path, reason)
        return reason is None


def no_pictures(folder: Path, where: str = "it") -> DataError:
    """The DataError for a folder in which pictures were expected."""
    return data_error(f"{folder}: no pictures found in {where}; expected files that Pillow reads, such as .png or .jpg")


def mixture(folder: Path, picture: Path, entry: Path) -> DataError:
    """The DataError for pictures beside a folder of pictures."""
    return data_error(
        f"{folder}: holds pictures ({picture.name}) beside a folder of pictures ({entry.name}); "
        "use either pictures alone or folders alone"
    )


def refuse_mixture(folder: Path, pictures: Sequence[Path], folders: Sequence[Path], lister: Lister) -> None:
    """Raise DataError if a folder that holds `pictures` has `folders` that hold pictures too, however deep."""
    for entry in folders:
        if next(lister.below(entry), None) is not None:
            raise mixture(folder, pictures[0], entry)
