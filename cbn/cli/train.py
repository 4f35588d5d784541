# SPDX-License-Identifier: BSD-3-Clause
"""cbn-train: train a network, say how good it is, write a model file."""

import os
import re
import sys
import warnings

import numpy as np

from ..datasets import load_images
from ..exceptions import CalibrationWarning, DataError
from . import _common as common

# AUROC by digit, in percent: thesis Table 1 (one layer, conditional probability tables).
THESIS_TABLE_1 = (94.9, 99.9, 82.1, 84.2, 85.0, 89.2, 95.1, 94.8, 76.6, 92.5)
# Images on which --dry-run measures how fast this machine is.
TRIAL_IMAGES = 2048


def build_parser():
    parser = common.make_parser(
        "cbn-train",
        "Train a Bayesian network on images of one class and write a model file. If there are labelled test images, print\n"
        "the AUROC (in percent) of that class against the others, for every score.",
        [
            "cbn-train --digit 2                         # embedded MNIST, writes model.cbn",
            "cbn-train --digit all                       # ten models, table beside the thesis's Table 1",
            "cbn-train --data pictures/ --threshold 0.5  # a folder of pictures",
            "cbn-train --data mnist/ --digit 3 --threshold 0.1,0.3,0.6 --score surprise",
            "cbn-train --data images.npy --calibration more.npy --false-alarm-rate 0.001",
        ],
    )
    data = common.add_data(parser, "training (and test) images")
    data.add_argument(
        "--digit", "--label", metavar="LABEL", help="train on images of this label; 'all': one model for each label"
    )
    data.add_argument("--calibration", metavar="PATH", help="normal images that set the threshold (see --data for forms)")
    model = parser.add_argument_group("model")
    model.add_argument("--preset", default="pixel", help="names the defaults of the options below (default: pixel)")
    model.add_argument("--threshold", metavar="T[,T...]", help="binarization: 1 where value > T x full scale (default: 0.3)")
    model.add_argument("--offsets", metavar="DY,DX;...", help="parents of a pixel (default: -1,-1;-1,0;-1,1;0,-1)")
    model.add_argument("--pseudocount", type=float, metavar="X", help="added to every count (default: 1)")
    model.add_argument("--score", help="log_probability (default), surprise, standardized or normalized")
    model.add_argument("--false-alarm-rate", type=common.rate, default=0.01, metavar="P", help="default: 0.01")
    parser.add_argument(
        "--out",
        default=common.DEFAULT_MODEL,
        metavar="FILE",
        help=f"model file to write (default: {common.DEFAULT_MODEL}; with --digit all, model-LABEL.cbn)",
    )
    parser.add_argument("--dry-run", action="store_true", help="print parameters, memory and expected time; train nothing")
    common.add_seed(parser)
    return parser


def main(argv=None):
    return common.run("cbn-train", build_parser, train, join_offsets(sys.argv[1:] if argv is None else argv))


def join_offsets(argv):
    """'--offsets' '-1,0' -> '--offsets=-1,0': argparse takes a value that begins with a dash for an option."""
    joined = []
    for argument in argv:
        argument = str(argument)
        if joined and joined[-1] == "--offsets" and re.match(r"-\d", argument):
            joined[-1] = f"--offsets={argument}"
        else:
            joined.append(argument)
    return joined


def parse_thresholds(text):
    """'0.3' -> 0.3; '0.1,0.3' -> (0.1, 0.3)."""
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise common.UsageError(f"--threshold {text!r}: give numbers in [0, 1) such as 0.3 or 0.1,0.3,0.6") from None
    return values if len(values) > 1 else values[0]


def parse_offsets(text):
    """'-1,0;0,-1' -> ((-1, 0), (0, -1))."""
    if text is None:
        return None
    try:
        return tuple((int(dy), int(dx)) for dy, dx in (pair.split(",") for pair in text.split(";")))
    except ValueError:
        raise common.UsageError(f"--offsets {text!r}: give pairs DY,DX separated by ; such as '-1,0;0,-1'") from None


