# SPDX-License-Identifier: BSD-3-Clause
"""Levels as part of a model file or checkpoint: float32 arrays whose shapes follow from architecture and sharing.

``<prefix>_mean``, ``<prefix>_deviation``; ``<prefix>_step<i>_<name>`` for the parameters of step i;
``<prefix>_<name>`` for those of the sidewards models; and ``<prefix>_curve`` float64, a value for every epoch.
"""

from typing import Any
from zipfile import ZipFile

import numpy as np
import numpy.typing as npt

from ...io.archive import read_array
from ..nn.architecture import Level
from ..nn.arrays import Shape, Weights
from ..nn.network import LevelModel
from ..nn.sidewards import SidewardsModels


def level_arrays(model: LevelModel, prefix: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a LevelModel by name."""
    arrays: dict[str, npt.NDArray[Any]] = {f"{prefix}_mean": model.mean, f"{prefix}_deviation": model.deviation}
    arrays |= kernel_arrays(model.kernels, prefix)
    arrays |= {f"{prefix}_{name}": values for name, values in model.models.parameters.items()}
    return arrays | {f"{prefix}_curve": np.array(model.curve, np.float64)}


def kernel_arrays(kernels: list[Weights], prefix: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of the parameters of a level's steps by name."""
    return {f"{prefix}_step{i}_{name}": values for i, own in enumerate(kernels) for name, values in own.items()}


def read_kernels(archive: ZipFile, prefix: str, level: Level, channels_below: int) -> list[Weights]:
    """Parameters of a level's steps, a dict for each."""
    kernels, channels = [], channels_below
    for i, step in enumerate(level.steps):
        shapes = step.parameter_shapes(channels)
        kernels.append({name: read_finite(archive, f"{prefix}_step{i}_{name}", size) for name, size in shapes.items()})
        channels = step.channels(channels)
    return kernels


def read_level(
    archive: ZipFile, prefix: str, level: Level, shape: Shape, channels_below: int, sharing: str, n_epochs: int
) -> LevelModel:
    """The LevelModel of a file. Anything that cannot be one raises one of the exceptions in DAMAGE.

    Parameters
    ----------
    level : Level
    shape : (height, width, kernels)
    channels_below : int
    sharing : str
    n_epochs : int
        Length of the learning curve.
    """
    mean = read_finite(archive, f"{prefix}_mean", shape[2:])
    deviation = read_finite(archive, f"{prefix}_deviation", shape[2:])
    if not (deviation > 0).all():
        raise ValueError(f"{prefix}_deviation is not above 0")
    kernels = read_kernels(archive, prefix, level, channels_below)
    models = SidewardsModels(shape, level.distance, level.hidden, sharing, {})
    for name, size in models.shapes().items():
        models.parameters[name] = read_finite(archive, f"{prefix}_{name}", size)
    curve = read_finite(archive, f"{prefix}_curve", (n_epochs,), np.float64)
    return LevelModel(level, shape, kernels, mean, deviation, models, curve.tolist())


def read_finite(archive: ZipFile, name: str, shape: tuple[int, ...], dtype: type[Any] = np.float32) -> npt.NDArray[Any]:
    """An array of finite numbers of known shape."""
    values = read_array(archive, name, dtype, tuple(shape))
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds NaN or infinity")
    return values
