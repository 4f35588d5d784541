# SPDX-License-Identifier: BSD-3-Clause
"""load_images: whatever the user has, as a training and a test ImageSet."""

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt

from . import arrays, folder
from ._files import as_path, data_error, printable, scan, sizes, too_large
from .idx import load_idx
from .imageset import ImageSet
from .layout import TEST, TRAIN, VAL
from .picturefile import Background
from .pictureformats import is_picture_name, kind_of_file
from .pictures import Options, Size
from .report import LeftOut, ReadingReport

_PLAIN: dict[str, arrays.Role] = {"images": "images", "labels": "labels"}
_KERAS: dict[str, arrays.Role] = {
    "x_train": "images", "y_train": "labels", "x_val": "images", "y_val": "labels", "x_test": "images", "y_test": "labels",
}  # fmt: skip


def load_images(
    path: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    *,
    size: Size | None = None,
    color: Literal["grey"] | None = None,
    background: Background = "black",
    full_scale: float | None = None,
    skip_bad: bool = False,
) -> tuple[ImageSet, ImageSet | None]:
    """Load images from a file or folder.

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
        path, labels, size=size, color=color, background=background, full_scale=full_scale, skip_bad=skip_bad
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
) -> dict[str, ImageSet]:
    """The same as :func:`load_images`, by split: "train", and "val" and "test" where the source has them."""
    options = Options.checked(size, color, (None, "grey"), background, full_scale, skip_bad)
    path = as_path(path)
    try:
        sets = _load(path, labels, options)
    except MemoryError as error:
        raise too_large(path) from error
    for name, part in sets.items():
        _check_pair(path, sets[TRAIN], part, name)
    return sets


def _load(path: Path, labels: str | os.PathLike[str] | None, options: Options) -> dict[str, ImageSet]:
    suffix = path.suffix.lower()
    is_archive = suffix == ".npz" and not path.is_dir()
    if (path.is_dir() or is_archive) and labels is not None:
        raise data_error(f"labels: {labels} given, but {path} brings its own labels; leave the argument out")
    left_out: tuple[LeftOut, ...] = ()
    if path.is_dir():
        files, folders = scan(path)
        names = {entry.name for entry in files}
        if not any(_idx_name(names, split, what) for split in ("train", "t10k") for what in ("images", "labels")):
            return folder.load_folder(path, options)
        sets, used = _load_idx_folder(path, names, options)
        unused = [entry.name for entry in files if entry.name not in used] + [f"{entry.name}/" for entry in folders]
        left_out = tuple(LeftOut(printable(name), "beside the IDX files") for name in unused)
    elif is_archive:
        sets = _load_npz(path, options)
    elif suffix != ".npy" and _is_picture(path):
        if labels is not None:
            raise data_error(f"labels: {labels} given, but {path} is a picture; leave the argument out")
        return folder.load_picture(path, options)
    else:
        images = _read(path, "images")
        sets = {TRAIN: _image_set(images, path, options, _labels_array(labels), labels)}
    if options.size is not None:
        raise data_error(f"{path}: size is for pictures; bring the arrays to {sizes(options.size)} and save them again")
    report = ReadingReport(printable(path), {split: len(own) for split, own in sets.items()}, left_out)
    return {split: replace(own, split=split, report=report) for split, own in sets.items()}


def _is_picture(path: Path) -> bool:
    """By its name, or by its content where that is not IDX."""
    if is_picture_name(path):
        return True
    return path.is_file() and kind_of_file(path) is None


def _read(path: Path, role: arrays.Role) -> npt.NDArray[Any]:
    """One array from an IDX or .npy file."""
    return arrays.read_npy(path, role) if path.suffix.lower() == ".npy" else load_idx(path)


def _labels_array(labels: str | os.PathLike[str] | None) -> npt.NDArray[Any] | None:
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
    found = arrays.read_npz(path, [_PLAIN, _KERAS])

    def part(x: str, y: str) -> ImageSet:
        return _image_set(found[x], f"{path}, key {x!r}", options, found.get(y), f"{path}, key {y!r}")

    if "images" in found:
        return {TRAIN: part("images", "labels")}
    for split in (VAL, TEST):
        if f"y_{split}" in found and f"x_{split}" not in found:
            raise data_error(
                f"{path}: key 'y_{split}' without 'x_{split}'; add the {split} images or leave their labels out"
            )
    return {split: part(f"x_{split}", f"y_{split}") for split in (TRAIN, VAL, TEST) if f"x_{split}" in found}


def _idx_names(split: str, what: str) -> list[str]:
    """The names one classic IDX file may have, the canonical first."""
    dims = 3 if what == "images" else 1
    return [f"{split}-{what}{mark}idx{dims}-ubyte{end}" for mark in "-." for end in ("", ".gz")]


def _idx_name(names: Collection[str], split: str, what: str) -> str | None:
    return next((name for name in _idx_names(split, what) if name in names), None)


def _load_idx_folder(path: Path, names: Collection[str], options: Options) -> tuple[dict[str, ImageSet], set[str]]:
    """The sets by split, and the names of the files that were read."""
    used = set()

    def part(split: str) -> ImageSet:
        files = []
        for what in ("images", "labels"):
            name = _idx_name(names, split, what)
            if name is None:
                missing = _idx_names(split, what)[0]
                raise data_error(f"{path}: {missing} (or .gz) is missing; put it beside the other IDX files")
            files.append(path / name)
            used.add(name)
        return _image_set(load_idx(files[0]), files[0], options, load_idx(files[1]), files[1])

    has_test = _idx_name(names, "t10k", "images") or _idx_name(names, "t10k", "labels")
    return {TRAIN: part("train")} | ({TEST: part("t10k")} if has_test else {}), used


def _check_pair(path: Path, train: ImageSet, other: ImageSet, split: str) -> None:
    a, b = train.images.shape[1:], other.images.shape[1:]
    if a != b:
        raise data_error(
            f"{path}: training images of {sizes(a)} and {split} images of {sizes(b)} (height x width); "
            "bring them to one size"
        )
    if train.binarization != other.binarization:
        kinds = ["grey" if part.binarization is None else "binary" for part in (train, other)]
        raise data_error(f"{path}: {kinds[0]} training images and {kinds[1]} {split} images; save both in the same way")
