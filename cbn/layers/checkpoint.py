# SPDX-License-Identifier: BSD-3-Clause
"""Checkpoints: the state of training after an iteration, from which it goes on to the same bytes."""

import os
from collections.abc import Callable, Sequence
from typing import Any
from zipfile import ZipFile

import numpy as np
import numpy.typing as npt

from ..io.archive import read_array, write_archive
from ..io.checkpoint import read_checkpoint
from .files import describe_trained, read_kernels, read_trained, trained_arrays
from .geometry import HiddenLayer, LayerGeometry
from .kernels import MAX_WEIGHT_SUM
from .training import TrainingState

FORMAT, VERSION = "cbn-checkpoint", 1


def save_checkpoint(path: str | os.PathLike[str], state: TrainingState, seed: int, mark: str) -> None:
    """Write a TrainingState, the seed and the fingerprint; complete or not at all."""
    layers = state.layers()
    header = {
        "format": FORMAT,
        "version": VERSION,
        "fingerprint": mark,
        "seed": seed,
        "finished": len(state.finished),
        "iteration": state.iteration,
        "layers": [describe_trained(layer) for layer in layers],
    }
    arrays: dict[str, npt.NDArray[Any]] = {}
    stored = set()
    for number, layer in enumerate(layers, start=1):
        arrays |= trained_arrays(layer, f"layer_{number}")
        stored.add(f"layer_{number}_curve")
    if state.kernels is not None:
        arrays |= {"next_weights": state.kernels.weights, "next_bias": state.kernels.bias, "next_target": state.target}
        arrays |= {"next_velocity_weights": state.velocity[0], "next_velocity_bias": state.velocity[1]}
    write_archive(path, header, arrays, stored)


def load_checkpoint(
    path: str | os.PathLike[str],
    mark: Callable[[int], str],
    hidden: Sequence[HiddenLayer],
    geometries: Sequence[LayerGeometry],
) -> tuple[TrainingState, int]:
    """(TrainingState, seed) of a checkpoint for the training that ``mark`` names.

    Parameters
    ----------
    path : str or path-like
    mark : callable, seed -> fingerprint
    hidden : sequence of HiddenLayer
    geometries : sequence of LayerGeometry
        Of the pixels and of every hidden layer.

    Raises
    ------
    ModelFileError
        Not a checkpoint, damaged, or of other images or arguments.
    """

    def restore(archive: ZipFile, header: dict[str, Any]) -> TrainingState:
        n_finished, iteration, described = header["finished"], header["iteration"], header["layers"]
        if not isinstance(described, list) or len(described) > len(hidden):
            raise ValueError(f"more layers than the {len(hidden)} to be trained, or no list of them")
        if type(n_finished) is not int or not max(0, len(described) - 1) <= n_finished <= len(described):
            raise ValueError(f"{n_finished!r} finished layers of {len(described)}")
        layers = [
            read_trained(archive, entry, f"layer_{i + 1}", hidden[i], geometries[i], geometries[i + 1])
            for i, entry in enumerate(described)
        ]
        if len(layers) == n_finished:
            if iteration != 0:
                raise ValueError(f"iteration {iteration!r} of no layer")
            return TrainingState(finished=tuple(layers))
        best = layers[-1]
        if type(iteration) is not int or iteration != len(best.curve):
            raise ValueError(f"iteration {iteration!r} after {len(best.curve)}")
        kernels = read_kernels(archive, "next", hidden[n_finished], geometries[n_finished])
        shape = kernels.weights.shape
        velocity = (
            read_array(archive, "next_velocity_weights", np.float64, shape),
            read_array(archive, "next_velocity_bias", np.float64, shape[:1]),
        )
        target = read_array(archive, "next_target", np.float64, shape[:1])
        if not all((np.abs(values) < 2 * MAX_WEIGHT_SUM).all() for values in velocity):  # NaN fails it too
            raise ValueError("a momentum that no kernel can have")
        if not ((target >= 0) & (target <= 1)).all():
            raise ValueError("a share of active nodes outside [0, 1]")
        return TrainingState(tuple(layers[:-1]), iteration, kernels, velocity, target, best)

    return read_checkpoint(path, FORMAT, VERSION, mark, restore)
