# SPDX-License-Identifier: BSD-3-Clause
"""Flat arguments: what model files of versions 1 to 3 hold in place of parameter objects.

There every field of every object was an argument of its own, and null left it to the preset. Their defaults, which
belong to those versions, are written down here.
"""

from typing import Any

from .._params import Parameters
from ..cpd.boosted import Boosted
from ..cpd.kinds import kind_named, kind_of
from ..layers.features import Features
from .classifier import ClassifierArguments
from .presets import PRESETS
from .settings import Arguments

# Fields of the kinds' parameters among the flat arguments; those of boosted trees were one argument, "boosting".
OF_CPDS = ("offsets", "reach", "penalty", "max_leaves", "min_leaf", "shrinkage", "pseudocount")
OF_FEATURES = {"hidden": "layers"} | {
    name: name
    for name in ("layer_weights", "max_parents", "forced_relations", "forbidden_relations", "initialization",
                 "activation", "iterations", "learning_rate", "momentum", "normalize_kernels", "keep_activation",
                 "replace_worst", "kernels")
}  # fmt: skip
# How far all trees looked where no preset said otherwise.
REACH = 6


def from_flat(flat: dict[str, Any]) -> Arguments:
    """The arguments of a network. Raises ValueError or TypeError for names and values that there never were."""
    name = flat.get("preset")
    preset = PRESETS[name if isinstance(name, str) and name in PRESETS else "pixel"]  # others are refused later
    same = ("preset", "threshold", "score", "folds", "shift", "false_alarm_rate", "image_shape", "full_scale",
            "random_state", "n_jobs")  # fmt: skip
    unknown = flat.keys() - {*same, *OF_CPDS, *OF_FEATURES, "cpd", "boosting"}
    if unknown:
        raise TypeError(f"an argument {min(unknown)!r} that there never was")
    return Arguments(
        **{name: flat[name] for name in same if name in flat},
        cpd=_cpd(flat, preset.cpd),
        features=_features(flat, preset.features),
    )


def classifier_from_flat(flat: dict[str, Any]) -> ClassifierArguments:
    """The arguments of a classifier."""
    own = {name: flat[name] for name in ("class_prior",) if name in flat}
    a = from_flat({name: value for name, value in flat.items() if name not in own})
    return ClassifierArguments(
        preset=a.preset, cpd=a.cpd, threshold=a.threshold, image_shape=a.image_shape, full_scale=a.full_scale,
        n_jobs=a.n_jobs, random_state=a.random_state, **own,
    )  # fmt: skip


def _cpd(flat: dict[str, Any], of_preset: Parameters) -> Parameters | None:
    given = {name: flat[name] for name in OF_CPDS if flat.get(name) is not None}
    boosting = flat.get("boosting")
    name = flat.get("cpd")
    if name is None and not given and boosting is None:
        return None
    kind = kind_of(of_preset) if name is None else kind_named(name)
    own_preset = isinstance(of_preset, kind.parameter_class)
    start = of_preset if own_preset else kind.parameter_class()
    if isinstance(start, Boosted):
        given.pop("pseudocount", None)  # of tables and trees
        if not own_preset:
            given = {"reach": REACH} | given
        given |= boosting or {}
    elif boosting is not None:
        raise ValueError(f"boosting: {boosting!r} is for cpd 'boosted'; leave it out")
    for field in given:
        if field not in start.get_params():
            raise ValueError(f"{field}: {given[field]!r} is not for cpd {kind.name!r}; leave it out")
    return start.replaced(**given)


def _features(flat: dict[str, Any], of_preset: Features) -> Features | None:
    given = {OF_FEATURES[name]: flat[name] for name in OF_FEATURES if flat.get(name) is not None}
    if flat.get("pseudocount") is not None:  # one number for everything
        given["pseudocount"] = flat["pseudocount"]
    changed = of_preset.replaced(**given)
    return None if changed == of_preset else changed
