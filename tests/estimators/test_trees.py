# SPDX-License-Identifier: BSD-3-Clause
"""The estimator with trees and boosted trees against the enumeration of all images of a small size."""

import copy
import itertools
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2
from sklearn.base import clone

import cbn
from cbn import DataError, MixingWarning
from helpers.networks import Boosting, Network

SMALL = {"n_jobs": 1, "random_state": 0, "false_alarm_rate": 0.5}
QUICK = {"tree": {"reach": 3}, "boosted": {"boosting": Boosting(rounds=8, rate=0.5), "reach": 3}}


def images_of(n, height, width, seed=0):
    """(n, height, width) uint8 of grey values, neighbours depending strongly on each other."""
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(-60, 61, (n, height, 1)), rng.integers(-60, 61, (n, 1, width))
    base = rng.integers(0, 256, (n, 1, 1))
    return np.clip(base + rows + columns + rng.integers(-40, 41, (n, height, width)), 0, 255).astype(np.uint8)


def every_image(model):
    """All pictures of a model, (levels^pixels, height, width) uint8."""
    height, width = model.image_shape_
    levels = model.binarizer_.level_values()
    return np.array(list(itertools.product(levels, repeat=height * width)), np.uint8).reshape(-1, height, width)


def probabilities(model, images):
    return np.exp(model.score_samples(images, "log_probability"))


def fitted(preset, shape=(3, 3), n=300, **arguments):
    return Network(preset, **SMALL | QUICK[preset] | arguments).fit(images_of(n, *shape))


@pytest.mark.parametrize("preset", QUICK)
@pytest.mark.parametrize("shape, threshold", [((3, 3), 0.3), ((2, 4), 0.5), ((8, 1), 0.3), ((1, 1), 0.3),
                                              ((2, 3), (0.2, 0.6)), ((2, 2), (0.1, 0.4, 0.7))])  # fmt: skip
def test_the_density_is_normalized(preset, shape, threshold):
    model = fitted(preset, shape, threshold=threshold)
    p = probabilities(model, every_image(model))
    assert p.sum() == pytest.approx(1, abs=1e-9)
    if shape == (3, 3):  # pixels do depend on each other
        assert p.max() > 20 / len(p)


@pytest.mark.parametrize("preset", QUICK)
@pytest.mark.parametrize("threshold", [0.3, (0.2, 0.6)])
def test_samples_have_the_distribution_of_the_enumeration(preset, threshold):
    model = fitted(preset, (2, 3), threshold=threshold)
    images, n = every_image(model), 20_000
    index = {image.tobytes(): i for i, image in enumerate(images)}
    found = np.bincount([index[s.tobytes()] for s in model.sample(n, random_state=3)], minlength=len(images))
    expected = n * probabilities(model, images)
    rare = expected < 5
    found, expected = (np.append(v[~rare], v[rare].sum()) for v in (found, expected))
    statistic = ((found - expected) ** 2 / np.maximum(expected, 1e-9)).sum()
    assert statistic < chi2.ppf(1 - 1e-6, len(found) - 1)
    assert len(found) > 10


