# SPDX-License-Identifier: BSD-3-Clause
"""Training level by level (thesis Algorithm 3): the kernels of a level together with its sidewards models.

A level is trained until its epochs are over, then it stays as it is and the next one is trained on what it passes on.
The gradient flows through the predictions into the neighbours' activations and on to the kernels, never through the
activations that are predicted (eq. 13): kernels learn to predict their neighbours, not to be predictable.

Random numbers depend on seed, level, epoch and purpose only, so training goes on from any state to the same bytes.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..nn.architecture import Architecture
from ..nn.arrays import Array, Indices, Weights
from ..nn.layers import backward_level
from ..nn.network import LEAST_DEVIATION, LevelModel, PreparedImages, Source, values_above
from ..nn.optimizers import OPTIMIZERS, Optimizer
from ..nn.sidewards import SidewardsModels
from .kernels import draw_kernels, hold_norms, kernel_norms, revive_kernels

# Kernels are scaled on as many evenly spaced training images as give no more activations than this.
SAMPLED_VALUES = 2**24
# Learning rate of a kernel's weights, as a multiple of learning_rate times their root mean square. Adam moves every
# weight by about its rate; large kernels have small weights, of which a common step of 0.001 is a large part.
RELATIVE_RATE = 5.0
KERNELS, MODELS, ORDER = range(3)  # purposes of random numbers


@dataclass(frozen=True)
class TrainingOptions:
    """How levels are trained; see cbn.iem.Training for the meaning of most."""

    sharing: str = "b"
    optimizer: str = "adam"
    learning_rate: float = 0.001
    batch_size: int = 8
    epochs: tuple[int, ...] = ()  # of every level
    seed: int = 0


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Training after some whole number of epochs.

    Attributes
    ----------
    levels : tuple of LevelModel
        As they are now; the last one may have epochs to come.
    epochs : tuple of int
        Of every level of the architecture.
    n_steps : int
        Steps of the last level's optimizer.
    moments : dict of str to ndarray
        Memory of that optimizer; the next epoch changes it.
    norms : list of dict
        What the kernels of the last level are held to.
    """

    levels: tuple[LevelModel, ...]
    epochs: tuple[int, ...]
    n_steps: int
    moments: Weights
    norms: list[Weights]

    @property
    def level(self) -> int:
        """The level that the last epoch was of."""
        return len(self.levels) - 1

    @property
    def epoch(self) -> int:
        """Epochs done in that level."""
        return len(self.levels[-1].curve)

    @property
    def n_done(self) -> int:
        """Epochs done in all levels, of ``sum(epochs)``."""
        return sum(self.epochs[: self.level]) + self.epoch

    @property
    def loss(self) -> float:
        """Mean squared error of the last epoch, in units of the activations' variance."""
        return self.levels[-1].curve[-1]


class LevelwiseTraining:
    """Trains all levels.

    Parameters
    ----------
    architecture : Architecture
    images : ndarray, (n, height, width, channels)
    prepare : callable
        From some images to the (n, height, width, channels) float32 values of level 0.
    trained_on : ndarray of int
        Indices of the images that gradients come from.
    options : TrainingOptions
    kernels : list of list of dict, optional
        Frozen parameters of every level's steps; drawn and learned without them.
    num_threads : int
    keep : bool
        Whether values of level 0 are kept where there is room, as they cost much to prepare.
    """

    def __init__(
        self,
        architecture: Architecture,
        images: npt.NDArray[Any],
        prepare: Callable[[npt.NDArray[Any]], Array],
        trained_on: Indices,
        options: TrainingOptions,
        kernels: list[list[Weights]] | None = None,
        num_threads: int = 1,
        keep: bool = False,
    ) -> None:
        self.architecture, self.options, self.num_threads = architecture, options, num_threads
        self.trained_on, self.kernels = trained_on, kernels
        self.images: Source = PreparedImages(images, prepare)
        self.shapes = architecture.shapes(*self.images.batch(np.arange(1)).shape[1:])
        if keep:
            self.images = values_above(self.images, lambda values: values, self.shapes[0], options.batch_size)

    def run(self, state: TrainingState | None = None) -> Iterator[TrainingState]:
        """Yields the state after every epoch, from the one after ``state`` on."""
        epochs = self.options.epochs
        source: Source = self.images
        finished: tuple[LevelModel, ...] = ()
        for number in range(len(self.shapes)):
            task = _LevelTask(self, number, source)
            if state is not None and number < len(state.levels):
                task.go_on(state)
            else:
                task.begin()
            while len(task.model.curve) < epochs[number]:
                with np.errstate(over="ignore", invalid="ignore"):  # a training that diverges says so itself
                    task.epoch()
                yield TrainingState((*finished, task.snapshot()), epochs, task.optimizer.n_steps,
                                    task.optimizer.state, task.norms)  # fmt: skip
            finished = *finished, task.model
            if number + 1 < len(self.shapes):
                source = task.passed_on()


