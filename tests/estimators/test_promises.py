# SPDX-License-Identifier: BSD-3-Clause
"""What the estimators promise: a fit is frozen, arguments are objects that clone and search, presets never change."""

import copy
import inspect
import pickle
import warnings
from dataclasses import fields

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import cbn
from cbn import ConvolutionalBayesianNetwork as Network
from cbn import ConvolutionalBayesianNetworkClassifier as Classifier
from cbn import _engine
from cbn.fit.fitted import Fitted
from cbn.fit.presets import PRESETS
from helpers.images import blots

X, Y = blots(130, 8), np.arange(130) % 2
NEW = blots(12, 8, seed=3)
SCORES = ("log_probability", "surprise", "standardized", "normalized")
LAYERS = ((3, 2, 1),)
NETWORKS = {
    "pixel": {},
    "hidden": {"features": cbn.Features(layers=LAYERS, iterations=1)},
    "tree": {"cpd": cbn.Tree(reach=3), "folds": 2},
    "boosted": {"cpd": cbn.Boosted(rounds=3, max_leaves=3, n_candidates=9, reach=3)},
    "tied": {"cpd": cbn.Tied(radius=2, pairs=3000, rounds=5, max_leaves=5, corrections=1)},
    "best": {"features": cbn.Features(layers=LAYERS, iterations=0)},
}


def network(preset, **changed):
    return Network(preset, **{"random_state": 3, "n_jobs": 1, "false_alarm_rate": 0.1} | NETWORKS[preset] | changed)


@pytest.fixture(scope="module", params=NETWORKS)
def model(request):
    """Not to be changed."""
    return network(request.param).fit(X)


@pytest.fixture(scope="module")
def classifier():
    return Classifier("tree", cpd=cbn.Tree(reach=2), random_state=3, n_jobs=1).fit(X, Y)


def bytes_of(model, folder):
    model.save(folder / "bytes.cbn")
    return (folder / "bytes.cbn").read_bytes()


def everything(model, folder):
    """All that a fitted estimator says, as bytes and words."""
    mask = np.zeros((8, 8), bool)
    mask[3:6, 2:5] = True
    if isinstance(model, Classifier):
        found = [model.joint_log_probability(NEW), model.predict_proba(NEW), model.predict(NEW), model.classes_,
                 model.class_log_prior_, *(n.score_samples(NEW) for n in model.networks_)]  # fmt: skip
        return [part.tobytes() for part in found] + [bytes_of(model, folder), repr(model.fitted_)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cbn.MixingWarning)  # short runs on purpose
        sweeps = {"n_sweeps": 9} if model.fitted_.network.pixels.gibbs else {}
        painted = model.inpaint(NEW[0], mask, 2, **sweeps)
        chains = [model.sample(2, "gibbs", n_steps=100)] if sweeps else []
    repaired = model.repair(1 - NEW[0], 3)
    found = [*(model.score_samples(NEW, score) for score in (None, *SCORES)), model.layer_scores(NEW), model.sample(4),
             model.judged_scores(NEW), model.p_values(NEW), model.predict(NEW), model.decision_function(NEW), model.surprise_map(NEW),
             painted.samples, painted.mean, *chains, repaired.repaired, model.calibration_scores_, *model.node_statistics(),
             model.binarized_pictures(NEW), model.counts_]  # fmt: skip
    words = [model.offset_, model.score_, model.n_images_, model.bic_terms(), model.heat_map_scale(), repaired.score,
             [str(node) for node in model.explain(NEW[0])], model.binarization_, repr(model.fitted_), model.image_shape_,
             model.calibration_, model.provenance_]  # fmt: skip
    return [np.ascontiguousarray(part).tobytes() for part in found] + [repr(words), bytes_of(model, folder)]


# ---- a fit is frozen ----

# Another good value of every argument, and of every field of the objects; all of them get a bad one too.
OTHERS = {
    "preset": "tree", "cpd": cbn.Table(((-1, 0),), 7.0), "features": cbn.Features(layers=((2, 3, 1),)), "threshold": 0.9,
    "contrast": cbn.Contrast(weight=3.0),
    "outlier_score": "normalized", "folds": 5, "shift": 2, "false_alarm_rate": 0.4, "image_shape": (4, 16), "full_scale": 255,
    "random_state": 77, "class_prior": (0.9, 0.1),
}  # fmt: skip
BAD = object()


