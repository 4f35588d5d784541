# SPDX-License-Identifier: BSD-3-Clause
"""Networks of all labels as one density of images: Bayes' rule and the mixture of the classes."""

import numpy as np

from ..fit.classifier import log_sum_exp

# What of an image its pixels' density says under every label, and what follows. All None where the networks binarize in
# different ways, as one may with thresholds "auto": their densities are then of different things.
UNKNOWN = {"bayes_accuracy": None, "mixture_nats": None, "own_class_nats": None}


def joint_figures(joint, classes, log_prior, labels):
    """How good networks of all labels are as one model of images.

    Parameters
    ----------
    joint : ndarray, (n_test, n_classes)
        log p(image, label) of the test images, nats.
    classes : list
        Labels, in the order of the columns.
    log_prior : ndarray, (n_classes,)
    labels : ndarray, (n_test,), or None
        Of the test images.

    Returns
    -------
    dict
        ``mixture_nats``: mean of -log p(image), the sum over labels of p(label) p(image | label). ``bayes_accuracy``:
        percent of test images whose label is the most probable one. ``own_class_nats``: mean over labels of
        -log p(image | label) of the label's own test images.
    """
    figures = UNKNOWN | {"mixture_nats": -float(log_sum_exp(joint).mean())}
    if labels is None:
        return figures
    figures["bayes_accuracy"] = 100 * float((np.array(classes)[joint.argmax(axis=1)] == labels).mean())
    own = [joint[labels == label, i] - log_prior[i] for i, label in enumerate(classes)]
    if all(len(log_probability) for log_probability in own):
        figures["own_class_nats"] = -float(np.mean([log_probability.mean() for log_probability in own]))
    return figures


def density_figures(results, columns, labels):
    """The same of networks that were trained one by one, p(label) being the label's share of the training images.

    Parameters
    ----------
    results : list of dict
        Of one network for each label, as --json prints them.
    columns : list of ndarray, (n_test,), or of None
        log p of every test image by the pixel layer of each network, nats.
    labels : ndarray, (n_test,), or None
    """
    if any(column is None for column in columns) or len({result["binarization"] for result in results}) > 1:
        return UNKNOWN
    n = np.array([result["n_train"] for result in results], float)
    log_prior = np.log(n / n.sum())
    joint = np.stack(columns, axis=1) + log_prior
    return joint_figures(joint, [result["digit"] for result in results], log_prior, labels)


def print_density(figures, binarization, n_test, n_layers):
    """The figures in words; ``n_layers`` is that of any of the networks."""
    if figures["mixture_nats"] is None:
        return
    of = "the pixel layers alone" if n_layers > 1 else "images"
    print(f"normalized density of {of}, {n_test:,} test images ({binarization})")
    print(f"  mixture of the labels    {figures['mixture_nats']:.2f} nats per image")
    if figures["own_class_nats"] is not None:
        print(f"  own label                {figures['own_class_nats']:.2f} nats per image, mean over the labels")
    if figures["bayes_accuracy"] is not None:
        print(f"  accuracy by Bayes' rule  {figures['bayes_accuracy']:.2f} %")
