# SPDX-License-Identifier: BSD-3-Clause
"""cbn-train: train a network, say how good it is, write a model file."""

import os
import sys

import numpy as np

from ..bits.binarization import check_thresholds, chosen_thresholds
from ..datasets import draw_binary, load_images
from ..exceptions import DataError
from ..fit.growth import training_geometries
from ..fit.presets import resolve
from . import _common as common
from ._train_options import add_model_options, join_values, make_model, parse_thresholds


def build_parser():
    parser = common.make_parser(
        "cbn-train",
        "Train a Bayesian network on images of one class and write a model file. If there are labelled test images,\n"
        "print the AUROC (in percent) of that class against the others, for every score and layer. Ctrl-C during the\n"
        "training of hidden layers keeps the best ones so far; --resume goes on, after a crash as well, to the model\n"
        "of an undisturbed training.",
        [
            "cbn-train --digit 2                         # embedded MNIST, writes model.cbn",
            "cbn-train --digit 2 --preset hidden         # with two hidden layers",
            "cbn-train --digit all --preset hidden       # ten models, table beside the thesis's Table 2",
            "cbn-train --digit all --preset tree         # ten densities, their mixture, accuracy by Bayes' rule",
            "cbn-train --digit all --preset boosted --data openml --binarization stochastic",
            "cbn-train --data pictures/ --threshold 0.5  # a folder of pictures",
            "cbn-train --data mnist/ --digit 3 --threshold 0.1,0.3,0.6 --score surprise",
            "cbn-train --data images.npy --calibration more.npy --false-alarm-rate 0.001",
            "cbn-train --data images.npy --hidden '8,5,3;5,3,2' --iterations 100 --resume",
        ],
    )
    data = common.add_data(parser, "training (and test) images")
    data.add_argument(
        "--digit", "--label", metavar="LABEL", help="train on images of this label; 'all': one model for each label"
    )
    data.add_argument(
        "--calibration", metavar="PATH", help="normal images that set the threshold (see --data for forms)"
    )
    data.add_argument(
        "--binarization",
        choices=("threshold", "stochastic"),
        help="threshold: by --threshold (the default); stochastic: a pixel of a grey image is drawn once, 1 with "
        "probability value / 255, by --seed",
    )
    add_model_options(parser)
    parser.add_argument(
        "--out",
        default=common.DEFAULT_MODEL,
        metavar="FILE",
        help=f"model file to write (default: {common.DEFAULT_MODEL}; with --digit all, model-LABEL.cbn)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        default=None,
        help="go on from the checkpoints FILE.checkpoint, where there are any, and keep models that are complete",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print parameters, memory and expected time; train nothing"
    )
    common.add_seed(parser)
    return parser


def main(argv=None):
    return common.run("cbn-train", build_parser, train, join_values(sys.argv[1:] if argv is None else argv))


def train(arguments):
    clock = common.Clock()
    common.check_outputs(arguments, "--out", "--save-kernels", picture=None)
    model = make_model(arguments)
    with clock.part("load"):
        images, test = common.load_data(arguments)
        calibration = load_calibration(arguments, images)
        if arguments.binarization == "stochastic":
            images, test, calibration = drawn(arguments, images, test, calibration)
    if arguments.digit == "all" and images.labels is None:
        raise DataError("--digit all: the training images have no labels; leave the option out")
    model.set_params(full_scale=255 if images.binarization is None else 1)
    check_rule(arguments, images, model)
    geometries = layer_geometries(model, images)
    if arguments.dry_run:
        from ._train_dry_run import dry_run

        dry_run(arguments, model, images, geometries)
    else:
        train_models(arguments, model, images, test, calibration, clock)


def layer_geometries(model, images):
    """The geometry of all layers; those that do not fit are refused before any work is done."""
    setting = resolve(model)
    chosen = chosen_thresholds(setting["threshold"], images.images, model.full_scale)
    n_thresholds = len(check_thresholds(chosen, model.full_scale))
    return training_geometries(setting, images.images.shape[1:], n_thresholds)


