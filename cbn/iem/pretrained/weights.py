# SPDX-License-Identifier: BSD-3-Clause
"""Weights of pretrained networks from files: .npz, .safetensors, .pth and .pt. Nothing in a file is ever executed."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...exceptions import CbnError, DataError
from ...io.archive import DAMAGE, reason_of
from ...io.npz import read_npz
from .torchfile import from_bfloat16, read_tensors

SAFETENSORS_TYPES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1", "U64": "u8", "U32": "u4",
    "U16": "u2", "U8": "u1", "BOOL": "b1",
}  # fmt: skip


def load_weights(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    """Arrays of a file of weights by name.

    Parameters
    ----------
    path : str or path-like
        ``.npz`` (arrays without Python objects), ``.safetensors`` (needs the package safetensors), ``.pth`` or ``.pt``
        (what ``torch.save`` writes of a state dictionary; read without PyTorch).

    Returns
    -------
    weights : dict of str to ndarray
        As in the file; of a PyTorch file read-only views.

    Raises
    ------
    DataError
        One line that names the file: missing, of another kind, damaged, or with anything but arrays of numbers.
    CbnError
        The package safetensors is missing.
    """
    path = os.fspath(path)
    suffix = Path(path).suffix.lower()
    readers: dict[str, Callable[[str], dict[str, npt.NDArray[Any]]]] = {
        ".npz": _read_npz,
        ".safetensors": _read_safetensors,
        ".pth": read_tensors,
        ".pt": read_tensors,
    }
    if suffix not in readers:
        raise DataError(f"{path!r}: weights come from {', '.join(readers)} files; give one of those")
    if not os.path.exists(path):
        raise DataError(f"{path!r}: no such file; give the path of a file of weights")
    if os.path.isdir(path):
        raise DataError(f"{path!r}: a folder; give the path of a file of weights")
    if not os.path.isfile(path):  # a pipe or a device would block for ever or never end
        raise DataError(f"{path!r}: not a regular file; give a file of weights on disk")
    weights = readers[suffix](path)
    if not weights:
        raise DataError(f"{path!r}: holds no arrays; give a file of weights")
    return weights


def _read_npz(path: str) -> dict[str, npt.NDArray[Any]]:
    return read_npz(path, "weights")


def _read_safetensors(path: str) -> dict[str, npt.NDArray[Any]]:
    try:
        from safetensors import SafetensorError, deserialize
    except ImportError:
        raise CbnError(
            f"{path!r}: the package safetensors is not installed; pip install 'cbn[transfer]', or give a .npz file"
        ) from None
    try:
        entries = deserialize(Path(path).read_bytes())  # checks sizes and offsets
        return {name: _from_safetensors(name, **entry) for name, entry in entries}
    except OSError as error:
        raise DataError(f"{path!r}: cannot be read: {error.strerror or error}") from None
    except MemoryError:
        raise DataError(f"{path!r}: too large for the memory of this machine") from None
    except (SafetensorError, *DAMAGE) as error:
        raise DataError(f"{path!r}: damaged: {reason_of(error)}") from None


def _from_safetensors(name: str, shape: Any, dtype: str, data: Any) -> npt.NDArray[Any]:
    """An array of one entry: little-endian, row-major."""
    if dtype == "BF16":
        values = from_bfloat16(data)
    elif dtype in SAFETENSORS_TYPES:
        values = np.frombuffer(data, f"<{SAFETENSORS_TYPES[dtype]}")
    else:
        raise ValueError(f"{name[:80]!r} is of type {dtype}; weights are numbers of 8 to 64 bits")
    return values.astype(values.dtype.newbyteorder("="), copy=False).reshape(shape)
