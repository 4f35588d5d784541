# SPDX-License-Identifier: BSD-3-Clause
"""
Normal or not: scores and a threshold
=====================================

A network of the handwritten twos scores all test images. The threshold comes from twos alone: no other digit has a
part in it.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

import cbn

train, test = cbn.datasets.load_mnist()
twos = train.select(2).images
is_two = test.labels == 2

# %%
# Two networks, of tables over four neighbours and of trees that look up to six pixels away. They keep 500 twos to set
# the threshold.

models = {
    preset: cbn.ConvolutionalBayesianNetwork(preset, false_alarm_rate=0.05)
    for preset in ("pixel", "tree")
}
for model in models.values():
    model.fit(twos[:-500]).calibrate(twos[-500:])

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
scores = models["tree"].judged_scores(test.images)
bins = np.linspace(*np.quantile(scores, [0.001, 0.999]), 60)
left.hist(scores[is_two], bins, density=True, alpha=0.7, label="twos")
left.hist(scores[~is_two], bins, density=True, alpha=0.7, label="other digits")
left.axvline(
    models["tree"].offset_, color="black", linestyle="--", label="threshold, 5 % asked"
)
left.set(xlabel="score (higher is more normal)", ylabel="density", title="Trees")
left.legend()
for preset, model in models.items():
    found = model.judged_scores(test.images)
    false, true, _ = roc_curve(is_two, found)
    right.plot(
        1 - true, 1 - false, label=f"{preset}: AUROC {roc_auc_score(is_two, found):.3f}"
    )
right.set(
    xlabel="share of twos called outliers",
    ylabel="share of others called outliers",
    title="All thresholds",
)
right.legend(loc="lower right")

# %%
# What the threshold did on images that neither network has seen:

for preset, model in models.items():
    alarms = model.predict(test.images) == -1
    print(
        f"{preset}: false alarms {alarms[is_two].mean():.3f}, found {alarms[~is_two].mean():.3f}"
    )