def changes(model):
    """Arguments to set one after the other, and all of them."""
    names = model.get_params(deep=False).keys() - {"n_jobs"}
    yield from ({name: OTHERS[name]} for name in sorted(names))
    yield from ({name: BAD} for name in sorted(names))
    for name in sorted(model.get_params(deep=True).keys() - names - {"n_jobs"}):
        yield {name: BAD}
    yield {name: BAD for name in names}


def unchanged_by_arguments(model, folder):
    expected = everything(model, folder)
    for change in changes(model):
        other = copy.copy(model)  # shares what was learned, as it is shared within one estimator
        for name in ("cpd", "features", "contrast"):  # but objects in place are the estimator's own
            if getattr(other, name, None) is not None and any(own.startswith(f"{name}__") for own in change):
                own = getattr(other, name)
                before = own.get_params()
                other.set_params(**change)
                assert getattr(other, name) is own
                assert everything(other, folder) == expected, change
                own.set_params(**before)
                break
        else:
            assert everything(other.set_params(**change), folder) == expected, change
    assert everything(model, folder) == expected


def test_nothing_reads_an_argument_after_the_fit(model, tmp_path):
    unchanged_by_arguments(model, tmp_path)


def test_nothing_reads_an_argument_of_a_classifier_after_the_fit(classifier, tmp_path):
    unchanged_by_arguments(classifier, tmp_path)


@pytest.mark.slow
def test_nothing_reads_an_argument_after_loading_and_unpickling(model, classifier, tmp_path):
    for own in (model, classifier):
        own.save(tmp_path / "model.cbn")
        expected = everything(own, tmp_path)
        for other in (cbn.load(tmp_path / "model.cbn", n_jobs=1), pickle.loads(pickle.dumps(own))):
            assert everything(other, tmp_path) == expected
            unchanged_by_arguments(other, tmp_path)


def test_images_are_added_as_they_were_learned(tmp_path):
    """The arguments of the fit count, not those of the constructor since."""
    for preset in ("pixel", "hidden"):
        expected = everything(network(preset).fit(X).partial_fit(NEW), tmp_path)
        other = network(preset).fit(X)
        other.set_params(**{name: BAD for name in other.get_params(deep=False).keys() - {"n_jobs"}})
        assert everything(other.partial_fit(NEW), tmp_path) == expected
    y = Y[: len(NEW)]
    one, other = (Classifier("pixel", n_jobs=1).fit(X, Y) for _ in range(2))
    other.set_params(**{name: BAD for name in other.get_params(deep=False).keys() - {"n_jobs"}})
    one.partial_fit(NEW, y).partial_fit(NEW, y + 5)
    assert everything(other.partial_fit(NEW, y).partial_fit(NEW, y + 5), tmp_path) == everything(one, tmp_path)


def test_threads_alone_are_read_at_every_call(model, classifier, tmp_path):
    for own in (model, classifier):
        expected, other = everything(own, tmp_path), copy.copy(own)
        for n_jobs in (2, 3, None):
            assert everything(other.set_params(n_jobs=n_jobs), tmp_path) == expected
        with pytest.raises(ValueError, match="^n_jobs: 0"):
            other.set_params(n_jobs=0).score_samples(NEW) if own is model else other.set_params(n_jobs=0).predict(NEW)


def test_learned_attributes_cannot_be_set(model, classifier):
    for name in ("counts_", "offset_", "calibration_scores_", "layer_", "score_", "n_images_"):
        with pytest.raises(AttributeError):
            setattr(model, name, None)
    with pytest.raises(AttributeError):
        classifier.classes_ = None
    for frozen in (model.fitted_, classifier.fitted_, model.fitted_.settings, model.fitted_.arguments):
        for own in fields(frozen):
            with pytest.raises(AttributeError):
                setattr(frozen, own.name, None)


