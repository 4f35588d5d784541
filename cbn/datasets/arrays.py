# SPDX-License-Identifier: BSD-3-Clause
"""Arrays from .npy and .npz files, checked before memory is given to them; their conversion to images and labels."""

import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from ..exceptions import DataError
from ..io.quiet import quiet
from ._files import Stream, data_error, fill, listed, most_inflated, reading, refuse_unlikely, sizes
from .pictures import assumed_white, unknown_scale

Role = Literal["images", "labels", "mask"]
Labels = npt.NDArray[np.int64] | npt.NDArray[np.str_]

MAPPED_FROM = 2**26  # bytes
ALREADY_BINARY = "already binary (0 and 1)"

# version 3.0 exists only for field names outside Latin-1, and arrays with fields are refused anyway
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_KINDS: dict[Role, str] = {"images": "biuf", "labels": "biuU", "mask": "biuf"}


def read_npy(path: str | os.PathLike[str], role: Role) -> npt.NDArray[Any]:
    """Read a .npy file that holds `role` ("images" or "labels"). Bytes from MAPPED_FROM on are mapped and not read."""
    with reading(path, "a .npy file") as (stream, size):
        return _read_array(stream, size, str(path), role, mapped=True)


def read_npz(
    path: str | os.PathLike[str],
    conventions: Sequence[Mapping[str, Role]],
    roles: Sequence[Role] = ("images", "labels"),
) -> dict[str, npt.NDArray[Any]]:
    """Read a .npz file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    conventions : list of dict
        Each maps every key allowed together to its role; its first key must be there.
    roles : sequence of str
        Arrays of other roles are not read.

    Returns
    -------
    dict
        The arrays by key.
    """
    with opened_npz(path, conventions) as members:
        arrays = {}
        for key, member in members.items():
            if member.role in roles:
                with member.opened() as (stream, size):
                    arrays[key] = _read_array(stream, size, member.where, member.role)
        return arrays


@dataclass(frozen=True)
class Member:
    """One array of a .npz file."""

    where: str
    role: Role
    opened: Callable[[], AbstractContextManager[tuple[Stream, int]]]  # a stream and the most bytes it can yield


@contextmanager
def opened_npz(path: str | os.PathLike[str], conventions: Sequence[Mapping[str, Role]]) -> Iterator[dict[str, Member]]:
    """The arrays of a .npz file by key, in its order, to be read while it is open; see :func:`read_npz`."""
    import zipfile

    with reading(path, "a .npz file") as (stream, total), zipfile.ZipFile(stream) as archive:
        infos = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        roles = next((c for c in conventions if next(iter(c)) in infos and set(infos) <= set(c)), None)
        if roles is None:
            allowed = " or ".join(listed(c) for c in conventions)
            raise data_error(f"{path}: keys {listed(infos) or '(none)'}; expected {allowed}")

        @contextmanager
        def opened(info: zipfile.ZipInfo, where: str) -> Iterator[tuple[Stream, int]]:
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise data_error(f"{where}: unsupported compression; write the file with numpy.savez_compressed")
            with archive.open(info) as member:
                # every size in the archive is only a claim; the file's own is not
                compressed = min(info.compress_size, total)
                size = min(info.file_size, most_inflated(compressed))
                refuse_unlikely(where, size, compressed)
                yield member, size

        yield {
            key: Member(f"{path}, key {key!r}", roles[key], partial(opened, info, f"{path}, key {key!r}"))
            for key, info in infos.items()
        }


def to_images(
    array: npt.NDArray[Any], where: str, full_scale: float | None = None, color: str | None = None
) -> tuple[npt.NDArray[np.uint8], str | None]:
    """Convert an array to images.

    Parameters
    ----------
    array : ndarray of shape (n, height, width), (n, side * side), or (n, height, width, 1 or 3)
        bool; integers in 0..255 or 0..65535; or floats in [0, 1], which become uint8 by rounding 255 x.
    where : str
        File and key, for messages.
    full_scale : float, optional
        What is white, where that is another value.
    color : {"grey"}, optional
        Makes colour grey, which is refused otherwise.

    Returns
    -------
    images : ndarray of shape (n, height, width), dtype uint8
    binarization : str or None
    """
    check_form(array.shape, array.dtype, where, "images")
    levels = Levels.of([array], array.dtype, where, full_scale)
    return levels.images(array, where, color), levels.binarization


