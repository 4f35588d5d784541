# SPDX-License-Identifier: BSD-3-Clause
"""Shapes of an introspective energy model: levels, rings of neighbours, counts, memory. Pure arithmetic.

Activations are channels last, (n, height, width, channels). Level 0 is the image; the steps of a level lead from the
level below to it. A *tap* is an offset (dy, dx) >= 0 in an input that is padded already.
"""

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ..._engine import MAX_HIDDEN
from ..._validation import check_choice, check_integer
from ..names import SHARINGS
from .arrays import Shape
from .steps import MAX_CHANNELS, STEPS, Conv, Pool, Relu, Step, short_repr

MAX_LEVELS = 32
MAX_DISTANCE = 64
MAX_UNITS = 4096
FLOAT = 4  # bytes of a float32


def ring(distance: int) -> npt.NDArray[np.int32]:
    """Taps of the neighbours at ``max(|dy|, |dx|) = distance``, for an input padded by ``distance`` on every side.

    Returns
    -------
    taps : ndarray, (8 * distance, 2) int32
        (dy, dx) in row-major order; the centre would be (distance, distance).
    """
    side = range(2 * distance + 1)
    taps = [(dy, dx) for dy in side for dx in side if max(abs(dy - distance), abs(dx - distance)) == distance]
    return np.array(taps, np.int32)


@dataclass(frozen=True, repr=False)
class Level:
    """A level and the networks that predict each of its nodes from the nodes around.

    Parameters
    ----------
    steps : tuple of Step
        From the level below to this one; () for level 0.
    distance : int
        Neighbours of a position are the 8 * distance positions at ``max(|dy|, |dx|) = distance``.
    hidden : tuple of int
        Units of the hidden layers of the sidewards models.
    """

    steps: tuple[Step, ...]
    distance: int
    hidden: tuple[int, ...]

    __repr__ = short_repr

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", _as_tuple(self.steps, "steps", "steps"))
        object.__setattr__(self, "hidden", _as_tuple(self.hidden, "hidden", "whole numbers such as (32, 16)"))
        for step in self.steps:
            if type(step) not in STEPS.values():
                raise ValueError(f"steps: {step!r}; use Conv, Pool, Relu, LocalResponseNorm and Fire")
        check_integer(self.distance, "distance", 1, MAX_DISTANCE)
        if not 1 <= len(self.hidden) <= MAX_HIDDEN:
            raise ValueError(f"hidden: {self.hidden!r:.80}; give the units of 1 to {MAX_HIDDEN} hidden layers")
        for units in self.hidden:
            check_integer(units, "hidden", 1, MAX_UNITS)


def _as_tuple(value: object, name: str, what: str) -> tuple[Any, ...]:
    if isinstance(value, tuple | list):
        return tuple(value)
    raise ValueError(f"{name}: {value!r}; give a tuple of {what}")


@dataclass(frozen=True)
class LevelSize:
    """What a level amounts to for images of one size; bytes are those of float32."""

    level: int
    height: int
    width: int
    channels: int
    receptive_field: int  # pixels along a side
    stride: int  # pixels between neighbouring positions
    distance: int
    inputs: int  # of a sidewards model
    hidden: tuple[int, ...]
    kernel_parameters: int
    sidewards_parameters: int
    step_values: int  # values of all steps of the level for one image, the level itself included

    @property
    def n_nodes(self) -> int:
        return self.height * self.width * self.channels


@dataclass(frozen=True)
class Memory:
    """Bytes that training needs at its peak: the greatest need of any level."""

    activations: int  # all training images at the level below and at the level
    batch: int  # values and gradients of one batch
    parameters: int  # of the level with gradient and the two moments of Adam, and those of the levels below

    @property
    def total(self) -> int:
        return self.activations + self.batch + self.parameters


