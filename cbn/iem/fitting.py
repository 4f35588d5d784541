# SPDX-License-Identifier: BSD-3-Clause
"""How a model is fitted, step by step: prepare, train, measure, calibrate."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from .._version import __version__
from ..exceptions import DataError, ModelFileError
from ..io.checkpoint import fingerprint
from ..metrics.calibration import Calibration
from .energy import ErrorStatistics, NodeScale, combined, image_energies, level_scales
from .files.checkpoint import load_checkpoint, save_checkpoint
from .fitted import FittedEnergyModel
from .nn.arrays import Indices
from .nn.network import Network, batches
from .parameters import Arguments
from .patterns import PATTERN, PatternScale, patterns, reach_of, variance_of
from .pretrained.backbone import Backbone
from .pretrained.embedded import EmbeddedBackbone
from .settings import Settings, backbone_of, resolve
from .training.levelwise import LevelwiseTraining, TrainingOptions, TrainingState

HELD_OUT = 2**16  # purpose of the random numbers that choose the held-out pictures; levels have those below
# Settings that training does not depend on.
SCORING = ("energy", "level_weights", "floor", "false_alarm_rate")

Progress = Callable[[TrainingState], object]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C after at least one complete epoch; ``fitted`` is the model of what the last one left."""

    def __init__(self, fitted: FittedEnergyModel) -> None:
        super().__init__()
        self.fitted = fitted


@dataclass(frozen=True, eq=False)
class Task:
    """A fit before its first epoch.

    Attributes
    ----------
    pictures : ndarray, (n, height, width, channels)
    digest : str
        Hash of the pictures.
    arguments, settings, backbone
    mark : str
        What its checkpoints belong to.
    start : TrainingState or None
        Where training goes on from.
    seed, threads : int
    trained_on, measured_on : ndarray of int
        Indices of pictures; the same ones where none is held out.
    """

    pictures: npt.NDArray[Any]
    digest: str
    arguments: Arguments
    settings: Settings
    backbone: Backbone | EmbeddedBackbone | None
    mark: str
    start: TrainingState | None
    seed: int
    threads: int
    trained_on: Indices
    measured_on: Indices


@dataclass(frozen=True, eq=False)
class Measured:
    """What is usual: errors, energies and scores of normal pictures, each by the statistics of the others."""

    node_scales: tuple[NodeScale, ...]
    level_scales: npt.NDArray[np.float64]
    dead_kernels: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    patterns: tuple[PatternScale, ...] = ()


def fit(
    X: npt.ArrayLike,
    arguments: Arguments | None = None,
    *,
    n_jobs: int | None = None,
    progress: Progress | None = None,
    checkpoint: Any = None,
    resume: bool = False,
) -> FittedEnergyModel:
    """Learn from normal pictures, and take the threshold from them.

    Parameters
    ----------
    X : array-like, (n, height, width) or (n, height, width, channels)
        bool, integers 0..255, or floats in [0, 1]; grey, or 1 or 3 channels. Before level 0 reads them, pictures are
        scaled to [0, 1] and ``brightness`` is taken out; levels standardize what they read by the mean and deviation of
        every channel over all training pictures.
    arguments : Arguments
    n_jobs : int, optional
        Threads; None is all cores. Results do not depend on it.
    progress : callable, optional
        Called with a :class:`cbn.iem.training.levelwise.TrainingState` after every epoch.
    checkpoint : path, optional
        File to write after every epoch. It is still there at the end: delete it once the model is saved.
    resume : bool
        Go on from ``checkpoint`` if it is there; the result has the same bytes as that of an uninterrupted fit.

    Raises
    ------
    DataError
        Pictures that cannot be used: shape, type, range, NaN, fewer than two. Weights of a backbone that cannot be used.
    ModelFileError
        A checkpoint of other pictures, arguments or seed, or a damaged one.
    ValueError
        An argument outside its range, or a level that does not fit the pictures.
    Interrupted
        A KeyboardInterrupt after a complete epoch.
    """
    task = prepare(X, arguments or Arguments(), n_jobs, checkpoint if resume else None)
    state, complete = train(task, progress, checkpoint)
    network = Network(list(state.levels), frozen=task.backbone is not None)
    fitted = calibrate(task, network, measure(task, network), n_jobs)
    if not complete:
        raise Interrupted(fitted)
    fitted.calibration.threshold_at(task.settings.false_alarm_rate, stacklevel=3)  # warns of too few pictures
    return fitted


