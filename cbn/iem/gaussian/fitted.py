# SPDX-License-Identifier: BSD-3-Clause
"""A fitted Gaussian energy model: scores, maps and decisions for pictures, from what the fit left and nothing else."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import _validation as validation
from ...distributed import is_dask, lazily
from ...metrics.calibration import Calibration
from ..decisions import PictureDecisions
from ..nn.arrays import Array, Shape
from ..parameters import Arguments
from ..pretrained.efficientnet import EfficientNetLite0
from ..settings import LEAST_MEDIAN
from . import writing
from .features import Extractor, PretrainedFeatures, in_batches
from .maps import at_pixels, picture_energies, settled, shown
from .positions import TOGETHER, PositionGaussians
from .sums import KeptSums, digest_of, digests_of
from .usual import Usual
from .whitening import Rounded, Whitening

# What pictures whose brightness is taken out have as their median: the middle of what the network knows.
MEDIAN = np.float32(0.5)
# Standard deviation of spots in maps of squared energies, in positions. That of the smallest is about 1; with 1.25 made spots
# of 11 pixels are drawn smallest without hollows in spots of 60.
BLUR = 1.25


def prepared(pictures: npt.NDArray[Any], brightness: str | None) -> Array:
    """Pictures (n, height, width, channels) as float32 values in about [0, 1]."""
    values = pictures.astype(np.float32)
    if pictures.dtype == np.uint8:
        values /= 255
    if brightness == "median":
        median = np.median(values.reshape(len(values), -1), axis=1).astype(np.float32)
        values *= (MEDIAN / np.maximum(median, LEAST_MEDIAN))[:, None, None, None]
    return values


def energies_of(gaussians: PositionGaussians, white: Rounded, num_threads: int, *, without_own: bool = False) -> Array:
    """Energies of positions (n, height, width) of whitened features, in units of usual deviations."""
    energies = gaussians.energies(white, num_threads, without_own=without_own)
    energies *= np.float32(1 / math.sqrt(white.shape[3]))
    return energies


@dataclass(frozen=True, eq=False, repr=False)
class FittedGaussianModel(PictureDecisions):
    """What :func:`cbn.iem.gaussian.fitting.fit` learned from normal pictures.

    Attributes
    ----------
    picture_shape : (height, width, channels)
    brightness : {None, "median"}
    extractor : Extractor
    whitening : Whitening
    gaussians : PositionGaussians
    usual : Usual or None
        What energies are usual at every position; None where energies of pictures are taken from energies as they are.
    calibration : Calibration
        Scores of normal pictures, each by the model without it, and the threshold that follows from them.
    n_images : int
        Pictures of the fit.
    provenance : dict
        Free-form record kept in the model file.
    arguments : Arguments
        What the model was fitted with, for the file and for another fit; no method reads them.
    n_jobs : int, optional
        Threads; None is all cores. Results do not depend on it.
    """

    picture_shape: Shape
    brightness: str | None
    extractor: Extractor
    whitening: Whitening
    gaussians: PositionGaussians
    usual: Usual | None
    calibration: Calibration
    n_images: int
    provenance: dict[str, Any]
    arguments: Arguments
    n_jobs: int | None = None
    sums: KeptSums | None = None

    def __repr__(self) -> str:
        height, width, channels = self.picture_shape
        return (
            f"<FittedGaussianModel: {len(self.gaussians.mean):,} positions of {self.whitening.basis.shape[1]} directions, "
            f"{self.n_images} {'grey' if channels == 1 else 'RGB'} pictures of {height} x {width}, "
            f"threshold from {len(self.calibration.scores)} {self.calibration.source} scores>"
        )

    @property
    def backbone(self) -> EfficientNetLite0 | None:
        """The pretrained network that makes features, or None."""
        return self.extractor.network if isinstance(self.extractor, PretrainedFeatures) else None

    @property
    def map_blur(self) -> float:
        """Standard deviation in pixels of what a point becomes in maps of squared energies; see cbn.plots.focus."""
        return BLUR * self.extractor.stride

    def _energies(self, X: npt.ArrayLike, without_own: bool = False) -> Any:
        """Yields (part, energies of positions)."""
        threads = validation.check_threads(self.n_jobs)
        pictures = validation.as_pictures(X, picture_shape=self.picture_shape)
        for part in in_batches(len(pictures), TOGETHER):
            features = self.extractor.features(prepared(pictures[part], self.brightness), threads)
            white = self.whitening(features, self.extractor.unit, threads)
            yield part, energies_of(self.gaussians, white, threads, without_own=without_own)

    def score_samples(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Minus the energy of every picture (n,) float64; higher is more normal.

        The energy is the mean over the most unusual positions (``Gaussian.top``) of their Mahalanobis distance over the
        square root of the number of directions: about 1 where all is as usual. With ``Gaussian.relative`` each is in units
        of what is usual at its position.

        Parameters
        ----------
        X : array-like or dask array, (n, height, width) or (n, height, width, channels)
            Pictures of the size that was trained on. Of a dask array the scores are one.
        """
        if is_dask(X):
            return lazily(FittedGaussianModel.score_samples, self, X)
        return np.concatenate([self._scores_by(own) for _, own in self._energies(X)])

    def energy_map(self, X: npt.ArrayLike, *, without_own: bool = False) -> Array:
        """Where pictures are unlike normal ones, at their own size: (n, height, width) float32, about 1 where as usual.

        Parameters
        ----------
        X : array-like, (n, height, width) or (n, height, width, channels)
        without_own : bool
            For pictures of the fit: each by the model without it, as new ones are seen.
        """
        return np.concatenate([self._maps_by(own) for _, own in self._energies(X, without_own)])

    def scores_and_maps(self, X: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], Array]:
        """Those of :meth:`score_samples` and :meth:`energy_map`, in one pass over the pictures."""
        found = [(self._scores_by(own), self._maps_by(own)) for _, own in self._energies(X)]
        scores, maps = zip(*found, strict=True)
        return np.concatenate(scores), np.concatenate(maps)

    def _scores_by(self, energies: Array) -> npt.NDArray[np.float64]:
        """Scores (n,) from energies of positions."""
        gaussian = self.gaussians.gaussian
        settled_ones = settled(energies if self.usual is None else self.usual(energies), gaussian.smooth)
        return -picture_energies(settled_ones, gaussian.top)

    def _maps_by(self, energies: Array) -> Array:
        """Maps (n, height, width) from energies of positions."""
        gaussian = self.gaussians.gaussian
        own = shown(energies, gaussian.smooth, gaussian.sharpen)
        return at_pixels(own, self.extractor.stride, *self.picture_shape[:2])

    def _trained_on(self, pictures: npt.NDArray[Any]) -> bool:
        """Whether pictures are all those of the fit; of models that keep their sums in whatever order."""
        if self.sums is None:
            return super()._trained_on(pictures)
        return len(pictures) == self.n_images and digest_of(digests_of(pictures)) == self.sums.digest

    def save(self, path: Any) -> None:
        """Write a model file (.cbn) that :func:`cbn.load` reads; complete or not at all.

        Raises
        ------
        CbnError
            The file cannot be written; an earlier file of that name is then unchanged.
        """
        writing.save(self, path)
