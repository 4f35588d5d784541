# SPDX-License-Identifier: BSD-3-Clause
"""The classifier against Bayes' rule computed by hand, its labels, priors, refusals, and its accuracy on MNIST."""

import contextlib
import itertools

import numpy as np
import pytest

from cbn import DataError, load
from cbn.bits.binarization import chosen_thresholds
from cbn.datasets import load_mnist
from cbn.fit import recipe
from helpers.networks import Boosting, Classifier, Network

# scikit-learn's own test of labels casts NaN to integers before it refuses it
SILENCED = pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")


def three_kinds(n, seed=0):
    """(n, 5, 4) uint8 grey images of three kinds of brightness gradient, and labels 0, 1, 2 of unequal share."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    down, right = np.mgrid[0:5, 0:4] / 4
    slopes = np.stack([down, right, 1 - down])[y]
    return np.clip(255 * slopes + rng.normal(0, 90, (n, 5, 4)), 0, 255).astype(np.uint8), y


def bayes(X, y, new, prior=None, pseudocount=1.0, threshold=0.3):
    """(log p(image, class), p(class | image)) of the naive kind: one network per class, Bayes' rule written out."""
    classes = np.unique(y)
    prior = np.array([(y == c).mean() for c in classes]) if prior is None else np.array(prior)
    networks = [
        Network(false_alarm_rate=0.9, pseudocount=pseudocount, threshold=threshold, full_scale=255).fit(X[y == c])
        for c in classes
    ]
    joint = np.stack([n.score_samples(new, "log_probability") for n in networks], axis=1) + np.log(prior)
    weights = np.exp(joint - joint.max(axis=1, keepdims=True))
    return joint, weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("prior", [None, (0.2, 0.2, 0.6)])
