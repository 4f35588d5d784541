# SPDX-License-Identifier: BSD-3-Clause
"""The folder layout of MVTec AD, and plain folders of good pictures.

    category/train/good/NNN.png
    category/test/good/NNN.png
    category/test/<defect>/NNN.png
    category/ground_truth/<defect>/NNN_mask.png

P. Bergmann, K. Batzner, M. Fauser, D. Sattlegger, C. Steger, "The MVTec anomaly detection dataset", International
Journal of Computer Vision 129(4), 2021.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from ..io.files import atomic_write, make_folder
from ._files import as_path, data_error, printable, sizes, too_large
from .folder import refuse_mixture
from .inspection import GOOD, InspectionSet
from .picturefile import has_color, list_pictures, no_pictures, opened, read_picture, read_pictures

Color = Literal["auto", "grey", "rgb"]
SizeOf = Callable[[Path], tuple[int, int] | None]  # the size that a first picture tells; None: as it is

COLORS: tuple[Color, ...] = ("auto", "grey", "rgb")
_MEND = "give a size to bring all pictures to, such as 256"
# A mask of values above this is one of black and white; otherwise its values number the kinds of defects.
_MASK_THRESHOLD = 127


def load_mvtec(
    path: str | os.PathLike[str],
    size: int | tuple[int, int] | None = None,
    color: Color = "auto",
    max_side: int | None = None,
) -> InspectionSet:
    """Load a category of MVTec AD, or any folder of its layout.

    Parameters
    ----------
    path : str or os.PathLike
        The folder of the category: it holds `train/good`, `test/good`, `test/<defect>` and `ground_truth/<defect>`.
    size : int or (height, width), optional
        Resize all pictures to so many pixels (an integer: to a square) by an antialiased filter. Masks are resized such
        that small defects survive. By default the pictures stay as they are, and must be of one size.
    color : {"auto", "grey", "rgb"}
        "auto" is "rgb" if any training picture has colour, else "grey".
    max_side : int, optional
        Without a size: pictures of more pixels along a side are shrunk to so many along the longer one.

    Returns
    -------
    InspectionSet

    Raises
    ------
    DataError
        One line that names the file or folder, what is wrong and what to do.
    ValueError
        A size or colour that is none.
    """
    size_of, path = _check_size(size, max_side), as_path(path)
    validation.check_choice(color, "color", COLORS)
    for part in ("train", "test"):
        if not (path / part).is_dir():
            inside = _categories(path)
            mend = f"a category in it, such as {path / inside[0]}" if inside else "the folder of a category"
            raise data_error(f"{path}: no folder {part} as in the layout of MVTec AD; give {mend}, or plain folders")
    train = _pictures_of(path / "train" / GOOD)
    test, defects = _test_pictures(path / "test")
    if defects is None:
        raise data_error(f"{path / 'test'}: pictures outside of folders; move them to test/{GOOD} or test/DEFECT")
    return _load(path.resolve().name, train, test, defects, size_of, color, path / "ground_truth")


def load_good_and_test(
    good: str | os.PathLike[str],
    test: str | os.PathLike[str] | None = None,
    size: int | tuple[int, int] | None = None,
    color: Color = "auto",
    max_side: int | None = None,
) -> InspectionSet:
    """Load a plain folder of good pictures, and perhaps one of pictures to judge.

    Parameters
    ----------
    good : str or os.PathLike
        A folder of normal pictures.
    test : str or os.PathLike, optional
        A folder of pictures: either at its top, which leaves them without labels, or in sub-folders, one of which may
        be called `good`; the others are kinds of defects.
    size, color, max_side
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
    size_of, good = _check_size(size, max_side), as_path(good, "good")
    validation.check_choice(color, "color", COLORS)
    pictures, defects = (None, None) if test is None else _test_pictures(as_path(test, "test"))
    return _load(good.resolve().name, _pictures_of(good), pictures, defects, size_of, color)


