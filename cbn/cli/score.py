# SPDX-License-Identifier: BSD-3-Clause
"""cbn-score: score, p-value and verdict of every image."""

import os

import numpy as np

from ..exceptions import CbnError
from ..io.files import make_folder
from ..plots import pictures
from . import _common as common

# Nodes that --explain names without a number.
EXPLAINED_NODES = 5


def build_parser():
    parser = common.make_parser(
        "cbn-score",
        "Print score, conformal p-value and verdict (normal or outlier) of every image, separated by tabs.",
        [
            "cbn-score                                           # the embedded MNIST test images",
            "cbn-score --digit 7 --n 20 --heatmap maps/          # where the model is surprised",
            "cbn-score --digit 7 --n 3 --explain                 # which nodes surprise, and what training saw there",
            "cbn-score --digit 7 --n 3 --repair repaired/        # the fewest changes that make them normal",
            "cbn-score --data pictures/ --false-alarm-rate 0.001 --json",
        ],
    )
    common.add_model(parser)
    group = common.add_data(parser, "images to score")
    common.add_choice(group)
    group.add_argument("--n", type=common.integer(1, 2**40), metavar="N", help="only the first N images")
    parser.add_argument(
        "--false-alarm-rate",
        type=common.rate,
        metavar="P",
        help="share of normal images called outliers (default: the model's)",
    )
    parser.add_argument(
        "--heatmap",
        metavar="DIR",
        help="write a surprise map of every image, in nats, with the one scale of the model",
    )
    parser.add_argument(
        "--explain", nargs="?", type=common.integer(1, 10**6), const=EXPLAINED_NODES, metavar="N",
        help=f"print under every image the N nodes that surprise most, and what training saw (N: {EXPLAINED_NODES})",
    )  # fmt: skip
    parser.add_argument(
        "--repair", metavar="DIR",
        help="find few pixel changes that make each outlier normal, write a picture of each (before, after, "
        "difference: red added, blue removed), and print the number of changes (-: none found)",
    )  # fmt: skip
    return parser


def main(argv=None):
    return common.run("cbn-score", build_parser, score, argv)


def score(arguments):
    model = common.load_model(arguments.model).set_params(n_jobs=arguments.threads)
    clock = common.Clock()
    with clock.part("load"):
        chosen, index = common.choose_images(arguments)
        index = index[: arguments.n]
        images = common.images_for(arguments, model, chosen)[: arguments.n]
    rate = arguments.false_alarm_rate or model.false_alarm_rate
    if arguments.heatmap is not None:
        if not arguments.heatmap:
            raise CbnError("--heatmap: empty; give the name of a folder")
        make_folder(arguments.heatmap)
    if arguments.repair is not None:
        if not arguments.repair:
            raise CbnError("--repair: empty; give the name of a folder")
        make_folder(arguments.repair)
    with clock.part("score"):
        scores = model.score_samples(images)
        p_values = model.p_values_of(scores)
        threshold = model.threshold_at(rate)
    outliers = scores < threshold
    names = chosen.names or [str(i) for i in index]
    rows = [
        {"image": names[i], "score": float(scores[i]), "p_value": float(p_values[i]),
         "verdict": "outlier" if outliers[i] else "normal"}
        for i in range(len(images))
    ]  # fmt: skip
    if chosen.labels is not None:
        for row, label in zip(rows, chosen.labels.tolist()):
            row["label"] = label
    if arguments.heatmap:
        with clock.part("heatmap"):
            write_heat_maps(arguments, model, images, rows)
    explanations = []
    if arguments.explain is not None:
        with clock.part("explain"):
            numbers = common.progress(range(len(images)), arguments, len(images), "image", "explanations")
            explanations = [model.explain(images[i], arguments.explain) for i in numbers]
    if arguments.repair:
        with clock.part("repair"):
            write_repairs(arguments, model.set_params(false_alarm_rate=rate), images, rows, np.flatnonzero(outliers))
    summary = {
        "n": len(rows),
        "n_outliers": int(outliers.sum()),
        "score": model.score_,
        "threshold": threshold,
        "false_alarm_rate": rate,
        "calibration": model.calibration_,
        "n_calibration": len(model.calibration_scores_),
        "binarization": model.binarization_,
    }
    if arguments.json:
        for row, nodes in zip(rows, explanations):
            row["explanation"] = [node.to_dict() for node in nodes]
        common.print_json({**summary, "images": rows, "seconds": clock.seconds, "model": arguments.model})
        return
    shown = "image", "label", "score", "p_value", "verdict", "heatmap", "changes"
    columns = [name for name in shown if name in rows[0]]
    print("\t".join(columns))
    for i, row in enumerate(rows):
        print("\t".join(f"{row[c]:.6g}" if isinstance(row[c], float) else cell(row[c]) for c in columns))
        for node in explanations[i] if explanations else ():
            print(f"  {node}")
    common.say(
        arguments,
        f"{summary['n_outliers']:,} of {summary['n']:,} images are outliers at a false-alarm rate of {rate:g} "
        f"({summary['score']} below {threshold:.6g}; threshold from {summary['n_calibration']:,} "
        f"{summary['calibration']} scores; {summary['binarization']})",
    )


def cell(value):
    """A name or label in a table: tabs, line breaks and other control characters escaped; "-" for None."""
    value = "-" if value is None else value
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in str(value))


def write_heat_maps(arguments, model, images, rows):
    """One picture per image, all with the model's scale."""
    vmax = model.heat_map_scale()
    names = common.file_names(os.path.splitext(row["image"])[0] for row in rows)
    for i in common.progress(range(len(images)), arguments, len(images), "picture", "heat maps"):
        row = rows[i]
        path = os.path.join(arguments.heatmap, f"{names[i]}.png")
        title = f"{row['image']}: {row['verdict']}, p = {row['p_value']:.4g}"
        surprise = model.surprise_map(images[i : i + 1])[0]
        shown = model.binarized_pictures(images[i : i + 1])[0]
        pictures.save_png(pictures.heat_map(shown, surprise, vmax, model.binarizer_.full_scale, title), path)
        row["heatmap"] = path


def write_repairs(arguments, model, images, rows, outliers):
    """One picture per outlier; rows get the number of changed pixels, None where no set of changes was found."""
    names = common.file_names(os.path.splitext(row["image"])[0] for row in rows)
    for row in rows:
        row["changes"] = 0
    for i in common.progress(outliers.tolist(), arguments, len(outliers), "image", "repairs"):
        found = model.repair(images[i])
        rows[i]["changes"] = len(found.changes) if found.succeeded else None
        rows[i]["repair"] = os.path.join(arguments.repair, f"{names[i]}.png")
        picture = pictures.repair(found.image, found.repaired, model.binarizer_.full_scale)
        pictures.save_png(picture, rows[i]["repair"])
