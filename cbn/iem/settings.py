# SPDX-License-Identifier: BSD-3-Clause
"""The arguments of a fit, checked and with every default filled in, and what pictures become before level 0."""

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from .names import EMBEDDED, ENERGIES, GEOMETRY_NAMES, SCRATCH, SHARINGS
from .nn.architecture import TABLE_4, Architecture, LevelSize
from .nn.arrays import Array, Shape
from .parameters import DEFAULT_POSITIONS, DEFAULT_STEPS, MOST_STEPS, Arguments, Training
from .pretrained.backbone import Backbone, Preparation, load_backbone
from .pretrained.efficientnet import EfficientNetLite0
from .pretrained.embedded import EmbeddedBackbone, WhitenedFeatures

# Share of the pictures that is held out by default, at least, and what it rises to where the threshold needs more.
LEAST_HELD_OUT, MOST_HELD_OUT = 1 / 5, 1 / 3
# The median that a picture is divided by is at least one step of an 8-bit picture, so that black ones stay finite.
LEAST_MEDIAN = np.float32(1 / 255)


@dataclass(frozen=True)
class Settings:
    """What a fit does, and what its scores depend on for ever."""

    architecture: Architecture
    preparation: Preparation | WhitenedFeatures | None  # of the backbone
    sharing: str
    optimizer: str
    learning_rate: float
    batch_size: int
    epochs: tuple[int, ...]  # of every level
    energy: str
    level_weights: tuple[float, ...]
    floor: float
    n_held_out: int
    brightness: str | None
    false_alarm_rate: float

    def prepare(self, pictures: npt.NDArray[Any], num_threads: int = 1) -> Array:
        """Pictures (n, height, width, channels) as the float32 values that level 0 reads."""
        values = self.values(pictures)
        if isinstance(self.preparation, WhitenedFeatures):
            return self.preparation(values, num_threads)
        return values if self.preparation is None else self.preparation(values)

    def values(self, pictures: npt.NDArray[Any]) -> Array:
        """Pictures as float32 values about [0, 1], or after "median" without a backbone about 0; a backbone reads them."""
        values = pictures.astype(np.float32)
        if pictures.dtype == np.uint8:
            values /= 255
        if self.brightness == "median":
            median = np.median(values.reshape(len(values), -1), axis=1).astype(np.float32)
            values /= np.maximum(median, LEAST_MEDIAN)[:, None, None, None]
            if self.preparation is None:
                values -= 1
            else:
                values *= 0.5  # a backbone knows pictures in [0, 1]: the median comes to lie in the middle
        return values

    def weights(self, n_levels: int) -> npt.NDArray[np.float64]:
        """(n_levels,) weights of the levels that are trained; 1 each where only levels of weight 0 are."""
        weights = np.array(self.level_weights[:n_levels])
        return weights if weights.any() else np.ones(n_levels)

    def input_shape(self, picture_shape: Shape) -> Shape:
        """(height, width, channels) of level 0: a backbone reads three channels, the embedded one makes features."""
        if isinstance(self.preparation, WhitenedFeatures):
            return self.preparation.shape(*picture_shape[:2])
        return picture_shape if self.preparation is None else (*picture_shape[:2], 3)

    def level_shapes(self, picture_shape: Shape) -> list[Shape]:
        """(height, width, kernels) of every level. Raises ValueError where a level has no room."""
        return self.architecture.shapes(*self.input_shape(picture_shape))

    def sizes(self, picture_shape: Shape) -> list[LevelSize]:
        """A LevelSize for every level, in pixels of the pictures. Raises as :meth:`level_shapes`."""
        sizes = self.architecture.sizes(*self.input_shape(picture_shape), self.sharing)
        if isinstance(self.preparation, WhitenedFeatures):
            field, stride = self.preparation.receptive_field, self.preparation.stride
            sizes = [replace(own, receptive_field=field, stride=stride) for own in sizes]
        return sizes

    def centres(self) -> list[tuple[float, int]]:
        """(first, stride) in pixels for every level: the centre of the first node, and the step to the next."""
        if isinstance(self.preparation, WhitenedFeatures):
            return [((self.preparation.stride - 1) / 2, self.preparation.stride)] * len(self.architecture.levels)
        return self.architecture.centres()


def backbone_of(arguments: Arguments) -> Backbone | EmbeddedBackbone | None:
    """The backbone that arguments name, or None. Raises ValueError, or DataError for its file."""
    backbone = None if isinstance(arguments.backbone, str) and arguments.backbone == SCRATCH else arguments.backbone
    if backbone is None or isinstance(backbone, Backbone | EmbeddedBackbone):
        if arguments.backbone_weights is not None:
            raise ValueError(f"backbone_weights: {arguments.backbone_weights!r}; name their geometry by backbone")
        return backbone
    validation.check_choice(backbone, "backbone", (EMBEDDED, SCRATCH, *GEOMETRY_NAMES))
    if backbone == EMBEDDED:
        return EmbeddedBackbone(EfficientNetLite0(arguments.backbone_weights))
    if arguments.backbone_weights is None:
        raise ValueError(f"backbone_weights: None; give the file with the weights of {backbone}")
    return load_backbone(backbone, arguments.backbone_weights)


