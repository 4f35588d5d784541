# SPDX-License-Identifier: BSD-3-Clause
"""The masks of many pictures: which file belongs to which picture, in the size that the picture was brought to."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ._files import data_error, scan, sizes
from .layout import GOOD
from .listing import Lister
from .mask import read_mask, resized_mask
from .pictures import Pictures


def read_masks(
    root: Path, read: Pictures, learned: int, defects: Sequence[str], lister: Lister
) -> npt.NDArray[np.bool_]:
    """The mask of every picture to judge, in its size; empty where there is none."""
    shape = read.images.shape[1:3]
    masks = np.zeros((len(defects), *shape), dtype=bool)
    files = _MaskFiles(root, lister)
    for i, (path, part, size) in enumerate(zip(read.paths[learned:], read.parts[learned:], read.shapes[learned:])):
        for file in files.of(path, part):
            try:
                mask = read_mask(file)
            except ValueError as error:
                raise data_error(f"{error} (the mask of {path})") from error
            if mask.shape != size:
                raise data_error(
                    f"{file}: {sizes(mask.shape)} pixels (height x width), but its picture {path} has {sizes(size)}; give "
                    "a mask of the same size"
                )
            if defects[i] != GOOD:
                masks[i] |= mask if mask.shape == shape else resized_mask(mask, shape)
            elif mask.any():
                lister.notes.leave_out(file, "mask of a good picture")
    files.leave_out_rest()
    return masks


class _MaskFiles:
    """The files of masks by the folder and the name of their pictures."""

    def __init__(self, root: Path, lister: Lister) -> None:
        self.lister, self.unused = lister, dict[Path, None]()
        self._files: dict[tuple[str, str], list[Path]] = {}
        for folder in lister(root)[1]:
            for file in self._in(folder):
                self._add(folder, file.stem.removesuffix("_mask"), file)
                if file.stem.endswith("_mask"):
                    self._add(folder, file.stem, file)
            for deeper in lister(folder)[1]:  # several masks of one picture
                for file in self._in(deeper):
                    self._add(folder, deeper.name, file)

    def _in(self, folder: Path) -> list[Path]:
        """Pictures and arrays."""
        files = self.lister(folder)[0]
        for file in scan(folder)[0]:
            if file.suffix.lower() == ".npy" and not file.name.startswith("."):
                self.lister.notes.take_back(file)  # no picture, but a mask
                files.append(file)
        return files

    def _add(self, folder: Path, name: str, file: Path) -> None:
        self.unused[file] = None
        self._files.setdefault((folder.name, name), []).append(file)

    def of(self, path: Path, part: str) -> list[Path]:
        """The files of the mask of a picture, or of one of its pages."""
        found = self._files.get((path.parent.name, path.stem + part)) or self._files.get(
            (path.parent.name, path.stem), []
        )
        for file in found:
            self.unused.pop(file, None)
        return found

    def leave_out_rest(self) -> None:
        self.lister.notes.leave_out_all(self.unused, "mask of no picture")
