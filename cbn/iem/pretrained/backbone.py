# SPDX-License-Identifier: BSD-3-Clause
"""Pretrained networks as the lower levels of a model (thesis section 5): AlexNet, Caffe's AlexNet, SqueezeNet 1.1.

A geometry says how a known network is cut into levels, what its arrays are called in files, and how its images were
prepared. :func:`make_backbone` puts the two together with arrays, :func:`load_backbone` with a file.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..._validation import check_choice, check_integer
from ...exceptions import DataError
from ..nn import layers
from ..nn.architecture import Architecture, Level
from ..nn.arrays import Array, Weights
from ..nn.steps import Conv, Fire, LocalResponseNorm, Pool, Relu, Step
from .weights import load_weights


@dataclass(frozen=True)
class Preparation:
    """From images with values in [0, 1] to a network's input: (scale * value - mean) / deviation for every channel.

    Parameters
    ----------
    order : {"rgb", "bgr"}
        Of the input's channels; mean and deviation are in the same order. Grey images are three times the same.
    scale : float
    mean, deviation : tuple of float
    """

    order: str
    scale: float
    mean: tuple[float, ...]
    deviation: tuple[float, ...] = (1.0, 1.0, 1.0)

    def __call__(self, images: npt.NDArray[Any]) -> Array:
        """Input of the network.

        Parameters
        ----------
        images : ndarray, (n, height, width, 1) or (n, height, width, 3) of float
            Grey or RGB, in [0, 1].

        Returns
        -------
        x : ndarray, (n, height, width, 3) float32
        """
        if images.ndim != 4 or images.shape[3] not in (1, 3):
            raise DataError(f"images: shape {images.shape}; a pretrained network needs (n, height, width, 1 or 3)")
        x = np.empty((*images.shape[:3], 3), np.float32)
        x[...] = images if self.order == "rgb" else images[..., ::-1]
        x *= np.float32(self.scale)
        x -= np.array(self.mean, np.float32)
        x /= np.array(self.deviation, np.float32)
        return x


TORCHVISION = Preparation("rgb", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CAFFE = Preparation("bgr", 255.0, (104.0, 117.0, 123.0))


@dataclass(frozen=True)
class Naming:
    """What a family of files calls the arrays of a geometry.

    Parameters
    ----------
    weight, bias : str
        Endings of the two arrays of a convolution.
    convolutions : tuple of tuple of str
        For every level the names of its convolutions, those of a Fire module in the order squeeze, expand 1x1, 3x3.
    preparation : Preparation
        Of the images that such weights were trained on.
    """

    weight: str
    bias: str
    convolutions: tuple[tuple[str, ...], ...]
    preparation: Preparation


@dataclass(frozen=True)
class Geometry:
    """A known network: its levels, and the ways in which files name its arrays."""

    architecture: Architecture
    namings: tuple[Naming, ...]


def _fires(pattern: str, parts: tuple[str, ...], numbers: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(pattern.format(number, part) for number in numbers for part in parts)


def _alexnet(levels: tuple[tuple[Step, ...], ...], namings: tuple[Naming, ...]) -> Geometry:
    """The sidewards models of Table 6 over four levels of steps."""
    sideways = [(1, (32, 16)), (1, (32, 16)), (1, (54, 64, 32)), (3, (64, 64, 16)), (1, (64, 64, 32))]
    steps = ((), *levels)
    return Geometry(Architecture(tuple(Level(s, *size) for s, size in zip(steps, sideways, strict=True))), namings)


# ReLU stands behind pooling: the same values from a quarter of the work.
# Table 6 counts the inputs of the sidewards models without existence flags, and 26 instead of 24 neighbours in level 3;
# its receptive fields 83, 114 and 147 compute to 67, 99 and 131.
ALEXNET = _alexnet(
    (
        (Conv(64, 11, 4, 2), Pool(3, 2), Relu()),
        (Conv(192, 5), Pool(3, 2), Relu()),
        (Conv(384, 3), Relu()),
        (Conv(256, 3), Relu()),
    ),
    (Naming(".weight", ".bias", (("features.0",), ("features.3",), ("features.6",), ("features.8",)), TORCHVISION),),
)

CAFFE_ALEXNET = _alexnet(
    (
        (Conv(96, 11, 4, 0), Pool(3, 2), Relu(), LocalResponseNorm()),
        (Conv(256, 5, groups=2), Pool(3, 2), Relu(), LocalResponseNorm()),
        (Conv(384, 3), Relu()),
        (Conv(384, 3, groups=2), Relu()),
    ),
    tuple(
        Naming(weight, bias, tuple((f"conv{i}",) for i in range(1, 5)), CAFFE)
        for weight, bias in (("_w", "_b"), (".weight", ".bias"))
    ),
)

# Neighbours at distance 2: their receptive fields (7, 31, 79, ... pixels) overlap with a node's own or just touch it.
SQUEEZENET_1_1 = Geometry(
    Architecture(
        (
            Level((), 1, (32, 16)),
            Level((Conv(64, 3, 2, 0), Pool(3, 2), Relu()), 2, (32, 16)),
            Level((Fire(16, 64), Fire(16, 64), Pool(3, 2)), 2, (64, 32)),
            Level((Fire(32, 128), Fire(32, 128), Pool(3, 2)), 2, (64, 32)),
            Level((Fire(48, 192), Fire(48, 192)), 2, (64, 32)),
            Level((Fire(64, 256), Fire(64, 256)), 2, (64, 32)),
        )
    ),
    (
        Naming(
            ".weight",
            ".bias",
            (
                ("features.0",),
                *(
                    _fires("features.{}.{}", ("squeeze", "expand1x1", "expand3x3"), numbers)
                    for numbers in ((3, 4), (6, 7), (9, 10), (11, 12))
                ),
            ),
            TORCHVISION,
        ),
        Naming(
            "_w",
            "_b",
            (
                ("conv1",),
                *(
                    _fires("fire{}/{}", ("squeeze1x1", "expand1x1", "expand3x3"), numbers)
                    for numbers in ((2, 3), (4, 5), (6, 7), (8, 9))
                ),
            ),
            CAFFE,
        ),
    ),
)

GEOMETRIES = {"alexnet": ALEXNET, "caffe_alexnet": CAFFE_ALEXNET, "squeezenet1_1": SQUEEZENET_1_1}


@dataclass(frozen=True, eq=False, repr=False)
class Backbone:
    """A geometry with its parameters, cut after the levels that are used.

    Parameters
    ----------
    architecture : Architecture
    parameters : list of list of dict
        For every level the parameters of its steps, as :func:`cbn.iem.nn.layers.forward_level` takes them.
    preparation : Preparation
        From images to the input of level 1.
    """

    architecture: Architecture
    parameters: list[list[Weights]]
    preparation: Preparation

    def __repr__(self) -> str:
        return f"<Backbone: {len(self.architecture.levels) - 1} levels above the image, {self.preparation.order}>"

    def digest(self) -> str:
        """A hash of all parameters."""
        digest = hashlib.sha256()
        for values in (v for level in self.parameters for step in level for v in step.values()):
            digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()

    def activations(self, images: npt.NDArray[Any], num_threads: int = 1) -> list[Array]:
        """Activations of levels 1, 2, ... for images (n, height, width, 1 or 3) in [0, 1]: list of (n, H, W, C)."""
        x, result = self.preparation(images), []
        for level, parameters in list(zip(self.architecture.levels, self.parameters, strict=True))[1:]:
            x, _ = layers.forward_level(level, parameters, x, num_threads)
            result.append(x)
        return result


def load_backbone(geometry: str, path: Any, levels: int | None = None) -> Backbone:
    """A pretrained network from a file of weights; see :func:`make_backbone`. Errors name the file."""
    weights = load_weights(path)
    try:
        return make_backbone(geometry, weights, levels)
    except DataError as error:
        raise DataError(f"{str(path)!r}: {error}") from None


def make_backbone(geometry: str, weights: Mapping[str, npt.NDArray[Any]], levels: int | None = None) -> Backbone:
    """A pretrained network from arrays.

    Parameters
    ----------
    geometry : {"alexnet", "caffe_alexnet", "squeezenet1_1"}
    weights : dict of str to array
        Kernels (out, in / groups, height, width) and biases (out,) under the names of torchvision, possibly behind a
        prefix that ends in a dot, or of Caffe ("conv1_w").
    levels : int, optional
        How many levels above the image; without it as many as the arrays are there for.

    Returns
    -------
    backbone : Backbone

    Raises
    ------
    DataError
        Arrays are missing or of other shapes than the geometry's.
    """
    check_choice(geometry, "geometry", tuple(GEOMETRIES))
    known = GEOMETRIES[geometry]
    n_levels = len(known.architecture.levels) - 1
    if levels is not None:
        check_integer(levels, "levels", 1, n_levels)
    found = [_read_levels(known, naming, weights, geometry, levels or n_levels) for naming in known.namings]
    parameters, missing, preparation = max(found, key=lambda entry: len(entry[0]))
    if len(parameters) == 1:
        raise DataError(f"no level of {geometry} is there: {missing!r} is missing; give the geometry of the file")
    if levels is not None and len(parameters) <= levels:
        raise DataError(
            f"levels: {levels}, but the weights hold only {len(parameters) - 1} of {geometry}: {missing!r} is missing; "
            f"give levels={len(parameters) - 1} or other weights"
        )
    return Backbone(Architecture(known.architecture.levels[: len(parameters)]), parameters, preparation)


def _read_levels(
    known: Geometry, naming: Naming, weights: Mapping[str, npt.NDArray[Any]], geometry: str, n_levels: int
) -> tuple[list[list[Weights]], str | None, Preparation]:
    """(parameters of level 0 and all levels found in a row, the first missing name, preparation)."""
    parameters: list[list[Weights]] = [[]]
    channels = 3
    for level, stems in list(zip(known.architecture.levels[1:], naming.convolutions, strict=True))[:n_levels]:
        names = [stem + ending for stem in stems for ending in (naming.weight, naming.bias)]
        arrays: dict[str, npt.NDArray[Any]] = {}
        for name in names:
            array = _find(weights, name)
            if array is None:
                return parameters, name, naming.preparation
            arrays[name] = array
        waiting, inner = iter(arrays.items()), []
        for step in level.steps:
            shapes = step.parameter_shapes(channels).items()  # in the order of the names
            inner.append({key: _as_parameter(*next(waiting), shape, geometry) for key, shape in shapes})
            channels = step.channels(channels)
        parameters.append(inner)
    return parameters, None, naming.preparation


def _find(weights: Mapping[str, npt.NDArray[Any]], name: str) -> npt.NDArray[Any] | None:
    """The array of a name, or of the only name that ends in it behind a dot (a checkpoint's "state_dict.")."""
    if name in weights:
        return weights[name]
    longer = [other for other in weights if other.endswith("." + name)]
    return weights[longer[0]] if len(longer) == 1 else None


def _as_parameter(name: str, array: npt.NDArray[Any], shape: tuple[int, ...], geometry: str) -> Array:
    """An array of a file as the step takes it: taps in row-major order, input channels, kernels."""
    array = np.asarray(array)
    if len(shape) == 3:
        side = math.isqrt(shape[0])
        wanted: tuple[int, ...] = (shape[2], shape[1], side, side)
    else:
        wanted = shape
    if array.shape != wanted:
        raise DataError(f"{name}: shape {array.shape}, but {geometry} needs {wanted}; give the geometry of the file")
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        raise DataError(f"{name}: weights are finite numbers of floating type; repair or replace them")
    if len(shape) == 3:
        array = array.transpose(2, 3, 1, 0).reshape(shape)
    return np.ascontiguousarray(array, np.float32)
