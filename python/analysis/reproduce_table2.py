# SPDX-License-Identifier: BSD-3-Clause
"""Thesis Table 2: a network with two hidden layers per digit, AUROC of that digit against the other nine, in percent.

Every figure is a mean over seeds, its spread the standard deviation over them. Random kernels (no training step) of the
same seeds stand beside the trained ones, with the likelihood gain of both (thesis eq. 8, nats per training image).

    python python/analysis/reproduce_table2.py [--seeds 3] [--iterations 50]
"""

import argparse

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

import cbn
from cbn.datasets import ImageSet
from cbn.fit.presets import PRESETS

SCORES = ("log_probability", "surprise", "standardized", "normalized")
THESIS = (98.9, 99.3, 91.3, 89.2, 90.9, 86.7, 98.0, 94.3, 87.7, 93.8)


def measure(train: ImageSet, test: ImageSet, digit: int, seed: int, iterations: int) -> tuple[list[float], list[float]]:
    """AUROC in percent by score, and the gain of every hidden layer in nats per training image."""
    features = PRESETS["hidden"].features
    if iterations is not None:
        features = features.replaced(iterations=iterations)
    model = cbn.ConvolutionalBayesianNetwork("hidden", features=features, random_state=seed)
    model.fit(train.select(digit).images)
    own = test.labels == digit
    auroc = [100 * roc_auc_score(own, model.score_samples(test.images, score=score)) for score in SCORES]
    return auroc, [layer.curve[layer.best].gain for layer in model.hidden_layers_]


def print_rows(name: str, values: npt.NDArray[np.float64]) -> None:
    """Mean and spread of values (seeds, digits); the last column is the mean over digits, and its spread."""
    values = np.column_stack([values, values.mean(axis=1)])
    print(f"{name:18}" + "".join(f"{value:7.2f}" for value in values.mean(axis=0)))
    print(f"{'  spread':18}" + "".join(f"{value:7.2f}" for value in values.std(axis=0)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds (default: 3)")
    parser.add_argument("--iterations", type=int, help="training steps of every hidden layer (default: the preset's)")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error(f"--seeds {arguments.seeds}: give at least 1")
    train, test = cbn.datasets.load_mnist()
    kinds = {"trained": arguments.iterations, "random": 0}
    results = {kind: [[None] * 10 for _ in range(arguments.seeds)] for kind in kinds}
    with tqdm(total=len(kinds) * arguments.seeds * 10, unit="model", leave=False, disable=None) as bar:
        for seed in range(arguments.seeds):
            for digit in range(10):
                for kind, iterations in kinds.items():
                    results[kind][seed][digit] = measure(train, test, digit, seed, iterations)
                    bar.update()
    print(f"AUROC in percent, mean over {arguments.seeds} seeds (value > 0.3 x 255)")
    print(f"{'':18}" + "".join(f"{digit:7}" for digit in range(10)) + "   mean")
    for kind, of_kind in results.items():
        print(f"{kind} kernels")
        for i, score in enumerate(SCORES):
            print_rows(score, np.array([[auroc[i] for auroc, _ in of_seed] for of_seed in of_kind]))
    print(f"{'thesis Table 2':18}" + "".join(f"{value:7.1f}" for value in (*THESIS, np.mean(THESIS))))
    print("likelihood gain, nats per training image")
    for layer in range(2):
        for kind, of_kind in results.items():
            print_rows(f"hidden {layer + 1} {kind}", np.array([[gain[layer] for _, gain in seed] for seed in of_kind]))


if __name__ == "__main__":
    main()
