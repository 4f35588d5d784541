# SPDX-License-Identifier: BSD-3-Clause
"""
Which class, or none of them?
=============================

One network for each class gives Bayes' rule. Its shares always sum to 1, even for an image of no class; the density
of the mixture says that it is one.
"""

import matplotlib.pyplot as plt
import numpy as np

import cbn

train, test = cbn.datasets.load_mnist()
known = np.isin(train.labels, (0, 1, 2, 3, 4))
classifier = cbn.ConvolutionalBayesianNetworkClassifier("tree").fit(
    train.images[known], train.labels[known]
)

is_known = np.isin(test.labels, (0, 1, 2, 3, 4))
right = classifier.predict(test.images[is_known]) == test.labels[is_known]
largest = classifier.predict_proba(test.images).max(axis=1)
density = classifier.log_probability(test.images)
print(f"right among the digits 0 to 4: {right.mean():.4f}")
print(f"largest share above 0.99, digits 5 to 9: {(largest[~is_known] > 0.99).mean():.2f}")

fig, (left, right_axis) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for axis, values, label in (
    (left, largest, "largest share of a class"),
    (right_axis, density, "log p of the mixture, nats"),
):
    bins = np.linspace(*np.quantile(values, [0.002, 1]), 40)
    axis.hist(values[is_known], bins, density=True, alpha=0.7, label="0 to 4, learned")
    axis.hist(values[~is_known], bins, density=True, alpha=0.7, label="5 to 9, never seen")
    axis.set(xlabel=label, ylabel="density")
    axis.legend()
