# SPDX-License-Identifier: BSD-3-Clause
"""How long a training will take, from short trials on some of its images.

What a fit does once takes a fixed time and a time for each image, or one that grows more slowly than images do: trials of two sizes
tell either, and what is expected lies between them. What it does step by step
(trees that correct those before, iterations of kernels) takes as much for every step: trials without steps and with some of them
tell that. A contrast is as fast as its sample of pairs is small, so that it is tried with all its trees, but for one fold of the
images. Samples of a fixed size, such as these pairs, are as small a share in a trial as its images are. A trial leaves no image
out: networks of folds are counted by the images that they learn from.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..bits.binarization import refuse_flat
from ..fit.folds import Folds
from ..fit.recipe import fit
from ..fit.settings import Arguments
from ..layers.contrast import LogRatio

# Images of the larger trial: so large a share of all that the trials together take a fraction of the fit, but within these.
# Of steps, few of which are tried, and of a contrast, of which one fold is, it can be larger. The smaller trial has a third of them.
ALL_OF_IT, SOME_STEPS, ONE_FOLD, FEWEST_IMAGES, MOST_IMAGES, SMALLER = 8, 3, 4, 256, 4096, 3
WARM = 64  # images of a trial that loads and allocates what the others find there
STEPS = 0.1  # share of the steps in a trial
# A trial is repeated so often, but not where it took longer than this; the quickest counts, as other programs run beside it.
TIMES, SECONDS = 3, 0.3
# How far beyond these a fit may be.
MARGIN = 0.2
STEEPEST = 1.3  # power of the number of images that times grow with


@dataclass(frozen=True)
class Part:
    """A part of a fit: its seconds on two numbers of images."""

    sizes: tuple[int, int]
    seconds: tuple[float, float]

    def line(self, n):
        """Seconds of n images by a fixed time and a time for each image."""
        (small, large), (few, many) = self.sizes, self.seconds
        each = max(0.0, many - few) / max(1, large - small)
        return max(0.0, many + each * (n - large))

    def power(self, n):
        """The same by a power of the number of images."""
        (small, large), (few, many) = self.sizes, self.seconds
        if not (small < large and 0 < few < many):
            return self.line(n)
        return many * (n / large) ** min(STEEPEST, math.log(many / few) / math.log(large / small))


@dataclass(frozen=True)
class Timed:
    """A fitted trial, and what it says of the time.

    Attributes
    ----------
    fitted : Fitted
    n_images : int
        Of the larger trial.
    folds : callable
        The Folds of a number of images.
    of_network, of_contrast : sequence of Part
        What a network takes, and the contrast of one fold.
    """

    fitted: object
    n_images: int
    folds: Callable[[int], Folds]
    of_network: tuple[Part, ...]
    of_contrast: tuple[Part, ...] = ()

    def seconds(self, sizes):
        """Expected seconds of fits of so many images each."""
        low, high = self._ends(sizes)
        return math.sqrt(low * high)

    def bounds(self, sizes):
        """(low, high) seconds."""
        low, high = self._ends(sizes)
        return low * (1 - MARGIN), high * (1 + MARGIN)

    def _ends(self, sizes):
        low = high = 0.0
        for n in sizes:
            folds = self.folds(n)
            for times, parts in ((_n_networks(folds), self.of_network), (max(1, folds.used), self.of_contrast)):
                for part in parts:
                    ends = part.line(n), part.power(n)
                    low, high = low + times * min(ends), high + times * max(ends)
        return low, high


def timed(arguments, images, settings):
    """Timed, from trials on the first of images.

    Parameters
    ----------
    arguments : Arguments or ClassifierArguments
    images : ImageSet
    settings : Settings
    """
    n_all, n_steps = len(images), _n_steps(settings)
    sizes = _sizes(n_all, SOME_STEPS if n_steps else ALL_OF_IT)
    # a classifier grows no networks but the ones, unless a contrast is to know what they have not seen
    held_out = isinstance(arguments, Arguments) or settings.contrast is not None

    def folds_of(n):
        return Folds.of(settings, n, held_out)

    def trial(n, steps):
        own = _part(arguments, settings, n / n_all, steps)
        return _quickest(lambda: fit(own, images.images[:n], held_out=False))

    trial(min(sizes[0], WARM), STEPS)
    without = [trial(n, 0.0) for n in sizes]
    fitted, parts, of_contrast = without[1][0], [Part(sizes, tuple(seconds for _, seconds in without))], ()
    if n_steps:
        longer = n_steps / _n_steps(_part(arguments, settings, 1.0, STEPS).resolve())
        some = [trial(n, STEPS) for n in sizes]
        fitted = some[1][0]
        of_steps = tuple(longer * max(0.0, own - bare) for (_, own), (_, bare) in zip(some, without))
        parts.append(Part(sizes, of_steps))
    if held_out:
        tried = images.images[: sizes[1]]
        refuse_flat(fitted.pixel_planes(tried), fitted.binarization, tried)  # as the fit will
    if settings.contrast is not None:
        own_sizes = _sizes(n_all, ONE_FOLD)
        seconds = tuple(_contrast_seconds(fitted, settings, images.images[:n], n / n_all) for n in own_sizes)
        of_contrast = (Part(own_sizes, seconds),)
    return Timed(fitted, sizes[1], folds_of, tuple(parts), of_contrast)


def _n_networks(folds):
    """The network of all images, and those without one part of them each as the shares of images that they learn from."""
    return 1 + (folds.used * (1 - 1 / folds.number) if folds.number else 0)


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
    parts = planes, planes
    if len(images) > 1:
        parts = planes.select(~held_out, threads), planes.select(held_out, threads)
    contrast, grid = settings.contrast.part(share, 1.0), fitted.network.geometries[0].grid()
    return _quickest(lambda: LogRatio.learned(contrast, grid, *parts, 0, threads))[1]


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
