# SPDX-License-Identifier: BSD-3-Clause
"""Folders of pictures as grey ImageSets."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ..exceptions import DataError
from ._files import data_error, printable
from .arrays import Labels
from .imageset import ImageSet, as_integer
from .picturefile import list_pictures, no_pictures, read_picture, read_pictures


def load_folder(folder: Path) -> tuple[ImageSet, ImageSet | None]:
    """Read a folder of pictures.

    Pictures at the top make a set without labels; pictures in sub-folders take the sub-folder's name as label (integers
    if all names are). Sub-folders `train` and `test` (or `train` alone) are the two splits, each laid out in one of
    these ways; other folders beside `train` and `test` are ignored. Hidden files and files that are no pictures are
    ignored.

    Parameters
    ----------
    folder : pathlib.Path
        An existing folder.

    Returns
    -------
    train : ImageSet
    test : ImageSet or None

    Raises
    ------
    DataError
        If there are no pictures, their sizes differ, one cannot be read, or pictures lie beside label folders.
    """
    pictures, folders = list_pictures(folder)
    names = {entry.name for entry in folders}
    if {"train", "test"} <= names or names == {"train"}:
        if pictures:
            raise _mixture(folder, pictures[0], folder / "train")
        return _load_split(folder / "train"), _load_split(folder / "test") if "test" in names else None
    if names == {"test"} and not pictures:
        raise data_error(f"{folder}: holds a folder test but no folder train; add it, or give {folder / 'test'}")
    return _load_split(folder), None


def load_picture(path: Path) -> ImageSet:
    """Read one picture: an ImageSet of one image without a label."""
    return ImageSet(read_picture(path)[None], names=(path.name,), source=printable(path))


def _load_split(folder: Path) -> ImageSet:
    pictures, folders = list_pictures(folder)
    if pictures:
        refuse_mixture(folder, pictures, folders)
        return ImageSet(read_pictures(pictures), names=tuple(p.name for p in pictures), source=str(folder))
    listings = {entry: list_pictures(entry) for entry in folders}
    if not any(found for found, _ in listings.values()):
        raise no_pictures(folder, "it or its folders")
    labels = []
    for label_folder, (found, deeper) in listings.items():
        if not found:
            raise data_error(f"{label_folder}: a label folder without pictures; add pictures or remove the folder")
        refuse_mixture(label_folder, found, deeper)
        pictures += found
        labels += [label_folder.name] * len(found)
    return ImageSet(
        read_pictures(pictures),
        labels=_as_labels(labels),
        names=tuple(f"{p.parent.name}/{p.name}" for p in pictures),
        source=str(folder),
    )


def _as_labels(names: Sequence[str]) -> Labels:
    integers = {name: as_integer(name) for name in names}
    # "02" beside "2" must remain two labels
    if None in integers.values() or len(set(integers.values())) < len(integers):
        return np.array(names)
    return np.array([integers[name] for name in names], dtype=np.int64)


def refuse_mixture(folder: Path, pictures: Sequence[Path], folders: Iterable[Path]) -> None:
    """Raise DataError if a folder that holds `pictures` has `folders` that hold pictures too."""
    for entry in folders:
        if list_pictures(entry)[0]:
            raise _mixture(folder, pictures[0], entry)


def _mixture(folder: Path, picture: Path, entry: Path) -> DataError:
    return data_error(
        f"{folder}: holds pictures ({picture.name}) beside a folder of pictures ({entry.name}); "
        "use either pictures alone or folders alone"
    )
