# SPDX-License-Identifier: BSD-3-Clause
"""
Does the false-alarm rate hold?
===============================

A rate is a promise about images that are yet to come. Here it is asked of all ten digits, and looked at on their test
images: shares of false alarms against the rates that were asked for, by p-values from the training images themselves
and from images set aside.
"""

import matplotlib.pyplot as plt
import numpy as np

import cbn

train, test = cbn.datasets.load_mnist()
rates = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.3])
found = {"training images": [], "500 images set aside": []}
for digit in range(10):
    images, normal = train.select(digit).images, test.select(digit).images
    whole = cbn.ConvolutionalBayesianNetwork("pixel").fit(images)
    split = (
        cbn.ConvolutionalBayesianNetwork("pixel").fit(images[:-500]).calibrate(images[-500:])
    )
    for name, model in zip(found, (whole, split)):
        found[name].append((model.p_values(normal)[:, None] <= rates).mean(axis=0))

fig, axis = plt.subplots(figsize=(5, 4), layout="constrained")
axis.plot(rates, rates, color="gray", label="as asked")
for (name, shares), marker in zip(found.items(), "os"):
    axis.errorbar(
        rates,
        np.mean(shares, axis=0),
        np.std(shares, axis=0),
        marker=marker,
        capsize=3,
        label=name,
    )
axis.set(xlabel="rate asked for", ylabel="false alarms found, mean and deviation over digits")
axis.legend()
