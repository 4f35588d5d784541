# SPDX-License-Identifier: BSD-3-Clause
"""The estimator against a second, naive evaluation of its equations; calibration; which inputs it takes and refuses."""

import itertools
import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse

from cbn import CalibrationWarning, CbnError, DataError
from helpers.networks import Network

SCORES = ("log_probability", "surprise", "standardized", "normalized")
NW_N_NE_W = ((-1, -1), (-1, 0), (-1, 1), (0, -1))


def grey_images(n, height, width, seed=0):
    """(n, height, width) uint8: smooth random fields, so that neighbours depend on each other; all levels occur."""
    field = np.random.default_rng(seed).normal(size=(n, height + 2, width + 2))
    smooth = field[:, 1:-1, 1:-1] + field[:, :-2, 1:-1] + field[:, 1:-1, :-2] + field[:, 2:, 2:]
    return np.clip(90 + 70 * smooth, 0, 255).astype(np.uint8)


def bits_of(images, thresholds):
    """(n, channels, height, width) of 0 and 1 by the rule value > threshold x 255."""
    return np.stack([images > t * 255 for t in thresholds], axis=1).astype(int)


class Naive:
    """Equations 1, 2, 14 and 15 node by node from training bits; padding is 0, pseudo-count 1."""

    def __init__(self, train, offsets=NW_N_NE_W):
        self.train, self.offsets = train, offsets
        self.nodes = list(itertools.product(*(range(size) for size in train.shape[1:])))

    def rows(self, bits, c, y, x):
        """Number of the table row of node (c, y, x) in every image, and whether the node can be 1."""
        _, _, height, width = bits.shape
        row, free = np.zeros(len(bits), int), np.ones(len(bits), bool)
        for dy, dx in self.offsets:
            inside = 0 <= y + dy < height and 0 <= x + dx < width
            row = 2 * row + (bits[:, c, y + dy, x + dx] if inside else 0)
        if c > 0:  # the lower threshold at the same pixel
            row, free = 2 * row + bits[:, c - 1, y, x], bits[:, c - 1, y, x] == 1
        return row, free

    def node(self, bits, c, y, x):
        """(-log p, entropy, variance of -log p) of the node in every image, nats."""
        seen, _ = self.rows(self.train, c, y, x)
        row, free = self.rows(bits, c, y, x)
        ones = np.array([(self.train[seen == r, c, y, x] == 1).sum() for r in row])
        p1 = np.where(free, (ones + 1) / (np.array([(seen == r).sum() for r in row]) + 2), 0.0)
        p = np.stack([1 - p1, p1])
        nats = -np.log(np.where(p > 0, p, 1.0))
        entropy = (p * nats).sum(axis=0)
        return nats[bits[:, c, y, x], np.arange(len(bits))], entropy, (p * (nats - entropy) ** 2).sum(axis=0)

    def scores(self, bits):
        """The four scores, the surprises of all nodes and the mean -log p of all nodes in training."""
        own = np.array([self.node(bits, *v) for v in self.nodes])  # (nodes, 3, n)
        before = np.array([self.node(self.train, *v)[0] for v in self.nodes])
        mean, deviation = before.mean(axis=1), np.maximum(before.std(axis=1), 0.01)
        nats, surprise = own[:, 0], own[:, 0] - own[:, 1]
        result = {
            "log_probability": -nats.sum(axis=0),
            "surprise": -surprise.sum(axis=0),
            "standardized": -surprise.sum(axis=0) / np.sqrt(own[:, 2].sum(axis=0)),
            "normalized": -(np.abs(nats - mean[:, None]) / deviation[:, None]).sum(axis=0),
        }
        return result, surprise.T.reshape(bits.shape), mean.reshape(bits.shape[1:])


CASES = [(5, 7, (0.3,), NW_N_NE_W), (6, 4, (0.2, 0.5), NW_N_NE_W), (4, 5, (0.1, 0.4, 0.7), ((-2, 1), (0, -3)))]


