# SPDX-License-Identifier: BSD-3-Clause
"""Options of cbn-iem-train that name arguments of the introspective energy model, and the arguments that they make."""

import argparse
import math
from typing import TYPE_CHECKING, Any

from .._params import numbers_from, specs
from ..iem.gaussian.parameters import Gaussian
from ..iem.names import EMBEDDED, ENERGIES, GEOMETRY_NAMES, N_EMBEDDED, SCRATCH, SHARINGS, SIDEWARDS
from ..iem.parameters import OF_NEURAL, Arguments, Training, sidewards_of
from . import _common as common
from ._fields import add_fields, given_fields, has_option, option_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ..iem.nn.architecture import Architecture
    from ..iem.nn.arrays import Shape
    from ..iem.pretrained.backbone import Backbone
    from ..iem.pretrained.embedded import EmbeddedBackbone

DEFAULT_MODEL = "iem.cbn"
# The key of the colour scale of maps in a model's provenance.
SCALE_KEY = "heat_map_scale"
# Steps of every level that --quick makes, at least; a tenth of the default.
QUICK_STEPS = 40
# Share of normal pictures that may raise an alarm: at 1 % a category of fewer than 99 pictures could never raise any.
FALSE_ALARM_RATE = Arguments.false_alarm_rate
# Longer sides are shrunk to this one, that of the thesis's Table 5.
MAX_SIDE = 300
# Backbones look at pictures of this size, at which they were trained (Table 6); their kernels know its details.
BACKBONE_SIZE = (224, 224)

_ARGUMENTS = ("sharing", "energy", "level_weights", "floor", "held_out", "brightness", "false_alarm_rate")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """The groups "model", "training" and "energies"."""
    model = parser.add_argument_group("model")
    model.add_argument(
        "--sidewards", choices=SIDEWARDS,
        help="what says which features are usual at a position. gaussian: a mean and a covariance, fitted in seconds; "
        "neural: networks as in the thesis, trained for minutes (default: neural with any option of those, else gaussian)",
    )  # fmt: skip
    add_fields(parser.add_argument_group("Gaussian sidewards models"), Gaussian)
    model = parser.add_argument_group("neural sidewards models")
    model.add_argument(
        "--levels", type=common.integer(0, 31), metavar="N",
        help="levels above the image (default: as many of Table 4's, or of the backbone's, as there is room for)",
    )  # fmt: skip
    model.add_argument(
        "--sharing", choices=SHARINGS,
        help=f"what the networks that predict nodes share, Figure 15 of the thesis (default: {Arguments.sharing})",
    )  # fmt: skip
    model.add_argument(
        "--backbone", choices=(EMBEDDED, SCRATCH, *GEOMETRY_NAMES),
        help=f"take the kernels of a pretrained network, which stay as they are, in place of learning them; {EMBEDDED} "
        f"comes with cbn (default: {SCRATCH}; Gaussian models: {EMBEDDED})",
    )  # fmt: skip
    model.add_argument("--weights", metavar="FILE", help="weights of the backbone: .npz, .safetensors or .pth")
    training = parser.add_argument_group("training of neural sidewards models")
    add_fields(training, Training)
    training.add_argument(
        "--quick", action="store_true",
        help=f"a short schedule for a first look: as many epochs as make {QUICK_STEPS} steps",
    )  # fmt: skip
    training.add_argument(
        "--held-out", type=float, metavar="SHARE",
        help="share of the training pictures that only measure errors and set the threshold (default: a fifth, or what "
        "--false-alarm-rate needs, at most a third)",
    )  # fmt: skip
    energies = parser.add_argument_group("energies of neural sidewards models")
    energies.add_argument(
        "--energy", choices=ENERGIES,
        help="pooled: the largest of locally pooled errors; relative: the same in units of the picture's typical "
        "error; pattern: which kernels err how much around a position, for textures; sum: of all errors, as in the "
        f"thesis (default: {Arguments.energy})",
    )  # fmt: skip
    energies.add_argument(
        "--level-weights", type=_typed(numbers_from(float, "numbers")), metavar="W[,W...]",
        help="weight of every level in energies and maps, the image's first (default: 1 each; with a backbone 0 "
        "for the image)",
    )  # fmt: skip
    energies.add_argument(
        "--floor", type=float, metavar="SHARE",
        help=f"least deviation of a node's error, as a share of its kernel's mean (default: {Arguments.floor:g})",
    )  # fmt: skip
    both = parser.add_argument_group("brightness and alarms")
    both.add_argument(
        "--brightness", choices=("none", "median"),
        help="median: every picture is divided by its median grey, so that overall brightness says nothing "
        "(default: none)",
    )  # fmt: skip
    both.add_argument(
        "--false-alarm-rate", type=common.rate, metavar="P",
        help=f"share of normal pictures that may be called outliers (default: {FALSE_ALARM_RATE})",
    )  # fmt: skip


