# SPDX-License-Identifier: BSD-3-Clause
"""The smallest change that makes an outlier normal."""

from dataclasses import dataclass

import numpy as np


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
    """

    image: np.ndarray
    repaired: np.ndarray
    changes: tuple
    score: float
    repaired_score: float
    threshold: float

    @property
    def succeeded(self):
        """bool: whether the repaired image is no outlier any more."""
        return self.repaired_score >= self.threshold


def repair_image(score_of, states, n_positions, threshold, max_changes):
    """Greedy flips of the pixel that raises the score most, until the threshold is reached; then needless ones go back.

    Every step scores every possible change exactly, so it finds the best single change, but a set of changes that only
    helps together may be missed: the number found is an upper bound of the smallest.

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
    current, score, places = states.copy(), float(score_of(states[None])[0]), []
    channels = len(states) // n_positions
    while score < threshold and len(places) < max_changes:
        candidates, where = _variants(current, n_positions, channels, places)
        if not len(candidates):
            break
        scores = score_of(candidates)
        best = int(np.argmax(scores))
        if scores[best] <= score:
            break
        current, score = candidates[best], float(scores[best])
        places.append(where[best])
    for place in list(places):  # what an earlier change was needed for, later ones may have made needless
        trial = current.copy()
        trial[place::n_positions] = states[place::n_positions]
        back = float(score_of(trial[None])[0])
        if score >= threshold and back >= threshold:
            current, score = trial, back
            places.remove(place)
    return current, places, score


def _variants(states, n_positions, channels, changed):
    """All images with one pixel, not changed yet, at another level; and the positions of those pixels."""
    level = states.reshape(channels, n_positions).sum(axis=0)
    free = np.setdiff1d(np.arange(n_positions), changed)
    rows, where = [], []
    for wanted in range(channels + 1):
        at = free[level[free] != wanted]
        images = np.repeat(states[None], len(at), axis=0)
        for channel in range(channels):
            images[np.arange(len(at)), channel * n_positions + at] = channel < wanted
        rows.append(images)
        where += at.tolist()
    return np.concatenate(rows), where
