# SPDX-License-Identifier: BSD-3-Clause
"""The four-rotations task: which of the four rotations of a test image is upright, told by a model of upright images?

The rotation with the highest score is the answer; guessing has 25 %. A network is trained for each digit, with and without
hidden layers (Gidaris, Singh, Komodakis, "Unsupervised representation learning by predicting image rotations", 2018, use
the task to train; here it only judges).

    python python/analysis/rotations.py
    python python/analysis/rotations.py --digit all --iterations 10
    python python/analysis/rotations.py --digit 1,2,3 --together --score normalized
"""

import argparse

import numpy as np
import numpy.typing as npt

import cbn
from cbn.cpd.base import SCORES
from cbn.fit.presets import PRESETS


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--digit", default="2,4,7", help="digits, such as 2 or 2,4,7, or all (default: 2,4,7)")
    parser.add_argument("--together", action="store_true", help="one model of all these digits, not one for each")
    parser.add_argument(
        "--preset", choices=PRESETS, nargs="+", default=list(PRESETS), help="models to compare (default: all)"
    )
    parser.add_argument("--score", choices=SCORES, help="score that decides (default: each preset's own)")
    parser.add_argument("--iterations", type=int, default=50, help="training steps of each hidden layer (default: 50)")
    parser.add_argument("--n", type=int, default=1000, help="at most so many test images a digit (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the kernels (default: 0)")
    arguments = parser.parse_args()
    names = [str(d) for d in range(10)] if arguments.digit == "all" else arguments.digit.split(",")
    if not set(names) <= {str(d) for d in range(10)} or len(set(names)) != len(names):
        parser.error(f"--digit {arguments.digit}: give different digits such as 2,4,7, or all")
    if arguments.n < 1:
        parser.error(f"--n {arguments.n}: give at least 1")
    arguments.digits = [int(name) for name in names]
    return arguments


def share_upright(model: "cbn.ConvolutionalBayesianNetwork", images: npt.NDArray[np.uint8], score: str) -> float:
    """Share of images whose upright rotation has a higher score than the three others."""
    scores = [model.score_samples(np.rot90(images, turns, axes=(1, 2)), score) for turns in range(4)]
    return (scores[0] > np.max(scores[1:], axis=0)).mean()


def main() -> None:
    arguments = parse_arguments()
    train, test = cbn.datasets.load_mnist()
    groups = [arguments.digits] if arguments.together else [[digit] for digit in arguments.digits]
    right = {preset: {} for preset in arguments.preset}
    for preset in arguments.preset:
        for digits in groups:
            features = PRESETS[preset].features.replaced(iterations=arguments.iterations)
            model = cbn.ConvolutionalBayesianNetwork(preset, features=features, random_state=arguments.seed)
            model.fit(train.images[np.isin(train.labels, digits)])
            for digit in digits:
                own = test.select(digit).images[: arguments.n]
                right[preset][digit] = 100 * share_upright(model, own, arguments.score)
    print("% of test images of which the upright rotation has the highest score")
    print(f"{'digit':8}" + "".join(f"{digit:8}" for digit in arguments.digits) + f"{'mean':>8}")
    for preset, by_digit in right.items():
        values = [by_digit[digit] for digit in arguments.digits]
        print(f"{preset:8}" + "".join(f"{value:8.1f}" for value in (*values, np.mean(values))))


if __name__ == "__main__":
    main()
