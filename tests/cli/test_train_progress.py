# SPDX-License-Identifier: BSD-3-Clause
"""The bar of cbn-train counts what takes the time, the contrast included."""

import argparse

import pytest

import cbn
from cbn.cli import _jobs as jobs
from cbn.cli._train_fit import Progress
from cbn.fit.recipe import fit
from cbn.fit.settings import Arguments
from helpers import programs as cli

CONTRAST = cbn.Contrast(rounds=20, background_rounds=10, pairs=2048, background_pairs=1024)
FEATURES = cbn.Features(layers=((4, 2, 2),), iterations=3)


class Bar:
    """Where a bar stands after every move."""

    disable, initial, n = False, 0, 0

    def __init__(self, total, unit):
        self.total, self.unit, self.places = total, unit, []

    def update(self, n):
        self.n += n
        self.places.append(self.n)

    def __getattr__(self, name):  # what a bar draws
        return lambda *_, **__: None


@pytest.fixture
def shown(monkeypatch):
    def progress(_, arguments, total, unit, description):
        return Bar(total, unit)

    monkeypatch.setattr(jobs.common, "progress", progress)


@pytest.mark.parametrize(
    ("arguments", "total", "before", "unit"),
    [
        # 30 trees, of both folds together, after 4 iterations, of which the last has no kernel step
        ({"preset": "best", "features": FEATURES}, 34, 4, "step"),
        ({"preset": "best", "features": cbn.Features()}, 30, 0, "tree"),
        ({"preset": "tied", "cpd": cbn.Tied(rounds=8, pairs=2048)}, 8, 0, "tree"),
    ],
    ids=["features", "trees", "tied"],
)  # fmt: skip
def test_the_bar_counts_the_trees_of_a_contrast(shown, arguments, total, before, unit):
    arguments = Arguments(contrast=CONTRAST, folds=2, false_alarm_rate=0.5, **arguments)
    reported = []
    with Progress(argparse.Namespace(quiet=False), arguments.resolve(), 1, (20, 20)) as progress:
        bar = progress.bar

        def told(*state):
            progress(*state)
            reported.append((state, bar.n))

        fit(arguments, cli.digit_images(40), progress=told)
        assert (bar.total, bar.unit) == (total, unit)
        assert bar.places == sorted(bar.places) and bar.places[-1] == total
        numbers = [(state, place) for state, place in reported if len(state) == 2]
        assert len({in_all for (_, in_all), _ in numbers}) == 1
        assert [done for (done, _), _ in numbers] == sorted(done for (done, _), _ in numbers)
        assert {place for (done, in_all), place in numbers if done < in_all / 2} <= set(
            range(before, before + total // 2 + 1)
        )
        assert numbers[-1][0][0] == numbers[-1][0][1]
        progress.end()
    assert bar.n == total


def test_several_models(shown):
    arguments = Arguments(preset="best", features=FEATURES, contrast=CONTRAST, folds=2, false_alarm_rate=0.5)
    with Progress(argparse.Namespace(quiet=False), arguments.resolve(), 2, (20, 20)) as progress:
        for number in range(2):
            fit(arguments, cli.digit_images(40), progress=progress)
            progress.end()
            assert progress.bar.n == (number + 1) * 34
    assert progress.bar.places == sorted(progress.bar.places) and progress.bar.total == 68
