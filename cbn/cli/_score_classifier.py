# SPDX-License-Identifier: BSD-3-Clause
"""cbn-score for a classifier: the class of every image, and how often which class was taken for which."""

import numpy as np

from ..fit.classifier import log_sum_exp
from . import _common as common
from ._score_images import scored_images

# Options that ask for what networks alone have.
OF_NETWORKS = ("false_alarm_rate", "fdr", "extrapolate", "csv", "heatmap", "explain", "repair")


def score_classifier(arguments, classifier):
    """Classes and probabilities of every image."""
    for name in OF_NETWORKS:
        if getattr(arguments, name) not in (None, False):
            raise common.UsageError(
                f"--{name.replace('_', '-')}: is for a network of one class; {arguments.model!r} is a classifier: "
                "leave it out, or train a network with cbn-train --digit LABEL"
            )
    clock = common.Clock()
    with clock.part("load"):
        source = scored_images(arguments, classifier.network(0), keeps=True)
    with clock.part("score"):
        joint = np.concatenate(list(map(classifier.joint_log_probability, source.batches())))
        log_probability = log_sum_exp(joint)
        shifted = np.exp(joint - joint.max(axis=1, keepdims=True))
        probabilities = shifted / shifted.sum(axis=1, keepdims=True)
        predicted = joint.argmax(axis=1)
    source.move_seconds(clock)
    classes = classifier.classes.tolist()
    about = [source.about(i) for i in range(len(joint))]
    labels = None if about[0][1] is None else [label for _, label in about]
    rows = [
        {"image": about[i][0], "class": classes[own], "probability": float(probabilities[i, own]),
         "log_probability": float(log_probability[i]),
         "probabilities": dict(zip(map(str, classes), probabilities[i].tolist()))}
        for i, own in enumerate(predicted)
    ]  # fmt: skip
    summary = {
        "n": len(rows),
        "classes": classes,
        "mean_log_probability": float(log_probability.mean()),
        "accuracy": None,
        "confusion": None,
        "binarization": classifier.rule,
    }
    if labels is not None:
        for row, label in zip(rows, labels):
            row["label"] = label
        summary |= judged(labels, [classes[own] for own in predicted], classes)
    if arguments.json:
        summary["reading"] = source.report.to_dict()
        common.print_json({**summary, "images": rows, "seconds": clock.seconds, "model": arguments.model})
        return
    print_rows(rows, classes)
    if summary["confusion"] is not None:
        print_confusion(summary)
    said = f"{summary['n']:,} images, {-summary['mean_log_probability']:.2f} nats each ({summary['binarization']})"
    common.say(arguments, said)


def judged(labels, predicted, classes):
    """Accuracy in percent, and the confusion matrix: label -> class -> number of images."""
    labels, predicted, classes = (list(map(str, names)) for names in (labels, predicted, classes))
    present, others = set(labels), sorted(set(labels) - set(classes))
    confusion = {label: dict.fromkeys(classes, 0) for label in (*classes, *others) if label in present}
    for label, found in zip(labels, predicted):
        confusion[label][found] += 1
    right = sum(label == found for label, found in zip(labels, predicted))
    return {"accuracy": 100 * right / len(labels), "confusion": confusion}


def print_rows(rows, classes):
    """A line for every image; the probability of class C is in the column p(C)."""
    columns = [name for name in ("image", "label", "class", "probability", "log_probability") if name in rows[0]]
    shares = {f"p({name})": str(name) for name in classes}
    table = ({**row, **{column: row["probabilities"][key] for column, key in shares.items()}} for row in rows)
    common.print_table([*columns, *shares], table)


def print_confusion(summary):
    """After an empty line: the accuracy, and a line of numbers of images for every label."""
    print(f"\naccuracy {summary['accuracy']:.2f} % of {summary['n']:,} images")
    rows = [{"label": label, **row} for label, row in summary["confusion"].items()]
    common.print_table(["label", *map(str, summary["classes"])], rows)
