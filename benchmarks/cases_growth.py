# SPDX-License-Identifier: BSD-3-Clause
"""How time grows with the side of images, their number, and the number of kernels."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from arrays import Facts, Images
from cases_scaling import hidden_calls
from context import Context
from engines import estimator
from measure import Engine, exponent, goal, interleave, summary

from cbn.bits.binarization import Binarization

SIDES = 28, 64, 128, 256
IMAGES_OF_SIDE = 200
COUNTS = 6_000, 60_000, 600_000
KERNELS = 5, 10, 20, 40
ROUNDS = 2
PRESETS = "pixel", "tree"


def enlarged(images: Images, side: int) -> Images:
    """The same pictures at another size, by the nearest pixel."""
    nearest = np.arange(side) * images.shape[1] // side
    return np.ascontiguousarray(images[:, nearest[:, None], nearest])


def copies(images: Images, n: int) -> Images:
    """So many images: those given, then the same moved by a pixel to the right, by two, and so on."""
    moved = [np.roll(images, shift, axis=2) for shift in range(-(-n // len(images)))]
    return np.concatenate(moved)[:n]


def fits(images: Images, threads: int) -> dict[str, Callable[[], Any]]:
    """{step: call} of both presets."""
    calls = {}
    for preset in PRESETS:
        model = estimator(threads, preset).fit(images[: min(len(images), COUNTS[0])])
        calls[f"{preset}, fit"] = lambda preset=preset: estimator(threads, preset).fit(images)
        calls[f"{preset}, score"] = lambda model=model: model.score_samples(images)
    return calls


def measured(sizes: Sequence[int], calls_of: Callable[[int], dict[str, Callable[[], Any]]]) -> dict[str, list[Facts]]:
    """{step: summary by size}: sizes take turns."""
    calls = {size: calls_of(size) for size in sizes}
    steps = list(calls[sizes[0]])
    seconds = interleave([Engine((step, n), calls[n][step]) for n in sizes for step in steps], ROUNDS)
    return {step: [summary(seconds[step, n]) for n in sizes] for step in steps}


def growth(context: Context) -> Facts:
    threads, digit = context.threads, context.digit()
    counts = COUNTS[: 2 if context.quick else 3]
    many = copies(context.train, counts[-1])
    planes = Binarization((0.3,), 255).planes(digit, threads)
    groups = {
        "pixels": ([n * n for n in SIDES],
                   measured(SIDES, lambda n: fits(enlarged(digit[:IMAGES_OF_SIDE], n), threads))),
        "images": (counts, measured(counts, lambda n: fits(many[:n], threads))),
        "kernels": (KERNELS, measured(KERNELS, lambda n: hidden_calls(planes, n, threads))),
    }  # fmt: skip
    table, curves = [], []
    for what, (sizes, steps) in groups.items():
        for step, times in steps.items():
            # of the shortest times: what others take of the machine is no growth
            slope = exponent(sizes, [own["min"] for own in times])
            curves.append({"what": what, "step": step, "sizes": list(sizes), "seconds": [own["min"] for own in times],
                           "exponent": slope})  # fmt: skip
            for size, own in zip(sizes, times):
                ratio = own["min"] / times[0]["min"]
                table.append({"engine": f"{step}; {size:,} {what}", **own, "ratio": ratio, "accuracy": {}})
    worst = max(curve["exponent"] for curve in curves if curve["what"] == "images")
    return {
        "title": "Growth: pixels, images and kernels",
        "about": f"Pixels: {IMAGES_OF_SIDE} images of one digit, enlarged to sides of {', '.join(map(str, SIDES))}. Images: the "
        "training images of all digits, and more of them moved by a pixel or more. Kernels: hidden layer 1 on the images of one digit; "
        "among K kernels there are about (4 or more) x K x K relations to try, each at every position, so that 2 is proportional for the search, which keeps the tables of each from step to step. "
        "The ratio is to the first row of its group, of the shortest times, as are the exponents: the slope of log(time) over log(size).",
        "rows": table,
        "details": {"growth": curves},
        "goals": [goal("every exponent in the number of images at most 1.05", f"at most {worst:.2f}", worst <= 1.05)],
    }
