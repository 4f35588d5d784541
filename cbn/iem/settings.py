# SPDX-License-Identifier: BSD-3-Clause
"""Constructor arguments of the estimator, checked, and what pictures become before the first level reads them."""

import math
import numbers
from dataclasses import dataclass, replace

import numpy as np

from .. import _validation as validation
from .architecture import SHARINGS, TABLE_4, Architecture
from .backbone import GEOMETRIES, Backbone, Preparation, load_backbone
from .energy import ENERGIES
from .optimizers import OPTIMIZERS

MAX_EPOCHS = 10**6
# Steps of every level that the default number of epochs makes, at least: sidewards models of small sets of pictures
# need as many as those of large ones.
DEFAULT_STEPS = 400
# The median that a picture is divided by is at least one step of an 8-bit picture, so that black ones stay finite.
LEAST_MEDIAN = np.float32(1 / 255)


@dataclass(frozen=True)
class Settings:
    """The constructor arguments of IntrospectiveEnergyModel as training and scoring use them."""

    architecture: Architecture
    preparation: Preparation | None  # of the backbone
    sharing: str
    optimizer: str
    learning_rate: float
    batch_size: int
    epochs: tuple  # of every level; of the default after with_epochs
    energy: str
    level_weights: tuple
    floor: float
    held_out: float
    brightness: str | None
    false_alarm_rate: float

    def prepare(self, pictures):
        """Pictures (n, height, width, channels) as the float32 values that level 0 reads."""
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
        return values if self.preparation is None else self.preparation(values)

    def with_epochs(self, n_images):
        """These settings with the numbers of epochs for so many pictures filled in."""
        n_images -= held_out_count(n_images, self.held_out)
        steps = math.ceil(n_images / self.batch_size)
        default = math.ceil(DEFAULT_STEPS / steps)
        return replace(self, epochs=tuple(default if own is None else own for own in self.epochs))

    def level_shapes(self, picture_shape):
        """(height, width, kernels) of every level. Raises ValueError where a level has no room."""
        height, width, channels = picture_shape
        return self.architecture.shapes(height, width, channels if self.preparation is None else 3)


def backbone_of(model):
    """The Backbone that the arguments of an estimator name, or None. Raises ValueError, or DataError for its file."""
    if model.backbone is None or isinstance(model.backbone, Backbone):
        if model.backbone_weights is not None:
            raise ValueError(f"backbone_weights: {model.backbone_weights!r}; name their geometry by backbone")
        return model.backbone
    validation.check_choice(model.backbone, "backbone", tuple(GEOMETRIES))
    if model.backbone_weights is None:
        raise ValueError(f"backbone_weights: None; give the file with the weights of {model.backbone}")
    return load_backbone(model.backbone, model.backbone_weights)


def resolve(model, backbone):
    """The checked Settings of an estimator with a Backbone or None. Raises ValueError that names the argument."""
    architecture = TABLE_4 if model.architecture is None else model.architecture
    if not isinstance(architecture, Architecture):
        raise ValueError(f"architecture: {architecture!r:.60}; give a cbn.iem.architecture.Architecture")
    if backbone is not None:
        if model.architecture is not None:
            raise ValueError("architecture: a backbone has its own; give one of the two")
        architecture = backbone.architecture
    n_levels = len(architecture.levels)
    if model.brightness is not None:
        validation.check_choice(model.brightness, "brightness", ("median",))
    return Settings(
        architecture=architecture,
        preparation=None if backbone is None else backbone.preparation,
        sharing=validation.check_choice(model.sharing, "sharing", SHARINGS),
        optimizer=validation.check_choice(model.optimizer, "optimizer", tuple(OPTIMIZERS)),
        learning_rate=validation.check_real(model.learning_rate, "learning_rate", 1e-12, 1e3),
        batch_size=validation.check_integer(model.batch_size, "batch_size", 1, 2**20),
        epochs=_check_epochs(model.epochs, n_levels),
        energy=validation.check_choice(model.energy, "energy", ENERGIES),
        level_weights=_check_weights(model.level_weights, n_levels),
        floor=validation.check_real(model.floor, "floor", 0, 1e3),
        held_out=validation.check_real(model.held_out, "held_out", 0, 0.5),
        brightness=model.brightness,
        false_alarm_rate=validation.check_real(model.false_alarm_rate, "false_alarm_rate", 0, 1, open_ends=True),
    )


def _check_epochs(epochs, n_levels):
    if epochs is None:
        return (None,) * n_levels
    return _per_level(epochs, "epochs", n_levels, lambda own: validation.check_integer(own, "epochs", 1, MAX_EPOCHS))


def _check_weights(weights, n_levels):
    weights = _per_level(
        1.0 if weights is None else weights, "level_weights", n_levels,
        lambda weight: validation.check_real(weight, "level_weights", 0, 1e6),
    )  # fmt: skip
    if not sum(weights) > 0:
        raise ValueError(f"level_weights: {weights!r}; at least one level must count")
    return weights


def _per_level(value, name, n_levels, check):
    """A tuple of one checked value for every level, from one for all or a sequence of them."""
    if isinstance(value, numbers.Real):
        return (check(value),) * n_levels
    if isinstance(value, str) or not hasattr(value, "__len__") or len(value) != n_levels:
        raise ValueError(f"{name}: {value!r:.80}; give one number, or one for each of the {n_levels} levels")
    return tuple(check(own) for own in value)


def held_out_count(n, held_out):
    """How many of n pictures are held out: at least two, at most all but two, none of fewer than four."""
    return 0 if held_out == 0 or n < 4 else min(max(2, math.ceil(held_out * n)), n - 2)


def split(n, held_out, rng):
    """(trained on, measured on): indices of pictures, the same ones where none is held out."""
    count = held_out_count(n, held_out)
    if count == 0:
        everything = np.arange(n)
        return everything, everything
    order = rng.permutation(n)
    return np.sort(order[count:]), np.sort(order[:count])
