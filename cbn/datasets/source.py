# SPDX-License-Identifier: BSD-3-Clause
"""load_images: whatever the user has, as a training and a test ImageSet."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy.typing as npt

from . import arrays, folder
from ._files import as_path, data_error, printable, scan, sizes, too_large
from .idx import load_idx
from .imageset import ImageSet
from .picturefile import SUFFIXES

_PLAIN: dict[str, arrays.Role] = {"images": "images", "labels": "labels"}
_KERAS: dict[str, arrays.Role] = {"x_train": "images", "y_train": "labels", "x_test": "images", "y_test": "labels"}


def load_images(
    path: str | os.PathLike[str], labels: str | os.PathLike[str] | None = None
) -> tuple[ImageSet, ImageSet | None]:
    """Load images from a file or folder.

    Parameters
    ----------
    path : str or os.PathLike
        One of

        - an IDX image file, plain or gzip;
        - a folder with the classic IDX files `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-...` (`.gz` or
          not; a dot before `idx` will do); the two `t10k` files may be missing;
        - one picture, or a folder of pictures (png, jpg, bmp, gif, tiff, pgm, ppm, webp): at the top, or in sub-folders named by label,
          or in sub-folders `train` and `test` that hold either;
        - a `.npy` file: images (n, height, width), or (n, side * side);
        - a `.npz` file with `images` and perhaps `labels`, or with `x_train` and perhaps `y_train`, `x_test`, `y_test`.

        Arrays may be bool, integers in 0..255, or floats in [0, 1]; floats become uint8 by rounding 255 x. Integers
        that are all 0 or 1, and bool, count as binary images. Nothing is ever unpickled. Pictures become 8-bit grey:
        16-bit values are divided by 257, transparent parts are laid over black, EXIF rotation is not applied.
    labels : str or os.PathLike, optional
        An IDX or `.npy` file of labels; only for a single IDX or `.npy` image file.

    Returns
    -------
    train : ImageSet
    test : ImageSet or None
        None when the source has no test images.

    Raises
    ------
    DataError
        One line that names the file, what was found and what to do.
    """
    path = as_path(path)
    try:
        train, test = _load(path, labels)
    except MemoryError as error:
        raise too_large(path) from error
    if test is not None:
        _check_pair(path, train, test)
    return train, test


def _load(path: Path, labels: str | os.PathLike[str] | None) -> tuple[ImageSet, ImageSet | None]:
    suffix = path.suffix.lower()
    if path.is_dir() or suffix == ".npz":
        if labels is not None:
            raise data_error(f"labels: {labels} given, but {path} brings its own labels; leave the argument out")
        if suffix == ".npz" and not path.is_dir():
            return _load_npz(path)
        files, _ = scan(path)
        names = {entry.name for entry in files}
        if any(_idx_name(names, split, what) for split in ("train", "t10k") for what in ("images", "labels")):
            return _load_idx_folder(path, names)
        return folder.load_folder(path)
    if suffix in SUFFIXES:
        return folder.load_picture(path), None
    return _image_set(_read(path, "images"), path, _labels_array(labels), labels), None


def _read(path: Path, role: arrays.Role) -> npt.NDArray[Any]:
    """One array from an IDX or .npy file."""
    return arrays.read_npy(path, role) if path.suffix.lower() == ".npy" else load_idx(path)


def _labels_array(labels: str | os.PathLike[str] | None) -> npt.NDArray[Any] | None:
    return None if labels is None else _read(as_path(labels, "labels"), "labels")


def _image_set(
    images: npt.NDArray[Any], where: object, labels: npt.NDArray[Any] | None = None, labels_where: object = None
) -> ImageSet:
    images, binarization = arrays.to_images(images, str(where))
    if labels is not None:
        labels = arrays.to_labels(labels, str(labels_where), len(images))
    return ImageSet(images, labels, source=printable(where), binarization=binarization)


def _load_npz(path: Path) -> tuple[ImageSet, ImageSet | None]:
    found = arrays.read_npz(path, [_PLAIN, _KERAS])
    if "y_test" in found and "x_test" not in found:
        raise data_error(f"{path}: key 'y_test' without 'x_test'; add the test images or leave their labels out")

    def part(x: str, y: str) -> ImageSet:
        return _image_set(found[x], f"{path}, key {x!r}", found.get(y), f"{path}, key {y!r}")

    if "images" in found:
        return part("images", "labels"), None
    return part("x_train", "y_train"), part("x_test", "y_test") if "x_test" in found else None


def _idx_names(split: str, what: str) -> list[str]:
    """The names one classic IDX file may have, the canonical first."""
    dims = 3 if what == "images" else 1
    return [f"{split}-{what}{mark}idx{dims}-ubyte{end}" for mark in "-." for end in ("", ".gz")]


def _idx_name(names: Collection[str], split: str, what: str) -> str | None:
    return next((name for name in _idx_names(split, what) if name in names), None)


def _load_idx_folder(path: Path, names: Collection[str]) -> tuple[ImageSet, ImageSet | None]:
    def part(split: str) -> ImageSet:
        files = []
        for what in ("images", "labels"):
            name = _idx_name(names, split, what)
            if name is None:
                missing = _idx_names(split, what)[0]
                raise data_error(f"{path}: {missing} (or .gz) is missing; put it beside the other IDX files")
            files.append(path / name)
        return _image_set(load_idx(files[0]), files[0], load_idx(files[1]), files[1])

    has_test = _idx_name(names, "t10k", "images") or _idx_name(names, "t10k", "labels")
    return part("train"), part("t10k") if has_test else None


def _check_pair(path: Path, train: ImageSet, test: ImageSet) -> None:
    a, b = train.images.shape[1:], test.images.shape[1:]
    if a != b:
        raise data_error(
            f"{path}: training images of {sizes(a)} and test images of {sizes(b)} (height x width); "
            "bring them to one size"
        )
    if train.binarization != test.binarization:
        kinds = ["grey" if part.binarization is None else "binary" for part in (train, test)]
        raise data_error(f"{path}: {kinds[0]} training images and {kinds[1]} test images; save both in the same way")