def train(arguments):
    clock = common.Clock()
    common.check_outputs(arguments, "--out", picture=None)
    from ..network import ConvolutionalBayesianNetwork

    model = ConvolutionalBayesianNetwork(
        preset=arguments.preset,
        offsets=parse_offsets(arguments.offsets),
        threshold=parse_thresholds(arguments.threshold),
        pseudocount=arguments.pseudocount,
        score=arguments.score,
        false_alarm_rate=arguments.false_alarm_rate,
        n_jobs=arguments.threads,
        random_state=arguments.seed,
    )
    model.check_arguments()
    with clock.part("load"):
        images, test = common.load_data(arguments)
        calibration = load_calibration(arguments, images)
    if arguments.digit == "all" and images.labels is None:
        raise DataError("--digit all: the training images have no labels; leave the option out")
    model.set_params(full_scale=255 if images.binarization is None else 1)
    check_rule(arguments, images, model)
    if arguments.dry_run:
        dry_run(arguments, model, images)
    elif arguments.digit == "all":
        train_all(arguments, model, images, test, calibration, clock)
    else:
        chosen = images if arguments.digit is None else images.select(arguments.digit)
        result = train_one(arguments, model, chosen, test, calibration, clock, arguments.out)
        common.print_json(result) if arguments.json else print_one(result, images)


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


def train_one(arguments, model, chosen, test, calibration, clock, out):
    """Fits one model, evaluates and saves it; the result as --json prints it."""
    from sklearn.base import clone

    clock = _copy(clock)
    model = clone(model)
    with clock.part("fit"), warnings.catch_warnings():
        if calibration is not None:  # the training images do not set the threshold, so their number is no matter
            warnings.simplefilter("ignore", CalibrationWarning)
        model.fit(chosen.images)
    if chosen.binarization is not None:
        model.binarization_ = chosen.binarization
    if calibration is not None:
        with clock.part("fit"):
            model.calibrate(common.images_for(arguments, model, calibration, "--calibration"))
    label = None if arguments.digit is None else chosen.labels[0].item()
    with clock.part("score"):
        quality = evaluate(arguments, model, test, label)
    model.provenance_.update(source=chosen.source, label=label, seed=arguments.seed)
    model.save(out)
    _, n_parameters, _ = model.bic_terms()
    return {
        "digit": label,
        "preset": arguments.preset,
        "n_train": len(chosen),
        **quality,
        "binarization": model.binarization_,
        "n_parameters": n_parameters,
        "bic": model.bic(),
        "calibration": model.calibration_,
        "n_calibration": len(model.calibration_scores_),
        "score": model.score_,
        "threshold": model.offset_,
        "false_alarm_rate": arguments.false_alarm_rate,
        "seed": arguments.seed,
        "seconds": clock.seconds,
        "model": out,
    }


def _copy(clock):
    copy = common.Clock()
    copy.seconds = dict(clock.seconds)
    return copy


def evaluate(arguments, model, test, label):
    """AUROC by score name (percent) and mean log-probability (nats) of the test images of the label."""
    from ..scoring import SCORES

    quality = {"n_test": 0, "auroc": None, "log_probability_test": None}
    if test is None:
        return quality
    images = common.images_for(arguments, model, test)
    scores = {name: model.score_samples(images, score=name) for name in SCORES}
    own = np.ones(len(images), bool) if label is None else test.labels == label if test.labels is not None else None
    quality["n_test"] = len(images)
    if own is None or not own.any():
        return quality
    quality["log_probability_test"] = float(scores["log_probability"][own].mean())
    if not own.all():
        from sklearn.metrics import roc_auc_score

        quality["auroc"] = {name: 100 * float(roc_auc_score(own, s)) for name, s in scores.items()}
    return quality


def train_all(arguments, model, images, test, calibration, clock):
    labels = np.unique(images.labels).tolist()
    stem, suffix = os.path.splitext(arguments.out)
    names = dict(zip(labels, common.file_names(labels)))
    if calibration is not None and calibration.labels is not None:
        with common.naming("--calibration"):
            calibration_of = {label: calibration.select(label) for label in labels}
    else:
        calibration_of = dict.fromkeys(labels, calibration)
    results = []
    for label in common.progress(labels, arguments, len(labels), "model", "training"):
        chosen = images.select(label)
        out = f"{stem}-{names[label]}{suffix}"
        results.append(train_one(arguments, model, chosen, test, calibration_of[label], clock, out))
    rated = [result["auroc"] for result in results]
    mean = {name: float(np.mean([a[name] for a in rated])) for name in rated[0]} if all(rated) else None
    if arguments.json:
        common.print_json({"digits": results, "mean_auroc": mean})
    else:
        print_all(results, mean, images)


