# SPDX-License-Identifier: BSD-3-Clause
"""How long a training will take, from short trials on some of its images.

What a fit does once takes a fixed time and a time for each image: trials of two sizes tell both. What it does step by step
(trees that correct those before, iterations of kernels) takes as much for every step: trials without steps and with some of them
tell that. A contrast is as fast as its sample of pairs is small, so that it is tried with all its trees, but for one fold of the
images. Samples of a fixed size, such as these pairs, are as small a share in a trial as its images are.
"""

import time
from dataclasses import dataclass

import numpy as np

from ..fit.recipe import fit
from ..fit.settings import Arguments
from ..layers.contrast import LogRatio

# Images of the larger trial: so large a share of all that the trials together take a fraction of the fit, but within these.
# Of steps, few of which are tried, and of a contrast, of which one fold is, it can be larger. The smaller trial has a third of them.
ALL_OF_IT, PART_OF_IT, FEWEST_IMAGES, MOST_IMAGES, SMALLER = 8, 3, 256, 4096, 3
WARM = 64  # images of a trial that loads and allocates what the others find there
STEPS = 0.1  # share of the steps in a trial
# A trial is repeated so often, but not where it took longer than this; the quickest counts, as other programs run beside it.
TIMES, SECONDS = 3, 0.3
# How far from what is expected a fit may be.
MARGIN = 0.3


@dataclass(frozen=True)
class Timed:
    """A fitted trial, and what it says of the time.

    Attributes
    ----------
    fitted : Fitted
    n_images : int
        Of the larger trial.
    lines : sequence of (float, float)
        Of every part of a fit: seconds that it takes for no image, and for each image.
    """

    fitted: object
    n_images: int
    lines: tuple[tuple[float, float], ...]

    def seconds(self, sizes):
        """Expected seconds of fits of so many images each."""
        return sum(max(0.0, fixed + each * n) for n in sizes for fixed, each in self.lines)

    def bounds(self, sizes):
        """(low, high) seconds."""
        seconds = self.seconds(sizes)
        return seconds * (1 - MARGIN), seconds * (1 + MARGIN)


def timed(arguments, images, settings):
    """Timed, from trials on the first of images.

    Parameters
    ----------
    arguments : Arguments or ClassifierArguments
    images : ImageSet
    settings : Settings
    """
    n_all, n_steps = len(images), _n_steps(settings)
    sizes = _sizes(n_all, PART_OF_IT if n_steps else ALL_OF_IT)
    # a classifier grows no networks but the ones, unless a contrast is to know what they have not seen
    held_out = isinstance(arguments, Arguments) or settings.contrast is not None

    def trial(n, steps):
        own = _part(arguments, settings, n / n_all, steps)
        return _quickest(lambda: fit(own, images.images[:n], held_out=held_out))

    trial(min(sizes[0], WARM), STEPS)
    without = [trial(n, 0.0) for n in sizes]
    fitted, lines = without[1][0], [_line(sizes, [seconds for _, seconds in without])]
    if n_steps:
        longer = n_steps / _n_steps(_part(arguments, settings, 1.0, STEPS).resolve())
        some = [trial(n, STEPS) for n in sizes]
        fitted = some[1][0]
        of_steps = [longer * max(0.0, own - bare) for (_, own), (_, bare) in zip(some, without)]
        lines.append(_line(sizes, of_steps))
    if settings.contrast is not None:
        n_folds, own_sizes = max(1, settings.folds), _sizes(n_all, PART_OF_IT)
        of_folds = [n_folds * _contrast_seconds(fitted, settings, images.images[:n], n / n_all) for n in own_sizes]
        lines.append(_line(own_sizes, of_folds))
    return Timed(fitted, sizes[1], tuple(lines))


def _sizes(n_all, share):
    """(small, large) numbers of images."""
    large = min(n_all, MOST_IMAGES, max(FEWEST_IMAGES, n_all // share))
    return max(1, large // SMALLER), large


def _quickest(run):
    """(what it returns, least seconds)."""
    least, spent = np.inf, 0.0
    for _ in range(TIMES):
        start = time.perf_counter()
        found = run()
        seconds = time.perf_counter() - start
        least, spent = min(least, seconds), spent + seconds
        if spent > SECONDS:
            break
    return found, least


def _contrast_seconds(fitted, settings, images, share):
    """Seconds of the contrast of images without one fold, and of the scores of that fold."""
    planes, threads = fitted.pixel_planes(images), fitted.threads
    held_out = np.arange(len(images)) % max(2, settings.folds) == 0
    parts = planes.select(~held_out, threads), planes.select(held_out, threads)
    contrast, grid = settings.contrast.part(share, 1.0), fitted.network.geometries[0].grid()
    return _quickest(lambda: LogRatio.learned(contrast, grid, *parts, 0, threads))[1]


def _line(sizes, seconds):
    """(at no image, for each image) of the line through the seconds of two sizes; more images never take less."""
    each = max(0.0, seconds[1] - seconds[0]) / max(1, sizes[1] - sizes[0])
    return seconds[1] - each * sizes[1], each


def _n_steps(settings):
    """Steps of a fit that follow one another, but for those of a contrast."""
    return settings.cpd.n_steps() + (settings.features.n_steps() if settings.features.layers else 0)


def _part(arguments, settings, images, steps):
    """Arguments of a trial with a share of the images and of the steps, and without a contrast."""
    return Arguments(
        preset=arguments.preset, cpd=settings.cpd.part(images, steps),
        features=settings.features.part(images, steps).replaced(replace_worst=0), contrast=False,
        threshold=settings.threshold, score=None if settings.contrast else settings.score,
        folds=None if settings.kind.leaves_one_out else settings.folds, shift=settings.shift,
        false_alarm_rate=0.5,  # a small set has its own threshold
        full_scale=settings.full_scale, n_jobs=arguments.n_jobs, random_state=arguments.random_state,
    )  # fmt: skip
