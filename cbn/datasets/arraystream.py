# SPDX-License-Identifier: BSD-3-Clause
"""Arrays of images in files, in chunks."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from . import source
from ._files import printable
from .arrays import Labels, read_npz, to_labels
from .idx import load_idx
from .imageset import ImageSet
from .layout import TRAIN
from .pictureoptions import Options
from .pieces import Pieces, idx_pieces, npy_pieces, npz_pieces
from .report import LeftOut, ReadingReport

Arrays = dict[str, tuple[Pieces, Labels | None]]  # by split
# To see what its values are, a file is read in parts of about so many bytes.
SURVEY_BYTES = 2**22


class ArrayChunks:
    """The images of one or several arrays, by split; see cbn.datasets.stream.Chunks.

    What is white and whether images are binary follows from all values, so that files are read twice where the first values
    do not tell it.
    """

    has_names = False

    def __init__(self, arrays: Arrays, options: Options, path: Path, left_out: tuple[LeftOut, ...]) -> None:
        self._arrays, self._options, self._path, self._left_out = arrays, options, path, left_out
        self._levels = {
            split: pieces.levels(max(1, SURVEY_BYTES // pieces.image_bytes), options.full_scale)
            for split, (pieces, _) in arrays.items()
        }
        source.check_splits(
            path,
            {split: (pieces.image_shape, self._levels[split].binarization) for split, (pieces, _) in arrays.items()},
        )
        first, (pieces, _) = next(iter(arrays.items()))
        self.counts = {split: len(own) for split, (own, _) in arrays.items()}
        self.n_done = 0
        self.binarization = self._levels[first].binarization
        self.image_shape = pieces.image_shape
        self.image_bytes = max(own.image_bytes for own, _ in arrays.values())
        self.source = printable(pieces.where)
        self.report: ReadingReport | None = None

    def label_counts(self, split: str) -> dict[int | str, int] | None:
        """The labels of a split and the images of each, or None."""
        labels = self._arrays[split][1]
        if labels is None:
            return None
        present, counts = np.unique(labels, return_counts=True)
        return dict(zip(present.tolist(), counts.tolist()))

    def sets(self, chunk_size: int) -> Iterator[ImageSet]:
        """All images in order."""
        for split, (pieces, labels) in self._arrays.items():
            levels, first = self._levels[split], 0
            for array in pieces.parts(chunk_size):
                images = levels.images(array, pieces.where, self._options.color, first)
                end = first + len(images)
                self.n_done += len(images)
                yield ImageSet(
                    images, None if labels is None else labels[first:end], source=printable(pieces.where),
                    binarization=levels.binarization, split=split,
                )  # fmt: skip
                first = end
        self.report = ReadingReport(printable(self._path), self.counts, self._left_out)


def arrays_of(
    path: Path, kind: source.Kind, labels: str | os.PathLike[str] | None
) -> tuple[Arrays, tuple[LeftOut, ...]]:
    """The arrays of a source by split, their labels read; and what lies beside them. Raises DataError."""
    if kind == "IDX folder":
        found, left_out = source.idx_files(path)
        arrays: Arrays = {}
        for split, (images, own) in found.items():
            pieces = idx_pieces(images)
            arrays[split] = pieces, to_labels(load_idx(own), str(own), len(pieces))
        return arrays, left_out
    if kind == "archive":
        return _of_archive(path), ()
    pieces = npy_pieces(path) if path.suffix.lower() == ".npy" else idx_pieces(path)
    own_labels = source.labels_array(labels)
    return {TRAIN: (pieces, None if own_labels is None else to_labels(own_labels, str(labels), len(pieces)))}, ()


def _of_archive(path: Path) -> Arrays:
    images, labels = npz_pieces(path, source.CONVENTIONS), read_npz(path, source.CONVENTIONS, ("labels",))
    arrays: Arrays = {}
    for split, (x, y) in source.keys_by_split(path, {*images, *labels}).items():
        own = to_labels(labels[y], f"{path}, key {y!r}", len(images[x])) if y in labels else None
        arrays[split] = images[x], own
    return arrays