@pytest.mark.parametrize("kind", [Network, Classifier])
def test_attributes_before_the_fit(kind):
    own = kind()
    for name in ("fitted_", "counts_", "networks_", "classes_", "offset_", "provenance_"):
        assert not hasattr(own, name)
    assert "fitted" not in repr(own)


# ---- objects: clone, search, what None stands for ----


def test_clones(model):
    other = clone(model)
    assert not hasattr(other, "fitted_") and other.get_params(deep=False).keys() == model.get_params(deep=False).keys()
    for name in ("cpd", "features"):
        own = getattr(model, name)
        assert getattr(other, name) == own and (own is None or getattr(other, name) is not own)
    np.testing.assert_array_equal(other.fit(X).score_samples(NEW), model.score_samples(NEW))


def likelihood(model, images, y=None):
    return model.score_samples(images, "log_probability").mean()


GRIDS = [
    ("tree", {"cpd__penalty": [0.4, 1e6]}), ("tree", {"cpd": [cbn.Tree(penalty=0.4), cbn.Tree(penalty=1e6)]}),
    ("pixel", {"cpd__pseudocount": [1.0, 1e6]}), ("pixel", {"cpd": [cbn.Table(), "tree", cbn.Table(())]}),
    ("best", {"cpd__penalty": [0.5, 2.0], "features__iterations": [0], "features__layers": [LAYERS]}),
    ("hidden", {"features__iterations": [0, 1], "features__layers": [LAYERS]}),
    ("pixel", {"features": [None, cbn.Features(layers=LAYERS, iterations=0)], "outlier_score": ["surprise"]}),
]  # fmt: skip


@pytest.mark.parametrize("preset, grid", GRIDS, ids=str)
@pytest.mark.parametrize("explicit", [False, True])
def test_searches(preset, grid, explicit):
    """With the preset's objects, left at None, and with objects given."""
    given = {"cpd": PRESETS[preset].cpd.replaced(), "features": PRESETS[preset].features.replaced()} if explicit else {}
    base = Network(preset, random_state=0, n_jobs=1, false_alarm_rate=0.2, **given)
    search = GridSearchCV(base, grid, scoring=likelihood, cv=2).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all() and not hasattr(base, "fitted_")
    if not explicit:
        assert base.cpd is None and base.features is None
    best = search.best_estimator_
    for name, value in search.best_params_.items():
        assert best.get_params()[name] == value
    settings = best.fitted_.settings
    if "cpd__penalty" in grid:
        assert settings.cpd.penalty == search.best_params_["cpd__penalty"] < 10
        assert settings.cpd.max_leaves == PRESETS[preset].cpd.max_leaves  # the rest is the preset's
    if "cpd__pseudocount" in grid:
        assert settings.cpd.pseudocount == 1
    if "features__iterations" in grid:
        assert settings.features.activation == PRESETS[preset].features.activation


def a_field(cpd):
    """The name of a real number among the fields of a parameter object."""
    return "pseudocount" if hasattr(cpd, "pseudocount") else "l2"


def test_what_none_and_a_word_become_where_a_field_is_set():
    for preset, own in PRESETS.items():
        field = a_field(own.cpd)
        model = Network(preset).set_params(**{f"cpd__{field}": 2.5}, features__momentum=0.25)
        assert model.cpd == own.cpd.replaced(**{field: 2.5})
        assert model.features == own.features.replaced(momentum=0.25)
    assert Network(cpd="tree").set_params(cpd__reach=2).cpd == cbn.Tree(reach=2)
    assert Network("best", cpd="tree").set_params(cpd__reach=2).cpd == PRESETS["best"].cpd.replaced(reach=2)
    assert Network().set_params(cpd="boosted", cpd__rounds=3).cpd == cbn.Boosted(rounds=3)
    assert Network().set_params(preset="tree", cpd__reach=2).cpd == PRESETS["tree"].cpd.replaced(reach=2)
    assert Network().set_params(cpd=cbn.Tree(), cpd__reach=2).cpd == cbn.Tree(reach=2)
    assert Classifier("tree").set_params(cpd__reach=2).cpd == PRESETS["tree"].cpd.replaced(reach=2)
    for wrong in (
        {"cpd__nothing": 1},
        {"cpd": "forest", "cpd__reach": 2},
        {"preset": "x", "cpd__reach": 1},
        {"cpd__reach": 3},
    ):
        with pytest.raises(ValueError) as caught:
            Network().set_params(**wrong)
        assert str(caught.value).isprintable()


