# SPDX-License-Identifier: BSD-3-Clause
"""Thresholds in words, also where too few images allow none at the rate that is asked for."""

import math

from ..exceptions import DataError


def allowed_rate(n, digits):
    """The least false-alarm rate of so many digits at which n calibration images allow an alarm.

    >>> allowed_rate(12, 1), allowed_rate(12, 2), allowed_rate(19, 1), allowed_rate(264, 1)
    (0.08, 0.077, 0.05, 0.004)
    """
    least = 1 / (n + 1)
    unit = 10.0 ** (math.floor(math.log10(least)) + 1 - digits)
    return float(f"{math.ceil(least / unit - 1e-9) * unit:.{digits}g}")


def refuse_too_few(calibration, option):
    """A DataError that names the option, where there are too few images for the rate."""
    n = len(calibration.scores)
    if not calibration.decides:
        more = f"give at least {calibration.needed:,}, or " if option == "--calibration" else "give "
        raise DataError(
            f"{option}: {n:,} images cannot hold a false-alarm rate of {calibration.false_alarm_rate:g}; {more}"
            f"--false-alarm-rate {allowed_rate(n, 1):g}"
        )


def threshold_line(shown, n, source, rate, decides, more=""):
    """What a program prints of the threshold of a model.

    ``shown`` is the threshold with its name and direction; where there is none, what would make one is said in its place.
    ``more`` is said of the scores.
    """
    by = f"{n:,} {source}{'' if source.endswith('images') else ' scores'}{more}"
    if decides:
        return f"threshold        {shown}: {by}, false-alarm rate {rate:g}"
    return (
        f"threshold        none at false-alarm rate {rate:g}: {by} allow rates from {allowed_rate(n, 2):g}; give more, or "
        f"--false-alarm-rate {allowed_rate(n, 1):g}"
    )
