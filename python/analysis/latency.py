# SPDX-License-Identifier: BSD-3-Clause
"""Milliseconds from a picture's file to its score by a Gaussian energy model that is loaded, one picture at a time.

    CBN_INSTRUCTION_SET=avx2 python python/analysis/latency.py --threads 1 --threads 2
    python python/analysis/latency.py --model parts.cbn --images pictures/

Without ``--images``: a made texture, as PNG files, and without ``--model`` a model of it that is made first. A picture is
opened, decoded, resized where it has another size than the model's, and scored, as ``cbn-iem-score --watch`` does it; then
the parts alone. Medians and quartiles over all pictures, of as many rounds as ``--rounds``; the first round warms up.
"""

import argparse
import itertools
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from cbn.cli._iem_files import load_fitted
from cbn.datasets import load_test, make_category
from cbn.iem.gaussian.fitted import FittedGaussianModel, energies_of, prepared
from cbn.iem.gaussian.fitting import fit
from cbn.iem.parameters import Arguments

SIZE, N_TRAIN, N_PICTURES = 224, 30, 40


def milliseconds(fitted: FittedGaussianModel, paths: list[Path], rounds: int) -> dict[str, list[float]]:
    """Times of every picture in every round but the first, whole and by part."""
    height, width, channels = fitted.picture_shape
    color, threads = "grey" if channels == 1 else "rgb", fitted.n_jobs or 1
    found = defaultdict(list)
    for round_number in range(rounds + 1):
        for path in paths:
            begin = time.perf_counter()
            test = load_test(path, (height, width), color).test
            read = time.perf_counter()
            fitted.score_samples(test)
            times = {"file to score": (begin, time.perf_counter()), "  reading": (begin, read)}
            pictures = test.reshape(1, height, width, channels)
            marks = [time.perf_counter()]
            values = prepared(pictures, fitted.brightness)
            marks.append(time.perf_counter())
            features = fitted.extractor.features(values, threads)
            marks.append(time.perf_counter())
            white = fitted.whitening(features, fitted.extractor.unit, threads)
            marks.append(time.perf_counter())
            energies_of(fitted.gaussians, white, threads)
            marks.append(time.perf_counter())
            names = ("  preparation", "  features", "  whitening", "  energies")
            times |= dict(zip(names, itertools.pairwise(marks), strict=True))
            if round_number:
                for name, (start, end) in times.items():
                    found[name].append(1000 * (end - start))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", metavar="FILE", help="a Gaussian model (default: one of a made texture)")
    parser.add_argument("--images", metavar="DIR", help="a folder of pictures (default: a made texture)")
    parser.add_argument("--threads", type=int, action="append", metavar="N", help="once or more (default: 1)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="over all pictures (default: 5)")
    arguments = parser.parse_args()
    made = make_category("texture", N_TRAIN, N_PICTURES, 1, size=SIZE)
    with TemporaryDirectory() as folder:
        if arguments.images is None:
            paths = [Path(folder) / f"{i:02}.png" for i in range(N_PICTURES)]
            for path, picture in zip(paths, made.test, strict=False):
                Image.fromarray(picture).save(path)
        else:
            paths = sorted(path for path in Path(arguments.images).iterdir() if path.is_file())
        fitted = (
            fit(made.train, Arguments(false_alarm_rate=0.05))
            if arguments.model is None
            else load_fitted(arguments.model)
        )
        assert isinstance(fitted, FittedGaussianModel), "a model with Gaussian sidewards models"
        print(
            f"{len(paths)} pictures, model of {'x'.join(map(str, fitted.picture_shape))}; ms: quartile, median, quartile"
        )
        for threads in arguments.threads or [1]:
            for name, times in milliseconds(replace(fitted, n_jobs=threads), paths, arguments.rounds).items():
                low, middle, high = np.percentile(times, [25, 50, 75])
                print(f"{threads} threads  {name:16} {low:7.2f} {middle:7.2f} {high:7.2f}")


if __name__ == "__main__":
    main()