def _typed(parse: Any) -> Any:
    """What reads a text, as an argparse type."""

    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def check_model_options(arguments: argparse.Namespace) -> None:
    """Refuses options that do not fit together."""
    if arguments.quick and arguments.epochs is not None:
        raise common.UsageError("--quick: sets --epochs; leave one of them out")
    try:
        kind = chosen_sidewards(arguments)
    except ValueError as error:
        name, _, rest = str(error).partition(": ")
        option = _option_of(arguments, name)
        raise common.UsageError(f"--{option}: {rest.replace('sidewards=', '--sidewards ', 1)}") from None
    if kind == "gaussian":
        if arguments.weights is not None and arguments.backbone in (None, SCRATCH):
            raise common.UsageError(
                f"--weights: goes with --backbone {EMBEDDED} or another; name the network that they are of"
            )
        blocks = given_fields(arguments, Gaussian).get("blocks")
        if blocks is not None and blocks[-1] >= N_EMBEDDED and arguments.weights is None:
            raise common.UsageError(
                f"--blocks: block {blocks[-1]} is not among those that come with cbn, 0 to {N_EMBEDDED - 1}; give a file "
                f"with all by --backbone {EMBEDDED} --weights FILE"
            )
        return
    if arguments.backbone == SCRATCH:
        arguments.backbone = None
    if arguments.backbone is None and arguments.weights is not None:
        raise common.UsageError("--weights: goes with --backbone GEOMETRY; name the network that they are of")
    if arguments.backbone == EMBEDDED and arguments.levels:
        raise common.UsageError(f"--levels: {EMBEDDED} is one level, in place of the image; leave it out")
    if arguments.backbone not in (None, EMBEDDED) and arguments.weights is None:
        raise common.UsageError(f"--backbone {arguments.backbone}: give the file with its weights by --weights FILE")


def _option_of(arguments: argparse.Namespace, name: str) -> str:
    """The option that an argument comes from: of a parameter object, one of its fields that is given."""
    if name == "architecture":
        return "levels"
    if name == "training" and arguments.quick:
        return "quick"
    if name in ("training", "gaussian"):
        name = next(iter(given_fields(arguments, Training if name == "training" else Gaussian)), name)
    return name.replace("_", "-")


def naming_options() -> "AbstractContextManager[None]":
    """Errors about arguments of a fit name the options that gave them."""
    fields = (spec for kind in (Gaussian, Training) for spec in specs(kind) if has_option(spec))
    names = {name: f"--{name.replace('_', '-')}" for name in (*_ARGUMENTS, "sidewards", "backbone", "size")}
    return common.renaming(**names, **{spec.name: option_of(spec) for spec in fields})


def chosen_sidewards(arguments: argparse.Namespace) -> str:
    """The kind of sidewards models that options ask for. Raises ValueError for options of both."""
    chosen = {name: getattr(arguments, name) for name in _ARGUMENTS if getattr(arguments, name) is not None}
    chosen = {name: value for name, value in chosen.items() if name in OF_NEURAL}
    if given_fields(arguments, Training) or arguments.quick:
        chosen["training"] = Training()
    if arguments.levels is not None:
        chosen["architecture"] = arguments.levels
    given = given_fields(arguments, Gaussian)
    gaussian = Gaussian(**given) if given else None
    return sidewards_of(
        Arguments(sidewards=arguments.sidewards, gaussian=gaussian, backbone=arguments.backbone, **chosen)
    )


