# SPDX-License-Identifier: BSD-3-Clause
"""cbn-train of more images than memory holds: they become bits as they are read."""

from ..bits.binarization import Binarization, check_thresholds, chosen_thresholds
from ._packing import PackingReader
from ._train_arguments import with_scale
from ._train_assumed import tell_of_training
from ._train_fit import check_checkpoints
from ._train_images import check_rule, layer_geometries, load_calibration
from ._train_networks import by_label, list_jobs, told_thresholds, train_networks


def train_streamed(parsed, arguments, clock):
    """What :func:`cbn.cli._train_jobs.train_job` does of images that are held, of --data."""
    with clock.part("load"):
        reader = PackingReader(parsed, by_label(parsed))
        calibration = load_calibration(parsed, reader.shape)
    arguments = with_scale(arguments, reader)
    check_rule(parsed, reader)
    settings = arguments.resolve()
    rule = _rule(parsed, arguments, settings, reader.shape)
    if not parsed.classifier:  # what is refused is so before anything is read
        jobs = list_jobs(parsed, list(reader.expected), None if parsed.skip_bad else calibration)
        if not parsed.resume:
            check_checkpoints(parsed, [job["out"] for job in jobs])
    with clock.part("load"):
        hashed = not parsed.classifier and len(settings.features.layers) > 0
        training, test = reader.read(rule, hashed=hashed, apart=calibration is not None)
    labels = list(training) if by_label(parsed) or parsed.digit is not None else sorted(reader.found)
    thresholds = next(iter(training.values())).images.binarization.thresholds
    told = told_thresholds(parsed, settings, thresholds)
    n_test = None if test is None else len(test)
    tell_of_training(parsed, settings, reader, labels, n_test, calibration, told)
    images = reader.whole(training) if by_label(parsed) else training.popitem()[1]
    if parsed.classifier:
        from ._train_classifier import train_classifier

        train_classifier(parsed, arguments, images, test, clock)
    else:
        jobs = list_jobs(parsed, labels, calibration)
        train_networks(parsed, arguments, images, reader.shape, test, jobs, clock)


def _rule(parsed, arguments, settings, shape):
    """The Binarization that is given, or what finds one by the first images; layers that do not fit are refused."""
    scale = settings.full_scale

    def of(thresholds):
        layer_geometries(parsed, arguments, shape, thresholds)
        return Binarization(check_thresholds(thresholds, scale), scale)

    if isinstance(settings.threshold, str):
        return lambda images: of(chosen_thresholds(settings.threshold, images, scale))
    return of(settings.threshold)