@pytest.mark.parametrize("preset", QUICK)
@pytest.mark.parametrize("threshold", [0.3, (0.2, 0.6)])
def test_inpainting_samples_the_posterior_given_earlier_and_later_pixels(preset, threshold):
    """The most misleading image is taken: the ancestral pass, blind to later pixels, is far from its posterior."""
    model = fitted(preset, (2, 3), threshold=threshold)
    mask = np.array([[False, True, True], [True, False, False]])
    images = every_image(model)
    p, values = probabilities(model, images), images / 255
    groups = {}
    for i, image in enumerate(images):
        groups.setdefault(image[~mask].tobytes(), []).append(i)
    first = {}  # the same for the pixels before the first missing one, which is what an ancestral pass sees
    for i, image in enumerate(images):
        first.setdefault(int(image[0, 0]), []).append(i)

    def mean_of(rows):
        return np.average(values[rows], axis=0, weights=p[rows])

    rows = max(groups.values(), key=lambda r: np.abs(mean_of(r) - mean_of(first[int(images[r[0], 0, 0])]))[mask].max())
    expected, blind = mean_of(rows), mean_of(first[int(images[rows[0], 0, 0])])
    with warnings.catch_warnings():
        warnings.simplefilter("error", MixingWarning)
        found = model.inpaint(images[rows[0]], mask, n=2000, random_state=1)
    assert np.abs(blind - expected)[mask].max() > 0.2
    np.testing.assert_allclose(found.mean, expected, atol=0.05)
    np.testing.assert_allclose(found.samples.mean(axis=0) / 255, expected, atol=0.1)
    assert (found.samples[:, ~mask] == images[rows[0]][~mask]).all()


def test_particles_need_not_be_many_different_images():
    """A single missing pixel has two images; the report judges by the error of the mean."""
    model = fitted("boosted")
    mask = np.zeros((3, 3), bool)
    mask[1, 1] = True
    image = images_of(1, 3, 3, 5)[0]
    both = np.repeat(np.where(image > 0.3 * 255, 255, 0)[None], 2, axis=0).astype(np.uint8)
    both[:, 1, 1] = 0, 255
    p = probabilities(model, both)
    with warnings.catch_warnings():
        warnings.simplefilter("error", MixingWarning)
        found = model.inpaint(image, mask, n=16)
    assert found.mixing.mixed and found.mixing.ess <= found.mixing.n_particles
    assert found.mean[1, 1] == pytest.approx(p[1] / p.sum(), abs=0.03)


@pytest.mark.parametrize("preset", QUICK)
def test_surprise_maps_sum_to_the_surprise(preset):
    model = fitted(preset, threshold=(0.2, 0.6))
    X = images_of(40, 3, 3, 1)
    np.testing.assert_allclose(model.surprise_map(X).sum(axis=(1, 2)), -model.score_samples(X, "surprise"), atol=1e-6)


def test_surprise_maps_with_trees_in_hidden_layers():
    X = images_of(80, 8, 8)
    model = Network("best", hidden=((3, 2, 2),), **SMALL).fit(X)
    np.testing.assert_allclose(model.surprise_map(X).sum(axis=(1, 2)), -model.score_samples(X, "surprise"), atol=1e-6)
    assert np.isfinite(model.layer_scores(X)).all()


@pytest.mark.parametrize("preset", QUICK)
def test_partial_fit_is_refused(preset):
    """What was learned of the first images would stay, or is no counts; the first call says so too."""
    before = fitted(preset)
    for model in (before, Network(preset, **SMALL)):
        with pytest.raises(ValueError, match=r"^partial_fit: .*(in chunks if need be|all images at once)"):
            model.partial_fit(images_of(5, 3, 3))
    assert before.n_images_ == fitted(preset).n_images_


@pytest.mark.parametrize("preset", QUICK)
def test_copies_score_alike(preset):
    model, X = fitted(preset), images_of(30, 3, 3, 2)
    expected = model.score_samples(X)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), clone(model).fit(images_of(300, 3, 3))):
        np.testing.assert_array_equal(other.score_samples(X), expected)
        np.testing.assert_array_equal(other.sample(4), model.sample(4))


PROGRAM = """
import hashlib, sys, numpy as np
sys.path += sys.argv[2:]
from test_trees import Network, QUICK, SMALL, images_of
for preset in ("tree", "boosted"):
    model = Network(preset, **SMALL | QUICK[preset] | {"n_jobs": int(sys.argv[1])}).fit(images_of(200, 7, 6))
    mask = np.zeros((7, 6), bool)
    mask[2:4, 1:4] = True
    found = model.inpaint(images_of(1, 7, 6, 1)[0], mask, n=20)
    parts = [model.score_samples(images_of(50, 7, 6, 1), s) for s in ("log_probability", "standardized", "normalized")]
    for part in (*parts, model.calibration_scores_, model.sample(9), found.samples, found.mean):
        print(hashlib.sha256(np.ascontiguousarray(part).tobytes()).hexdigest())
"""


