# SPDX-License-Identifier: BSD-3-Clause
"""Options of cbn-iem-train that name arguments of the introspective energy model, and the model that they make."""

import inspect
import math
import re

from ..estimators.iem import IntrospectiveEnergyModel
from ..iem import TABLE_4, Architecture
from ..iem.energy import ENERGIES
from ..iem.nn.architecture import SHARINGS
from ..iem.nn.optimizers import OPTIMIZERS
from ..iem.pretrained.backbone import GEOMETRIES, Backbone, load_backbone
from ..iem.settings import DEFAULT_STEPS, MOST_STEPS
from . import _common as common

DEFAULT_MODEL = "iem.cbn"
# The key of the colour scale of maps in a model's provenance.
SCALE_KEY = "heat_map_scale"
# Steps of every level that --quick makes, at least; a tenth of the default.
QUICK_STEPS = 40
# Share of normal pictures that may raise an alarm: at 1 % a category of fewer than 99 pictures could never raise any.
FALSE_ALARM_RATE = 0.05
# Longer sides are shrunk to this one, that of the thesis's Table 5.
MAX_SIDE = 300
# Backbones look at pictures of this size, at which they were trained (Table 6); their kernels know its details.
BACKBONE_SIZE = (224, 224)

_ARGUMENTS = ("sharing", "optimizer", "learning_rate", "batch_size", "epochs", "energy", "level_weights", "floor",
              "held_out", "brightness", "false_alarm_rate")  # fmt: skip


def add_model_options(parser):
    """The groups "model", "training" and "energies"."""
    parser.default_text = default_text
    model = parser.add_argument_group("model")
    model.add_argument(
        "--levels", type=common.integer(0, 31), metavar="N",
        help="levels above the image (default: as many of Table 4's, or of the backbone's, as there is room for)",
    )  # fmt: skip
    model.add_argument(
        "--sharing", choices=SHARINGS,
        help="what the networks that predict nodes share, Figure 15 of the thesis (default: {default})",
    )  # fmt: skip
    model.add_argument(
        "--backbone", choices=tuple(GEOMETRIES),
        help="take the kernels of a pretrained network, which stay as they are, in place of learning them",
    )  # fmt: skip
    model.add_argument("--weights", metavar="FILE", help="weights of the backbone: .npz, .safetensors or .pth")
    training = parser.add_argument_group("training")
    training.add_argument(
        "--epochs", type=_numbers(int, "whole numbers"), metavar="N[,N...]",
        help=f"passes over the pictures, for all levels or for each (default: as many as make {DEFAULT_STEPS} to "
        f"{MOST_STEPS} steps, the more the smaller the pictures)",
    )  # fmt: skip
    training.add_argument(
        "--quick", action="store_true",
        help=f"a short schedule for a first look: as many epochs as make {QUICK_STEPS} steps",
    )  # fmt: skip
    training.add_argument("--batch-size", type=common.integer(1, 2**20), metavar="N", help="default: {default}")
    training.add_argument("--learning-rate", type=float, metavar="X", help="default: {default}")
    training.add_argument("--optimizer", choices=tuple(OPTIMIZERS), help="default: {default}")
    training.add_argument(
        "--held-out", type=float, metavar="SHARE",
        help="share of the training pictures that only measure errors and set the threshold (default: a fifth, or what "
        "--false-alarm-rate needs, at most a third)",
    )  # fmt: skip
    energies = parser.add_argument_group("energies")
    energies.add_argument(
        "--energy", choices=ENERGIES,
        help="pooled: the largest of locally pooled errors; relative: the same in units of the picture's typical "
        "error; sum: of all errors, as in the thesis (default: {default})",
    )  # fmt: skip
    energies.add_argument(
        "--level-weights", type=_numbers(float, "numbers"), metavar="W[,W...]",
        help="weight of every level in energies and maps, the image's first (default: 1 each; with a backbone 0 "
        "for the image)",
    )  # fmt: skip
    energies.add_argument(
        "--floor", type=float, metavar="SHARE",
        help="least deviation of a node's error, as a share of its kernel's mean (default: {default})",
    )  # fmt: skip
    energies.add_argument(
        "--brightness", choices=("none", "median"),
        help="median: every picture is divided by its median grey, so that overall brightness says nothing "
        "(default: {default})",
    )  # fmt: skip
    energies.add_argument(
        "--false-alarm-rate", type=common.rate, default=FALSE_ALARM_RATE, metavar="P",
        help=f"share of normal pictures that may be called defective (default: {FALSE_ALARM_RATE})",
    )  # fmt: skip


