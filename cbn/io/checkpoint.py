# SPDX-License-Identifier: BSD-3-Clause
"""Checkpoints: what they belong to, and how any of them is read."""

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..exceptions import ModelFileError
from .archive import Content, Restore, read_archive


def fingerprint(data_sha256: str, setting: Mapping[str, object]) -> str:
    """What a checkpoint belongs to: a hash of the images and of every argument that training depends on.

    Parameters
    ----------
    data_sha256 : str
        Of the training bit-planes.
    setting : dict
        Arguments; anything with a telling repr.
    """
    text = json.dumps([data_sha256, sorted((name, repr(value)) for name, value in setting.items())])
    return hashlib.sha256(text.encode()).hexdigest()


def read_checkpoint(
    path: str | os.PathLike[str], format: str, version: int, mark: Callable[[int], str], restore: Restore[Content]
) -> tuple[Content, int]:
    """What ``restore(archive, header)`` makes of a checkpoint, and its seed; a ModelFileError if it is of something else.

    Parameters
    ----------
    path : str or path-like
    format : str
    version : int
    mark : callable, seed -> fingerprint
        What the checkpoint must belong to.
    restore : callable
    """

    def restore_own(archive: zipfile.ZipFile, header: dict[str, Any]) -> tuple[Content, int] | None:
        seed = header["seed"]
        if type(seed) is not int or not 0 <= seed < 2**64:
            raise ValueError(f"seed {seed!r}")
        return (restore(archive, header), seed) if header["fingerprint"] == mark(seed) else None

    path = Path(path)
    found = read_archive(path, "a cbn checkpoint", "there is nothing to resume", format, version, restore_own)
    if found is None:
        raise ModelFileError(
            f"{str(path)!r}: a checkpoint of other images, arguments or version of cbn; give the same ones, or delete "
            "it to begin anew"
        )
    return found
