# SPDX-License-Identifier: BSD-3-Clause
"""iter_images: what load_images reads, in chunks, for more images than memory holds."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from . import source
from ._files import as_path
from .arraystream import ArrayChunks, arrays_of
from .folder import parts_of_file, parts_of_folder
from .imageset import ImageSet
from .layout import SPLITS
from .picturefile import Background
from .pictureoptions import Options, Size
from .picturestream import PictureChunks
from .report import Notes, ReadingReport

T = TypeVar("T")
# A chunk holds as many images as have so many bytes, and at least one.
CHUNK_BYTES = 2**22


def iter_images(
    path: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    *,
    split: Literal["train", "val", "test"] | None = "train",
    chunk_size: int | None = None,
    size: Size | None = None,
    color: Literal["grey"] | None = None,
    background: Background = "black",
    full_scale: float | None = None,
    skip_bad: bool = False,
    n_jobs: int | None = None,
) -> "ImageStream":
    """Images from a file or folder in chunks, for more of them than memory holds.

    Reads what :func:`load_images` reads, gives the same images in the same order and refuses the same with the same
    messages; what is wrong with a later picture or with the end of a file is found when it is reached. Files must stay as
    they are meanwhile. Where white is not known beforehand (values of more than 8 bits without ``full_scale``, and whether
    an array holds only 0 and 1) the source is read twice, and arrays in Fortran order are read as a whole.

    Parameters
    ----------
    path, labels, size, color, background, full_scale, skip_bad, n_jobs
        As for :func:`load_images`.
    split : {"train", "val", "test"} or None
        Which part of the source; None is all its parts, one after the other. Others are read only to tell what is white.
    chunk_size : int, optional
        Images of a chunk; the last of a split may hold fewer. By default as many as have 4 MiB.

    Returns
    -------
    ImageStream
        An iterator of arrays (n, height, width) uint8, which ``fit`` takes as it is.

    Raises
    ------
    DataError
        One line that names the file, what was found and what to do; also while chunks are read.
    ValueError
        A size, colour, split or the like that is none.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/x.npy", np.arange(0, 250, 2, np.uint8).reshape(5, 5, 5))
    ...     chunks = iter_images(f"{folder}/x.npy", chunk_size=2)
    ...     chunks.image_shape, [len(chunk) for chunk in chunks], chunks.report.read
    ((5, 5), [2, 2, 1], {'train': 5})
    """
    options = Options.checked(size, color, (None, "grey"), background, full_scale, skip_bad, n_jobs=n_jobs)
    if split is not None:
        validation.check_choice(split, "split", SPLITS)
    if chunk_size is not None:
        chunk_size = validation.check_integer(chunk_size, "chunk_size", 1, 2**40)
    return ImageStream(_opened(as_path(path), labels, options, split), chunk_size)


class Chunks(Protocol):
    """A source that is read in chunks."""

    counts: dict[str, int]  # files or images by split
    n_done: int  # of these
    binarization: str | None
    image_shape: tuple[int, int]
    image_bytes: int
    has_names: bool
    source: str
    report: ReadingReport | None

    def label_counts(self, split: str) -> dict[int | str, int] | None: ...

    def sets(self, chunk_size: int) -> Iterator[ImageSet]: ...


class ImageStream(Iterator[npt.NDArray[np.uint8]]):
    """Images in chunks: an iterator of arrays (n, height, width) uint8; see :func:`iter_images`.

    Attributes
    ----------
    image_shape : (height, width)
    binarization : str or None
        None for grey images, as of an ImageSet.
    source : str
        A short description for people.
    has_names : bool
        Whether sets have the names of files.
    counts : dict of str to int
        By split: files of pictures, or images of arrays.
    report : ReadingReport or None
        What was read, left out and assumed; None until the last chunk has come.
    """

    def __init__(self, chunks: Chunks, chunk_size: int | None) -> None:
        self._chunks = chunks
        self.image_shape, self.binarization, self.source = chunks.image_shape, chunks.binarization, chunks.source
        self.counts, self.has_names = dict(chunks.counts), chunks.has_names
        self._sets = chunks.sets(chunk_size or max(1, CHUNK_BYTES // chunks.image_bytes))

    @property
    def report(self) -> ReadingReport | None:
        return self._chunks.report

    @property
    def n_done(self) -> int:
        """How many of ``counts``, of all splits, have been read."""
        return self._chunks.n_done

    def label_counts(self, split: str) -> dict[int | str, int] | None:
        """The labels of a split in order, with the files (of arrays: the images) of each; None where it has none."""
        return self._chunks.label_counts(split)

    def __next__(self) -> npt.NDArray[np.uint8]:
        return next(self._sets).images

    def sets(self) -> Iterator[ImageSet]:
        """The chunks that are left with their split, labels and names, where there are such: ImageSets without a report."""
        return self._sets


def _opened(path: Path, labels: str | os.PathLike[str] | None, options: Options, split: str | None) -> Chunks:
    """The counterpart of ``source.load_splits``."""
    kind = source.kind_of(path, labels)
    if kind == "folder":
        notes = Notes(path)
        parts = parts_of_folder(path, notes)
        chosen = _chosen(parts, path, split)
        others = [part for name, part in parts.items() if name not in chosen]
        return PictureChunks(chosen, options, notes, path, others)
    if kind == "picture":
        return PictureChunks(_chosen(parts_of_file(path), path, split), options, Notes(path), path)
    arrays, left_out = arrays_of(path, kind, labels)
    source.refuse_size(path, options)
    return ArrayChunks(_chosen(arrays, path, split), options, path, left_out)


def _chosen(parts: Mapping[str, T], path: Path, split: str | None) -> dict[str, T]:
    if split is None:
        return dict(parts)
    if split not in parts:
        raise source.no_such_split(path, split, parts)
    return {split: parts[split]}