def prepare(X: npt.ArrayLike, arguments: Arguments, n_jobs: int | None, checkpoint: Any) -> Task:
    """Checks everything, reads the backbone and the checkpoint to go on from, and chooses the held-out pictures."""
    backbone = backbone_of(arguments)
    pictures = validation.as_pictures(X)
    if len(pictures) < 2:
        raise DataError("X: 1 picture; the spread of errors needs at least 2")
    shape = pictures.shape[1:]
    settings = resolve(arguments, backbone, len(pictures), shape)
    settings.level_shapes(shape)  # every level has room
    threads = validation.check_threads(n_jobs)
    digest = hashlib.sha256(pictures.data).hexdigest()
    mark = _marker(settings, pictures, digest, backbone)
    start, seed = _first_state(arguments.random_state, settings, shape, mark, checkpoint, backbone is not None)
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, HELD_OUT])))
    trained_on, measured_on = split(len(pictures), settings.n_held_out, rng)
    if isinstance(backbone, EmbeddedBackbone):
        parts = batches(trained_on, shape)
        backbone = backbone.fitted((settings.values(pictures[part]) for part in parts), threads)
        settings = replace(settings, preparation=backbone.preparation)
    return Task(
        pictures=pictures,
        digest=digest,
        arguments=arguments.kept(),
        settings=settings,
        backbone=backbone,
        mark=mark(seed),
        start=start,
        seed=seed,
        threads=threads,
        trained_on=trained_on,
        measured_on=measured_on,
    )


def train(task: Task, progress: Progress | None, checkpoint: Any) -> tuple[TrainingState, bool]:
    """(state after the last complete epoch, whether that was all). Raises KeyboardInterrupt where there is none."""
    settings, state = task.settings, task.start
    options = TrainingOptions(
        settings.sharing, settings.optimizer, settings.learning_rate, settings.batch_size, settings.epochs, task.seed
    )
    kernels = None if task.backbone is None else task.backbone.parameters
    training = LevelwiseTraining(
        settings.architecture,
        task.pictures,
        partial(settings.prepare, num_threads=task.threads),
        task.trained_on,
        options,
        kernels,
        task.threads,
        keep=isinstance(task.backbone, EmbeddedBackbone),
    )
    complete = True
    try:
        for reached in training.run(task.start):
            state = reached
            if checkpoint is not None:
                save_checkpoint(checkpoint, state, task.seed, task.mark)
            if progress is not None:
                progress(state)
    except KeyboardInterrupt:
        if state is None:
            raise
        complete = False
    assert state is not None  # every level has an epoch at least
    return state, complete


def measure(task: Task, network: Network) -> Measured:
    """Errors, energies and scores of the pictures that are measured on."""
    settings, levels = task.settings, network.levels
    statistics = [ErrorStatistics(level.shape) for level in levels]
    low = [np.full(level.shape[2], np.inf, np.float32) for level in levels]
    high = [np.full(level.shape[2], -np.inf, np.float32) for level in levels]
    for batch in batches(task.measured_on, task.pictures.shape[1:]):
        for number, (activations, errors) in enumerate(_passes(task, network, batch)):
            statistics[number].add(errors)
            np.minimum(low[number], activations.min(axis=(0, 1, 2)), out=low[number])
            np.maximum(high[number], activations.max(axis=(0, 1, 2)), out=high[number])
    scales = tuple(own.scale(settings.floor) for own in statistics)
    energies = np.empty((len(task.measured_on), len(levels)))
    done, largest = 0, [0.0] * len(levels)
    for batch in batches(task.measured_on, task.pictures.shape[1:]):
        for number, (_, errors) in enumerate(_passes(task, network, batch)):
            own, typical = scales[number].energies_without(errors, settings.energy)
            energies[done : done + len(batch), number] = own
            largest[number] = max(largest[number], float(typical.max()))
        done += len(batch)
    for scale, value in zip(scales, largest, strict=True):
        scale.largest_typical = value
    dead = [float(np.mean(a == b)) if number else 0.0 for number, (a, b) in enumerate(zip(low, high, strict=True))]
    of_patterns: tuple[PatternScale, ...] = ()
    if settings.energy == PATTERN:
        of_patterns, energies = _measure_patterns(task, network, scales)
    of_levels = level_scales(energies, settings.energy)
    scores = -combined(energies, of_levels, settings.weights(len(levels)), settings.energy)
    return Measured(scales, of_levels, np.array(dead), scores, of_patterns)


