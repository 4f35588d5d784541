# SPDX-License-Identifier: BSD-3-Clause
"""Are repairs changes that a reader would see? One network per digit of the embedded MNIST, outliers among all test images.

Prints, for every preset, of repairs by connected regions (``model.repair``) and of the plain greedy search that flips the
best single pixel: the share that succeeded, and of these the mean number of changed pixels and of their regions, the share
of all changed pixels that lie in regions of three and more (eight neighbours), and the mean time.

    python python/analysis/repairs.py [--presets pixel,tree,best] [--digits 2,3,8] [--n 15]
"""

import argparse
import time
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

import cbn
from cbn.explain.repair import Repair

MAX_CHANGES = 200


def flips(model: Any, image: npt.NDArray[np.uint8]) -> Repair:
    """The baseline: flip the pixel that raises the score most, until the image is normal; then take back what is needless."""
    threshold = model.offset_

    def score_of(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        return model.judged_scores(images)

    current, places = image.copy(), []
    start = score = score_of(image[None])[0]
    while score < threshold and len(places) < MAX_CHANGES:
        every = np.repeat(current[None], image.size, axis=0)
        every.reshape(image.size, -1)[np.arange(image.size), np.arange(image.size)] ^= 1
        scores = score_of(every)
        scores[[row * image.shape[1] + column for row, column in places]] = -np.inf
        best = int(scores.argmax())
        if scores[best] <= score:
            break
        current, score = every[best], scores[best]
        places.append(divmod(best, image.shape[1]))
    needless = score >= threshold
    while needless:
        needless = False
        for place in list(places):
            trial = current.copy()
            trial[place] = image[place]
            without = score_of(trial[None])[0]
            if without >= threshold:
                current, score, needless = trial, without, True
                places.remove(place)
    return Repair(image, current, tuple(places), start, score, threshold, MAX_CHANGES)


def outliers_of(model: Any, digit: int, n: int, test: Any) -> npt.NDArray[np.uint8]:
    """n test images that are no ``digit`` and outliers, of all other digits."""
    others = test.images[test.labels != digit]
    chosen = np.random.default_rng(0).permutation(len(others))[: 40 * n]
    return others[chosen][model.predict(others[chosen]) == -1][:n]


def row(name: str, repairs: list[Repair], seconds: float) -> str:
    """One line of the table."""
    done = [found for found in repairs if found.succeeded]
    if not done:
        return f"{name:24} {0:9.0%}"
    pixels = np.array([len(found.changes) for found in done])
    connected = sum(found.share_connected * len(found.changes) for found in done) / pixels.sum()
    regions = np.mean([found.n_regions for found in done])
    return (
        f"{name:24} {len(done) / len(repairs):9.0%} {pixels.mean():7.1f} {np.median(pixels):7.0f} {regions:8.1f} "
        f"{connected:11.0%} {seconds / len(repairs):8.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", default="pixel,tree,best", help="separated by commas (default: pixel,tree,best)")
    parser.add_argument("--digits", default="2,3,8", help="one network for each (default: 2,3,8)")
    parser.add_argument("--n", type=int, default=15, help="outliers for each network (default: 15)")
    arguments = parser.parse_args()
    if arguments.n < 1:
        parser.error(f"--n: {arguments.n}; give 1 or more")
    train, test = cbn.datasets.load_mnist()
    print(f"{'':24} succeeded  pixels  median  regions  in 3 and up  seconds")
    for preset in arguments.presets.split(","):
        repairs: dict[str, list[Repair]] = {"single pixels": [], "regions": []}
        seconds = dict.fromkeys(repairs, 0.0)
        for digit in map(int, arguments.digits.split(",")):
            model = cbn.ConvolutionalBayesianNetwork(preset, random_state=0).fit(train.select(digit).images)
            for image in outliers_of(model, digit, arguments.n, test):
                for name, search in (("single pixels", flips), ("regions", repaired)):
                    begin = time.perf_counter()
                    repairs[name].append(search(model, image))
                    seconds[name] += time.perf_counter() - begin
        for name, found in repairs.items():
            print(row(f"{preset}, {name}", found, seconds[name]), flush=True)


def repaired(model: Any, image: npt.NDArray[np.uint8]) -> Repair:
    """The repair of the package, with the limit of the baseline."""
    return replace(model.repair(image, MAX_CHANGES), image=image)


if __name__ == "__main__":
    main()
