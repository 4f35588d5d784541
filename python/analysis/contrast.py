# SPDX-License-Identifier: BSD-3-Clause
"""Fields of the contrast judged by training images that were distorted, as stand-ins for outliers.

Of every digit one half of the training images is learned from. Of the other half one part says what is normal, one is
scored, and distorted copies of it are the outliers: sheared, scaled, turned by less than a quarter, warped, thickened or
thinned, pieced together from two images, with a half taken away, two laid over each other. None of these is a
transformation that the background is learned from. No test image is read. AUROC in percent by kind of distortion, means
over the digits; "shape" is the mean of the kinds that keep the width of strokes, which a contrast is to ignore.

The default radius 3 does not follow from this table, which prefers 1 or 2: it was set after looks at test images of digit 2, as
was the column "shape" itself. Weight 1 was set in the same step and is supported here; the other fields were chosen here alone.

    python python/analysis/contrast.py
    python python/analysis/contrast.py --digits 3 8
"""

import argparse
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import ndimage

import cbn
from cbn.bits.planes import BitPlanes
from cbn.cpd.grid import Grid
from cbn.layers.contrast import LogRatio, contrast_scales
from cbn.metrics.bootstrap import auroc

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Random = np.random.Generator

OF_SHAPE = ("sheared", "turned", "warped", "halves", "piece", "overlaid")
MOST = 500  # images that are distorted
CONTRASTS = {
    "defaults": cbn.Contrast(),
    "radius 1": cbn.Contrast(radius=1),
    "radius 2": cbn.Contrast(radius=2),
    "radius 4": cbn.Contrast(radius=4),
    "not moved": cbn.Contrast(roll=0),
    "smoothing 1": cbn.Contrast(smoothing=1.0),
    "smoothing 3": cbn.Contrast(smoothing=3.0),
    "80 rounds": cbn.Contrast(rounds=80),
    "background 200,000 pairs, 80 rounds": cbn.Contrast(background_pairs=200_000, background_rounds=80),
}
WEIGHTS = (0.0, 0.5, 1.0, 2.0)


def affine(matrix_of: Callable[[Random], npt.ArrayLike]) -> Callable[[Images, Random], Images]:
    """Images under linear maps about their centre, each under its own."""

    def distort(images: Images, random: Random) -> Images:
        centre, found = (np.array(images.shape[1:]) - 1) / 2, []
        for image in images:
            matrix = np.asarray(matrix_of(random))
            found.append(ndimage.affine_transform(image.astype(float), matrix, centre - matrix @ centre, order=1) > 0.5)
        return np.array(found, np.uint8)

    return distort


def _shear(random: Random) -> npt.ArrayLike:
    amount = random.choice([-1, 1]) * random.uniform(0.45, 0.9)
    return [[1, 0], [amount, 1]] if random.random() < 0.6 else [[1, amount], [0, 1]]


def _scale(random: Random) -> npt.ArrayLike:
    amount = random.choice([1 / 0.6, 1 / 0.7, 1 / 1.35])
    return np.diag([amount, amount if random.random() < 0.5 else 1])


def _turn(random: Random) -> npt.ArrayLike:
    angle = random.choice([-1, 1]) * random.uniform(0.5, 0.9)
    return [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]


def warped(images: Images, random: Random) -> Images:
    found = []
    for image in images:
        move = ndimage.gaussian_filter(random.standard_normal((2, *image.shape)), (0, 4, 4))
        grid = np.indices(image.shape) + 3.2 * move / move.std()
        found.append(ndimage.map_coordinates(image.astype(float), grid, order=1) > 0.5)
    return np.array(found, np.uint8)


def thickened(images: Images, random: Random) -> Images:
    """Or thinned, in turn."""
    return np.array(
        [
            ndimage.grey_dilation(image, (3, 3)) if i % 2 else ndimage.grey_erosion(image, (2, 2))
            for i, image in enumerate(images)
        ]
    )


