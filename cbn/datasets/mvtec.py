# SPDX-License-Identifier: BSD-3-Clause
"""The folder layout of MVTec AD, and plain folders of good pictures.

    category/train/good/NNN.png
    category/test/good/NNN.png
    category/test/<defect>/NNN.png
    category/ground_truth/<defect>/NNN_mask.png

Folders may be called in upper or lower case; `good` may be `ok` or `normal`, `ground_truth` may be `masks`, and the splits
have the names of cbn.datasets.layout. Beside `NNN_mask.png`, a mask may be `NNN.png`, a `.npy` file, or all pictures in a
folder `NNN`.

P. Bergmann, K. Batzner, M. Fauser, D. Sattlegger, C. Steger, "The MVTec anomaly detection dataset", International
Journal of Computer Vision 129(4), 2021.
"""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..io.files import atomic_write, make_folder
from ._files import as_path, data_error, listed, printable, scan
from .inspection import InspectionSet
from .layout import GOOD, TEST, TRAIN, VAL, are_masks, is_good, split_of
from .listing import Lister, no_pictures, refuse_mixture
from .maskfiles import read_masks
from .picturefile import Background
from .pictureoptions import Color, Options, Size
from .pictures import read_pictures
from .report import Notes

COLORS: tuple[Color, ...] = ("auto", "grey", "rgb")


def load_mvtec(
    path: str | os.PathLike[str],
    size: Size | None = None,
    color: Color = "auto",
    max_side: int | None = None,
    *,
    background: Background = "black",
    full_scale: float | None = None,
    skip_bad: bool = False,
    n_jobs: int | None = None,
) -> InspectionSet:
    """Load a category of MVTec AD, or any folder of its layout.

    Parameters
    ----------
    path : str or os.PathLike
        The folder of the category: it holds `train/good`, `test/good`, `test/<defect>` and `ground_truth/<defect>`.
    size : int or (height, width), optional
        Resize all pictures to exactly so many pixels (an integer: to a square) by an antialiased filter, whatever their
        proportions. Masks are resized such that small defects survive. By default the pictures stay as they are, and must
        be of one size.
    color : {"auto", "grey", "rgb"}
        "auto" is "rgb" if any picture, to learn from or to judge, has colour; else "grey".
    max_side : int, optional
        Without a size: pictures of more pixels along a side are shrunk to so many along the longer one.
    background, full_scale, skip_bad, n_jobs
        As for :func:`cbn.datasets.load_images`.

    Returns
    -------
    InspectionSet
        Its `report` has what was left out and what was assumed. Defective pictures whose mask is missing or empty are
        named by a warning, and False in `has_mask`.

    Raises
    ------
    DataError
        One line that names the file or folder, what is wrong and what to do.
    ValueError
        A size or colour that is none.
    """
    options = Options.checked(size, color, COLORS, background, full_scale, skip_bad, max_side, n_jobs)
    path = as_path(path)
    lister = Lister(Notes(path))
    parts = _parts(path, lister)
    for split in (TRAIN, TEST):
        if split not in parts:
            inside = _categories(path)
            mend = f"a category in it, such as {path / inside[0]}" if inside else "the folder of a category"
            raise data_error(
                f"{path}: no folder {split} as in the layout of MVTec AD; give {mend}, or give plain folders to load_good_and_test"
            )
    train = _good_pictures(parts[TRAIN], lister)
    test = _test_pictures(parts[TEST], lister)
    if test.defects is None:
        raise data_error(f"{parts[TEST]}: pictures outside of folders; move them to {TEST}/{GOOD} or {TEST}/DEFECT")
    if VAL in parts:
        lister.leave_out(parts[VAL], "validation, neither learned from nor judged")
    return _load(path, train, test, options, lister, parts.get(_MASKS))


def load_good_and_test(
    good: str | os.PathLike[str],
    test: str | os.PathLike[str] | None = None,
    size: Size | None = None,
    color: Color = "auto",
    max_side: int | None = None,
    *,
    background: Background = "black",
    full_scale: float | None = None,
    skip_bad: bool = False,
    n_jobs: int | None = None,
) -> InspectionSet:
    """Load a plain folder of good pictures, and perhaps one of pictures to judge.

    Parameters
    ----------
    good : str or os.PathLike
        A folder of normal pictures.
    test : str or os.PathLike, optional
        A folder of pictures: either at its top, which leaves them without labels, or in sub-folders, one of which may
        be called `good`, `ok` or `normal`; the others are kinds of defects.
    size, color, max_side, background, full_scale, skip_bad, n_jobs
        As for :func:`load_mvtec`.

    Returns
    -------
    InspectionSet
        Without masks.

    Raises
    ------
    DataError, ValueError
        As :func:`load_mvtec`.
    """
    options = Options.checked(size, color, COLORS, background, full_scale, skip_bad, max_side, n_jobs)
    good = as_path(good, "good")
    lister = Lister(Notes(good))
    judged = None
    if test is not None:
        test = as_path(test, "test")
        if not test.is_dir():
            raise data_error(f"test: {test} is a file; give the folder that holds it")
        root = Path(os.path.commonpath([good.absolute(), test.absolute()]))
        lister = Lister(Notes(root if root not in (Path(root.anchor), good.absolute()) else good))
        judged = _test_pictures(test, lister)
    return _load(good, _pictures_of(good, lister), judged, options, lister)


