# SPDX-License-Identifier: BSD-3-Clause
"""Which pictures are the most anomalous of those that come in batches."""

from dataclasses import dataclass

import numpy as np

from ._ranking import SHEET


@dataclass
class Kept:
    """One of the most anomalous pictures.

    Attributes
    ----------
    number : int
        Its place among all.
    score : float
    about : tuple
        (name, label or None)
    picture : ndarray or None
        As it was read, where it is needed later.
    """

    number: int
    score: float
    about: tuple
    picture: np.ndarray | None


class Ranking:
    """The most anomalous pictures so far: as many as the options ask for are in memory, and no more.

    Parameters
    ----------
    arguments : argparse.Namespace
    source : object
        With ``about(i)`` and ``picture(i)``, which answer for the pictures of the last batch.
    keeps_pictures : bool
        Also where there is no sheet.
    """

    def __init__(self, arguments, source, keeps_pictures=False):
        self.arguments, self.source = arguments, source
        self.keeps_pictures = keeps_pictures or arguments.sheet is not None
        self.limit = arguments.top or (SHEET if arguments.sheet is not None else 0)
        self.n, self.kept, self._worst, self._about = 0, [], np.zeros(0), {}

    def add(self, scores):
        """Scores (n,) of the pictures of the next batch."""
        first, self.n = self.n, self.n + len(scores)
        if not self.limit:
            return
        near = np.arange(len(scores))
        if len(self.kept) == self.limit:  # only what is below the highest of these can displace one; NaN is above all
            near = np.flatnonzero(~(scores >= self._worst[-1]))
        if not len(near):
            return
        joined = np.concatenate([self._worst, scores[near]])
        order = np.argsort(joined, kind="stable")[: self.limit]
        earlier = len(self.kept)
        self.kept = [
            self.kept[i] if i < earlier else self._keep(first + int(near[i - earlier]), float(joined[i])) for i in order
        ]
        self._worst = joined[order]

    def _keep(self, number, score):
        picture = self.source.picture(number).copy() if self.keeps_pictures else None
        return Kept(number, score, self.source.about(number), picture)

    def places(self, scores):
        """The places among all of the pictures to list, in their order; ``scores`` (n,) of all."""
        if self.arguments.top is not None:
            return self.numbers()
        return np.argsort(scores, kind="stable") if self.arguments.sort else np.arange(len(scores))

    def numbers(self):
        """The places among all of those that are kept."""
        self._about = {one.number: one.about for one in self.kept}
        return np.array([one.number for one in self.kept], np.int64)

    def about(self, i):
        """(name, label or None) of a picture of the last batch, or of one that is kept."""
        return self._about[i] if i in self._about else self.source.about(i)
