# SPDX-License-Identifier: BSD-3-Clause
"""
What belongs in the hole?
=========================

The posterior of missing pixels: samples, their mean, and how sure it is.
"""

import matplotlib.pyplot as plt
import numpy as np

import cbn

train, test = cbn.datasets.load_mnist()
model = cbn.ConvolutionalBayesianNetwork("tree").fit(train.select(2).images)
mask = np.zeros((28, 28), bool)
mask[14:] = True

fig, axes = plt.subplots(3, 7, figsize=(9, 4.2), layout="constrained")
for row, image in zip(axes, test.select(2).images[5:8]):
    filled = model.inpaint(image, mask, n=16, random_state=0)
    known = np.ma.array(image, mask=mask)
    for axis, picture in zip(row, (image, known, filled.mean, *filled.samples[:4])):
        axis.imshow(picture, cmap="gray_r", vmin=0, vmax=1)
for axis, title in zip(axes[0], ("image", "known", "mean", "samples")):
    axis.set_title(title)
for axis in axes.flat:
    axis.axis("off")
