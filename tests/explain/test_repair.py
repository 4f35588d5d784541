# SPDX-License-Identifier: BSD-3-Clause
"""Repair under every preset and score, and the search against enumeration."""

import itertools

import numpy as np
import pytest

import cbn
from cbn import datasets
from cbn.exceptions import DataError
from cbn.explain import regions, repair
from cbn.plots import pictures
from helpers.networks import Boosting, Network

SCORES = "log_probability", "surprise", "standardized", "normalized"
ARGUMENTS = {
    "pixel": {},
    "hidden": {"hidden": ((3, 2, 1),), "iterations": 2},
    "tree": {},
    "boosted": {"boosting": Boosting(rounds=8, max_leaves=4), "reach": 4},
    "tied": {"cpd": cbn.Tied(radius=2, rounds=10, max_leaves=4, rate=0.4)},
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
                                           ("boosted", "surprise"), ("tied", "surprise"), ("best", "standardized")])  # fmt: skip
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
    assert found.share_connected == 1.0
    for part in needless_if_normal(found.changes):
        undone = found.repaired.copy()
        undone[tuple(np.transpose(part))] = found.image[tuple(np.transpose(part))]
        assert model.predict(undone[None])[0] == -1


def needless_if_normal(changes):
    """Whole regions, and pixels without which a region stays connected and has three pixels."""
    for region in regions.regions_of(changes):
        yield region
        for place in region:
            left = [other for other in region if other != place]
            if len(left) >= 3 and len(regions.regions_of(left)) == 1:
                yield [place]


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


def linear(weights):
    """The score of images that is a sum over pixels."""
    return lambda states: states.astype(float) @ np.ravel(weights)


def test_the_region_that_gains_most_whatever_the_batches(monkeypatch):
    weights = np.full((6, 7), -1.0)
    weights[1, 1] = 9.0  # the best pixel, alone
    weights[3:5, 3:6] = 4.0, 5.0, 6.0
    start = np.zeros(42, np.uint8)
    whole = repair.repair_image(linear(weights), start, (6, 7), 21.0, 100)
    assert whole[2] == 22.0 and regions.share_connected(divmod(place, 7) for place in whole[1]) == 1.0
    assert {divmod(place, 7) for place in whole[1]} <= {(row, column) for row in (3, 4) for column in (3, 4, 5)}
    assert sorted(np.flatnonzero(whole[0])) == sorted(whole[1]) and len(whole[1]) == 4
    sizes = []

    def score_of(states):
        sizes.append(len(states))
        return linear(weights)(states)

    monkeypatch.setattr(repair, "BATCH_BYTES", 85)  # two candidates of 42 bytes
    parts = repair.repair_image(score_of, start, (6, 7), 21.0, 100)
    np.testing.assert_array_equal(parts[0], whole[0])
    assert parts[1:] == whole[1:] and max(sizes) == 2


def test_against_enumeration():
    """What three connected pixels can reach to four fifths, the search reaches with few more, connected too."""
    rng = np.random.default_rng(1)
    places = list(itertools.product(range(4), range(4)))
    sets = [list(s) for s in itertools.combinations(places, 3) if len(regions.regions_of(s)) == 1]
    sizes = []
    for _ in range(20):
        weights = rng.normal(size=(4, 4))
        threshold = 0.8 * max(weights[tuple(np.transpose(s))].sum() for s in sets)
        _, found, score = repair.repair_image(linear(weights), np.zeros(16, np.uint8), (4, 4), threshold, 16)
        assert score >= threshold and len(regions.regions_of(divmod(place, 4) for place in found)) == 1
        sizes.append(len(found))
    assert min(sizes) == 3 and max(sizes) <= 5 and np.mean(sizes) < 3.5


def test_a_stroke_is_erased_rather_than_dotted():
    """What is wrong is a stroke; a pixel here and there would gain as much."""
    image = np.zeros((9, 9), np.uint8)
    image[2, 1:8] = image[5:8, 3] = 1
    weights = np.full((9, 9), -0.2)
    weights[2] = -1.0
    weights[7, 7] = weights[0, 0] = 1.0  # pixels alone, that would gain as much as one of the stroke
    threshold = float((image * weights).sum()) + 5.0
    _, places, _ = repair.repair_image(linear(weights), image.ravel(), (9, 9), threshold, 50)
    assert len(places) == 5 and {place // 9 for place in places} == {2}


def test_whole_specks_and_pinholes_are_candidates():
    image = np.zeros((7, 7), np.uint8)
    image[1, 1] = 1  # a speck, beside a ring
    image[3:6, 3:6] = 1
    image[4, 4] = 0
    weights = np.where(image, 0.0, -1.0)
    weights[1, 1] = -5.0
    _, places, _ = repair.repair_image(linear(weights), image.ravel(), (7, 7), 0.0, 50)
    assert places == [8]
    weights[1, 1], weights[4, 4] = 0.0, 5.0
    _, places, _ = repair.repair_image(linear(weights), image.ravel(), (7, 7), 5.0, 50)
    assert places == [4 * 7 + 4]


def test_needless_parts_are_taken_back():
    # the first region gains most alone, but with the second one it is not needed
    def score_of(states):
        a, b = states[:, :3].all(axis=1) * 4.0, states[:, 6:9].sum(axis=1, dtype=float)
        return a + b + 3 * (b == 3) - a * (b == 3) / 2

    states, places, score = repair.repair_image(score_of, np.zeros(9, np.uint8), (1, 9), 6.0, 9)
    assert places == [6, 7, 8] and score == 6.0
    assert states.tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1]


