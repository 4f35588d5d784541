# SPDX-License-Identifier: BSD-3-Clause
"""The estimator with hidden layers: same bytes everywhere, interruption, every argument, scikit-learn's contract."""

import copy
import hashlib
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV

import cbn
from cbn._params import specs
from cbn.layers.geometry import HiddenLayer
from cbn.layers.kernels import Kernels
from helpers.images import blots
from helpers.networks import Boosting, Classifier, Network

# kernels of so few images learn from a third of them, and the others are too few for the default rate
pytestmark = pytest.mark.filterwarnings("ignore:.*calibration images allow no alarm")

SCORES = ("log_probability", "surprise", "standardized", "normalized")
SMALL = {"hidden": ((3, 3, 1), (2, 3, 1)), "iterations": 2, "random_state": 0, "learning_rate": 0.1, "n_jobs": 1}
SMALL_FEATURES = cbn.Features(layers=((3, 3, 1), (2, 3, 1)), iterations=2, learning_rate=0.1)


def bytes_of(model, folder):
    """The bytes of a saved model."""
    model.save(folder / "bytes.cbn")
    return (folder / "bytes.cbn").read_bytes()


# ---- same bytes; interruption ----

SCRIPT = """
import sys, hashlib, numpy as np, cbn
X = (np.random.default_rng(0).random((150, 14, 14)).cumsum(axis=1) % 2 < 1).astype(np.uint8)
features = cbn.Features(layers=((3, 3, 1), (2, 3, 2)), iterations=3, replace_worst=1, initialization="promising",
                        learning_rate=0.1)
model = cbn.ConvolutionalBayesianNetwork("hidden", features=features, random_state=3, n_jobs=int(sys.argv[1])).fit(X)
model.save(sys.argv[2])
"""


@pytest.mark.slow
def test_same_bytes_for_every_thread_count_and_instruction_set(tmp_path):
    found = set()
    for threads, extra in [(1, {}), (2, {}), (2, {"CBN_FORCE_GENERIC": "1"})]:
        path = tmp_path / f"{threads}.cbn"
        subprocess.run(
            [sys.executable, "-P", "-c", SCRIPT, str(threads), str(path)],
            env=os.environ | extra,
            check=True,
            timeout=120,
        )
        found.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(found) == 1


@pytest.mark.parametrize("after", range(1, 7))
def test_an_interrupted_fit_keeps_the_best_so_far(after, tmp_path):
    """Two layers, two iterations each and the last look: three reports for each layer."""
    X, seen = blots(150), []

    def progress(state):
        seen.append(state)
        if len(seen) == after:
            raise KeyboardInterrupt

    model = Network("hidden", hidden=((3, 3, 1), (2, 3, 1)), iterations=2, random_state=0, n_jobs=1)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, progress=progress)
    layers = seen[-1].layers()
    assert len(model.hidden_layers_) == len(layers) == (after + 2) // 3
    for own, expected in zip(model.hidden_layers_, layers):
        assert own is expected and own.best == int(np.argmax([point.gain for point in own.curve]))
    assert model.layer_scores(X).shape == (150, 1 + len(layers))
    assert np.isfinite(model.score_samples(X)).all() and np.isfinite(model.offset_)
    model.save(tmp_path / "part.cbn")
    loaded = cbn.load(tmp_path / "part.cbn")
    np.testing.assert_array_equal(loaded.score_samples(X), model.score_samples(X))
    loaded.partial_fit(blots(100, seed=1))
    assert loaded.n_images_ == 250


