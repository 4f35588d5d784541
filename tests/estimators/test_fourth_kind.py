# SPDX-License-Identifier: BSD-3-Clause
"""A kind of CPDs that is one file of the tests works everywhere: estimators, files, facts, figures, layers above it."""

import copy
import itertools
import json
import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import cbn
from cbn import ConvolutionalBayesianNetwork as Network
from cbn import ConvolutionalBayesianNetworkClassifier as Classifier
from cbn.fit.facts import describe
from cbn.plots.model import panels
from helpers.images import blots
from helpers.independent import Independent, independent, registered  # noqa: F401  the kind is known in this file

pytestmark = pytest.mark.usefixtures("independent")
SCORES = ("log_probability", "surprise", "standardized", "normalized")
BITS = blots(140, 8)
X, NEW = BITS[:120], BITS[120:]
GREY = (BITS * np.random.default_rng(0).integers(60, 256, BITS.shape)).astype(np.uint8)
FEATURES = cbn.Features(layers=((3, 3, 1),), iterations=1)
MODELS = {
    "pixels": lambda: Network(cpd=Independent(), random_state=0, n_jobs=1).fit(X),
    "thresholds": lambda: Network(cpd=Independent(0.5), threshold=(0.3, 0.6), random_state=0, n_jobs=1).fit(GREY[:120]),
    "layers": lambda: Network(
        "hidden", cpd=Independent(2.0), features=FEATURES, outlier_score="standardized", random_state=0, n_jobs=1,
        false_alarm_rate=0.1,
    ).fit(X),
}  # fmt: skip


@pytest.fixture(scope="module", params=MODELS)
def model(request, independent):  # noqa: F811
    return MODELS[request.param]()


def bytes_of(model, path):
    model.save(path)
    return path.read_bytes()


def test_it_is_the_product_of_the_pixels():
    model = MODELS["pixels"]()
    p = (X.sum(axis=0) + 1) / (120 + 2)
    expected = np.where(NEW == 1, np.log(p), np.log(1 - p)).sum(axis=(1, 2))
    np.testing.assert_allclose(model.score_samples(NEW), expected, rtol=1e-12)
    small = Network(cpd="independent", false_alarm_rate=0.2).fit(GREY[:, :2, :2])
    every = np.array(list(itertools.product((0, 255), repeat=4)), np.uint8).reshape(-1, 2, 2)
    assert np.exp(small.score_samples(every, "log_probability")).sum() == pytest.approx(1)
    without = Network(cpd=Independent(pseudocount=119 / 120), false_alarm_rate=0.2)  # as much less as an image is
    left_out = [without.fit(np.delete(X, i, 0)).score_samples(X[i : i + 1])[0] for i in range(5)]
    assert set(np.round(left_out, 9)) <= set(np.round(model.calibration_scores_, 9))
    assert model.calibration_ == "leave-one-out"


def test_detection(model):
    images = NEW * np.uint8(model.binarizer_.full_scale)
    for score in SCORES:
        assert np.isfinite(model.score_samples(images, score)).all()
        assert model.layer_scores(images, score).shape == (20, 1 + len(model.hidden_layers_))
    p = model.p_values(images)
    assert ((p > 0) & (p <= 1)).all() and set(model.predict(images)) <= {-1, 1}
    maps = model.surprise_map(images)
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), -model.score_samples(images, "surprise"), atol=1e-9)
    assert model.heat_map_scale() > 0 and np.isfinite(model.bic())
    assert model.calibrate(GREY if model.binarizer_.full_scale == 255 else BITS).calibration_ == "separate images"


def test_explanations(model):
    images = NEW * np.uint8(model.binarizer_.full_scale)
    found = model.explain(images[0], 5)
    assert len(found) == 5 and all("nats" in str(node) for node in found)
    json.dumps([node.to_dict() for node in found])
    strange = 1 - NEW[0] if model.binarizer_.full_scale == 1 else 255 - images[0]
    repaired = model.repair(strange, 40)
    assert repaired.repaired_score >= repaired.score
    ones, nats = model.node_statistics()
    assert ones.shape == nats.shape == (model.layer_.channels, 8, 8)
    with pytest.raises(ValueError, match="^markov_report: .*not for independent pixels"):
        model.markov_report(images)


def test_draws(model):
    scale = model.binarizer_.full_scale
    drawn = model.sample(4000, random_state=1)
    np.testing.assert_allclose((drawn > 0).mean(axis=0), model.node_statistics()[0][0] * 120 / 122 + 1 / 122, atol=0.06)
    mask = np.zeros((8, 8), bool)
    mask[2:5, 2:7] = True
    image = NEW[0] * np.uint8(scale)
    with warnings.catch_warnings():
        warnings.simplefilter("error", cbn.MixingWarning)
        found = model.inpaint(image, mask, 12, random_state=2)
    seen = model.binarized_pictures(image[None])[0]
    assert found.samples.shape == (12, 8, 8) and (found.samples[:, ~mask] == seen[~mask]).all()
    assert found.mixing.mixed
    for call in (lambda: model.sample(2, "gibbs"), lambda: model.gibbs_chains(2)):
        with pytest.raises(ValueError, match="^method: independent pixels have no Gibbs sampler"):
            call()
    with pytest.raises(ValueError, match="^n_sweeps: .*independent pixels"):
        model.inpaint(image, mask, n_sweeps=20)


