# SPDX-License-Identifier: BSD-3-Clause
"""How often good pictures are called defective by Gaussian energy models of few pictures, against the rate asked for.

    python python/analysis/few_pictures.py --synthetic texture --synthetic object
    python python/analysis/few_pictures.py path/to/category ...

Good pictures of a category in the layout of MVTec AD (training and test, or ``--train`` alone), or of a made one, are
split at random again and again: a model of the first n, its threshold from these same n, and the share of alarms on all
others (at most ``--fresh``). Where n allows no alarm at the rate, verdicts are of the extrapolated tail.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cbn.datasets import load_mvtec, make_category
from cbn.iem.gaussian.features import PretrainedFeatures, in_batches
from cbn.iem.gaussian.fitted import energies_of, prepared
from cbn.iem.gaussian.maps import picture_energies, settled
from cbn.iem.gaussian.models import model_of, usual_and_scores
from cbn.iem.gaussian.parameters import Gaussian
from cbn.iem.gaussian.whitening import Rounded
from cbn.iem.pretrained.efficientnet import EfficientNetLite0
from cbn.metrics.calibration import Calibration

RATE = 0.05


def features_of(pictures: npt.NDArray[np.uint8]) -> Rounded:
    """Features of all pictures (n, height, width, ...)."""
    extractor = PretrainedFeatures(EfficientNetLite0(), smooth=bool(Gaussian().resolved(True).smooth))
    values = pictures if pictures.ndim == 4 else pictures[..., None]
    return np.concatenate([extractor.features(prepared(values[part], None), 2) for part in in_batches(len(values), 32)])


def alarms(features: Rounded, n: int, n_fresh: int, seed: int) -> tuple[float, float, str]:
    """(share of alarms, share undecided, basis) on at most n_fresh pictures, of a model of n others."""
    order = np.random.default_rng((seed, n)).permutation(len(features))
    own, fresh = features[order[:n]], features[order[n : n + n_fresh]]
    gaussian, unit = Gaussian().resolved(True), PretrainedFeatures.unit
    extractor = PretrainedFeatures(EfficientNetLite0())
    whitening, gaussians = model_of(lambda number: iter([(slice(None), own)]), extractor, gaussian, 2)
    usual, scores = usual_and_scores([own], whitening, gaussians, extractor, gaussian, 2)
    calibration = Calibration.of(scores, "leave-one-out", RATE)
    energies = energies_of(gaussians, whitening(fresh, unit, 2), 2)
    energies = settled(energies if usual is None else usual(energies), gaussian.smooth)
    found = calibration.verdicts(-picture_energies(energies, gaussian.top), extrapolate=True)
    return float((found.verdicts == "outlier").mean()), float((found.verdicts == "undecided").mean()), found.basis


def report(name: str, pictures: npt.NDArray[np.uint8], numbers: Sequence[int], n_fresh: int, n_seeds: int) -> None:
    """A row for every number of pictures that leaves enough fresh ones."""
    features = features_of(pictures)
    for n in numbers:
        if len(features) - n < 20:
            continue
        found = [alarms(features, n, n_fresh, seed) for seed in range(n_seeds)]
        shares = np.array([own[0] for own in found])
        print(
            f"{name:24} {n:5} of {len(features):5}  {100 * shares.mean():5.1f} % (deviation {100 * shares.std():4.1f})  "
            f"undecided {100 * np.mean([own[1] for own in found]):3.0f} %  {found[0][2]}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="False alarms of Gaussian energy models of few pictures.")
    parser.add_argument("paths", nargs="*", help="categories in the layout of MVTec AD")
    parser.add_argument("--synthetic", action="append", default=[], choices=("texture", "object"))
    parser.add_argument("--numbers", type=int, nargs="+", default=[10, 30, 100, 300])
    parser.add_argument("--fresh", type=int, default=300, help="most pictures that are judged")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--size", type=int, default=224, help="pixels along a side")
    parser.add_argument("--train", action="store_true", help="training pictures alone: those for testing may differ")
    arguments = parser.parse_args()
    for path in arguments.paths:
        data = load_mvtec(path, arguments.size)
        good = data.train
        if not arguments.train and data.test is not None and data.labels is not None:
            good = np.concatenate([data.train, data.test[data.labels == 0]])
        report(data.category, good, arguments.numbers, arguments.fresh, arguments.seeds)
    for kind in arguments.synthetic:
        n_made = max(arguments.numbers) + arguments.fresh
        made = make_category(kind, n_train=n_made, n_good=1, n_defects=1, size=arguments.size).train
        report(f"made {kind}", made, arguments.numbers, arguments.fresh, arguments.seeds)


if __name__ == "__main__":
    main()