def test_an_interruption_before_the_first_iteration_leaves_the_pixels(tmp_path, monkeypatch):
    def interrupt(*arguments, **named):
        raise KeyboardInterrupt

    X = blots(150)
    model = Network("hidden", hidden=((3, 3, 1),), layer_weights=(0, 1))  # the pixels have no weight: now they have
    with monkeypatch.context() as patch:
        patch.setattr(cbn.layers.training, "search_relations", interrupt)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X)
    assert model.hidden_layers_ == ()
    expected = Network(score="surprise").fit(X)
    np.testing.assert_array_equal(model.score_samples(X), expected.score_samples(X))
    model.save(tmp_path / "part.cbn")
    np.testing.assert_array_equal(cbn.load(tmp_path / "part.cbn").score_samples(X), expected.score_samples(X))


# ---- arguments ----

OPTIONS = {
    "preset": "pixel", "offsets": ((-1, 0),), "threshold": 0.5, "pseudocount": 3.0, "score": "normalized",
    "hidden": ((3, 3, 1),), "layer_weights": (1, 0, 2), "max_parents": 0, "forced_relations": [(1, 0, 1, -3, 0)],
    "forbidden_relations": [(1, c, p, *o) for c in range(3) for p in range(3) for o in ((-3, 0), (0, -3))],
    "kernels": [Kernels(np.eye(9).reshape(9, 1, 3, 3)[:3], np.full(3, -0.1), 1)], "initialization": "promising",
    "activation": (0.1, 0.2), "iterations": 3, "learning_rate": 0.2, "momentum": 0.1, "normalize_kernels": False,
    "keep_activation": False, "replace_worst": 1, "shift": 1, "false_alarm_rate": 0.2, "full_scale": 255,
    "random_state": 1,
}  # fmt: skip
# Arguments of trees, each with the preset that has them.
TREE_OPTIONS = {
    "cpd": ("pixel", "tree"), "reach": ("tree", 1), "penalty": ("tree", 3.0), "max_leaves": ("tree", 2),
    "min_leaf": ("tree", 40), "shrinkage": ("tree", 0.5), "folds": ("tree", 7),
    "boosting": ("boosted", Boosting(rounds=3)),
}  # fmt: skip
NO_EFFECT = {"n_jobs", "image_shape"}  # threads never change a result; the shape is only for flat images
FIELDS = {"hidden": "layers", "score": "outlier_score"}  # flat names of fields that have another


def outcome(model, X):
    """All that a fitted model has learned, whatever its arguments say."""
    parts = [model.counts_, model.score_samples(X), [model.offset_]]
    for trained in model.hidden_layers_:
        parts += [trained.kernels.weights, trained.kernels.bias, [point.gain for point in trained.curve]]
    return hashlib.sha256(b"".join(np.asarray(part, float).tobytes() for part in parts)).digest()


def test_every_argument_is_tried():
    tried = {FIELDS.get(name, name) for name in OPTIONS.keys() | TREE_OPTIONS.keys() | NO_EFFECT}
    fields = {spec.name for kind in (cbn.Table, cbn.Tree, cbn.Features) for spec in specs(kind)}
    elsewhere = {
        "features",
        "contrast",
    }  # fields of the first are tried here, of the second in tests/layers/test_contrast.py
    assert tried == (Network().get_params(deep=False).keys() - elsewhere) | fields | {"boosting"}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.filterwarnings("ignore:X. only 0 and 1:UserWarning")
def test_every_argument_changes_something(name):
    X = (blots(120, noise=0.1) * np.random.default_rng(2).integers(60, 256, (120, 12, 12))).astype(np.uint8)
    base = {"preset": "hidden"} | SMALL
    if name == "preset":
        base["hidden"] = None
        X = np.pad(X, ((0, 0), (8, 8), (8, 8)))
    if name == "full_scale":
        X = X // 200  # of 0 and 1: black throughout on a scale of 255
    changed = base | {name: OPTIONS[name]}
    if name == "full_scale":
        assert outcome(Network(**base).fit(X), X) == outcome(Network(**base | {name: 1}).fit(X), X)
        with pytest.raises(cbn.DataError, match="no pixel of any training image exceeds the threshold"):
            Network(**changed).fit(X)
        return
    results = [outcome(Network(**arguments).fit(X), X) for arguments in (base, changed, base)]
    assert results[0] == results[2] != results[1]


