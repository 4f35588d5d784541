# SPDX-License-Identifier: BSD-3-Clause
"""What cbn-train assumes: the line that it prints before it trains."""

from ..datasets.layout import GOOD
from ._assumed import assume, of_out, of_threads, tell_assumed, unless
from ._chosen import ALL
from ._fields import as_option
from ._running import say


def tell_of_training(parsed, settings, images, labels, n_test, calibration, thresholds):
    """Says what was assumed.

    Parameters
    ----------
    parsed : argparse.Namespace
    settings : Settings or ClassifierSettings
    images : ImageSet or PackingReader
        The training images.
    labels : collection
        All labels of the training images, each once.
    n_test : int or None
        Test images; None for no test images.
    calibration : ImageSet or None
    thresholds : float, sequence of float or None
        Of the binarization; None where each label has its own.
    """
    given = parsed.given
    assume(
        parsed,
        unless("preset" in given, f"preset {settings.preset} because none is named (--preset)"),
        _rule(parsed, settings, images, thresholds),
        _labels(parsed, labels),
        None if parsed.classifier else _threshold(given, settings, calibration),
        "no test images to judge by" if n_test is None else f"judged on {n_test:,} test images",
        of_out(parsed, parsed.digit == ALL and not parsed.classifier),
        of_threads(parsed),
    )
    tell_assumed(parsed)
    if set(labels) == {GOOD}:  # the one label of training pictures in the layout of MVTec AD
        say(
            parsed,
            "--data: the layout of MVTec AD; defects of surfaces and objects are found by cbn-iem-train, not by pixels",
        )


def _rule(parsed, settings, images, thresholds):
    if parsed.binarization == "stochastic":
        return None
    if images.binarization is not None:
        rule = images.binarization
        return f"images are {rule}" if rule.startswith("already") else f"images are binary as they come ({rule})"
    if settings.threshold == "auto":
        found = "chosen for each label" if thresholds is None else as_option(thresholds)
        return f"binarization {found} by the grey levels (--threshold)"
    return unless(parsed.threshold is not None, f"binarization {as_option(thresholds)} as in the preset (--threshold)")


def _labels(parsed, labels):
    if parsed.classifier or parsed.digit is not None or len(labels) < 2:
        return None
    return f"all {len(labels)} labels are one class (--digit)"


def _threshold(given, settings, calibration):
    rate = unless("false-alarm-rate" in given, f"false-alarm rate {settings.false_alarm_rate:g} (--false-alarm-rate)")
    if calibration is not None:
        return rate
    way = "leave-one-out" if settings.kind.leaves_one_out else f"{settings.folds}-fold"
    own = f"{way} scores of the training images set the threshold (--calibration)"
    return own if rate is None else f"{rate}, for which {own}"