def test_copies_and_files(model, tmp_path):
    images = NEW * np.uint8(model.binarizer_.full_scale)
    content = bytes_of(model, tmp_path / "a.cbn")
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), cbn.load(tmp_path / "a.cbn")):
        for score in SCORES:
            np.testing.assert_array_equal(other.score_samples(images, score), model.score_samples(images, score))
        np.testing.assert_array_equal(other.sample(3), model.sample(3))
        assert bytes_of(other, tmp_path / "b.cbn") == content and other.cpd == model.cpd
        assert other.heat_map_scale() == model.heat_map_scale()
    fresh = clone(model)
    assert fresh.cpd == model.cpd and fresh.cpd is not model.cpd and not hasattr(fresh, "fitted_")
    assert repr(model.cpd) in repr(model) and "independent" not in repr(clone(model).set_params(cpd=None))


def test_a_file_of_an_unknown_kind_is_refused_in_one_line(tmp_path):
    MODELS["pixels"]().save(tmp_path / "a.cbn")
    kind = cbn.cpd.kinds.kind_named("independent")
    cbn.cpd.kinds.unregister(kind)
    try:
        with pytest.raises(cbn.ModelFileError, match="damaged: .*'independent'"):
            cbn.load(tmp_path / "a.cbn")
        with pytest.raises(ValueError, match="^cpd: "):
            Network(cpd=Independent()).fit(X)
    finally:
        cbn.cpd.kinds.register(kind)
    assert cbn.load(tmp_path / "a.cbn").n_images_ == 120


@pytest.mark.parametrize("n", [40, 64, 100])
def test_images_are_added(n):
    for arguments in ({}, {"features": FEATURES}):
        whole = Network(cpd=Independent(), random_state=0, n_jobs=1, false_alarm_rate=0.1, **arguments).fit(X)
        model = copy.deepcopy(whole).partial_fit(BITS[:n])
        counts = [own.counts for own in model.fitted_.network.networks]
        more = whole.fitted_.network.recounted(model.binarizer_.planes(BITS[:n], 1), 1)
        for own, earlier, new in zip(counts, whole.fitted_.network.networks, more.networks):
            np.testing.assert_array_equal(own, earlier.counts + new.counts)
        assert model.n_images_ == 120 + n and whole.n_images_ == 120
        assert model.calibration_ == "leave-one-out" and len(model.calibration_scores_) == n


def test_classifier(tmp_path):
    y = np.arange(120) % 2
    images = np.where(y[:, None, None] == 1, X, X[:, ::-1] & X)
    model = Classifier(cpd=Independent(), n_jobs=1).fit(images, y)
    networks = [Network(cpd=Independent(), false_alarm_rate=0.2).fit(images[y == c]) for c in (0, 1)]
    joint = np.stack([network.score_samples(NEW, "log_probability") for network in networks], axis=1) + np.log(0.5)
    np.testing.assert_allclose(model.joint_log_probability(NEW), joint, rtol=1e-12)
    np.testing.assert_allclose(model.predict_proba(NEW).sum(axis=1), 1)
    model.partial_fit(images, y)
    model.save(tmp_path / "a.cbn")
    np.testing.assert_array_equal(cbn.load(tmp_path / "a.cbn").predict_proba(NEW), model.predict_proba(NEW))
    word = Classifier(cpd="independent", n_jobs=1).fit(images, y).partial_fit(images, y)
    np.testing.assert_array_equal(word.predict_proba(NEW), model.predict_proba(NEW))


def test_facts_and_figures(model):
    facts = json.loads(json.dumps(describe(model.fitted_)))
    assert facts["cpd"] == "independent" and facts["pseudocount"] == model.cpd.pseudocount
    assert facts["relations"] == facts["trees"] == [] and facts["growth"] == {}
    drawn = panels(model.fitted_)
    assert len(drawn) >= 1
    n = sum(len(section[1]) if isinstance(section, tuple) else 1 for section in drawn)
    assert n >= 2


def test_exports(model, tmp_path):
    for ending in ("bif", "xmlbif", "uai"):
        for layer in range(1 + len(model.hidden_layers_)):
            model.export(tmp_path / f"network.{ending}", layer=layer)
            assert (tmp_path / f"network.{ending}").stat().st_size > 500


def test_searches():
    def likelihood(model, images, y=None):
        return model.score_samples(images, "log_probability").mean()

    dark = X.copy()
    dark[:, :6] = 0  # many images are needed to know that well
    for grid in ({"cpd__pseudocount": [1.0, 1e4]}, {"cpd": [Independent(1e4), Independent(1.0), cbn.Table()]}):
        search = GridSearchCV(
            Network(cpd="independent", false_alarm_rate=0.2, n_jobs=1), grid, scoring=likelihood, cv=2
        ).fit(dark)
        assert next(iter(search.best_params_.values())) in (1.0, cbn.Table())


def test_settings_leave_no_trace_of_other_kinds():
    with pytest.raises(ValueError, match="^folds: .*independent pixels leave every image out"):
        Network(cpd=Independent(), folds=3).fit(X)
    with pytest.raises(ValueError, match="^pseudocount: "):
        Network(cpd=Independent(-1)).fit(X)
    with registered():
        Network(cpd="independent").set_params(cpd__pseudocount=3.0).fit(X)
