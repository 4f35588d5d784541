# SPDX-License-Identifier: BSD-3-Clause
"""Folders of pictures as grey ImageSets, by split."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ._files import data_error, printable
from .arrays import Labels
from .imageset import ImageSet, as_integer
from .layout import TRAIN, VAL, are_masks, find_splits
from .listing import Lister, mixture, no_pictures, refuse_mixture
from .pictureoptions import Options
from .pictures import Pictures, read_pictures
from .report import Notes, ReadingReport


@dataclass(frozen=True)
class Part:
    """The pictures of a split before they are read.

    Attributes
    ----------
    place : pathlib.Path
        Their folder.
    groups : tuple of (sequence of pathlib.Path, str or None)
        In order: files of one label.
    """

    place: Path
    groups: tuple[tuple[Sequence[Path], str | None], ...]

    def __len__(self) -> int:
        return sum(len(paths) for paths, _ in self.groups)

    def __iter__(self) -> Iterator[tuple[Path, str | None]]:
        """(file, its label)"""
        return ((path, label) for paths, label in self.groups for path in paths)

    @property
    def has_labels(self) -> bool:
        return self.groups[0][1] is not None

    def name(self, path: Path) -> str:
        """What the picture of a file is called."""
        return f"{path.parent.name}/{path.name}" if self.has_labels else path.name


def load_folder(folder: Path, options: Options) -> dict[str, ImageSet]:
    """Read a folder of pictures.

    Pictures at the top make a set without labels; pictures in sub-folders take the sub-folder's name as label (integers
    if all names are). Sub-folders `train`, `val` and `test` and their relatives (training, validation, valid, dev,
    testing, eval; upper or lower case) are splits, each laid out in one of these ways. Everything that is not read is in
    the sets' `report`.

    Parameters
    ----------
    folder : pathlib.Path
        An existing folder.
    options : Options

    Returns
    -------
    dict of str to ImageSet
        By split: "train", and "val" and "test" where there are such.

    Raises
    ------
    DataError
        If there are no pictures, their sizes differ, one cannot be read, or pictures lie beside label folders.
    """
    notes = Notes(folder)
    parts = parts_of_folder(folder, notes)
    paths = [path for part in parts.values() for path, _ in part]
    return _sets(read_pictures(paths, options, notes, folder), parts, notes)


def load_picture(path: Path, options: Options) -> dict[str, ImageSet]:
    """Read one picture, or the pages of one file: an ImageSet without labels."""
    notes = Notes(path)
    return _sets(read_pictures([path], options, notes, path), parts_of_file(path), notes)


def parts_of_file(path: Path) -> dict[str, Part]:
    """One file of pictures, by split."""
    return {TRAIN: Part(path, (([path], None),))}


def parts_of_folder(folder: Path, notes: Notes) -> dict[str, Part]:
    """The pictures that lie in a folder, by split; see :func:`load_folder`. Raises DataError."""
    lister = Lister(notes)
    pictures, folders = lister.listed(folder)
    splits = find_splits(folder, folders)
    if splits is None:
        if any(entry.name.strip().lower() == TRAIN for entry in folders):
            notes.assume(f"folder {TRAIN} is taken as a label like the others, as no test or val is beside it")
        places = {TRAIN: folder}
    else:
        if pictures:
            raise mixture(folder, pictures[0], splits[TRAIN])
        places = splits
        for entry in folders:
            if entry not in splits.values():
                lister.leave_out(entry, "masks, not read" if are_masks(entry.name) else "beside the splits")
    return {split: _part(place, lister) for split, place in places.items()}


def _part(folder: Path, lister: Lister) -> Part:
    """The pictures of a split, with or without labels."""
    pictures, folders = lister.listed(folder)
    if pictures:
        refuse_mixture(folder, pictures, folders, lister)
        return Part(folder, ((pictures, None),))
    listings = {entry: lister.listed(entry) for entry in folders}
    if not any(found for found, _ in listings.values()):
        deep = next(lister.below(folder), None)
        if deep is not None:
            raise data_error(f"{folder}: its pictures lie too deep, such as {deep}; give {deep.parent.parent}")
        raise no_pictures(folder, "it or its folders")
    for label_folder, (found, deeper) in listings.items():
        if not found:
            raise data_error(f"{label_folder}: a label folder without pictures; add pictures or remove the folder")
        refuse_mixture(label_folder, found, deeper, lister)
    return Part(folder, tuple((found, entry.name) for entry, (found, _) in listings.items()))


def check_counts(parts: Mapping[str, Part], counts: Mapping[str, int], notes: Notes) -> ReadingReport:
    """The report of so many pictures that were read by split. Raises DataError for a split of none."""
    for split, count in counts.items():
        if not count:
            raise data_error(f"{parts[split].place}: none of its pictures can be read; replace the files")
    if counts.get(VAL):
        notes.assume(
            f"{counts[VAL]} pictures of {parts[VAL].place.name} kept apart from those to learn from and to test"
        )
    return notes.report(counts)


def _sets(read: Pictures, parts: dict[str, Part], notes: Notes) -> dict[str, ImageSet]:
    """What was read, cut into the splits that it was found in."""
    split_of = {path: split for split, part in parts.items() for path, _ in part}
    splits = np.array([split_of[path] for path in read.paths])
    report = check_counts(parts, {split: int(np.count_nonzero(splits == split)) for split in parts}, notes)
    sets = {}
    for split, part in parts.items():
        own = np.flatnonzero(splits == split)
        paths, labels = [read.paths[i] for i in own], None
        if part.has_labels:
            labels = as_labels([path.parent.name for path in paths])
        sets[split] = ImageSet(
            read.images[own[0] : own[-1] + 1],
            labels,
            tuple(part.name(path) + read.parts[i] for path, i in zip(paths, own)),
            printable(part.place),
            split=split,
            report=report,
        )
    return sets


def as_labels(names: Sequence[str]) -> Labels:
    """Integers where these say the same as the names: "02" stays text."""
    integers = {name: as_integer(name) for name in names}
    if any(str(number) != name for name, number in integers.items()):
        return np.array(names)
    return np.array([integers[name] for name in names], dtype=np.int64)
