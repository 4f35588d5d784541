# SPDX-License-Identifier: BSD-3-Clause
"""The numbers behind the charts of a report."""

import math
from dataclasses import dataclass

import numpy as np

from ..metrics.bootstrap import Interval, bootstrap_auroc
from ..metrics.comparison import share_interval
from ..metrics.conformal import conformal_p_values
from .content import Bools, Floats, Reference, Scored

FEW_BINS, BINS = 12, 48  # of few pictures, and of many
# Fewer pictures than this say nothing of rates.
LEAST = 10
# Scores that lie further below the rest than this share of its range are drawn together, at the left end.
FAR = 0.5
# Resamples of the band around a ROC curve, and the false-alarm rates it is drawn at.
RESAMPLES, RATES = 200, 65
MOST_POINTS = 400


@dataclass(frozen=True, eq=False)
class Histogram:
    """Shares of each group of pictures by score.

    ``normal`` are the normal pictures, or all where that is not known; ``others`` is empty then. Scores below ``low`` are in
    the first bin.
    """

    low: float
    high: float
    normal: Floats
    others: Floats
    cut: bool


@dataclass(frozen=True, eq=False)
class Roc:
    """A ROC curve as points (false alarms, found), its area with interval, and a band (rates, low, high) around it."""

    points: Floats
    area: Interval
    band: Floats

    @property
    def outline(self) -> Floats:
        """(points, 2) around the band."""
        return np.r_[self.band[:, [0, 2]], self.band[::-1, [0, 1]]]


@dataclass(frozen=True, eq=False)
class Kept:
    """Asked and found false-alarm rates: (points, 4) of asked, found, and its interval; ``top`` ends the axis of asked rates."""

    points: Floats
    top: float
    n: int

    @property
    def line(self) -> Floats:
        """(points, 2) of asked and found."""
        return self.points[:, :2]

    @property
    def high(self) -> float:
        """The end of the axis of found rates, which all points are below."""
        return max(self.top, float(self.points[:, 1].max()))

    @property
    def outline(self) -> Floats:
        """(points, 2) around the intervals."""
        return np.r_[self.points[:, [0, 3]], self.points[::-1, [0, 2]]]


@dataclass(frozen=True)
class Kind:
    """A row of the table of kinds; ``normal`` is None where that is not known, or some are and some not."""

    name: str
    normal: bool | None
    n: int
    alarms: int
    rate: Interval
    lowest: float
    median: float
    auroc: float | None


def nice_ticks(low: float, high: float, n: int = 5) -> list[float]:
    """About n round numbers between two."""
    if not high > low:
        return [low]
    raw = (high - low) / n
    unit = 10.0 ** math.floor(math.log10(raw))
    step = unit * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * unit >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) + 0.0 for i in range(first, math.floor(high / step + 1e-9) + 1)]


def limits(scored: Scored, threshold: float) -> tuple[float, float, bool]:
    """(low, high, whether scores lie below low) of the axis of scores."""
    low, high = float(scored.scores.min()), float(scored.scores.max())
    usual = float(np.quantile(scored.scores, 0.01))
    cut = usual - low > FAR * (high - usual) and high > usual
    low = usual if cut else low
    if np.isfinite(threshold):
        low, high = min(low, threshold), max(high, threshold)
    margin = 0.02 * (high - low) or max(1e-6, 0.02 * abs(high))
    return low - margin, high + margin, cut


def histogram(scored: Scored) -> Histogram:
    """Of all scores; the threshold is where two bins meet, so that alarms are to its left and nothing else is."""
    low, high, cut = limits(scored, scored.threshold)
    n_bins = int(np.clip(3 * math.sqrt(len(scored.scores)), FEW_BINS, BINS))
    width, n_left, start = (high - low) / n_bins, 0, low
    if np.isfinite(scored.threshold):
        start = scored.threshold
        n_left = math.ceil((start - low) / width)
        n_bins = n_left + math.ceil((high - start) / width)
        low, high = start - n_left * width, start + (n_bins - n_left) * width
    bins = np.clip(np.floor((scored.scores - start) / width).astype(np.int64) + n_left, 0, n_bins - 1)
    first = np.ones(len(bins), bool) if scored.normal is None else scored.normal

    def shares(chosen: Bools) -> Floats:
        return np.bincount(bins[chosen], minlength=n_bins) / max(1, chosen.sum())

    return Histogram(low, high, shares(first), shares(~first), cut)


def roc(scored: Scored) -> Roc | None:
    """The ROC curve, or None without pictures of both groups."""
    normal = scored.normal
    if normal is None or normal.all() or not normal.any():
        return None
    good, bad = np.sort(scored.scores[normal]), np.sort(scored.scores[~normal])
    at = np.r_[-np.inf, np.unique(scored.scores), np.inf]
    points = np.stack([np.searchsorted(good, at) / len(good), np.searchsorted(bad, at) / len(bad)], axis=1)
    if len(points) > MOST_POINTS:
        points = points[np.unique(np.linspace(0, len(points) - 1, MOST_POINTS).round().astype(np.int64))]
    return Roc(points, bootstrap_auroc(normal, scored.scores), _band(good, bad))


def _band(good: Floats, bad: Floats) -> Floats:
    """(rates, 3): false-alarm rate, and the 95 % percentile-bootstrap interval of what is found at it."""
    rates = np.linspace(0, 1, RATES) ** 2  # closer to each other where few false alarms are
    random, found = np.random.default_rng(0), np.empty((RESAMPLES, RATES))
    for own in found:
        some = np.sort(random.choice(good, len(good)))
        others = np.sort(random.choice(bad, len(bad)))
        thresholds = some[np.minimum((rates * len(some)).astype(np.int64), len(some) - 1)]
        own[:] = np.where(rates >= 1, 1.0, np.searchsorted(others, thresholds) / len(others))
    low, high = np.quantile(found, (0.025, 0.975), axis=0)
    return np.stack([rates, low, high], axis=1)


def kept(scored: Scored, reference: Reference) -> Kept | None:
    """Asked against found false-alarm rates of normal pictures, of all where nobody knows which are; None of very few."""
    scores = scored.scores if scored.normal is None else scored.scores[scored.normal]
    if len(scores) < LEAST:
        return None
    p_values = conformal_p_values(scores, reference.scores)
    top = min(1.0, max(0.1, 5 * reference.false_alarm_rate))
    rows = []
    for asked in np.linspace(0, top, 41):
        share = share_interval(int((p_values <= asked).sum()), len(scores))
        rows.append((asked, *share))
    return Kept(np.array(rows), top, len(scores))


def by_kind(scored: Scored) -> list[Kind]:
    """A row for every kind, normal ones first, then those that are found least."""
    kinds, alarms, rows = np.array(scored.kinds, object), scored.alarms, []
    for name in dict.fromkeys(scored.kinds):
        own = kinds == name
        is_normal, area = None, None
        if scored.normal is not None:
            is_normal = None if len(np.unique(scored.normal[own])) > 1 else bool(scored.normal[own][0])
            good = scored.normal & ~own
            if not scored.normal[own].any() and good.any():
                chosen = own | good
                area = bootstrap_auroc(scored.normal[chosen], scored.scores[chosen], n_resamples=1).value
        rate = share_interval(int(alarms[own].sum()), int(own.sum()))
        of_kind = scored.scores[own]
        lowest, median = float(of_kind.min()), float(np.median(of_kind))
        rows.append(Kind(name, is_normal, int(own.sum()), int(alarms[own].sum()), rate, lowest, median, area))
    return sorted(rows, key=lambda row: (row.normal is not True, row.rate.value, row.name))
