# SPDX-License-Identifier: BSD-3-Clause
"""Options of cbn-train that name arguments of the fit; what they make is in _train_arguments.

The fields of parameter objects have options by what they say of themselves: a kind of CPDs that is registered has its
options without a line here.
"""

import argparse

from .._params import specs
from ..cpd import kinds
from ..cpd.base import SCORES as KNOWN_SCORES
from ..fit.presets import PRESETS
from ..layers.contrast import NAME as CONTRAST
from ..layers.features import Features
from . import _common as common
from ._fields import add_field, as_option, has_option, help_of

FALSE_ALARM_RATE = 0.01
SCORES = (*KNOWN_SCORES, CONTRAST)


def add_model_options(parser):
    """The groups "model", those of every kind of CPDs, and "hidden layers"."""
    model = parser.add_argument_group("model")
    model.add_argument(
        "--preset",
        type=_choice("--preset", PRESETS),
        choices=tuple(PRESETS),
        default="pixel",
        metavar="NAME",
        help=f"{', '.join(PRESETS)}: names the defaults of the options below (default: pixel)",
    )
    model.add_argument(
        "--threshold",
        type=_thresholds,
        metavar="T[,T...]",
        help=f"binarization: 1 where value > T x full scale; auto: by the images (default: {_of_presets('threshold')})",
    )
    choices = ", ".join(f"{name} ({kinds.kind_named(name).nouns})" for name in kinds.names())
    model.add_argument(
        "--cpd",
        choices=kinds.names(),
        help=f"how a node depends on others: {choices}; its fields are those of the preset where that has the same "
        f"kind (default: {_of_presets('cpd', lambda preset: kinds.kind_of(preset.cpd).name)})",
    )
    model.add_argument(
        "--score", type=_choice("--score", SCORES), choices=SCORES, metavar="NAME",
        help=f"{', '.join(SCORES)} (default: contrast where there is one, else {_of_presets('score')})",
    )  # fmt: skip
    with_contrast = ", ".join(name for name, preset in PRESETS.items() if preset.contrast)
    model.add_argument(
        "--contrast", action=argparse.BooleanOptionalAction,
        help="beside all trees, two networks of tied trees, of the class and of strokes in general, whose log-ratio "
        f"finds images of another kind (default: with {with_contrast})",
    )  # fmt: skip
    model.add_argument(
        "--false-alarm-rate", type=common.rate, metavar="P",
        help=f"share of normal images that may be called outliers (default: {FALSE_ALARM_RATE:g})",
    )  # fmt: skip
    model.add_argument(
        "--shift",
        type=common.integer(0, 8),
        metavar="N",
        help="train also on copies moved by up to N pixels, (2N+1)^2 images in place of one (default: 0)",
    )
    model.add_argument(
        "--folds", type=common.integer(2, 1000), metavar="N",
        help="parts of the images; networks without one each, until 2,500 images (25 / rate) or all are scored, set the threshold of all "
        "but tables (default: "
        f"{_of_presets('folds')})",
    )  # fmt: skip
    model.add_argument(
        "--quick", action="store_true", help="learn less in a fraction of the time, for a first look at tied trees"
    )
    _add_fields_of_kinds(parser)
    hidden = parser.add_argument_group("hidden layers", "For a preset that has such, or with --hidden.")
    shared = {spec.option for kind in all_kinds() for spec in specs(kind.parameter_class)}
    for spec in specs(Features):
        if has_option(spec) and spec.option not in shared:
            add_field(hidden, spec, help_of(spec, _defaults_of_features(spec)))
    hidden.add_argument(
        "--save-kernels",
        metavar="FILE",
        help="write the kernels alone (.npz; with --digit all, one file for each label)",
    )


def all_kinds():
    """The registered kinds of CPDs."""
    return [kinds.kind_named(name) for name in kinds.names()]


def owners():
    """Option -> [(kind, field) of every kind that has it]."""
    found = {}
    for kind in all_kinds():
        for spec in specs(kind.parameter_class):
            if has_option(spec):
                found.setdefault(spec.option, []).append((kind, spec))
    return found


def _add_fields_of_kinds(parser):
    """A group for the fields that several kinds have, and one for those of each."""
    of_options = owners()
    several = parser.add_argument_group("conditional distributions", "Of several kinds; see --cpd.")
    groups = {
        kind.name: parser.add_argument_group(kind.nouns, f"For --cpd {kind.name}, or a preset of such.")
        for kind in all_kinds()
    }
    for of in of_options.values():
        spec, names = of[0][1], [kind.nouns for kind, _ in of]
        text = help_of(spec, _defaults_of_kinds(of))
        if len(of) == 1:
            add_field(groups[of[0][0].name], spec, text)
        else:
            add_field(several, spec, f"{', '.join(names)}: {text}")
    several.add_argument(
        "--fields", "--boosting", metavar="NAME=VALUE,...",
        help="several fields of the kind in one word, by their names in Python: "
        + "; ".join(f"{kind.name}: {', '.join(kind.parameter_class().get_params())}" for kind in all_kinds()),
    )  # fmt: skip


def _defaults_of_kinds(of):
    """The defaults of one option of several kinds: those of the kinds, then of presets that have others."""
    found = {}  # text -> who has it
    for number, (kind, spec) in enumerate(of):
        found.setdefault(as_option(spec.default), []).append(kind.name if number else "")
        for name, preset in PRESETS.items():
            if kinds.kind_of(preset.cpd) is kind:
                found.setdefault(as_option(getattr(preset.cpd, spec.name)), []).append(name)
    return _listed(found)


def _defaults_of_features(spec):
    """The defaults of one field of hidden layers over the presets that have some."""
    found = {}
    if spec.name != "layers" and spec.default is not None:
        found[as_option(spec.default)] = [""]
    for name, preset in PRESETS.items():
        value = getattr(preset.features, spec.name)
        if preset.features.layers and value is not None:
            found.setdefault(as_option(value), []).append(name)
    return _listed(found)


def _of_presets(name, value_of=None):
    """The values of a preset's own attribute; that of most presets first."""
    found = {}
    for preset_name, preset in PRESETS.items():
        text = as_option(value_of(preset) if value_of else getattr(preset, name))
        found.setdefault(text, []).append(preset_name)
    texts = sorted(found, key=lambda text: -len(found[text]))
    return _listed({text: [""] if text == texts[0] else found[text] for text in texts})


def _listed(found):
    """ "50 / 0 (best)": what nobody is named for stands alone."""
    parts = []
    for text, names in found.items():
        named = ", ".join(dict.fromkeys(names))
        parts.append(text if "" in names else f"{text} ({named})")
    return " / ".join(parts)


def _choice(option, choices):
    """An argparse type: one of several words."""

    def convert(text):
        if text not in choices:
            raise argparse.ArgumentTypeError(f"{text!r}; choose one of {', '.join(choices)}")
        return text

    return convert


def _thresholds(text):
    """An argparse type: '0.3' -> 0.3; '0.1,0.3' -> (0.1, 0.3); 'auto' stays."""
    if text == "auto":
        return text
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}: give auto or numbers in [0, 1) such as 0.3 or 0.1,0.3,0.6"
        ) from None
    return values if len(values) > 1 else values[0]
