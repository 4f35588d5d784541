# SPDX-License-Identifier: BSD-3-Clause
"""From the options of cbn-train to the arguments of a fit: what does not fit together is refused by its option."""

import re
from dataclasses import fields, replace

from .._params import specs
from ..cpd import kinds
from ..fit.classifier import ClassifierArguments
from ..fit.presets import PRESETS
from ..fit.settings import Arguments, chosen_cpd
from ..layers.features import Features, starting_kernels
from . import _common as common
from ._fields import given_fields, option_of, read_text
from ._train_options import all_kinds, owners

# Arguments of a fit that are options of the same name.
PLAIN = ("contrast", "threshold", "score", "folds", "shift", "false_alarm_rate")


def fit_arguments(parsed):
    """The Arguments of a network that the options describe, checked. Raises UsageError, DataError."""
    preset = PRESETS[parsed.preset]
    cpd = chosen_cpd(parsed.cpd, preset)
    kind = kinds.kind_of(cpd)
    features = preset.features.replaced(**given_fields(parsed, Features))
    _refuse_fields_of_others(parsed, kind, features)
    given = given_fields(parsed, kind.parameter_class) | _several_fields(parsed.fields, kind)
    if parsed.quick:
        cpd = _quick(kind, cpd)
    arguments = Arguments(
        preset=parsed.preset,
        cpd=cpd.replaced(**given) if given or parsed.quick else parsed.cpd,
        features=features if given_fields(parsed, Features) and features.layers else None,
        n_jobs=parsed.threads,
        random_state=parsed.seed,
        **{name: getattr(parsed, name) for name in PLAIN if getattr(parsed, name) is not None},
    )
    with naming_options(parsed):
        arguments.resolve()
        if features.kernels is not None:  # read once, before any image is
            loaded = starting_kernels(features.kernels, features.layers, ())
            arguments = replace(arguments, features=features.replaced(kernels=loaded))
    return arguments


def _quick(kind, parameters):
    """Parameters for a first look. Raises UsageError."""
    quick = kind.quick(parameters)
    if quick is None:
        others = " or ".join(f"--cpd {other.name}" for other in all_kinds() if other.quick(other.parameter_class()))
        raise common.UsageError(f"--quick: is for {others}; with {kind.nouns} there is nothing to be left out")
    return quick


def classifier_arguments(parsed):
    """The ClassifierArguments that the options describe, checked. Raises UsageError, DataError."""
    arguments = fit_arguments(parsed)
    known = {own.name for own in fields(ClassifierArguments)}
    for option, given in _only_of_networks(parsed).items():
        if given:
            raise common.UsageError(f"{option}: is for networks that raise alarms, not for --classifier; leave it out")
    own = {name: value for name, value in vars(arguments).items() if name in known}
    classifier = ClassifierArguments(**own)
    with naming_options(parsed):
        classifier.resolve()
    return classifier


def _only_of_networks(parsed):
    """Whether options are given that a classifier has no use for."""
    known = {own.name for own in fields(ClassifierArguments)}
    plain = {f"--{name.replace('_', '-')}": getattr(parsed, name) is not None for name in PLAIN if name not in known}
    others = {"--calibration": parsed.calibration, "--hidden": parsed.hidden, "--save-kernels": parsed.save_kernels,
              "--resume": parsed.resume}  # fmt: skip
    return plain | {option: value is not None for option, value in others.items()}


def _refuse_fields_of_others(parsed, kind, features):
    """Refuses options of other kinds of CPDs, of hidden layers where there are none, and layers where none can be."""
    for option, of in owners().items():
        if getattr(parsed, option.replace("-", "_")) is not None and kind not in [owner for owner, _ in of]:
            names = " or ".join(owner.name for owner, _ in of)
            raise common.UsageError(
                f"{option_of(of[0][1])}: is for --cpd {names}, not {kind.name}; choose one, or leave the option out"
            )
    if features.layers and not kind.has_features:
        others = " or ".join(f"--cpd {other.name}" for other in all_kinds() if other.has_features)
        raise common.UsageError(f"--cpd {kind.name}: is for pixels alone; take {others}, or no hidden layers")
    if features.layers:
        return
    of_kinds = owners()
    need = [spec for spec in specs(Features) if spec.name != "layers" and spec.option not in of_kinds]
    given = [option_of(spec) for spec in need if spec.name in given_fields(parsed, Features)]
    given += [f"--{name.replace('_', '-')}" for name in ("save_kernels", "resume") if getattr(parsed, name) is not None]
    if given:
        raise common.UsageError(f"{given[0]}: there is no hidden layer; add --preset hidden or --hidden")


def _several_fields(text, kind):
    """'rounds=100,rate=0.05' -> {"rounds": 100, "rate": 0.05}; commas may stand in values."""
    if text is None:
        return {}
    known = {spec.name: spec for spec in specs(kind.parameter_class)}
    found = {}
    for part in re.split(r",(?=\s*\w+\s*=)", text):
        name, _, value = (word.strip() for word in part.partition("="))
        if name not in known or name in found:
            others = [own.name for own in all_kinds() if name in own.parameter_class().get_params() and own is not kind]
            of = f"; {name} is for --cpd {' or '.join(others)}" if others else ""
            raise common.UsageError(
                f"--fields {text!r}: give NAME=VALUE,... each once; the names of {kind.name} are {', '.join(known)}{of}"
            )
        try:
            found[name] = read_text(known[name], value)
        except ValueError as error:
            raise common.UsageError(f"--fields {text!r}: {name}: {error}") from None
    return found


def naming_options(parsed):
    """Errors about arguments name the options that gave them."""
    kind = kinds.kind_of(chosen_cpd(parsed.cpd, PRESETS[parsed.preset]))
    options = {spec.name: option_of(spec) for spec in (*specs(Features), *specs(kind.parameter_class))}
    options |= {name: f"--{name.replace('_', '-')}" for name in (*PLAIN, "preset", "cpd", "full_scale")}
    return common.renaming(**options)


def with_scale(arguments, images):
    """Arguments for the images of an ImageSet: of 0 and 1, or of 0 to 255."""
    return replace(arguments, full_scale=255 if images.binarization is None else 1)