def halves(images: Images, random: Random) -> Images:
    """Parts of two images, the second one moved."""
    found, others = images.copy(), random.permutation(len(images))
    for i, other in enumerate(others):
        cut, move = random.integers(11, 17), random.integers(-4, 5)
        part = np.roll(images[other], move, 1 if i % 2 else 0)
        if i % 2:
            found[i, cut:] = part[cut:]
        else:
            found[i, :, cut:] = part[:, cut:]
    return found


def piece(images: Images, random: Random) -> Images:
    """A half of the ink's box is empty."""
    found = images.copy()
    for i, image in enumerate(images):
        ink = np.nonzero(image)[0 if i % 2 else 1]
        cut = (ink.min() + ink.max()) // 2 + random.integers(-2, 3)
        part = found[i] if i % 2 else found[i].T
        part[slice(None, cut) if i % 4 < 2 else slice(cut, None)] = 0
    return found


def overlaid(images: Images, random: Random) -> Images:
    others = images[random.permutation(len(images))]
    moved = [np.roll(image, random.integers(-6, 7, 2), (0, 1)) for image in others]
    return np.maximum(images, moved)


DISTORTIONS: dict[str, Callable[[Images, Random], Images]] = {
    "sheared": affine(_shear), "turned": affine(_turn), "warped": warped, "halves": halves, "piece": piece,
    "overlaid": overlaid, "scaled": affine(_scale), "thick, thin": thickened,
}  # fmt: skip


def of_digit(images: Images, seed: int) -> dict[str, list[float]]:
    """Name of a variant -> AUROC in percent by distortion."""
    random, grid = np.random.default_rng(seed), Grid(1, *images.shape[1:])
    training, calibration, normal = images[::2], images[1::4], images[3::4]
    sets = [calibration, normal, *(distort(normal[:MOST], random) for distort in DISTORTIONS.values())]
    model = cbn.ConvolutionalBayesianNetwork("best", contrast=False, random_state=0).fit(training)
    layers = [model.score_samples(own) for own in sets]
    found: dict[str, list[float]] = {}

    def put(name: str, scores: list[Floats]) -> None:
        n = len(scores[1])
        known = np.arange(n + MOST) < n
        found[name] = [100 * auroc(known[: n + len(own)], np.concatenate([scores[1], own])) for own in scores[2:]]

    put("without a contrast", layers)
    for name, contrast in CONTRASTS.items():
        planes = [BitPlanes.of_states(own.reshape(len(own), -1), 1) for own in (training, *sets)]
        ratio, columns = LogRatio.learned(contrast, grid, planes[0], planes[1], 0, 1)
        parts = [columns, *(ratio.columns(own, 1) for own in planes[2:])]
        together = [np.concatenate([own[:, None], part], axis=1) for own, part in zip(layers, parts, strict=True)]
        for weight in WEIGHTS if name == "defaults" else (0.0, contrast.weight):
            scales = contrast_scales((1.0,), together[0], weight)
            put(f"{name}, weight {weight:g}", [own @ np.array(scales) for own in together])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="AUROC of distorted training images under variants of the contrast.")
    parser.add_argument("--digits", type=int, nargs="+", choices=range(10), default=[2, 5, 8], help="default: 2 5 8")
    arguments = parser.parse_args()
    train, _ = cbn.datasets.load_mnist()
    tables = [of_digit(train.select(digit).images, digit) for digit in arguments.digits]
    print(f"{'':46}" + "".join(f"{name:>12}" for name in (*DISTORTIONS, "shape", "all")))
    of_shape = [list(DISTORTIONS).index(name) for name in OF_SHAPE]
    for name in tables[0]:
        means = np.mean([table[name] for table in tables], axis=0)
        figures = (*means, means[of_shape].mean(), means.mean())
        print(f"{name:46}" + "".join(f"{figure:12.2f}" for figure in figures))


if __name__ == "__main__":
    main()
