# SPDX-License-Identifier: BSD-3-Clause
"""
Features that a network learned
===============================

Hidden layers are convolutions whose features are to predict each other (thesis section 3.2). Ten iterations of search
and kernel step are enough to see something; the preset takes fifty.
"""

import matplotlib.pyplot as plt

import cbn

train, test = cbn.datasets.load_mnist()
features = cbn.Features(layers=[(5, 3, 2)], iterations=10)
model = cbn.ConvolutionalBayesianNetwork("hidden", features=features, random_state=0).fit(
    train.select(2).images
)
layer = model.hidden_layers_[0]

fig, axes = plt.subplots(2, 5, figsize=(9, 3.8), layout="constrained")
states = model.hidden_states(test.select(2).images[:1])[0][0]
for kernel, (upper, lower) in enumerate(axes.T):
    weights = layer.kernels.weights[kernel, 0]
    limit = abs(weights).max()
    upper.imshow(weights, cmap="PuOr", vmin=-limit, vmax=limit)
    upper.set_title(f"kernel {kernel}")
    lower.imshow(states[kernel], cmap="gray_r", vmin=0, vmax=1)
for axis in axes.flat:
    axis.axis("off")

# %%
# Below each kernel, where it fires in one two. The learning curve is the gain of the relations, in nats an image:

fig, axis = plt.subplots(figsize=(5, 3), layout="constrained")
axis.plot([point.gain for point in layer.curve], marker="o")
axis.set(xlabel="iteration", ylabel="gain, nats an image")

# %%
# The relations that the search found first, with what they change in the BIC (less is better):

for step in layer.steps[:5]:
    print(f"{step.relation}: {step.bic_change:,.0f}")
