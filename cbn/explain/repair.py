# SPDX-License-Identifier: BSD-3-Clause
"""The smallest change that makes an outlier normal."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ScoreOf = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float64]]

# Candidate images are scored in batches of about so many bytes: a large picture has as many of them as pixels.
BATCH_BYTES = 2**24


@dataclass(frozen=True, eq=False)
class Repair:
    """An image, and the changed pixels that bring its score to the threshold.

    Attributes
    ----------
    image, repaired : ndarray, (height, width) uint8
        As the model sees it (see ``binarized_pictures``), before and after.
    changes : tuple of (row, column)
        The changed pixels, the one that gains most first.
    score, repaired_score, threshold : float
        Of the same score as ``decision_function``; success means ``repaired_score >= threshold``.
    max_changes : int
        The limit under which the search stood. A search that failed with fewer changes found none that helps alone.
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


def repair_image(
    score_of: ScoreOf, states: npt.NDArray[np.uint8], n_positions: int, threshold: float, max_changes: int
) -> tuple[npt.NDArray[np.uint8], list[int], float]:
    """Greedy flips of the pixel that raises the score most, until the threshold is reached; then needless ones go back.

    Every step scores every possible change exactly, so it finds the best single change, but a set of changes that only
    helps together may be missed: the number found is an upper bound of the smallest. A change sets a pixel to any other
    grey level and counts once.

    Parameters
    ----------
    score_of : callable, (n, nodes) uint8 states -> (n,) scores, higher is more normal
    states : ndarray, (nodes,) uint8
        Pixel nodes of the image, thresholds of a thermometer code one behind the other.
    n_positions : int
    threshold : float
    max_changes : int

    Returns
    -------
    states : ndarray, (nodes,) uint8
    places : list of int
        Changed positions in the order of their change.
    score : float
    """
    current, score = states.copy(), float(score_of(states[None])[0])
    places: list[int] = []
    channels = len(states) // n_positions
    while score < threshold and len(places) < max_changes:
        better = None
        for candidates, where in _variants(current, n_positions, channels, places):
            scores = score_of(candidates)
            best = int(np.argmax(scores))
            if scores[best] > score:
                better, score = (candidates[best], int(where[best])), float(scores[best])
        if better is None:
            break
        current = better[0]
        places.append(better[1])
    if score >= threshold:
        current, score = _without_needless(score_of, current, states, n_positions, threshold, places, score)
    return current, places, score


def _without_needless(
    score_of: ScoreOf,
    current: npt.NDArray[np.uint8],
    states: npt.NDArray[np.uint8],
    n_positions: int,
    threshold: float,
    places: list[int],
    score: float,
) -> tuple[npt.NDArray[np.uint8], float]:
    """Takes back changes without which the threshold is reached too, until there are none; shortens ``places``."""
    taken_back = True
    while taken_back:  # a change may become needless when another one goes
        taken_back = False
        for place in list(places):
            trial = current.copy()
            trial[place::n_positions] = states[place::n_positions]
            without = float(score_of(trial[None])[0])
            if without >= threshold:
                current, score, taken_back = trial, without, True
                places.remove(place)
    return current, score


def _variants(
    states: npt.NDArray[np.uint8], n_positions: int, channels: int, changed: list[int]
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]]:
    """Batches of all images with one pixel, not changed yet, at another level; and the positions of those pixels."""
    level = states.reshape(channels, n_positions).sum(axis=0)
    free = np.setdiff1d(np.arange(n_positions), changed)
    size = max(1, BATCH_BYTES // len(states))
    for wanted in range(channels + 1):
        at = free[level[free] != wanted]
        for part in (at[first : first + size] for first in range(0, len(at), size)):
            images = np.repeat(states[None], len(part), axis=0)
            for channel in range(channels):
                images[np.arange(len(part)), channel * n_positions + part] = channel < wanted
            yield images, part
