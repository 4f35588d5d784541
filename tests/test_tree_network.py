# SPDX-License-Identifier: BSD-3-Clause
"""The estimator with trees and boosted trees: density, samples, inpainting, calibration, counts."""

import itertools
import pickle

import numpy as np
import pytest

import cbn
from cbn.boosted import Boosting

SMALL = Boosting(rounds=8, max_leaves=4, n_candidates=8, rate=0.3, min_hessian=0.5)
KINDS = [dict(preset="tree", max_leaves=8, folds=2), dict(preset="boosted", boosting=SMALL)]


def images_of(n, shape=(3, 3), seed=0, levels=2):
    """Images in which neighbours agree, of values 0 to levels - 1 spread over 0..255."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, levels, (n, *shape))
    for i in range(1, shape[0]):
        x[:, i] = np.where(rng.random((n, shape[1])) < 0.7, x[:, i - 1], x[:, i])
    return (x * 255 // max(1, levels - 1)).astype(np.uint8)


def every_image(shape, values=(0, 255)):
    grid = list(itertools.product(values, repeat=shape[0] * shape[1]))
    return np.array(grid, np.uint8).reshape(-1, *shape)


def fitted(kind, X, **more):
    return cbn.ConvolutionalBayesianNetwork(**({"random_state": 0, "false_alarm_rate": 0.2, "n_jobs": 1} | kind | more)).fit(X)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("values, thresholds", [((0, 255), 0.3), ((0, 128, 255), (0.3, 0.7))])
def test_probabilities_sum_to_one(kind, values, thresholds):
    X = images_of(200, (2, 3), levels=len(values))
    model = fitted(kind, X, threshold=thresholds)
    p = np.exp(model.score_samples(every_image((2, 3), values), "log_probability"))
    assert p.sum() == pytest.approx(1, abs=1e-9) and (p > 0).all()
    assert len(np.unique(p.round(12))) > 10  # not a uniform distribution


@pytest.mark.parametrize("kind", KINDS)
def test_samples_have_the_model_s_probabilities(kind):
    model = fitted(kind, images_of(300))
    every = every_image((3, 3))
    p = np.exp(model.score_samples(every, "log_probability"))
    n = 20_000
    drawn = model.sample(n, random_state=3).reshape(n, -1) > 0
    index = drawn @ (2 ** np.arange(8, -1, -1))
    observed = np.bincount(index, minlength=512)
    expected = n * p
    large = expected > 5
    statistic = ((observed - expected)[large] ** 2 / expected[large]).sum()
    degrees = large.sum()
    assert statistic < degrees + 6 * np.sqrt(2 * degrees)


@pytest.mark.parametrize("kind", KINDS)
def test_inpainting_samples_the_true_conditional(kind):
    """Pixels are known before and after the missing ones in raster order."""
    model = fitted(kind, images_of(300))
    image = np.array([[255, 0, 255], [0, 0, 0], [255, 255, 0]], np.uint8)
    mask = np.zeros((3, 3), bool)
    mask[0, 1] = mask[1, 0] = mask[1, 1] = mask[1, 2] = True
    every = every_image((3, 3))
    fits = (every == image)[:, ~mask].all(axis=1)
    p = np.exp(model.score_samples(every[fits], "log_probability"))
    exact = np.tensordot(p / p.sum(), every[fits] / 255, axes=1)
    found = model.inpaint(image, mask, n=64, random_state=1)
    assert (found.samples[:, ~mask] == image[~mask]).all()
    np.testing.assert_allclose(found.mean, exact, atol=0.04)
    prior = np.tensordot(np.exp(model.score_samples(every, "log_probability")), every / 255, axes=1)
    assert np.abs(exact - prior)[mask].max() > 0.06  # a sampler that ignores what is known fails


@pytest.mark.parametrize("preset", ["tree", "boosted", "best"])
def test_maps_sum_to_the_surprise(preset):
    X = images_of(80, (14, 14))
    kind = {"boosting": SMALL} if preset == "boosted" else {}
    if preset == "best":
        kind = {"hidden": ((3, 2, 2),)}
    model = fitted({"preset": preset, **kind}, X)
    np.testing.assert_allclose(model.surprise_map(X).sum(axis=(1, 2)), -model.score_samples(X, "surprise"), rtol=1e-9)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
    assert np.isfinite(model.heat_map_scale()) and len(model.explain(X[0], 4)) == 4


def test_calibration_scores_come_from_networks_without_the_image():
    X = images_of(60, (4, 4))
    model = fitted(KINDS[0], X, score="log_probability", folds=3)
    assert model.calibration_ == "cross-validation"
    expected = []
    for fold in range(3):
        own = np.arange(len(X)) % 3 == fold
        other = fitted(KINDS[0], X[~own], score="log_probability")
        expected += other.score_samples(X[own]).tolist()
    np.testing.assert_allclose(model.calibration_scores_, np.sort(expected), rtol=1e-12)


def test_images_are_added_to_the_counts_of_trees():
    A, B = images_of(80, seed=1), images_of(50, seed=2)
    model = fitted(KINDS[0], A)
    before, split = model.counts_.copy(), model.layer_.split
    model.partial_fit(B)
    assert model.layer_.split is split and model.n_images_ == 130 and model.calibration_ == "separate images"
    roots = model.layer_.begin[:-1]
    np.testing.assert_array_equal((model.counts_ - before)[roots, 1], (B > 0).reshape(50, -1).sum(axis=0))


def test_boosted_trees_take_no_more_images():
    model = fitted(KINDS[1], images_of(80))
    with pytest.raises(ValueError, match="partial_fit: boosted trees"):
        model.partial_fit(images_of(10))
    with pytest.raises(ValueError, match="no Gibbs sampler"):
        model.sample(2, method="gibbs", n_steps=10)


@pytest.mark.parametrize("kind", KINDS)
def test_threads_and_repetition_do_not_matter(kind):
    X = images_of(150, (5, 6))
    first, second = fitted(kind, X), fitted(kind, X, n_jobs=2)
    second.set_params(n_jobs=2)
    np.testing.assert_array_equal(first.score_samples(X), second.score_samples(X))
    np.testing.assert_array_equal(first.sample(40, random_state=1), second.sample(40, random_state=1))
    assert first.offset_ == second.offset_


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("X", [images_of(1), images_of(2), np.zeros((5, 3, 3), np.uint8), images_of(9, (4, 1))])
@pytest.mark.filterwarnings("ignore::cbn.exceptions.CalibrationWarning")
def test_tiny_data(kind, X):
    model = fitted(kind, X)
    assert np.isfinite(model.score_samples(X)).all()
    assert model.sample(3, random_state=0).shape == (3, *X.shape[1:])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"preset": "tree", "offsets": ((0, -1),)}, "offsets: .*for cpd 'table'"),
        ({"reach": 3}, "reach: 3 is for cpd 'tree' or 'boosted'"),
        ({"preset": "tree", "boosting": SMALL}, "boosting: "),
        ({"preset": "tree", "reach": 0}, "reach: 0"),
        ({"preset": "tree", "max_leaves": 1}, "max_leaves: 1"),
        ({"preset": "tree", "shrinkage": 0}, "shrinkage: 0"),
        ({"preset": "boosted", "hidden": ((2, 2, 1),)}, "hidden: boosted trees are for pixels alone"),
        ({"cpd": "forest"}, "cpd: 'forest'"),
        ({"threshold": "grey"}, "threshold: 'grey'"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        cbn.ConvolutionalBayesianNetwork(**arguments).fit(images_of(20))
    assert "\n" not in str(caught.value)


def test_thresholds_suit_the_images():
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (40, 6, 6)).astype(np.uint8)
    pen = np.where(grey > 128, 255, 0).astype(np.uint8)
    for X, n in ((grey, 4), (pen, 1), (pen > 0, 1), (grey / 255, 4)):
        model = fitted({"preset": "tree", "threshold": "auto"}, X)
        assert len(model.binarizer_.thresholds) == n
