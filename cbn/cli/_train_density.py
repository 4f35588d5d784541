# SPDX-License-Identifier: BSD-3-Clause
"""Models of all labels as one density of images: Bayes' rule and the mixture of the classes."""

import numpy as np
from scipy.special import logsumexp

# What of an image its pixels' density says under every label, and what follows. All None where the models binarize in
# different ways, as one may with thresholds "auto": their densities are then of different things.
UNKNOWN = {"bayes_accuracy": None, "mixture_nats": None, "own_class_nats": None}


def density_figures(results, columns, labels):
    """How good the pixel layers of all models are as one model of images.

    Parameters
    ----------
    results : list of dict
        Of one model for each label, as --json prints them.
    columns : list of ndarray, (n_test,), or of None
        log p of every test image by the pixel layer of each model, nats.
    labels : ndarray, (n_test,), or None
        Of the test images.

    Returns
    -------
    dict
        ``mixture_nats``: mean of -log p(image), the sum over labels of p(label) p(image | label), p(label) the label's
        share of the training images. ``bayes_accuracy``: percent of test images whose label is the most probable one.
        ``own_class_nats``: mean over labels of -log p(image | label) of the label's own test images.
    """
    if any(column is None for column in columns) or len({result["binarization"] for result in results}) > 1:
        return UNKNOWN
    n = np.array([result["n_train"] for result in results], float)
    joint = np.stack(columns, axis=1) + np.log(n / n.sum())
    figures = UNKNOWN | {"mixture_nats": -float(logsumexp(joint, axis=1).mean())}
    if labels is not None:
        found = np.array([result["digit"] for result in results])[joint.argmax(axis=1)]
        figures["bayes_accuracy"] = 100 * float((found == labels).mean())
        own = [result["log_probability_test"] for result in results]
        if None not in own:
            figures["own_class_nats"] = -float(np.mean(own))
    return figures


def print_density(figures, result):
    """The figures in words; ``result`` is that of any of the models."""
    if figures["mixture_nats"] is None:
        return
    of = "the pixel layers alone" if result["n_layers"] > 1 else "images"
    print(f"normalized density of {of}, {result['n_test']:,} test images ({result['binarization']})")
    print(f"  mixture of the labels    {figures['mixture_nats']:.2f} nats per image")
    if figures["own_class_nats"] is not None:
        print(f"  own label                {figures['own_class_nats']:.2f} nats per image, mean over the labels")
    if figures["bayes_accuracy"] is not None:
        print(f"  accuracy by Bayes' rule  {figures['bayes_accuracy']:.2f} %")
