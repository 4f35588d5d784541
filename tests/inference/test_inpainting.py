# SPDX-License-Identifier: BSD-3-Clause
"""Inpainting without chains: against the enumeration of all images, whether it is exact, and when it stops."""

import warnings
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

import cbn
from cbn import MixingWarning
from cbn.inference.inpainting import ExactReport, ParticleReport
from cbn.inference.mixing import MixingReport
from helpers.distributions import assert_distributed, numbers
from helpers.networks import Boosting, Network

KINDS = {
    "pixel": {"pseudocount": 0.5},
    "tree": {"reach": 3, "shrinkage": 2.0},
    "boosted": {"boosting": Boosting(rounds=8, rate=0.5), "reach": 3},
    "tied": {"cpd": cbn.Tied(radius=2, pairs=4000, rounds=8, max_leaves=4, rate=0.5, corrections=2)},
}
HOLES = {
    "top": np.s_[:2, :], "bottom": np.s_[2:, :], "left": np.s_[:, :2], "right": np.s_[:, 1:], "centre": np.s_[1:3, 1:2],
    "all": np.s_[:, :], "first": np.s_[0, 0], "last": np.s_[-1, -1],
}  # fmt: skip
SHAPE = 4, 3


def pictures(n=250, shape=SHAPE, seed=0):
    """Pixels that follow the one above or to the left."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, *shape)) < 0.4
    for i in range(shape[0]):
        for j in range(shape[1]):
            keep = rng.random(n) < 0.75
            x[:, i, j] = np.where(keep, x[:, i - 1, j] if i else x[:, i, max(j - 1, 0)], x[:, i, j])
    return x


@cache
def fitted(kind, shape=SHAPE):
    return Network(kind, **KINDS[kind], false_alarm_rate=0.5, random_state=0, n_jobs=1).fit(pictures(shape=shape))


@cache
def enumerated(kind):
    """All images (k, height, width), and their probabilities."""
    n_pixels = SHAPE[0] * SHAPE[1]
    every = (np.arange(2**n_pixels)[:, None] >> np.arange(n_pixels)[::-1] & 1).reshape(-1, *SHAPE).astype(bool)
    return every, np.exp(fitted(kind).score_samples(every, "log_probability"))


def hole(name, shape=SHAPE):
    mask = np.zeros(shape, bool)
    mask[HOLES[name]] = True
    return mask


@pytest.mark.parametrize("name", HOLES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_posterior_is_that_of_the_enumeration(kind, name):
    """Of an image that is improbable given the missing part of another: later pixels matter."""
    model, (every, p), mask = fitted(kind), enumerated(kind), hole(name)
    for image in pictures(3, seed=5):
        agree = (every == image)[:, ~mask].all(axis=1)
        conditional = p[agree] / p[agree].sum()
        with warnings.catch_warnings():
            warnings.simplefilter("error", MixingWarning)
            found = model.inpaint(image, mask, n=4000, random_state=1)
        assert found.mixing.mixed
        np.testing.assert_allclose(found.mean, np.tensordot(conditional, every[agree], 1), atol=0.035)
        assert (found.samples[:, ~mask] == image[~mask]).all() and (found.mean[~mask] == image[~mask]).all()
        if len(conditional) > 8:  # draws of a pool of particles, a little more alike than independent ones
            order = np.argsort(numbers(every[agree][:, mask].astype(int), 2))
            some = numbers(found.samples[:400, mask].astype(int), 2)
            assert_distributed(some, conditional[order])


@pytest.mark.parametrize("kind", KINDS)
def test_exact_where_no_known_pixel_depends_on_a_missing_one(kind):
    model, image = fitted(kind), pictures(1, seed=5)[0]
    for name in ("bottom", "all", "last"):
        found = model.inpaint(image, hole(name), random_state=0)
        assert isinstance(found.mixing, ExactReport) and found.mixing.mixed
        assert found.mixing.summary().startswith("exact: ") and found.mixing.to_dict()["exact"]
    for name in ("top", "left", "first"):
        found = model.inpaint(image, hole(name), random_state=0)
        assert isinstance(found.mixing, ParticleReport) and found.mixing.mixed


def test_exact_beyond_the_reach_of_what_is_missing():
    """The pixels of the last rows come later, but two rows further down no table asks for a missing one."""
    model = fitted("pixel", (5, 3))
    image, mask = pictures(1, (5, 3))[0], np.zeros((5, 3), bool)
    mask[3:, 1:] = True
    assert not isinstance(model.inpaint(image, mask, random_state=0).mixing, ExactReport)  # (4, 0) asks for (3, 1)
    mask[3, 1] = False
    mask[4, 0] = True
    assert isinstance(model.inpaint(image, mask, random_state=0).mixing, ExactReport)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_do_not_depend_on_how_many_there_are_or_on_threads(kind):
    model, image = fitted(kind), pictures(1, seed=5)[0]
    for name in ("top", "bottom"):
        many = model.set_params(n_jobs=3).inpaint(image, hole(name), n=90, random_state=4)
        few = model.set_params(n_jobs=1).inpaint(image, hole(name), n=20, random_state=4)
        np.testing.assert_array_equal(few.samples, many.samples[:20])
        np.testing.assert_array_equal(few.mean, many.mean)
        other = model.inpaint(image, hole(name), n=90, random_state=5)
        assert (other.samples != many.samples).any()


@pytest.mark.parametrize("kind", KINDS)
def test_progress_and_the_most_particles(kind):
    """A posterior that a few hundred particles cannot show."""
    model, image = fitted(kind, (9, 8)), np.zeros((9, 8), bool)
    mask, said = np.ones((9, 8), bool), []
    image[5:, ::2] = mask[5:] = image[8, :] = False
    image[6:, 1::2] = True
    with pytest.warns(MixingWarning, match="n_particles above 64"):
        few = model.inpaint(image, mask, n_particles=64, random_state=0, progress=lambda *a: said.append(a))
    assert few.mixing.n_particles == 64 and not few.mixing.mixed
    assert "NOT enough" in few.mixing.summary() and few.mixing.to_dict()["mixed"] is False
    assert said == [(8 * i, 64) for i in range(1, 9)]
    said.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MixingWarning)
        more = model.inpaint(image, mask, n_particles=40_000, random_state=0, progress=lambda *a: said.append(a))
    assert 64 < more.mixing.n_particles <= 40_000 and more.mixing.ess > few.mixing.ess
    assert all(a[0] < b[0] for a, b in pairwise(said)) and said[-1][0] == more.mixing.n_particles <= said[-1][1]


def test_chains_where_they_are_asked_for():
    model, image = fitted("pixel"), pictures(1, seed=5)[0]
    said = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MixingWarning)
        for arguments in ({"n_sweeps": 50}, {"temperature": 0.5, "n_sweeps": 50}, {"temperature": 0}):
            found = model.inpaint(image, hole("top"), random_state=0, progress=lambda *a: said.append(a), **arguments)
            assert isinstance(found.mixing, MixingReport)
            assert said[-1][0] == said[-1][1]
            with pytest.raises(ValueError, match="^n_particles: 100; .*chains"):
                model.inpaint(image, hole("top"), n_particles=100, **arguments)
    for value in (0, 63, -1, 100.0, "100", True):
        with pytest.raises(ValueError, match="^n_particles: "):
            model.inpaint(image, hole("top"), n_particles=value)


def test_trees_with_hidden_layers_fill_in_by_the_pixels_alone():
    x = pictures(60, (8, 8))
    model = cbn.ConvolutionalBayesianNetwork(
        "best", features=cbn.Features(layers=((3, 2, 2),), iterations=0), random_state=0, n_jobs=1,
        false_alarm_rate=0.5, threshold=0.3,
    ).fit(x)  # fmt: skip
    mask = np.zeros((8, 8), bool)
    mask[4:] = True
    assert isinstance(model.inpaint(x[0], mask, random_state=0).mixing, ExactReport)