FOLDERS = [str(Path(__file__).parent), str(Path(__file__).parents[1])]


@pytest.mark.slow
def test_same_bytes_for_threads_and_instruction_sets():
    outputs = set()
    for threads, extra in (("1", {}), ("2", {}), ("2", {"CBN_FORCE_GENERIC": "1"})):
        outputs.add(subprocess.run(
            [sys.executable, "-P", "-W", "ignore", "-c", PROGRAM, threads, *FOLDERS], env=os.environ | extra, check=True,
            capture_output=True, text=True, timeout=120,
        ).stdout)  # fmt: skip
    assert len(outputs) == 1 and outputs.pop().count("\n") == 14


@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_an_interrupted_growth_leaves_no_half_fitted_model(share):
    """Interrupted at the first report, in between, and at the last, which is in cross-validation."""
    seen = []
    Network("boosted", **SMALL | QUICK["boosted"]).fit(images_of(100, 3, 3), progress=lambda *s: seen.append(s))
    assert seen == sorted(seen) and seen[-1] == (27, 27)  # nine nodes of three networks
    after, seen = max(1, int(share * len(seen))), []

    def progress(*state):
        seen.append(state)
        if len(seen) == after:
            raise KeyboardInterrupt

    model = Network("boosted", **SMALL | QUICK["boosted"])
    with pytest.raises(KeyboardInterrupt):
        model.fit(images_of(100, 3, 3), progress=progress)
    assert len(seen) == after and not hasattr(model, "counts_") and not hasattr(model, "offset_")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("preset", QUICK)
@pytest.mark.parametrize("n, shape", [(1, (3, 3)), (2, (1, 1)), (2, (5, 1)), (3, (1, 6))])
@pytest.mark.parametrize(
    "arguments", [{}, {"threshold": "auto"}, {"threshold": (0.2, 0.6)}, {"shift": 1}, {"folds": 9}]
)
def test_tiny_data(preset, n, shape, arguments):
    some = images_of(n, *shape)
    some.flat[0], some.flat[-1] = 0, 255  # on both sides of the thresholds
    for X in (some, np.zeros((n, *shape), np.uint8), np.full((n, *shape), 255, np.uint8)):
        model = Network(preset, full_scale=255, **SMALL | QUICK[preset] | arguments).fit(X)
        for score in ("log_probability", "surprise", "standardized", "normalized"):
            assert np.isfinite(model.score_samples(X, score)).all()
        assert len(model.calibration_scores_) == n and model.sample(2).shape == (2, *shape)
        assert model.inpaint(X[0], np.ones(shape, bool), n=8).samples.shape == (8, *shape)


BAD = [
    ("tree", "reach", 0), ("tree", "reach", 1.5), ("tree", "penalty", -1), ("tree", "penalty", "a"),
    ("tree", "max_leaves", 1), ("tree", "min_leaf", 0), ("tree", "shrinkage", 0), ("tree", "folds", 1),
    ("tree", "offsets", ((-1, 0),)), ("tree", "boosting", Boosting()), ("pixel", "reach", 3), ("pixel", "folds", 3),
    ("boosted", "penalty", 1.0), ("tree", "cpd", "forest"), ("tree", "threshold", "otsu"),
]  # fmt: skip
BAD_OBJECTS = [
    ("cpd", 3),
    ("rate", cbn.Boosted(rate=0)),
    ("cpd", cbn.Boosted),
    ("cpd", cbn.Features()),
    ("cpd", {"rate": 0.5}),
    ("features", cbn.Features(layers=((2, 2, 1),))),
    ("features", ((2, 2, 1),)),
    ("features", cbn.Boosted()),
]