def _measure_patterns(
    task: Task, network: Network, scales: tuple[NodeScale, ...]
) -> tuple[tuple[PatternScale, ...], npt.NDArray[np.float64]]:
    """(what is usual of every level's patterns, energies (n, levels) of the pictures that are measured on)."""
    centres = task.settings.centres()
    reaches = [reach_of(own.shape, centre[1]) for own, centre in zip(network.levels, centres, strict=False)]
    variances = [variance_of(scale) for scale in scales]
    found: list[list[npt.NDArray[np.float32]]] = [[] for _ in scales]
    for batch in batches(task.measured_on, task.pictures.shape[1:]):
        for number, (_, errors) in enumerate(_passes(task, network, batch)):
            found[number].append(patterns(errors, variances[number], reaches[number]))
    usual, energies = [], []
    for own, variance, reach in zip(found, variances, reaches, strict=True):
        scale, positions = PatternScale.of(np.concatenate(own), variance, reach, task.threads)
        usual.append(scale)
        energies.append(image_energies(positions, PATTERN))
    return tuple(usual), np.stack(energies, axis=1)


def _passes(task: Task, network: Network, batch: Indices) -> Any:
    return network.passes(task.settings.prepare(task.pictures[batch], task.threads), task.threads)


def calibrate(task: Task, network: Network, measured: Measured, n_jobs: int | None) -> FittedEnergyModel:
    """The model, with its threshold from the scores of the pictures that were measured on."""
    source = "training images" if task.measured_on is task.trained_on else "held-out images"
    return FittedEnergyModel(
        settings=task.settings,
        picture_shape=task.pictures.shape[1:],
        backbone=task.backbone,
        network=network,
        node_scales=measured.node_scales,
        level_scales=measured.level_scales,
        calibration=Calibration.of(measured.scores, source, task.settings.false_alarm_rate),
        dead_kernels=measured.dead_kernels,
        n_images=len(task.pictures),
        provenance={"data_sha256": task.digest},
        arguments=task.arguments,
        patterns=measured.patterns,
        n_jobs=n_jobs,
    )


def split(n: int, n_held_out: int, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """(trained on, measured on): indices of pictures, the same ones where none is held out."""
    if n_held_out == 0:
        everything = np.arange(n)
        return everything, everything
    order = rng.permutation(n)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])


def _marker(
    settings: Settings, pictures: npt.NDArray[Any], digest: str, backbone: Backbone | EmbeddedBackbone | None
) -> Callable[[int], str]:
    """From a seed to what a checkpoint belongs to: pictures, and all settings that training depends on."""
    belongs = {name: value for name, value in vars(settings).items() if name not in SCORING}
    belongs |= {"shape": pictures.shape, "dtype": str(pictures.dtype), "version": __version__}
    belongs["kernels"] = None if backbone is None else backbone.digest()
    return lambda seed: fingerprint(digest, {**belongs, "seed": seed})


def _first_state(
    random_state: Any, settings: Settings, shape: Any, mark: Callable[[int], str], checkpoint: Any, frozen: bool
) -> tuple[TrainingState | None, int]:
    """(state to go on from or None, seed)."""
    if checkpoint is None or not os.path.exists(checkpoint):
        return None, validation.check_seed(random_state)
    state, seed = load_checkpoint(checkpoint, mark, settings, settings.level_shapes(shape), frozen)
    if isinstance(random_state, Integral) and validation.check_seed(random_state) != seed:
        raise ModelFileError(
            f"{os.fsdecode(checkpoint)!r}: a checkpoint of random_state {seed}, not {random_state}; give the same one, "
            "or delete it to begin anew"
        )
    return state, seed
