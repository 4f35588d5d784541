# SPDX-License-Identifier: BSD-3-Clause
"""Thesis Table 1: one network per digit, AUROC of that digit against the other nine on the test images, in percent.

python python/analysis/reproduce_table1.py
"""

import argparse

import numpy as np
from sklearn.metrics import roc_auc_score

import cbn

SCORES = ("log_probability", "surprise", "standardized", "normalized")
THESIS = (94.9, 99.9, 82.1, 84.2, 85.0, 89.2, 95.1, 94.8, 76.6, 92.5)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    train, test = cbn.datasets.load_mnist()
    auroc = np.empty((len(SCORES), 10))
    for digit in range(10):
        model = cbn.ConvolutionalBayesianNetwork(preset="pixel").fit(train.select(digit).images)
        for row, score in enumerate(SCORES):
            auroc[row, digit] = 100 * roc_auc_score(test.labels == digit, model.score_samples(test.images, score=score))
    print(f"{'':16}" + "".join(f"{digit:7}" for digit in range(10)) + "   mean")
    for name, values in zip((*SCORES, "thesis"), (*auroc, np.array(THESIS))):
        print(f"{name:16}" + "".join(f"{value:7.2f}" for value in values) + f"{values.mean():7.2f}")


if __name__ == "__main__":
    main()
