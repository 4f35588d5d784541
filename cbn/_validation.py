# SPDX-License-Identifier: BSD-3-Clause
"""The only place that coerces arguments: images, masks, seeds, thread counts, numbers."""

import math
import numbers
import sys
import warnings
from collections.abc import Collection, Iterable, Sequence
from typing import Any, TypeAlias, TypeGuard, TypeVar, cast

import numpy as np
import numpy.typing as npt

from . import _engine
from .exceptions import DataError

# Images and pictures as this file gives them. Float16 and longer floats have become float64; integers are uint8, or
# uint16 and uint32 where the full scale is beyond 255.
Images = npt.NDArray[np.bool_ | np.uint8 | np.uint16 | np.uint32 | np.float32 | np.float64]
# What a seed comes from, see `check_seed`.
RandomState: TypeAlias = "int | np.random.Generator | np.random.RandomState | None"  # numpy.random is slow to load
Choice = TypeVar("Choice", bound=str)

# Integers up to DARKEST_WHITE - 1 (but not only 0 and 1) are of unknown scale: 0 to 16, 6 bits. Read as 0 to 255 they
# would be nearly black.
DARKEST_WHITE = 64
# Floats so far outside of [0, 1] are rounding errors, such as those of scalers.
ROUNDING = 1e-6
MAX_FULL_SCALE = 2**31
# From so many rows on, an array (rows, width, 3 or 4) is one picture with channels and not a set of narrow images.
TALL = 8


def as_images(
    X: npt.ArrayLike, *, name: str = "X", image_shape: Sequence[int] | None = None, full_scale: int | None = None
) -> Images:
    """Images as a C-contiguous (n, height, width) array of bool, unsigned integers or floating type.

    Parameters
    ----------
    X : array-like, (n, height, width) or flat (n, height * width)
        bool; integers in 0..255, or in 0..full_scale; or finite floats in [0, 1].
    image_shape : (height, width), optional
        The shape that every image must have; for flat images also how to read them (square without it).
    full_scale : int, optional
        What integers hold where a pixel is white.

    Raises
    ------
    DataError
        Names the argument, what was found and what to do.
    """
    X = as_array(X, name)
    if X.ndim == 2:
        X = _unflatten(X, name, image_shape)
    elif X.ndim != 3:
        raise DataError(f"{name}: array of shape {X.shape}; images are {_FORMS}{_mend_of_form(X, image_shape)}")
    if 0 in X.shape:
        raise DataError(f"{name}: array of shape {X.shape} holds no pixels; at least one image of 1 x 1 is needed")
    if (image_shape is None and is_one_picture(X.shape)) or (
        image_shape is not None and X.shape[:2] == tuple(image_shape) != X.shape[1:] and X.shape[2] in (3, 4)
    ):
        raise DataError(
            f"{name}: array of shape {X.shape}, which is one picture of {X.shape[2]} channels and not {len(X)} images of "
            f"{X.shape[1]} x {X.shape[2]} pixels: make it grey and give image[None]"
            + ("" if image_shape is not None else ", or set image_shape if they are images")
        )
    if image_shape is not None and X.shape[1:] != tuple(image_shape):
        raise DataError(
            f"{name}: images of {X.shape[1]} x {X.shape[2]} pixels, but {image_shape[0]} x {image_shape[1]} are needed; "
            "resize them"
        )
    return np.ascontiguousarray(_as_grey(X, name, full_scale, "give full_scale={} if that is white"))


_FORMS = "(n, height, width) or flat (n, height * width)"


def is_one_picture(shape: Sequence[int]) -> bool:
    """Whether a shape looks like (height, width, channels)."""
    return len(shape) == 3 and shape[2] in (3, 4) and min(shape[:2]) >= TALL


def _is_the_one(shape: Sequence[int], picture_shape: Sequence[int]) -> bool:
    """Whether a shape is that of one picture (height, width, channels) where such pictures are asked for, however low."""
    height, width, channels = picture_shape
    if len(shape) != 3 or shape[2] not in (1, 3, 4) or tuple(shape[:2]) != (height, width):
        return False
    return channels != 1 or tuple(shape[1:]) != (height, width)  # else pictures of a few pixels


def _mend_of_form(X: npt.NDArray[Any], image_shape: Sequence[int] | None) -> str:
    if X.ndim == 4 and X.shape[3] == 1:
        return "; leave the channel axis out: X[..., 0]"
    if X.ndim == 4 and X.shape[3] in (2, 3, 4):
        return f"; {X.shape[3]} channels: make the images grey"
    return "; for one image use image[None]" if X.ndim == 1 else ""


