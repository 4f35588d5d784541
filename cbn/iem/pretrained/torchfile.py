# SPDX-License-Identifier: BSD-3-Clause
"""Tensors out of PyTorch's files (.pth, .pt), without PyTorch and without running anything that a file says.

Two formats. Since PyTorch 1.6 a zip: ``NAME/data.pkl`` is a pickle in which every tensor is a call of
``torch._utils._rebuild_tensor_v2`` on a storage named by a persistent id, ``NAME/data/KEY`` the bytes of a storage, not
compressed. Before, one stream: pickles of a magic number, a version and the writer's byte order, the pickle with the
tensors, a pickle with the order of the storages, then each storage as an int64 count and its bytes.

Tensors come out as read-only views of their storages, so that a small file cannot ask for much memory.
"""

import io
import math
import os
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ...exceptions import DataError
from .safepickle import Name, Refused, load, shown

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
HEAD = 64  # bytes that hold the pickle of the magic number, whatever the pickle's protocol
MAX_ENTRIES = 100_000  # containers and values in a file; bounds what containers that hold each other can unfold to
MAX_NAME = 1000  # characters
MAX_DEPTH = 32  # of containers in containers
MAX_DIMENSIONS = 8
# NumPy type codes with their bytes, and bf2 for bfloat16
STORAGES = {
    "torch.FloatStorage": "f4", "torch.DoubleStorage": "f8", "torch.HalfStorage": "f2", "torch.BFloat16Storage": "bf2",
    "torch.LongStorage": "i8", "torch.IntStorage": "i4", "torch.ShortStorage": "i2", "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1", "torch.BoolStorage": "b1",
}  # fmt: skip
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, KeyError, NotImplementedError, RuntimeError,
           UnicodeError, OverflowError)  # fmt: skip


def read_tensors(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    """All tensors of a PyTorch file.

    Parameters
    ----------
    path : str or path-like
        A file of ``torch.save``: a state dictionary, or tensors in dictionaries, lists and tuples.

    Returns
    -------
    tensors : dict of str to ndarray
        Names are joined by dots ("state_dict.features.0.weight"). Read-only; bfloat16 becomes float32.

    Raises
    ------
    DataError
        One line: the file is missing, damaged, or holds anything but tensors. Nothing in it is executed.
    """
    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
            file.seek(0)
            if head.startswith(b"PK\x03\x04"):
                tensors = _read_zip(file)
            else:
                _check_magic(head)  # before a large file of another kind is read
                tensors = _read_stream(file.read())
    except OSError as error:
        raise DataError(f"{path!r}: cannot be read: {error.strerror or error}") from None
    except MemoryError:
        raise DataError(f"{path!r}: too large for the memory of this machine") from None
    except Refused as error:
        raise DataError(f"{path!r}: {error}") from None
    except _DAMAGE as error:
        raise DataError(f"{path!r}: damaged: {type(error).__name__} while it was read") from None
    if not tensors:
        raise DataError(f"{path!r}: holds no tensors; save the model's state_dict()")
    return tensors


def from_bfloat16(content: bytes, order: str = "<") -> npt.NDArray[np.float32]:
    """float32 numbers of the bytes of bfloat16 ones, which are their upper halves and unknown to NumPy."""
    return (np.frombuffer(content, f"{order}u2").astype(np.uint32) << 16).view(np.float32)


class _Storage:
    """Numbers in a row that tensors are views of; their bytes come after the pickle."""

    def __init__(self, kind: str, size: int) -> None:
        self.kind, self.size, self.filled = kind, size, False
        self.values: npt.NDArray[Any] = np.empty(0)

    @property
    def n_bytes(self) -> int:
        return self.size * int(self.kind[-1])

    def fill(self, content: bytes, order: str) -> None:
        self.filled = True
        if self.kind == "bf2":
            self.values = from_bfloat16(content, order)
        elif self.kind == "b1":
            self.values = np.frombuffer(content, "u1") != 0  # bytes other than 0 and 1 would be odd booleans
        else:
            values = np.frombuffer(content, order + self.kind)
            self.values = values.astype(values.dtype.newbyteorder("="), copy=False)
        self.values.flags.writeable = False


class _Tensor:
    """A view of a storage, checked against its size when the pickle asks for it."""

    def __init__(self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> None:
        whole = [offset, *shape, *strides] if isinstance(shape, tuple) and isinstance(strides, tuple) else [None]
        if not isinstance(storage, _Storage) or not all(type(value) is int and value >= 0 for value in whole):
            raise Refused("damaged: a tensor that is no view of a storage")
        if len(shape) != len(strides) or len(shape) > MAX_DIMENSIONS:
            raise Refused(f"damaged: a tensor of {len(shape)} sizes and {len(strides)} strides")
        if 0 in shape:
            within = math.prod(size for size in shape if size) < 2**31  # what NumPy can express
        else:
            last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides))
            within = last < storage.size
            if within and math.prod(shape) > storage.size:
                raise Refused("a tensor that repeats its values (expand); save its contiguous() copy")
        if not within:
            raise Refused(f"damaged: a tensor reaches beyond its storage of {storage.size} values")
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self) -> npt.NDArray[Any]:
        values = self.storage.values
        if not math.prod(self.shape):
            return np.empty(self.shape, values.dtype)
        # where there is one value only its stride may be any number
        strides = [stride * values.itemsize if size > 1 else 0 for size, stride in zip(self.shape, self.strides)]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, strides, writeable=False)


def _ordered(*arguments: Any) -> OrderedDict[Any, Any]:
    if arguments:
        raise Refused("damaged: an ordered dictionary made from something")
    return OrderedDict()


