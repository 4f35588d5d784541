# SPDX-License-Identifier: BSD-3-Clause
"""What model files of every kind share: the name of the format, its newest version, and who reads which kind."""

import dataclasses
import numbers
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from zipfile import ZipFile

import numpy as np

from .._params import Parameters
from .archive import read_archive

FORMAT, NEWEST_VERSION = "cbn-model", 13
DEFAULT_NAMES = "model.cbn", "iem.cbn"  # of the programs that train

T = TypeVar("T")


def read_model(path: Any, restore: Mapping[str, Callable[[ZipFile, dict[str, Any]], T]]) -> T:
    """What a model file holds.

    Parameters
    ----------
    path : str or path-like
    restore : mapping of str to callable
        For every kind that the caller knows, what makes a model of the open archive and its header. It checks whether
        the header's version knows the kind, and may raise anything in DAMAGE.

    Raises
    ------
    ModelFileError
        "not a cbn model", "newer than this version" or "damaged: ...".
    """

    def restore_kind(archive: ZipFile, header: dict[str, Any]) -> T:
        kind = header["kind"]
        if not isinstance(kind, str) or kind not in restore:
            raise ValueError(f"kind {kind!r}")
        return restore[kind](archive, header)

    missing = "check the spelling"
    if Path(path).name in DEFAULT_NAMES:
        missing = "train a model first, for example with cbn-train or cbn-iem-train, or name another file"
    return read_archive(Path(path), "a cbn model", missing, FORMAT, NEWEST_VERSION, restore_kind)


def plain(value: object) -> Any:
    """An argument as JSON: fields of parameter objects and dataclasses by name; null for what is no argument to keep."""
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, np.ndarray | tuple | list):
        return [plain(own) for own in value]
    if isinstance(value, Parameters):
        return {name: plain(own) for name, own in value.get_params(deep=False).items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {own.name: plain(getattr(value, own.name)) for own in dataclasses.fields(value)}
    return float(value) if isinstance(value, numbers.Real) else None
