# SPDX-License-Identifier: BSD-3-Clause
"""The first step of a fit: images become bits, and the shape of everything that is made of them is known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from ..bits.augmentation import shifted_images
from ..bits.binarization import Binarization, check_thresholds, chosen_thresholds
from ..bits.planes import BitPlanes
from ..bits.stream import FIRST, Streamed, read_stream
from ..exceptions import DataError
from ..layers.features import starting_kernels
from ..layers.geometry import LayerGeometry, geometry
from ..layers.kernels import Kernels
from ..layers.relations import check_relations, check_search_size
from .settings import Settings

# Kernels and relations that learn from fewer images than this learn them by heart. They see a third of them, and the threshold comes
# from the others.
LEAST_FOR_KERNELS, KERNELS_SHARE = 300, 3


@dataclass(frozen=True, eq=False)
class Prepared:
    """Training images as bits, and the shape of everything that is made of them.

    Attributes
    ----------
    binarization : Binarization
    geometries : tuple of LayerGeometry
        Of the pixels and of every hidden layer.
    images : BitPlanes
        Pixels of the images themselves.
    counted : BitPlanes
        Pixels of all images that are counted: with shifted copies, the images themselves first.
    kernels : tuple of Kernels
        That hidden layers start from.
    """

    binarization: Binarization
    geometries: tuple[LayerGeometry, ...]
    images: BitPlanes
    counted: BitPlanes
    kernels: tuple[Kernels, ...]

    def members(self, left_out: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Which of the counted images are left without some of the images (n,) and their copies."""
        return np.tile(~left_out, self.counted.n_images // self.images.n_images)

    def without(self, left_out: npt.NDArray[np.bool_], num_threads: int) -> BitPlanes:
        """What is counted without some of the images (n,) and their copies."""
        return self.counted.select(self.members(left_out), num_threads)

    def kept_from_kernels(self, settings: Settings) -> npt.NDArray[np.bool_]:
        """(n,) bool: images that kernels and relations of hidden layers are not learned from."""
        n = self.images.n_images
        return np.arange(n) >= n_for_kernels(settings, n)


def n_for_kernels(settings: Settings, n: int) -> int:
    """How many of n images, the first ones, kernels and relations of hidden layers are learned from."""
    features = settings.features
    learns = features.layers and (features.iterations or settings.kind.uses_relations)
    return n if not learns or n < 2 or n >= LEAST_FOR_KERNELS else max(1, n // KERNELS_SHARE)


def for_threshold(settings: Settings, n: int) -> npt.NDArray[np.bool_]:
    """(n,) bool: images whose scores may make the threshold.

    Scores of those that kernels and relations were learned from are too good for it; all are taken where these are learned from all.
    """
    n_seen = n_for_kernels(settings, n)
    return np.arange(n) >= (0 if n_seen == n else n_seen)


def check_labels(y: Any, n_images: int) -> None:
    """Labels are not used, but there must be one for each image. Raises DataError."""
    if hasattr(y, "__len__") and len(y) != n_images:
        raise DataError(f"y: {len(y)} labels for {n_images} images")


def prepare(settings: Settings, images: npt.NDArray[Any], num_threads: int) -> Prepared:
    """Images (n, height, width), validated, as bits; everything refused that cannot be trained."""
    binarization, geometries, kernels = planned(settings, images)
    own, counted = packed(binarization, images, settings.shift, num_threads)
    return Prepared(binarization, geometries, own, counted, kernels)


def prepare_stream(settings: Settings, X: Iterator[Any], num_threads: int) -> tuple[Prepared, npt.NDArray[Any]]:
    """The same for images that come in chunks, and their extremes as an image."""
    refuse_shift(settings)
    found: list[tuple[tuple[LayerGeometry, ...], tuple[Kernels, ...]]] = []

    def rule(images: npt.NDArray[Any]) -> Binarization:
        binarization, geometries, kernels = planned(settings, images)
        found.append((geometries, kernels))
        return binarization

    known = settings.full_scale not in (None, 1) and not isinstance(settings.threshold, str)
    streamed = read_stream(
        X, rule, num_threads, image_shape=settings.image_shape, full_scale=settings.full_scale,
        first=1 if known else None,
    )  # fmt: skip
    prepared = Prepared(streamed.binarization, found[0][0], streamed.planes, streamed.planes, found[0][1])
    return prepared, streamed.extremes


def prepare_bits(settings: Settings, streamed: Streamed) -> Prepared:
    """The same for images that came in chunks and are bits by now, by the rule that the settings say."""
    refuse_shift(settings)
    binarization, planes = streamed.binarization, streamed.planes
    geometries = planned_geometries(settings, streamed.shape, binarization.channels)
    kernels = starting_kernels(settings.features.kernels, settings.features.layers, geometries)
    return Prepared(binarization, geometries, planes, planes, kernels)


def refuse_shift(settings: Settings) -> None:
    """Images that came in chunks have no shifted copies. Raises ValueError."""
    if settings.shift:
        raise ValueError(
            f"shift: {settings.shift}; images that come in chunks are not shifted; give one array, or shift=0"
        )


def planned(
    settings: Settings, images: npt.NDArray[Any]
) -> tuple[Binarization, tuple[LayerGeometry, ...], tuple[Kernels, ...]]:
    """What follows from some or all images (n, height, width): the rule of bits, and what has its room in them."""
    full_scale = validation.full_scale_of(images) if settings.full_scale is None else settings.full_scale
    if settings.full_scale == 1:
        validation.check_full_scale(images, full_scale)
    thresholds = check_thresholds(chosen_thresholds(settings.threshold, images[:FIRST], full_scale), full_scale)
    binarization = Binarization(thresholds, full_scale)
    geometries = planned_geometries(settings, images.shape[1:], binarization.channels)
    kernels = starting_kernels(settings.features.kernels, settings.features.layers, geometries)
    return binarization, geometries, kernels


def packed(
    binarization: Binarization, images: npt.NDArray[Any], shift: int, num_threads: int
) -> tuple[BitPlanes, BitPlanes]:
    """Pixels of the images, and of all that are counted: with shifted copies, the images first."""
    counted = binarization.planes(shifted_images(images, shift), num_threads)
    if not shift:
        return counted, counted
    return counted.select(np.arange(counted.n_images) < len(images), num_threads), counted


def planned_geometries(settings: Settings, shape: Sequence[int], n_thresholds: int) -> tuple[LayerGeometry, ...]:
    """The geometry of all layers, everything refused that has no room or takes too much memory. Raises ValueError."""
    height, width = shape
    features = settings.features
    geometries = geometry(height, width, n_thresholds, features.layers)
    forced, forbidden = features.relations("forced_relations"), features.relations("forbidden_relations")
    for number, layer in enumerate(geometries[1:]):
        check_relations(layer, number + 1, forced[number], forbidden[number])
        check_search_size(layer, features.max_parents, forced[number])
    for number, layer in enumerate(geometries):
        settings.kind.check_size(settings.cpd, layer, number == 0)
    return geometries