@pytest.mark.parametrize("preset, name, value", BAD)
def test_bad_arguments_are_refused_in_one_line(preset, name, value):
    with pytest.raises(ValueError, match=f"^{name}: ") as caught:
        Network(preset, **{name: value}).fit(images_of(20, 3, 3))
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


@pytest.mark.parametrize("name, value", BAD_OBJECTS, ids=repr)
def test_bad_objects_are_refused_in_one_line(name, value):
    argument = "features" if name == "features" else "cpd"
    with pytest.raises(ValueError, match=f"^{name}: ") as caught:
        cbn.ConvolutionalBayesianNetwork("boosted", **{argument: value}).fit(images_of(20, 3, 3))
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


def test_trees_too_large_for_memory_are_refused():
    for name, cpd in (
        ("reach", cbn.Tree(reach=200)), ("max_leaves", cbn.Tree(max_leaves=32_768, reach=1)),
        ("reach", cbn.Boosted(reach=200)), ("rounds, max_leaves", cbn.Boosted(rounds=1000, max_leaves=256, reach=1)),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"^{name}: ") as caught:
            cbn.ConvolutionalBayesianNetwork(cpd=cpd).fit(np.zeros((2, 300, 300), bool))
        assert str(caught.value).isprintable()


def test_what_trees_cannot_do_is_refused():
    mask = np.ones((3, 3), bool)
    tree, boosted = fitted("tree"), fitted("boosted")
    image = images_of(1, 3, 3)[0]
    for name, call in (
        ("temperature", lambda: tree.sample(2, "gibbs", temperature=2)),
        ("temperature", lambda: tree.inpaint(image, mask, temperature=0)),
        ("method", lambda: boosted.sample(2, "gibbs")),
        ("n_sweeps", lambda: boosted.inpaint(image, mask, n_sweeps=100)),
        ("temperature", lambda: boosted.inpaint(image, mask, temperature=2)),
    ):
        with pytest.raises(ValueError, match=f"^{name}: "):
            call()
    with pytest.raises(DataError, match="^mask: "):
        boosted.inpaint(image, ~mask)


@pytest.mark.parametrize("preset", QUICK)
def test_calibration_scores_come_from_networks_without_the_fold(preset):
    X, folds = images_of(60, 3, 3), 3
    model = Network(preset, folds=folds, score="log_probability", **SMALL | QUICK[preset]).fit(X)
    expected = []
    for fold in range(folds):
        own = np.arange(60) % folds == fold
        expected.extend(clone(model).fit(X[~own]).score_samples(X[own]))
    assert model.calibration_ == "cross-validation"
    np.testing.assert_array_equal(model.calibration_scores_, np.sort(expected))


@pytest.mark.parametrize("preset", QUICK)
def test_false_alarms_of_exchangeable_images_are_near_the_rate(preset):
    """The training images' own scores would give far more alarms."""
    everything = np.random.default_rng(0).permutation(images_of(1500, 4, 4))
    arguments = SMALL | QUICK[preset] | {"false_alarm_rate": 0.1, "score": "log_probability"}
    model = Network(preset, **arguments).fit(everything[:300])
    assert 0.05 < (model.predict(everything[300:]) < 0).mean() < 0.15


@pytest.mark.parametrize("part", ["the fold that its judge has not seen", "the first half"])
def test_calibration_on_some_of_the_training_images_is_suspected(part):
    train, test = (sets.images[sets.labels == 2] for sets in cbn.datasets.load_mnist())
    model = cbn.ConvolutionalBayesianNetwork("tree", false_alarm_rate=0.05, random_state=0).fit(train[:1000])
    some = train[:1000:3] if part.startswith("the fold") else train[:500]
    with pytest.warns(cbn.CalibrationWarning, match="look like images of the training") as caught:
        model.fitted_.calibrated(some)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for others in (test, train[1000:2000]):
            model.fitted_.calibrated(others)
