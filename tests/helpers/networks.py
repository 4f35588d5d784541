# SPDX-License-Identifier: BSD-3-Clause
"""A shorthand of the tests: the fields of all parameter objects as flat arguments.

``Network("tree", penalty=2.0, iterations=0)`` is the estimator ``cbn.ConvolutionalBayesianNetwork`` with
``cpd=cbn.Tree(...)`` and ``features=cbn.Features(...)`` as the preset has them, but for the fields named. It goes the way
of the arguments in model files of versions 1 to 3, see ``cbn.fit.flat``: ``hidden`` are the layers of the features,
``boosting`` a dict of fields of ``cbn.Boosted``, and None leaves a field to the preset. Users have no such thing; tests
of the constructor itself use the real objects.
"""

from dataclasses import replace

import cbn
from cbn.fit.flat import classifier_from_flat, from_flat

Boosting = dict


def Network(preset="pixel", **flat):
    """A cbn.ConvolutionalBayesianNetwork of flat arguments; ``cpd`` may be an object."""
    cpd = {"cpd": flat.pop("cpd")} if not isinstance(flat.get("cpd"), str | None) else {}
    arguments = replace(from_flat({"preset": preset, **flat}), **cpd)
    return cbn.ConvolutionalBayesianNetwork.of_arguments(arguments)


def Classifier(preset="pixel", **flat):
    """A cbn.ConvolutionalBayesianNetworkClassifier of flat arguments."""
    return cbn.ConvolutionalBayesianNetworkClassifier(**vars(classifier_from_flat({"preset": preset, **flat})))
