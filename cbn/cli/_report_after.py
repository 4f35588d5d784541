# SPDX-License-Identifier: BSD-3-Clause
"""--report of the training programs: a report on the model that was just trained."""

import os

from . import _common as common

# What reading pictures takes from the options of the training.
_READING = "size", "color", "background", "full_scale", "skip_bad", "threads", "quiet"


def add_report(parser):
    parser.add_argument(
        "--report", metavar="FILE",
        help="after training, write a report on the model and its test pictures as one HTML file (see cbn-report)",
    )  # fmt: skip


def check_after(arguments):
    """Refuses a report that cannot be, before any work is done."""
    if arguments.report is None:
        return
    from ..report.page import check_engine
    from .report import check_report

    for name in ("dry_run", "merge"):
        if getattr(arguments, name):
            raise common.UsageError(f"--report: not with --{name.replace('_', '-')}; call cbn-report afterwards")
    several = arguments.digit == "all" and not arguments.classifier if hasattr(arguments, "digit") else False
    if several or getattr(arguments, "categories", None) is not None:
        raise common.UsageError("--report: is on one model, of several call cbn-report on each; leave it out")
    check_report(arguments, "--report", "--out")
    check_engine()


def report_after(arguments, data, *, synthetic=None, trained_on=False):
    """The report on the model of --out.

    Parameters
    ----------
    data : str or None
        Path of the pictures to judge; None for those that come with the package, or none.
    trained_on : bool
        The model was trained on these pictures.
    """
    if arguments.report is None:
        return
    from .report import build_parser, write_report

    asked = build_parser().parse_args([])
    for name in _READING:
        setattr(asked, name, getattr(arguments, name))
    asked.model, asked.out, asked.data, asked.synthetic = arguments.out, arguments.report, data, synthetic
    asked.labels = getattr(arguments, "labels", None)
    asked.trained_on, asked.quiet = trained_on, True  # what reading has to say was said before
    if hasattr(arguments, "categories"):
        asked.size = None  # the model's
    result = write_report(asked)
    common.say(arguments, f"report: {result['report']}, {result['bytes'] / 1e6:.2f} MB")


def report_on_category(arguments, path, dataset):
    """The same for an introspective energy model: on its test pictures, else on those it was trained on."""
    if arguments.report is None:
        return
    data = path if arguments.good is None else arguments.test or arguments.good
    if path is not None and dataset.test is None:
        data = os.path.join(path, "train")
    report_after(arguments, data, synthetic=arguments.synthetic, trained_on=dataset.test is None)
