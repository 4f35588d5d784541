# SPDX-License-Identifier: BSD-3-Clause
"""Thresholds of one's own at scoring: given as a number, or set anew by normal pictures and kept in a model file."""

import argparse
import math
import warnings
from dataclasses import replace

from ..exceptions import CalibrationWarning, CbnError
from . import _common as common
from ._too_few import refuse_too_few
from ._verdicts import scores_in_words


def add_thresholds(group, what, energies):
    """The options; ``energies``: the program says energies in place of scores."""
    group.set_defaults(says_energies=energies)
    beyond = "a higher energy" if energies else "a lower score"
    group.add_argument(
        "--alarm-threshold", type=real(-1e300, 1e300), metavar="X",
        help=f"call {what} of {beyond} than this outliers, in place of a false-alarm rate; without a promise (basis none)",
    )  # fmt: skip
    group.add_argument(
        "--calibration", metavar="DIR",
        help=f"normal {what} that had no part in training, such as those of today's lighting; they set the threshold in place of "
        "the model's own, whose file stays as it is",
    )  # fmt: skip
    group.add_argument(
        "--save-calibrated", metavar="FILE",
        help="write the model with the threshold of --calibration, --false-alarm-rate or both, to be used from then on; "
        f"no {what} to score are needed",
    )  # fmt: skip


def check_thresholds(arguments):
    """Refuses options that contradict each other."""
    if arguments.alarm_threshold is not None:
        for name in ("false_alarm_rate", "fdr", "extrapolate"):
            if getattr(arguments, name) not in (None, False):
                raise common.UsageError(f"--alarm-threshold: beside --{name.replace('_', '-')}; give one of the two")
    if arguments.save_calibrated is not None and arguments.calibration is None and arguments.false_alarm_rate is None:
        raise common.UsageError("--save-calibrated: goes with --calibration DIR, --false-alarm-rate P or both")


def is_alone(arguments, *names):
    """Whether a model with another threshold is all that is asked for: none of the options that name pictures is given."""
    return arguments.save_calibrated is not None and all(getattr(arguments, name) is None for name in names)


def check_alone(arguments, names, needed):
    """Refuses options of scoring where nothing is scored."""
    for name in names:
        if getattr(arguments, name) not in (None, False):
            raise common.UsageError(f"--{name.replace('_', '-')}: goes with {needed}")


def set_threshold(arguments, fitted, recalibrated, clock, alone):
    """The model with the threshold that the options ask for, which --save-calibrated keeps.

    Parameters
    ----------
    fitted : Fitted, FittedEnergyModel or FittedGaussianModel
    recalibrated : callable (fitted)
        The model with the threshold of the pictures of --calibration.
    alone : bool
        Nothing is scored afterwards, so that the threshold is printed.

    Raises
    ------
    DataError
        Too few pictures for a verdict at the rate, where a file is to be written or nothing else makes verdicts.
    """
    if arguments.save_calibrated is not None and arguments.false_alarm_rate is not None:
        fitted = _at_rate(fitted, arguments.false_alarm_rate)
    if arguments.calibration is not None:
        with clock.part("calibration"), warnings.catch_warnings():
            # scoring says it, or it is refused
            warnings.filterwarnings("ignore", r"[\d,]+ calibration images allow no alarm", CalibrationWarning)
            with common.renaming(X="--calibration"):
                fitted = recalibrated(fitted)
        fitted = replace(fitted, provenance=fitted.provenance | {"calibrated_with": arguments.calibration})
    own, rate = fitted.calibration, arguments.false_alarm_rate
    otherwise = arguments.extrapolate or arguments.fdr is not None or arguments.alarm_threshold is not None
    if arguments.save_calibrated is not None or not otherwise:
        option = "--false-alarm-rate" if arguments.calibration is None else "--calibration"
        refuse_too_few(own if rate is None else own.at(rate), option)
    if arguments.save_calibrated is not None:
        try:
            fitted.save(arguments.save_calibrated)
        except CbnError as error:
            raise CbnError(f"--save-calibrated: {error}") from error
    if alone:
        _tell(arguments, fitted, clock)
    return fitted


def _at_rate(fitted, rate):
    """The model with another false-alarm rate, which its file keeps."""
    changed = {
        "arguments": replace(fitted.arguments, false_alarm_rate=rate),
        "calibration": fitted.calibration.at(rate),
    }
    if hasattr(fitted, "settings"):
        changed["settings"] = replace(fitted.settings, false_alarm_rate=rate)
    return replace(fitted, **changed)


def _tell(arguments, fitted, clock):
    own = fitted.calibration
    threshold = -own.offset if arguments.says_energies else own.offset
    if arguments.json:
        common.print_json(
            {"threshold": threshold, "false_alarm_rate": own.false_alarm_rate, "calibration": own.source,
             "n_calibration": len(own.scores), "seconds": clock.seconds, "model": arguments.model,
             "saved": arguments.save_calibrated}
        )  # fmt: skip
        return
    name = "energy" if arguments.says_energies else fitted.settings.score
    print(
        f"{arguments.save_calibrated}: {name} {threshold:.6g} at a false-alarm rate of {own.false_alarm_rate:g}, from "
        f"{scores_in_words(own)}"
    )


def real(low, high, *, above=False):
    """An argparse type: a number in low..high, with ``above`` not low itself."""

    def convert(text):
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high or (above and value == low):
            wanted = f"above {low:g}" if above else f"from {low:g} to {high:g}" if low > -1e300 else ""
            raise argparse.ArgumentTypeError(f"{text!r} is not a number {wanted}".rstrip())
        return value

    return convert
