# SPDX-License-Identifier: BSD-3-Clause
"""load_images: whatever the user has, as a training and a test ImageSet."""

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt

from ..exceptions import DataError
from . import arrays, folder
from ._files import as_path, data_error, printable, scan_names, sizes, too_large
from .idx import load_idx
from .imageset import ImageSet
from .layout import TEST, TRAIN, VAL
from .picturefile import Background
from .pictureformats import is_picture_name, kind_of_file
from .pictureoptions import Options, Size
from .report import LeftOut, ReadingReport

_PLAIN: dict[str, arrays.Role] = {"images": "images", "labels": "labels"}
_KERAS: dict[str, arrays.Role] = {
    "x_train": "images", "y_train": "labels", "x_val": "images", "y_val": "labels", "x_test": "images", "y_test": "labels",
}  # fmt: skip
CONVENTIONS = (_PLAIN, _KERAS)


def load_images(
    path: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    *,
    size: Size | None = None,
    color: Literal["grey"] | None = None,
    background: Background = "black",
    full_scale: float | None = None,
    skip_bad: bool = False,
    n_jobs: int | None = None,
) -> tuple[ImageSet, ImageSet | None]:
    """Load images from a file or folder; :func:`cbn.datasets.iter_images` has them in chunks.

    Parameters
    ----------
    path : str or os.PathLike
        One of

        - an IDX image file, plain or gzip;
        - a folder with the classic IDX files `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-...` (`.gz` or
          not; a dot before `idx` will do); the two `t10k` files may be missing;
        - one picture, or a folder of pictures of all formats that Pillow reads: at the top, or in sub-folders named by
          label, or in sub-folders `train`, `val` and `test` (or training, validation, testing and the like, in upper or
          lower case) that hold either. Pages of a TIFF and frames of an animation are pictures, `stack.tif[2]`;
        - a `.npy` file: images (n, height, width), or (n, side * side); bytes from 64 MB on are mapped rather than read,
          and the images are then read-only: leave the file as it is while they are in use;
        - a `.npz` file with `images` and perhaps `labels`, or with `x_train` and perhaps `y_train`, `x_val`, `y_val`,
          `x_test`, `y_test`.

        Arrays may be bool, integers in 0..255 or 0..65535, or floats in [0, 1]; they become uint8 by rounding. Integers
        that are all 0 or 1, and bool, count as binary images. Nothing is ever unpickled. Pictures become upright (EXIF)
        8-bit grey; 16-bit values are scaled from 0..65535 where they reach a quarter of it, and from 0..1 or 0..255
        where they fit these.
    labels : str or os.PathLike, optional
        An IDX or `.npy` file of labels; only for a single IDX or `.npy` image file.
    size : int or (height, width), optional
        Resize pictures to exactly so many pixels, whatever their proportions (an integer: to a square). Without it
        pictures must be of one size.
    color : {"grey"}, optional
        Makes pictures of colour grey; by default they are refused. Pictures of three equal channels are grey.
    background : {"black", "white"}
        What lies behind transparent parts of pictures.
    full_scale : float, optional
        The value of white, such as 4095 for 12 bits. Up to 255 it holds for all pictures and arrays; beyond that for
        arrays, and for pictures of more than 8 bits whose file does not tell what white is.
    skip_bad : bool
        Leave pictures out that cannot be read; by default the first one is an error.
    n_jobs : int, optional
        Threads that decode pictures; None is all cores. What is read does not depend on it.

    Returns
    -------
    train : ImageSet
    test : ImageSet or None
        None when the source has no test images. Validation images are in neither; :func:`load_splits` gives them. What
        was read, left out and assumed is in the sets' `report`.

    Raises
    ------
    DataError
        One line that names the file, what was found and what to do.
    ValueError
        A size, colour or the like that is none.
    """
    sets = load_splits(
        path,
        labels,
        size=size,
        color=color,
        background=background,
        full_scale=full_scale,
        skip_bad=skip_bad,
        n_jobs=n_jobs,
    )
    return sets[TRAIN], sets.get(TEST)


def load_splits(
    path: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    *,
    size: Size | None = None,
    color: Literal["grey"] | None = None,
    background: Background = "black",
    full_scale: float | None = None,
    skip_bad: bool = False,
    n_jobs: int | None = None,
) -> dict[str, ImageSet]:
    """The same as :func:`load_images`, by split: "train", and "val" and "test" where the source has them."""
    options = Options.checked(size, color, (None, "grey"), background, full_scale, skip_bad, n_jobs=n_jobs)
    path = as_path(path)
    try:
        sets = _load(path, labels, options)
    except MemoryError as error:
        raise too_large(path) from error
    check_splits(path, {split: (own.images.shape[1:], own.binarization) for split, own in sets.items()})
    return sets


Kind = Literal["folder", "IDX folder", "archive", "picture", "file"]


def kind_of(path: Path, labels: object) -> Kind:
    """What is to be read. Raises DataError where labels are given to what brings its own, or has none."""
    suffix = path.suffix.lower()
    is_archive = suffix == ".npz" and not path.is_dir()
    if (path.is_dir() or is_archive) and labels is not None:
        raise data_error(f"labels: {labels} given, but {path} brings its own labels; leave the argument out")
    if path.is_dir():
        names = scan_names(path)[0]
        has_idx = any(idx_name(names, split, what) for split in ("train", "t10k") for what in ("images", "labels"))
        return "IDX folder" if has_idx else "folder"
    if is_archive:
        return "archive"
    if suffix != ".npy" and is_picture(path):
        if labels is not None:
            raise data_error(f"labels: {labels} given, but {path} is a picture; leave the argument out")
        return "picture"
    return "file"