@dataclass(frozen=True, repr=False)
class Architecture:
    """The levels of a model, level 0 (the image itself) first."""

    levels: tuple[Level, ...]

    __repr__ = short_repr

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(self.levels))
        if not 1 <= len(self.levels) <= MAX_LEVELS or not all(isinstance(level, Level) for level in self.levels):
            raise ValueError(f"levels: give 1 to {MAX_LEVELS} Level objects, level 0 (the image) first")
        for index, level in enumerate(self.levels):
            if bool(level.steps) != bool(index):
                raise ValueError(f"level {index}: " + ("give at least one step" if index else "the image has no steps"))

    def shapes(self, height: int, width: int, channels: int) -> list[Shape]:
        """(height, width, channels) of every level, for images of a size.

        Raises
        ------
        ValueError
            Names the level that has no room, and why.
        """
        return [(size.height, size.width, size.channels) for size in self.sizes(height, width, channels)]

    def receptive_fields(self) -> list[tuple[int, int]]:
        """(size, stride) in pixels of every level: the side of what a node sees, and the step to the next node."""
        size, stride, result = 1, 1, []
        for level in self.levels:
            for step in level.steps:
                for extent, jump in step.extents:
                    size, stride = size + (extent - 1) * stride, stride * jump
            result.append((size, stride))
        return result

    def centres(self) -> list[tuple[float, int]]:
        """(first, stride) in pixels for every level: the centre of the first node's receptive field, and the step."""
        first, stride, result = 0.0, 1, []
        for level in self.levels:
            for step in level.steps:
                for extent, jump in step.extents:
                    first += ((extent - 1) / 2 - step.pads[0]) * stride
                    stride *= jump
            result.append((first, stride))
        return result

    def channels(self, channels: int) -> list[int]:
        """Channels of every level, for images of so many."""
        result = []
        for level in self.levels:
            for step in level.steps:
                channels = step.channels(channels)
            result.append(channels)
        return result

    def inputs(self, level: int, channels: int) -> int:
        """Inputs of a sidewards model: every neighbour's activations and existence flag (Table 4).

        Parameters
        ----------
        level : int
        channels : int
            Of the image.
        """
        return 8 * self.levels[level].distance * (self.channels(channels)[level] + 1)

    def sizes(self, height: int, width: int, channels: int, sharing: str = "b") -> list[LevelSize]:
        """A ``cbn.iem.nn.architecture.LevelSize`` for every level. Raises as :meth:`shapes`."""
        check_integer(height, "height", 1, 2**20)
        check_integer(width, "width", 1, 2**20)
        check_integer(channels, "channels", 1, MAX_CHANNELS)
        result, shape = [], (height, width, channels)
        for index, (level, field) in enumerate(zip(self.levels, self.receptive_fields())):
            kernel_parameters = step_values = 0
            for step in level.steps:
                below = shape
                try:
                    shape = step.shape(*below)
                except ValueError as error:
                    raise ValueError(f"level {index}: {error}") from None
                kernel_parameters += sum(map(math.prod, step.parameter_shapes(below[2]).values()))
                step_values += math.prod(shape)
            if max(shape[:2]) <= level.distance:
                raise ValueError(
                    f"level {index}: {shape[0]} x {shape[1]} positions, so no node has a neighbour at distance "
                    f"{level.distance}; give larger images, fewer levels or a smaller distance"
                )
            inputs = 8 * level.distance * (shape[2] + 1)
            sidewards = sidewards_parameters(sharing, shape, inputs, level.hidden)
            height, width, kernels = shape
            result.append(
                LevelSize(
                    level=index, height=height, width=width, channels=kernels, receptive_field=field[0],
                    stride=field[1], distance=level.distance, inputs=inputs, hidden=level.hidden,
                    kernel_parameters=kernel_parameters, sidewards_parameters=sidewards, step_values=step_values,
                )
            )  # fmt: skip
        return result

    def memory(self, n: int, height: int, width: int, channels: int, batch: int, sharing: str = "b") -> Memory:
        """The ``cbn.iem.nn.architecture.Memory`` of training on n images in batches. Raises as :meth:`shapes`."""
        sizes = self.sizes(height, width, channels, sharing)
        needs, finished = [], 0
        for below, size in zip([sizes[0], *sizes[:-1]], sizes):
            kept = size.n_nodes + (below.n_nodes if size.level else 0)
            padded = (size.height + 2 * size.distance) * (size.width + 2 * size.distance) * (size.channels + 1)
            sums = size.height * size.width * size.hidden[0]
            values = 2 * (size.step_values + padded + sums + size.n_nodes)
            own = size.kernel_parameters + size.sidewards_parameters
            needs.append(Memory(FLOAT * n * kept, FLOAT * batch * values, FLOAT * (4 * own + finished)))
            finished += own
        return max(needs, key=lambda need: need.total)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able description, read back by :meth:`from_dict`."""
        names = {kind: name for name, kind in STEPS.items()}

        def describe(step: Step) -> list[Any]:
            return [names[type(step)], *(getattr(step, field.name) for field in fields(step))]

        return {
            "levels": [
                {"steps": [describe(s) for s in level.steps], "distance": level.distance, "hidden": list(level.hidden)}
                for level in self.levels
            ]
        }

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> "Architecture":
        """The architecture of a description. Raises ValueError, KeyError or TypeError on anything else."""
        levels = []
        for entry in description["levels"]:
            steps = tuple(STEPS[name](*arguments) for name, *arguments in entry["steps"])
            levels.append(Level(steps, entry["distance"], tuple(entry["hidden"])))
        return cls(tuple(levels))


def sidewards_parameters(sharing: str, shape: Shape, inputs: int, hidden: tuple[int, ...]) -> int:
    """How many parameters the sidewards models of a level have together (Figure 15).

    Parameters
    ----------
    sharing : {"a", "b", "c", "d", "e", "f"}
    shape : (height, width, kernels)
    inputs : int
        Of one model, the position (e, f) and the kernel (f) not counted.
    hidden : tuple of int
    """
    check_choice(sharing, "sharing", SHARINGS)
    kernels, nodes = shape[2], math.prod(shape)
    inputs += {"e": 2, "f": 2 + kernels}.get(sharing, 0)
    inner = sum((below + 1) * above for below, above in zip((inputs, *hidden), hidden))
    last = hidden[-1] + 1
    copies = {"c": (kernels, nodes), "d": (nodes, nodes), "b": (1, nodes), "f": (1, 1)}.get(sharing, (1, kernels))
    return copies[0] * inner + copies[1] * last


def table_4_level(kernels: int, size: int, distance: int, hidden: tuple[int, ...]) -> Level:
    """A level as in Table 4: convolution of the same size, max pooling 2 x 2, ReLU."""
    return Level((Conv(kernels, size), Pool(2, 2), Relu()), distance, hidden)


# Table 4: the architecture trained from scratch. Its last receptive field computes to 58; the table prints 66.
TABLE_4 = Architecture(
    (
        Level((), 1, (32, 12)),
        table_4_level(15, 3, 3, (32, 16)),
        table_4_level(25, 5, 3, (32, 16)),
        table_4_level(35, 5, 3, (32, 16)),
        table_4_level(60, 3, 2, (32, 32, 16)),
    )
)