def resolve(
    arguments: Arguments, backbone: Backbone | EmbeddedBackbone | None, n_images: int, picture_shape: Shape
) -> Settings:
    """The Settings of a fit on so many pictures of (height, width, channels). Raises ValueError that names the argument."""
    architecture = _check_architecture(arguments, backbone)
    n_levels = len(architecture.levels)
    training = _check_training(arguments.training)
    rate = validation.check_real(arguments.false_alarm_rate, "false_alarm_rate", 0, 1, open_ends=True)
    held_out = arguments.held_out
    if held_out is not None:
        held_out = validation.check_real(held_out, "held_out", 0, 0.5)
    n_held_out = held_out_count(n_images, held_out, rate)
    if arguments.brightness is not None:
        validation.check_choice(arguments.brightness, "brightness", ("median",))
    energy = validation.check_choice(arguments.energy, "energy", ENERGIES)
    epochs = training.epochs
    preparation = None if backbone is None else backbone.preparation
    if epochs is None:
        positions = picture_shape
        if isinstance(preparation, WhitenedFeatures):
            positions = preparation.shape(*picture_shape[:2])
        epochs = default_epochs(n_images - n_held_out, training.batch_size, positions)
    return Settings(
        architecture=architecture,
        preparation=preparation,
        sharing=validation.check_choice(arguments.sharing, "sharing", SHARINGS),
        optimizer=training.optimizer,
        learning_rate=training.learning_rate,
        batch_size=training.batch_size,
        epochs=_per_level(epochs, "epochs", n_levels, int),
        energy=energy,
        level_weights=_check_weights(arguments.level_weights, backbone is not None and energy != "sum", n_levels),
        floor=validation.check_real(arguments.floor, "floor", 0, 1e3),
        n_held_out=n_held_out,
        brightness=arguments.brightness,
        false_alarm_rate=rate,
    )


def default_epochs(n_trained_on: int, batch_size: int, picture_shape: Shape) -> int:
    """As many epochs as make 400 steps, or more for pictures that are smaller than the thesis's."""
    wanted = DEFAULT_STEPS * DEFAULT_POSITIONS / (picture_shape[0] * picture_shape[1])
    return math.ceil(min(max(wanted, DEFAULT_STEPS), MOST_STEPS) / math.ceil(n_trained_on / batch_size))


def _check_architecture(arguments: Arguments, backbone: Backbone | EmbeddedBackbone | None) -> Architecture:
    given: object = arguments.architecture
    if given is not None and not isinstance(given, Architecture):
        raise ValueError(f"architecture: {given!r:.60}; give a cbn.iem.Architecture")
    if backbone is None:
        return TABLE_4 if given is None else given
    if given is not None:
        raise ValueError("architecture: a backbone has its own; give one of the two")
    return backbone.architecture


def _check_training(training: object) -> Training:
    if training is not None and not isinstance(training, Training):
        raise ValueError(f"training: {training!r:.60}; give a cbn.iem.Training, such as Training(epochs=10)")
    return Training() if training is None else training.checked()


def _check_weights(weights: object, without_image: bool, n_levels: int) -> tuple[float, ...]:
    if weights is None:  # below a backbone's features the image adds noise; the thesis (eq. 16) has 1 for all levels
        weights = (0.0 if without_image and n_levels > 1 else 1.0, *(1.0,) * (n_levels - 1))
    checked = _per_level(
        weights, "level_weights", n_levels, lambda own: validation.check_real(own, "level_weights", 0, 1e6)
    )
    if not sum(checked) > 0:
        raise ValueError(f"level_weights: {weights!r}; at least one level must count")
    return checked


def _per_level(value: Any, name: str, n_levels: int, check: Callable[[Any], Any]) -> tuple[Any, ...]:
    """A tuple of one checked value for every level, from one for all or a sequence of them."""
    if isinstance(value, numbers.Real):
        return (check(value),) * n_levels
    if isinstance(value, str) or not hasattr(value, "__len__") or len(value) != n_levels:
        raise ValueError(f"{name}: {value!r:.80}; give one number, or one for each of the {n_levels} levels")
    return tuple(check(own) for own in value)


def held_out_count(n: int, held_out: float | None, false_alarm_rate: float) -> int:
    """How many of n pictures are held out: at least two, at most all but two, none of fewer than four.

    By default (``held_out`` None) a fifth; where the lowest p-value of so many would not be as low as
    ``false_alarm_rate``, as many as that needs, but not more than a third.
    """
    if held_out == 0 or n < 4:
        return 0
    if held_out is None:
        needed = math.ceil(1 / false_alarm_rate - 1e-9) - 1
        count = min(max(math.ceil(LEAST_HELD_OUT * n), needed), math.floor(MOST_HELD_OUT * n))
    else:
        count = math.ceil(held_out * n)
    return min(max(2, count), n - 2)
