# SPDX-License-Identifier: BSD-3-Clause
"""Gaussian models of pictures in several places: sums that are kept, of every block, added to the bytes of one fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from ... import _validation as validation
from ...bits.shards import Source
from ...exceptions import DataError
from ..parameters import Arguments
from .features import Extractor, in_batches
from .fitted import FittedGaussianModel, prepared
from .further import of_sums
from .parameters import Gaussian
from .sums import KeptSums, digests_of

# Pictures that are worked on at a time.
TOGETHER = 8


@dataclass(frozen=True, eq=False)
class Pictures:
    """A block of pictures (n, height, width, channels) in its place."""

    values: npt.NDArray[Any]

    def __sizeof__(self) -> int:  # by which clusters know what they hold
        return object.__sizeof__(self) + self.values.nbytes


def fit_shards(
    source: Source, extractor: Extractor, gaussian: Gaussian, brightness: str | None, arguments: Arguments, *,
    false_alarm_rate: float, n_jobs: int | None,
) -> FittedGaussianModel:  # fmt: skip
    """The model that :func:`cbn.iem.gaussian.fitting.fit` gives of one array of pictures.

    Parameters
    ----------
    source : Source
        The pictures in blocks.
    extractor, gaussian, brightness, arguments, false_alarm_rate, n_jobs
        As they are resolved there; ``gaussian`` keeps its sums.

    Raises
    ------
    DataError
        Pictures that cannot be used: shape, type, range, NaN, fewer than two.
    """
    picture_shape = validation.as_pictures(source.head(1)).shape[1:]
    shards = source.shards(checked_pictures, picture_shape)
    if shards.n_images < 2:
        raise DataError("X: 1 picture; the spread of features needs at least 2")
    return of_sums(
        shards.sum(sums_of, extractor, brightness),
        picture_shape=picture_shape,
        brightness=brightness,
        extractor=extractor,
        gaussian=gaussian,
        false_alarm_rate=false_alarm_rate,
        arguments=arguments,
        provenance={},
        n_jobs=n_jobs,
    )


# ---- what shards are made of, and asked ----


def checked_pictures(block: Any, number: int, first: int, num_threads: int, picture_shape: Sequence[int]) -> Pictures:
    """The pictures of a block. Raises DataError."""
    return Pictures(validation.as_pictures(block, name=f"X, chunk {number}", picture_shape=picture_shape))


def sums_of(shard: Pictures, num_threads: int, extractor: Extractor, brightness: str | None) -> KeptSums:
    """The sums of a block."""
    pictures = shard.values
    sums = KeptSums.empty(*extractor.shape(*pictures.shape[1:3]), extractor.n_features)
    for part in in_batches(len(pictures), TOGETHER):
        features = extractor.features(prepared(pictures[part], brightness), num_threads)
        sums.add(features, digests_of(pictures[part]), num_threads)
    return sums
