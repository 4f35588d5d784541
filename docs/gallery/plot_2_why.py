# SPDX-License-Identifier: BSD-3-Clause
"""
Why is it an outlier?
=====================

The surprise of an image is a sum over its pixels, so it can be drawn. All maps have one scale, in nats.
"""

import matplotlib.pyplot as plt
import numpy as np

import cbn

train, test = cbn.datasets.load_mnist()
model = cbn.ConvolutionalBayesianNetwork("tree").fit(train.select(2).images)


def oddest(label, n=50):
    """Of the first test images of a digit the one with the lowest score."""
    images = test.select(label).images[:n]
    return images[model.judged_scores(images).argmin()]


images = np.array([test.select(2).images[0], oddest(4), oddest(8)])

fig, axes = plt.subplots(2, 3, figsize=(7, 4.8), layout="constrained")
maps = model.surprise_map(images)
p_values = model.p_values(images)
for column, (image, drawn, p) in enumerate(zip(images, maps, p_values)):
    axes[0, column].imshow(image, cmap="gray_r")
    axes[0, column].set_title(f"p = {p:.5f}")
    shown = axes[1, column].imshow(drawn, cmap="cividis", vmin=0, vmax=model.heat_map_scale())
for axis in axes.flat:
    axis.axis("off")
fig.colorbar(shown, ax=axes[1], label="surprise, nats")

# %%
# The same in words, with what training saw:

for fact in model.explain(images[1], n=3):
    print(fact)

# %%
# And a small change after which the four raises no alarm:

repaired = model.repair(images[1])
fig, axes = plt.subplots(1, 2, figsize=(4.6, 2.4), layout="constrained")
for axis, image, title in zip(
    axes, (repaired.image, repaired.repaired), ("as it is", "repaired")
):
    axis.imshow(image, cmap="gray_r")
    axis.set_title(title)
    axis.axis("off")
print(f"{len(repaired.changes)} pixels changed")
