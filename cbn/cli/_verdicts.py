# SPDX-License-Identifier: BSD-3-Clause
"""What the scoring programs of both halves share: verdicts with their basis, and lists of discoveries."""

import math
from dataclasses import dataclass

from . import _common as common
from ._row_files import add_row_files, check_row_files

COLUMNS = ("file", "label", "score", "p_value", "verdict", "basis", "threshold")


def add_verdicts(parser, what, more=""):
    """Options that say how verdicts are made and where rows go.

    ``what`` is "images" or "pictures", ``more`` is said of the columns of files.
    """
    group = parser.add_argument_group("verdicts")
    group.add_argument(
        "--false-alarm-rate", type=common.rate, metavar="P",
        help=f"share of normal {what} that may be called outliers (default: the model's)",
    )  # fmt: skip
    group.add_argument(
        "--fdr", type=common.rate, metavar="Q",
        help=f"call outliers so many of all {what} that an expected share of at most Q of these is normal (Benjamini-"
        "Hochberg), in place of a false-alarm rate; for long lists",
    )  # fmt: skip
    group.add_argument(
        "--extrapolate", action="store_true",
        help="with too few calibration scores for the rate: verdicts of a tail fitted to them, marked as extrapolated, "
        "rather than undecided",
    )  # fmt: skip
    add_row_files(parser, what, f"{', '.join(COLUMNS)} (score: {common.SCORE}){more}")
    return group


def check_verdicts(arguments):
    """Refuses options that contradict each other, before anything is read or written. Raises UsageError."""
    if arguments.fdr is not None and arguments.false_alarm_rate is not None:
        raise common.UsageError("--fdr: beside --false-alarm-rate; give one of the two")
    check_row_files(arguments)


@dataclass(frozen=True)
class Judgement:
    """How many of all scored pictures are what, and what programs say of that."""

    n: int
    n_outliers: int
    n_undecided: int
    basis: str
    threshold: float
    needed: int  # calibration scores
    rate: float
    fdr: float | None
    least: int = 0  # outliers that can be found together at the false discovery rate, at least
    given: bool = False  # the threshold was given

    def summary(self):
        """For --json: what the verdicts rest on."""
        return {
            "n_outliers": self.n_outliers,
            "n_undecided": self.n_undecided,
            "basis": self.basis,
            "false_alarm_rate": None if self.given else self.rate,
            "fdr": self.fdr,
            "n_needed": None if self.given else self.needed,
        }

    def sentence(self, what):
        """How many are outliers, and by what promise."""
        n, n_outliers = self.n, self.n_outliers
        are = "is an outlier" if n_outliers == 1 else "are outliers"
        if self.given:
            return f"{n_outliers:,} of {n:,} {what} {are} by the threshold that was given"
        if self.basis == "none":
            if self.fdr is not None:
                return f"{n:,} {what} are undecided: a single outlier needs {self.needed:,} calibration scores"
            return f"{n:,} {what} are undecided: the rate needs {self.needed:,} calibration scores"
        asked = (
            f"a false-alarm rate of {self.rate:g}" if self.fdr is None else f"a false discovery rate of {self.fdr:g}"
        )
        marked = ", extrapolated" if self.basis == "extrapolated" else ""
        if n_outliers == 0 and self.least > 1:
            marked = (
                f", where fewer than {self.least:,} of {n:,} cannot be found: a single one needs {self.needed:,} "
                "calibration scores"
            )
        return f"{n_outliers:,} of {n:,} {what} {are} at {asked}{marked}"


def judge(arguments, calibration, batches, n=None, done=None):
    """Scores of pictures that come in batches, and the Judgement of them as the options ask.

    Parameters
    ----------
    calibration : cbn.metrics.calibration.Calibration
    batches : iterable of ndarray
        Scores that can be compared with the calibration's; at least one.
    n : int, optional
        The number of pictures where it is known beforehand.
    done : callable, optional
        Called with (number of the picture, score, columns of its verdict) as soon as they are known: after every batch;
        with --fdr, whose rule is for the list as a whole, at the end.
    """
    import numpy as np

    from ..metrics.conformal import least_discoveries

    own, fdr = at_rate(arguments, calibration), arguments.fdr
    if n is not None:
        _warn_of_no_discovery(arguments, own, n)
    parts, n_done, n_outliers, n_undecided, least, verdicts = [], 0, 0, 0, 0, None
    for scores in batches:
        parts.append(scores)
        if fdr is None:
            verdicts = verdicts_of(arguments, own, scores)
            _report(done, n_done, scores, verdicts)
            n_outliers += int((verdicts.verdicts == "outlier").sum())
            n_undecided += int((verdicts.verdicts == "undecided").sum())
        n_done += len(scores)
    scores = np.concatenate(parts)
    if fdr is not None:
        if n is None:
            _warn_of_no_discovery(arguments, own, len(scores))
        verdicts = own.listed(scores, fdr)
        _report(done, 0, scores, verdicts)
        n_outliers = int((verdicts.verdicts == "outlier").sum())
        n_undecided = int((verdicts.verdicts == "undecided").sum())
        least = least_discoveries(len(own.scores), len(scores), fdr)
    return scores, Judgement(
        len(scores), n_outliers, n_undecided, verdicts.basis, verdicts.threshold, verdicts.needed,
        own.false_alarm_rate, fdr, least, given_threshold(arguments) is not None,
    )  # fmt: skip


