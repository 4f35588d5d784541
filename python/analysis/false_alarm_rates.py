# SPDX-License-Identifier: BSD-3-Clause
"""How often normal images are called outliers, against the rate that was asked for.

    python python/analysis/false_alarm_rates.py

Digits, score by score, means over the ten digits. Two calibrations: the leave-one-out scores of all training images, and
the scores of a tenth of the training images that is kept out of training (split conformal prediction, whose rate is
guaranteed).

    python python/analysis/false_alarm_rates.py --golden --seeds 3

Golden samples: shots of one part with sensor noise, copies of one picture with three flipped pixels, pure noise, and
digits; every preset, every score, few images and many. Of fresh images of the same kind the share is printed that is
called outliers at 5 %, in percent: the mean over seeds.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

import cbn
from cbn.datasets.mnist import EmbeddedMnist

RATES = (0.01, 0.05, 0.1)
SCORES = ("log_probability", "surprise", "standardized", "normalized")
CONTRAST = "contrast"

Images = npt.NDArray[np.uint8]

# ---- golden samples ----

SIDE = 24
GOLDEN_RATE = 0.05
N_FRESH = 1000
N_GOLDEN = (30, 100, 300, 1000)
N_DIGITS = (300, 1000, 3000, 6000)
# Boosted trees of the preset take minutes here; fewer of them are calibrated in the same way.
PRESETS: dict[str, dict[str, Any]] = {
    "pixel": {},
    "hidden": {},
    "tree": {},
    "boosted": {"cpd": cbn.Boosted(rounds=6, max_leaves=4, n_candidates=12, reach=4)},
    "tied": {"cpd": cbn.Tied(rounds=60, rate=0.3, max_leaves=16)},
    "best": {},
}


def part() -> npt.NDArray[np.float64]:
    """(SIDE, SIDE) grey levels of a disc with a slot, its edge a little soft."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    inside = np.clip(0.36 * SIDE - np.hypot(y, x), -1, 1) / 2 + 0.5
    picture = 25 + 165 * inside
    picture[SIDE // 2 - 1 : SIDE // 2 + 2, 4 : SIDE - 5] = 110
    return picture


def shots(rng: np.random.Generator, n: int) -> Images:
    """(n, SIDE, SIDE) shots of the part, each with its own sensor noise."""
    return np.clip(part() + rng.normal(0, 6, (n, SIDE, SIDE)), 0, 255).round().astype(np.uint8)


def flips(rng: np.random.Generator, n: int) -> Images:
    """(n, SIDE, SIDE) copies of the part's silhouette, three pixels of each flipped."""
    copies = np.repeat((part() > 76).astype(np.uint8)[None], n, axis=0).reshape(n, -1)
    for copy in copies:
        copy[rng.choice(copies.shape[1], 3, replace=False)] ^= 1
    return copies.reshape(n, SIDE, SIDE) * np.uint8(255)


def noise(rng: np.random.Generator, n: int) -> Images:
    """(n, SIDE, SIDE) pixels of which each is black or white at random."""
    return rng.integers(0, 2, (n, SIDE, SIDE), dtype=np.uint8) * np.uint8(255)


KINDS: dict[str, Callable[[np.random.Generator, int], Images]] = {"shots": shots, "flips": flips, "noise": noise}


@cache
def digit_images(digit: int) -> Images:
    """(n, 28, 28) training and test images of one digit, binary."""
    mnist = EmbeddedMnist()
    return np.concatenate([mnist.part(split, digit).images for split in ("train", "test")])


def digits(rng: np.random.Generator, n: int, digit: int) -> Images:
    """(n, 28, 28) different images of one digit."""
    images = digit_images(digit)
    return images[rng.permutation(len(images))[:n]]


def alarms(preset: str, score: str, images: Images, fresh: Images, seed: int) -> float:
    """The share of fresh images that a network of other images calls outliers at GOLDEN_RATE."""
    model = cbn.ConvolutionalBayesianNetwork(
        preset, outlier_score=score, false_alarm_rate=GOLDEN_RATE, random_state=seed, **PRESETS[preset]
    ).fit(images)
    return float((model.predict(fresh) == -1).mean())


def golden(kind: str, preset: str, score: str, n: int, seed: int) -> float:
    """The share of alarms on fresh images of a kind, after a fit to n images of it."""
    rng = np.random.default_rng((seed, n))
    images = digits(rng, n + N_FRESH, seed % 10) if kind == "digits" else KINDS[kind](rng, n + N_FRESH)
    return alarms(preset, score, images[:n], images[n:], seed)


def print_golden(presets: Sequence[str], scores: Sequence[str], n_seeds: int) -> None:
    """The table of golden samples, a block for each kind; only the preset "best" has a contrast."""
    for kind in (*KINDS, "digits"):
        numbers = N_DIGITS if kind == "digits" else N_GOLDEN
        print(f"{kind:9}{'score':17}" + "".join(f"{f'n = {n:,}':>11}" for n in numbers))
        for preset in presets:
            for score in scores:
                if score == CONTRAST and preset != "best":
                    continue
                found = [100 * np.mean([golden(kind, preset, score, n, i) for i in range(n_seeds)]) for n in numbers]
                print(f"{preset:9}{score:17}" + "".join(f"{percent:11.1f}" for percent in found), flush=True)
        print()


# ---- digits, by score and calibration ----


def print_digits() -> None:
    """The table of the README."""
    train, test = cbn.datasets.load_mnist()
    print(f"{'score':16}{'calibration':18}" + "".join(f"{f'rate {rate:g}':>10}" for rate in RATES))
    for score in SCORES:
        found: dict[str, list[list[float]]] = {"leave-one-out": [], "separate images": []}
        for digit in range(10):
            images = np.random.default_rng(digit).permutation(train.select(digit).images)
            own = test.select(digit).images
            held_out = len(images) // 10
            models = (
                cbn.ConvolutionalBayesianNetwork(outlier_score=score).fit(images),
                cbn.ConvolutionalBayesianNetwork(outlier_score=score)
                .fit(images[held_out:])
                .calibrate(images[:held_out]),
            )
            for model in models:
                p = model.p_values(own)
                found[model.calibration_].append([float((p <= rate).mean()) for rate in RATES])
        for calibration, rates in found.items():
            print(f"{score:16}{calibration:18}" + "".join(f"{rate:10.4f}" for rate in np.mean(rates, axis=0)))


def main() -> None:
    parser = argparse.ArgumentParser(description="How often normal images are called outliers.")
    parser.add_argument("--golden", action="store_true", help="golden samples, every preset, few images and many")
    parser.add_argument("--seeds", type=int, default=20, help="samples of each kind; 20 take about half an hour")
    parser.add_argument(
        "--presets", nargs="+", choices=list(PRESETS), default=["pixel", "tree", "boosted", "best"], help="which"
    )
    of_all = (*SCORES, CONTRAST)
    parser.add_argument("--scores", nargs="+", choices=of_all, default=of_all, help="which; contrast is for best alone")
    arguments = parser.parse_args()
    if arguments.golden:
        print_golden(arguments.presets, arguments.scores, arguments.seeds)
    else:
        print_digits()


if __name__ == "__main__":
    main()
