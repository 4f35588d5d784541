# SPDX-License-Identifier: BSD-3-Clause
"""The report on an introspective energy model."""

import os

import numpy as np

from ..datasets import load_test
from ..metrics.calibration import Calibration
from ..plots.focus import focused
from ..report import imagery
from ..report.content import Content, Facts, Figure, Shot, chosen_shots
from . import _common as common
from . import _report_common as shared
from ._iem_data import synthetic
from ._iem_maps import scale_of
from ._iem_pictures import BATCH, HeldPictures
from ._reading import naming_reader, reading, tell

_SCORE = "minus the energy: higher is more normal"


def energy(arguments, fitted, clock):
    """The Content of a FittedEnergyModel or FittedGaussianModel."""
    calibration = fitted.calibration
    if arguments.false_alarm_rate is not None:
        calibration = calibration.at(arguments.false_alarm_rate)
    facts, what, figures = _of_model(fitted)
    top = scale_of(fitted, arguments.model)
    scored, shots, source, seen = None, (), None, ()
    if arguments.data is not None or arguments.synthetic is not None:
        scored, shots, source, report = _judged(arguments, fitted, calibration, clock)
        seen = (shared.data_facts(scored, arguments.data or source, report),)
    height, width, channels = fitted.picture_shape
    subtitle = (
        f"{what} of {fitted.n_images:,} {'grey' if channels == 1 else 'RGB'} pictures of {height} x {width} pixels"
        f"{shared.judged_in_words(scored)}"
    )
    return Content(
        title=shared.title_of(arguments, source),
        subtitle=subtitle,
        facts=(
            facts, shared.threshold_facts(calibration, _SCORE, arguments.false_alarm_rate is not None), *seen,
            shared.record_facts(arguments, fitted.provenance),
        ),
        scored=scored,
        reference=shared.reference_of(calibration),
        shots=shots,
        map_top=top,
        map_unit="standard deviations",
        map_name="Unlike normal pictures:",
        figures=figures,
        notes=tuple(shared.notes_of(scored, calibration, trained_on=arguments.trained_on)),
        footer=shared.footer(arguments),
    )  # fmt: skip


def _judged(arguments, fitted, calibration: Calibration, clock):
    """(Scored, shots, short name of the source, ReadingReport) of --data or --synthetic."""
    height, width, _ = fitted.picture_shape
    if arguments.size not in (None, (height, width)):
        asked = "x".join(map(str, arguments.size))
        raise common.UsageError(
            f"--size {asked}: the model reads pictures of {height}x{width}, to which all are resized; leave it out"
        )
    for name in ("labels", "split", "digit"):
        if getattr(arguments, name) is not None:
            raise common.UsageError(f"--{name}: is for a network; {arguments.model!r} is an introspective energy model")
    with clock.part("load"):
        source = HeldPictures(arguments, _dataset(arguments, fitted))
    maps: dict[int, np.ndarray] = {}  # by number; those of all pictures where all are shown
    with clock.part("score"):
        if source.n <= arguments.pictures:
            found = [fitted.scores_and_maps(pictures) for pictures in source.batches()]
            scores = np.concatenate([own for own, _ in found])
            maps = dict(enumerate(values for _, own in found for values in own))
        else:
            scores = np.concatenate([fitted.judged_scores(pictures) for pictures in source.batches()])
    about = [source.about(i) for i in range(source.n)]
    kinds = [kind for _, kind in about]
    normal = shared.normal_of(arguments, kinds, None)
    if normal is None and arguments.normal is None and source.dataset.labels is not None:
        normal = source.dataset.labels[: source.n] == 0  # no good picture among them
    scored = shared.scored_of([name for name, _ in about], scores, kinds, normal, calibration.offset)
    chosen, shots = chosen_shots(scored, arguments.pictures), []
    with clock.part("maps"):
        p_values = calibration.p_values(scored.scores)
        left = [i for i in chosen.tolist() if i not in maps]
        firsts = range(0, len(left), BATCH)
        for first in common.progress(firsts, arguments, len(firsts), "batch", "maps"):
            own = left[first : first + BATCH]
            maps |= zip(own, fitted.energy_map(source.test[own]), strict=True)
        for i in chosen.tolist():
            note = f"p = {p_values[i]:.3g}, largest value of the map {maps[i].max():.3g}"
            mask = _known_mask(source.dataset, i)
            shown = maps[i] if fitted.map_blur is None else focused(maps[i], fitted.map_blur)  # as of --maps
            shots.append(Shot(index=i, picture=_as_shown(source.test[i]), map=shown, mask=mask, note=note))
    name = (
        f"synthetic {arguments.synthetic}"
        if arguments.synthetic
        else os.path.basename(os.path.normpath(arguments.data))
    )
    return scored, tuple(shots), name, source.report


