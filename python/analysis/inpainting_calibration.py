# SPDX-License-Identifier: BSD-3-Clause
"""Are the probabilities of inpainting right? Half of each test image is hidden, and filled in N times.

Where the lower half is hidden the samples are exact draws from the network, so that all error is the network's; other
halves add that of weighted particles, or of Gibbs chains where ``--sweeps`` is given.

Pixels: those whose posterior mean is 0.7, say, should be on in 70 % of the cases. The reliability table compares the
two in bins; the expected calibration error (ECE) is the mean of their differences weighted by the pixels of each bin,
and the Brier score the mean squared error, which also rewards being certain. Images: a number made of the hidden
pixels, such as how many are on, should lie between the 10 % and the 90 % quantile of the N samples in 80 % of the
images; ties are broken at random. The baseline knows how often each pixel is on in training, whatever is known of the
image.

    python python/analysis/inpainting_calibration.py
    python python/analysis/inpainting_calibration.py --half top
    python python/analysis/inpainting_calibration.py --preset boosted --digit 2,8 --half left --n 40
"""

import argparse
import warnings
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt

import cbn
from cbn.fit.presets import PRESETS

matplotlib.use("Agg")
from matplotlib import pyplot  # after the choice of its back end

HALVES = {"top": np.s_[:14, :], "bottom": np.s_[14:, :], "left": np.s_[:, :14], "right": np.s_[:, 14:]}
BINS = np.array([0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1])
LOW, HIGH = 0.1, 0.9  # quantiles of the interval


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--digit", default="all", help="digits, such as 2 or 2,4,7, or all (default: all)")
    parser.add_argument("--half", choices=HALVES, default="bottom", help="what is hidden (default: bottom)")
    parser.add_argument("--preset", choices=PRESETS, default="tree", help="default: tree")
    parser.add_argument("--n", type=int, default=20, help="test images of each digit (default: 20)")
    parser.add_argument("--samples", type=int, default=99, help="posterior samples of an image (default: 99)")
    parser.add_argument(
        "--sweeps", type=int, help="proposals per missing pixel of Gibbs chains; not for boosted (default: no chains)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of kernels, chains and ties (default: 0)")
    parser.add_argument(
        "--out", default="inpainting_calibration.png", help="picture to write (default: inpainting_calibration.png)"
    )
    arguments = parser.parse_args()
    names = [str(d) for d in range(10)] if arguments.digit == "all" else arguments.digit.split(",")
    if not set(names) <= {str(d) for d in range(10)} or len(set(names)) != len(names):
        parser.error(f"--digit {arguments.digit}: give different digits such as 2,4,7, or all")
    if arguments.sweeps is not None and arguments.preset == "boosted":
        parser.error(f"--sweeps {arguments.sweeps}: boosted trees are filled in by particles; leave it out")
    if arguments.sweeps is not None and arguments.sweeps < 8:
        parser.error(f"--sweeps {arguments.sweeps}: give at least 8")
    for name, low in (("n", 1), ("samples", 9)):
        if getattr(arguments, name) < low:
            parser.error(f"--{name} {getattr(arguments, name)}: give at least {low}")
    if not Path(arguments.out).absolute().parent.is_dir():
        parser.error(f"--out {arguments.out}: its folder does not exist; create it or give another path")
    arguments.digits = [int(name) for name in names]
    return arguments