def as_pictures(X: npt.ArrayLike, *, name: str = "X", picture_shape: Sequence[int] | None = None) -> Images:
    """Grey or colour images as a C-contiguous (n, height, width, channels) array of bool, uint8 or floating type.

    Parameters
    ----------
    X : array-like, (n, height, width) or (n, height, width, channels)
        bool; integers in 0..255; or finite floats in [0, 1]. 1 or 3 channels.
    picture_shape : (height, width, channels), optional
        The shape that every image must have.

    Raises
    ------
    DataError
        Names the argument, what was found and what to do.
    """
    X = as_array(X, name)
    if is_one_picture(X.shape) or (picture_shape is not None and _is_the_one(X.shape, picture_shape)):
        raise DataError(
            f"{name}: array of shape {X.shape}, which is one picture of {X.shape[2]} channels and not {len(X)} pictures: "
            + ("give picture[None]" if X.shape[2] in (1, 3) else "leave the transparency out: picture[None, ..., :3]")
        )
    if X.ndim == 3:
        X = X[..., None]
    if X.ndim != 4 or X.shape[3] not in (1, 3):
        raise DataError(
            f"{name}: array of shape {X.shape}; pictures are (n, height, width), or (n, height, width, channels) with "
            "1 or 3 channels; for one picture use picture[None]"
        )
    if 0 in X.shape:
        raise DataError(f"{name}: array of shape {X.shape} holds no pixels; at least one picture of 1 x 1 is needed")
    if picture_shape is not None and X.shape[1:] != tuple(picture_shape):
        raise DataError(
            f"{name}: pictures of {_sizes(X.shape[1:])}, but {_sizes(picture_shape)} are needed: give "
            f"cbn.datasets.resize_pictures({name}, {tuple(picture_shape)})"
        )
    return np.ascontiguousarray(_as_grey(X, name, None, f"give floats, {name} / {{}} if that is white"))


def _sizes(shape: Sequence[int]) -> str:
    """Height, width and channels of a picture in words."""
    return f"{shape[0]} x {shape[1]} pixels with {shape[2]} channel{'s' if shape[2] > 1 else ''}"


def is_dask(values: object) -> bool:
    """Whether something is a dask array."""
    module = sys.modules.get("dask.array")
    return module is not None and isinstance(values, module.Array)