@dataclass(frozen=True)
class Levels:
    """How the values of an array become images; what is white follows from all of them.

    Attributes
    ----------
    white : float
    binarization : str or None
        None for grey values.
    """

    white: float
    binarization: str | None

    @classmethod
    def of(
        cls, parts: Iterable[npt.NDArray[Any]], dtype: np.dtype[Any], where: str, full_scale: float | None
    ) -> "Levels":
        """Of an array that comes in parts, of which no more are read than decide. Raises DataError."""
        if dtype.kind == "b":
            return cls(1, ALREADY_BINARY)
        low: Any = None
        high: Any = None
        for part in parts:
            with np.errstate(all="ignore"):  # NaN is looked for below
                low = part.min() if low is None else np.minimum(low, part.min())
                high = part.max() if high is None else np.maximum(high, part.max())
            if dtype == np.uint8 and full_scale is None and high >= validation.DARKEST_WHITE:
                break  # white is 255
        if dtype.kind == "f" and not (np.isfinite(low) and np.isfinite(high)):
            raise data_error(f"{where}: images hold NaN or infinity; replace these values")
        white = _white(low, high, dtype.kind, where, full_scale)
        binary = dtype.kind != "f" and full_scale is None and high <= 1
        return cls(white, ALREADY_BINARY if binary else None)

    def images(self, array: npt.NDArray[Any], where: str, color: str | None, first: int = 0) -> npt.NDArray[np.uint8]:
        """Images (n, height, width) of the whole array or of a part, the first of which is image ``first``."""
        if array.ndim == 2:
            side = math.isqrt(array.shape[1])
            array = array.reshape(-1, side, side)
        if array.dtype.kind == "b":
            # a damaged file may hold bytes other than 0 and 1, which NumPy's bool arithmetic does not expect
            array = np.ascontiguousarray(array.view(np.uint8) != 0).astype(np.uint8)
        elif self.binarization is None and self.white != 255:
            scale = array.dtype.type(255 / self.white) if array.dtype.kind == "f" else 255 / self.white
            array = np.rint(np.clip(array * scale, 0, 255))
        elif array.dtype.kind == "f":
            array = np.rint(array)
        return _grey(np.ascontiguousarray(array, dtype=np.uint8), where, color, first)


def _white(low: Any, high: Any, kind: str, where: str, full_scale: float | None) -> float:
    """What is white in values from low to high. Raises DataError."""
    rounding = validation.ROUNDING if kind == "f" else 0
    if full_scale is not None:
        if low < -rounding * full_scale or high > full_scale * (1 + rounding):
            found = low if low < 0 else high
            raise data_error(f"{where}: images hold {found}, but full_scale={full_scale:g} says 0 to {full_scale:g}")
        return full_scale
    if kind == "f":
        if low < -rounding or high > 1 + rounding:
            found = low if low < 0 else high
            raise data_error(
                f"{where}: float images hold {found}; bring them into [0, 1], use uint8 0..255, or give full_scale"
            )
        if low < 0 or high > 1:
            warnings.warn(
                f"{where}: floats from {float(low)!r} to {float(high)!r} were clipped to [0, 1]", stacklevel=6
            )
        return 1
    if low < 0:
        raise data_error(f"{where}: integer images hold {low}; bring them into 0..255")
    white = assumed_white(float(high), True)
    if white is None:
        raise unknown_scale(f"{where}: integer images", float(high))
    return white if high > 1 else 255


def _grey(images: npt.NDArray[np.uint8], where: str, color: str | None, number: int) -> npt.NDArray[np.uint8]:
    """Images (n, height, width) of images with or without a channel axis."""
    if images.ndim == 3:
        return images
    if images.shape[3] == 1 or (images[..., :1] == images[..., 1:]).all():
        return np.ascontiguousarray(images[..., 0])
    if color != "grey":
        first = int(np.flatnonzero((images[..., :1] != images[..., 1:]).any(axis=(1, 2, 3)))[0])
        raise data_error(
            f"{where}: image {number + first} has colour, but grey is needed; give color='grey' to lose the colour"
        )
    weights = np.array([19595, 38470, 7471])  # ITU-R 601, as Pillow rounds it
    return ((images.astype(np.int64) @ weights + 32768) >> 16).astype(np.uint8)


