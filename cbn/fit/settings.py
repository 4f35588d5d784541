# SPDX-License-Identifier: BSD-3-Clause
"""From the arguments of a fit to its settings: typed, checked, resolved once, and never read again after that."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeVar

import numpy as np

from .. import _validation as validation
from .._params import Parameters, specs
from ..bits.binarization import check_thresholds
from ..cpd.base import CPD, SCORES
from ..cpd.kinds import kind_named, kind_of, parameter_classes
from ..layers.contrast import NAME as CONTRAST
from ..layers.contrast import Contrast
from ..layers.features import Features
from .presets import PRESETS, Preset

Kept = TypeVar("Kept", bound=Any)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What a user may say of a network before it is fitted; None leaves it to the preset.

    The fields are the constructor arguments of :class:`cbn.ConvolutionalBayesianNetwork`, which explains them.
    """

    preset: str = "pixel"
    cpd: Parameters | str | None = None
    features: Features | None = None
    contrast: Contrast | bool | None = None
    threshold: float | Sequence[float] | str | None = None
    score: str | None = None
    folds: int | None = None
    shift: int = 0
    false_alarm_rate: float = 0.01
    image_shape: tuple[int, int] | None = None
    full_scale: int | None = None
    n_jobs: int | None = None
    random_state: "int | np.random.Generator | None" = None

    def resolve(self) -> "Settings":
        """These arguments checked, those at None taken from the preset; see :func:`resolve`."""
        return resolve(self)


@dataclass(frozen=True)
class Settings:
    """The arguments of one fit, all of them known.

    Attributes
    ----------
    preset : str
    cpd : Parameters
        Of the kind of conditional distributions; see :attr:`kind`.
    features : Features
    contrast : Contrast or None
    threshold : tuple of float, or "auto"
        "auto" until the images are seen.
    score : str
    folds : int
        Networks that are grown without a part of the images, where an image cannot be left out of the counts.
    shift : int
    false_alarm_rate : float
    image_shape : (height, width) or None
    full_scale : int or None
        What integer images hold where a pixel is white; 1 for images of 0 and 1.
    random_state : int, NumPy generator or None
        A generator is advanced by every use, so it is kept as it is.
    """

    preset: str
    cpd: Parameters
    features: Features
    contrast: Contrast | None
    threshold: tuple[float, ...] | Literal["auto"]
    score: str
    folds: int
    shift: int
    false_alarm_rate: float
    image_shape: tuple[int, int] | None
    full_scale: int | None
    random_state: "int | np.random.Generator | None"

    @property
    def kind(self) -> type[CPD]:
        """The kind of conditional distributions."""
        return kind_of(self.cpd)

    def seed(self, random_state: "int | np.random.Generator | None" = None) -> int:
        """A seed from what a call gives, or else from these settings."""
        return validation.check_seed(self.random_state if random_state is None else random_state)


def snapshot(arguments: Kept) -> Kept:
    """The same arguments with objects, lists and arrays of their own, which nobody else can change."""
    return replace(arguments, **{own.name: _own(getattr(arguments, own.name)) for own in fields(arguments)})


def _own(value: Any) -> Any:
    if isinstance(value, Parameters):
        return type(value)(**{name: _own(field) for name, field in value.get_params().items()})
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(_own(entry) for entry in value)
    return value.copy() if isinstance(value, np.ndarray) else value


