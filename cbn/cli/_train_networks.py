# SPDX-License-Identifier: BSD-3-Clause
"""The networks of cbn-train, one or one for each label, whether their images are held or bits by now."""

import os

from . import _common as common
from . import _images as images_of
from . import _train_fit as fitting
from . import _train_report as report
from ._train_density import density_figures


def by_label(parsed):
    """Whether there is a network for each label."""
    return parsed.classifier or parsed.digit == images_of.ALL


def told_thresholds(parsed, settings, thresholds):
    """Those of all networks, or None where the images of each choose its own."""
    return None if parsed.digit == images_of.ALL and isinstance(settings.threshold, str) else thresholds


def train_networks(parsed, arguments, images, shape, test, jobs, clock):
    """One network, or one for each label, and the report. ``shape``: (height, width) of the images."""
    fitting.check_checkpoints(parsed, [job["out"] for job in jobs])
    results, columns = [], []
    with fitting.Progress(parsed, arguments.resolve(), len(jobs), shape) as progress:
        for job in jobs:
            own_clock = common.Clock(clock.seconds)
            chosen = images if job["label"] is None else images.select(job["label"])
            fitted = fitting.train_network(
                parsed, arguments, chosen, job["calibration"], job["out"], job["kernels_out"], own_clock, progress
            )
            result, log_probability = report.describe(parsed, fitted, chosen, test, own_clock, job["out"])
            results.append(result)
            columns.append(log_probability)
    if parsed.digit != images_of.ALL:
        common.print_json(results[0]) if parsed.json else report.print_one(results[0], images)
        return
    means = report.summary(results) | density_figures(results, columns, None if test is None else test.labels)
    common.print_json({"digits": results, **means}) if parsed.json else report.print_all(results, means, images)


def list_jobs(parsed, labels, calibration):
    """Label (None: no selection is left to make), calibration images and output files of every network to train.

    ``labels`` are those of the training images, in order.
    """
    if parsed.digit != images_of.ALL:
        return [{"label": None, "calibration": calibration, "out": parsed.out, "kernels_out": parsed.save_kernels}]
    jobs = []
    for label, name in zip(labels, common.file_names(labels)):
        own = calibration
        if calibration is not None and calibration.labels is not None:
            with common.naming("--calibration"):
                own = calibration.select(label)
        out, kernels_out = (_labelled(path, name) for path in (parsed.out, parsed.save_kernels))
        jobs.append({"label": label, "calibration": own, "out": out, "kernels_out": kernels_out})
    return jobs


def _labelled(path, name):
    """model.cbn -> model-NAME.cbn"""
    if path is None:
        return None
    stem, suffix = os.path.splitext(path)
    return f"{stem}-{name}{suffix}"