def test_presets_cannot_be_changed():
    before = copy.deepcopy(PRESETS)
    for preset in PRESETS:
        model = Network(preset, n_jobs=1, false_alarm_rate=0.2, random_state=0)
        assert model.get_params()["cpd"] is None
        field = a_field(PRESETS[preset].cpd)
        model.set_params(**{f"cpd__{field}": 9.0}, features__pseudocount=9.0)
        setattr(model.get_params()["cpd"], field, 99.0)
        model.cpd.set_params(**{field: 7.0})
        model.features.layers = LAYERS if preset in ("hidden", "best") else ()
        assert before == PRESETS
        clone(model).set_params(**{f"cpd__{field}": 3.0})
    for preset, changed in NETWORKS.items():
        model = network(preset).fit(X)
        for part in (model.fitted_.settings.cpd, model.fitted_.settings.features):
            with pytest.raises(AttributeError, match="belong to a fitted model"):
                part.set_params(**{a_field(part): 77.0})
            part.replaced(**{a_field(part): 77.0})
        for part in (model.fitted_.arguments.cpd, model.fitted_.arguments.features):
            if part is not None:
                part.set_params(**{a_field(part): 77.0})
        assert before == PRESETS
        assert all(part.pseudocount == 1.0 for part in changed.values() if hasattr(part, "pseudocount"))


def test_an_object_can_serve_two_estimators():
    table = cbn.Table(pseudocount=2.0)
    one, two = (Network(cpd=table, false_alarm_rate=0.2, n_jobs=1).fit(X) for _ in range(2))
    expected = two.score_samples(NEW)
    one.set_params(cpd__pseudocount=50.0).fit(X)
    assert table.pseudocount == 50.0  # it is the user's own object
    np.testing.assert_array_equal(two.score_samples(NEW), expected)
    assert two.fitted_.arguments.cpd.pseudocount == two.fitted_.settings.cpd.pseudocount == 2.0


# ---- copies ----


def test_copies_have_the_same_bytes(model, classifier, tmp_path):
    for own in (model, classifier):
        expected, pickled = everything(own, tmp_path), pickle.dumps(own)
        for other in (pickle.loads(pickled), copy.deepcopy(own), copy.copy(own)):
            assert everything(other, tmp_path) == expected
        assert pickle.dumps(pickle.loads(pickled)) == pickle.dumps(pickle.loads(pickle.dumps(pickle.loads(pickled))))
        assert pickle.loads(pickle.dumps(own.fitted_)).score_samples(NEW).shape == (12,) if own is model else True


# ---- words ----


def test_repr_is_short_and_says_what_it_is(model, classifier):
    text = repr(model)
    assert text.startswith("ConvolutionalBayesianNetwork(") and text.isprintable() and len(text) < 400
    fitted = repr(model.fitted_)
    settings = model.fitted_.settings
    for word in (repr(settings.preset), repr(settings.cpd), "130 images 8 x 8", model.binarization_):
        assert word in fitted
    assert fitted in text and len(fitted) < 250 and (" features" in fitted) == bool(settings.features.layers)
    assert repr(clone(model)) in text.replace(f", fitted={fitted}", "")
    text = repr(classifier)
    for word in ("'tree'", "2 classes", "130 images 8 x 8", "Tree(reach=2)"):
        assert word in text
    assert len(text) < 400 and "\n" not in text
    assert repr(Network()) == "ConvolutionalBayesianNetwork()" and repr(Classifier()) == f"{Classifier.__name__}()"


def test_few_arguments_of_constructors():
    for kind in (Network, Classifier):
        arguments = inspect.signature(kind).parameters
        assert len(arguments) <= 13 and all(p.default is not inspect.Parameter.empty for p in arguments.values())
        documented = kind.__doc__
        assert all(name in documented for name in arguments)


