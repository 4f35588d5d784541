# SPDX-License-Identifier: BSD-3-Clause
"""One-class detectors that the package is compared with; all take grey images and see them binarized at 0.3.

Every class has ``fit(images)`` and ``score_samples(images)``, higher for more normal ones. Settings are those usual for
data of this kind and are not tuned. The Boltzmann machine depends most on them: with batches of 100 and twice the
learning rate its AUROC of digit 2 was 19 points lower.
"""

from typing import Self

import numpy as np
from arrays import Images, Reals, States
from context import SEED
from engines import CUTOFF
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neural_network import BernoulliRBM
from sklearn.svm import OneClassSVM

BLOCK = 1000  # images whose distances to all training images are held at a time


def states(images: Images) -> States:
    """(n, pixels) uint8 of 0 and 1."""
    return (images.reshape(len(images), -1) > CUTOFF).view(np.uint8)


class NearestNeighbour:
    """Minus the Hamming distance to the nearest training image; the matrix product uses the threads of its BLAS."""

    name = "1-NN"

    def fit(self, images: Images) -> Self:
        self.training = states(images).astype(np.float32)
        self.sizes = self.training.sum(axis=1)
        return self

    def score_samples(self, images: Images) -> Reals:
        scores = np.empty(len(images))
        for start in range(0, len(images), BLOCK):
            block = states(images[start : start + BLOCK]).astype(np.float32)
            # whole numbers below 2^24 are exact in 32 bits
            distances = self.sizes - 2 * block @ self.training.T
            scores[start : start + BLOCK] = -(distances.min(axis=1) + block.sum(axis=1))
        return scores


class Reconstruction:
    """Minus the squared error after a projection on the first principal components."""

    name = "PCA, 100 components"

    def fit(self, images: Images) -> Self:
        self.pca = PCA(100, random_state=SEED).fit(states(images).astype(np.float32))
        return self

    def score_samples(self, images: Images) -> Reals:
        values = states(images).astype(np.float32)
        return -((values - self.pca.inverse_transform(self.pca.transform(values))) ** 2).sum(axis=1)


class SupportVectors:
    """One-class SVM, RBF kernel of scikit-learn's default width."""

    name = "one-class SVM"

    def fit(self, images: Images) -> Self:
        self.svm = OneClassSVM(gamma="scale", nu=0.1).fit(states(images))
        return self

    def score_samples(self, images: Images) -> Reals:
        return self.svm.score_samples(states(images))


class Forest:
    name = "isolation forest"

    def fit(self, images: Images) -> Self:
        self.forest = IsolationForest(n_estimators=200, random_state=SEED).fit(states(images))
        return self

    def score_samples(self, images: Images) -> Reals:
        return self.forest.score_samples(states(images))


class BoltzmannMachine:
    """Minus the free energy of a restricted Boltzmann machine of 100 hidden units."""

    name = "Bernoulli RBM"

    def fit(self, images: Images) -> Self:
        machine = BernoulliRBM(100, learning_rate=0.05, batch_size=20, n_iter=10, random_state=SEED)
        self.machine = machine.fit(states(images).astype(np.float64))
        return self

    def score_samples(self, images: Images) -> Reals:
        values = states(images).astype(np.float64)
        machine = self.machine
        hidden = np.logaddexp(0, values @ machine.components_.T + machine.intercept_hidden_)
        return values @ machine.intercept_visible_ + hidden.sum(axis=1)
