# SPDX-License-Identifier: BSD-3-Clause
"""The last step of a fit: a network and the scores of normal images become a Fitted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from ..bits.binarization import Binarization
from ..bits.digest import KEY as DIGEST
from ..bits.digest import Digest
from ..bits.planes import BitPlanes
from ..cpd.base import SCORES
from ..layers.contrast import NAME as CONTRAST
from ..layers.contrast import LogRatio, contrast_scales
from ..layers.stack import LayeredNetwork, scales_of
from ..layers.training import TrainedLayer
from ..metrics.calibration import Calibration
from .fitted import Fitted
from .settings import Arguments, Settings
from .state import HEAT_MAP_SHARE

Floats = npt.NDArray[np.float64]

# Images on whose maps the heat-map scale is measured where counts do not tell it.
SCALE_IMAGES = 1000


def score_names(settings: Settings, network: LayeredNetwork) -> list[str]:
    """The scores that are needed of normal images: one layer has nothing to be brought to one scale."""
    scaled = (*(SCORES if len(network) > 1 else ()), *((CONTRAST,) if settings.contrast else ()))
    return list(dict.fromkeys((settings.score, *scaled)))


def scores_of(
    network: LayeredNetwork,
    planes: Sequence[BitPlanes],
    names: Sequence[str],
    num_threads: int,
    *,
    leave_one_out: bool = False,
    columns: Floats | None = None,
) -> dict[str, Floats]:
    """Score name -> (n_images, layers); ``columns`` are the contrast's own where they are known."""
    found = {
        name: network.layer_scores(planes, name, num_threads, leave_one_out=leave_one_out)
        for name in names
        if name != CONTRAST
    }
    if CONTRAST in names:
        layers = found.get("standardized")
        layers = network.layer_scores(planes, "standardized", num_threads) if layers is None else layers
        if columns is None:
            columns = network.checked_contrast().columns(planes[0], num_threads)
        found[CONTRAST] = np.concatenate([layers, columns], axis=1)
    return found


@dataclass(frozen=True, eq=False)
class Normal:
    """Scores of normal images by which new ones are judged.

    Attributes
    ----------
    source : str
        Where they come from; see cbn.metrics.calibration.Calibration.
    scores : dict of score name -> ndarray, (n_images, layers)
    judge : LayeredNetwork, optional
        The network by which new images are to be scored, if it is not that of all images.
    contrast : LogRatio, optional
        The one that the network of all images takes; networks that saw all of them would know no normal images.
    """

    source: str
    scores: dict[str, Floats]
    judge: LayeredNetwork | None = None
    contrast: LogRatio | None = None


@dataclass(frozen=True, eq=False)
class Learned:
    """A network and what it was learned from."""

    network: LayeredNetwork
    trained: tuple[TrainedLayer, ...]
    binarization: Binarization
    n_images: int
    digest: Digest


def assembled(
    arguments: Arguments,
    settings: Settings,
    learned: Learned,
    planes: Sequence[BitPlanes],
    normal: Normal,
) -> Fitted:
    """The Fitted of what was learned; ``planes`` and ``normal`` are of images that are among the counted ones."""
    by_layer = {name: scores for name, scores in normal.scores.items() if name != CONTRAST}
    scales = scales_of(settings.features.weights(len(learned.network)), by_layer)
    if settings.contrast is not None:
        weight = settings.contrast.weight
        scales[CONTRAST] = contrast_scales(scales["standardized"], normal.scores[CONTRAST], weight)
    network = learned.network.with_contrast(normal.contrast).with_scales(scales)
    heat_map_scale = None
    if len(network) > 1 or not network.pixels.counts_surprises:
        heat_map_scale = map_quantile(network, planes, HEAT_MAP_SHARE, validation.check_threads(arguments.n_jobs))
    judge = normal.judge and normal.judge.with_scales(scales)
    for grown in (network, *((judge,) if judge else ())):
        grown.freeze()
    combined = network.combine(normal.scores[settings.score], settings.score)
    return Fitted(
        arguments=arguments,
        settings=settings,
        network=network,
        hidden_layers=learned.trained,
        binarization=learned.binarization,
        n_images=learned.n_images,
        measured_heat_map_scale=heat_map_scale,
        calibration=Calibration.of(combined, normal.source, settings.false_alarm_rate),
        judge=judge,
        rule=learned.binarization.describe(),
        provenance={DIGEST: str(learned.digest)},
        n_jobs=arguments.n_jobs,
    )


def map_quantile(network: LayeredNetwork, planes: Sequence[BitPlanes], share: float, num_threads: int) -> float:
    """The surprise that a share of the pixels of up to SCALE_IMAGES of the images stays below, nats."""
    words = max(1, min(planes[0].words.shape[1], SCALE_IMAGES // 64))
    maps = network.surprise_maps([own.part(0, words) for own in planes], num_threads)
    return upper_quantile(maps.ravel(), share)


def upper_quantile(values: npt.NDArray[np.float64], share: float) -> float:
    """``numpy.quantile`` of many finite values and a share near 1: only values above a guess are put in order."""
    place = (len(values) - 1) * share
    below = int(place)
    some = np.sort(values[:: max(1, len(values) // 2**13)])
    top = values[values >= some[int((len(some) - 1) * max(0.0, 1 - 4 * (1 - share)))]]
    if len(values) - len(top) > below:  # the guess is too high
        top = values
    top = np.sort(top)
    first = below - (len(values) - len(top))
    return float(np.quantile(top[first : first + 2], place - below))