class _LevelTask:
    """The epochs of one level."""

    def __init__(self, training: LevelwiseTraining, number: int, source: Source) -> None:
        self.training, self.number, self.source = training, number, source
        self.level, self.shape = training.architecture.levels[number], training.shapes[number]
        self.options, self.num_threads = training.options, training.num_threads
        self.frozen = training.kernels is not None
        self.learned = not self.frozen and bool(self.level.steps)
        self.own = source  # activations of all images, where the kernels are not learned

    def random(self, purpose: int, epoch: int = 0) -> np.random.Generator:
        sequence = np.random.SeedSequence([self.options.seed, self.number, purpose, epoch])
        return np.random.Generator(np.random.Philox(sequence))

    def sample(self) -> Array:
        """Values of the level below of some training images."""
        images = self.training.trained_on
        shapes = [self.training.shapes[self.number - 1]]
        for step in self.level.steps:
            shapes.append(step.shape(*shapes[-1]))
        count = min(len(images), max(1, SAMPLED_VALUES // max(map(math.prod, shapes))))
        return self.source.batch(images[np.arange(count) * len(images) // count])

    # ---- start ----

    def begin(self) -> None:
        """Draws kernels and sidewards models, and measures the activations."""
        models = SidewardsModels(self.shape, self.level.distance, self.level.hidden, self.options.sharing)
        models.draw(self.random(MODELS))
        kernels: list[Weights] = []
        if self.training.kernels is not None:
            kernels = self.training.kernels[self.number]
        elif self.learned:
            kernels = draw_kernels(self.level, self.sample(), self.random(KERNELS), self.num_threads)
        ones = np.ones(self.shape[2], np.float32)
        self.model = LevelModel(self.level, self.shape, kernels, 0 * ones, ones, models)
        self._set_up(kernel_norms(kernels) if self.learned else [])
        self.model.mean, self.model.deviation = self._measure()

    def go_on(self, state: TrainingState) -> None:
        """Takes the level from a state; if it is the last one there, its optimizer too."""
        self.model = state.levels[self.number]
        if self.number < state.level:
            self._set_up([])
            return
        self.model = self.snapshot()
        self._set_up(state.norms)
        self.optimizer.n_steps = state.n_steps
        self.optimizer.state = {name: values.copy() for name, values in state.moments.items()}

    def _set_up(self, norms: list[Weights]) -> None:
        model, options = self.model, self.options
        self.norms = norms
        self.optimizer = optimizer_of(model, options.optimizer, options.learning_rate, norms, self.learned)
        if self.level.steps and not self.learned:
            self.own = values_above(
                self.source, lambda below: model.activations(below, self.num_threads)[0], self.shape, options.batch_size
            )

    def _measure(self) -> tuple[Array, Array]:
        """Mean and deviation of every kernel's activations: over the training images, or a sample of them."""
        batches: Iterable[Array] = [self.model.activations(self.sample(), self.num_threads)[0]] if self.learned else ()
        if not self.learned:
            images, size = self.training.trained_on, self.options.batch_size
            batches = (self.own.batch(images[i : i + size]) for i in range(0, len(images), size))
        count, total, squares = 0, np.zeros(self.shape[2]), np.zeros(self.shape[2])
        for batch in batches:
            flat = batch.reshape(-1, self.shape[2])
            mean = flat.mean(axis=0, dtype=np.float64)
            inside = np.square(flat - mean).sum(axis=0)
            if count:
                shift = mean - total / count
                inside += shift * shift * (count * len(flat) / (count + len(flat)))
            count, total, squares = count + len(flat), total + mean * len(flat), squares + inside
        deviation = np.sqrt(squares / count)
        deviation[deviation < LEAST_DEVIATION] = 1
        return (total / count).astype(np.float32), deviation.astype(np.float32)

    # ---- epochs ----

    def epoch(self) -> None:
        """One pass over the training images in random order."""
        model, models, size = self.model, self.model.models, self.options.batch_size
        number = len(model.curve)
        order = self.random(ORDER, number).permutation(self.training.trained_on)
        x = models.empty_input(min(size, len(order)))
        error = np.empty((len(x), *self.shape), np.float32)
        d_activations = np.empty_like(error) if self.learned else None
        gradients = {name: np.empty_like(values) for name, values in models.parameters.items()}
        squares = 0.0
        for begin in range(0, len(order), size):
            indices = order[begin : begin + size]
            n = len(indices)
            if self.learned:
                activations, caches = model.activations(self.source.batch(indices), self.num_threads)
            else:
                activations = self.own.batch(indices)
            target = model.standardized(activations)
            models.inside(x[:n])[...] = target
            d_own = None if d_activations is None else d_activations[:n]
            models.gradient(x[:n], target, error[:n], gradients, d_own, self.num_threads)
            squares += float(np.square(error[:n]).sum(dtype=np.float64))
            if d_own is not None:
                d_own *= 1 / model.deviation
                _, d_kernels = backward_level(self.level, model.kernels, caches, d_own, self.num_threads)
                gradients |= _flat(d_kernels)
            self.optimizer.step(gradients, n)
            if self.learned:
                hold_norms(model.kernels, self.norms)
                for name in _flat(d_kernels):
                    del gradients[name]
        if self.learned:
            revive_kernels(self.level, model.kernels, self.sample(), self.num_threads)
        loss = squares / (len(order) * math.prod(self.shape))
        if not math.isfinite(loss):
            raise ValueError(
                f"learning_rate: {self.options.learning_rate}; level {self.number} diverged in epoch {number + 1}, give a "
                "smaller rate"
            )
        model.curve.append(loss)

    def snapshot(self) -> LevelModel:
        """The level as it is now, apart from later steps."""
        model = self.model
        parameters = {name: values.copy() for name, values in model.models.parameters.items()}
        kernels = model.kernels
        if self.learned:
            kernels = [{name: values.copy() for name, values in own.items()} for own in kernels]
        models = SidewardsModels(self.shape, self.level.distance, self.level.hidden, self.options.sharing, parameters)
        return replace(model, kernels=kernels, models=models, curve=list(model.curve))

    def passed_on(self) -> Source:
        """What the next level reads, of all images."""
        model, threads, size = self.model, self.num_threads, self.options.batch_size
        if self.frozen:
            return self.own

        def step(below: Array) -> Array:
            return model.standardized(model.activations(below, threads)[0] if self.learned else below)

        if self.number == 0:  # pixels are cheaper to standardize again than to keep as float32
            return values_above(self.source, step, self.shape, size, kept_bytes=0)
        return values_above(self.source, step, self.shape, size)


def optimizer_of(model: LevelModel, name: str, learning_rate: float, norms: list[Weights], learned: bool) -> Optimizer:
    """The optimizer of a LevelModel's sidewards models, and of its kernels, held to ``norms``, if they are learned."""
    parameters, terms = dict(model.models.parameters), dict(model.models.terms())
    factors: dict[str, float] = {}
    if learned:
        kernels = _flat(model.kernels)
        parameters |= kernels
        terms |= dict.fromkeys(kernels, math.prod(model.shape))
        for key, norm in _flat(norms).items():
            typical = math.sqrt(np.sum(np.square(norm, dtype=np.float64)) / kernels[key].size)
            factors[key] = RELATIVE_RATE * typical
    return OPTIMIZERS[name](learning_rate, parameters, terms, model.models.own_axes, factors)


def _flat(parameters: list[Weights]) -> Weights:
    """The parameters of all steps by one name each."""
    return {f"{i}_{name}": values for i, own in enumerate(parameters) for name, values in own.items()}