def resolve(arguments: Arguments) -> Settings:
    """The settings of a fit: arguments checked, those at None taken from the preset.

    The file that ``features.kernels`` may name is read by the fit alone.

    Raises
    ------
    ValueError
        Names the argument, its value and what it may be.
    """
    a = arguments
    preset = PRESETS[validation.check_choice(a.preset, "preset", PRESETS)]
    cpd = chosen_cpd(a.cpd, preset).checked().sealed()
    if a.features is not None and not isinstance(a.features, Features):
        raise ValueError(f"features: {a.features!r:.80}; give cbn.Features(layers=...), or None")
    features = (preset.features if a.features is None else a.features).checked().sealed()
    kind = kind_of(cpd)
    if features.layers and not kind.has_features:
        raise ValueError(
            f"features: {kind.nouns} are for pixels alone; use cpd='tree', or features=cbn.Features(layers=())"
        )
    if a.folds is not None and kind.leaves_one_out:
        raise ValueError(
            f"folds: {a.folds!r} is for trees; {kind.nouns} leave every image out of the counts: leave it out"
        )
    contrast = chosen_contrast(a.contrast, preset)
    if contrast is not None and kind.leaves_one_out:
        if a.contrast is not None:
            raise ValueError(f"contrast: {a.contrast!r:.80} is for trees; use cpd='tree', or leave it out")
        contrast = None  # of a preset whose trees were replaced
    scores = (*SCORES, CONTRAST)
    score = validation.check_choice(
        (CONTRAST if contrast else preset.score) if a.score is None else a.score, "score", scores
    )
    if score == CONTRAST and contrast is None:
        raise ValueError(f"score: {score!r} needs a contrast; use preset='best', or contrast=True")
    full_scale = validation.check_full_scale_argument(a.full_scale)
    threshold = preset.threshold if a.threshold is None else a.threshold
    thresholds: tuple[float, ...] | Literal["auto"] = "auto"
    if isinstance(threshold, str):
        if threshold != "auto":
            raise ValueError(
                f"threshold: {threshold!r}; give 'auto', a number in [0, 1), or a sequence of such numbers"
            )
    else:
        thresholds = check_thresholds(threshold, full_scale or 255)
    validation.check_threads(a.n_jobs)
    return Settings(
        preset=a.preset,
        cpd=cpd,
        features=features,
        contrast=contrast,
        threshold=thresholds,
        score=score,
        folds=validation.check_integer(preset.folds if a.folds is None else a.folds, "folds", 2, 1000),
        shift=validation.check_integer(a.shift, "shift", 0, 8),
        false_alarm_rate=validation.check_real(a.false_alarm_rate, "false_alarm_rate", 0, 1, open_ends=True),
        image_shape=None if a.image_shape is None else validation.check_shape(a.image_shape),
        full_scale=full_scale,
        random_state=a.random_state,
    )


def chosen_cpd(cpd: Any, preset: Preset) -> Parameters:
    """The parameter object that an argument ``cpd`` stands for, unchecked: None, the name of a kind, or an object."""
    if cpd is None:
        return preset.cpd
    if isinstance(cpd, str):
        kind = kind_named(cpd)
        # by its name alone a preset's own kind keeps the preset's values
        return preset.cpd if isinstance(preset.cpd, kind.parameter_class) else kind.parameter_class()
    kind_of(cpd)
    return cpd


def chosen_contrast(contrast: Any, preset: Preset) -> Contrast | None:
    """The contrast that an argument stands for: None, True (the preset's, or the defaults), False, or an object."""
    if contrast is None:
        own = preset.contrast
    elif isinstance(contrast, bool | np.bool_):
        own = (preset.contrast or Contrast()) if contrast else None
    elif isinstance(contrast, Contrast):
        own = contrast
    else:
        raise ValueError(f"contrast: {contrast!r:.80}; give cbn.Contrast(), True, False or None")
    return None if own is None else own.checked().sealed()


def materialized(model: Any, params: dict[str, Any], objects: Sequence[str]) -> dict[str, Any]:
    """Parameters to set, where the objects that ``cpd__penalty`` and the like reach into are there.

    An object that is None, or a word, becomes a copy of what it stands for under the preset.
    """
    if "score" in params:  # what outlier_score was called
        raise ValueError(unknown_argument(type(model).__name__, "score"))
    wanted = {name.split("__")[0] for name in params if "__" in name}
    found = dict(params)
    for name in objects:
        own = params.get(name, getattr(model, name))
        if name in wanted and (own is None or isinstance(own, str | bool)):
            preset = PRESETS[validation.check_choice(params.get("preset", model.preset), "preset", PRESETS)]
            if name == "contrast":
                meant: Parameters = preset.contrast or Contrast()
            else:
                meant = chosen_cpd(own, preset) if name == "cpd" else preset.features
            setattr(model, name, meant.replaced())
            found.pop(name, None)
    return found


def unknown_argument(estimator: str, name: str) -> str:
    """The sentence for a constructor argument that there is not, with what to give in its place where that is known."""
    if name == "score":
        if estimator.endswith("Classifier"):
            return "score: is the name of a method; a classifier has no outlier score: leave it out"
        return "score: is the name of a method; give outlier_score=..."
    option = name.replace("_", "-")
    for argument, kinds in (("cpd", parameter_classes()), ("features", (Features,)), ("contrast", (Contrast,))):
        found = [
            (kind, spec.name) for kind in kinds for spec in specs(kind) if name == spec.name or option == spec.option
        ]
        if found:
            objects = " or ".join(f"{argument}=cbn.{kind.__name__}({field}=...)" for kind, field in found)
            return f"{name}: belongs to {' and '.join(kind.__name__ for kind, _ in found)}; give {objects}"
    return f"{name}: no argument of {estimator}; see help(cbn.{estimator})"