def load_test(
    path: str | os.PathLike[str], size: int | tuple[int, int] | None = None, color: Literal["grey", "rgb"] = "grey"
) -> InspectionSet:
    """Load pictures to judge, without any to learn from.

    Parameters
    ----------
    path : str or os.PathLike
        A category in the layout of MVTec AD, of which the test part is taken; a folder of pictures as the `test` of
        :func:`load_good_and_test`; or one picture.
    size : int or (height, width), optional
        As for :func:`load_mvtec`.
    color : {"grey", "rgb"}

    Returns
    -------
    InspectionSet
        ``train`` is None. Labels, kinds of defects and masks where they are known.

    Raises
    ------
    DataError, ValueError
        As :func:`load_mvtec`.
    """
    size_of, path = _check_size(size), as_path(path)
    validation.check_choice(color, "color", ("grey", "rgb"))
    if not path.is_dir():
        return _load(path.stem, [], [path], None, size_of, color)
    is_category = (path / "test").is_dir() and not list_pictures(path)[0]
    pictures, defects = _test_pictures(path / "test" if is_category else path)
    ground_truth = path / "ground_truth" if is_category and defects is not None else None
    return _load(path.resolve().name, [], pictures, defects, size_of, color, ground_truth)


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
    for picture, defect, mask in zip(dataset.test, dataset.defects, dataset.masks):
        name = f"{numbers[defect]:03}"
        numbers[defect] += 1
        _write_png(folder / "test" / defect / f"{name}.png", picture)
        if defect != GOOD:
            _write_png(folder / "ground_truth" / defect / f"{name}_mask.png", mask.astype(np.uint8) * 255)


