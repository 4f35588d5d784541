# SPDX-License-Identifier: BSD-3-Clause
"""Golden samples: many pictures of one good part. A model of them calls as many fresh ones outliers as it was asked to.

Every preset, every score, few images and many; equal pictures, sensor noise, single flipped pixels, pure noise, digits.
"""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from analysis.false_alarm_rates import SCORES, digits, flips, noise, shots
from sklearn.model_selection import GridSearchCV, cross_val_score

import cbn
from cbn import ConvolutionalBayesianNetwork as Network

RATE, N_FRESH, MOST, LEAST = 0.05, 300, 0.08, 0.02
SMALL_BOOSTED = cbn.Boosted(rounds=4, max_leaves=3, n_candidates=8, reach=3)
SMALL_TIED = cbn.Tied(radius=2, pairs=40_000, rounds=24, max_leaves=8, rate=0.5)
PRESETS = {
    "pixel": {},
    "tree": {},
    "boosted": {"cpd": SMALL_BOOSTED},
    "tied": {"cpd": SMALL_TIED},
    "best": {"features": cbn.Features(layers=((6, 2, 2),), iterations=0, activation=(0.5, 0.9))},
}
HAS_JUDGE = ("tree", "boosted", "tied", "best")
KINDS = {"shots": shots, "flips": flips, "noise": noise, "digits": lambda rng, n: digits(rng, n, 3)}
QUICK = {"n_jobs": 1, "random_state": 0, "false_alarm_rate": RATE}


def network(preset, score=None, **changed):
    return Network(preset, outlier_score=score, **QUICK | PRESETS[preset] | changed)


def part_of(images, margin=4):
    """The middle of images, by half: small networks are quick."""
    return np.ascontiguousarray(images[:, margin:-margin:2, margin:-margin:2])


def samples_of(kind, n, seed):
    """(n, height, width) normal images and N_FRESH more of the kind."""
    images = part_of(KINDS[kind](np.random.default_rng((seed, n)), n + N_FRESH))
    return images[:n], images[n:]