@pytest.mark.parametrize("name", TREE_OPTIONS)
def test_every_argument_of_trees_changes_something(name):
    X = blots(120, noise=0.1)
    preset, value = TREE_OPTIONS[name]
    base = {"preset": preset, "random_state": 0, "n_jobs": 1, "false_alarm_rate": 0.5}
    if preset == "boosted":
        base["boosting"] = Boosting(rounds=2)
    results = [outcome(Network(**arguments).fit(X), X) for arguments in (base, base | {name: value}, base)]
    assert results[0] == results[2] != results[1]


BAD = {
    "hidden": [3, "533", [3], [(5, 3)], [(5, 3, 2, 1)], [(0, 3, 2)], [(5, 11, 2)], [(5, 3, 0)], [(5, 3.0, 2)],
               [(65, 3, 2)], [(5, 3, 2)] * 8, [(5, 13, 1)], [(5, 12, 1)]],
    "layer_weights": [(1, 1), (1, 1, 1, 1), (0, 0, 0), (1, -1, 1), 1, "111", (1, np.nan, 1), (1, None, 1),
                      (1, True, 1)],
    "max_parents": [-1, 11, 2.0, "3", None, True], "initialization": ["best", None, 3],
    "kernels": [3, [3], "nothing.npz", [Kernels(np.zeros((3, 1, 3, 3)), np.zeros(3), 2)],
                [Kernels(np.zeros((3, 1, 2, 2)), np.zeros(3), 1)], [Kernels(np.zeros((3, 3)), np.zeros(3), 1)],
                [Kernels(np.full((3, 1, 3, 3), np.nan), np.zeros(3), 1)],
                [Kernels(np.full((3, 1, 3, 3), 300.0), np.zeros(3), 1)],
                [Kernels(np.full((3, 1, 3, 3), "a"), np.zeros(3), 1)],
                [Kernels(np.zeros((3, 1, 3, 3)), np.zeros(3), 1)] * 3],
    "activation": [0.5, (0.5,), (0.6, 0.3), (0, 0.5), (0.5, 1), ("a", "b"), (0.1, 0.2, 0.3)],
    "iterations": [-1, 1.5, "2", True], "learning_rate": [-0.1, np.nan, np.inf, "1", None, True],
    "momentum": [-0.1, 1, 1.5, np.nan, "0.9", None], "normalize_kernels": [None, 1, "yes"],
    "keep_activation": [None, 0, "no"], "replace_worst": [-1, 1.0, "1", None], "shift": [-1, 9, 1.0, "1", None],
}  # fmt: skip


@pytest.mark.parametrize("name, value", [(name, value) for name, values in BAD.items() for value in values])
def test_bad_arguments_are_refused_in_one_line(name, value):
    features = SMALL_FEATURES
    own, shift = (features, value) if name == "shift" else (features.replaced(**{FIELDS.get(name, name): value}), 0)
    with pytest.raises(ValueError) as caught:
        cbn.ConvolutionalBayesianNetwork("hidden", features=own, shift=shift, random_state=0, n_jobs=1).fit(blots(120))
    text = str(caught.value)
    assert FIELDS.get(name, name) in text and text.isprintable() and len(text) < 400


def test_unusual_but_good_arguments(tmp_path):
    X = blots(120)
    expected = outcome(Network("hidden", **SMALL).fit(X), X)
    for arguments in (
        {"layers": [HiddenLayer(3, 3, 1), [2, 3, 1]]}, {"layers": np.array([[3, 3, 1], [2, 3, 1]])},
        {"iterations": np.int8(2)},
        {"activation": [np.float64(0.3), 0.6]}, {"layer_weights": np.ones(3)},
        {"normalize_kernels": np.True_}, {"forced_relations": []}, {"kernels": []}, {"max_parents": np.int64(6)},
    ):  # fmt: skip
        features = SMALL_FEATURES.replaced(**arguments)
        model = cbn.ConvolutionalBayesianNetwork("hidden", features=features, random_state=0, n_jobs=1).fit(X)
        assert outcome(model, X) == expected
        model.save(tmp_path / "a.cbn")
        loaded = cbn.load(tmp_path / "a.cbn")
        assert loaded.fitted_.settings.features.layers == (HiddenLayer(3, 3, 1), HiddenLayer(2, 3, 1))
        np.testing.assert_array_equal(loaded.features.layers, [(3, 3, 1), (2, 3, 1)])
        assert outcome(loaded, X) == expected


