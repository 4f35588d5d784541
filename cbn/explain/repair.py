# SPDX-License-Identifier: BSD-3-Clause
"""A small change in connected regions that makes an outlier normal."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .regions import LEAST, Bools, Changes, candidates, grown, regions_of, share_connected

ScoreOf = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float64]]

# Candidate images are scored in batches of about so many bytes: a large picture has as many of them as pixels.
BATCH_BYTES = 2**24
# What the beginning of a further region costs, in pixels: scattered changes are no repair that a reader would see.
NEW_REGION = 3.0
# Candidates that are scored again in every step, and the distance from the last change within which all are.
PROMISING = 500
NEAR = 3


@dataclass(frozen=True, eq=False)
class Repair:
    """An image, and the changed pixels that bring its score to the threshold.

    Attributes
    ----------
    image, repaired : ndarray, (height, width) uint8
        As the model sees it (see ``binarized_pictures``), before and after.
    changes : tuple of (row, column)
        The changed pixels, the region that gained most by its size first.
    score, repaired_score, threshold : float
        Of the same score as ``decision_function``; success means ``repaired_score >= threshold``.
    max_changes : int
        The limit under which the search stood. A search that failed with fewer changes found none that helps.
    """

    image: npt.NDArray[np.uint8]
    repaired: npt.NDArray[np.uint8]
    changes: tuple[tuple[int, int], ...]
    score: float
    repaired_score: float
    threshold: float
    max_changes: int

    @property
    def succeeded(self) -> bool:
        """bool: whether the repaired image is no outlier any more."""
        return self.repaired_score >= self.threshold

    @property
    def n_regions(self) -> int:
        """int: connected regions (with eight neighbours) of changed pixels."""
        return len(regions_of(self.changes))

    @property
    def share_connected(self) -> float:
        """float: share of the changed pixels that lie in regions of three and more; 1 without changes."""
        return share_connected(self.changes)


def repair_image(
    score_of: ScoreOf, states: npt.NDArray[np.uint8], shape: tuple[int, int], threshold: float, max_changes: int
) -> tuple[npt.NDArray[np.uint8], list[int], float]:
    """Greedy changes of connected regions, until the threshold is reached; then needless pixels go back.

    Every step chooses, of all small windows that are set to one level and all components that are erased or filled, the
    one that raises the score most by its cost: one for every pixel, and ``NEW_REGION`` more where it does not touch the
    regions that are there. A new region has at least three pixels, or is a whole speck of ink or a whole pinhole; only
    where none of these helps is a single pixel changed. The first step scores every candidate; later ones score those
    near the last change and the ``PROMISING`` best of the others again, so that what is chosen is known exactly.

    Parameters
    ----------
    score_of : callable, (n, nodes) uint8 states -> (n,) scores, higher is more normal
    states : ndarray, (nodes,) uint8
        Pixel nodes of the image, thresholds of a thermometer code one behind the other.
    shape : (height, width)
    threshold : float
    max_changes : int
        The most pixels.

    Returns
    -------
    states : ndarray, (nodes,) uint8
    places : list of int
        Changed positions in the order of their change.
    score : float
    """
    search = _Search(score_of, states, shape, threshold)
    while search.score < threshold and len(search.places) < max_changes and search.advanced(max_changes):
        pass
    while search.score >= threshold and search.taken_back():
        pass
    return search.current, search.places, search.score


@dataclass
class _Search:
    """A repair while it is sought: the image as it is now, its score and the changed positions."""

    score_of: ScoreOf
    states: npt.NDArray[np.uint8]
    shape: tuple[int, int]
    threshold: float
    places: list[int] = field(default_factory=list)
    # Gain by cost of every candidate, by kind and number, when it was last scored.
    known: dict[tuple[object, ...], npt.NDArray[np.float64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.n_positions = self.shape[0] * self.shape[1]
        self.channels = len(self.states) // self.n_positions
        self.current, self.score = self.states.copy(), float(self.score_of(self.states[None])[0])
        self.recent = np.ones(self.shape, bool)

    def advanced(self, max_changes: int) -> bool:
        """Makes the best change; whether there was one that helps."""
        changed = np.zeros(self.shape, bool)
        changed.flat[self.places] = True
        level = self.current.reshape(self.channels, *self.shape).sum(axis=0, dtype=np.int64)
        found = list(candidates(level, changed, self.channels + 1, max_changes - len(self.places)))
        regions = [kind.part(~kind.speck) for kind in found]
        # with room for less than a region, specks are all that can be had
        better = (max_changes >= LEAST and self._best(regions)) or self._best(found)
        if not better:
            return False
        self.current, self.score, positions = better
        self.places += positions
        self.recent = np.zeros(self.shape, bool)
        self.recent.flat[positions] = True
        for _ in range(NEAR):
            self.recent = grown(self.recent)
        return True

    def _best(self, kinds: Sequence[Changes]) -> tuple[npt.NDArray[np.uint8], float, list[int]] | None:
        """The image, score and positions of the change that gains most by its cost; None where none gains."""
        best, most = None, 0.0
        chosen = [kind.part(due) for kind, due in zip(kinds, self._due(kinds))]
        for part, images, scores in self._scored(chosen):
            cost = part.used.sum(axis=1) + NEW_REGION * part.starts
            # what exceeds the threshold is no gain: the last change is then a small one
            merits = (np.minimum(scores, self.threshold) - self.score) / cost
            self.known[part.key][part.number] = merits
            i = int(np.argmax(merits))
            if merits[i] > most:
                most = float(merits[i])
                best = images[i], float(scores[i]), part.positions[i][part.used[i]].tolist()
        return best

    def _scored(
        self, kinds: Sequence[Changes]
    ) -> Iterator[tuple[Changes, npt.NDArray[np.uint8], npt.NDArray[np.float64]]]:
        """Changes, the images that they make and these images' scores, many at a time, as few cost nearly as much."""
        size = max(1, BATCH_BYTES // len(self.states))
        parts = [kind.part(slice(first, first + size)) for kind in kinds for first in range(0, len(kind), size)]
        while parts:
            n, together = len(parts[0]), 1
            while together < len(parts) and n + len(parts[together]) <= size:
                n, together = n + len(parts[together]), together + 1
            images = [self._with(part) for part in parts[:together]]
            scores = np.split(self.score_of(np.concatenate(images)), np.cumsum([len(own) for own in images])[:-1])
            yield from zip(parts[:together], images, scores, strict=True)
            parts = parts[together:]

    def _due(self, kinds: Sequence[Changes]) -> list[Bools]:
        """Which candidates of every kind are to be scored: new ones, near ones, and those of most promise."""
        last, due = [], []
        for kind in kinds:
            known = self.known.setdefault(kind.key, np.full(self.n_positions, np.inf))
            last.append(known[kind.number])
            due.append(np.isinf(last[-1]) | (self.recent.ravel()[kind.positions] & kind.used).any(axis=1))
        rest = np.concatenate([own[~now] for own, now in zip(last, due)])
        if len(rest) <= PROMISING:
            return [np.ones(len(own), bool) for own in last]
        least = np.partition(rest, -PROMISING)[-PROMISING]
        return [now | (own >= least) for own, now in zip(last, due)]

    def _with(self, changes: Changes) -> npt.NDArray[np.uint8]:
        """An image for each of the changes, made."""
        images = np.repeat(self.current[None], len(changes), axis=0)
        rows = np.broadcast_to(np.arange(len(changes))[:, None], changes.used.shape)[changes.used]
        positions = changes.positions[changes.used]
        for channel in range(self.channels):
            images[rows, channel * self.n_positions + positions] = channel < changes.level
        return images

    def taken_back(self) -> bool:
        """Takes one needless part back: a whole region, or a pixel without which its region is still one of three.

        Of several that are needless a region goes before pixels, and then the one without which the score is highest.
        """
        regions = [[row * self.shape[1] + column for row, column in region] for region in self._regions(self.places)]
        single = [[place] for region in regions for place in region if self._may_shrink(region, place)]
        for parts in (regions, single):
            scores = self._without(parts)
            if len(scores) and scores.max() >= self.threshold:
                gone = parts[int(np.argmax(scores))]
                self.score = float(scores.max())
                for place in gone:
                    self.current[place :: self.n_positions] = self.states[place :: self.n_positions]
                self.places = [place for place in self.places if place not in gone]
                return True
        return False

    def _regions(self, places: Sequence[int]) -> list[list[tuple[int, int]]]:
        return regions_of(divmod(place, self.shape[1]) for place in places)

    def _may_shrink(self, region: Sequence[int], place: int) -> bool:
        left = [other for other in region if other != place]
        return len(left) >= LEAST and len(self._regions(left)) == 1

    def _without(self, parts: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
        """(parts,) scores without each of some parts of the change."""
        scores = []
        size = max(1, BATCH_BYTES // len(self.states))
        for first in range(0, len(parts), size):
            images = np.repeat(self.current[None], len(parts[first : first + size]), axis=0)
            for image, part in zip(images, parts[first : first + size]):
                for place in part:
                    image[place :: self.n_positions] = self.states[place :: self.n_positions]
            scores.append(self.score_of(images))
        return np.concatenate(scores) if scores else np.empty(0)