def _warn_of_no_discovery(arguments, calibration, n):
    if too_few := calibration.no_discovery(n, arguments.fdr) if arguments.fdr is not None else "":
        common.warn(arguments, too_few)


def judged_rows(arguments, calibration, scores, batch, places=None):
    """(number of the picture, score, columns of its verdict) of scores (n,) that were judged before.

    ``places`` are the numbers of the pictures that are asked for, in their order; None: all.
    """
    import numpy as np

    own = at_rate(arguments, calibration, warns=False)
    places = np.arange(len(scores)) if places is None else places
    listed = None if arguments.fdr is None else own.listed(scores, arguments.fdr)
    for first in range(0, len(places), batch):
        part = places[first : first + batch]
        verdicts = verdicts_of(arguments, own, scores[part]) if listed is None else listed
        for i, place in enumerate(part.tolist()):
            row = verdict_row(verdicts, i if listed is None else place)
            yield place, float(scores[place]), row | {"threshold": verdicts.threshold}


def verdict_row(verdicts, i):
    """The columns of one picture that follow from its score."""
    p_value = float(verdicts.p_values[i])
    return {
        "p_value": None if math.isnan(p_value) else p_value,
        "verdict": str(verdicts.verdicts[i]),
        "basis": verdicts.basis,
    }


def given_threshold(arguments):
    """The score of --alarm-threshold, which is an energy where the program says energies; None without it."""
    given = arguments.alarm_threshold
    return -given if given is not None and arguments.says_energies else given


def at_rate(arguments, calibration, warns=True):
    """The calibration at the rate that the options ask for; a warning where it allows no verdict."""
    own = calibration if arguments.false_alarm_rate is None else calibration.at(arguments.false_alarm_rate)
    given = given_threshold(arguments)
    if warns and given is not None:
        _tell_of_outside(arguments, own.scores, given)
    elif warns and arguments.fdr is None and not own.decides:
        common.warn(arguments, own.too_few())
    return own


def _tell_of_outside(arguments, known, given):
    """Says if a threshold that was given has all calibration scores (in increasing order) on one side: its sign may be wrong."""
    low, high = float(known[0]), float(known[-1])
    if low < given <= high:
        return
    if arguments.says_energies:
        low, high, direction = -high, -low, f"an energy ({common.ENERGY}), and files have minus the energy"
        place = "below" if given > known[-1] else "above"
    else:
        direction, place = f"a score ({common.SCORE})", "above" if given > high else "below"
    name = "energies" if arguments.says_energies else "scores"
    line = (
        f"--alarm-threshold {arguments.alarm_threshold:g}: {place} the {name} of all {len(known):,} calibration images ({low:.4g} "
        f"to {high:.4g}); it is {direction}"
    )
    if given > known[-1]:
        common.warn(arguments, f"{line}: images like these will all be outliers")
    else:  # as one may want it
        common.say(arguments, f"{line}: no image like these will be an outlier")


def verdicts_of(arguments, calibration, scores):
    """Verdicts of scores, by the calibration's rate or by --alarm-threshold."""
    if (given := given_threshold(arguments)) is not None:
        return calibration.beyond(scores, given)
    return calibration.verdicts(scores, extrapolate=arguments.extrapolate)


def told_threshold(arguments, calibration, threshold, shown):
    """What is said of the threshold after scoring: itself, as ``shown``, where there is one, and what set it."""
    told = [shown] if math.isfinite(threshold) else []
    if given_threshold(arguments) is None:
        told.append(f"{'threshold from ' if told else ''}{scores_in_words(calibration)}")
    return told


def scores_in_words(calibration):
    """ "5,958 leave-one-out scores", "300 separate images": where a threshold comes from."""
    source = calibration.source
    return f"{len(calibration.scores):,} {source}{'' if source.endswith('images') else ' scores'}"


def _report(done, first, scores, verdicts):
    if done is not None:
        for columns in _columns(first, scores, verdicts):
            done(*columns)


def _columns(first, scores, verdicts):
    for i, score in enumerate(scores.tolist()):
        yield first + i, score, verdict_row(verdicts, i) | {"threshold": verdicts.threshold}