class Judged:
    """Predictions of one method, and what was behind them."""

    def __init__(self) -> None:
        self.predicted, self.truth, self.ranks = [], [], []

    def add(
        self,
        probability: npt.NDArray[np.float64],
        truth: npt.NDArray[np.uint8],
        samples: npt.NDArray[np.uint8],
        random: np.random.Generator,
    ) -> None:
        """One image: (pixels,) probabilities, (pixels,) truth, (samples, pixels) draws of the hidden pixels."""
        self.predicted.append(probability)
        self.truth.append(truth)
        drawn, own = statistics(samples), statistics(truth[None])[0]
        below, ties = (drawn < own).sum(axis=0), (drawn == own).sum(axis=0)
        self.ranks.append((below + random.integers(ties + 1)) / len(samples))

    def reliability(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Pixels, mean probability and share that is on, of every bin of BINS that is not empty."""
        predicted, truth = np.concatenate(self.predicted), np.concatenate(self.truth)
        place = np.clip(np.searchsorted(BINS, predicted, side="right") - 1, 0, len(BINS) - 2)
        n = np.bincount(place, minlength=len(BINS) - 1)
        sums = (np.bincount(place, weights=values, minlength=len(BINS) - 1) for values in (predicted, truth))
        mean, share = (np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0) for total in sums)
        return n, mean, share

    def calibration_error(self) -> float:
        n, mean, share = self.reliability()
        return np.nansum(n * np.abs(mean - share)) / n.sum()

    def brier(self) -> float:
        return np.square(np.concatenate(self.predicted) - np.concatenate(self.truth)).mean()

    def coverage(self) -> npt.NDArray[np.float64]:
        """Share of images whose statistics lie in the interval, one for each statistic."""
        ranks = np.stack(self.ranks)
        return ((ranks >= LOW) & (ranks <= HIGH)).mean(axis=0)


STATISTICS = ("pixels on", "changes along rows")


def statistics(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """(n, statistics) of (n, hidden pixels) of 0 and 1, the hidden pixels in raster order."""
    pixels = pixels.astype(np.int64)
    return np.stack([pixels.sum(axis=1), np.abs(np.diff(pixels, axis=1)).sum(axis=1)], axis=1)


def judge(arguments: argparse.Namespace) -> tuple[dict[str, Judged], float]:
    """A Judged of the preset and of the baseline, and the share of images whose report says that it is to be trusted."""
    train, test = cbn.datasets.load_mnist()
    mask = np.zeros(test.images.shape[1:], bool)
    mask[HALVES[arguments.half]] = True
    random = np.random.default_rng(arguments.seed)
    judged, mixed = {arguments.preset: Judged(), "baseline": Judged()}, []
    for digit in arguments.digits:
        own = train.select(digit).images
        model = cbn.ConvolutionalBayesianNetwork(arguments.preset, random_state=arguments.seed).fit(own)
        marginal = (own[:, mask].sum(axis=0) + 1) / (len(own) + 2)
        for number, image in enumerate(test.select(digit).images[: arguments.n]):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", cbn.MixingWarning)  # reported below
                filled = model.inpaint(
                    image, mask, arguments.samples, n_sweeps=arguments.sweeps, random_state=arguments.seed + number
                )
            mixed.append(filled.mixing.mixed)
            drawn = random.random((arguments.samples, mask.sum())) < marginal
            judged[arguments.preset].add(filled.mean[mask], image[mask], filled.samples[:, mask], random)
            judged["baseline"].add(marginal, image[mask], drawn, random)
    return judged, np.mean(mixed)


def draw(judged: dict[str, Judged], path: Path) -> None:
    """Reliability of every method, a point for each bin: the larger, the more pixels."""
    figure, axes = pyplot.subplots(figsize=(5, 5), layout="constrained")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for name, own in judged.items():
        n, mean, share = own.reliability()
        axes.scatter(mean, share, s=4 + 12 * np.log10(np.maximum(n, 1)), label=name, alpha=0.8)
    axes.set(xlabel="predicted probability", ylabel="share of pixels that are on", aspect="equal")
    axes.legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def main() -> None:
    arguments = parse_arguments()
    judged, mixed = judge(arguments)
    own = next(iter(judged.values()))
    print(f"{'probability':>14}" + "".join(f"{name + ': pixels':>20}{'mean':>8}{'on':>8}" for name in judged))
    tables = [method.reliability() for method in judged.values()]
    for b, (low, high) in enumerate(pairwise(BINS)):
        cells = "".join(f"{n[b]:20,}{mean[b]:8.3f}{share[b]:8.3f}" for n, mean, share in tables)
        print(f"{f'{low:g} to {high:g}':>14}" + cells)
    n_images = len(own.ranks)
    print(f"{n_images} test images, {arguments.half} half hidden, enough draws in {100 * mixed:.0f} %")
    print(f"{'':10}{'ECE':>8}{'Brier':>8}" + "".join(f"{f'80 % interval, {name}':>36}" for name in STATISTICS))
    for name, method in judged.items():
        covered = "".join(f"{f'{100 * share:.1f} %':>36}" for share in method.coverage())
        print(f"{name:10}{method.calibration_error():8.4f}{method.brier():8.4f}" + covered)
    draw(judged, arguments.out)
    print(f"{arguments.out}: reliability of {' and '.join(judged)}")


if __name__ == "__main__":
    main()
