# SPDX-License-Identifier: BSD-3-Clause
"""Repair under every preset and score, and the search against enumeration."""

import itertools

import numpy as np
import pytest

from cbn.exceptions import DataError
from cbn.explain import repair
from cbn.plots import pictures
from helpers.networks import Boosting, Network

SCORES = "log_probability", "surprise", "standardized", "normalized"
ARGUMENTS = {
    "pixel": {},
    "hidden": {"hidden": ((3, 2, 1),), "iterations": 2},
    "tree": {},
    "boosted": {"boosting": Boosting(rounds=8, max_leaves=4), "reach": 4},
    "best": {"hidden": ((6, 2, 1),)},
}
CHECKER = (np.indices((6, 6)).sum(axis=0) % 2 * 255).astype(np.uint8)


def images_of(n):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (n, 6, 6)).astype(np.uint8)
    for i in range(1, 6):
        x[:, i] = np.where(rng.random((n, 6)) < 0.8, x[:, i - 1], x[:, i])
    return x


@pytest.mark.parametrize("threshold", [0.3, (0.3, 0.7)])
@pytest.mark.parametrize("preset, score", [*itertools.product(("pixel", "tree"), SCORES), ("hidden", "surprise"),
                                           ("boosted", "surprise"), ("best", "standardized")])  # fmt: skip
def test_every_preset_and_score(preset, score, threshold):
    model = Network(
        preset, threshold=threshold, score=score, false_alarm_rate=0.1, n_jobs=1, random_state=0, **ARGUMENTS[preset]
    ).fit(images_of(200))
    found = model.repair(CHECKER)
    assert found.score == pytest.approx(model.judged_scores(CHECKER[None])[0]) and found.score < model.offset_
    assert found.succeeded and found.threshold == model.offset_ and found.max_changes == 200
    assert found.repaired_score == pytest.approx(model.judged_scores(found.repaired[None])[0])
    assert model.predict(found.repaired[None])[0] == 1
    np.testing.assert_array_equal(found.image, model.binarized_pictures(CHECKER[None])[0])
    np.testing.assert_array_equal(found.repaired, model.binarized_pictures(found.repaired[None])[0])
    assert sorted(found.changes) == sorted(zip(*np.nonzero(found.image != found.repaired)))
    for place in found.changes:
        undone = found.repaired.copy()
        undone[place] = found.image[place]
        assert model.predict(undone[None])[0] == -1


def test_more_changes_than_allowed_fail_and_say_so():
    model = Network("tree", false_alarm_rate=0.1).fit(images_of(200))
    found = model.repair(CHECKER, max_changes=2)
    assert not found.succeeded and len(found.changes) == found.max_changes == 2
    assert found.score < found.repaired_score < found.threshold
    with pytest.raises(ValueError, match="max_changes: 0"):
        model.repair(CHECKER, max_changes=0)
    with pytest.raises(DataError, match="image: shape"):
        model.repair(CHECKER[None])


# ---- the search itself, on scores written down here ----


def test_the_first_change_is_the_best_one_whatever_the_batches(monkeypatch):
    weights = np.array([1.0, 5.0, 2.0, 7.0, 3.0, 4.0])
    start = np.zeros(6, np.uint8)
    whole = repair.repair_image(lambda s: s @ weights, start, 6, 11.5, 100)
    assert whole[1] == [3, 1] and whole[2] == 12.0
    sizes = []

    def score_of(states):
        sizes.append(len(states))
        return states @ weights

    monkeypatch.setattr(repair, "BATCH_BYTES", 13)  # two candidates of six bytes
    parts = repair.repair_image(score_of, start, 6, 11.5, 100)
    np.testing.assert_array_equal(parts[0], whole[0])
    assert parts[1:] == whole[1:] and max(sizes) == 2


def test_needless_changes_are_taken_back():
    # 0 gains most alone, but 1 and 2 together do without it
    def score_of(states):
        a, b, c = states.T.astype(float)
        return 3 * a + 2 * b + 2 * c + 3 * b * c - 2 * a * b * c

    states, places, score = repair.repair_image(score_of, np.zeros(3, np.uint8), 3, 6.5, 10)
    assert places == [1, 2] and score == 7.0
    assert states.tolist() == [0, 1, 1]


def test_taking_back_goes_on_while_it_helps():
    # Greedy changes 0, 1, 2, 3 in this order. 0 is needed until 1 has gone back.
    table = {"1000": 3, "1100": 6, "1110": 8, "1111": 10, "1011": 11, "0011": 10.5}

    def score_of(states):
        return np.array([table.get("".join(map(str, s)), 0) for s in states.tolist()], float)

    _, places, score = repair.repair_image(score_of, np.zeros(4, np.uint8), 4, 10, 10)
    assert places == [2, 3] and score == 10.5


def test_no_single_change_helps():
    start = np.zeros(4, np.uint8)
    states, places, score = repair.repair_image(lambda s: -s.sum(axis=1, dtype=float), start, 4, 1.0, 10)
    assert places == [] and score == 0 and not states.any()


def test_a_grey_pixel_changes_to_any_level():
    # two pixels, three thresholds; the score wants level 3 at pixel 1
    def score_of(states):
        level = states.reshape(-1, 3, 2).sum(axis=1, dtype=int)
        assert (np.diff(states.reshape(-1, 3, 2).astype(int), axis=1) <= 0).all()  # thermometer codes only
        return -np.abs(level - [0, 3]).sum(axis=1).astype(float)

    states, places, score = repair.repair_image(score_of, np.zeros(6, np.uint8), 2, 0.0, 10)
    assert places == [1] and score == 0
    assert states.reshape(3, 2).tolist() == [[0, 1]] * 3


# ---- the picture ----


def test_picture_of_a_repair():
    before = np.array([[0, 1, 1], [0, 0, 1]], np.uint8)
    after = np.array([[1, 0, 1], [0, 0, 1]], np.uint8)
    picture = np.asarray(pictures.repair(before, after))
    scale = picture.shape[0] // 2
    assert picture.shape == (2 * scale, 11 * scale, 3)
    small = picture[::scale, ::scale]
    np.testing.assert_array_equal(small[:, :3, 0], 255 * before)
    np.testing.assert_array_equal(small[:, 4:7, 0], 255 * after)
    red, blue = small[0, 8].astype(int), small[0, 9].astype(int)
    assert red[0] > red[2] + 100 and blue[2] > blue[0] + 100
    assert (small[0, 10] == 85).all() and (small[1, 8:10] == 0).all()
    with pytest.raises(DataError, match="repaired must have the image's shape"):
        pictures.repair(before, after[:1])
