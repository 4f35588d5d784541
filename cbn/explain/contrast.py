# SPDX-License-Identifier: BSD-3-Clause
"""Which pixels speak against the class of images: odd to those who know it, and not to those who know strokes alone."""

from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..bits.planes import BitPlanes
from .surprise import Evidence, Place, PlacedGrid, on_off
from .tied import TiedSurprise, in_words


class Explained(Protocol):
    """The network of the class, as far as it is asked."""

    @property
    def layer(self) -> PlacedGrid: ...
    def explain(self, place: Place, node: int, states: npt.NDArray[np.uint8], num_threads: int) -> TiedSurprise: ...


@dataclass(frozen=True)
class ContrastSurprise(Evidence):
    """A pixel of an image, and how much more it surprises the network of the class than the background.

    Attributes
    ----------
    layer, channel, row, column, field, state, threshold
        As in NodeSurprise; the layer is 0, the threshold the lowest where there are several.
    contribution : float
        -log p of the class's network less that of the background, nats: its part in the image's log-ratio.
    probability, background : float
        Of the state, under the class's network and under the background.
    given : tuple of (feature, holds, influence)
        As in TiedSurprise, of the class's network.
    n_images : int
        That the networks have seen.
    """

    layer: int
    channel: int
    row: int
    column: int
    field: tuple[int, int, int]
    state: int
    contribution: float
    probability: float
    background: float
    given: tuple[tuple[str, bool, float], ...]
    n_images: int
    threshold: float | None = None

    def __str__(self) -> str:
        return (
            f"{self.node_name()} is {on_off(self.state)}: {self.contribution:z.1f} nats against the class, probability "
            f"{self.probability:.2g} where strokes in general have {self.background:.2g}{in_words(self.given)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """All attributes as JSON can hold them, and the sentence."""
        lists = {"field": list(self.field), "given": [list(entry) for entry in self.given]}
        return {"sentence": str(self), **asdict(self), **lists}


def explain_contrast(
    own: Explained, ratio: npt.NDArray[np.float64], planes: BitPlanes, n: int, thresholds: tuple[float, ...],
    num_threads: int,
) -> list[Evidence]:  # fmt: skip
    """The n pixels that contribute most to the log-ratio (height, width) of one image."""
    states = planes.states(num_threads)[0]
    values = ratio.ravel()
    found: list[Evidence] = []
    for node in np.argsort(-values, kind="stable")[:n].tolist():
        _, row, column = own.layer.place(node)
        value = float(values[node])
        place = Place(0, 0, row, column, (row, column, 1), int(states[node]), value, value, thresholds)
        known = own.explain(place, node, states, num_threads)
        background = float(np.exp(min(0.0, np.log(known.probability) + value)))
        attributes = place.attributes() | {"threshold": place.threshold}
        del attributes["surprise"]
        found.append(
            ContrastSurprise(
                **attributes, probability=known.probability, background=background, given=known.given,
                n_images=known.n_images,
            )
        )  # fmt: skip
    return found