def test_taking_back_leaves_no_speck():
    """Two pixels of the three would do, and the middle one is not needed: the region stays as it is."""
    score_of = linear([5.0, 0.1, 5.0, -9.0])
    _, places, score = repair.repair_image(score_of, np.zeros(4, np.uint8), (1, 4), 9.0, 4)
    assert sorted(places) == [0, 1, 2] and score == pytest.approx(10.1)


def test_a_single_pixel_where_no_region_helps():
    """A pixel is changed alone only where everything else lowers the score."""
    weights = np.full(16, -9.0)
    weights[5] = 1.0
    states, places, score = repair.repair_image(linear(weights), np.zeros(16, np.uint8), (4, 4), 1.0, 10)
    assert places == [5] and score == 1.0 and states.sum() == 1


def test_nothing_helps():
    start = np.zeros(16, np.uint8)
    states, places, score = repair.repair_image(lambda s: -s.sum(axis=1, dtype=float), start, (4, 4), 1.0, 10)
    assert places == [] and score == 0 and not states.any()


def test_a_grey_pixel_changes_to_any_level():
    # two pixels, three thresholds; the score wants level 3 at pixel 1
    def score_of(states):
        level = states.reshape(-1, 3, 2).sum(axis=1, dtype=int)
        assert (np.diff(states.reshape(-1, 3, 2).astype(int), axis=1) <= 0).all()  # thermometer codes only
        return -np.abs(level - [0, 3]).sum(axis=1).astype(float)

    states, places, score = repair.repair_image(score_of, np.zeros(6, np.uint8), (1, 2), 0.0, 10)
    assert places == [1] and score == 0
    assert states.reshape(3, 2).tolist() == [[0, 1]] * 3


# ---- the measure ----


def test_share_connected_and_regions():
    def found(*changes):
        return repair.Repair(np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.uint8), changes, 0.0, 1.0, 1.0, 99)

    assert found().share_connected == 1.0 and found().n_regions == 0
    dots = found((0, 0), (0, 2), (4, 4), (8, 8))
    assert dots.share_connected == 0.0 and dots.n_regions == 4
    mixed = found((0, 0), (8, 8), (1, 1), (2, 0), (7, 8))  # connected over corners
    assert mixed.share_connected == 0.6 and mixed.n_regions == 2


def test_regions_are_those_of_scipy():
    from scipy import ndimage

    rng = np.random.default_rng(0)
    for _ in range(20):
        cells = rng.random((7, 8)) < 0.35
        labels, n = ndimage.label(cells, np.ones((3, 3)))
        found = regions.regions_of(zip(*np.nonzero(cells)))
        assert len(found) == n
        assert all(len({labels[place] for place in region}) == 1 for region in found)
        assert sum(map(len, found)) == cells.sum()


def test_candidates_are_connected_changes():
    rng = np.random.default_rng(0)
    for _ in range(5):
        level, changed = rng.integers(0, 3, (7, 6)), rng.random((7, 6)) < 0.1
        for kind in regions.candidates(level, changed, 3, 8):
            for positions, used, starts, speck in zip(kind.positions, kind.used, kind.starts, kind.speck):
                places = [divmod(int(place), 6) for place in positions[used]]
                assert 1 <= len(places) == len(set(places)) <= 8
                assert not any(changed[place] for place in places)
                assert all(level[place] != kind.level for place in places)
                touching = any(regions.grown(changed)[place] for place in places)
                assert starts == (not touching)
                assert touching or len(regions.regions_of(places)) == 1 or kind.key[0] == "fill"
                assert speck == (starts and len(places) < 3 and kind.key[0] not in ("erase", "fill"))


def test_repairs_of_digits_are_connected():
    """By the measure that names no reader: at least nine of ten changed pixels in regions of three and more."""
    train, test = datasets.load_mnist()
    for preset in ("pixel", "tree"):
        model = Network(preset, random_state=0, n_jobs=1).fit(train.select(2).images[:1000])
        images = test.images[test.labels != 2][:150]
        found = [model.repair(image) for image in images[model.predict(images) == -1][:8]]
        assert len(found) == 8 and all(one.succeeded for one in found)
        pixels = np.array([len(one.changes) for one in found])
        assert np.average([one.share_connected for one in found], weights=pixels) >= 0.9
        assert np.mean([one.n_regions for one in found]) <= 2


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