def test_delegated_methods_are_those_of_fitted_objects():
    for name in (
        "score_samples",
        "judged_scores",
        "verdicts",
        "discoveries",
        "predict",
        "p_values",
        "sample",
        "inpaint",
        "explain",
        "repair",
        "save",
        "export",
        "bic",
    ):
        own, other = getattr(Network, name), getattr(Fitted, name)
        assert own.__doc__ == other.__doc__ and inspect.signature(own) == inspect.signature(other)


# ---- the recipe ----


def test_an_interrupted_fit_leaves_a_usable_model(tmp_path):
    def interrupt(state, n=None):  # iterations of kernels; of a contrast trees that are done, of n
        if n is None:
            raise KeyboardInterrupt

    for preset in ("hidden", "best"):
        features = cbn.Features(layers=((3, 2, 1), (2, 2, 1)), iterations=3)
        model = network(preset, features=features)
        with pytest.raises(KeyboardInterrupt) as caught:
            model.fit(X, progress=interrupt)
        assert type(caught.value) is KeyboardInterrupt and len(model.hidden_layers_) == 1
        expected = everything(model, tmp_path)
        assert everything(cbn.load(tmp_path / "bytes.cbn", n_jobs=1), tmp_path) == expected
        assert everything(pickle.loads(pickle.dumps(model)), tmp_path) == expected
        assert clone(model).features == features
        if preset == "hidden":
            assert model.partial_fit(NEW).n_images_ == 142
        assert len(model.fit(X).hidden_layers_) == 2
    model = network("boosted")
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, progress=lambda *seen: interrupt(seen))
    assert not hasattr(model, "fitted_")


@pytest.mark.parametrize("preset", NETWORKS)
@pytest.mark.parametrize("thresholds, shift", [(0.3, 0), ((0.2, 0.6), 0), (0.3, 1)])
def test_images_are_packed_once(preset, thresholds, shift, monkeypatch):
    packed, pack = [], _engine.pack_planes

    def counted(images, cutoff, words, num_threads):
        packed.append((len(images), cutoff))
        pack(images, cutoff, words, num_threads)

    monkeypatch.setattr(_engine, "pack_planes", counted)
    images = X * np.uint8(200)
    network(preset, threshold=thresholds, shift=shift).fit(images)
    cutoffs = [int(t * 255) for t in np.atleast_1d(thresholds)]
    turned = [n for n, cutoff in packed if cutoff == 0]  # bits of a contrast's background, which are no images
    assert [own for own in packed if own[1] > 0] == [((2 * shift + 1) ** 2 * len(X), cutoff) for cutoff in cutoffs]
    assert len(turned) == (2 if preset == "best" else 0)


def test_what_was_given_can_change_after_the_fit(tmp_path):
    """Lists and arrays that were arguments belong to the user again; what was learned has its own."""
    layers, thresholds, offsets, prior = [[3, 3, 2]], [0.3], [[-1, 0]], [0.5, 0.5]
    features, table = cbn.Features(layers=layers, iterations=0), cbn.Table(offsets=offsets)
    model = cbn.ConvolutionalBayesianNetwork(
        "hidden", cpd=table, features=features, threshold=thresholds, n_jobs=1, false_alarm_rate=0.3, random_state=0
    ).fit(X)
    model.save(tmp_path / "before.cbn")
    layers.append([4, 3, 2])
    thresholds.append(0.5)
    offsets.append([0, -1])
    model.save(tmp_path / "after.cbn")
    assert (tmp_path / "before.cbn").read_bytes() == (tmp_path / "after.cbn").read_bytes()
    labels = np.arange(len(X)) % 2
    classifier = cbn.ConvolutionalBayesianNetworkClassifier(class_prior=prior, n_jobs=1).fit(X, labels)
    prior[0] = 0.9
    classifier.partial_fit(X, labels)
    np.testing.assert_array_equal(np.exp(classifier.class_log_prior_), [0.5, 0.5])


@pytest.mark.parametrize("preset", NETWORKS)
def test_what_was_learned_cannot_be_written(preset, tmp_path):
    model = network(preset).fit(X)
    model.save(tmp_path / "model.cbn")
    for own in (model, cbn.load(tmp_path / "model.cbn")):
        with pytest.raises(ValueError, match="read-only"):
            own.counts_[:] = 0
