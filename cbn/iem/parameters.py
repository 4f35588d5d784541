# SPDX-License-Identifier: BSD-3-Clause
"""The arguments of an introspective energy model: the parameter object of its training, and all of them as given."""

import numbers
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _validation as validation
from .._params import Checked, Choice, Parameters, Real, Whole, numbers_from, parameter, parameters
from .names import EMBEDDED, OPTIMIZER_NAMES, SCRATCH, SIDEWARDS

if TYPE_CHECKING:
    from .gaussian.parameters import Gaussian
    from .nn.architecture import Architecture
    from .pretrained.backbone import Backbone
    from .pretrained.embedded import EmbeddedBackbone

MAX_EPOCHS = 10**6
# Steps of every level that the default number of epochs makes, at least: sidewards models of small sets of pictures
# need as many as those of large ones. More for small pictures, whose steps have fewer positions and cost less: in
# proportion below the positions of the thesis's pictures, up to twice as many.
DEFAULT_STEPS, MOST_STEPS, DEFAULT_POSITIONS = 400, 800, 300 * 300


def _check_epochs(value: Any, name: str) -> int | tuple[int, ...] | None:
    if value is None:
        return None
    if isinstance(value, numbers.Real):
        return validation.check_integer(value, name, 1, MAX_EPOCHS)
    if isinstance(value, str) or not hasattr(value, "__len__") or not len(value):
        raise ValueError(f"{name}: {value!r:.80}; give one number, or one for each level")
    return tuple(validation.check_integer(own, name, 1, MAX_EPOCHS) for own in value)


_EPOCHS = Checked(
    _check_epochs, "int, sequence of int, or None", parse=numbers_from(int, "whole numbers"), metavar="N[,N...]"
)


@parameters
class Training(Parameters):
    """How the levels of an introspective energy model are trained, one after the other.

    Raises nothing when it is made; ``fit`` checks it.
    """

    optimizer: str = parameter(
        default="adam",
        rule=Choice(OPTIMIZER_NAMES),
        help="Adam, or plain gradient descent along mean squared errors, which is slow.",
    )
    learning_rate: float = parameter(default=0.001, rule=Real(1e-12, 1e3), help="How far a step goes.")
    batch_size: int = parameter(default=8, rule=Whole(1, 2**20), help="Pictures of a training step.")
    epochs: int | Sequence[int] | None = parameter(
        default=None,
        rule=_EPOCHS,
        help="Passes over the training pictures, for all levels or one number for each; by default as many as make "
        f"{DEFAULT_STEPS} steps, or up to {MOST_STEPS} for pictures smaller than 300 x 300.",
    )


@dataclass(frozen=True)
class Arguments:
    """What an introspective energy model is fitted with; see cbn.IntrospectiveEnergyModel for the meaning of each.

    As given: :func:`cbn.iem.settings.resolve` checks them. ``n_jobs`` is none of them, as no result depends on it.
    """

    sidewards: str | None = None
    gaussian: "Gaussian | None" = None
    architecture: "Architecture | None" = None
    backbone: "Backbone | EmbeddedBackbone | str | None" = None
    backbone_weights: Any = None
    sharing: str = "b"
    training: Training | None = None
    energy: str = "relative"
    level_weights: float | Sequence[float] | None = None
    floor: float = 0.25
    held_out: float | None = None
    brightness: str | None = None
    false_alarm_rate: float = 0.05
    random_state: Any = None

    def kept(self) -> "Arguments":
        """A copy that nobody else can change: plain numbers and tuples; generators, which move on, as None."""
        return Arguments(**{own.name: _kept(getattr(self, own.name)) for own in fields(self)})


# Arguments that concern one kind of sidewards models alone.
OF_NEURAL = ("architecture", "sharing", "training", "energy", "level_weights", "floor", "held_out")
OF_GAUSSIAN = ("gaussian",)


def sidewards_of(arguments: Arguments) -> str:
    """The kind of sidewards models: as given, else "neural" where an argument of those is given, else "gaussian".

    Raises
    ------
    ValueError
        Arguments of both kinds.
    """
    neural = [name for name in OF_NEURAL if _is_given(arguments, name)]
    gaussian = [name for name in OF_GAUSSIAN if _is_given(arguments, name)]
    backbone = arguments.backbone
    if backbone is not None and not (isinstance(backbone, str) and backbone in (EMBEDDED, SCRATCH)):
        neural.append("backbone")
    kind = arguments.sidewards
    if kind is None:
        kind = "neural" if neural and not gaussian else "gaussian"
    validation.check_choice(kind, "sidewards", SIDEWARDS)
    foreign = neural if kind == "gaussian" else gaussian
    if foreign:
        other = "neural" if kind == "gaussian" else "gaussian"
        raise ValueError(f"{foreign[0]}: belongs to sidewards={other!r}, not {kind!r}; leave it out, or give that")
    return kind


def _is_given(arguments: Arguments, name: str) -> bool:
    value, default = getattr(arguments, name), getattr(Arguments, name)
    return value is not None if default is None else not (isinstance(value, type(default)) and value == default)


def _kept(value: Any) -> Any:
    if isinstance(value, np.random.Generator | np.random.RandomState):
        return None
    if isinstance(value, Parameters):
        return type(value)(**{name: _kept(own) for name, own in value.get_params().items()})
    if isinstance(value, np.ndarray | list | tuple):
        return tuple(_kept(own) for own in value)
    return value.item() if isinstance(value, np.generic) else value