def print_one(result, images):
    label = "all labels" if result["digit"] is None else f"label {result['digit']}"
    nats = result["log_probability_test"]
    print(f"trained on       {result['n_train']:,} images of {images.source}, {label}")
    print(f"binarization     {result['binarization']}")
    print(f"parameters       {result['n_parameters']:,} (BIC {result['bic']:,.0f})")
    if nats is not None:
        print(f"log-probability  {nats:.2f} nats per test image of the class (under that binarization)")
    print(
        f"threshold        {result['score']} {result['threshold']:.2f}: {result['n_calibration']:,} "
        f"{result['calibration']} scores, false-alarm rate {result['false_alarm_rate']:g}"
    )
    print("seconds          " + ", ".join(f"{name} {s:.3f}" for name, s in result["seconds"].items()))
    if result["auroc"]:
        print(f"AUROC in percent against the other labels, {result['n_test']:,} test images")
        for name, value in result["auroc"].items():
            print(f"  {name:16} {value:.2f}")
        if is_mnist(images):
            print(f"  {'thesis Table 1':16} {THESIS_TABLE_1[result['digit']]:.1f}")
    print(f"model            {result['model']}")


def print_all(results, mean, images):
    labels = [str(result["digit"]) for result in results]
    if mean:
        print(f"AUROC in percent of each label against the others ({results[0]['binarization']})")
        print(" " * 16 + "".join(f"{label:>7}" for label in labels) + "   mean")
        for name, value in mean.items():
            row = "".join(f"{result['auroc'][name]:7.2f}" for result in results)
            print(f"{name:16}{row}{value:7.2f}")
        if is_mnist(images):
            row = "".join(f"{value:7.1f}" for value in THESIS_TABLE_1)
            print(f"{'thesis Table 1':16}{row}{np.mean(THESIS_TABLE_1):7.1f}")
        nats = np.mean([result["log_probability_test"] for result in results])
        print(f"mean log-probability of own test images: {nats:.2f} nats")
    fit, score = (sum(result["seconds"][name] for result in results) for name in ("fit", "score"))
    print(f"seconds: fit {fit:.3f}, score {score:.3f}, {len(results)} models")
    print(f"models: {results[0]['model']} ... {results[-1]['model']}")


def is_mnist(images):
    """The thesis's table stands beside its own data only."""
    return images.source.startswith("MNIST") and len(images) == 60000


def dry_run(arguments, model, images):
    """Sizes by arithmetic, time by fitting a few images."""
    import time

    from sklearn.base import clone

    if arguments.digit not in (None, "all"):
        images = images.select(arguments.digit)
    trial = clone(model)
    n_trial = min(TRIAL_IMAGES, len(images))
    trial.set_params(false_alarm_rate=0.5).fit(images.images[:n_trial])  # warms up; a small set has its own threshold
    start = time.perf_counter()
    trial.fit(images.images[:n_trial])
    seconds = (time.perf_counter() - start) * max(1, len(images) / n_trial)
    _, n_parameters, _ = trial.bic_terms()
    tables = trial.counts_.nbytes
    planes = trial.layer_.n_nodes * -(-len(images) // 64) * 8
    result = {
        "n_train": len(images),
        "image_shape": list(trial.image_shape_),
        "n_nodes": trial.layer_.n_nodes,
        "n_parameters": n_parameters,
        "memory_bytes": {"images": images.images.nbytes, "bit_planes": planes, "tables": 3 * tables},
        "expected_fit_seconds": seconds,
    }
    if arguments.json:
        common.print_json(result)
        return
    megabytes = {name: f"{name.replace('_', ' ')} {size / 1e6:.1f} MB" for name, size in result["memory_bytes"].items()}
    height, width = trial.image_shape_
    print(f"images           {len(images):,} of {height} x {width} pixels")
    print(f"parameters       {n_parameters:,} in {trial.layer_.n_nodes:,} nodes")
    print(f"memory           {', '.join(megabytes.values())}")
    print(f"expected         {seconds:.3f} s to fit (from {n_trial} images)")
