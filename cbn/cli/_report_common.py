# SPDX-License-Identifier: BSD-3-Clause
"""What reports on all kinds of models share: who is normal, what was said of the training, notes and titles."""

import datetime
import os

import numpy as np

from .._version import __version__
from ..datasets.layout import GOOD
from ..exceptions import DataError
from ..io.provenance import COMMAND
from ..metrics.bootstrap import auroc
from ..metrics.comparison import share_interval
from ..plots.model import count
from ..report.content import NO_KIND, Facts, Reference, Scored
from ..report.page import percent, round_percent, short
from ._show_command import command_line

# What of the record of a model comes first, and its name in a report; the rest has its own name.
_RECORD = {"source": "Source", "category": "Category", "label": "Label", "seed": "Seed", "unfinished": "Unfinished"}
_LONGEST = 300  # letters of a value
# Fewer normal pictures than this are worth a note.
_FEW_NORMAL = 30
TRAINED_ON = (
    "There are no test pictures: those below are the ones that the model was trained on, which it finds more normal than "
    "new ones."
)


def scored_of(names, scores, kinds, normal, threshold):
    """A Scored: scores that are not finite are moved to the end of those that are."""
    scores = np.asarray(scores, np.float64)
    finite = scores[np.isfinite(scores)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
    return Scored(
        names=tuple(names),
        scores=np.nan_to_num(scores, nan=low, neginf=low, posinf=high),
        kinds=tuple(NO_KIND if kind is None else str(kind) for kind in kinds),
        normal=normal,
        threshold=float(threshold),
    )


def reference_of(calibration):
    return Reference(
        scores=calibration.scores, source=calibration.source, false_alarm_rate=calibration.false_alarm_rate
    )


def normal_of(arguments, kinds, own_label):
    """(n,) bool: which pictures are normal by their labels; None where that is not known.

    By --normal, else by the label that the model was trained on, else those called good.
    """
    known = {str(kind) for kind in kinds if kind is not None}
    if arguments.normal is not None:
        labels = set(arguments.normal.split(","))
        missing = sorted(labels - known)
        if missing:
            some = ", ".join(sorted(known)[:10]) or "no labels at all"
            raise DataError(f"--normal: no picture has the label {missing[0]!r}; there are {some}")
    elif own_label is not None and str(own_label) in known:
        labels = {str(own_label)}
    elif GOOD in known:
        labels = {GOOD}
    else:
        return None
    return np.array([str(kind) in labels for kind in kinds])


def judged_in_words(scored):
    """ "; 12 pictures judged", or nothing."""
    return "" if scored is None else f"; {count(len(scored.scores), 'picture')} judged"


def data_facts(scored, source, report, normal="Normal by label"):
    """What was judged; ``normal``: what a picture is by its label."""
    rows = [("Source", str(source)), ("Pictures", f"{len(scored.scores):,}")]
    if scored.normal is not None:
        rows.append((normal, f"{int(scored.normal.sum()):,}"))
    rows += [("Reading", line) for line in report.lines()]
    return Facts(title="Pictures judged", rows=tuple(rows))


def threshold_facts(calibration, score, asked):
    """How the threshold came to be; ``asked`` whether another rate than the model's was asked for."""
    rows = [
        ("Score", score),
        ("Threshold", short(calibration.offset) if calibration.decides else "none"),
        ("False-alarm rate", f"{round_percent(calibration.false_alarm_rate)}{', as asked' if asked else ''}"),
        ("Set by", f"{len(calibration.scores):,} scores ({calibration.source})"),
    ]
    return Facts(title="Threshold", rows=tuple(rows))


def record_facts(arguments, provenance):
    """The model file and what it says of its training."""
    rows = [("File", os.path.basename(arguments.model))]
    for name in sorted(provenance, key=lambda own: [*_RECORD, own].index(own)):
        value = provenance[name]
        if value is not None:
            if name == COMMAND:
                value = command_line(provenance, arguments.model) or value
            rows.append((_RECORD.get(name, name.replace("_", " ").capitalize()), in_words(value)))
    return Facts(title="Provenance", rows=tuple(rows))


def in_words(value):
    """A value of a setting or a record."""
    if isinstance(value, dict):
        text = ", ".join(f"{name} {in_words(own)}" for name, own in value.items())
    elif isinstance(value, list | tuple):
        text = " ".join(map(in_words, value))
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    else:
        text = short(value) if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def notes_of(scored, calibration, *, trained_on):
    """What a reader should know before believing the figures."""
    notes = [TRAINED_ON] if trained_on and scored is not None else []
    if not calibration.decides:
        notes.append(f"{calibration.too_few()}. Pictures are sorted by score, but no alarms are raised.")
    if scored is None or scored.normal is None:
        return notes
    n_normal = int(scored.normal.sum())
    if 0 < n_normal < _FEW_NORMAL:
        notes.append(f"Only {n_normal} normal pictures were judged: rates of false alarms are rough.")
    if calibration.decides and n_normal:
        found = share_interval(int((scored.alarms & scored.normal).sum()), n_normal)
        asked = calibration.false_alarm_rate
        if found.low > asked:
            notes.append(
                f"False alarms are more than was asked for: {percent(found.value)} (at least {percent(found.low)}) against "
                f"{percent(asked)}. Normal pictures differ from those that set the threshold; calibrate with pictures like "
                "these."
            )
    if 0 < n_normal < len(scored.scores) and auroc(scored.normal, scored.scores) < 0.5:
        notes.append("Normal pictures score lower than the others: check which labels are normal.")
    return notes


def title_of(arguments, source):
    """The title that is given, or the names of model and pictures."""
    if arguments.title:
        return arguments.title
    model = os.path.splitext(os.path.basename(arguments.model))[0]
    return model if source is None else f"{model} on {source}"


def source_name(arguments, source):
    """A short name of what was judged: the last parts of the path."""
    if arguments.data is None or arguments.data == "openml":
        return source
    return os.path.basename(os.path.normpath(arguments.data))


def footer(arguments):
    day = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"Made by cbn {__version__}, {day}. Everything is in this file; it asks nothing of a network."