def as_array(values: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    """A NumPy array of anything array-like; ragged lists and sparse matrices are refused."""
    if hasattr(values, "toarray"):
        raise DataError(f"{name}: sparse matrix; give a dense array, for example {name}.toarray()")
    if is_dask(values):
        raise DataError(f"{name}: a dask array; only fit and scores take these: give {name}.compute()")
    if hasattr(values, "__next__"):
        raise DataError(f"{name}: an iterator; only fit of a network takes images in chunks: give an array")
    try:
        return np.asarray(values)
    except ValueError:
        raise DataError(f"{name}: rows or images of different sizes; bring them to one size") from None


def _unflatten(X: npt.NDArray[Any], name: str, image_shape: Sequence[int] | None) -> npt.NDArray[Any]:
    n, size = X.shape
    if image_shape is None:
        side = math.isqrt(size)
        if side * side != size or size == 0:
            raise DataError(
                f"{name}: flat images of {size} values, which is no square; give (n, height, width) or set image_shape"
                + one_image(X)
            )
        if n == size >= TALL:
            raise DataError(
                f"{name}: array of shape {X.shape}, which may be one image or {n} flat ones of {side} x {side}: for one "
                f"image use image[None], for flat ones set image_shape=({side}, {side})"
            )
        image_shape = side, side
    elif image_shape[0] * image_shape[1] != size:
        raise DataError(
            f"{name}: flat images of {size} values, but {image_shape[0]} x {image_shape[1]} = "
            f"{image_shape[0] * image_shape[1]} are needed"
            + ("; for one image use image[None]" if X.shape == tuple(image_shape) else "")
        )
    return X.reshape(n, *image_shape)


def one_image(X: npt.NDArray[Any]) -> str:
    """The mend where an array (height, width) may be one image."""
    return "; for one image use image[None]" if min(X.shape) >= TALL else ""


def integers_for(full_scale: int) -> type[np.uint8 | np.uint16 | np.uint32]:
    """The type of integers 0 to full_scale."""
    if full_scale <= 255:
        return np.uint8
    return np.uint16 if full_scale <= 65535 else np.uint32


def check_full_scale_argument(full_scale: object, name: str = "full_scale") -> int | None:
    """What integer images hold where a pixel is white, or None. Raises ValueError."""
    if isinstance(full_scale, float) and full_scale.is_integer():
        full_scale = int(full_scale)
    return None if full_scale is None else check_integer(full_scale, name, 1, MAX_FULL_SCALE)


def _as_grey(X: npt.NDArray[Any], name: str, full_scale: int | None, mend: str) -> Images:
    """bool and uint8 as they are, other integers as the smallest unsigned type of the full scale, floats checked."""
    if X.dtype == bool:
        return X
    if X.dtype.kind in "iu":
        white = 255 if full_scale is None else max(full_scale, 255) if full_scale in (1, 255) else full_scale
        if X.dtype == np.uint8 and white >= 255:
            return X.astype(integers_for(white), copy=False)
        darkest, brightest = int(X.min()), int(X.max())
        if darkest < 0 or brightest > white:
            if full_scale not in (None, 1, 255):
                raise DataError(
                    f"{name}: integers from {darkest} to {brightest}, but white is full_scale={full_scale}: rescale them, "
                    "or give another full_scale"
                )
            raise DataError(
                f"{name}: integers from {darkest} to {brightest}; grey values are 0 to 255: "
                + ("rescale them" if darkest < 0 else f"rescale them, or {mend.format(brightest)}")
            )
        return X.astype(integers_for(white), copy=False)
    if X.dtype.kind == "f":
        low, high = float(X.min()), float(X.max())  # NaN propagates through both
        if math.isnan(low) or math.isinf(low) or math.isinf(high):
            raise DataError(f"{name}: NaN or infinity among the pixels; remove those images or replace the values")
        if low < -ROUNDING or high > 1 + ROUNDING:
            whole = (
                f" ({name}.astype(int), with {mend.format(int(high))})" if _are_whole(X) and 1 < high < 2**31 else ""
            )
            raise DataError(
                f"{name}: floats from {low:g} to {high:g}; float images lie in [0, 1]: divide by the largest possible "
                f"value, or give integers 0 to 255{whole}"
            )
        if low < 0 or high > 1:
            warnings.warn(f"{name}: floats from {low!r} to {high!r} were clipped to [0, 1]", stacklevel=4)
            X = np.clip(X, 0, 1)
        return X if X.dtype in (np.float32, np.float64) else X.astype(np.float64)
    raise DataError(f"{name}: type {X.dtype}; images are bool, integers 0 to 255 or floats in [0, 1]")


def _are_whole(X: npt.NDArray[Any]) -> bool:
    return bool((X == np.rint(X)).all() and X.min() >= 0)


def full_scale_of(images: Images, name: str = "X") -> int:
    """1 for boolean images and integers of only 0 and 1, 255 for all others (see Binarization).

    Raises
    ------
    DataError
        Integers so small that 255 cannot be white.
    """
    if images.dtype == bool:
        return 1
    if images.dtype == np.uint8 and images[0].max() < DARKEST_WHITE:  # a bright image decides without reading all
        brightest = int(images.max())
        if 1 < brightest < DARKEST_WHITE:
            raise DataError(
                f"{name}: integers from {int(images.min())} to {brightest}, whose scale is unknown: give "
                f"full_scale={brightest} if that is white, or full_scale=255"
            )
        return 255 if brightest > 1 else 1
    return 255


def check_full_scale(images: Images, full_scale: int, name: str = "X") -> None:
    """Integer images against the scale that a model has learned."""
    if images.dtype != np.uint8:
        return
    if full_scale == 1 and images.max() > 1:
        raise DataError(
            f"{name}: values up to {images.max()}, but the model was trained on images of 0 and 1: "
            f"give {name} > 0 for values of 0 and 255 alone; binarize others first, for example {name} > 0.3 * 255"
        )
    if full_scale == 255 and images[0].max() <= 1 and images.max() == 1:
        warnings.warn(
            f"{name}: only 0 and 1, but the model was trained on values 0 to 255, so all pixels count as black: "
            f"give {name}.astype(bool) if these images are binary",
            stacklevel=4,
        )


def as_mask(mask: npt.ArrayLike, shape: Sequence[int], name: str = "mask") -> npt.NDArray[np.bool_]:
    """A boolean (height, width) array; True is a missing pixel."""
    mask = as_array(mask, name)
    if mask.shape != tuple(shape):
        raise DataError(f"{name}: shape {mask.shape}, but the image is {shape[0]} x {shape[1]}")
    if mask.dtype != bool:
        if mask.dtype.kind not in "iuf" or not np.isin(mask, (0, 1)).all():
            raise DataError(f"{name}: give booleans, True where a pixel is missing")
        mask = mask.astype(bool)
    return mask


def _is_integer(value: object) -> TypeGuard[int]:
    """Whole numbers of any library, but no bool. Typed as int: what type checkers know of Integral lacks comparisons."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_real(value: object) -> TypeGuard[float]:
    """The same for real numbers."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def check_threads(n_jobs: object, name: str = "n_jobs") -> int:
    """Thread count of the engine: None or -1 is all that OpenMP would use. The one place where it is resolved."""
    if n_jobs is None or n_jobs == -1:
        return _engine.max_threads()
    if not _is_integer(n_jobs) or not 1 <= n_jobs <= 1024:
        raise ValueError(f"{name}: {n_jobs!r}; give a number of threads from 1 to 1024, or None for all")
    return int(n_jobs)


def check_seed(random_state: object, name: str = "random_state") -> int:
    """A 64-bit seed from None (fresh entropy), an integer, or a NumPy generator (advanced by the call)."""
    if _is_integer(random_state) and 0 <= random_state < 2**64:
        return int(random_state)
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**64, dtype=np.uint64))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**63, dtype=np.int64))
    raise ValueError(f"{name}: {random_state!r}; give a whole number from 0 to 2^64 - 1, a NumPy generator or None")


