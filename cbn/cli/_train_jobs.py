# SPDX-License-Identifier: BSD-3-Clause
"""The jobs of cbn-train: its images, and the networks or the classifier to be trained on them."""

import numpy as np

from ..bits.binarization import chosen_thresholds
from ..bits.stream import FIRST
from . import _common as common
from . import _images as images_of
from ._train_arguments import classifier_arguments, fit_arguments, naming_options, with_scale
from ._train_assumed import tell_of_training
from ._train_images import check_rule, drawn, layer_geometries, load_calibration, no_labels
from ._train_networks import by_label, list_jobs, told_thresholds, train_networks


def train_job(parsed):
    """Everything that the options ask for."""
    clock = common.Clock()
    common.check_outputs(parsed, "--out", "--save-kernels", picture=None, models=("--out",))
    if parsed.classifier and parsed.digit not in (None, images_of.ALL):
        raise common.UsageError(f"--digit {parsed.digit}: --classifier is of all labels; leave one of them out")
    arguments = classifier_arguments(parsed) if parsed.classifier else fit_arguments(parsed)
    if not parsed.dry_run and can_stream(parsed, arguments.resolve()):
        from ._train_stream import train_streamed

        train_streamed(parsed, arguments, clock)
        return
    with clock.part("load"):
        images, test, calibration = load_images(parsed)
    if by_label(parsed) and images.labels is None:
        raise no_labels(parsed)
    arguments = with_scale(arguments, images)
    check_rule(parsed, images)
    thresholds, shape = thresholds_for(parsed, arguments, images), images.images.shape[1:]
    geometries = layer_geometries(parsed, arguments, shape, thresholds)
    labels = [] if images.labels is None else np.unique(images.labels).tolist()
    jobs = None if parsed.dry_run or parsed.classifier else list_jobs(parsed, labels, calibration)
    settings, n_test = arguments.resolve(), None if test is None else len(test)
    tell_of_training(
        parsed, settings, images, labels, n_test, calibration, told_thresholds(parsed, settings, thresholds)
    )
    if parsed.dry_run:
        from ._train_dry_run import dry_run

        dry_run(parsed, arguments, images, geometries, can_stream(parsed, settings))
    elif parsed.classifier:
        from ._train_classifier import train_classifier

        train_classifier(parsed, arguments, images, test, clock)
    else:
        train_networks(parsed, arguments, images, shape, test, jobs, clock)


def thresholds_for(parsed, arguments, images):
    """The thresholds as given, or those that the first images of an ImageSet choose."""
    with naming_options(parsed):
        settings = arguments.resolve()
        return chosen_thresholds(settings.threshold, images.images[:FIRST], settings.full_scale)


def load_images(parsed):
    """The training images of --digit, the test images and those of --calibration: ImageSets, or None."""
    halves = images_of.load_halves(parsed)
    splits = halves.splits
    label = images_of.label_of(parsed)
    if parsed.binarization == "stochastic":  # what is drawn depends on the index of an image in its half
        halves = drawn_halves(parsed, halves)
    with common.renaming(label="--digit"):
        images = halves.part("train", label)
    test = halves.part("test") if "test" in splits else None
    return images, test, load_calibration(parsed, images.images.shape[1:])


def drawn_halves(parsed, halves):
    """Halves binarized stochastically."""
    if parsed.threshold is not None:
        raise common.UsageError("--threshold: does nothing with --binarization stochastic; leave one of them out")
    return images_of.Halves({split: drawn(parsed, halves.part(split), split) for split in halves.splits})


def can_stream(parsed, settings):
    """Whether images become bits as they are read.

    What is drawn, and shifted copies, are made of all images; a classifier chooses its thresholds by all of them.
    """
    return not (
        parsed.data in (None, "openml") or parsed.binarization == "stochastic" or settings.shift
        or (parsed.classifier and isinstance(settings.threshold, str))
    )  # fmt: skip
