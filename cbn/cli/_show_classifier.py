# SPDX-License-Identifier: BSD-3-Clause
"""cbn-show for a classifier: its classes, and a picture of each."""

import numpy as np

from ..plots import figures
from . import _common as common
from ._show_command import print_command, told_of_command

# Classes in the picture, and lines of the text.
MOST_DRAWN = 40


def show_classes(arguments, classifier):
    """Facts of all classes, and the share of ones of each."""
    facts = describe(classifier) | {"model": arguments.model, "picture": arguments.out}
    facts |= told_of_command(arguments, classifier.networks[0])
    figures.model_summary_figure(panels(classifier), arguments.out)
    common.print_json(facts) if arguments.json else print_classifier(facts)


def describe(classifier):
    """The facts of a fitted classifier: a dict that JSON can hold."""
    first = classifier.networks[0]
    rows = []
    for network, label, log_prior in zip(
        classifier.networks, classifier.classes.tolist(), classifier.log_prior.tolist()
    ):
        log_likelihood, n_parameters, bic = network.bic_terms()
        rows.append(
            {"class": label, "prior": float(np.exp(log_prior)), "n_images": network.n_images,
             "n_parameters": n_parameters, "log_likelihood": log_likelihood, "bic": bic,
             "provenance": network.provenance}
        )  # fmt: skip
    return {
        "kind": "classifier",
        "preset": first.settings.preset,
        "cpd": first.network.pixels.name,
        "image_shape": list(classifier.image_shape),
        "binarization": classifier.rule,
        "n_images": sum(row["n_images"] for row in rows),
        "n_parameters": sum(row["n_parameters"] for row in rows),
        "classes": rows,
    }


def panels(classifier):
    """The share of ones of every class; of several thresholds the mean over them."""
    drawn = []
    for network, label in list(zip(classifier.networks, classifier.classes.tolist()))[:MOST_DRAWN]:
        ones, _ = network.node_statistics()
        drawn.append((f"class {label}: share of ones", ones.mean(axis=0), "probability", 0.0, 1.0))
    return drawn


def print_classifier(facts):
    height, width = facts["image_shape"]
    rows = facts["classes"]
    source = rows[0]["provenance"].get("source", "source not recorded")
    print(f"model            {facts['model']}, a classifier, preset {facts['preset']}, {height} x {width} pixels")
    print(f"classes          {len(rows)}, a network of {facts['cpd']} CPDs for each")
    print(f"binarization     {facts['binarization']}")
    print(f"trained on       {facts['n_images']:,} images ({source})")
    print(f"parameters       {facts['n_parameters']:,}")
    print(f"{'class':16} {'images':>9} {'prior':>8} {'parameters':>11} {'nats per image':>15}")
    for row in rows:
        nats = -row["log_likelihood"] / row["n_images"]
        label = common.cell(row["class"])
        print(f"{label:16} {row['n_images']:9,} {row['prior']:8.2%} {row['n_parameters']:11,} {nats:15.2f}")
    print("                 nats: -log p of the training images at maximum likelihood")
    print_command(facts, rows[0]["provenance"])
    print(f"picture          {facts['picture']}")
