# SPDX-License-Identifier: BSD-3-Clause
"""The recipe for images in several places: the same steps, by sums over shards, to the same bytes.

What one process does with all images is asked of every shard; only sums of counts, digests and scores come together.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from ..bits.binarization import refuse_flat_counts
from ..bits.digest import Digest
from ..bits.planes import BitPlanes
from ..bits.shards import Part, Shard, Shards, Source, extremes_of, gathered, ones_of, packed
from ..bits.stream import FIRST
from ..cpd.base import Outline
from ..distributed import source_of
from ..layers.contrast import NAME as CONTRAST
from ..layers.contrast import LogRatio
from ..layers.contrast_shards import learned_from
from ..layers.geometry import LayerGeometry, Transition
from ..layers.kernels import Kernels
from ..layers.shards import layers_of
from ..layers.stack import LayeredNetwork
from ..layers.training import TrainedLayer
from .assembling import SCALE_IMAGES, Learned, Normal, assembled, score_names, scores_of
from .features import training_options
from .fitted import Fitted
from .folds import Folds
from .preparing import check_labels, for_threshold, n_for_kernels, planned
from .settings import Arguments, Settings

Floats = npt.NDArray[np.float64]


def fit_dask(
    arguments: Arguments, settings: Settings, X: Any, y: Any = None, *, num_threads: int, held_out: bool = True,
    checkpoint: Any = None,
) -> Fitted:  # fmt: skip
    """The network of a dask array (n, height, width) or (n, height * width), learned where its blocks are."""
    check_distributes(settings)
    if checkpoint is not None:
        raise ValueError(f"checkpoint: {checkpoint!r:.80}; kernels of a dask array are not trained: leave it out")
    source, traffic = source_of(X)
    fitted = fit_shards(arguments, settings, source, y, num_threads=num_threads, held_out=held_out)
    return replace(fitted, traffic=traffic)


def fit_shards(
    arguments: Arguments, settings: Settings, source: Source, y: Any = None, *, num_threads: int, held_out: bool = True
) -> Fitted:
    """The network that :func:`cbn.fit.recipe.fit` gives of one array.

    Parameters
    ----------
    arguments, settings
        As they were given, and resolved.
    source : Source
        The images in blocks.
    y : ignored
    num_threads : int
        Of this process; shards have their own.
    held_out : bool
        See there.

    Raises
    ------
    ValueError
        What is not learned from sums; see :func:`check_distributes`.
    DataError
        Images that cannot be used.
    """
    check_distributes(settings)
    head = validation.as_images(source.head(FIRST), image_shape=settings.image_shape, full_scale=settings.full_scale)
    binarization, geometries, kernels = planned(settings, head)
    shards = source.shards(packed, binarization, head.shape[1:], settings.full_scale)
    check_labels(y, shards.n_images)
    extremes = np.array([[shards.map(extremes_of)]], head.dtype).reshape(1, 1, -1)
    if held_out:
        refuse_flat_counts(shards.sum(ones_of), shards.n_images, binarization, extremes)
    digest = shards.sum(digest_of)
    # a contrast knows what is normal from images that its networks have not seen
    held_out = held_out or settings.contrast is not None
    growing = ShardedGrowing(settings, shards, geometries, kernels, num_threads, held_out)
    network = growing.grow()
    learned = Learned(network, growing.trained, binarization, shards.n_images, digest)
    normal = growing.normal_scores(network)
    fitted = assembled(arguments, settings, learned, growing.first_planes(network), normal)
    fitted.calibration.threshold_at(settings.false_alarm_rate, stacklevel=4)  # warns of too few images
    return fitted


def check_distributes(settings: Settings) -> None:
    """Refuses what is not a function of sums over images. Raises ValueError."""
    others = "or give all images to one process (X.compute(), or a sample of X)"
    features = settings.features
    try:
        settings.kind.check_distributes(settings.cpd)
    except ValueError as error:
        raise ValueError(f"{error}, {others}") from None
    if features.layers and features.iterations:
        raise ValueError(
            f"features: {features.iterations} iterations; kernels are trained in one process: train them on a sample, give "
            f"features=cbn.Features(kernels=..., iterations=0), {others}"
        )
    if settings.shift:
        raise ValueError(f"shift: {settings.shift}; images in several places are not shifted; give shift=0, {others}")


class ShardedGrowing:
    """Grows networks of shards under the same kernels: once of all images, and once without every fold."""

    def __init__(
        self, settings: Settings, shards: Shards, geometries: Sequence[LayerGeometry], kernels: Sequence[Kernels],
        num_threads: int, held_out: bool,
    ) -> None:  # fmt: skip
        self.settings, self.geometries, self.num_threads = settings, geometries, num_threads
        self.n_images = shards.n_images
        self.seed = settings.seed() if settings.kind.draws_at_random or settings.contrast else 0
        self.trained: tuple[TrainedLayer, ...] = ()
        if settings.features.layers:
            options, seen = training_options(settings, settings.seed()), Part(n_for_kernels(settings, self.n_images))
            self.trained, shards = layers_of(
                settings.features.layers, geometries, shards, seen, options, kernels, num_threads
            )
        self.shards = shards
        self.transitions: list[Transition] = [t.kernels.transition(below) for t, below in zip(self.trained, geometries)]
        self.folds = Folds.of(settings, self.n_images, held_out)

    def grow(self, part: Part | None = None) -> LayeredNetwork:
        """The network of all images, or of a part, its scales still 1."""
        networks, shards = [], self.shards if part is None else self.shards.only(part)
        for number, own in enumerate(self.geometries):
            relations = self.trained[number - 1].layer.relations if number else ()
            outline = Outline(own.grid(), own.distance, number == 0, relations, self.num_threads, self.seed)
            images = shards.layer(number)
            networks.append(self.settings.kind.learn_from(self.settings.cpd, outline, images))
        return LayeredNetwork(networks, self.transitions, self.geometries)

    def normal_scores(self, network: LayeredNetwork) -> Normal:
        """Scores of the training images, each by a network that has not seen it where that can be had."""
        names = score_names(self.settings, network)
        kept = for_threshold(self.settings, self.n_images)
        if network.pixels.leaves_one_out:
            scores = joined(self.shards.map(score_shard, network, names, None, True))
            normal = Normal("leave-one-out", scores)
        elif self.folds:
            normal = self._cross_validated(names)
            kept &= self.folds.scored()
        else:
            scores, ratio = self._scored(network, names, None)
            return Normal("training images", scores, contrast=ratio)
        if kept.all():
            return normal
        return replace(normal, scores={name: scores[kept] for name, scores in normal.scores.items()})

    def _scored(
        self, network: LayeredNetwork, names: Sequence[str], others: Part | None
    ) -> tuple[dict[str, Floats], LogRatio | None]:
        """Scores of all images, or of those that are not among the others, and the contrast that they are made of."""
        contrast = self.settings.contrast
        if contrast is None:
            return joined(self.shards.map(score_shard, network, names, others, False)), None
        asked = tuple(dict.fromkeys([*(name for name in names if name != CONTRAST), "standardized"]))
        found = joined(self.shards.map(score_shard, network, asked, others, False))
        counted, held_out = (
            self.shards.only(own) if own else self.shards for own in (others, others and others.others)
        )
        ratio, columns = learned_from(
            contrast, self.geometries[0].grid(), counted, held_out, self.seed, self.num_threads
        )  # fmt: skip
        found[CONTRAST] = np.concatenate([found["standardized"], columns], axis=1)
        return {name: found[name] for name in names}, ratio

    def _cross_validated(self, names: Sequence[str]) -> Normal:
        """As :meth:`cbn.fit.recipe.Growing.normal_scores` does it."""
        judge = None
        found: dict[str, Floats] = {}
        for fold in range(self.folds.used):
            others = Part(self.n_images, fold, self.folds.number)
            network = self.grow(others)
            scores, ratio = self._scored(network, names, others)
            for name, own in scores.items():
                found.setdefault(name, np.zeros((self.n_images, own.shape[1])))[self.folds.part(fold)] = own
            judge = judge or network.with_contrast(ratio)
        return Normal("cross-validation", found, judge, judge.contrast if judge else None)

    def first_planes(self, network: LayeredNetwork) -> list[BitPlanes]:
        """Bit-planes of the layers of the images by whose maps the heat-map scale is measured, if it is."""
        if len(network) == 1 and network.pixels.counts_surprises:
            return []
        n = min(self.n_images, 64 * max(1, SCALE_IMAGES // 64))
        return network.planes(gathered(self.shards, np.arange(n), self.num_threads), self.num_threads)


def joined(parts: Sequence[dict[str, Floats]]) -> dict[str, Floats]:
    """Scores by name of all shards."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


# ---- what shards are asked ----


def digest_of(shard: Shard, num_threads: int) -> Digest:
    """The digest of the pixels."""
    return Digest.of(shard.layers[0], num_threads)


def score_shard(
    shard: Shard, num_threads: int, network: LayeredNetwork, names: Sequence[str], others: Part | None,
    leave_one_out: bool,
) -> dict[str, Floats]:  # fmt: skip
    """Scores by name, (n, layers), of all images or of those that are not among the others."""
    planes: Sequence[BitPlanes] = shard.layers
    if others is not None:
        own = ~others.of(shard.numbers())
        if not own.any():
            return {name: np.empty((0, len(network))) for name in names}
        planes = [layer.select(own, num_threads) for layer in planes]
    return scores_of(network, planes, names, num_threads, leave_one_out=leave_one_out)
