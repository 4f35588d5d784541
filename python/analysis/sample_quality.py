# SPDX-License-Identifier: BSD-3-Clause
"""Are samples readable, and are they copies? One network per digit of the embedded MNIST.

Readable: the share of samples that a support-vector machine (RBF kernel, trained on real binarized digits) gives to the digit
whose network drew them, beside the same share of real test digits. No copies: the mean Hamming distance of a sample to its
nearest training image of that digit, divided by that of a test image; 1 is as far as unseen digits are.

    python python/analysis/sample_quality.py [--preset tree | --model digits.cbn] [--n 1000] [--train 10000]
"""

import argparse

import numpy as np
import numpy.typing as npt
from sklearn.svm import SVC

import cbn


def nearest_distance(images: npt.NDArray[np.uint8], training: npt.NDArray[np.uint8]) -> float:
    """Mean number of pixels in which an image differs from the nearest training image."""
    packed = [np.packbits(x.reshape(len(x), -1) > 0, axis=1) for x in (images, training)]
    nearest = [np.bitwise_count(packed[1] ^ row).sum(axis=1, dtype=np.int64).min() for row in packed[0]]
    return float(np.mean(nearest))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="tree")
    parser.add_argument("--model", help="a classifier of all digits, in place of networks that are trained here")
    parser.add_argument("--n", type=int, default=1000, help="samples of each digit (default: 1000)")
    parser.add_argument("--train", type=int, default=10_000, help="training images of the judge (default: 10000)")
    arguments = parser.parse_args()
    train, test = cbn.datasets.load_mnist()
    chosen = np.random.default_rng(0).permutation(len(train))[: arguments.train]
    judge = SVC(C=10, gamma=0.02).fit(train.images[chosen].reshape(len(chosen), -1), train.labels[chosen])
    if arguments.model:
        classifier = cbn.load(arguments.model)
    else:  # its networks are grown once, as none sets a threshold
        classifier = cbn.ConvolutionalBayesianNetworkClassifier(arguments.preset, random_state=0)
        classifier.fit(train.images, train.labels)
    rows = []
    for digit, model in zip(range(10), classifier.networks_, strict=True):
        own, seen = test.select(digit).images, train.select(digit).images
        samples = model.sample(arguments.n, random_state=1)
        shares = [np.mean(judge.predict(x.reshape(len(x), -1)) == digit) for x in (samples > 0, own > 0)]
        held = own[:300]
        ratio = nearest_distance(samples[:300], seen) / nearest_distance(held, seen)
        rows.append((*(100 * share for share in shares), ratio))
        print(
            f"{digit}: {rows[-1][0]:5.1f} % of samples, {rows[-1][1]:5.1f} % of test digits; distance ratio {ratio:.2f}"
        )
    mean = np.mean(rows, axis=0)
    print(f"mean: {mean[0]:.1f} % of samples, {mean[1]:.1f} % of test digits; distance ratio {mean[2]:.2f}")


if __name__ == "__main__":
    main()
