# SPDX-License-Identifier: BSD-3-Clause
"""The numbers behind the charts of a report, counted anew."""

import numpy as np
import pytest

from cbn.metrics.bootstrap import auroc
from cbn.metrics.conformal import conformal_p_values
from cbn.report import numbers
from cbn.report.content import Reference, Scored, chosen_shots
from helpers.reports import HOSTILE, made_scored


def scored_of(scores, normal=None, threshold=-np.inf):
    n = len(scores)
    normal = None if normal is None else np.array(normal, bool)
    return Scored(
        names=tuple(map(str, range(n))), scores=np.array(scores, float), kinds=("",) * n, normal=normal,
        threshold=threshold,
    )  # fmt: skip


def test_roc_is_the_curve_of_all_thresholds():
    scored = made_scored()
    found = numbers.roc(scored)
    good, bad = scored.scores[scored.normal], scored.scores[~scored.normal]
    expected = {
        ((good < t).mean(), (bad < t).mean()) for t in [*scored.scores, scored.scores.min(), scored.scores.max() + 1]
    }
    assert {tuple(point) for point in found.points} == expected
    steps = np.diff(found.points[:, 0])
    area = (steps * (found.points[1:, 1] + found.points[:-1, 1]) / 2).sum()
    assert area == pytest.approx(auroc(scored.normal, scored.scores)) == found.area.value
    assert found.area.low < found.area.value < found.area.high
    rates, low, high = found.band.T
    assert (low <= high).all() and rates[0] == 0 and rates[-1] == 1
    inside = np.interp(rates, found.points[:, 0], found.points[:, 1])
    assert ((low - 1e-9 <= inside) & (inside <= high + 1e-9)).mean() > 0.9


def test_roc_of_many_pictures_is_short_and_ends_in_the_corners():
    random = np.random.default_rng(0)
    found = numbers.roc(scored_of(random.normal(size=5000), random.random(5000) < 0.5))
    assert len(found.points) <= numbers.MOST_POINTS
    assert found.points[0].tolist() == [0, 0] and found.points[-1].tolist() == [1, 1]


@pytest.mark.parametrize("normal", [None, [True] * 4, [False] * 4])
def test_no_roc_without_both_groups(normal):
    assert numbers.roc(scored_of([1, 2, 3, 4], normal)) is None


def test_histogram_holds_every_picture():
    scored = made_scored()
    found = numbers.histogram(scored)
    assert found.normal.sum() == pytest.approx(1) and found.others.sum() == pytest.approx(1)
    assert found.low < min(scored.scores.min(), scored.threshold) and found.high > scored.scores.max() and not found.cut
    left = round((scored.threshold - found.low) / (found.high - found.low) * len(found.normal))
    assert found.low + left * (found.high - found.low) / len(found.normal) == pytest.approx(scored.threshold, abs=1e-9)
    assert found.normal[:left].sum() == pytest.approx((scored.scores[scored.normal] < scored.threshold).mean())
    assert found.others[:left].sum() == pytest.approx((scored.scores[~scored.normal] < scored.threshold).mean())
    alone = numbers.histogram(scored_of([1.0, 2.0, 2.5]))
    assert alone.normal.sum() == pytest.approx(1) and not alone.others.any()


def test_far_scores_do_not_squeeze_the_others():
    random = np.random.default_rng(0)
    scored = scored_of([-1e6, *random.normal(size=500)])
    found = numbers.histogram(scored)
    assert found.cut and found.low > -10 and found.normal[0] >= 1 / 501
    assert found.normal.sum() == pytest.approx(1)


def test_equal_scores_have_a_histogram():
    found = numbers.histogram(scored_of([3.0, 3.0, 3.0], threshold=3.0))
    assert found.low < 3 < found.high and found.normal.sum() == pytest.approx(1)


@pytest.mark.parametrize("labels", [True, False])
def test_kept_counts_p_values_of_normal_pictures(labels):
    scored = made_scored(labels=labels)
    reference = Reference(
        scores=np.sort(np.random.default_rng(3).normal(1, 0.6, 99)), source="leave-one-out", false_alarm_rate=0.05
    )
    found = numbers.kept(scored, reference)
    scores = scored.scores[scored.normal] if labels else scored.scores
    p_values = conformal_p_values(scores, reference.scores)
    assert found.n == len(scores) and found.top == pytest.approx(0.25)
    assert found.high == pytest.approx(max(0.25, found.line[:, 1].max()))
    for asked, share, low, high in found.points:
        assert share == (p_values <= asked).mean()
        assert low <= share <= high


def test_kinds_are_counted_and_normal_ones_come_first():
    scored = made_scored()
    rows = numbers.by_kind(scored)
    assert rows[0].name == "good" and {row.name for row in rows} == {"good", "dent", HOSTILE}
    for row in rows:
        own = np.array(scored.kinds) == row.name
        assert (row.n, row.alarms) == (own.sum(), (scored.scores[own] < scored.threshold).sum())
        assert row.normal is (row.name == "good") and (row.auroc is None) == (row.name == "good")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (-190, -40, [-180, -160, -140, -120, -100, -80, -60, -40]), (0, 0, [0])],
)
def test_ticks_are_round(low, high, expected):
    found = numbers.nice_ticks(low, high)
    if high == -40:
        assert set(np.diff(found).round(9)) <= {20, 25, 50} and all(low <= tick <= high for tick in found)
    else:
        assert found == expected


def test_gallery_of_few_pictures_shows_all_in_order_of_scores():
    scored = made_scored(20)
    chosen = chosen_shots(scored, 20)
    assert sorted(chosen) == list(range(20)) and (np.diff(scored.scores[chosen]) >= 0).all()


@pytest.mark.parametrize("threshold", [0.0, -np.inf])
def test_gallery_of_many_pictures_shows_the_ends_and_the_middle(threshold):
    scored = made_scored(1000, threshold=threshold) if np.isfinite(threshold) else scored_of(np.arange(1000.0))
    chosen = chosen_shots(scored, 100)
    assert len(set(chosen.tolist())) == 100
    order = np.argsort(scored.scores, kind="stable")
    assert set(order[:60]) | set(order[-15:]) <= set(chosen.tolist())
    middle = threshold if np.isfinite(threshold) else np.median(scored.scores)
    left = sorted(set(range(1000)) - set(order[:60]) - set(order[-15:]), key=lambda i: abs(scored.scores[i] - middle))
    near = set(chosen.tolist()) - set(order[:60]) - set(order[-15:])
    assert max(abs(scored.scores[i] - middle) for i in near) <= abs(scored.scores[left[25]] - middle)
