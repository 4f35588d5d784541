# SPDX-License-Identifier: BSD-3-Clause
"""Small writers of PyTorch's two file formats, operation by operation, and of safetensors: they can also lie."""

import io
import json
import struct
import zipfile
from collections import OrderedDict

import numpy as np

TYPES = {
    "f4": "FloatStorage", "f8": "DoubleStorage", "f2": "HalfStorage", "i8": "LongStorage", "i4": "IntStorage",
    "i2": "ShortStorage", "i1": "CharStorage", "u1": "ByteStorage", "b1": "BoolStorage",
}  # fmt: skip


class Raw(bytes):
    """Operations of a pickle that leave one value."""


def named(module, name):
    return Raw(f"c{module}\n{name}\n".encode())


def call(function, *arguments):
    return Raw(function + b"(" + b"".join(map(operations, arguments)) + b"tR")


class Tensor:
    """A tensor that is a view of a storage; claims may be lies."""

    def __init__(self, values, key="0", offset=0, shape=None, strides=None, kind=None, claimed=None):
        self.values, self.key, self.offset = np.asarray(values), key, offset
        self.shape = self.values.shape if shape is None else shape
        rows = np.cumprod((1, *self.shape[:0:-1]))[::-1].tolist() if self.shape else ()
        self.strides = tuple(rows) if strides is None else strides
        self.kind = kind or TYPES[self.values.dtype.str[1:]]
        self.claimed = self.values.size if claimed is None else claimed

    def operations(self, legacy):
        parts = ("storage", named("torch", self.kind), self.key, "cpu", self.claimed, *([None] if legacy else []))
        storage = Raw(operations(parts, legacy) + b"Q")
        hooks = call(named("collections", "OrderedDict"))
        rebuild = named("torch._utils", "_rebuild_tensor_v2")
        return call(rebuild, storage, self.offset, tuple(self.shape), tuple(self.strides), False, hooks)


def operations(value, legacy=False):
    """The operations that leave a value on the stack."""
    if isinstance(value, Raw):
        return value
    if isinstance(value, Tensor):
        return value.operations(legacy)
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(content)]) + content
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    if isinstance(value, dict):
        begin = call(named("collections", "OrderedDict")) if isinstance(value, OrderedDict) else b"}"
        items = b"".join(operations(k, legacy) + operations(v, legacy) for k, v in value.items())
        return begin + b"(" + items + b"u"
    inner = b"".join(operations(v, legacy) for v in value)
    return b"](" + inner + b"e" if isinstance(value, list) else b"(" + inner + b"t"


def pickled(value, legacy=False):
    return b"\x80\x02" + operations(value, legacy) + b"."


def tensors_in(value):
    """Key to tensor of all storages."""
    if isinstance(value, Tensor):
        return {value.key: value}
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return {key: tensor for part in parts for key, tensor in tensors_in(part).items()}


def storage_bytes(tensor, big):
    values = tensor.values
    return values.astype(values.dtype.newbyteorder(">" if big else "<")).tobytes()


def zip_file(value, big=False, compression=zipfile.ZIP_STORED, prefix="archive", storages=None):
    """The bytes of a file as torch writes it since 1.6."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr(f"{prefix}/data.pkl", value if isinstance(value, bytes) else pickled(value))
        archive.writestr(f"{prefix}/byteorder", "big" if big else "little")
        contents = {key: storage_bytes(tensor, big) for key, tensor in tensors_in(value).items()}
        for key, content in (contents if storages is None else storages).items():
            archive.writestr(f"{prefix}/data/{key}", content)
        archive.writestr(f"{prefix}/version", "3\n")
    return file.getvalue()


def legacy_file(value, big=False, magic=0x1950A86A20F9469CFC6C, version=1001):
    """The bytes of a file as torch wrote it before 1.6."""
    system = {"protocol_version": version, "little_endian": not big, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    tensors = tensors_in(value)
    content = b"".join(map(pickled, (magic, version, system)))
    content += value if isinstance(value, bytes) else pickled(value, legacy=True)
    content += pickled(list(tensors))
    for tensor in tensors.values():
        content += struct.pack(">q" if big else "<q", tensor.values.size) + storage_bytes(tensor, big)
    return content


FORMATS = {"zip": zip_file, "legacy": legacy_file}


def safetensors_file(arrays):
    """The bytes of a .safetensors file with (type, array) entries."""
    header, content = {}, b""
    for name, (kind, array) in arrays.items():
        ends = [len(content), len(content) + array.nbytes]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": ends}
        content += array.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content