def default_text(argument):
    """The default of a constructor argument, for --help."""
    value = _default(argument)
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _default(argument):
    return inspect.signature(IntrospectiveEnergyModel).parameters[argument].default


def _numbers(kind, what):
    """An argparse type: one number, or several between commas."""

    def convert(text):
        try:
            values = tuple(kind(word) for word in text.split(","))
        except ValueError:
            raise common.argparse.ArgumentTypeError(f"{text!r} is not a list of {what} such as 4 or 4,2,2") from None
        return values if len(values) > 1 else values[0]

    return convert


def picture_size(text):
    """An argparse type: "300" or "240x320" (height x width)."""
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text)
    sides = [int(side) for side in match.groups() if side is not None] if match else [0]
    if min(sides) < 1:
        raise common.argparse.ArgumentTypeError(f"{text!r} is not a size such as 300 or 240x320 (height x width)")
    return sides[0], sides[-1]


def check_model_options(arguments):
    """Refuses options that do not fit together."""
    if arguments.quick and arguments.epochs is not None:
        raise common.UsageError("--quick: sets --epochs; leave one of them out")
    if arguments.backbone is None and arguments.weights is not None:
        raise common.UsageError("--weights: goes with --backbone GEOMETRY; name the network that they are of")
    if arguments.backbone is not None and arguments.weights is None:
        raise common.UsageError(f"--backbone {arguments.backbone}: give the file with its weights by --weights FILE")


def make_model(arguments, n_train, picture_shape, backbone=None):
    """An estimator for pictures of (height, width, channels), with as many levels as they have room for.

    Parameters
    ----------
    arguments : argparse.Namespace
    n_train : int
        Training pictures.
    picture_shape : (height, width, channels)
    backbone : cbn.iem.pretrained.backbone.Backbone, optional
        Of --backbone and --weights; see :func:`read_backbone`.

    Raises
    ------
    ValueError
        An argument outside its range, or a level that was asked for and does not fit.
    """
    chosen = {name: getattr(arguments, name) for name in _ARGUMENTS if getattr(arguments, name) is not None}
    if chosen.get("brightness") == "none":
        chosen["brightness"] = None
    if arguments.quick:
        steps = math.ceil(n_train / chosen.get("batch_size", _default("batch_size")))
        chosen["epochs"] = math.ceil(QUICK_STEPS / steps)
    architecture = _with_levels(TABLE_4 if backbone is None else backbone.architecture, picture_shape, arguments)
    if backbone is None:
        chosen["architecture"] = architecture
    else:
        parameters = backbone.parameters[: len(architecture.levels)]
        chosen["backbone"] = Backbone(architecture, parameters, backbone.preparation)
    return IntrospectiveEnergyModel(n_jobs=arguments.threads, random_state=arguments.seed, **chosen)


def read_backbone(arguments):
    """The Backbone of --backbone and --weights, or None."""
    if arguments.backbone is None:
        return None
    with common.naming("--weights"):
        return load_backbone(arguments.backbone, arguments.weights)


def architecture_of(model):
    """The architecture of an estimator that :func:`make_model` made."""
    return model.architecture if model.backbone is None else model.backbone.architecture


def input_shape(model, picture_shape):
    """What level 0 is for pictures of (height, width, channels): a backbone reads three channels."""
    return (*picture_shape[:2], picture_shape[2] if model.backbone is None else 3)


def _with_levels(architecture, picture_shape, arguments):
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
