# SPDX-License-Identifier: BSD-3-Clause
"""One-class detection on grey pictures: a preset with its defaults beside 1-NN and an isolation forest on grey values.

Each class in turn is the normal one; a model of its training images scores the test images of all classes. AUROC in
percent, the mean over classes with its 95 % bootstrap interval. The sets that need no files: `garments` (see
garments.py) and `digits` (8 x 8 pixels of scikit-learn, enlarged to 24 x 24). Others are named by folder: sub-folders
of pictures or the classic IDX files, see cbn.datasets.load_images; without a test part every third image of a class is
a test image.

    python python/analysis/grey_objects.py
    python python/analysis/grey_objects.py --set garments --set path/to/idx --n 2000 --resize 28 --by-class
"""

import argparse
import sys
import time
from typing import Self

import numpy as np
import numpy.typing as npt
from garments import draw_garments
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.ensemble import IsolationForest

import cbn
from cbn.fit.presets import PRESETS
from cbn.metrics.bootstrap import bootstrap_auroc

# training images, their labels, test images, their labels
Data = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.uint8], npt.NDArray[np.int64]]

BLOCK = 1000  # images whose distances to all training images are held at a time


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--set", action="append", dest="sets", metavar="NAME", help="garments, digits or a folder (default: both names)"
    )
    parser.add_argument("--preset", choices=PRESETS, default="best", help="default: best")
    parser.add_argument("--n", type=int, default=600, help="at most so many training images a class (default: 600)")
    parser.add_argument("--resize", type=int, metavar="SIDE", help="bring pictures of folders to SIDE x SIDE pixels")
    parser.add_argument("--by-class", action="store_true", help="also print the AUROC of every class")
    parser.add_argument("--seed", type=int, default=0, help="of garments, kernels and forest (default: 0)")
    arguments = parser.parse_args()
    if arguments.n < 2:
        parser.error(f"--n {arguments.n}: give at least 2")
    if arguments.resize is not None and not 4 <= arguments.resize <= 256:
        parser.error(f"--resize {arguments.resize}: give 4 to 256 pixels")
    return arguments


class NearestNeighbour:
    """Minus the Euclidean distance to the nearest training image."""

    def fit(self, images: npt.NDArray[np.uint8]) -> Self:
        self.training = _flat(images)
        self.squares = (self.training**2).sum(axis=1)
        return self

    def score_samples(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        scores = np.empty(len(images))
        for start in range(0, len(images), BLOCK):
            block = _flat(images[start : start + BLOCK])
            nearest = (self.squares - 2 * block @ self.training.T).min(axis=1)
            scores[start : start + BLOCK] = -np.sqrt(np.maximum(0, nearest + (block**2).sum(axis=1)))
        return scores


class Forest:
    """An isolation forest of 200 trees on the pixels."""

    def __init__(self, seed: int) -> None:
        self.forest = IsolationForest(n_estimators=200, random_state=seed)

    def fit(self, images: npt.NDArray[np.uint8]) -> Self:
        self.forest.fit(_flat(images))
        return self

    def score_samples(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        return self.forest.score_samples(_flat(images))


def _flat(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return images.reshape(len(images), -1).astype(np.float32)


def load(name: str, arguments: argparse.Namespace) -> Data:
    """(training images, labels, test images, labels) of a named set or folder."""
    if name == "garments":
        return *draw_garments(arguments.n, arguments.seed), *draw_garments(200, arguments.seed + 1)
    if name == "digits":
        images, labels = load_digits(return_X_y=True)
        images = np.rint(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
        return _split(resized(images, 24, Image.Resampling.BILINEAR), labels)
    train, test = cbn.datasets.load_images(name)
    if train.labels is None or (test is not None and test.labels is None):
        raise cbn.DataError(f"{name}: images without labels; give a sub-folder for each class, or IDX files of labels")
    parts = [(resized(part.images, arguments.resize), part.labels) for part in (train, test) if part is not None]
    return (*parts[0], *parts[1]) if test is not None else _split(*parts[0])


def resized(
    images: npt.NDArray[np.uint8], side: int, filter: Image.Resampling = Image.Resampling.BOX
) -> npt.NDArray[np.uint8]:
    if side is None:
        return images
    return np.stack([np.asarray(Image.fromarray(image).resize((side, side), filter)) for image in images])


def _split(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Data:
    """Every third image of a class is a test image."""
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        held[np.flatnonzero(labels == label)[2::3]] = True
    return images[~held], labels[~held], images[held], labels[held]


def compare(
    data: Data,
    arguments: argparse.Namespace,
) -> tuple[list[int], npt.NDArray[np.bool_], dict[str, npt.NDArray[np.float64]], dict[str, list[tuple[float, float]]]]:
    """Classes, which images are normal in the task of each, and by method the scores and seconds of all tasks."""
    images, labels, test, test_labels = data
    classes = [c for c in np.unique(labels) if (test_labels == c).any() and not (test_labels == c).all()]
    if not classes:
        raise cbn.DataError("no class has both training images and test images beside those of others")
    makers = {
        arguments.preset: lambda: cbn.ConvolutionalBayesianNetwork(arguments.preset, random_state=arguments.seed),
        "1-NN": NearestNeighbour,
        "isolation forest": lambda: Forest(arguments.seed),
    }
    scores, seconds = {name: [] for name in makers}, {name: [] for name in makers}
    for label in classes:
        own = np.ascontiguousarray(images[labels == label][: arguments.n])
        for name, make in makers.items():
            begin = time.perf_counter()
            model = make().fit(own)
            fitted = time.perf_counter()
            scores[name].append(model.score_samples(test))
            seconds[name].append((fitted - begin, time.perf_counter() - fitted))
    normal = np.stack([test_labels == label for label in classes])
    return classes, normal, {name: np.stack(own) for name, own in scores.items()}, seconds


def report(name: str, arguments: argparse.Namespace) -> None:
    data = load(name, arguments)
    classes, normal, scores, seconds = compare(data, arguments)
    shape = " x ".join(map(str, data[0].shape[1:]))
    print(f"\n{name}: normal classes: {len(classes)}, {shape} pixels, {len(data[2]):,} test images")
    print(f"{'':18}{'mean AUROC':>12}{'95 % interval':>18}{'lowest class':>22}{'fit, s':>9}{'score, s':>10}")
    by_class = {}
    for method, own in scores.items():
        mean, low, high = (100 * value for value in bootstrap_auroc(normal, own, random_state=arguments.seed))
        areas = [100 * bootstrap_auroc(n, s, n_resamples=1).value for n, s in zip(normal, own)]
        by_class[method] = areas
        lowest = f"{min(areas):.1f} ({classes[int(np.argmin(areas))]})"
        fit, score = np.median(seconds[method], axis=0)
        print(f"{method:18}{mean:12.2f}{f'{low:.2f} to {high:.2f}':>18}{lowest:>22}{fit:9.2f}{score:10.2f}", flush=True)
    if arguments.by_class:
        for number, label in enumerate(classes):
            print(f"  {label!s:16}" + "".join(f"{areas[number]:12.2f}" for areas in by_class.values()))


def main() -> None:
    arguments = parse_arguments()
    try:
        for name in arguments.sets or ("garments", "digits"):
            report(name, arguments)
    except cbn.DataError as error:
        sys.exit(f"grey_objects.py: {error}")


if __name__ == "__main__":
    main()
