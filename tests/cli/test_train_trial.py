# SPDX-License-Identifier: BSD-3-Clause
"""How long a training will take: what the trials do, by a clock that counts work."""

from collections import Counter

import numpy as np
import pytest

import cbn
from cbn.bits.planes import BitPlanes
from cbn.cli import _train_trial as trials
from cbn.cpd.boosted_cpd import BoostedCPD
from cbn.cpd.tied import TiedCPD
from cbn.cpd.tree import TreeCPD
from cbn.fit import recipe
from cbn.fit.classifier import ClassifierArguments
from cbn.fit.settings import Arguments
from helpers import programs as cli

N = 9000


class Images:
    """As many images as are asked for, of one pixel each."""

    def __init__(self, n):
        self.images = np.zeros((n, 1, 1), np.uint8)

    def __len__(self):
        return len(self.images)


class Fake:
    """Fits and contrasts that take the seconds that their sizes say, and the first one some more."""

    threads = 1

    def __init__(self, monkeypatch, fit_seconds, contrast_seconds=None):
        self.now, self.calls, self.fit_seconds, self.contrast_seconds = 100.0, [], fit_seconds, contrast_seconds
        self.network = (
            cbn.ConvolutionalBayesianNetwork("pixel", false_alarm_rate=0.5)
            .fit(cli.grey_images(8, 4, 4))
            .fitted_.network
        )
        monkeypatch.setattr(trials, "time", self)
        monkeypatch.setattr(trials, "fit", self.fit)
        monkeypatch.setattr(trials.LogRatio, "learned", self.learned)

    def perf_counter(self):
        return self.now

    def fit(self, arguments, images, held_out):
        first = not self.calls
        self.calls.append((arguments, len(images), held_out))
        self.now += self.fit_seconds(len(images), arguments.resolve()) + 1000 * first
        return self

    def pixel_planes(self, images):
        return BitPlanes.empty(1, len(images))

    def learned(self, contrast, grid, counted, held_out, seed, threads):
        self.now += self.contrast_seconds(counted.n_images, held_out.n_images, contrast)


@pytest.mark.parametrize("steps", [1, 7, 20, 333])
def test_every_part_is_scaled_by_what_it_scales_with(monkeypatch, steps):
    """A fixed part and one by images, for what is done once and for every round; rows are as large a share as images."""

    def seconds(n, settings):
        rounds, pairs = settings.cpd.rounds, settings.cpd.pairs
        return 0.5 + 0.001 * n + rounds * (0.02 + 0.0001 * n + 1e-6 * pairs)

    arguments = Arguments(preset="tied", cpd=cbn.Tied(rounds=steps, pairs=900_000))
    Fake(monkeypatch, seconds)
    found = trials.timed(arguments, Images(N), arguments.resolve())
    whole = seconds(N, arguments.resolve())
    assert found.seconds([N]) == pytest.approx(whole, rel=1e-3)
    assert found.seconds([N, N]) == pytest.approx(2 * whole, rel=1e-3)
    low, high = found.bounds([N])
    assert low < whole < high


def test_iterations_of_kernels_are_steps(monkeypatch):
    arguments = Arguments(preset="hidden")
    Fake(monkeypatch, lambda n, settings: 0.1 + 1e-4 * n + settings.features.iterations * (0.01 + 1e-5 * n))
    found = trials.timed(arguments, Images(N), arguments.resolve())
    assert found.seconds([N]) == pytest.approx(0.1 + 0.9 + 50 * 0.1, rel=1e-3)


def test_a_contrast_is_timed_by_one_fold_and_counted_for_all(monkeypatch):
    def contrast_seconds(counted, held_out, contrast):
        assert contrast.rounds == 150 and contrast.background_rounds == 40
        return 0.3 + 1e-4 * counted + 1e-3 * held_out + 1e-6 * contrast.pairs

    for folds in (2, 5):
        arguments = Arguments(preset="best", folds=folds)
        fake = Fake(monkeypatch, lambda n, settings: 1 + 1e-3 * n, contrast_seconds)
        found = trials.timed(arguments, Images(N), arguments.resolve())
        own = contrast_seconds(N - N // folds, N // folds, arguments.resolve().contrast)
        assert found.seconds([N]) == pytest.approx(1 + 9 + folds * own, rel=1e-2)
        assert all(not call[0].contrast and call[2] for call in fake.calls)


def test_what_is_never_done_is_not_tried(monkeypatch):
    """A classifier holds nothing out; without steps there is no trial of them."""
    arguments = ClassifierArguments(preset="tree")
    fake = Fake(monkeypatch, lambda n, settings: 1e-3 * n)
    trials.timed(arguments, Images(N), arguments.resolve())
    assert [held_out for _, _, held_out in fake.calls] == [False] * 3
    assert sorted({n for _, n, _ in fake.calls}) == [trials.WARM, N // 8 // 3, N // 8]


def test_times_that_cannot_be_are_none(monkeypatch):
    """Where more images were quicker, as beside another program, nothing becomes negative."""
    arguments = Arguments(preset="tree")
    Fake(monkeypatch, lambda n, settings: 2.0 if n < N // 8 else 1.0)
    assert trials.timed(arguments, Images(N), arguments.resolve()).seconds([N, 3]) == 2.0


@pytest.mark.parametrize("preset", ["tied", "best", "hidden", "boosted", "tree"])
def test_trials_do_a_fraction_of_the_work(monkeypatch, preset):
    """Images times steps, of every kind: at most a third of those of the fit, where no trial is so short that it is repeated."""
    work = Counter()

    def counting(kind):
        learn = kind.learn

        def counted(parameters, task):
            work[kind] += task.planes.n_images * max(1, parameters.n_steps())
            return learn(parameters, task)

        monkeypatch.setattr(kind, "learn", counted)

    for kind in (TiedCPD, BoostedCPD, TreeCPD):
        counting(kind)
    train = recipe.train_features

    def trained(settings, start, geometries, planes, *arguments, **others):
        work["iterations"] += planes.n_images * settings.features.iterations
        return train(settings, start, geometries, planes, *arguments, **others)

    monkeypatch.setattr(recipe, "train_features", trained)
    monkeypatch.setattr(trials, "FEWEST_IMAGES", 32)
    monkeypatch.setattr(trials, "TIMES", 1)
    small = {
        "tied": {"cpd": cbn.Tied(rounds=20, pairs=4096)},
        "boosted": {"cpd": cbn.Boosted(rounds=20)},
        "best": {
            "contrast": cbn.Contrast(rounds=20, background_rounds=20, pairs=4096, background_pairs=4096),
            "features": cbn.Features(layers=((4, 2, 2),), iterations=0),
        },
        "hidden": {"features": cbn.Features(layers=((3, 3, 2),), iterations=10)},
    }
    arguments = Arguments(preset=preset, **small.get(preset, {}))
    images = Images(0)
    images.images = cli.digit_images(600)
    trials.timed(arguments, images, arguments.resolve())
    tried = Counter(work)
    work.clear()
    recipe.fit(arguments, images.images)
    assert +work and set(+tried) == set(+work)
    for kind, amount in work.items():
        assert tried[kind] <= amount / 3, kind