def load_test(
    path: str | os.PathLike[str],
    size: Size | None = None,
    color: Color = "auto",
    *,
    background: Background = "black",
    full_scale: float | None = None,
    skip_bad: bool = False,
    n_jobs: int | None = None,
) -> InspectionSet:
    """Load pictures to judge, without any to learn from.

    Parameters
    ----------
    path : str or os.PathLike
        A category in the layout of MVTec AD, of which the test part is taken; a folder of pictures as the `test` of
        :func:`load_good_and_test`; or one picture.
    size, color, background, full_scale, skip_bad, n_jobs
        As for :func:`load_mvtec`. With "grey" the report says how many pictures had colour.

    Returns
    -------
    InspectionSet
        ``train`` is None. Labels, kinds of defects and masks where they are known.

    Raises
    ------
    DataError, ValueError
        As :func:`load_mvtec`.
    """
    options = Options.checked(size, color, COLORS, background, full_scale, skip_bad, n_jobs=n_jobs)
    path = as_path(path)
    lister = Lister(Notes(path))
    test, masks = found_test(path, lister)
    return _load(path, [], test, options, lister, masks)


def found_test(path: Path, lister: Lister) -> tuple["Judged", Path | None]:
    """The pictures to judge, and the folder of their masks."""
    if not path.is_dir():
        return Judged([path], None), None
    parts = {} if lister.listed(path)[0] else _parts(path, lister, of_category=False)
    if TEST not in parts:
        return _test_pictures(path, lister), None
    if VAL in parts:
        lister.leave_out(parts[VAL], "validation, not judged")
    test = _test_pictures(parts[TEST], lister)
    return test, parts.get(_MASKS) if test.defects is not None else None


def list_categories(root: str | os.PathLike[str]) -> list[str]:
    """Names of the categories of a whole MVTec AD tree, sorted: its sub-folders that hold `train/good`.

    Raises
    ------
    DataError
        If there are none.

    Examples
    --------
    >>> import tempfile
    >>> from .synthetic import make_category
    >>> with tempfile.TemporaryDirectory() as root:
    ...     write_mvtec(f"{root}/linen", make_category("texture", 1, 1, 1, size=32))
    ...     list_categories(root), load_mvtec(f"{root}/linen").describe()
    (['linen'], 'linen: 1 training and 5 test pictures of 32x32, grey, 4 with defects')
    """
    root = as_path(root, "root")
    found = _categories(root)
    if not found:
        mend = f"expected folders with train/{GOOD}"
        if (root / "train").is_dir():
            mend = f"it is one itself: give {root.resolve().parent}"
        raise data_error(f"{root}: no categories of MVTec AD inside; {mend}")
    return found


def write_mvtec(folder: str | os.PathLike[str], dataset: InspectionSet) -> None:
    """Write an InspectionSet in the layout of MVTec AD, as PNG files.

    Parameters
    ----------
    folder : str or os.PathLike
        The folder of the category; it is created. Files of the same names are replaced, others stay.
    dataset : InspectionSet
        With test pictures, defects and masks.

    Raises
    ------
    DataError
        If the set lacks what the layout holds.
    CbnError
        If a file cannot be written.
    """
    if dataset.train is None or dataset.test is None or dataset.defects is None or dataset.masks is None:
        raise data_error("dataset: pictures, defects or masks are missing; the layout of MVTec AD holds them all")
    folder = Path(folder)
    for number, picture in enumerate(dataset.train):
        _write_png(folder / "train" / GOOD / f"{number:03}.png", picture)
    numbers = dict.fromkeys(dataset.defects, 0)
    known = np.ones(len(dataset.test), bool) if dataset.has_mask is None else dataset.has_mask
    for picture, defect, mask, has_mask in zip(dataset.test, dataset.defects, dataset.masks, known):
        name = f"{numbers[defect]:03}"
        numbers[defect] += 1
        _write_png(folder / "test" / defect / f"{name}.png", picture)
        if defect != GOOD and has_mask:
            _write_png(folder / "ground_truth" / defect / f"{name}_mask.png", mask.astype(np.uint8) * 255)


_MASKS = "masks"


@dataclass(frozen=True)
class Judged:
    """Pictures to judge, and the kind of defect of each, or None where this is not known."""

    paths: list[Path]
    defects: list[str] | None


def _categories(root: Path) -> list[str]:
    """Folders with good training pictures."""
    found = []
    for entry in scan(root)[1] if root.is_dir() else []:
        train = [folder for folder in scan(entry)[1] if split_of(folder.name) == TRAIN]
        if any(is_good(folder.name) for folders in train for folder in scan(folders)[1]):
            found.append(entry.name)
    return found


