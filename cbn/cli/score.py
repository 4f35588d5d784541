# SPDX-License-Identifier: BSD-3-Clause
"""cbn-score: score, p-value and verdict of every image; of a classifier, its class."""

from . import _common as common
from . import _images as images_of
from . import _models as models
from ._common import cell
from ._ranking import add_ranking, check_ranking
from ._row_files import OPTIONS as ROW_FILES
from ._score_images import NAMING
from ._thresholds import add_thresholds, check_alone, check_thresholds, is_alone
from ._verdicts import add_verdicts, check_verdicts

__all__ = ["build_parser", "cell", "main"]

# Options that make something of images.
OF_SCORING = (
    "csv", "jsonl", "parquet", "sheet", "top", "sort", "heatmap", "explain", "repair", "alarm_threshold", "fdr", "extrapolate",
)  # fmt: skip
OF_CLASSIFIERS = "; of a classifier: file, label, score, class, probability, and p(C) for every class C"
# Nodes that --explain names without a number.
EXPLAINED_NODES = 5


def build_parser():
    parser = common.make_parser(
        "cbn-score",
        "Print score, conformal p-value and verdict (normal or outlier) of every image, separated by tabs. Of a\n"
        "classifier: predicted class, its probability, log p of the image (nats, under the mixture of all classes)\n"
        "and the probability of every class; where there are labels, the accuracy, and how often which class was\n"
        f"taken for which. Scores, and log p among them: {common.SCORE}.",
        [
            "cbn-score                                           # the embedded MNIST test images",
            "cbn-score --digit 7 --n 20 --heatmap maps/          # where the model is surprised",
            "cbn-score --digit 7 --n 3 --explain                 # which nodes surprise, and what training saw there",
            "cbn-score --digit 7 --n 3 --repair repaired/        # connected changes that make them normal",
            "cbn-score --data pictures/ --false-alarm-rate 0.001 --json",
            "cbn-score --data pictures/ --fdr 0.05 --csv verdicts.csv",
            "cbn-score --data pictures/ --top 20 --sheet worst.png",
            "cbn-score --calibration good/ --save-calibrated today.cbn",
            "cbn-score --model digits.cbn --digit all            # classes, after cbn-train --classifier",
        ],
    )
    common.add_model(parser)
    group = images_of.add_data(parser, "images to score")
    images_of.add_choice(group)
    group.add_argument("--n", type=common.integer(1, 2**40), metavar="N", help="only the first N images")
    add_thresholds(add_verdicts(parser, "images", OF_CLASSIFIERS), "images", energies=False)
    add_ranking(parser, "images", "the lowest scores")
    parser.add_argument(
        "--maps", "--heatmap", dest="heatmap",
        metavar="DIR",
        help="write a surprise map of every image, in nats, with the one scale of the model; with a contrast also a map of "
        "what speaks against the class",
    )  # fmt: skip
    parser.add_argument(
        "--explain", nargs="?", type=common.integer(1, 10**6), const=EXPLAINED_NODES, metavar="N",
        help=f"print under every image the N nodes that surprise most, and what training saw (N: {EXPLAINED_NODES}); with a "
        "contrast also the N pixels that speak most against the class",
    )  # fmt: skip
    parser.add_argument(
        "--repair", metavar="DIR",
        help="find a small change in connected regions that makes each outlier normal, write a picture of each "
        "(before, after, difference: red added, blue removed), and print the number of changed pixels (-: none found)",
    )  # fmt: skip
    return parser


def main(argv=None):
    return common.run("cbn-score", build_parser, score, argv)


def score(arguments):
    from ._score_classifier import score_classifier
    from ._score_network import score_network

    check_verdicts(arguments)
    check_thresholds(arguments)
    check_ranking(arguments)
    if arguments.repair is not None and arguments.alarm_threshold is not None:
        raise common.UsageError(
            "--repair: mends what a rate calls outliers; give --false-alarm-rate, not --alarm-threshold"
        )
    common.check_outputs(
        arguments,
        *ROW_FILES,
        "--sheet",
        "--save-calibrated",
        picture="--sheet",
        folders=("--heatmap", "--repair"),
    )
    if is_alone(arguments, *NAMING):
        check_alone(arguments, OF_SCORING, "--data, --digit, --split or --n")
    models.with_model(arguments, network=score_network, classifier=score_classifier)