@pytest.mark.parametrize("height, width, thresholds, offsets", CASES)
def test_all_scores_against_the_equations(height, width, thresholds, offsets):
    train, new = grey_images(70, height, width), grey_images(30, height, width, seed=1)
    train[:, 1, 2] = 0  # a node that never changes
    model = Network(threshold=thresholds, offsets=offsets, false_alarm_rate=0.1).fit(train)
    naive = Naive(bits_of(train, thresholds), offsets)
    for images in (train, new):
        expected, surprises, mean_nats = naive.scores(bits_of(images, thresholds))
        for name in SCORES:
            np.testing.assert_allclose(model.score_samples(images, score=name), expected[name], rtol=1e-9, err_msg=name)
        maps = model.surprise_map(images)
        assert maps.shape == images.shape
        np.testing.assert_allclose(maps, surprises.sum(axis=1), atol=1e-10)
        np.testing.assert_allclose(maps.sum(axis=(1, 2)), -model.score_samples(images, score="surprise"), rtol=1e-9)
    ones, nats = model.node_statistics()
    np.testing.assert_allclose(ones, bits_of(train, thresholds).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(nats, mean_nats, rtol=1e-9)


def test_default_score_and_pseudocount():
    X = grey_images(40, 3, 4)
    for name in SCORES:
        model = Network(score=name, false_alarm_rate=0.1).fit(X)
        np.testing.assert_array_equal(model.score_samples(X), model.score_samples(X, score=name))
    one = np.ones((3, 1, 1), bool)  # a single pixel that was 1 three times
    for pseudocount in (0.25, 1, 7.5):
        model = Network(pseudocount=pseudocount, false_alarm_rate=0.5).fit(one)
        expected = (3 + pseudocount) / (3 + 2 * pseudocount)
        np.testing.assert_allclose(model.score_samples(one[:1]), np.log(expected), rtol=1e-12)


@pytest.mark.parametrize("shape, levels, thresholds", [((2, 3), (0, 1), 0.3), ((2, 2), (0, 100, 200), (0.3, 0.6))])
def test_probabilities_sum_to_one(shape, levels, thresholds):
    everything = np.array(list(itertools.product(levels, repeat=np.prod(shape))), np.uint8).reshape(-1, *shape)
    for seed, n in enumerate((1, 7, 300)):
        train = np.random.default_rng(seed).choice(np.array(levels, np.uint8), (n, *shape))
        train[0, 0, 0] = levels[-1]
        model = Network(threshold=thresholds, false_alarm_rate=0.5).fit(train)
        assert np.exp(model.score_samples(everything)).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("thresholds", [0.3, (0.3, 0.6)])
@pytest.mark.parametrize("score", SCORES)
def test_calibration_scores_are_those_of_refitted_models(score, thresholds):
    X = grey_images(11, 4, 5)
    X[:, 0, 1], X[:, 2, 2] = 0, 255  # constant nodes
    X[1:, 3, 3], X[0, 3, 3] = 0, 255  # constant without the first image
    arguments = {"score": score, "threshold": thresholds, "full_scale": 255, "false_alarm_rate": 0.5}
    share = {"pseudocount": 10 / 11}  # without its image a network has one of eleven fewer, and as much less of this
    refitted = [
        Network(**arguments, **share).fit(np.delete(X, i, 0)).score_samples(X[i : i + 1])[0] for i in range(len(X))
    ]
    model = Network(**arguments).fit(X)
    np.testing.assert_allclose(model.calibration_scores_, np.sort(refitted), rtol=1e-9)
    # after partial_fit: the images of the last call, each left out of all counts
    halves = Network(**arguments).fit(X[:5]).partial_fit(X[5:])
    np.testing.assert_allclose(halves.calibration_scores_, np.sort(refitted[5:]), rtol=1e-9)
    assert model.calibration_ == halves.calibration_ == "leave-one-out"


def state_of(model):
    return (model.counts_.tobytes(), model.n_images_, model.calibration_scores_.tobytes(), model.offset_,
            model.calibration_, model.layer_, dict(model.provenance_), model.binarization_)  # fmt: skip


@pytest.mark.parametrize("threshold", [0.3, (0.2, 0.6)])
def test_counts_add_for_every_split(threshold):
    X = grey_images(130, 6, 5)
    new = grey_images(20, 6, 5, seed=1)
    whole = Network(threshold=threshold, false_alarm_rate=0.5).fit(X)
    for cuts in ([1], [63], [64], [65], [129], [10, 11, 75], [64, 128]):
        model = Network(threshold=threshold, false_alarm_rate=0.5, full_scale=255)
        for part in np.split(X, cuts):
            assert model.partial_fit(part) is model
        np.testing.assert_array_equal(model.counts_, whole.counts_)
        assert model.n_images_ == whole.n_images_ == 130
        for name in SCORES:
            np.testing.assert_array_equal(model.score_samples(new, name), whole.score_samples(new, name))
    assert whole.counts_.dtype == np.int64 and whole.counts_.sum() == 130 * whole.layer_.n_nodes
    refit = whole.fit(X[:30])  # forgets what was there
    assert refit.n_images_ == 30 and refit.counts_.sum() == 30 * whole.layer_.n_nodes


def test_a_refused_partial_fit_changes_nothing():
    X = grey_images(30, 4, 4)
    model = Network(false_alarm_rate=0.5).fit(X)
    before, scores = state_of(model), model.score_samples(X)
    for bad in (X[:, :3], X.astype(float), -X.astype(int), X[:0], X.astype(object), "images", np.full(X.shape, np.nan)):
        with pytest.raises(DataError):
            model.partial_fit(bad)
        assert state_of(model) == before
    with pytest.raises(DataError, match="y"):
        model.partial_fit(X, np.ones(29))
    with pytest.raises(ValueError, match="n_jobs"):  # the one argument that is read after the fit
        model.set_params(n_jobs=0).partial_fit(X)
    model.set_params(n_jobs=None)
    assert state_of(model) == before
    np.testing.assert_array_equal(model.score_samples(X), scores)


# ---- p-values and thresholds ----


@pytest.mark.parametrize("n", [99, 100, 58, 13])
def test_prediction_agrees_with_p_values_at_every_rate(n):
    X = grey_images(n + 150, 3, 3)  # few pixels, so that scores tie with calibration scores
    model = Network(false_alarm_rate=0.5, full_scale=255, n_jobs=1).fit(X[:n])
    new, scores = X, model.score_samples(X)

    def p_values_by_hand():
        calibration = model.calibration_scores_
        rounding = 1e-9 * max(1, np.abs(calibration).max())  # scores as near as that are ties
        return np.array([(1 + (calibration <= s + rounding).sum()) / (1 + n) for s in scores])

    brute = p_values_by_hand()
    for source in ("leave-one-out", "separate images"):
        if source == "separate images":
            model.calibrate(X[-n:])
            brute = p_values_by_hand()
        p = model.p_values(new)
        assert model.calibration_ == source and len(set(p)) < len(p)
        np.testing.assert_array_equal(p, brute)
        for rate in [*(k / (n + 1) for k in range(1, n + 1)), 0.29, 0.07, 0.14, 0.57, 0.58, 0.1 + 0.2, 0.1, 0.999]:
            if rate * (n + 1) < 1 - 1e-12:
                continue
            calibration = replace(model.fitted_.calibration, false_alarm_rate=rate)
            model.fitted_ = replace(model.fitted_, calibration=calibration)
            assert model.offset_ == model.threshold_at(rate)
            predicted, decision = model.predict(new), model.decision_function(new)
            np.testing.assert_array_equal(predicted == -1, p <= rate, err_msg=f"rate {rate!r}")
            np.testing.assert_array_equal(predicted == -1, decision < 0)
            np.testing.assert_array_equal(decision, scores - model.offset_)
            assert set(predicted) <= {-1, 1}


def test_a_rate_a_hair_below_a_p_value_raises_no_alarm_there():
    X = grey_images(300, 3, 3)
    for rate in (0.29, 0.07, 0.5):
        just_below = float(np.nextafter(rate, 0))
        model = Network(false_alarm_rate=just_below).fit(X[:99])
        np.testing.assert_array_equal(model.predict(X) == -1, model.p_values(X) <= just_below)


def test_separate_calibration_keeps_the_false_alarm_rate():
    X = grey_images(500, 5, 5)
    rng = np.random.default_rng(0)
    rate, n_calibration, alarms = 0.1, 39, []
    for _ in range(250):
        train, calibration, new = np.split(X[rng.permutation(len(X))], [100, 100 + n_calibration])
        model = Network(score="surprise", false_alarm_rate=rate, n_jobs=1).fit(train).calibrate(calibration)
        alarms.append((model.predict(new) == -1).mean())
    error = np.std(alarms, ddof=1) / np.sqrt(len(alarms))
    assert np.mean(alarms) <= rate + 3 * error
    assert np.mean(alarms) >= rate - 4 * error - 0.01  # and alarms are raised: 4 of 40 ranks, less ties


@pytest.mark.parametrize("rate, needed", [(0.01, 99), (0.05, 19), (0.29, 3), (0.5, 1), (1 / 3, 2), (0.07, 14)])
def test_warning_when_too_few_images_allow_an_alarm(rate, needed):
    X = grey_images(120, 3, 3)
    Network(false_alarm_rate=rate, full_scale=255).fit(X[:needed])  # warnings are errors here
    if needed > 1:
        with pytest.warns(CalibrationWarning, match=str(needed)):
            model = Network(false_alarm_rate=rate, full_scale=255).fit(X[: needed - 1])
        assert model.offset_ == -np.inf
        with pytest.warns(CalibrationWarning, match=str(needed)):
            assert (model.predict(X) == 1).all()
        assert (model.p_values(X) > rate).all() and (model.verdicts(X).verdicts == "undecided").all()
        with pytest.warns(CalibrationWarning):
            model.calibrate(X[-(needed - 1) :])
        assert model.calibrate(X[:needed]).offset_ > -np.inf


def test_warnings_of_too_few_images_point_at_the_line_of_the_user():
    X = grey_images(12, 3, 3)
    with pytest.warns(CalibrationWarning):
        model = Network(false_alarm_rate=0.05, full_scale=255).fit(X)
    for use in (
        lambda: Network(false_alarm_rate=0.05, full_scale=255).fit(X),
        lambda: model.predict(X),
        lambda: model.threshold_at(0.05),
        lambda: model.repair(X[0]),
        lambda: model.discoveries(X, 0.05),
        lambda: model.calibrate(X[1:]),
        lambda: model.partial_fit(X[:2]),
    ):
        with pytest.warns(CalibrationWarning) as caught:
            use()
        assert [warning.filename for warning in caught] == [__file__]


# ---- other figures ----


def test_bic_by_hand():
    X = np.array([[[1, 1]], [[1, 0]], [[0, 0]], [[1, 1]]], bool)
    model = Network(offsets=((0, -1),), false_alarm_rate=0.5).fit(X)
    likelihood = 3 * np.log(3 / 4) + np.log(1 / 4) + 2 * np.log(2 / 3) + np.log(1 / 3)
    assert model.bic() == pytest.approx(3 * np.log(4) - 2 * likelihood, rel=1e-12)  # 1 parameter, then 2
    assert model.bic(X) == pytest.approx(model.bic(), rel=1e-12)
    # of the first two images alone: the first pixel is always 1, the second is 1 in half
    assert model.bic(X[:2]) == pytest.approx(3 * np.log(2) + 4 * np.log(2), rel=1e-12)
    # two thresholds at one pixel: the upper bit is free only where the lower one is 1, so 1 + 1 parameters
    grey = np.array([0, 0, 100, 200], np.uint8).reshape(4, 1, 1)
    model = Network(offsets=(), threshold=(0.3, 0.6), false_alarm_rate=0.5).fit(grey)
    assert model.bic() == pytest.approx(16 * np.log(2), rel=1e-12)


def test_heat_map_scale_is_a_quantile_of_the_training_surprises():
    X = grey_images(300, 6, 5)
    model = Network().fit(X)
    surprises, scale = model.surprise_map(X).ravel(), model.heat_map_scale()
    assert (surprises <= scale).mean() >= 0.999 > (surprises < scale).mean()
    assert Network().fit(np.zeros((10**4, 2, 2), bool)).heat_map_scale() > 0  # nothing surprises, yet a usable scale


def test_attributes():
    X = grey_images(120, 4, 7)
    model = Network(threshold=0.25).fit(X)
    assert model.image_shape_ == (4, 7) and model.n_features_in_ == 28 and model.n_images_ == 120
    assert "0.25" in model.binarization_ and "255" in model.binarization_
    assert (np.diff(model.calibration_scores_) >= 0).all() and len(model.calibration_scores_) == 120
    assert len(model.provenance_["data_digest"]) == 32
    same, other = Network(threshold=0.25).fit(X[::-1] // 2 * 2), Network(threshold=0.25).fit(X[1:])
    assert same.provenance_ == model.provenance_ != other.provenance_  # of the bits, in any order: 63 // 2 * 2 == 62
    np.testing.assert_array_equal(model.binarized_pictures(X), np.where(X > 0.25 * 255, 255, 0))


def test_binarized_pictures_are_a_fixed_point():
    X = grey_images(120, 4, 7)
    model = Network(threshold=(0.1, 0.35, 0.8)).fit(X)
    pictures = model.binarized_pictures(X)
    assert pictures.dtype == np.uint8 and set(np.unique(pictures)) >= {0, 255} and len(np.unique(pictures)) == 4
    np.testing.assert_array_equal(model.binarized_pictures(pictures), pictures)
    np.testing.assert_array_equal(model.score_samples(pictures), model.score_samples(X))


# ---- forms of input ----


def test_forms_of_binary_images():
    X = grey_images(120, 6, 6) > 76
    expected = Network().fit(X)
    forms = [X.astype(t) for t in ("u1", "i1", "i4", "u8", ">i2", "f2", "f4", "f8", "g")]
    forms += [X.tolist(), X.astype(int).tolist(), list(X), X.reshape(120, 36), X.reshape(120, 36).tolist()]
    forms += [np.asfortranarray(X), np.repeat(X, 2, axis=2)[:, :, ::2], X[:, ::-1].copy()[:, ::-1]]
    forms += [np.asfortranarray(X.astype(float)), X.astype("u1") * np.uint8(255)]
    frozen = X.copy()
    frozen.flags.writeable = False
    for images in [*forms, frozen, X.transpose(1, 0, 2).copy().transpose(1, 0, 2)]:
        before = np.array(images)
        model = Network().fit(images)
        np.testing.assert_array_equal(model.counts_, expected.counts_)
        np.testing.assert_array_equal(model.score_samples(images), expected.score_samples(X))
        np.testing.assert_array_equal(np.array(images), before)
    for images in (X.astype("u1"), X.astype("i8"), X.astype("f4"), X.reshape(120, 36)):
        np.testing.assert_array_equal(expected.score_samples(images), expected.score_samples(X))


@pytest.mark.parametrize("threshold", [0.3, 0.2, 76 / 255, 0.0, 0.999, (25 / 255, 76 / 255, 0.5, 0.75), 0.1 + 0.2])
def test_forms_of_grey_images(threshold):
    X = np.arange(256, dtype=np.uint8)[np.random.default_rng(0).permutation(256 * 9) % 256].reshape(-1, 3, 3)
    expected = Network(threshold=threshold).fit(X)
    rule = np.stack([X > t * 255 for t in np.atleast_1d(threshold)])
    np.testing.assert_allclose(expected.node_statistics()[0], rule.mean(axis=1), rtol=1e-12)
    for images in (X.astype(np.int16), X.astype(np.uint64), X / 255, (X / 255).astype(np.longdouble), X.reshape(-1, 9)):
        np.testing.assert_array_equal(Network(threshold=threshold).fit(images).counts_, expected.counts_)
        np.testing.assert_array_equal(expected.score_samples(images), expected.score_samples(X))


def test_flat_images_that_are_not_square():
    X = grey_images(120, 3, 8)
    expected = Network().fit(X)
    model = Network(image_shape=(3, 8)).fit(X.reshape(120, 24))
    np.testing.assert_array_equal(model.counts_, expected.counts_)
    np.testing.assert_array_equal(expected.score_samples(X.reshape(120, 24)), model.score_samples(X))
    for shape in ((8, 3), (4, 8), (3, 7)):
        with pytest.raises(DataError, match="X"):
            Network(image_shape=shape).fit(X)
    with pytest.raises(DataError, match="24.*image_shape"):
        Network().fit(X.reshape(120, 24))


def test_results_do_not_depend_on_threads():
    X = grey_images(200, 5, 6)
    one = Network(n_jobs=1).fit(X)
    for n_jobs in (2, 3, 7, -1, None):
        model = Network(n_jobs=n_jobs).fit(X)
        np.testing.assert_array_equal(model.counts_, one.counts_)
        np.testing.assert_array_equal(model.calibration_scores_, one.calibration_scores_)
        np.testing.assert_array_equal(model.surprise_map(X), one.surprise_map(X))
        for name in SCORES:
            np.testing.assert_array_equal(model.score_samples(X, name), one.score_samples(X, name))


BAD_IMAGES = {
    "NaN": np.full((3, 2, 2), np.nan), "infinity": np.full((3, 2, 2), np.inf), "-infinity": np.full((3, 4), -np.inf),
    "one NaN": np.where(np.arange(12).reshape(3, 2, 2) == 7, np.nan, 0.5), "negative": np.full((3, 2, 2), -1),
    "above 255": np.full((3, 2, 2), 256), "negative int8": np.full((3, 2, 2), -1, "i1"), "huge": np.full((3, 4), 2**63),
    "floats above 1": np.full((3, 2, 2), 1.0001), "negative floats": np.full((3, 2, 2), -1e-4), "0-d": np.array(1),
    "1-d": np.zeros(4, "u1"), "4-d": np.zeros((3, 1, 2, 2), "u1"), "not square": np.zeros((3, 5), "u1"),
    "no image": np.zeros((0, 2, 2)), "no row": np.zeros((3, 0, 2)), "no column": np.zeros((3, 0)), "empty list": [],
    "objects": np.zeros((3, 2, 2), object), "None": None, "ragged": [[[0, 1]], [[0, 1], [1, 0]]], "a number": 3,
    "ragged arrays": [np.zeros((2, 2)), np.zeros((3, 2))], "words": np.full((3, 4), "1"), "bytes": np.full((3, 4), b""),
    "complex": np.zeros((3, 2, 2), complex), "dates": np.zeros((3, 4), "M8[s]"), "durations": np.zeros((3, 4), "m8[s]"),
    "a word": "images", "a dict": {"X": 1}, "a set": {1, 2}, "records": np.zeros((3, 4), "u1,u1"),
    "sparse matrix": scipy.sparse.csr_matrix(np.eye(4)), "sparse array": scipy.sparse.coo_array(np.eye(4)),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_bad_images_are_refused(name):
    fitted = Network(false_alarm_rate=0.5).fit(np.eye(4, dtype=bool).reshape(4, 2, 2))
    for act in (Network().fit, Network().partial_fit, fitted.score_samples, fitted.predict, fitted.surprise_map,
                fitted.calibrate, fitted.bic, fitted.p_values, fitted.partial_fit,
                fitted.binarized_pictures):  # fmt: skip
        if name == "None" and act == fitted.bic:  # there None means the training images
            continue
        with pytest.raises(DataError) as caught:
            act(BAD_IMAGES[name])
        text = str(caught.value)
        assert text.startswith("X: ") and "\n" not in text and len(text) < 300
        assert isinstance(caught.value, ValueError) and isinstance(caught.value, CbnError)


def test_images_of_another_size_or_scale_than_in_training():
    X = grey_images(120, 4, 6)
    grey, binary = Network().fit(X), Network().fit(X > 76)
    flat = X.reshape(120, 24)
    for bad, words in [
        (X[:, :, :5], "4 x 5.*4 x 6"),
        (flat.reshape(-1, 6, 4), "6 x 4.*4 x 6"),
        (flat[:, 1:], "23.*24"),
    ]:
        with pytest.raises(DataError, match=words):
            grey.score_samples(bad)
    with pytest.raises(DataError, match=r"^X.*0 and 1"):
        binary.score_samples(X)
    with pytest.warns(UserWarning, match=r"^X.*0 and 1.*255"):
        grey.score_samples((X > 76).astype("u1"))
    with pytest.raises(DataError, match="X"):
        Network(full_scale=1).fit(X)
    for y in (np.ones(119), [1] * 121, np.zeros((2, 120))):
        with pytest.raises(DataError, match="^y: "):
            Network().fit(X, y)


def test_too_large_tables_are_refused_before_allocating():
    offsets = [(-1, dx) for dx in range(-8, 8)]
    with pytest.raises(ValueError, match="^offsets: .*GiB"):
        Network(offsets=offsets, false_alarm_rate=0.5).fit(np.zeros((2, 100, 100), bool))


def test_the_same_images_again_are_warned_of():
    X = grey_images(60, 5, 4)
    model = Network(false_alarm_rate=0.1).fit(X)
    with pytest.warns(CalibrationWarning, match="^X: .* are counted again: .*; give others$"):
        model.partial_fit(X[::-1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Network(false_alarm_rate=0.1).fit(X).partial_fit(X[:40])