def _parts(path: Path, lister: Lister, of_category: bool = True) -> dict[str, Path]:
    """The folders of a category by what they hold: "train", "val", "test", "masks"; everything else is left out."""
    if not path.is_dir():
        return {}
    pictures, folders = lister(path)
    parts: dict[str, Path] = {}
    others = []
    for folder in folders:
        part = _MASKS if are_masks(folder.name) else split_of(folder.name)
        if part is None:
            others.append(folder)
        elif part in parts:
            raise data_error(f"{path}: {parts[part].name} and {folder.name} are both {part}; keep one of them")
        else:
            parts[part] = folder
    if of_category or TEST in parts:
        lister.notes.leave_out_all(pictures, "beside the folders of the layout")
        for folder in others if TRAIN in parts or TEST in parts else []:
            lister.leave_out(folder, "beside the folders of the layout")
    return parts


def _good_pictures(folder: Path, lister: Lister) -> list[Path]:
    """The good pictures of a folder of training pictures."""
    pictures, folders = lister(folder)
    good = [entry for entry in folders if is_good(entry.name)]
    if not good:
        raise data_error(f"{folder / GOOD}: no such folder; give the folder that holds the good pictures")
    lister.notes.leave_out_all(pictures, f"beside the folder {good[0].name}")
    for entry in folders:
        if entry not in good:
            lister.leave_out(entry, "for training, but not good")
    return [picture for entry in good for picture in _pictures_of(entry, lister)]


def _pictures_of(folder: Path, lister: Lister) -> list[Path]:
    """The pictures of a folder that must hold some, and no folders of pictures beside them."""
    if not folder.is_dir():
        raise data_error(f"{folder}: no such folder; give the folder that holds the good pictures")
    pictures, folders = lister(folder)
    if not pictures:
        raise no_pictures(folder)
    refuse_mixture(folder, pictures, folders, lister)
    return pictures


def _test_pictures(folder: Path, lister: Lister) -> Judged:
    """The pictures of a folder, or of the folders in it, which are called by their defects."""
    pictures, folders = lister(folder)
    if pictures:
        refuse_mixture(folder, pictures, folders, lister)
        return Judged(pictures, None)
    defects = []
    for entry in folders:
        found = _pictures_of(entry, lister)
        pictures += found
        defects += [GOOD if is_good(entry.name) else entry.name] * len(found)
        if is_good(entry.name) and entry.name != GOOD:
            lister.notes.assume(f"folder {entry.name} holds good pictures")
    if not pictures:
        raise no_pictures(folder, "it or its folders")
    return Judged(pictures, defects)


def _load(
    path: Path, train: list[Path], test: Judged | None, options: Options, lister: Lister, masks: Path | None = None
) -> InspectionSet:
    """Read all pictures together, because one size, scale and number of channels must fit them all."""
    notes = lister.notes
    judged = [] if test is None else test.paths
    read = read_pictures([*train, *judged], options, notes, path)
    learned = sum(own in set(train) for own in read.paths) if train else 0
    for part, first, last in (("train", 0, learned), ("test", learned, len(read.paths))):
        if first == last and (train if part == "train" else judged):
            raise data_error(f"{path}: none of the {part} pictures can be read; replace the files")
    names = tuple(own.name + extra for own, extra in zip(read.paths, read.parts))
    category = printable(path.stem if path.is_file() else path.resolve().name)
    images = read.images[:learned] if train else None
    if test is None:
        return InspectionSet(category, images, train_names=names, report=notes.report({TRAIN: learned}))
    counts = ({TRAIN: learned} if train else {}) | {TEST: len(read.paths) - learned}
    test_images, test_names, defects, labels, found, has_mask = (
        read.images[learned:],
        names[learned:],
        None,
        None,
        None,
        None,
    )
    without: list[str] = []
    if test.defects is not None:
        kind = dict(zip(test.paths, test.defects))
        defects = tuple(kind[own] for own in read.paths[learned:])
        labels = np.array([defect != GOOD for defect in defects], dtype=np.int64)
        test_names = tuple(f"{own.parent.name}/{name}" for own, name in zip(read.paths[learned:], test_names))
        if masks is not None:
            found = read_masks(masks, read, learned, defects, lister)
            has_mask = (labels == 0) | found.any(axis=(1, 2))
            without = [name for name, known in zip(test_names, has_mask) if not known]
    elif masks is not None:
        lister.leave_out(masks, "masks, not read")
    if without:
        warnings.warn(
            f"{masks}: the masks of {len(without)} defective pictures are missing or empty, which figures of pixels leave "
            f"out: {listed(without, 5)}",
            stacklevel=3,
        )
    return InspectionSet(
        category, images, test_images, labels, defects, found, names[:learned] if train else None, test_names, has_mask,
        notes.report(counts, without),
    )  # fmt: skip


def _write_png(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    from PIL import Image

    make_folder(path.parent)
    with atomic_write(path) as file:
        Image.fromarray(pixels).save(file, format="PNG")
