# SPDX-License-Identifier: BSD-3-Clause
"""Densities of digits by the presets and by peers: nats of unseen images, Bayes' rule, and what it costs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from arrays import Facts, Images, Labels, Reals
from context import Context
from engines import estimator
from measure import goal, summary
from peers_density import BernoulliMixture, ChowLiu
from scipy.special import logsumexp

PRESETS = ("tree", "boosted", "tied", "pixel")
PAIR = (2, 8)  # the digits of a quick run
SAMPLES = 64
CALLS = 5  # draws of SAMPLES images; their median counts


@dataclass
class Density:
    """One row: a model of every digit, and what it gave.

    Parameters
    ----------
    make : callable
        A new model with ``fit``, ``score_samples`` (nats) and ``sample``.
    """

    make: Callable[[], Any]
    fitting: list[float] = field(default_factory=list)
    scoring: list[float] = field(default_factory=list)
    sampling: list[float] = field(default_factory=list)
    columns: list[Reals] = field(default_factory=list)

    def run(self, images: Images, test: Images) -> None:
        """Fit the images of a digit, score the test images of all, draw; note the times."""
        model = self.make()
        begin = time.perf_counter()
        model.fit(images)
        fitted = time.perf_counter()
        self.columns.append(model.score_samples(test))
        self.fitting.append(fitted - begin)
        self.scoring.append(time.perf_counter() - fitted)
        for _ in range(CALLS):
            begin = time.perf_counter()
            model.sample(SAMPLES)
            self.sampling.append(time.perf_counter() - begin)

    def figures(self, digits: Sequence[int], sizes: Sequence[int], labels: Labels) -> dict[str, float]:
        """Nats of own digits and of the mixture of all in proportion to sizes; percent right by Bayes' rule."""
        columns = np.stack(self.columns, axis=1).astype(np.float64)
        joint = columns + np.log(np.array(sizes) / sum(sizes))
        right = np.array(digits)[joint.argmax(axis=1)] == labels
        return {
            "nats, own digit": float(np.mean([-own[labels == digit].mean() for digit, own in zip(digits, columns.T)])),
            f"nats, mixture of {len(digits)} digits": float(-logsumexp(joint, axis=1).mean()),
            "Bayes accuracy, %": float(100 * right.mean()),
        }


def density(context: Context) -> Facts:
    digits = PAIR if context.quick else tuple(range(10))
    densities = {
        f"cbn, {preset}": Density(
            lambda preset=preset: estimator(context.threads, preset=preset, outlier_score="log_probability")
        )
        for preset in PRESETS
    }
    densities |= {peer.name: Density(peer) for peer in (ChowLiu, BernoulliMixture)}
    chosen = np.isin(context.test_labels, digits)
    test, labels = np.ascontiguousarray(context.test[chosen]), context.test_labels[chosen]
    sizes = []
    for digit in digits:
        images = context.digit(digit)
        sizes.append(len(images))
        for own in densities.values():
            own.run(images, test)
    figures = {name: own.figures(digits, sizes, labels) for name, own in densities.items()}
    table = []
    for name, own in densities.items():
        accuracy = figures[name] | {
            f"scoring {len(test):,} images, s": float(np.median(own.scoring)),
            f"drawing {SAMPLES} images, ms": 1e3 * float(np.median(own.sampling)),
        }
        table.append({"engine": name, **summary(own.fitting), "ratio": None, "accuracy": accuracy})
    return {
        "title": f"Density: {len(digits)} digits, {len(test):,} test images",
        "about": "A model of each digit's training images gives the log-probability of binary images (value > 0.3 x "
        "255) and draws such images. Nats are -log p of test images, lower is better: by the model of their "
        "own digit, the mean over digits, and by the mixture of all models in proportion to their training "
        "images. By Bayes' rule an image is of the digit with the largest share of that mixture. The times in "
        "the table are those of one fit, a round for each digit; the presets' include the calibration of the "
        "threshold, that is, three folds for `tree`, two for `boosted` and `tied`. The peers are those of "
        "`peers_density.py`, in NumPy, and use the threads of its BLAS.",
        "rows": table,
        "details": {
            "nats of own digit": {
                name: [float(-column[labels == digit].mean()) for digit, column in zip(digits, own.columns)]
                for name, own in densities.items()
            },
            "digits": list(digits),
        },
        "goals": _goals(densities, figures, context.quick, len(digits)),
    }


def _goals(
    densities: dict[str, Density], figures: dict[str, dict[str, float]], quick: bool, n_digits: int
) -> list[Facts]:
    own, mixture, right = "nats, own digit", f"nats, mixture of {n_digits} digits", "Bayes accuracy, %"
    tree, boosted, tied = (figures[f"cbn, {name}"] for name in ("tree", "boosted", "tied"))
    peer = min((ChowLiu.name, BernoulliMixture.name), key=lambda name: figures[name][own])
    drawing = 1e3 * np.median(densities["cbn, tree"].sampling)
    goals = [
        goal(
            "preset `tree`: fewer nats than every peer", f"{tree[own]:.2f} against {figures[peer][own]:.2f} of {peer}",
            tree[own] < figures[peer][own],
        ),
        goal(f"preset `tree`: {SAMPLES} exact samples in 20 ms", f"{drawing:.1f} ms", drawing <= 20),
    ]  # fmt: skip
    if quick:
        return goals
    fitting = np.median(densities["cbn, tree"].fitting)
    for seconds, stretch in ((0.15, False), (0.05, True)):
        goals.append(
            goal(
                f"preset `tree`: one fit, calibration included, in {seconds} s", f"{fitting:.3f} s",
                fitting <= seconds, stretch=stretch,
            )
        )  # fmt: skip
    for name, found, most, stretch in (("tree", tree, 64.0, False), ("boosted", boosted, 58.0, True)):
        text = f"preset `{name}`: at most {most:g} nats, own digit"
        goals.append(goal(text, f"{found[own]:.2f}", found[own] <= most, stretch=stretch))
    for most_own, most, stretch in ((55.0, 56.5, False), (53.5, 55.0, True)):
        goals += [
            goal(f"preset `tied`: at most {most_own:g} nats, own digit", f"{tied[own]:.2f}", tied[own] <= most_own,
                 stretch=stretch),
            goal(f"preset `tied`: at most {most:g} nats, mixture", f"{tied[mixture]:.2f}", tied[mixture] <= most,
                 stretch=stretch),
        ]  # fmt: skip
    for least, stretch in ((98.5, False), (99.0, True)):
        goals.append(
            goal(f"preset `tied`: at least {least:g} % right by Bayes' rule", f"{tied[right]:.2f} %", tied[right] >= least,
                 stretch=stretch)
        )  # fmt: skip
    for most, least, stretch in ((66.5, 97.0, False), (62.0, 98.5, True)):
        goals += [
            goal(
                f"preset `boosted`: at most {most:g} nats, mixture", f"{boosted[mixture]:.2f}",
                boosted[mixture] <= most, stretch=stretch,
            ),
            goal(
                f"and at least {least:g} % right by Bayes' rule", f"{boosted[right]:.2f} %", boosted[right] >= least,
                stretch=stretch,
            ),
        ]  # fmt: skip
    return goals
