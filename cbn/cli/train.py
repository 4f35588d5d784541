# SPDX-License-Identifier: BSD-3-Clause
"""cbn-train: train a network, or a classifier, say how good it is, write a model file."""

from . import _common as common
from . import _images as images
from ._config import make_training_parser
from ._report_after import add_report, check_after, report_after
from ._train_options import add_model_options


def build_parser():
    parser = make_training_parser(
        "cbn-train",
        "Train a Bayesian network on images of one class and write a model file. If there are labelled test images,\n"
        "print the AUROC (in percent) of that class against the others, for every score and layer. With --classifier,\n"
        "train a network for every label and write one file that knows the label of an image, by Bayes' rule. Ctrl-C\n"
        "during the training of hidden layers keeps the best ones so far; --resume goes on, after a crash as well, to\n"
        "the model of an undisturbed training.",
        [
            "cbn-train --digit 2                         # embedded MNIST, writes model.cbn",
            "cbn-train --digit 2 --preset hidden         # with two hidden layers",
            "cbn-train --digit all --preset hidden       # ten models, table beside the thesis's Table 2",
            "cbn-train --digit all --preset tree         # ten densities, their mixture, accuracy by Bayes' rule",
            "cbn-train --digit all --preset tree --classifier --out digits.cbn",
            "cbn-train --digit all --preset boosted --data openml --binarization stochastic",
            "cbn-train --data pictures/ --threshold 0.5  # a folder of pictures",
            "cbn-train --data mnist/ --digit 3 --threshold 0.1,0.3,0.6 --score surprise",
            "cbn-train --data images.npy --calibration more.npy --false-alarm-rate 0.001",
            "cbn-train --data images.npy --hidden '8,5,3;5,3,2' --iterations 100 --resume",
            "cbn-train --config two.toml --seed 1        # options from a file, the line's before them",
            "cbn-train --data june/ --add may.cbn --out both.cbn",
            "cbn-train --merge plant1.cbn plant2.cbn --out all.cbn",
        ],
    )
    data = images.add_data(parser, "training (and test) images")
    data.add_argument(
        "--digit", "--label", metavar="LABEL", help="train on images of this label; 'all': one model for each label"
    )
    data.add_argument(
        "--classifier", action="store_true",
        help="one model file of all labels, which knows the label of an image and the density of all",
    )  # fmt: skip
    data.add_argument(
        "--calibration",
        metavar="PATH",
        help="normal images that had no part in training and set the threshold (see --data for forms)",
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
        help=f"model file to write (default: {common.DEFAULT_MODEL}; with --digit all, but for --classifier, "
        "model-LABEL.cbn)",
    )
    further = parser.add_argument_group("further training")
    further.add_argument(
        "--add", metavar="MODEL",
        help="count the images of --data into this model of tables or trees, with its settings; kernels, relations and trees "
        "stay as they are",
    )  # fmt: skip
    further.add_argument(
        "--merge", nargs="+", action="extend", metavar="MODEL",
        help="make one model of several of the same settings, fitted on different images: their counts are added. The "
        "threshold stays that of the largest, which judges new images, until cbn-train --add or --calibration sets another",
    )  # fmt: skip
    parser.add_argument(
        "--resume",
        action="store_true",
        default=None,
        help="go on from the checkpoints FILE.checkpoint, where there are any, and keep models that are complete",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print parameters, memory and expected time; train nothing"
    )
    add_report(parser)
    common.add_seed(parser)
    return parser


def main(argv=None):
    return common.run("cbn-train", build_parser, train, argv)


def train(parsed):
    check_after(parsed)
    train_models(parsed)
    report_after(parsed, parsed.data, trained_on=True)


def train_models(parsed):
    if parsed.merge is not None or parsed.add is not None:
        from . import _train_further as further

        if parsed.merge is not None:
            further.merge(parsed, build_parser().parse_args([]))
        else:
            further.add(parsed, build_parser().parse_args([]))
        return
    from ._train_jobs import train_job  # what it needs is not needed for --help

    train_job(parsed)
