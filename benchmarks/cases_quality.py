# SPDX-License-Identifier: BSD-3-Clause
"""One-class outlier detection on MNIST: the figures that the speed must not cost."""

import time

import numpy as np
from sklearn.metrics import roc_auc_score

from cbn import _engine
from engines import Twin, estimator
from measure import goal, summary

SCORES = ("log_probability", "surprise", "standardized", "normalized")
# mean AUROC over the ten digits that a score must reach, and how near
WANTED = {"log_probability": (86.66, 0.05), "surprise": (88.28, 0.1)}


def _twin_difference(model, images, test):
    """Largest difference of a log-probability or surprise from the twin's, in nats."""
    twin = Twin().fit(images)
    kinds = {"log_probability": (_engine.LOG_PROBABILITY, 1), "surprise": (_engine.SURPRISE, -1)}
    return {
        score: float(np.abs(sign * twin.score(test, twin.values(kind)) - model.score_samples(test, score=score)).max())
        for score, (kind, sign) in kinds.items()
    }


def quality(context):
    digits = range(3) if context.quick else range(10)
    test, labels = context.test, context.test_labels
    auroc = {score: [] for score in SCORES}
    nats, differences, seconds = [], [], {score: [] for score in SCORES}
    for digit in digits:
        images = context.digit(digit)
        for score in SCORES:
            begin = time.perf_counter()
            model = estimator(context.threads, score=score).fit(images)
            scores = model.score_samples(test)
            seconds[score].append(time.perf_counter() - begin)
            auroc[score].append(100 * float(roc_auc_score(labels == digit, scores)))
            if score == "log_probability":
                nats.append(float(-scores[labels == digit].mean()))
        differences.append(_twin_difference(model, images, test))
    table = []
    for score in SCORES:
        hardest = int(np.argmin(auroc[score]))
        accuracy = {
            "mean AUROC": float(np.mean(auroc[score])),
            "hardest digit": digits[hardest],
            "its AUROC": auroc[score][hardest],
        }
        if score in differences[0]:
            accuracy["max difference from the twin, nats"] = max(d[score] for d in differences)
        table.append({"engine": f"cbn, {score}", **summary(seconds[score]), "ratio": None, "accuracy": accuracy})
    worst = max(d["log_probability"] for d in differences)
    goals = [goal("log-probabilities within 1e-9 nats of the twin", f"{worst:.1e} nats", worst <= 1e-9)]
    if not context.quick:
        for score, (wanted, margin) in WANTED.items():
            found = np.mean(auroc[score])
            near = abs(found - wanted) <= margin
            goals.append(goal(f"mean AUROC by {score} {wanted} +- {margin}", f"{found:.3f}", near))
    return {
        "title": f"Quality: one-class detection, {len(digits)} digits, 10,000 test images",
        "about": "A network of one digit's training images scores all test images; the AUROC (x 100) is that of the "
        "digit against the others. Seconds are those of one fit and one scoring. The twin's comparison covers every "
        f"test image and digit. Mean -log p of a test image of the network's own digit: {np.mean(nats):.2f} nats.",
        "rows": table,
        "details": {"AUROC by digit": auroc, "own-class nats by digit": nats, "digits": list(digits)},
        "goals": goals,
    }
