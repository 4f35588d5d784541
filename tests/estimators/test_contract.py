# SPDX-License-Identifier: BSD-3-Clause
"""The estimators as scikit-learn estimators: its own checks, clones, pickles, pipelines, arguments, unfitted use."""

import copy
import math
import pickle

import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_outlier_detector
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator, parametrize_with_checks

import cbn
from cbn import ConvolutionalBayesianNetwork as Network
from cbn import ConvolutionalBayesianNetworkClassifier as Classifier
from helpers import networks
from helpers.contract import WORDING, rows_as_images

SCORES = ("log_probability", "surprise", "standardized", "normalized")


def images_of(n, height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, height, width), dtype=np.uint8)


def bars(n, seed=0):
    """(n, 6, 6) uint8 noisy horizontal (0) and vertical (1) bars, and the labels."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    lines = np.repeat(rng.random((n, 6, 1)) < 0.5, 6, axis=2)
    X = np.where(y[:, None, None] == 1, lines.transpose(0, 2, 1), lines) ^ (rng.random((n, 6, 6)) < 0.05)
    return X.astype(np.uint8) * 200 + 20, y


# ---- scikit-learn's own checks ----

# The checks draw tables of any real numbers. The first pair of lists names those that therefore cannot pass as they
# are; an entry that starts to pass fails (xfail_strict), and an entry that names no check fails below.
NOT_SQUARE = "its rows of 2, 3, 5 or 10 values are no square images"
NOT_GREY = "its values are negative or above 1"
COMMON = {
    "check_fit_score_takes_y": NOT_SQUARE, "check_estimators_overwrite_params": NOT_SQUARE,
    "check_dont_overwrite_parameters": NOT_SQUARE, "check_estimators_fit_returns_self": NOT_SQUARE,
    "check_readonly_memmap_input": NOT_SQUARE, "check_estimators_dtypes": NOT_SQUARE,
    "check_dtype_object": NOT_SQUARE, "check_pipeline_consistency": NOT_SQUARE,
    "check_estimators_nan_inf": NOT_SQUARE, "check_estimators_pickle": NOT_SQUARE,
    "check_f_contiguous_array_estimator": NOT_SQUARE, "check_methods_sample_order_invariance": NOT_SQUARE,
    "check_methods_subset_invariance": NOT_SQUARE, "check_fit2d_1sample": NOT_SQUARE,
    "check_dict_unchanged": NOT_SQUARE,
    "check_fit_idempotent": NOT_SQUARE, "check_fit_check_is_fitted": NOT_SQUARE, "check_n_features_in": NOT_SQUARE,
    "check_fit2d_predict1d": NOT_SQUARE, "check_classifier_data_not_an_array": NOT_SQUARE,
    "check_n_features_in_after_fitting": NOT_GREY, "check_positive_only_tag_during_fit": NOT_GREY,
    "check_fit2d_1feature": NOT_GREY, "check_estimators_empty_data_messages": WORDING,
}  # fmt: skip
AS_THEY_ARE = {
    Network: COMMON | {
        "check_outliers_fit_predict": NOT_SQUARE, "check_outliers_train": NOT_SQUARE, "check_complex_data": WORDING,
    },
    Classifier: COMMON | {
        "check_classifiers_one_label": NOT_SQUARE, "check_classifiers_classes": NOT_SQUARE,
        "check_classifiers_train": NOT_SQUARE, "check_supervised_y_2d": NOT_SQUARE,
        "check_estimators_partial_fit_n_features": NOT_SQUARE,
    },
}  # fmt: skip
# The second list: what is left when every row of numbers is made an image of one row of grey values.
ON_IMAGES = {
    "check_n_features_in_after_fitting": WORDING,
    "check_estimators_empty_data_messages": WORDING,
    "check_fit2d_predict1d": WORDING,
    "check_dtype_object": "arrays of Python objects are refused, not searched for numbers",
}
NETWORK_ON_IMAGES = ON_IMAGES | {"check_complex_data": WORDING}  # a classifier refuses its complex labels


class RowNetwork(Network):
    """A network whose images are the rows of a table of any numbers."""

    def fit(self, X, y=None):
        return super().fit(rows_as_images(X), y)

    def partial_fit(self, X, y=None):
        return super().partial_fit(rows_as_images(X), y)

    def score_samples(self, X, score=None):
        return super().score_samples(rows_as_images(X), score)

    def score(self, X, y=None):
        return super().score(rows_as_images(X), y)

    def decision_function(self, X):
        return super().decision_function(rows_as_images(X))

    def predict(self, X):
        return super().predict(rows_as_images(X))

    def p_values(self, X):
        return super().p_values(rows_as_images(X))


class RowClassifier(Classifier):
    """A classifier whose images are the rows of a table of any numbers."""

    def fit(self, X, y):
        return super().fit(rows_as_images(X), y)

    def partial_fit(self, X, y, **named):
        return super().partial_fit(rows_as_images(X), y, **named)

    def joint_log_probability(self, X):
        return super().joint_log_probability(rows_as_images(X))

    def predict(self, X):
        return super().predict(rows_as_images(X))

    def predict_proba(self, X):
        return super().predict_proba(rows_as_images(X))

    def predict_log_proba(self, X):
        return super().predict_log_proba(rows_as_images(X))


# scikit-learn's own test of labels casts NaN to integers before it refuses it
SILENCED = pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
GREY = (0.2, 0.35, 0.5, 0.65, 0.8)


@SILENCED
@pytest.mark.parametrize("estimator", [Network(false_alarm_rate=0.3), Classifier()], ids=repr)
def test_checks_of_scikit_learn_as_they_are(estimator):
    """All in one test: pytest would write a report of every one that fails as expected, which takes longer than all."""
    expected = AS_THEY_ARE[type(estimator)]
    found = check_estimator(estimator, expected_failed_checks=expected, on_skip=None, on_fail="raise")
    assert {check["check_name"] for check in found if check["expected_to_fail"]} == set(expected)
    for check in found:
        known = ("xfail", "skipped") if check["expected_to_fail"] else ("passed", "skipped")
        assert check["status"] in known, (check["check_name"], check["status"])


@parametrize_with_checks(
    [RowNetwork(threshold=GREY, false_alarm_rate=0.3), RowClassifier(threshold=GREY)],
    expected_failed_checks=lambda model: NETWORK_ON_IMAGES if isinstance(model, Network) else ON_IMAGES,
)
@SILENCED
def test_checks_of_scikit_learn_on_images(estimator, check):
    check(estimator)


def test_every_listed_check_exists():
    for model, listed in [
        (Network(), AS_THEY_ARE[Network]),
        (Classifier(), AS_THEY_ARE[Classifier]),
        (Network(), NETWORK_ON_IMAGES),
        (Classifier(), ON_IMAGES),
    ]:
        names = {check.func.__name__ for _, check in estimator_checks_generator(model)}
        assert set(listed) <= names


# ---- habits ----


@pytest.mark.parametrize("kind", [Network, Classifier])
def test_parameters_are_stored_cloned_and_set(kind):
    offsets, threshold, seed = [[-1, 0]], [0.4], np.random.default_rng(3)
    table = cbn.Table(offsets=offsets, pseudocount=2)
    model = kind(cpd=table, threshold=threshold, random_state=seed, n_jobs=1)
    assert model.cpd is table and table.offsets is offsets  # __init__ only stores
    assert model.threshold is threshold and model.random_state is seed
    assert model.get_params()["cpd__pseudocount"] == 2
    assert set(model.get_params(deep=False)) == set(kind().get_params(deep=False))
    X, y = bars(120)
    fitted = model.fit(X, y)
    assert fitted is model and model.cpd is table and table.offsets is offsets and model.threshold is threshold
    copied = clone(model)
    assert not any(name.endswith("_") for name in vars(copied))
    assert copied.cpd is not table and copied.cpd.offsets == offsets
    assert clone(kind(n_jobs=2)).get_params() == kind(n_jobs=2).get_params()
    assert model.set_params(cpd__pseudocount=5).cpd is table and table.pseudocount == 5
    assert model.set_params(threshold=0.2).threshold == 0.2
    with pytest.raises(ValueError, match="nothing"):
        model.set_params(nothing=1)
    with pytest.raises(ValueError, match="nothing"):
        model.set_params(cpd__nothing=1)
    with pytest.raises(TypeError):
        kind("pixel", table)  # all but the preset by name only
    assert is_classifier(model) == (kind is Classifier) and is_outlier_detector(model) == (kind is Network)


def duplicates(model):
    yield from (pickle.loads(pickle.dumps(model, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1))
    yield copy.deepcopy(model)
    yield copy.copy(model)


def test_copies_of_a_network_are_the_same_model():
    X, _ = bars(150)
    model = Network(threshold=(0.05, 0.5), outlier_score="normalized", random_state=4, false_alarm_rate=0.05).fit(
        X[:120]
    )
    for other in duplicates(model):
        assert other.get_params() == model.get_params() and other.image_shape_ == model.image_shape_
        for score in SCORES:
            np.testing.assert_array_equal(other.score_samples(X, score), model.score_samples(X, score))
        np.testing.assert_array_equal(other.sample(5), model.sample(5))
        np.testing.assert_array_equal(other.p_values(X), model.p_values(X))
        assert other.bic() == model.bic() and other.heat_map_scale() == model.heat_map_scale()
        before = model.counts_.copy()
        other.partial_fit(X[120:])  # a copy learns on its own
        np.testing.assert_array_equal(model.counts_, before)
        assert (other.n_images_, model.n_images_) == (150, 120)
    unfitted = pickle.loads(pickle.dumps(Network(cpd=cbn.Table(pseudocount=3))))
    assert unfitted.cpd == cbn.Table(pseudocount=3) and not hasattr(unfitted, "counts_")


def test_copies_of_a_classifier_are_the_same_model():
    X, y = bars(120)
    model = Classifier(random_state=4).fit(X, y)
    for other in duplicates(model):
        np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
        before = model.predict_proba(X)
        other.partial_fit(X[:60], y[:60])
        np.testing.assert_array_equal(model.predict_proba(X), before)


def test_in_pipelines():
    X, y = bars(300)
    flat = X.reshape(300, 36).astype(float)
    model = make_pipeline(MinMaxScaler(), Network(false_alarm_rate=0.05)).fit(flat[y == 0])
    alone = Network(false_alarm_rate=0.05).fit(X[y == 0] > 76)
    np.testing.assert_array_equal(model.score_samples(flat), alone.score_samples(X > 76))
    np.testing.assert_array_equal(model.predict(flat), alone.predict(X > 76))
    assert roc_auc_score(y == 0, model.decision_function(flat)) > 0.95
    pipeline = make_pipeline(FunctionTransformer(lambda a: a / 255), Classifier()).fit(flat, y)
    np.testing.assert_array_equal(pipeline.predict_proba(flat), Classifier().fit(X, y).predict_proba(X))


def test_in_cross_validation_and_search():
    X, y = bars(240)
    flat = X.reshape(240, 36)
    assert cross_val_score(Classifier(), flat, y, cv=3).min() > 0.9
    assert cross_val_score(Classifier(), X, y, cv=3).min() > 0.9

    def auroc(model, images, labels):
        return roc_auc_score(labels == 0, model.score_samples(images))

    normal_then_all = [(np.flatnonzero(y[:160] == 0), np.arange(160, 240))]
    assert cross_val_score(Network(false_alarm_rate=0.1), flat, y, cv=normal_then_all, scoring=auroc)[0] > 0.9
    search = GridSearchCV(
        Network(false_alarm_rate=0.1),
        {"outlier_score": SCORES, "cpd__pseudocount": [0.5, 1]},
        scoring=auroc,
        cv=normal_then_all,
    ).fit(flat, y)
    assert search.best_score_ > 0.9 and search.best_params_["outlier_score"] in SCORES
    assert set(Network(false_alarm_rate=0.1).fit_predict(X)) == {1, -1}


# ---- arguments ----

NAN, INF = float("nan"), math.inf
BAD_ARGUMENTS = {
    "preset": ["best?", None, 3, True, ["pixel"], NAN],
    "offsets": ["NW", 3, True, NAN, ((0, 0),), ((1, 0),), ((0, 1),), ((-1, 0), (-1, 0)), ((-1,),), ((-1, 0, 0),),
                ((-0.5, 0),), ((NAN, 0),), ((-INF, 0),), ((-1, INF),), (("-1", "0"),), ((-1, None),), ((-1, True),),
                ((-(2**40), 0),), tuple((-1, dx) for dx in range(17)), (3, 4)],
    "threshold": [-0.1, 1.0, 1, 2, NAN, INF, "0.3", "high", True, False, (), (0.5, 0.5), (0.6, 0.3), (0.5, 0.5001),
                  [[0.3]], (0.2, NAN), 0.3 + 0j, {}, (0.1, None), ("0.1", "0.3")],
    "pseudocount": [0, -1, NAN, INF, "1", True, False, [1.0], 1 + 0j],
    "score": ["", "likelihood", 1, True, NAN, ["surprise"]],
    "false_alarm_rate": [0, 1, -0.1, 1.5, NAN, INF, "0.1", None, True, False, [0.1]],
    "image_shape": [36, "66", (6,), (6, 6, 1), (6.0, 6), (0, 36), (-6, -6), (True, 36), (NAN, 6), (6, None), True,
                    (6, "6")],
    "full_scale": [0, 2**31 + 1, -1, 0.5, "255", NAN, True, False, (1, 255), np.array([1, 255])],
    "n_jobs": [0, -2, 1.5, 2000, "2", True, NAN, [1]],
    "random_state": [-1, 2**64, 0.5, "0", True, NAN, [1], (1, 2)],
}  # fmt: skip
ONE_EACH = [(name, value) for name, values in BAD_ARGUMENTS.items() for value in values]


@pytest.mark.parametrize("name, value", [pytest.param(*pair, id=f"{pair[0]}={pair[1]!r:.30}") for pair in ONE_EACH])
def test_bad_arguments_are_refused(name, value):
    X = images_of(120, 6, 6)
    if name == "full_scale":
        X = X > 76  # legal in every scale
    model = networks.Network(**{name: value})  # only stored, as scikit-learn wants it
    with pytest.raises(ValueError) as caught:
        model.fit(X)
        model.sample()  # a seed may also be refused when it is used
    text = str(caught.value)
    assert name in text and "\n" not in text and len(text) < 500


def test_good_arguments_of_unusual_types():
    X = images_of(120, 6, 6)
    expected = Network(image_shape=(6, 6), full_scale=255, n_jobs=2).fit(X).counts_
    four = ((-1, -1), (-1, 0), (-1, 1), (0, -1))
    for arguments in (
        {"offsets": np.array(four)}, {"offsets": [[-1.0, -1.0], [-1, 0], [-1, 1], [0, -1]]}, {"offsets": list(four)},
        {"threshold": [0.3]}, {"threshold": np.float32(0.3)}, {"threshold": np.array([0.3])}, {"n_jobs": np.int8(2)},
        {"pseudocount": 1}, {"false_alarm_rate": np.float64(0.1)}, {"image_shape": np.array([6, 6])},
        {"image_shape": [6, 6]}, {"full_scale": np.int64(255)},
    ):  # fmt: skip
        np.testing.assert_array_equal(networks.Network(**arguments).fit(X).counts_, expected)


def test_bad_arguments_of_methods():
    X = images_of(120, 4, 4)
    model = Network().fit(X)
    for bad in ("likelihood", 3, True, ["surprise"]):
        with pytest.raises(ValueError, match="^score: "):
            model.score_samples(X, score=bad)
    for bad in (0, 1, -1, NAN, True, "0.1", None):
        with pytest.raises(ValueError, match="^false_alarm_rate: "):
            model.threshold_at(bad)


# ---- unfitted ----

IMAGES, HOLE = np.zeros((3, 2, 2), bool), np.ones((2, 2), bool)
NETWORK_METHODS = {
    "score_samples": [IMAGES], "predict": [IMAGES], "decision_function": [IMAGES], "p_values": [IMAGES], "bic": [],
    "surprise_map": [IMAGES], "calibrate": [IMAGES], "binarized_pictures": [IMAGES], "heat_map_scale": [], "sample": [],
    "node_statistics": [], "gibbs_chains": [1], "inpaint": [IMAGES[0], HOLE], "threshold_at": [0.1],
    "p_values_of": [np.zeros(3)], "save": ["never.cbn"], "judged_scores": [IMAGES], "verdicts": [IMAGES],
    "discoveries": [IMAGES], "score": [IMAGES],
}  # fmt: skip
CLASSIFIER_METHODS = {
    "predict": [IMAGES], "predict_proba": [IMAGES], "predict_log_proba": [IMAGES], "joint_log_probability": [IMAGES],
    "score": [IMAGES, [0, 1, 0]], "save": ["never.cbn"],
}  # fmt: skip


@pytest.mark.parametrize(
    "kind, method, arguments",
    [(Network, *item) for item in NETWORK_METHODS.items()]
    + [(Classifier, *item) for item in CLASSIFIER_METHODS.items()],
)
def test_unfitted_use(kind, method, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFittedError):
        getattr(kind(), method)(*arguments)
    assert not list(tmp_path.iterdir())
