# SPDX-License-Identifier: BSD-3-Clause
"""Constructor arguments of the estimator, checked, and what pictures become before the first level reads them."""

import math
import numbers
from dataclasses import dataclass, replace

import numpy as np

from .. import _validation as validation
from .energy import ENERGIES
from .nn.architecture import SHARINGS, TABLE_4, Architecture
from .nn.optimizers import OPTIMIZERS
from .pretrained.backbone import GEOMETRIES, Backbone, Preparation, load_backbone

MAX_EPOCHS = 10**6
# Steps of every level that the default number of epochs makes, at least: sidewards models of small sets of pictures
# need as many as those of large ones. More for small pictures, whose steps have fewer positions and cost less: in
# proportion below the positions of the thesis's pictures, up to twice as many.
DEFAULT_STEPS, MOST_STEPS, DEFAULT_POSITIONS = 400, 800, 300 * 300
# Share of the pictures that is held out by default, at least, and what it rises to where the threshold needs more.
LEAST_HELD_OUT, MOST_HELD_OUT = 1 / 5, 1 / 3
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
    epochs: tuple  # of every level; None: the default, until for_pictures
    energy: str
    level_weights: tuple
    floor: float
    held_out: float | None
    brightness: str | None
    false_alarm_rate: float
    n_held_out: int = 0  # after for_pictures

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

    def for_pictures(self, n_images, picture_shape):
        """These settings with what depends on the pictures filled in: epochs, and how many pictures are held out."""
        n_held_out = held_out_count(n_images, self.held_out, self.false_alarm_rate)
        positions = picture_shape[0] * picture_shape[1]
        wanted = min(max(DEFAULT_STEPS * DEFAULT_POSITIONS / positions, DEFAULT_STEPS), MOST_STEPS)
        default = math.ceil(wanted / math.ceil((n_images - n_held_out) / self.batch_size))
        epochs = tuple(default if own is None else own for own in self.epochs)
        return replace(self, epochs=epochs, n_held_out=n_held_out)

    def weights(self, n_levels):
        """(n_levels,) weights of the levels that are trained; 1 each where only levels of weight 0 are."""
        weights = np.array(self.level_weights[:n_levels])
        return weights if weights.any() else np.ones(n_levels)

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
        raise ValueError(f"architecture: {architecture!r:.60}; give a cbn.iem.nn.architecture.Architecture")
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
        level_weights=_check_weights(model, backbone, n_levels),
        floor=validation.check_real(model.floor, "floor", 0, 1e3),
        held_out=None if model.held_out is None else validation.check_real(model.held_out, "held_out", 0, 0.5),
        brightness=model.brightness,
        false_alarm_rate=validation.check_real(model.false_alarm_rate, "false_alarm_rate", 0, 1, open_ends=True),
    )


def _check_epochs(epochs, n_levels):
    if epochs is None:
        return (None,) * n_levels
    return _per_level(epochs, "epochs", n_levels, lambda own: validation.check_integer(own, "epochs", 1, MAX_EPOCHS))


def _check_weights(model, backbone, n_levels):
    weights = model.level_weights
    if weights is None:  # below a backbone's features the image adds noise; the thesis (eq. 16) has 1 for all levels
        without_image = backbone is not None and model.energy != "sum" and n_levels > 1
        weights = (0.0 if without_image else 1.0, *(1.0,) * (n_levels - 1))
    weights = _per_level(
        weights, "level_weights", n_levels,
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


def held_out_count(n, held_out, false_alarm_rate):
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


def split(n, n_held_out, rng):
    """(trained on, measured on): indices of pictures, the same ones where none is held out."""
    if n_held_out == 0:
        everything = np.arange(n)
        return everything, everything
    order = rng.permutation(n)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])