def gaussian_arguments(arguments: argparse.Namespace) -> Arguments:
    """Arguments of a fit of Gaussian sidewards models."""
    brightness = None if arguments.brightness == "none" else arguments.brightness
    return Arguments(
        sidewards="gaussian",
        gaussian=Gaussian(**given_fields(arguments, Gaussian)),
        backbone=arguments.backbone,
        backbone_weights=arguments.weights,
        brightness=brightness,
        false_alarm_rate=arguments.false_alarm_rate,
        random_state=arguments.seed,
    )


def fit_arguments(
    arguments: argparse.Namespace,
    n_train: int,
    picture_shape: "Shape",
    backbone: "Backbone | EmbeddedBackbone | None" = None,
) -> Arguments:
    """Arguments of a fit on pictures of (height, width, channels), with as many levels as they have room for.

    Parameters
    ----------
    arguments : argparse.Namespace
    n_train : int
        Training pictures.
    picture_shape : (height, width, channels)
    backbone : Backbone or EmbeddedBackbone, optional
        Of --backbone and --weights; see :func:`read_backbone`.

    Raises
    ------
    ValueError
        A level that was asked for and is not there.
    """
    if chosen_sidewards(arguments) == "gaussian":
        return gaussian_arguments(arguments)
    from ..iem.nn.architecture import TABLE_4
    from ..iem.pretrained.backbone import Backbone
    from ..iem.pretrained.embedded import EmbeddedBackbone

    chosen = {name: getattr(arguments, name) for name in _ARGUMENTS if getattr(arguments, name) is not None}
    if chosen.get("brightness") == "none":
        chosen["brightness"] = None
    training = Training(**given_fields(arguments, Training))
    if arguments.quick:
        training.epochs = math.ceil(QUICK_STEPS / math.ceil(n_train / training.batch_size))
    chosen |= {"sidewards": "neural", "training": training, "random_state": arguments.seed}
    if isinstance(backbone, EmbeddedBackbone):
        return Arguments(backbone=backbone, **chosen)
    architecture = _with_levels(TABLE_4 if backbone is None else backbone.architecture, picture_shape, arguments)
    if backbone is None:
        return Arguments(architecture=architecture, **chosen)
    parameters = backbone.parameters[: len(architecture.levels)]
    return Arguments(backbone=Backbone(architecture, parameters, backbone.preparation), **chosen)


def read_backbone(arguments: argparse.Namespace) -> "Backbone | EmbeddedBackbone | None":
    """The backbone of --backbone and --weights, or None."""
    if arguments.backbone is None or chosen_sidewards(arguments) == "gaussian":
        return None
    from ..iem.pretrained.backbone import load_backbone
    from ..iem.pretrained.efficientnet import EfficientNetLite0
    from ..iem.pretrained.embedded import EmbeddedBackbone

    with common.naming("--weights"):
        if arguments.backbone == EMBEDDED:
            return EmbeddedBackbone(EfficientNetLite0(arguments.weights))
        return load_backbone(arguments.backbone, arguments.weights)


def _with_levels(architecture: "Architecture", picture_shape: "Shape", arguments: argparse.Namespace) -> "Architecture":
    from ..iem.nn.architecture import Architecture

    most = len(architecture.levels) - 1
    if arguments.levels is not None:
        if arguments.levels > most:
            raise ValueError(f"--levels: {arguments.levels}, but there are only {most} above the image; give fewer")
        return Architecture(architecture.levels[: arguments.levels + 1])
    channels = picture_shape[2] if arguments.backbone is None else 3
    for n_levels in range(most, 0, -1):
        cut = Architecture(architecture.levels[: n_levels + 1])
        try:
            cut.shapes(*picture_shape[:2], channels)
        except ValueError:
            continue
        if n_levels < most:
            size = f"{picture_shape[0]} x {picture_shape[1]}"
            common.say(arguments, f"pictures of {size} have room for {n_levels} of {most} levels above the image")
        return cut
    return Architecture(architecture.levels[:1])
