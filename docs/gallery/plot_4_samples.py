# SPDX-License-Identifier: BSD-3-Clause
"""
What would it draw?
===================

Samples show what a network knows. Tables over four neighbours know strokes; trees that look further know more of the
digit.
"""

import matplotlib.pyplot as plt
import numpy as np

import cbn

train, test = cbn.datasets.load_mnist()
twos, new = train.select(2).images, test.select(2).images

fig, axes = plt.subplots(1, 3, figsize=(9, 3.3), layout="constrained")


def mosaic(images, side=6):
    rows = images[: side * side].reshape(side, side, 28, 28)
    return rows.transpose(0, 2, 1, 3).reshape(side * 28, side * 28)


for axis, preset in zip(axes, ("pixel", "tree")):
    model = cbn.ConvolutionalBayesianNetwork(preset).fit(twos)
    axis.imshow(mosaic(model.sample(36, random_state=0)), cmap="gray_r")
    nats = -model.score(new)
    axis.set_title(f"{preset}\n{nats:.1f} nats, {nats / np.log(2) / 784:.3f} bits a pixel")
axes[2].imshow(mosaic(new), cmap="gray_r")
axes[2].set_title("test images\n ")
for axis in axes:
    axis.axis("off")