def to_labels(array: npt.NDArray[Any], where: str, count: int) -> Labels:
    """Convert an array to `count` labels: int64 or text."""
    check_form(array.shape, array.dtype, where, "labels")
    if len(array) != count:
        raise data_error(f"{where}: {len(array)} labels for {count} images; give exactly one for each")
    if array.dtype.kind == "U":
        # NumPy raises on every later use of a code point that does not exist
        codes = np.ascontiguousarray(array).view(np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
        if codes.max() > 0x10FFFF:
            raise data_error(f"{where}: damaged, the labels hold a character that does not exist; replace the file")
        return array.astype(array.dtype.newbyteorder("="))
    if array.dtype.kind == "b":
        return (array.view(np.uint8) != 0).astype(np.int64)
    if array.max() > np.iinfo(np.int64).max:
        raise data_error(f"{where}: label {array.max()} is too large; use labels below 2**63")
    return array.astype(np.int64)


@dataclass(frozen=True)
class Header:
    """What a .npy file says of its array; its bytes follow in the stream."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize  # Python integers cannot overflow


def read_header(stream: Stream, size: int, where: str, role: Role) -> Header:
    """The header of an array in .npy format, in a stream that cannot yield more than `size` bytes; checked against it."""
    if size == 0:
        raise data_error(f"{where}: empty; expected a NumPy array")
    with quiet():  # of Python-2 headers and odd escapes; what counts is checked below
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise data_error(f"{where}: .npy version {sizes(version)} is not supported; save again with numpy.save")
        header = Header(*_HEADERS[version](stream))
    check_form(header.shape, header.dtype, where, role)
    declared, held = header.nbytes, size - stream.tell()
    if declared != held:
        mend = "replace the file" if declared > held else "remove the extra bytes"
        raise data_error(
            f"{where}: the header declares {header.dtype} {sizes(header.shape)} = {declared} bytes and the file holds "
            f"{held}; {mend}"
        )
    return header


def read_values(stream: Stream, header: Header, where: str) -> npt.NDArray[Any]:
    """The array that follows its header."""
    data = fill(stream, header.nbytes)
    if len(data) != header.nbytes or stream.read(1):
        raise damaged(where, header.nbytes)
    data = data.view(header.dtype)
    return data.reshape(header.shape[::-1]).T if header.fortran_order else data.reshape(header.shape)


def damaged(where: str, nbytes: int) -> DataError:
    """The DataError for an array that ends too early or too late."""
    return data_error(f"{where}: damaged, {nbytes} bytes were declared; replace the file")


def _read_array(stream: Stream, size: int, where: str, role: Role, *, mapped: bool = False) -> npt.NDArray[Any]:
    """Read one array in .npy format from a stream that cannot yield more than `size` bytes; a file's may be mapped."""
    header = read_header(stream, size, where, role)
    if mapped and header.nbytes >= MAPPED_FROM and header.dtype == np.uint8 and not header.fortran_order:
        # pages come as they are needed, and leave where memory is
        return np.memmap(cast(Any, stream), header.dtype, "r", stream.tell(), header.shape).view(np.ndarray)
    return read_values(stream, header, where)


def check_form(shape: tuple[int, ...], dtype: np.dtype[Any], where: str, role: Role) -> None:
    """Raise DataError unless an array of this shape and type can be `role`."""
    if dtype.hasobject:
        raise data_error(
            f"{where}: object arrays are refused because they are pickles; save the {role} as a numeric array"
        )
    if dtype.kind not in _KINDS[role] or dtype.itemsize == 0:
        wanted = "integers or text" if role == "labels" else "uint8, bool or float"
        raise data_error(f"{where}: {role} of type {dtype} are not supported; save them as {wanted}")
    if any(n <= 0 for n in shape) or not shape:
        raise data_error(f"{where}: {role} of shape {shape} hold nothing; give at least one")
    if role == "labels":
        if len(shape) != 1:
            raise data_error(f"{where}: labels of shape {shape}; expected one dimension, one label an image")
    elif len(shape) == 1:
        raise data_error(
            f"{where}: one dimension of {shape[0]} values, which look like labels; give an image file here"
        )
    elif len(shape) == 2:
        if role == "images" and math.isqrt(shape[1]) ** 2 != shape[1]:
            raise data_error(
                f"{where}: flat images of {shape[1]} pixels are not square; reshape them to (n, height, width), or save "
                "image[None] if it is one image"
            )
        if role == "images" and shape[0] == shape[1] >= validation.TALL:
            raise data_error(
                f"{where}: {shape[0]} values squared may be one image or as many flat ones; save image[None], or "
                "reshape them to (n, height, width)"
            )
    elif role == "images" and validation.is_one_picture(shape):
        raise data_error(
            f"{where}: shape {shape} is one picture of {shape[2]} channels; make it grey and save image[None]"
        )
    elif len(shape) != 3 and not (role == "images" and len(shape) == 4 and shape[3] in (1, 3)):
        raise data_error(f"{where}: images of shape {shape}; expected (n, height, width), grey without a channel axis")