def check_integer(value: object, name: str, low: int, high: int) -> int:
    """A whole number in low..high."""
    if not _is_integer(value) or not low <= value <= high:
        raise ValueError(f"{name}: {value!r}; give a whole number from {low} to {high}")
    return int(value)


def check_real(value: object, name: str, low: float, high: float, *, open_ends: bool = False) -> float:
    """A finite number in [low, high], or in (low, high)."""
    if not _is_real(value) or not (low < value < high if open_ends else low <= value <= high):
        between = f"between {low:g} and {high:g}" if open_ends else f"from {low:g} to {high:g}"
        raise ValueError(f"{name}: {value!r}; give a number {between}")
    return float(value)


def check_temperature(temperature: object, name: str = "temperature") -> tuple[float, float]:
    """(first, last) of a positive temperature, 0, or a pair of positive ones."""
    pair = temperature if isinstance(temperature, tuple | list) else (temperature, temperature)
    if len(pair) == 2 and all(_is_real(t) for t in pair):
        first, last = map(float, pair)
        if all(1e-9 <= t <= 1e9 for t in (first, last)) or (pair is not temperature and first == 0):
            return first, last
    raise ValueError(
        f"{name}: {temperature!r}; give a number from 1e-9 to 1e9, 0 for strict climbing, or two such numbers "
        "(first, last), neither of them 0"
    )


def check_choice(value: object, name: str, choices: Collection[Choice]) -> Choice:
    """One of several strings."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}: {value!r}; choose one of {', '.join(choices)}")
    return cast("Choice", value)


def check_offsets(offsets: Iterable[Iterable[int]], name: str = "offsets") -> tuple[tuple[int, int], ...]:
    """Offsets of parents as a tuple of (dy, dx), all before the child in raster order."""
    try:
        pairs = tuple((int(dy), int(dx)) for dy, dx in offsets)
        given = [value for offset in offsets for value in offset]
        rounded = [number for pair in pairs for number in pair]
        whole = all(value == number and not isinstance(value, bool | str) for value, number in zip(given, rounded))
    except (TypeError, ValueError, OverflowError):
        whole = False
    if not whole:
        raise ValueError(f"{name}: {offsets!r}; give pairs (dy, dx) of whole numbers such as ((-1, 0), (0, -1))")
    for dy, dx in pairs:
        if not (dy < 0 or (dy == 0 and dx < 0)) or max(abs(dy), abs(dx)) > 2**20:
            raise ValueError(
                f"{name}: ({dy}, {dx}) is not before the child in raster order; use rows above (dy < 0) or pixels to "
                "the left (dy = 0, dx < 0)"
            )
    if len(set(pairs)) != len(pairs):
        raise ValueError(f"{name}: {offsets!r} names a pixel twice")
    return pairs


def check_shape(image_shape: object, name: str = "image_shape") -> tuple[int, int]:
    """(height, width), both whole numbers from 1 on."""
    try:
        height, width = cast("Iterable[object]", image_shape)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: {image_shape!r}; give (height, width)") from None
    return check_integer(height, name, 1, 2**20), check_integer(width, name, 1, 2**20)
