# SPDX-License-Identifier: BSD-3-Clause
"""Folders of pictures as grey ImageSets, by split."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ._files import data_error, printable
from .arrays import Labels
from .imageset import ImageSet, as_integer
from .layout import TRAIN, VAL, are_masks, find_splits
from .listing import Lister, mixture, no_pictures, refuse_mixture
from .pictures import Options, Pictures, read_pictures
from .report import Notes


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
    lister = Lister(notes)
    pictures, folders = lister(folder)
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
    found = {split: _listed(place, lister) for split, place in places.items()}
    paths = [path for own, _ in found.values() for path in own]
    return _sets(read_pictures(paths, options, notes, folder), places, found, notes)


def load_picture(path: Path, options: Options) -> dict[str, ImageSet]:
    """Read one picture, or the pages of one file: an ImageSet without labels."""
    notes = Notes(path)
    return _sets(read_pictures([path], options, notes, path), {TRAIN: path}, {TRAIN: ([path], None)}, notes)


def _listed(folder: Path, lister: Lister) -> tuple[list[Path], list[str] | None]:
    """(pictures of a split, the label of each or None)"""
    pictures, folders = lister(folder)
    if pictures:
        refuse_mixture(folder, pictures, folders, lister)
        return pictures, None
    listings = {entry: lister(entry) for entry in folders}
    if not any(found for found, _ in listings.values()):
        deep = next(lister.below(folder), None)
        if deep is not None:
            raise data_error(f"{folder}: its pictures lie too deep, such as {deep}; give {deep.parent.parent}")
        raise no_pictures(folder, "it or its folders")
    labels = []
    for label_folder, (found, deeper) in listings.items():
        if not found:
            raise data_error(f"{label_folder}: a label folder without pictures; add pictures or remove the folder")
        refuse_mixture(label_folder, found, deeper, lister)
        pictures += found
        labels += [label_folder.name] * len(found)
    return pictures, labels


def _sets(
    read: Pictures, places: dict[str, Path], found: dict[str, tuple[list[Path], list[str] | None]], notes: Notes
) -> dict[str, ImageSet]:
    """What was read, cut into the splits that it was found in."""
    split_of = {path: split for split, (paths, _) in found.items() for path in paths}
    splits = np.array([split_of[path] for path in read.paths])
    counts = {split: int(np.count_nonzero(splits == split)) for split in places}
    for split, count in counts.items():
        if not count:
            raise data_error(f"{places[split]}: none of its pictures can be read; replace the files")
    if counts.get(VAL):
        notes.assume(f"{counts[VAL]} pictures of {places[VAL].name} kept apart from those to learn from and to test")
    report = notes.report(counts)
    label_of = {path: label for paths, labels in found.values() if labels for path, label in zip(paths, labels)}
    sets = {}
    for split, place in places.items():
        own = np.flatnonzero(splits == split)
        paths, labels = [read.paths[i] for i in own], None
        if found[split][1] is not None:
            labels = _as_labels([label_of[path] for path in paths])
        names = [path.name if labels is None else f"{path.parent.name}/{path.name}" for path in paths]
        sets[split] = ImageSet(
            read.images[own[0] : own[-1] + 1],
            labels,
            tuple(name + read.parts[i] for name, i in zip(names, own)),
            printable(place),
            split=split,
            report=report,
        )
    return sets


def _as_labels(names: Sequence[str]) -> Labels:
    """Integers where these say the same as the names: "02" stays text."""
    integers = {name: as_integer(name) for name in names}
    if any(str(number) != name for name, number in integers.items()):
        return np.array(names)
    return np.array([integers[name] for name in names], dtype=np.int64)
