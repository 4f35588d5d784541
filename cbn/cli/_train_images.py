# SPDX-License-Identifier: BSD-3-Clause
"""What cbn-train asks of its images before any work is done, and the images of --calibration."""

from ..bits.binarization import check_thresholds
from ..exceptions import DataError
from ..fit.preparing import planned_geometries
from ..layers.features import starting_kernels
from . import _images as images_of
from ._train_arguments import naming_options


def check_rule(parsed, images):
    """A threshold cannot be changed on images that are binary already."""
    threshold = parsed.threshold
    if threshold is None or images.binarization is None:
        return
    if not isinstance(threshold, float) or images.binarization != f"value > {threshold:g} x 255":
        given = threshold if isinstance(threshold, str | float) else ",".join(f"{t:g}" for t in threshold)
        raise DataError(
            f"--threshold {given}: the images are binary already ({images.binarization}); "
            "give grey images with --data, or leave the option out"
        )


def no_labels(parsed):
    """The DataError for images without labels, of which each label is to have a network."""
    every = "--classifier" if parsed.classifier else "--digit all"
    mend = "give --labels, or a folder whose sub-folders are labels" if parsed.classifier else "leave the option out"
    return DataError(f"{every}: the training images have no labels; {mend}")


def layer_geometries(parsed, arguments, shape, thresholds):
    """The geometry of all layers; what does not fit is refused before any work is done."""
    with naming_options(parsed):
        settings = arguments.resolve()
        n_thresholds = len(check_thresholds(thresholds, settings.full_scale))
        geometries = planned_geometries(settings, shape, n_thresholds)
        starting_kernels(settings.features.kernels, settings.features.layers, geometries)
    return geometries


def load_calibration(parsed, needed):
    """The ImageSet of --calibration or None; its images have the size (height, width) of the training images."""
    if parsed.calibration is None:
        return None
    calibration = images_of.read_splits(parsed, "--calibration", parsed.calibration)["train"]
    found = calibration.images.shape[1:]
    if found != needed:
        raise DataError(
            f"--calibration: images of {found[0]} x {found[1]} pixels, but the training images have "
            f"{needed[0]} x {needed[1]}; resize them"
        )
    return drawn(parsed, calibration, "calibration") if parsed.binarization == "stochastic" else calibration


def drawn(parsed, given, split):
    """An ImageSet binarized stochastically; raises DataError where it is binary already."""
    from ..datasets import draw_binary

    if given.binarization is not None:
        embedded = split != "calibration" and parsed.data is None
        mend = "give the grey IDX files with --data, or --data openml" if embedded else "give grey images"
        raise DataError(
            f"--binarization stochastic: draws from grey values, but {'the embedded MNIST' if embedded else split} "
            f"images are binary already ({given.binarization}); {mend}"
        )
    return draw_binary(given, parsed.seed, split)