def resized_mask(mask: npt.NDArray[np.bool_], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """A mask in another size, in which no defect vanishes.

    A pixel of the result belongs to a defect if the share of it that is covered is at least half of the largest such
    share within the connected defect: for large defects that is the nearest outline, and what is smaller than a pixel
    keeps one.

    Parameters
    ----------
    mask : ndarray of shape (h, w), bool
    size : (height, width)

    Returns
    -------
    ndarray of shape (height, width), bool

    Examples
    --------
    >>> mask = np.zeros((4, 4), bool)
    >>> mask[0, 0] = True
    >>> resized_mask(mask, (2, 2)).tolist()
    [[True, False], [False, False]]
    """
    from PIL import Image
    from scipy import ndimage

    height, width = size
    share = np.asarray(Image.fromarray(mask.astype(np.float32)).resize((width, height), Image.Resampling.BOX))
    defects, n_defects = ndimage.label(share > 0, structure=np.ones((3, 3)))
    largest = np.zeros(n_defects + 1)
    largest[1:] = ndimage.maximum(share, defects, np.arange(1, n_defects + 1))
    return (share > 0) & (share >= 0.5 * largest[defects])


def _categories(root: Path) -> list[str]:
    folders = list_pictures(root)[1] if root.is_dir() else []
    return [entry.name for entry in folders if (entry / "train" / GOOD).is_dir()]


def _check_size(size: int | tuple[int, int] | None, max_side: int | None = None) -> SizeOf:
    """A function that tells (height, width) from the first picture: as given, or by ``max_side``."""
    if size is not None:
        shape = validation.check_shape((size, size) if np.ndim(size) == 0 else size, "size")
        return lambda path: shape
    if max_side is None:
        return lambda path: None
    most = validation.check_integer(max_side, "max_side", 1, 2**20)

    def at_most(path: Path) -> tuple[int, int] | None:
        with opened(path) as picture:
            width, height = picture.size
        longer = max(width, height)
        if longer <= most:
            return None
        return max(1, round(height * most / longer)), max(1, round(width * most / longer))

    return at_most


def _pictures_of(folder: Path) -> list[Path]:
    """The pictures of a folder that must hold some, and no folders of pictures beside them."""
    if not folder.is_dir():
        raise data_error(f"{folder}: no such folder; give the folder that holds the good pictures")
    pictures, folders = list_pictures(folder)
    if not pictures:
        raise no_pictures(folder)
    refuse_mixture(folder, pictures, folders)
    return pictures


def _test_pictures(folder: Path) -> tuple[list[Path], tuple[str, ...] | None]:
    """(paths, kind of defect of each); None for the kinds if the pictures lie at the top."""
    if not folder.is_dir():
        raise data_error(f"test: {folder} is a file; give the folder that holds it")
    pictures, folders = list_pictures(folder)
    if pictures:
        refuse_mixture(folder, pictures, folders)
        return pictures, None
    defects = []
    for entry in folders:
        found = _pictures_of(entry)
        pictures += found
        defects += [entry.name] * len(found)
    if not pictures:
        raise no_pictures(folder, "it or its folders")
    return pictures, tuple(defects)


def _load(
    category: str,
    train: list[Path],
    test: list[Path] | None,
    defects: tuple[str, ...] | None,
    size_of: SizeOf,
    color: Color,
    ground_truth: Path | None = None,
) -> InspectionSet:
    first = (*train, *(test or ()))[0]
    if color == "auto":
        color = "rgb" if any(has_color(path) for path in train) else "grey"
    size = size_of(first)
    try:
        images = read_pictures(train, color, size, _MEND) if train else None
        if test is None:
            return InspectionSet(printable(category), images, train_names=_names(train))
        test_images = read_pictures(test, color, size, _MEND)
        if images is not None and test_images.shape[1:] != images.shape[1:]:
            raise data_error(
                f"{test[0]}: {sizes(test_images.shape[1:3])} pixels (height x width), but the training pictures have "
                f"{sizes(images.shape[1:3])}; {_MEND}"
            )
        masks = None
        if ground_truth is not None and defects is not None:
            masks = np.zeros(test_images.shape[:3], dtype=bool)
            files = {defect: _masks_of(ground_truth / defect) for defect in set(defects) - {GOOD}}
            for i, (path, defect) in enumerate(zip(test, defects)):
                if defect != GOOD:
                    masks[i] = _read_mask(_mask_file(path, defect, ground_truth, files), path, test_images.shape[1:3])
    except MemoryError as error:
        raise too_large(first.parent) from error
    labels = None if defects is None else np.array([defect != GOOD for defect in defects], dtype=np.int64)
    names = _names(test) if defects is None else tuple(f"{path.parent.name}/{path.name}" for path in test)
    return InspectionSet(
        printable(category), images, test_images, labels, defects, masks, _names(train) if train else None, names
    )


def _names(paths: Iterable[Path]) -> tuple[str, ...]:
    return tuple(path.name for path in paths)


def _masks_of(folder: Path) -> dict[str, Path]:
    """The mask files of a kind of defect, by the name that their picture has: that of MVTec AD, or the same name."""
    if not folder.is_dir():
        return {}
    files = list_pictures(folder)[0]
    return {file.stem: file for file in files} | {file.stem.removesuffix("_mask"): file for file in files}


def _mask_file(path: Path, defect: str, ground_truth: Path, files: Mapping[str, Mapping[str, Path]]) -> Path:
    if path.stem not in files[defect]:
        raise data_error(
            f"{ground_truth / defect / (path.stem + '_mask.png')}: the mask of {path} is missing; add it, or load the "
            "pictures as plain folders without masks"
        )
    return files[defect][path.stem]


def _read_mask(file: Path, path: Path, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """The mask of a picture in the size that the picture has been brought to."""
    with opened(path) as picture:
        width, height = picture.size
    values = read_picture(file)
    if values.shape != (height, width):
        raise data_error(
            f"{file}: {values.shape[1]}x{values.shape[0]} pixels (width x height), but its picture {path} has "
            f"{width}x{height}; give a mask of the same size"
        )
    mask = values > (_MASK_THRESHOLD if values.max() > _MASK_THRESHOLD else 0)
    return mask if mask.shape == shape else resized_mask(mask, shape)


def _write_png(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    from PIL import Image

    make_folder(path.parent)
    with atomic_write(path) as file:
        Image.fromarray(pixels).save(file, format="PNG")
