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
from cbn.fit import folds, recipe
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

    threads, binarization = 1, None

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
        monkeypatch.setattr(trials, "refuse_flat", lambda *_: None)

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


def highest(found, n):
    """What is expected if times are a fixed part and one for each image, as in these tests."""
    return found.bounds([n])[1] / (1 + trials.MARGIN)


def test_times_may_grow_more_slowly_than_images(monkeypatch):
    arguments = Arguments(preset="pixel")
    Fake(monkeypatch, lambda n, settings: 0.01 * n**0.6)
    low, high = trials.timed(arguments, Images(N), arguments.resolve()).bounds([N])
    assert low / (1 - trials.MARGIN) == pytest.approx(0.01 * N**0.6) and high > 0.01 * N**0.6


@pytest.mark.parametrize("steps", [1, 7, 20, 333])
def test_every_part_is_scaled_by_what_it_scales_with(monkeypatch, steps):
    """A fixed part and one by images, for what is done once and for every round; rows are as large a share as images.

    Of so many images one half is left out, of those of a trial none.
    """

    def seconds(n, settings):
        rounds, pairs = settings.cpd.rounds, settings.cpd.pairs
        n_networks = 1.5 if n >= 5000 else 1
        return n_networks * (0.5 + 0.001 * n + rounds * (0.02 + 0.0001 * n + 1e-6 * pairs))

    arguments = Arguments(preset="tied", cpd=cbn.Tied(rounds=steps, pairs=900_000))
    Fake(monkeypatch, seconds)
    found = trials.timed(arguments, Images(N), arguments.resolve())
    whole = seconds(N, arguments.resolve())
    assert highest(found, N) == pytest.approx(whole, rel=1e-3)
    low, high = found.bounds([N])
    assert 0 < low < found.seconds([N]) < whole < high
    assert found.bounds([N, N]) == pytest.approx((2 * low, 2 * high))


def test_iterations_of_kernels_are_steps(monkeypatch):
    arguments = Arguments(preset="hidden")
    Fake(monkeypatch, lambda n, settings: 0.1 + 1e-4 * n + settings.features.iterations * (0.01 + 1e-5 * n))
    found = trials.timed(arguments, Images(N), arguments.resolve())
    assert highest(found, N) == pytest.approx(0.1 + 0.9 + 50 * 0.1, rel=1e-3)


def test_a_contrast_is_timed_by_one_fold_and_counted_for_all_that_are_left_out(monkeypatch):
    def contrast_seconds(counted, held_out, contrast):
        assert contrast.rounds == 150 and contrast.background_rounds == 40
        return 0.3 + 1e-4 * counted + 1e-3 * held_out + 1e-6 * contrast.pairs

    for number, used in ((2, 1), (6, 2)):  # until 2,500 images are left out
        arguments = Arguments(preset="best", folds=number)

        def fit_seconds(n, settings, number=number, used=used):
            return (1 + (used * (1 - 1 / number) if n == N else 0)) * (1 + 1e-3 * n)

        fake = Fake(monkeypatch, fit_seconds, contrast_seconds)
        found = trials.timed(arguments, Images(N), arguments.resolve())
        own = contrast_seconds(N - N // number, N // number, arguments.resolve().contrast)
        assert highest(found, N) == pytest.approx(fit_seconds(N, None) + used * own, rel=1e-2)
        assert not any(own.contrast or held_out for own, _, held_out in fake.calls)


def test_what_is_never_done_is_not_tried(monkeypatch):
    """Without steps there is no trial of them, and nothing is held out."""
    arguments = ClassifierArguments(preset="tree")
    fake = Fake(monkeypatch, lambda n, settings: 1e-3 * n)
    trials.timed(arguments, Images(N), arguments.resolve())
    assert [held_out for _, _, held_out in fake.calls] == [False] * 3
    assert sorted({n for _, n, _ in fake.calls}) == [trials.WARM, N // 8 // 3, N // 8]


def test_times_that_cannot_be_are_none(monkeypatch):
    """Where more images were quicker, as beside another program, nothing becomes negative."""
    arguments = Arguments(preset="pixel")
    Fake(monkeypatch, lambda n, settings: 2.0 if n < N // 8 else 1.0)
    assert trials.timed(arguments, Images(N), arguments.resolve()).seconds([N, 3]) == 2.0
    for few, many in ((0.0, 0.0), (0.0, 1.0), (5.0, 1.0), (1e-9, 1.0)):
        part = trials.Part((3, 9), (few, many))
        assert all(0 <= seconds < 100 for n in (1, 9, 90) for seconds in (part.line(n), part.power(n)))


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("preset", ["pixel", "tree", "tied", "best"])
def test_few_images(preset, n, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("few.npy", cli.digit_images(n, side=28))
    found = cli.done("cbn-train", "--data", "few.npy", "--preset", preset, "--dry-run", "--json", "--quiet").json()
    low, high = found["expected_fit_seconds_range"]
    assert found["n_train"] == n and 0 <= low <= found["expected_fit_seconds"] <= high


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
    monkeypatch.setattr(folds, "ENOUGH_ALARMS", 2)  # one half of the images is left out
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
