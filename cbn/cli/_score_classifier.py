# SPDX-License-Identifier: BSD-3-Clause
"""cbn-score for a classifier: the class of every image, and how often which class was taken for which."""

import numpy as np

from ..fit.classifier import log_sum_exp
from . import _common as common
from ._ranking import is_ranked
from ._row_files import has_files, print_rows, row_files, takes_stdout
from ._score_images import scored_images
from ._sheet import write_sheet
from ._worst import Ranking

# Options that ask for what networks alone have.
OF_NETWORKS = ("false_alarm_rate", "fdr", "extrapolate", "alarm_threshold", "calibration", "save_calibrated", "heatmap",
               "explain", "repair")  # fmt: skip
SHOWN = "image", "label", "class", "probability", "log_probability"
COLUMNS = "file", "label", "score", "class", "probability"  # of files; score is the log-probability
_MEANINGS = {"log_probability": common.SCORE}


def score_classifier(arguments, classifier):
    """Classes and probabilities of every image."""
    for name in OF_NETWORKS:
        if getattr(arguments, name) not in (None, False):
            raise common.UsageError(
                f"--{name.replace('_', '-')}: is for a network of one class; {arguments.model!r} is a classifier: "
                "leave it out, or train a network with cbn-train --digit LABEL"
            )
    clock, ranked = common.Clock(), is_ranked(arguments)
    classes = classifier.classes.tolist()
    shares = [f"p({name})" for name in classes]
    with clock.part("load"):
        source = scored_images(arguments, classifier.network(0), keeps=False)
    prints = not arguments.json and not ranked and not takes_stdout(arguments)
    printed = common.Table((*SHOWN, *shares), prints, has_files(arguments), _MEANINGS)
    ranking, rows, labels, predicted, log_probabilities = Ranking(arguments, source), {}, [], [], []
    keeps_all = (arguments.json or arguments.sort) and arguments.top is None
    with clock.part("score"), row_files(arguments, (*COLUMNS, *shares)) as write_row:
        for images in source.batches():
            first, joint = len(predicted), classifier.joint_log_probability(images)
            log_probability, probabilities = log_sum_exp(joint), _normalized(joint)
            ranking.add(log_probability)
            kept = {one.number for one in ranking.kept}
            rows = {i: row for i, row in rows.items() if keeps_all or i in kept}
            for i, own in enumerate(joint.argmax(axis=1).tolist(), first):
                row = _row(source.about(i), classes, own, probabilities[i - first], log_probability[i - first])
                if write_row:
                    write_row(_flat(row) | {"file": row["image"], "score": row["log_probability"]})
                printed.add(_flat(row))
                if keeps_all or i in kept:
                    rows[i] = row
                if "label" in row:
                    labels.append(row["label"])
                predicted.append(classes[own])
            log_probabilities.append(log_probability)
    printed.end()
    source.move_seconds(clock)
    log_probability = np.concatenate(log_probabilities)
    summary = {
        "n": len(predicted),
        "classes": classes,
        "direction": common.SCORE,
        "mean_log_probability": float(log_probability.mean()),
        "accuracy": None,
        "confusion": None,
        "binarization": classifier.rule,
        "sheet": arguments.sheet,
    }
    if labels:
        summary |= judged(labels, predicted, classes)
    if arguments.sheet is not None:
        with clock.part("sheet"):
            own = [rows[i] for i in ranking.numbers()]
            write_sheet(arguments, ranking, own, "images", f"log p: {common.SCORE}")
    listed = [rows[i] for i in ranking.places(log_probability)] if ranked else rows.values()
    if arguments.json:
        summary["reading"] = source.report.to_dict()
        common.print_json({**summary, "images": [*listed], "seconds": clock.seconds, "model": arguments.model})
        return
    if takes_stdout(arguments):
        if ranked:
            more = ({"file": row["image"], "score": row["log_probability"]} for row in listed)
            print_rows(arguments, (*COLUMNS, *shares), (_flat(row) | own for row, own in zip(listed, more)))
        return
    if ranked:
        printed = common.Table((*SHOWN, *shares), meanings=_MEANINGS)
        for row in listed:
            printed.add(_flat(row))
    if summary["confusion"] is not None:
        print_confusion(summary)
    said = f"{summary['n']:,} images, {-summary['mean_log_probability']:.2f} nats each ({summary['binarization']})"
    common.say(arguments, said)


def _normalized(joint):
    """Probabilities of the classes (n, classes)."""
    shifted = np.exp(joint - joint.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def _row(about, classes, own, probabilities, log_probability):
    """What is known of an image, whose class has the number ``own``."""
    name, label = about
    row = {
        "image": name,
        "class": classes[own],
        "probability": float(probabilities[own]),
        "log_probability": float(log_probability),
        "probabilities": dict(zip(map(str, classes), probabilities.tolist())),
    }
    return row if label is None else row | {"label": label}


def _flat(row):
    """The row with the probability of class C in a column p(C)."""
    return row | {f"p({name})": value for name, value in row["probabilities"].items()}


def judged(labels, predicted, classes):
    """Accuracy in percent, and the confusion matrix: label -> class -> number of images."""
    labels, predicted, classes = (list(map(str, names)) for names in (labels, predicted, classes))
    present, others = set(labels), sorted(set(labels) - set(classes))
    confusion = {label: dict.fromkeys(classes, 0) for label in (*classes, *others) if label in present}
    for label, found in zip(labels, predicted):
        confusion[label][found] += 1
    right = sum(label == found for label, found in zip(labels, predicted))
    return {"accuracy": 100 * right / len(labels), "confusion": confusion}


def print_confusion(summary):
    """After an empty line: the accuracy, and a line of numbers of images for every label."""
    print(f"\naccuracy {summary['accuracy']:.2f} % of {summary['n']:,} images")
    rows = [{"label": label, **row} for label, row in summary["confusion"].items()]
    common.print_table(["label", *map(str, summary["classes"])], rows)
