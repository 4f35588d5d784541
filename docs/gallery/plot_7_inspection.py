# SPDX-License-Identifier: BSD-3-Clause
"""
Defects on a surface
====================

A made woven material, learned from 60 good pictures. No defect is seen before the test.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import roc_auc_score

import cbn

made = cbn.datasets.make_category("texture", n_good=60, size=128, random_state=0)
model = cbn.IntrospectiveEnergyModel(false_alarm_rate=0.05).fit(made.train)
verdicts = model.verdicts(made.test)
defective = np.array(made.defects) != "good"
print(f"image AUROC {roc_auc_score(~defective, model.score_samples(made.test)):.3f}")
alarms = verdicts.verdicts == "outlier"
good, bad = alarms[~defective], alarms[defective]
print(
    f"alarms: {good.sum()} of {len(good)} good pictures, {bad.sum()} of {len(bad)} defective ones"
)

# %%
# A good picture and one of each kind of defect. The energy is about 1 where all is as usual; all maps have one scale.

kinds = sorted(set(made.defects), key=lambda kind: (kind != "good", kind))
shown = [list(made.defects).index(kind) for kind in kinds]
maps = model.energy_map(made.test[shown])
fig, axes = plt.subplots(2, len(kinds), figsize=(2 * len(kinds), 4.2), layout="constrained")
for (upper, lower), index, drawn in zip(axes.T, shown, maps):
    upper.imshow(made.test[index], cmap="gray")
    upper.set_title(f"{made.defects[index]}\n{verdicts.verdicts[index]}")
    image = lower.imshow(drawn, cmap="cividis", vmin=0, vmax=maps.max())
for axis in axes.flat:
    axis.axis("off")
fig.colorbar(image, ax=axes[1], label="energy")