@pytest.mark.parametrize("threshold", [0.3, (0.2, 0.6)])
def test_bayes_rule(prior, threshold):
    X, y = three_kinds(300)
    new, labels = three_kinds(100, seed=1)
    model = Classifier(class_prior=prior, threshold=threshold, pseudocount=0.5).fit(X, y)
    joint, posterior = bayes(X, y, new, prior, 0.5, threshold)
    np.testing.assert_allclose(model.joint_log_probability(new), joint, rtol=1e-12)
    np.testing.assert_allclose(model.predict_proba(new), posterior, rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(model.predict_log_proba(new), np.log(posterior), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(model.predict_proba(new).sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(new), posterior.argmax(axis=1))
    assert model.score(new, labels) == (model.predict(new) == labels).mean() > 0.8
    assert model.classes_.tolist() == [0, 1, 2] and model.image_shape_ == (5, 4) and model.n_features_in_ == 20


def test_probabilities_of_a_tiny_problem_by_hand():
    # one pixel; class "a" was dark, dark, bright, class "b" bright once: p(1 | a) = 2/5, p(1 | b) = 2/3
    X = np.array([0, 0, 1, 1], bool).reshape(4, 1, 1)
    model = Classifier().fit(X, ["a", "a", "a", "b"])
    bright = (1 / 4 * 2 / 3) / (1 / 4 * 2 / 3 + 3 / 4 * 2 / 5)
    dark = (1 / 4 * 1 / 3) / (1 / 4 * 1 / 3 + 3 / 4 * 3 / 5)
    np.testing.assert_allclose(model.predict_proba(X)[[0, 2], 1], [dark, bright], rtol=1e-12)
    # every image together with every class has probability 1
    everything = np.array([0, 1], bool).reshape(2, 1, 1)
    assert np.exp(model.joint_log_probability(everything)).sum() == pytest.approx(1, abs=1e-12)
    pairs = np.array(list(itertools.product([0, 1], repeat=2)), bool).reshape(4, 1, 2)
    model = Classifier().fit(pairs, [0, 1, 1, 2])
    assert np.exp(model.joint_log_probability(pairs)).sum() == pytest.approx(1, abs=1e-12)


def test_extreme_odds_do_not_overflow():
    X = np.concatenate([np.zeros((200, 40, 40), bool), np.ones((200, 40, 40), bool)])
    model = Classifier().fit(X, np.arange(400) // 200)
    probability = model.predict_proba(X[[0, -1]])
    np.testing.assert_allclose(probability, np.eye(2), atol=1e-12)
    assert np.isfinite(model.predict_log_proba(X)).all()


LABELS = {
    "words": np.array(["bird", "ant", "cat"]), "objects": np.array(["bird", "ant", "cat"], object),
    "int8": np.array([3, -1, 7], "i1"), "big": np.array([2**40, 0, -(2**40)]),
    "booleans": np.array([True, False, True]),
    "whole floats": np.array([2.0, 1.0, 5.0]), "accents": np.array(["żółw", "ant", "猫"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_every_kind(kind):
    X, numbers = three_kinds(300)
    y = LABELS[kind][numbers]
    for given in (y, y.tolist()):
        model = Classifier().fit(X, given)
        np.testing.assert_array_equal(model.classes_, np.unique(y))
        predicted = model.predict(X)
        assert set(predicted.tolist()) <= set(y.tolist()) and (predicted == y).mean() > 0.8
        shares = [(y == c).mean() for c in model.classes_]
        np.testing.assert_allclose(np.exp(model.class_log_prior_), shares, rtol=1e-12)
        assert [network.n_images_ for network in model.networks_] == [(y == c).sum() for c in model.classes_]


def test_partial_fit_adds_for_every_split():
    X, numbers = three_kinds(200)
    y = np.array(["b", "a", "c"])[numbers]
    new, _ = three_kinds(50, seed=1)
    whole = Classifier().fit(X, y)
    for cuts in ([1], [100], [3, 4, 5, 150]):
        model = Classifier(full_scale=255)
        for images, labels in zip(np.split(X, cuts), np.split(y, cuts)):
            assert model.partial_fit(images, labels) is model
        assert model.classes_.tolist() == ["a", "b", "c"]
        np.testing.assert_array_equal(model.predict_proba(new), whole.predict_proba(new))
    again = whole.fit(X[y != "c"], y[y != "c"])  # forgets what was there
    assert again.classes_.tolist() == ["a", "b"]


def test_a_new_class_in_partial_fit():
    X, y = three_kinds(200)
    model = Classifier().fit(X[y != 1], y[y != 1])
    assert model.classes_.tolist() == [0, 2]
    model.partial_fit(X[y == 1][:5], y[y == 1][:5])
    assert model.classes_.tolist() == [0, 1, 2] and [n.n_images_ for n in model.networks_][1] == 5
    kept = np.concatenate([np.flatnonzero(y != 1), np.flatnonzero(y == 1)[:5]])
    np.testing.assert_array_equal(model.predict_proba(X), Classifier().fit(X[kept], y[kept]).predict_proba(X))


def test_partial_fit_with_the_classes_given():
    X, y = three_kinds(120)
    model = Classifier().partial_fit(X, y, classes=[0, 1, 2])
    np.testing.assert_array_equal(model.predict_proba(X), Classifier().fit(X, y).predict_proba(X))
    before = state_of(model)
    with pytest.raises(ValueError, match=r"\by\b.*2"):
        model.partial_fit(X, y, classes=[0, 1])
    assert state_of(model) == before


@pytest.mark.parametrize("n_levels", [1, 2])
def test_one_scale_for_all_classes(n_levels):
    # dark images hold only 0, or 0 and 1, of 255; alone they would look binary
    X, y = three_kinds(100)
    X[y == 0] %= n_levels
    model = Classifier().fit(X, y)
    assert len({network.binarization_ for network in model.networks_}) == 1
    bright_only = Classifier().fit(X[y != 0], y[y != 0])
    # a whole batch of 0 and 1 is taken for black, but said to be
    with pytest.warns(UserWarning, match="^X") if n_levels == 2 else contextlib.nullcontext():
        bright_only.partial_fit(X[y == 0], y[y == 0])
    np.testing.assert_array_equal(bright_only.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("label", [0, 3])  # a class that is known, and a new one
def test_images_of_another_size_are_refused(label):
    X, y = three_kinds(100)
    model = Classifier().fit(X, y)
    for other in (X[:9].transpose(0, 2, 1), X[:9, :4, :4]):
        before = state_of(model)
        with pytest.raises(DataError, match="5 x 4"):
            model.partial_fit(other, np.full(9, label))
        assert state_of(model) == before


def state_of(model):
    counts = [network.counts_.tobytes() for network in model.networks_]
    return model.classes_.tolist(), counts, model.class_log_prior_.tobytes(), [n.n_images_ for n in model.networks_]


@SILENCED
def test_a_refused_partial_fit_changes_nothing():
    X, y = three_kinds(120)
    model = Classifier().fit(X, y)
    before, probability = state_of(model), model.predict_proba(X)
    for images, labels in [(X[:, :4], y), (X, y[:-1]), (X.astype(float), y), (X, y + 0.5), (X, np.stack([y, y], 1)),
                           (X, None), (X, np.full(120, np.nan)), (X, [[1], [2, 3]])]:  # fmt: skip
        with pytest.raises(ValueError) as caught:
            model.partial_fit(images, labels)
        assert str(caught.value)
        assert state_of(model) == before
    np.testing.assert_array_equal(model.predict_proba(X), probability)


def test_labels_that_cannot_be_ordered_change_nothing():
    X, y = three_kinds(120)
    model = Classifier().fit(X, y)
    before = state_of(model)
    with pytest.raises(ValueError, match=r"\by\b"):
        model.partial_fit(X, np.full(120, "word"))
    assert state_of(model) == before


def test_a_new_class_that_the_prior_does_not_know_changes_nothing():
    X, y = three_kinds(120)
    model = Classifier(class_prior=(0.5, 0.3, 0.2)).fit(X, y)
    before, probability = state_of(model), model.predict_proba(X)
    with pytest.raises(ValueError, match="class_prior"):
        model.partial_fit(X[:9], np.full(9, 7))
    assert state_of(model) == before
    np.testing.assert_array_equal(model.predict_proba(X), probability)


NAN = float("nan")
BAD_PRIORS = [
    (0.5, 0.5), (0.5, 0.3, 0.3), (1, 0, 0), (1.2, -0.1, -0.1), (NAN, 0.5, 0.5), 0.3, "uniform", [], ("a", "b", "c"),
    [[0.5, 0.3, 0.2]], (0.5, 0.3, 0.1, 0.1), (None, 0.5, 0.5), True, (0.5 + 0j, 0.3, 0.2),
]  # fmt: skip
BAD_ARGUMENTS = [
    ("preset", "x"), ("offsets", 3), ("threshold", 2), ("pseudocount", NAN), ("image_shape", 5), ("image_shape", "54"),
    ("full_scale", 0), ("n_jobs", 0), ("image_shape", (5,)),
]  # fmt: skip


@pytest.mark.parametrize("prior", BAD_PRIORS, ids=repr)
def test_bad_priors_are_refused(prior):
    X, y = three_kinds(60)
    model = Classifier(class_prior=prior)
    with pytest.raises(ValueError) as caught:
        model.fit(X, y)
    assert "class_prior" in str(caught.value) and "\n" not in str(caught.value)
    assert not hasattr(model, "classes_") and not hasattr(model, "networks_")


@pytest.mark.parametrize("name, value", BAD_ARGUMENTS)
def test_bad_arguments_are_refused(name, value):
    X, y = three_kinds(60)
    with pytest.raises(ValueError, match=name):
        Classifier(**{name: value}).fit(X, y)


@SILENCED
def test_bad_labels_are_refused():
    X, y = three_kinds(60)
    unusual = [y + 0.25, np.where(y == 0, np.nan, 1.0), np.full(60, np.inf), None, 3, "cat"]
    for labels in (y[:-1], np.append(y, 1), [], *unusual):
        with pytest.raises(ValueError) as caught:
            Classifier().fit(X, labels)
        text = str(caught.value)
        assert "y" in text.replace(":", " ").split() or "label" in text.lower(), text
    with pytest.raises(DataError, match="^X"):
        Classifier().fit(X[:, :, :0], y)


def test_results_do_not_depend_on_threads():
    X, y = three_kinds(150)
    one = Classifier(n_jobs=1).fit(X, y).predict_proba(X)
    for n_jobs in (2, 3, 7):
        np.testing.assert_array_equal(Classifier(n_jobs=n_jobs).fit(X, y).predict_proba(X), one)


def test_accuracy_on_mnist():
    train, test = load_mnist()
    model = Classifier().fit(train.images, train.labels)
    assert model.score(test.images, test.labels) > 0.94
    probability = model.predict_proba(test.images)
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-9)
    # flat floats are the same images
    np.testing.assert_array_equal(model.predict_proba(test.images[:100].reshape(100, 784) / 1.0), probability[:100])


def test_one_digit_of_mnist_stands_out():
    train, test = load_mnist()
    model = Network(score="surprise").fit(train.select(1).images)
    scores, own = model.score_samples(test.images), test.labels == 1
    ranks = np.argsort(np.argsort(scores))
    auroc = (ranks[own].mean() - (own.sum() - 1) / 2) / (~own).sum()
    assert auroc > 0.98
    assert (model.predict(test.images[own]) == -1).mean() < 0.02  # the rate asked for is 0.01
    assert (model.predict(test.images[~own]) == -1).mean() > 0.8


# ---- trees ----

SMALL = Boosting(rounds=3, max_leaves=3, n_candidates=9)
TREES = {"tree": {"preset": "tree", "reach": 2}, "boosted": {"preset": "boosted", "reach": 2, "boosting": SMALL}}


@pytest.mark.parametrize("kind", TREES)
def test_bayes_rule_over_trees(kind):
    X, y = three_kinds(200)
    new, _ = three_kinds(50, seed=1)
    model = Classifier(**TREES[kind], random_state=3).fit(X, y)
    networks = [
        Network(**TREES[kind], random_state=3, false_alarm_rate=0.9, full_scale=255).fit(X[y == c]) for c in range(3)
    ]
    prior = np.bincount(y) / len(y)
    joint = np.stack([n.score_samples(new, "log_probability") for n in networks], axis=1) + np.log(prior)
    np.testing.assert_array_equal(model.joint_log_probability(new), joint)
    np.testing.assert_allclose(model.log_probability(new), np.log(np.exp(joint).sum(axis=1)), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(new), joint.argmax(axis=1))


@pytest.mark.parametrize("kind", ["pixel", *TREES])
def test_the_density_of_the_mixture_sums_to_1(kind):
    rng = np.random.default_rng(0)
    X = rng.random((60, 2, 4)) < np.linspace(0.1, 0.9, 8).reshape(2, 4)
    y = X[:, 0, 0] ^ X[:, 1, 2]
    X[:, 1, 3] = X[:, 0, 3]
    model = Classifier(**TREES.get(kind, {})).fit(X, y)
    every = np.array(list(itertools.product([False, True], repeat=8))).reshape(256, 2, 4)
    assert np.exp(model.log_probability(every)).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("kind", TREES)
def test_a_classifier_grows_each_network_once(kind, monkeypatch):
    grown = []
    grow = recipe.Growing.grow
    monkeypatch.setattr(recipe.Growing, "grow", lambda own, p: grown.append(p.n_images) or grow(own, p))
    X, y = three_kinds(90)
    model = Classifier(**TREES[kind]).fit(X, y)
    assert grown == np.bincount(y).tolist()
    assert {network.calibration_ for network in model.networks_} == {"training images"}


@pytest.mark.parametrize("kind", ["tree", "boosted"])
def test_trees_take_new_classes_but_no_more_images(kind):
    X, y = three_kinds(120)
    more, labels = three_kinds(60, seed=2)
    model = Classifier(**TREES[kind]).fit(X, y)
    before = state_of(model)
    with pytest.raises(ValueError, match="partial_fit: (boosted|the) trees"):
        model.partial_fit(more, labels)
    assert state_of(model) == before
    model.partial_fit(more[labels == 2], np.full((labels == 2).sum(), 7))  # a new class is grown
    assert model.classes_.tolist() == [0, 1, 2, 7]


def test_thresholds_chosen_by_the_images_are_those_of_all_classes():
    X, y = three_kinds(90)
    X = np.clip(X, 40, 220)
    X[y == 2] = np.where(X[y == 2] > 127, 255, 0)  # alone these would be drawings of one threshold
    model = Classifier("tree", threshold="auto", reach=2).fit(X, y)
    expected = chosen_thresholds("auto", X, 255)
    assert len(expected) > 1 and chosen_thresholds("auto", X[y == 2], 255) != expected
    assert {network.binarizer_.thresholds for network in model.networks_} == {expected}
    model.partial_fit(X[y == 2], np.full((y == 2).sum(), 5))
    assert model.networks_[-1].binarizer_.thresholds == expected


@pytest.mark.parametrize("preset", ["hidden", "best"])
def test_hidden_layers_are_refused(preset):
    with pytest.raises(ValueError, match=f"preset: '{preset}'.*'pixel', 'tree', 'boosted' or 'tied'"):
        Classifier(preset).fit(*three_kinds(30))


@pytest.mark.parametrize("kind", TREES)
def test_files_of_classifiers_of_trees(kind, tmp_path):
    X, y = three_kinds(90)
    model = Classifier(**TREES[kind], random_state=1).fit(X, y)
    model.save(tmp_path / "model.cbn")
    again = load(tmp_path / "model.cbn")
    np.testing.assert_array_equal(again.joint_log_probability(X), model.joint_log_probability(X))
    assert again.get_params() == model.get_params()
    assert [network.calibration_ for network in again.networks_] == ["training images"] * 3
    again.save(tmp_path / "again.cbn")
    assert (tmp_path / "again.cbn").read_bytes() == (tmp_path / "model.cbn").read_bytes()