def test_a_classifier_has_no_hidden_layers():
    X, y = blots(120), np.arange(120) % 2
    with pytest.raises(
        ValueError, match="^preset: 'hidden' has hidden layers, whose product is no probability.*'tied'$"
    ):
        Classifier("hidden").fit(X, y)
    with pytest.raises(ValueError, match="^preset: 'hidden' has"):
        Classifier().fit(X, y).set_params(preset="hidden").fit(X, y)
    with pytest.raises(ValueError, match="^preset: 'nothing'"):
        Classifier("nothing").fit(X, y)


# ---- scikit-learn's contract ----


def test_same_bytes_when_fitted_again(tmp_path):
    X = blots(120)
    model = Network("hidden", **SMALL)
    first = bytes_of(model.fit(X), tmp_path)
    assert bytes_of(model.fit(X), tmp_path) == first
    assert bytes_of(clone(model).fit(X), tmp_path) == first
    assert bytes_of(Network("hidden", **SMALL).partial_fit(X), tmp_path) == first
    flat = Network("hidden", **SMALL).fit(X.reshape(120, -1).astype(bool))
    assert outcome(flat, X) == outcome(model, X)
    drawn = [outcome(Network("hidden", **(SMALL | {"random_state": None})).fit(X), X) for _ in range(2)]
    assert drawn[0] != drawn[1]


def test_parameters_are_only_stored():
    layers, kernels = [[3, 3, 1]], [Kernels(np.ones((3, 1, 3, 3)), np.zeros(3), 1)]
    features = cbn.Features(layers=layers, kernels=kernels, iterations=0)
    model = cbn.ConvolutionalBayesianNetwork("hidden", features=features)
    assert model.features is features and features.layers is layers and features.kernels is kernels
    model.fit(blots(120))
    assert model.features is features and features.layers is layers and features.kernels is kernels
    assert model.get_params()["features__layers"] is layers
    copied = clone(model)
    assert copied.features.layers == layers and not hasattr(copied, "hidden_layers_")
    assert model.set_params(features__momentum=0.5).features is features and features.momentum == 0.5