def _load(path: Path, labels: str | os.PathLike[str] | None, options: Options) -> dict[str, ImageSet]:
    kind = kind_of(path, labels)
    left_out: tuple[LeftOut, ...] = ()
    if kind == "folder":
        return folder.load_folder(path, options)
    if kind == "picture":
        return folder.load_picture(path, options)
    if kind == "IDX folder":
        found, left_out = idx_files(path)
        sets = {
            split: _image_set(load_idx(images), images, options, load_idx(own), own)
            for split, (images, own) in found.items()
        }
    elif kind == "archive":
        sets = _load_npz(path, options)
    else:
        images = _read(path, "images")
        sets = {TRAIN: _image_set(images, path, options, labels_array(labels), labels)}
    refuse_size(path, options)
    report = ReadingReport(printable(path), {split: len(own) for split, own in sets.items()}, left_out)
    return {split: replace(own, split=split, report=report) for split, own in sets.items()}


def refuse_size(path: Path, options: Options) -> None:
    """Arrays are not resized. Raises DataError."""
    if options.size is not None:
        raise data_error(f"{path}: size is for pictures; bring the arrays to {sizes(options.size)} and save them again")


def is_picture(path: Path) -> bool:
    """By its name, or by its content where that is not IDX."""
    if is_picture_name(path):
        return True
    return path.is_file() and kind_of_file(path) is None


def _read(path: Path, role: arrays.Role) -> npt.NDArray[Any]:
    """One array from an IDX or .npy file."""
    return arrays.read_npy(path, role) if path.suffix.lower() == ".npy" else load_idx(path)


def labels_array(labels: str | os.PathLike[str] | None) -> npt.NDArray[Any] | None:
    return None if labels is None else _read(as_path(labels, "labels"), "labels")


def _image_set(
    images: npt.NDArray[Any],
    where: object,
    options: Options,
    labels: npt.NDArray[Any] | None = None,
    labels_where: object = None,
) -> ImageSet:
    images, binarization = arrays.to_images(images, str(where), options.full_scale, options.color)
    if labels is not None:
        labels = arrays.to_labels(labels, str(labels_where), len(images))
    return ImageSet(images, labels, source=printable(where), binarization=binarization)


def _load_npz(path: Path, options: Options) -> dict[str, ImageSet]:
    found = arrays.read_npz(path, CONVENTIONS)

    def part(x: str, y: str) -> ImageSet:
        return _image_set(found[x], f"{path}, key {x!r}", options, found.get(y), f"{path}, key {y!r}")

    return {split: part(x, y) for split, (x, y) in keys_by_split(path, found).items()}


def keys_by_split(path: Path, found: Collection[str]) -> dict[str, tuple[str, str]]:
    """The keys of images and labels of a .npz file by split; the labels may be missing. Raises DataError."""
    if "images" in found:
        return {TRAIN: ("images", "labels")}
    for split in (VAL, TEST):
        if f"y_{split}" in found and f"x_{split}" not in found:
            raise data_error(
                f"{path}: key 'y_{split}' without 'x_{split}'; add the {split} images or leave their labels out"
            )
    return {split: (f"x_{split}", f"y_{split}") for split in (TRAIN, VAL, TEST) if f"x_{split}" in found}


def idx_names(split: str, what: str) -> list[str]:
    """The names one classic IDX file may have, the canonical first."""
    dims = 3 if what == "images" else 1
    return [f"{split}-{what}{mark}idx{dims}-ubyte{end}" for mark in "-." for end in ("", ".gz")]


def idx_name(names: Collection[str], split: str, what: str) -> str | None:
    return next((name for name in idx_names(split, what) if name in names), None)


def idx_files(path: Path) -> tuple[dict[str, tuple[Path, Path]], tuple[LeftOut, ...]]:
    """The files of images and labels by split in a folder of the classic IDX files, and what lies beside them."""
    files, folders = scan_names(path)
    names, found, used = set(files), {}, set()
    has_test = idx_name(names, "t10k", "images") or idx_name(names, "t10k", "labels")
    for split, prefix in ((TRAIN, "train"), (TEST, "t10k")) if has_test else ((TRAIN, "train"),):
        own = []
        for what in ("images", "labels"):
            name = idx_name(names, prefix, what)
            if name is None:
                missing = idx_names(prefix, what)[0]
                raise data_error(f"{path}: {missing} (or .gz) is missing; put it beside the other IDX files")
            own.append(path / name)
            used.add(name)
        found[split] = own[0], own[1]
    unused = [name for name in files if name not in used] + [f"{name}/" for name in folders]
    return found, tuple(LeftOut(printable(name), "beside the IDX files") for name in unused)


def no_such_split(path: Path, split: str, splits: Collection[str]) -> DataError:
    """The DataError for a part that a source does not have."""
    return data_error(f"split: {path} has no {split} images; choose {' or '.join(splits)}")


def check_splits(path: Path, splits: Mapping[str, tuple[tuple[int, ...], str | None]]) -> None:
    """Raise DataError unless size and binarization, by split, are those of the training images."""
    first = next(iter(splits.values()))
    for split, (shape, binarization) in splits.items():
        if shape != first[0]:
            raise data_error(
                f"{path}: training images of {sizes(first[0])} and {split} images of {sizes(shape)} (height x width); "
                "bring them to one size"
            )
        if binarization != first[1]:
            kinds = ["grey" if own is None else "binary" for own in (first[1], binarization)]
            raise data_error(
                f"{path}: {kinds[0]} training images and {kinds[1]} {split} images; save both in the same way"
            )
