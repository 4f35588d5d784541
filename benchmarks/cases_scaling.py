# SPDX-License-Identifier: BSD-3-Clause
"""Time against the number of images, threads and kernels."""

from collections.abc import Callable
from typing import Any

from arrays import Facts
from cases_hidden import Step
from context import DIGIT, SEED, Context
from engines import SIDE, estimator
from measure import Engine, exponent, goal, interleave, pair_ratio, summary

from cbn.bits.binarization import Binarization
from cbn.bits.planes import BitPlanes
from cbn.layers.geometry import HiddenLayer, geometry
from cbn.layers.kernels import ActivationMeter, Draws, initial_kernels
from cbn.layers.training import HiddenTraining, TrainingOptions

SIZES = 6_000, 24_000, 60_000  # x1, x4, x10


def scaling(context: Context) -> Facts:
    threads = sorted({1, context.threads})
    parts = {n: context.train[:n] for n in SIZES}
    fitted = {t: estimator(t).fit(parts[SIZES[0]]) for t in threads}

    def call(step: str, n: int, t: int) -> Callable[[], Any]:
        if step == "fit":
            return lambda: estimator(t).fit(parts[n])
        return lambda: fitted[t].score_samples(parts[n])

    keys = [(step, t, n) for step in ("fit", "score") for t in threads for n in SIZES]
    seconds = interleave([Engine(key, call(key[0], key[2], key[1])) for key in keys], max(3, context.rounds // 2))
    table = []
    for step, t, n in keys:
        own = seconds[step, t, n]
        accuracy = {"images": n, "microseconds per image": 1e6 * summary(own)["median"] / n}
        if t > 1:
            accuracy["speed-up over 1 thread"] = pair_ratio(seconds[step, 1, n], own)
        row = {"engine": f"{step}, {t} thread{'s' * (t > 1)}", **summary(own), "accuracy": accuracy}
        table.append({**row, "ratio": pair_ratio(own, seconds[step, t, SIZES[0]])})
    exponents = {
        f"{step}, {t} thread{'s' * (t > 1)}": exponent(SIZES, [summary(seconds[step, t, n])["median"] for n in SIZES])
        for step in ("fit", "score")
        for t in threads
    }
    words = "; ".join(f"{name}: {value:.2f}" for name, value in exponents.items())
    return {
        "title": "Scaling: images and threads",
        "about": "Training images of all digits, the first 6,000, 24,000 and 60,000. The ratio is to the same row with "
        f"6,000 images. Exponent of the time in the number of images (1 is proportional) - {words}.",
        "rows": table,
        "details": {"exponents": exponents},
        "goals": [],
    }


KERNELS = 5, 10, 20  # x1, x2, x4
PARTS = "training iteration", "search", "gradient", "transition"


def hidden_calls(planes: BitPlanes, n_kernels: int, threads: int) -> dict[str, Callable[[], Any]]:
    """{part: call} of layer 1 on bit-planes of pixels."""
    hidden = HiddenLayer(n_kernels, 3, 2)
    geometries = geometry(SIDE, SIDE, 1, (hidden,))
    options = TrainingOptions(iterations=10**6, seed=SEED)
    iterations = HiddenTraining((hidden,), geometries, planes, options, threads).run()
    next(iterations)  # the first one draws the kernels as well
    meter = ActivationMeter(geometries[0], planes, threads)
    kernels = initial_kernels(hidden, meter, "random", (0.3, 0.6), Draws(SEED, 0, 0))
    step = Step(1, kernels, planes.words, planes.n_images, threads)
    step.gradient(threads)  # makes the layer and its counts
    return {
        "training iteration": lambda: next(iterations),
        "search": lambda: step.search(threads),
        "gradient": lambda: step.gradient(threads),
        "transition": lambda: step.forward(threads),
    }


def hidden_scaling(context: Context) -> Facts:
    """Training of hidden layer 1 against the number of images and of kernels."""
    binarization, threads = Binarization((0.3,), 255), context.threads
    own = context.digit()
    # (what grows, its size): images and kernels
    work = {("images", n): (context.train[:n], KERNELS[0]) for n in SIZES}
    work |= {("kernels", n): (own, n) for n in KERNELS}
    engines = []
    for key, (images, n_kernels) in work.items():
        calls = hidden_calls(binarization.planes(images, threads), n_kernels, threads)
        engines += [Engine((part, *key), call) for part, call in calls.items()]
    seconds = interleave(engines, 3)
    sizes, table, exponents = {"images": SIZES, "kernels": KERNELS}, [], {}
    for what, of in sizes.items():
        for part in PARTS:
            medians = [summary(seconds[part, what, n])["median"] for n in of]
            exponents[f"{part}, {what}"] = exponent(of, medians)
            for n in of:
                images, n_kernels = work[what, n]
                row = {"engine": f"{part}, more {what}", **summary(seconds[part, what, n])}
                row["accuracy"] = {"images": len(images), "kernels": n_kernels}
                table.append({**row, "ratio": pair_ratio(seconds[part, what, n], seconds[part, what, of[0]])})
    words = "; ".join(f"{name}: {value:.2f}" for name, value in exponents.items())
    worst = max(exponents[f"{part}, images"] for part in PARTS)
    return {
        "title": "Scaling of hidden layer 1: images and kernels",
        "about": "More images: the first 6,000, 24,000 and 60,000 training images of all digits, 5 kernels. More "
        f"kernels: 5, 10 and 20, images of digit {DIGIT}; the search then has 4 and 16 times as many candidate "
        "relations. An iteration is the transition, the search, and the kernel step with its measurement of "
        f"activations (on 512 images always). The ratio is to the first row of its group. Exponents of the time (1 is proportional) - {words}.",
        "rows": table,
        "details": {"exponents": exponents},
        "goals": [goal("every exponent in the number of images at most 1.1", f"at most {worst:.2f}", worst <= 1.1)],
    }