def test_copies_are_the_same_model(tmp_path):
    X = blots(150)
    model = Network("hidden", **SMALL).fit(X[:120])
    content = bytes_of(model, tmp_path)
    for other in (
        *(pickle.loads(pickle.dumps(model, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)),
        copy.deepcopy(model), copy.copy(model), cbn.load(tmp_path / "bytes.cbn"),
    ):  # fmt: skip
        for score in SCORES:
            np.testing.assert_array_equal(other.layer_scores(X, score), model.layer_scores(X, score))
            np.testing.assert_array_equal(other.score_samples(X, score), model.score_samples(X, score))
        np.testing.assert_array_equal(other.surprise_map(X), model.surprise_map(X))
        np.testing.assert_array_equal(other.p_values(X), model.p_values(X))
        assert other.bic_terms() == model.bic_terms() and other.heat_map_scale() == model.heat_map_scale()
        assert [str(node) for node in other.explain(X[0])] == [str(node) for node in model.explain(X[0])]
        assert bytes_of(other, tmp_path) == content
        other.partial_fit(X[20:])  # a copy learns on its own
        assert (other.n_images_, model.n_images_) == (250, 120)
    assert bytes_of(model, tmp_path) == content


def test_partial_fit_keeps_kernels_and_adds_counts(tmp_path):
    X, new = blots(260), blots(120, seed=9)
    model = Network("hidden", **SMALL).fit(X[:130])
    layers = model.hidden_layers_
    before = [network.counts.copy() for network in model.fitted_.network.networks]
    alone = Network("hidden", **SMALL | {"iterations": 0}, kernels=[t.kernels for t in layers])
    assert model.partial_fit(X[130:]) is model
    assert all(a is b for a, b in zip(model.hidden_layers_, layers, strict=True))
    assert model.n_images_ == 260
    for number, (network, earlier) in enumerate(zip(model.fitted_.network.networks, before)):
        # what the second half alone would have counted, with the same relations
        planes = model.fitted_.network.planes(model.binarizer_.planes(X[130:], 1), 1)[number]
        half = cbn.cpd.table.TableCPD.counted(network.layer, planes, 1.0, 1)
        np.testing.assert_array_equal(network.counts, earlier + half.counts)
    model.save(tmp_path / "a.cbn")
    loaded = cbn.load(tmp_path / "a.cbn")
    np.testing.assert_array_equal(loaded.score_samples(new), model.score_samples(new))
    assert alone.fit(X).layer_scores(new).shape == (120, 3)
    np.testing.assert_array_equal(alone.layer_scores(new)[:, 0], model.layer_scores(new)[:, 0])
    with pytest.warns(cbn.CalibrationWarning, match="counted again"):
        model.set_params(features__layers=((3, 3, 1),)).partial_fit(X)  # for the next fit alone
    assert len(model.hidden_layers_) == 2 and model.n_images_ == 520


def test_starting_kernels_are_not_needed_after_the_fit(tmp_path):
    X = blots(150)
    model = Network("hidden", **SMALL).fit(X)
    model.save_kernels(tmp_path / "kernels.npz")
    model = Network("hidden", **(SMALL | {"iterations": 0}), kernels=str(tmp_path / "kernels.npz")).fit(X)
    model.save(tmp_path / "a.cbn")
    (tmp_path / "kernels.npz").unlink()
    loaded = cbn.load(tmp_path / "a.cbn")
    assert loaded.features.kernels is None
    np.testing.assert_array_equal(loaded.score_samples(X), model.score_samples(X))
    new = blots(90, seed=1)
    assert model.partial_fit(new).n_images_ == loaded.partial_fit(new).n_images_ == 240
    with pytest.raises(cbn.DataError, match="^kernels: .*no such file"):
        model.fit(X)


def test_a_generator_gives_one_seed_for_a_training_and_none_without_hidden_layers():
    X = blots(120)
    rng = np.random.default_rng(3)
    seed = int(np.random.default_rng(3).integers(2**64, dtype=np.uint64))
    drawn = Network("hidden", **(SMALL | {"random_state": rng})).fit(X)
    assert outcome(drawn, X) == outcome(Network("hidden", **(SMALL | {"random_state": seed})).fit(X), X)
    untouched = np.random.default_rng(3)
    Network(random_state=untouched).fit(X)
    assert untouched.integers(2**64, dtype=np.uint64) == seed


def test_in_a_search():
    X = np.concatenate([blots(120), blots(40).transpose(0, 2, 1)])
    y = np.repeat([0, 1], [120, 40])
    splits = [(np.arange(100), np.arange(100, 160))]

    def auroc(model, images, labels):
        return roc_auc_score(labels == 0, model.score_samples(images))

    grid = {
        "features__iterations": [0, 2], "features__layer_weights": [None, (0, 1, 1)],
        "features__layers": [((3, 3, 1), (2, 3, 1))],
    }  # fmt: skip
    search = GridSearchCV(Network("hidden", random_state=0, n_jobs=1), grid, scoring=auroc, cv=splits).fit(X, y)
    assert search.best_score_ > 0.7
