# SPDX-License-Identifier: BSD-3-Clause
"""Checkpoints of training: the state after an epoch, from which it goes on to the same bytes."""

from collections.abc import Callable
from typing import Any
from zipfile import ZipFile

import numpy.typing as npt

from ..._validation import check_integer
from ...io.archive import write_archive
from ...io.checkpoint import read_checkpoint
from ..nn.arrays import Shape
from ..settings import Settings
from ..training.kernels import kernel_norms
from ..training.levelwise import TrainingState, optimizer_of
from .levelfile import level_arrays, read_finite, read_level

FORMAT, VERSION = "cbn-energy-checkpoint", 1


def save_checkpoint(path: Any, state: TrainingState, seed: int, mark: str) -> None:
    """Write a TrainingState, the seed and the fingerprint; complete or not at all."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "fingerprint": mark,
        "seed": seed,
        "epochs": [len(level.curve) for level in state.levels],
        "steps": state.n_steps,
    }
    arrays: dict[str, npt.NDArray[Any]] = {}
    for number, level in enumerate(state.levels):
        arrays |= level_arrays(level, f"level{number}")
    arrays |= {f"moment_{name}": values for name, values in state.moments.items()}
    for i, own in enumerate(state.norms):
        arrays |= {f"norm{i}_{name}": values for name, values in own.items()}
    write_archive(path, header, arrays, stored=set(arrays))  # weights hardly compress


def load_checkpoint(
    path: Any, mark: Callable[[int], str], settings: Settings, shapes: list[Shape], frozen: bool = False
) -> tuple[TrainingState, int]:
    """(TrainingState, seed) of a checkpoint for the training that ``mark`` names.

    Parameters
    ----------
    path : path-like
    mark : callable, seed -> fingerprint
    settings : Settings
    shapes : list of (height, width, kernels)
        Of all levels.
    frozen : bool
        Whether the kernels are given, not learned.

    Raises
    ------
    ModelFileError
        Not a checkpoint, damaged, or of other pictures or arguments.
    """
    architecture = settings.architecture

    def restore(archive: ZipFile, header: dict[str, Any]) -> TrainingState:
        done = header["epochs"]
        if not isinstance(done, list) or not 1 <= len(done) <= len(shapes):
            raise ValueError("epochs of no level, or of too many")
        for number, n_epochs in enumerate(done):
            full = settings.epochs[number]
            check_integer(n_epochs, "epochs", 1 if number == len(done) - 1 else full, full)
        levels = []
        for number, n_epochs in enumerate(done):
            channels = shapes[number - 1][2] if number else shapes[0][2]
            levels.append(
                read_level(archive, f"level{number}", architecture.levels[number], shapes[number], channels,
                           settings.sharing, n_epochs)
            )  # fmt: skip
        last = levels[-1]
        learned = not frozen and bool(last.level.steps)
        norms = kernel_norms(last.kernels) if learned else []
        moments = optimizer_of(last, settings.optimizer, settings.learning_rate, norms, learned).state
        for name, values in moments.items():
            moments[name] = read_finite(archive, f"moment_{name}", values.shape)
        for i, own in enumerate(norms):
            for name, values in own.items():
                own[name] = read_finite(archive, f"norm{i}_{name}", values.shape)
        n_steps = check_integer(header["steps"], "steps", 1, 2**40)
        return TrainingState(tuple(levels), settings.epochs, n_steps, moments, norms)

    return read_checkpoint(path, FORMAT, VERSION, mark, restore)