def _dataset(arguments, fitted):
    """The InspectionSet of --data or --synthetic; its pictures stay in memory, because of their maps."""
    height, width, channels = fitted.picture_shape
    color = "grey" if channels == 1 else "rgb"
    if arguments.synthetic is not None:
        return synthetic(arguments, (height, width), color)
    with naming_reader("--data"):
        dataset = load_test(arguments.data, (height, width), color, **reading(arguments))
    tell(arguments, dataset.report)
    return dataset


def _known_mask(dataset, i):
    """The mask of a test picture, None where it is not known."""
    known = dataset.masks is not None and (dataset.has_mask is None or dataset.has_mask[i])
    return dataset.masks[i] if known else None


def _as_shown(picture):
    return picture[..., 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture


def _of_model(fitted):
    """(facts, the kind of model in words, figures)."""
    if hasattr(fitted, "levels"):
        return _of_neural(fitted)
    return _of_gaussian(fitted)


def _of_gaussian(fitted):
    from ._show_gaussian import describe, panels

    facts = describe(fitted)
    rows, columns = facts["positions"]
    told = [
        ("Kind", "Gaussian inspection model"),
        ("Features", "principal components of patches" if facts["backbone"] is None else facts["backbone"]),
        ("Positions", f"{rows} x {columns}, {facts['n_directions']} directions each"),
        ("Parameters", f"{facts['n_parameters']:,}"),
        ("Brightness", "as it is" if facts["brightness"] is None else f"divided by the {facts['brightness']}"),
        *_settings(facts["gaussian"]),
    ]
    figures = tuple(_value_figure(title, values, unit) for title, values, unit, *_ in next(iter(panels(fitted))).panels)
    return Facts(title="Model", rows=tuple(told)), "Gaussian inspection model", figures


def _of_neural(fitted):
    from ._show_energy import describe

    facts, settings = describe(fitted), fitted.settings
    told = [
        ("Kind", "neural introspective energy model"),
        ("Levels", f"{len(facts['levels'])}, sharing {facts['sharing']}"),
        ("Energy", str(facts["energy"])),
        ("Kernels", "of a pretrained network" if facts["backbone"] else "learned"),
        ("Parameters", f"{facts['n_parameters']:,}"),
        ("Epochs", " ".join(str(n) for n in settings.epochs)),
        ("Brightness", "as it is" if facts["brightness"] is None else f"divided by the {facts['brightness']}"),
    ]
    told += [
        (f"Level {level['level']}", f"{' x '.join(map(str, level['shape']))}, sees {level['receptive_field']} pixels")
        for level in facts["levels"]
    ]
    figures = tuple(
        _value_figure(
            f"usual error, level {number}", scale.deviation.mean(axis=2), "standard deviation, mean over kernels"
        )
        for number, scale in enumerate(fitted.node_scales)
    )
    return Facts(title="Model", rows=tuple(told)), "Neural inspection model", figures


def _settings(parameters):
    return [(name.replace("_", " ").capitalize(), shared.in_words(value)) for name, value in parameters.items()]


def _value_figure(title, values, unit):
    top = max(float(np.max(values)), 1e-9)
    tile = imagery.value_tile(np.asarray(values), top, f"{title}: {unit} at every place, 0 to {top:.3g}")
    return Figure(title=title.capitalize(), text=f"{unit} at every place.".capitalize(), tiles=(tile,),
                  scale=("0", f"{top:.3g}"), columns=1)  # fmt: skip
