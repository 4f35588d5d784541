# SPDX-License-Identifier: BSD-3-Clause
"""What names of folders mean: the splits, the good pictures, the masks."""

from collections.abc import Iterable
from pathlib import Path

from ._files import data_error

TRAIN, VAL, TEST = SPLITS = ("train", "val", "test")
GOOD = "good"

_SPLIT_OF = {
    "train": TRAIN, "training": TRAIN, "val": VAL, "valid": VAL, "validation": VAL, "dev": VAL,
    "test": TEST, "testing": TEST, "eval": TEST, "evaluation": TEST,
}  # fmt: skip
# Names that are also good labels, as in valid and invalid: splits only beside a folder of training pictures.
_ALSO_LABELS = {"valid", "dev", "eval", "evaluation"}
_GOOD = {"good", "ok", "normal"}
_MASKS = {"ground_truth", "ground-truth", "groundtruth", "masks"}


def is_good(name: str) -> bool:
    """Whether a folder of this name holds pictures without defects."""
    return name.strip().lower() in _GOOD


def are_masks(name: str) -> bool:
    """Whether a folder of this name holds masks of defects."""
    return name.strip().lower() in _MASKS


def split_of(name: str) -> str | None:
    """The split that a folder's name stands for, or None."""
    return _SPLIT_OF.get(name.strip().lower())


def find_splits(parent: Path, folders: Iterable[Path]) -> dict[str, Path] | None:
    """The folders of splits by split, or None where the folders are labels.

    They are splits if a training folder has validation or test pictures beside it, or nothing at all but masks.

    Raises
    ------
    DataError
        Two folders of one split, or validation or test pictures without training pictures.
    """
    folders = list(folders)
    named: dict[str, list[Path]] = {}
    others = []
    for folder in folders:
        split = split_of(folder.name)
        if split is None:
            others.append(folder)
        else:
            named.setdefault(split, []).append(folder)
    if TRAIN not in named:
        strict = [f for own in named.values() for f in own if f.name.strip().lower() not in _ALSO_LABELS]
        if strict:
            held = " and ".join(folder.name for folder in strict)
            raise data_error(
                f"{parent}: holds a folder {held} but no folder train; put what is to be learned into train, or give "
                f"{strict[0]}"
            )
        return None
    if len(named) == 1 and any(not are_masks(folder.name) for folder in others):
        return None  # "train" beside "car" and "plane"
    for split, own in named.items():
        if len(own) > 1:
            names = " and ".join(folder.name for folder in own)
            raise data_error(f"{parent}: {names} are both {split}; keep one of them, or move one elsewhere")
    return {split: named[split][0] for split in SPLITS if split in named}
