# SPDX-License-Identifier: BSD-3-Clause
"""What a report says, before it is a page: facts, scores of pictures, pictures to show, figures of the model."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Pictures = npt.NDArray[np.uint8]

# Where the kind of a picture is not known.
NO_KIND = ""


@dataclass(frozen=True, kw_only=True)
class Words:
    """What decisions are called: for models of normal pictures, alarms; for classifiers, answers that are not given."""

    normal: str = "normal"
    others: str = "anomalous"
    alarm: str = "alarm"
    alarms: str = "alarms"
    quiet: str = "no alarm"
    found: str = "found"
    missed: str = "missed"
    false_alarm: str = "false alarm"
    false_alarms: str = "false alarms"
    false_alarm_rate: str = "false-alarm rate"
    kind: str = "Kind"
    score: str = "score"
    direction: str = "higher is more normal"
    threshold: str = "An alarm is raised where the score is below the threshold."


@dataclass(frozen=True, eq=False, kw_only=True)
class Scored:
    """Scores of all pictures.

    Attributes
    ----------
    names : tuple of str
    scores : ndarray, (n,) float64
        Higher is more normal. Finite.
    kinds : tuple of str
        Label or kind of defect of every picture; NO_KIND where it is not known.
    normal : ndarray, (n,) bool, or None
        Which pictures are normal; None where that is not known.
    threshold : float
        Pictures of lower scores are alarms; -inf where there is none.
    """

    names: tuple[str, ...]
    scores: Floats
    kinds: tuple[str, ...]
    normal: Bools | None
    threshold: float

    @property
    def alarms(self) -> Bools:
        """(n,) bool."""
        return self.scores < self.threshold


@dataclass(frozen=True, eq=False, kw_only=True)
class Reference:
    """Scores of normal pictures that set the threshold: in increasing order; where they come from; the rate asked for."""

    scores: Floats
    source: str
    false_alarm_rate: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Shot:
    """A picture of the gallery.

    Attributes
    ----------
    index : int
        Its number among those that were scored.
    picture : ndarray, (height, width) or (height, width, 3) uint8
    map : ndarray, (height, width), or None
        What is unusual where.
    mask : ndarray, (height, width) bool, or None
        Where a defect is known to be.
    note : str
        A line for the enlarged picture.
    """

    index: int
    picture: Pictures
    map: npt.NDArray[np.floating] | None = None
    mask: Bools | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A table of facts under a title."""

    title: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Tile:
    """A small picture of a figure: ready bytes of an image file, and what it shows in words."""

    source: str
    alt: str
    caption: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Figure:
    """A figure of the model: tiles, or places of parents around a pixel (dy, dx), and a scale from black to yellow."""

    title: str
    text: str
    tiles: tuple[Tile, ...] = ()
    parents: tuple[tuple[int, int], ...] = ()
    scale: tuple[str, str] | None = None
    columns: int = 4

    @property
    def reach(self) -> int:
        """How far parents are away, in rows or columns."""
        return max([2, *(max(abs(dy), abs(dx)) for dy, dx in self.parents)])


@dataclass(frozen=True, eq=False, kw_only=True)
class Content:
    """A whole report.

    Attributes
    ----------
    title, subtitle : str
    facts : tuple of Facts
    words : Words
    scored, reference : Scored, Reference or None
        None where no pictures were judged; where nothing sets a threshold.
    shots : tuple of Shot
    map_top, map_unit : float, str
        The value at the top of the scale of all maps.
    map_name : str
        What maps show.
    figures : tuple of Figure
    notes : tuple of str
        Sentences of caution, shown first.
    confusion : (classes, rows) or None
        Of classifiers: rows of (label, numbers of pictures by class).
    cards : tuple of (what, figure, more)
        Figures that are shown beside those of scores.
    footer : str
    """

    title: str
    subtitle: str
    facts: tuple[Facts, ...]
    words: Words = field(default_factory=Words)
    scored: Scored | None = None
    reference: Reference | None = None
    shots: tuple[Shot, ...] = ()
    map_top: float = 1.0
    map_unit: str = ""
    map_name: str = "map"
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    confusion: tuple[tuple[str, ...], tuple[tuple[str, tuple[int, ...]], ...]] | None = None
    cards: tuple[tuple[str, str, str], ...] = ()
    footer: str = ""


def chosen_shots(scored: Scored, n: int) -> npt.NDArray[np.int64]:
    """Numbers of the at most n pictures of a gallery, by score, lowest first.

    Of more pictures than n: six tenths are those of the lowest scores, a quarter those nearest to the threshold (to the
    median where there is none), the rest those of the highest.
    """
    order = np.argsort(scored.scores, kind="stable")
    if len(order) <= n:
        return order
    n_lowest, n_highest = round(0.6 * n), round(0.15 * n)
    middle = scored.threshold if np.isfinite(scored.threshold) else float(np.median(scored.scores))
    chosen = np.zeros(len(order), bool)  # by rank
    chosen[:n_lowest] = True
    chosen[len(order) - n_highest :] = True
    nearest = np.argsort(np.abs(scored.scores[order] - middle), kind="stable")
    left = nearest[~chosen[nearest]][: n - n_lowest - n_highest]
    chosen[left] = True
    return order[chosen]