def shares_of_alarms(kind, preset, score, n, seeds):
    """The share of alarms among fresh images, seed by seed, and whether the calibration scores tie at the threshold."""
    shares, tied = [], False
    for seed in seeds:
        images, fresh = samples_of(kind, n, seed)
        model = network(preset, score, random_state=seed).fit(images)
        shares.append((model.predict(fresh) == -1).mean())
        np.testing.assert_array_equal(model.predict(fresh) == -1, model.p_values(fresh) <= RATE)
        tied |= np.ptp(model.calibration_scores_[: max(2, n // 10)]) < 1e-6 * np.abs(model.calibration_scores_).max()
    return np.array(shares), tied


def check_alarms(kind, preset, score, n, seeds):
    shares, tied = shares_of_alarms(kind, preset, score, n, seeds)
    # what a test of so many images and calibrations of n images may be off, were the rate exactly kept
    deviation = np.sqrt(RATE * (1 - RATE) * (1 / N_FRESH + 1 / n) / len(shares))
    assert shares.mean() <= MOST + 3 * deviation, (kind, preset, score, n, shares)
    if n >= 300 and not tied:
        assert shares.mean() >= LEAST - 3 * deviation, (kind, preset, score, n, shares)


# ---- the rate is kept ----


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("kind", KINDS)
def test_fresh_images_raise_as_few_alarms_as_asked(kind, preset):
    """The preset's own score."""
    for n in (30, 100, 300):
        check_alarms(kind, preset, None, n, range(2))


@pytest.mark.slow
@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_score_keeps_the_rate(kind, preset, score):
    for n in (30, 100, 300):
        check_alarms(kind, preset, score, n, range(4))


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("preset", PRESETS)
def test_equal_pictures_are_normal(preset, score):
    """Three hundred times one picture: the same picture has p = 1, and one that differs by a pixel is an outlier."""
    picture = np.zeros((12, 12), np.uint8)
    picture[3:9, 4:7] = 255
    model = network(preset, score).fit(np.repeat(picture[None], 300, axis=0))
    one = picture[None]
    assert model.p_values(one) == [1] and model.predict(one) == [1] and model.decision_function(one) >= 0
    assert model.verdicts(one).verdicts == ["normal"] and not model.discoveries(one).any()
    other = one.copy()
    other[0, 6, 5] = 0
    # trees that were grown without any variation never ask for it, yet each pixel's own surprise tells
    assert model.p_values(other) == [1 / 301] and model.predict(other) == [-1]


# ---- inputs that failed, and their like ----


def hard_shots(n, seed, side=32, sigma=6.0, slot=110.0):
    """(n, side, side) shots of a part with sharp edges; hardly any pixel ever crosses the threshold."""
    y, x = np.mgrid[:side, :side] - side // 2
    part = np.where(y**2 + x**2 < 0.47 * side**2 / 4, 190.0, 25.0)
    part[side // 2 - 2 : side // 2 + 2, side // 5 : side - side // 5] = slot
    return (
        np.clip(part + np.random.default_rng(seed).normal(0, sigma, (n, side, side)), 0, 255).round().astype(np.uint8)
    )


@pytest.mark.parametrize("sample", [{}, {"sigma": 14.0}, {"slot": 80.0}, {"side": 20, "sigma": 25.0}])
@pytest.mark.parametrize("preset", ["pixel", "tree", "boosted", "tied"])
def test_shots_of_one_part(preset, sample):
    train, fresh = hard_shots(300, 1, **sample), hard_shots(1000, 2, **sample)
    model = network(preset).fit(train)
    error = np.sqrt(RATE * (1 - RATE) * (1 / 1000 + 1 / 300))
    assert (model.p_values(fresh) <= RATE).mean() <= RATE + 3 * error
    assert (model.p_values(train) <= RATE).mean() <= RATE + 3 * error
    assert (model.verdicts(fresh, false_alarm_rate=0.01).verdicts == "outlier").mean() <= 0.01 + 3 * error
    alarms = (model.calibrate(hard_shots(300, 3, **sample)).p_values(fresh) <= RATE).mean()
    assert alarms <= RATE + 3 * error


@pytest.mark.parametrize(
    "picture",
    [np.zeros((9, 9), bool), np.ones((9, 9), bool), np.indices((9, 9)).sum(axis=0) % 2 == 0, np.eye(9, dtype=bool)],
    ids=["black", "white", "checkers", "diagonal"],
)
def test_copies_of_other_pictures_are_normal(picture):
    for preset in PRESETS:
        for n in (19, 300):
            model = network(preset).fit(np.repeat(picture[None], n, axis=0))
            assert model.p_values(picture[None]) == [1], (preset, n)


@pytest.mark.parametrize("preset", ["pixel", "tree", "boosted", "tied"])
def test_cross_validation_without_a_scoring(preset):
    """The mean log-probability: finite, of the pixels, and what a search maximizes where nothing else is said."""
    X = np.random.default_rng(0).integers(0, 2, (60, 6, 6)).astype(np.uint8)
    found = cross_val_score(network(preset), X, cv=2)
    by_hand = [
        network(preset).fit(X[own]).score_samples(X[other], "log_probability").mean()
        for own, other in ((range(30, 60), range(30)), (range(30), range(30, 60)))
    ]
    np.testing.assert_allclose(found, by_hand)


def test_a_score_of_hidden_layers_is_that_of_the_pixels():
    X = part_of(noise(np.random.default_rng(0), 60))
    model = network("best").fit(X)
    assert model.score(X) == pytest.approx(model.layer_scores(X, "log_probability")[:, 0].mean())
    assert model.score(X) != pytest.approx(model.score_samples(X, "log_probability").mean())


def test_a_search_without_a_scoring_takes_the_likelier():
    X = part_of(flips(np.random.default_rng(0), 90))
    search = GridSearchCV(network("pixel"), {"cpd__pseudocount": [1.0, 1e4], "outlier_score": ["surprise"]}, cv=3).fit(
        X
    )
    assert search.best_params_ == {"cpd__pseudocount": 1.0, "outlier_score": "surprise"}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# ---- by which network images are judged ----


@pytest.fixture(scope="module", params=HAS_JUDGE)
def judged(request):
    """Not to be changed: a model with a judge, and fresh images."""
    images, fresh = samples_of("shots", 100, 0)
    return network(request.param).fit(images), images, fresh


def test_the_judge_is_the_network_without_the_first_fold(judged):
    model, images, fresh = judged
    own, folds = model.fitted_, model.fitted_.settings.folds
    rest = np.arange(len(images)) % folds != 0
    alone = network(own.settings.preset).fit(images[rest]).fitted_
    assert own.judge.pixels.n_images == rest.sum() and own.network.pixels.n_images == len(images)
    if len(own.network) == 1:  # kernels of hidden layers are drawn for the images at hand
        scored = replace(own, network=alone.network, judge=None)
        np.testing.assert_allclose(model.judged_scores(fresh), scored.score_samples(fresh), rtol=1e-12)
    assert not np.allclose(model.judged_scores(fresh), model.score_samples(fresh))
    np.testing.assert_array_equal(model.p_values(fresh), model.p_values_of(model.judged_scores(fresh)))
    np.testing.assert_array_equal(model.decision_function(fresh), model.judged_scores(fresh) - model.offset_)
    # and these images of the first fold have the scores that are among the calibration's
    if own.network.contrast is not None:  # there by what is normal of the others, see tests/layers/test_contrast.py
        return
    scores = model.judged_scores(images[~rest])
    nearest = np.abs(scores[:, None] - model.calibration_scores_).min(axis=1)
    assert nearest.max() <= 1e-9 * np.abs(scores).max()


def test_saved_loaded_and_pickled_models_judge_alike(judged, tmp_path):
    model, _, fresh = judged
    model.save(tmp_path / "model.cbn")
    loaded = cbn.load(tmp_path / "model.cbn")
    loaded.save(tmp_path / "again.cbn")
    assert (tmp_path / "again.cbn").read_bytes() == (tmp_path / "model.cbn").read_bytes()
    for other in (loaded, cbn.load(tmp_path / "again.cbn"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.judged_scores(fresh), model.judged_scores(fresh))
        np.testing.assert_array_equal(other.p_values(fresh), model.p_values(fresh))
        np.testing.assert_array_equal(other.predict(fresh), model.predict(fresh))
        found, expected = other.verdicts(fresh), model.verdicts(fresh)
        np.testing.assert_array_equal(found.verdicts, expected.verdicts)
        assert (found.basis, found.threshold) == (expected.basis, expected.threshold)
        assert other.fitted_.judge.pixels.n_images == model.fitted_.judge.pixels.n_images


def test_calibration_on_other_images_needs_no_judge(judged, tmp_path):
    model, _, fresh = judged
    other = pickle.loads(pickle.dumps(model)).calibrate(fresh[:150])
    assert other.fitted_.judge is None and other.calibration_ == "separate images"
    np.testing.assert_array_equal(other.judged_scores(fresh), other.score_samples(fresh))
    np.testing.assert_array_equal(other.calibration_scores_, np.sort(model.score_samples(fresh[:150])))
    other.save(tmp_path / "model.cbn")
    assert cbn.load(tmp_path / "model.cbn").fitted_.judge is None
    assert model.fitted_.judge is not None


def test_tables_judge_by_their_own_network(tmp_path):
    images, fresh = samples_of("shots", 100, 0)
    model = network("pixel").fit(images).partial_fit(fresh)
    assert model.fitted_.judge is None
    np.testing.assert_array_equal(model.judged_scores(images), model.score_samples(images))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_repaired_image_is_predicted_normal(preset):
    images, fresh = samples_of("flips", 100, 0)
    model = network(preset).fit(images)
    damaged = np.repeat(fresh[:1], 12, axis=0)
    for i, wrong in enumerate(damaged):
        wrong[i % 6 + 1, :: 1 + i % 3] ^= 255
    outliers = damaged[model.predict(damaged) == -1]
    assert len(outliers) >= 4
    for wrong in outliers[:4]:
        found = model.repair(wrong)
        assert found.succeeded
        assert model.predict(found.repaired[None]) == [1] and model.p_values(found.repaired[None]) > RATE
        assert found.repaired_score == pytest.approx(model.judged_scores(found.repaired[None])[0])
        assert found.threshold == model.offset_ <= found.repaired_score


# ---- verdicts of models ----


@pytest.mark.parametrize("preset", PRESETS)
def test_verdicts_of_few_images(preset):
    images, fresh = samples_of("flips", 60, 0)
    with pytest.warns(cbn.CalibrationWarning, match="99"):
        model = network(preset, false_alarm_rate=0.01).fit(images)
    found = model.verdicts(fresh)
    assert found.basis == "none" and (found.verdicts == "undecided").all() and found.needed == 99
    assert model.verdicts(fresh, false_alarm_rate=0.05).basis == "approximate"
    tail = model.verdicts(255 - fresh, extrapolate=True)
    assert tail.basis == "extrapolated" and (tail.verdicts == "outlier").all() and (tail.p_values < 0.01).all()
    assert (model.verdicts(fresh, extrapolate=True).verdicts == "outlier").mean() < 0.05
    with pytest.warns(cbn.CalibrationWarning, match="99"):
        assert (model.predict(fresh) == 1).all()
    mixed = np.concatenate([fresh, 255 - fresh[:100]])
    found = model.discoveries(mixed, 0.1)
    assert found[N_FRESH:].all() and found[:N_FRESH].mean() < 0.1
