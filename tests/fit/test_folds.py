# SPDX-License-Identifier: BSD-3-Clause
"""Folds: as many networks as have scores enough, and no more; in one process and in several places."""

from dataclasses import replace

import numpy as np
import pytest

import cbn
from cbn.bits.shards import LocalSource
from cbn.fit import folds as folding
from cbn.fit.folds import Folds
from cbn.fit.settings import resolve, snapshot
from cbn.fit.sharded import fit_shards
from helpers.images import blots

N = 301
IMAGES = blots(N, 9, seed=3)
SETTINGS = resolve(snapshot(cbn.ConvolutionalBayesianNetwork("tree").arguments()))


def of(n, *, rate=0.01, folds=3, held_out=True, preset="tree"):
    model = cbn.ConvolutionalBayesianNetwork(
        preset, false_alarm_rate=rate, **({"folds": folds} if preset == "tree" else {})
    )
    return Folds.of(resolve(snapshot(model.arguments())), n, held_out)


@pytest.mark.parametrize(
    "n, rate, number, used",
    [
        (2, 0.01, 2, 2),  # a fold for each image
        (1, 0.01, 0, 0),
        (100, 0.01, 3, 3),
        (3_748, 0.01, 3, 3),  # two folds of 1,250 and 1,250 images are enough, those of 1,250 and 1,249 are not
        (3_749, 0.01, 3, 2),
        (7_497, 0.01, 3, 2),
        (7_498, 0.01, 3, 1),
        (7_498, 0.5, 3, 1),  # as for 1 %
        (37_490, 0.001, 3, 3),
        (74_998, 0.001, 3, 1),
        (10**9, 0.01, 3, 1),
    ],
)
def test_folds_that_are_used(n, rate, number, used):
    own = of(n, rate=rate)
    assert (own.number, own.used, bool(own)) == (number, used, number > 0)
    assert own.n_scored <= n and (used == number or own.n_scored * min(rate, 0.01) >= 25)
    if number and n < 10**6:
        assert own.scored().sum() == own.n_scored == sum(int(own.part(fold).sum()) for fold in range(used))
        assert own.part(0)[:4].tolist() == [True, False, False, True][:n] or n == 2


def test_no_folds():
    assert not of(1000, held_out=False) and not of(1000, preset="pixel")


@pytest.fixture(params=[1, 2])
def used(request, monkeypatch):
    """So many of three folds are enough."""
    monkeypatch.setattr(folding, "ENOUGH_ALARMS", 0.01 * (request.param - 1) * N / 3 + 0.02)
    return request.param


def network(**more):
    return cbn.ConvolutionalBayesianNetwork("tree", folds=3, random_state=0, false_alarm_rate=0.1, n_jobs=2, **more)


def test_left_out_images_alone_set_the_threshold(used):
    model = network().fit(IMAGES)
    mask = np.arange(N) % 3 < used
    assert len(model.calibration_scores_) == mask.sum() and model.calibration_ == "cross-validation"
    expected = np.empty(N)
    for fold in range(used):
        own = np.arange(N) % 3 == fold
        other = network().fit(IMAGES[~own])
        scored = replace(model.fitted_, network=other.fitted_.network, judge=None)
        expected[own] = scored.score_samples(IMAGES[own])
    np.testing.assert_allclose(model.calibration_scores_, np.sort(expected[mask]), rtol=1e-12)
    np.testing.assert_allclose(model.judged_scores(IMAGES[::3]), expected[::3], rtol=1e-12)


def test_progress_counts_the_networks_that_are_grown(used):
    seen = []
    model = cbn.ConvolutionalBayesianNetwork("tree", cpd=cbn.Boosted(rounds=2, reach=2), folds=3, random_state=0)
    model.fit(IMAGES, progress=lambda *done: seen.append(done))
    done, total = seen[-1][:2]
    assert done == total == (1 + used) * 81


@pytest.mark.parametrize(
    "more",
    [{}, {"outlier_score": "standardized", "features": cbn.Features(layers=((3, 3, 1),), iterations=0)}],
    ids=["pixels", "layers"],
)
def test_the_same_bytes_of_images_in_several_places(used, more, tmp_path):
    network(**more).fit(IMAGES).save(tmp_path / "one.cbn")
    given = snapshot(network(**more).arguments())
    parts = LocalSource(np.split(IMAGES, (64, 201)), 2)
    fit_shards(given, resolve(given), parts, num_threads=2).save(tmp_path / "parts.cbn")
    assert (tmp_path / "parts.cbn").read_bytes() == (tmp_path / "one.cbn").read_bytes()