def _parameter(data: Any, *_: Any) -> _Tensor:
    if not isinstance(data, _Tensor):
        raise Refused("damaged: a parameter that is no tensor")
    return data


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor_v2": _Tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "collections.OrderedDict": _ordered,
}
_NAMES = {*_FUNCTIONS, *STORAGES}


class _Storages(dict[str, _Storage]):
    """Key to storage, filled by the persistent ids of a pickle."""

    def __call__(self, identity: Any) -> _Storage:
        if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != "storage":
            raise Refused("damaged: a persistent id that is no storage")
        _, kind, key, _, size, *view = identity
        if view not in ([], [None]):
            raise Refused("storages that are views of others, from before PyTorch 0.4; save it again with a newer one")
        if not (isinstance(kind, Name) and kind.text in STORAGES and isinstance(key, str) and type(size) is int):
            raise Refused("damaged: a storage without type, key or size")
        if not 0 <= size < 2**60:
            raise Refused(f"damaged: a storage of {size} values")
        storage = self.setdefault(key, _Storage(STORAGES[kind.text], size))
        if (storage.kind, storage.size) != (STORAGES[kind.text], size):
            raise Refused(f"damaged: two descriptions of storage {shown(key)}")
        return storage


def _read_zip(file: BinaryIO) -> dict[str, npt.NDArray[Any]]:
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        pickles = [name for name in members if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1:
            raise Refused("not a PyTorch file: a zip without one data.pkl")
        prefix = pickles[0].removesuffix("data.pkl")
        room = os.fstat(file.fileno()).st_size  # members that overlap could claim more than there is

        def read(name: str, size: int | None = None) -> bytes:
            nonlocal room
            info = members[name]
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > room:
                raise Refused(f"damaged: {shown(name)} is compressed or larger than the file")
            if size not in (None, info.file_size):
                raise Refused(f"damaged: {shown(name)} has {info.file_size} bytes instead of {size}")
            room -= info.file_size
            content = archive.read(info)
            if len(content) != info.file_size:
                raise Refused(f"damaged: {shown(name)} ends early")
            return content

        byteorder = read(prefix + "byteorder") if prefix + "byteorder" in members else b"little"  # absent before 2.0
        order = {b"little": "<", b"big": ">"}[byteorder]
        storages = _Storages()
        tree = load(io.BytesIO(read(pickles[0])), _NAMES, _FUNCTIONS, storages)
        for key, storage in storages.items():
            if f"{prefix}data/{key}" not in members:
                raise Refused(f"damaged: storage {shown(key)} is missing")
            storage.fill(read(f"{prefix}data/{key}", storage.n_bytes), order)
    return _flat(tree)


def _check_magic(head: bytes) -> None:
    try:
        magic = load(io.BytesIO(head), (), {}, _Storages())
    except Refused:
        magic = None
    if type(magic) is not int or magic != MAGIC:
        raise Refused("not a PyTorch file: neither a zip nor a stream with PyTorch's magic number")


def _read_stream(content: bytes) -> dict[str, npt.NDArray[Any]]:
    file, storages = io.BytesIO(content), _Storages()

    def plain() -> Any:
        return load(file, (), {}, storages)

    _, version, system = plain(), plain(), plain()
    if type(version) is not int or version != VERSION:
        raise Refused(f"a stream of another version than {VERSION}; save it again with PyTorch 0.4 or newer")
    little = system.get("little_endian") if isinstance(system, dict) else None
    if not isinstance(little, bool):
        raise Refused("damaged: no byte order")
    tree = load(file, _NAMES, _FUNCTIONS, storages)
    keys = plain()
    if not isinstance(keys, list) or len(keys) != len(storages) or any(not isinstance(key, str) for key in keys):
        raise Refused("damaged: not all storages are there")
    order = "<" if little else ">"
    for key in keys:
        if key not in storages or storages[key].filled:
            raise Refused(f"damaged: storage {shown(key)} is there twice or for nothing")
        storage, begin = storages[key], file.tell() + 8
        if len(content) - begin < storage.n_bytes:
            raise Refused(f"damaged: storage {shown(key)} ends early")
        (size,) = struct.unpack(f"{order}q", file.read(8))
        if size != storage.size:
            raise Refused(f"damaged: storage {shown(key)} has {size} values instead of {storage.size}")
        storage.fill(file.read(storage.n_bytes), order)
    return _flat(tree)


def _flat(tree: Any) -> dict[str, npt.NDArray[Any]]:
    """Tensors by name; other values are left out."""
    tensors: dict[str, npt.NDArray[Any]] = {}
    waiting: list[tuple[str, Any, int]] = [("", tree, 0)]
    count = 0
    while waiting:
        name, value, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH or count + len(waiting) > MAX_ENTRIES or len(name) > MAX_NAME:
            raise Refused("names or containers in containers without end; save the model's state_dict()")
        if isinstance(value, _Tensor):
            if name in tensors:
                raise Refused(f"two tensors of the name {shown(name)}")
            tensors[name] = value.array()
        elif isinstance(value, dict | list | tuple):
            if len(value) > MAX_ENTRIES:
                raise Refused(f"a container of {len(value)} entries; save the model's state_dict()")
            inner = value.items() if isinstance(value, dict) else enumerate(value)
            waiting.extend([(f"{name}.{key}" if name else str(key), part, depth + 1) for key, part in inner][::-1])
        elif isinstance(value, Name | _Storage):
            raise Refused("it holds a type or a bare storage where a tensor belongs; save the model's state_dict()")
    return tensors
