# SPDX-License-Identifier: BSD-3-Clause
"""Why a pixel surprises tied trees: which features speak for its other state."""

from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .surprise import Evidence, Place, on_off


class Forest(Protocol):
    """Trees that the positions of a channel share."""

    @property
    def begin(self) -> npt.NDArray[np.int64]: ...
    @property
    def tree_begin(self) -> npt.NDArray[np.int64]: ...
    @property
    def split(self) -> npt.NDArray[np.int32]: ...
    @property
    def value(self) -> npt.NDArray[np.int32]: ...


def in_words(given: tuple[tuple[str, bool, float], ...]) -> str:
    """Features (name, whether it holds, influence) as the end of a sentence."""
    names = [f"{name}: {'yes' if holds else 'no'} ({influence:+.2g})" for name, holds, influence in given]
    return f"; otherwise, these would change it most: {', '.join(names)}" if names else ""


@dataclass(frozen=True)
class TiedSurprise(Evidence):
    """A pixel of an image whose CPD is tied trees, and the features that make it surprising.

    Attributes
    ----------
    layer, channel, row, column, field, state, surprise, contribution, threshold
        As in NodeSurprise.
    probability : float
        Of the state.
    given : tuple of (feature, holds, influence)
        Up to three features whose other state would change the log-odds most, largest first: what it is in words,
        whether it holds in the image, and the log-odds without it less those with it (or the reverse), nats.
    n_images : int
        Training images.
    log_odds : float or None
        log p(1) / p(0) given the earlier pixels; None where the next lower threshold is off and 0 is certain.
    """

    layer: int
    channel: int
    row: int
    column: int
    field: tuple[int, int, int]
    state: int
    surprise: float
    contribution: float
    probability: float
    given: tuple[tuple[str, bool, float], ...]
    n_images: int
    log_odds: float | None
    threshold: float | None = None

    @classmethod
    def of(
        cls, place: Place, given: tuple[tuple[str, bool, float], ...], log_odds: float, n_images: int
    ) -> "TiedSurprise":
        """Of a node with log-odds."""
        probability = float(np.exp(-np.logaddexp(0, -log_odds if place.state else log_odds)))
        return cls(
            **place.attributes(),
            probability=probability,
            given=given,
            n_images=n_images,
            log_odds=log_odds,
            threshold=place.threshold,
        )

    @classmethod
    def certain(cls, place: Place, n_images: int) -> "TiedSurprise":
        """Of a node whose next lower threshold is off."""
        return cls(
            **place.attributes(),
            probability=float(not place.state),
            given=(),
            n_images=n_images,
            log_odds=None,
            threshold=place.threshold,
        )

    def __str__(self) -> str:
        head = (
            f"{self.node_name()} is {on_off(self.state)}: {self.surprise:z.1f} nats, probability {self.probability:.2g}"
        )
        if self.log_odds is None:
            return f"{head} where the lower threshold is off"
        return f"{head}, log-odds {self.log_odds:z.1f}{in_words(self.given)}"

    def to_dict(self) -> dict[str, Any]:
        """All attributes as JSON can hold them, and the sentence."""
        lists = {"field": list(self.field), "given": [list(entry) for entry in self.given]}
        return {"sentence": str(self), **asdict(self), **lists}


def influences(forest: Forest, channel: int, features: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """(features,) change of a channel's log-odds, nats, if one feature alone were the other way round."""
    trees = range(forest.begin[channel], forest.begin[channel + 1])
    changes = np.zeros(len(features), np.int64)
    for tree in trees:
        vertices = slice(forest.tree_begin[tree], forest.tree_begin[tree + 1])
        split, value = forest.split[vertices], forest.value[vertices]
        inner: npt.NDArray[np.int64] = np.cumsum(split >= 0) - (split >= 0)  # inner vertices before each

        def leaf(vertex: int, flipped: int) -> int:
            while split[vertex] >= 0:  # noqa: B023  called before the next tree
                on = bool(features[split[vertex]]) != (split[vertex] == flipped)  # noqa: B023
                vertex = 1 + 2 * int(inner[vertex]) + on  # noqa: B023
            return int(value[vertex])  # noqa: B023

        vertex, path = 0, []
        while split[vertex] >= 0:
            path.append(vertex)
            vertex = 1 + 2 * int(inner[vertex]) + bool(features[split[vertex]])
        for asked in {int(split[at]) for at in path}:
            changes[asked] += leaf(0, asked) - int(value[vertex])
    return changes / 65536.0