def load_calibration(arguments, images):
    """The ImageSet of --calibration or None; its images have the size of the training images."""
    if arguments.calibration is None:
        return None
    with common.naming("--calibration"):
        calibration = load_images(arguments.calibration)[0]
    found, needed = calibration.images.shape[1:], images.images.shape[1:]
    if found != needed:
        raise DataError(
            f"--calibration: images of {found[0]} x {found[1]} pixels, but the training images have "
            f"{needed[0]} x {needed[1]}; resize them"
        )
    return calibration


def drawn(arguments, images, test, calibration):
    """The three ImageSets (or None) binarized stochastically."""
    if arguments.threshold is not None:
        raise common.UsageError("--threshold: does nothing with --binarization stochastic; leave one of them out")
    sets = []
    for given, split in ((images, "train"), (test, "test"), (calibration, "calibration")):
        if given is not None and given.binarization is not None:
            embedded = given is not calibration and arguments.data is None
            mend = "give the grey IDX files with --data, or --data openml" if embedded else "give grey images"
            raise DataError(
                f"--binarization stochastic: draws from grey values, but {'the embedded MNIST' if embedded else split} "
                f"images are binary already ({given.binarization}); {mend}"
            )
        sets.append(None if given is None else draw_binary(given, arguments.seed, split))
    return sets


def check_rule(arguments, images, model):
    """A threshold cannot be changed on images that are binary already."""
    if arguments.threshold is None or images.binarization is None:
        return
    threshold = parse_thresholds(arguments.threshold)
    if not isinstance(threshold, float) or images.binarization != f"value > {threshold:g} x 255":
        raise DataError(
            f"--threshold {arguments.threshold}: the images are binary already ({images.binarization}); "
            "give grey images with --data, or leave the option out"
        )


def train_models(arguments, model, images, test, calibration, clock):
    """One model, or one for each label, and the report."""
    from . import _train_fit as fitting
    from . import _train_report as report
    from ._train_density import density_figures

    jobs = list_jobs(arguments, images, calibration)
    fitting.check_checkpoints(arguments, [job["out"] for job in jobs])
    results, columns = [], []
    with fitting.Progress(arguments, model, len(jobs), images.images.shape[1:]) as progress:
        for job in jobs:
            own_clock = common.Clock(clock.seconds)
            chosen = images if job["label"] is None else images.select(job["label"])
            trained = fitting.train_model(
                arguments, model, chosen, job["calibration"], job["out"], job["kernels_out"], own_clock, progress
            )
            result, log_probability = report.describe(arguments, trained, chosen, test, own_clock, job["out"])
            results.append(result)
            columns.append(log_probability)
    if arguments.digit != "all":
        common.print_json(results[0]) if arguments.json else report.print_one(results[0], images)
        return
    means = report.summary(results) | density_figures(results, columns, None if test is None else test.labels)
    common.print_json({"digits": results, **means}) if arguments.json else report.print_all(results, means, images)


def list_jobs(arguments, images, calibration):
    """Label, calibration images and output files of every model to train."""
    if arguments.digit != "all":
        return [{"label": arguments.digit, "calibration": calibration, "out": arguments.out,
                 "kernels_out": arguments.save_kernels}]  # fmt: skip
    labels = np.unique(images.labels).tolist()
    jobs = []
    for label, name in zip(labels, common.file_names(labels)):
        own = calibration
        if calibration is not None and calibration.labels is not None:
            with common.naming("--calibration"):
                own = calibration.select(label)
        out, kernels_out = (_labelled(path, name) for path in (arguments.out, arguments.save_kernels))
        jobs.append({"label": label, "calibration": own, "out": out, "kernels_out": kernels_out})
    return jobs


def _labelled(path, name):
    """model.cbn -> model-NAME.cbn"""
    if path is None:
        return None
    stem, suffix = os.path.splitext(path)
    return f"{stem}-{name}{suffix}"
