# SPDX-License-Identifier: BSD-3-Clause
"""cbn-train --classifier: one file of networks of all labels, and how well it knows the label of an image."""

from dataclasses import replace

import numpy as np

from ..fit.classifier import fit_classifier, fit_classifier_of_bits
from ..io.provenance import COMMAND
from . import _common as common
from ._given import record_of
from ._images import images_for
from ._jobs import Bar
from ._packed import PackedSets, PackedTest
from ._train_density import UNKNOWN, joint_figures, print_density


class ClassProgress(Bar):
    """The bar of a classifier: classes, or pixels or trees of all classes where learning takes its time."""

    def __init__(self, parsed, settings, labels, shape):
        n_pixels = shape[0] * shape[1]
        per_model, unit = settings.kind.steps(settings.cpd, n_pixels) if settings.kind.reports else (1, "class")
        super().__init__(parsed, len(labels), per_model, unit)
        self.labels = labels

    def __call__(self, label, n_done, n_steps):
        """What ``fit_classifier`` reports."""
        self.finished_models = self.labels.index(label)
        self.bar.set_description(f"training label {label}", refresh=False)
        steps = self.per_model * n_done // n_steps
        self.move(steps, trained=self.finished_models * self.per_model + steps - self.bar.n)


def train_classifier(parsed, arguments, images, test, clock):
    """Fits a classifier on all labels of an ImageSet, or PackedSets, saves it, reports."""
    packed = isinstance(images, PackedSets)
    labels = sorted(images.sets) if packed else np.unique(images.labels).tolist()
    shape = images.sets[labels[0]].images.shape if packed else images.images.shape[1:]
    settings = arguments.resolve()
    with clock.part("fit"), ClassProgress(parsed, settings, labels, shape) as progress:
        if packed:
            members = {label: own.images for label, own in images.sets.items()}
            fitted = fit_classifier_of_bits(arguments, members, progress=progress)
        else:
            fitted = fit_classifier(arguments, images.images, images.labels, progress=progress)
    record = {"source": images.source, "seed": parsed.seed, COMMAND: record_of(parsed)}
    networks = tuple(
        replace(
            network,
            rule=images.binarization or network.rule,
            provenance=network.provenance | record | {"label": label},
        )
        for network, label in zip(fitted.networks, fitted.classes.tolist())
    )
    fitted = replace(fitted, networks=networks)
    fitted.save(parsed.out)
    with clock.part("score"):
        figures = evaluate(parsed, fitted, test)
    result = {
        "classes": fitted.classes.tolist(),
        "preset": settings.preset,
        "cpd": settings.kind.name,
        "n_train": len(images),
        "reading": images.report.to_dict(),
        **figures,
        "binarization": fitted.rule,
        "n_parameters": sum(network.bic_terms()[1] for network in networks),
        "seed": parsed.seed,
        "seconds": clock.seconds,
        "model": parsed.out,
    }
    common.print_json(result) if parsed.json else print_classifier(result, images)


def evaluate(parsed, fitted, test):
    """Accuracy and densities on the test images."""
    if test is None:
        return {"n_test": 0, **UNKNOWN}
    if isinstance(test, PackedTest):
        joint = fitted.joint_of_bits(test.planes[fitted.networks[0].binarization])
    else:
        joint = fitted.joint_log_probability(images_for(parsed, fitted.network(0), test))
    return {"n_test": len(test), **joint_figures(joint, fitted.classes.tolist(), fitted.log_prior, test.labels)}


def print_classifier(result, images):
    classes = result["classes"]
    print(f"trained on       {result['n_train']:,} images of {images.source}, {len(classes)} labels: "
          f"{', '.join(map(str, classes[:12]))}{', ...' if len(classes) > 12 else ''}")  # fmt: skip
    print(f"binarization     {result['binarization']}")
    print(f"parameters       {result['n_parameters']:,} in {len(classes)} networks")
    print("seconds          " + ", ".join(f"{name} {s:.3f}" for name, s in result["seconds"].items()))
    print_density(result, result["binarization"], result["n_test"], 1)
    print(f"model            {result['model']}")
