# SPDX-License-Identifier: BSD-3-Clause
"""A fitted introspective energy model: scores, maps and decisions for pictures, from what the fit left and nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from ..distributed import is_dask, lazily
from ..metrics.calibration import Calibration
from .decisions import PictureDecisions
from .energy import NodeScale, combined, enlarged, image_energies, in_deviations
from .files import writing
from .nn.arrays import Array, Indices, Shape
from .nn.network import LevelModel, Network, batches
from .parameters import Arguments
from .patterns import PatternScale
from .pretrained.backbone import Backbone
from .pretrained.embedded import EmbeddedBackbone
from .settings import Settings


@dataclass(frozen=True, eq=False, repr=False)
class FittedEnergyModel(PictureDecisions):
    """What :func:`cbn.iem.fitting.fit` learned from normal pictures.

    Attributes
    ----------
    settings : Settings
    picture_shape : (height, width, channels)
    backbone : Backbone, EmbeddedBackbone or None
    network : Network
        Kernels and sidewards models of every level.
    node_scales : tuple of NodeScale
        Mean and deviation of every node's error over normal pictures.
    level_scales : ndarray, (levels, 2)
        Mean and deviation over normal pictures of the fourth root of every level's energy; 0 and 1 for "sum".
    patterns : tuple of PatternScale
        For energy "pattern" what is usual of every level; else none.
    calibration : Calibration
        Scores of normal pictures, and the threshold that follows from them.
    dead_kernels : ndarray, (levels,) float64
        Share of the kernels of each level whose activations are constant over the pictures that errors are measured on.
    n_images : int
        Pictures of the fit.
    provenance : dict
        Free-form record kept in the model file.
    arguments : Arguments
        What the model was fitted with, for the file and for another fit; no method reads them.
    n_jobs : int, optional
        Threads; None is all cores. Results do not depend on it.
    """

    settings: Settings
    picture_shape: Shape
    backbone: Backbone | EmbeddedBackbone | None
    network: Network
    node_scales: tuple[NodeScale, ...]
    level_scales: npt.NDArray[np.float64]
    calibration: Calibration
    dead_kernels: npt.NDArray[np.float64]
    n_images: int
    provenance: dict[str, Any]
    arguments: Arguments
    patterns: tuple[PatternScale, ...] = ()
    n_jobs: int | None = None

    def __repr__(self) -> str:
        height, width, channels = self.picture_shape
        return (
            f"<FittedEnergyModel: {len(self.levels)} levels, {self.n_images} {'grey' if channels == 1 else 'RGB'} "
            f"pictures of {height} x {width}, threshold from {len(self.calibration.scores)} {self.calibration.source}>"
        )

    @property
    def levels(self) -> tuple[LevelModel, ...]:
        """Kernels, sidewards models and learning curve of every level, the image itself first."""
        return tuple(self.network.levels)

    # ---- scores and maps ----

    def _positions(self, X: npt.ArrayLike) -> Iterator[tuple[Indices, Iterator[Array]]]:
        """Yields, batch by batch, indices of pictures and an iterator over the levels' energies of positions."""
        settings, threads = self.settings, validation.check_threads(self.n_jobs)
        pictures = validation.as_pictures(X, picture_shape=self.picture_shape)
        for batch in batches(np.arange(len(pictures)), self.picture_shape):
            passes = self.network.passes(settings.prepare(pictures[batch], threads), threads)
            if self.patterns:
                own = zip(self.patterns, passes, strict=True)
                yield batch, (scale.position_energies(errors, threads) for scale, (_, errors) in own)
                continue
            levels = zip(self.node_scales, passes, strict=True)
            yield batch, (scale.position_energies(errors, settings.energy) for scale, (_, errors) in levels)

    def level_energies(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Energy of every level before they are combined: (n, levels) float64, the image's first.

        "pooled": the largest mean squared normalized error of 3 x 3 positions; "pattern": the largest of a position;
        "sum": eq. 15.
        """
        rows = []
        for _, levels in self._positions(X):
            columns = [image_energies(positions, self.settings.energy) for positions in levels]
            rows.append(np.stack(columns, axis=1))
        return np.concatenate(rows)

    def score_samples(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Minus the energy of every picture (n,) float64; higher is more normal.

        Parameters
        ----------
        X : array-like, (n, height, width) or (n, height, width, channels)
            Pictures of the size that was trained on.
        """
        if is_dask(X):
            return lazily(FittedEnergyModel.score_samples, self, X)
        weights = self.settings.weights(len(self.levels))
        return -combined(self.level_energies(X), self.level_scales, weights, self.settings.energy)

    @property
    def map_blur(self) -> None:
        """None, as how far a node's error reaches differs by level and sharing; maps are drawn as they are."""

    def energy_map(self, X: npt.ArrayLike, level: int | None = None) -> Array:
        """Where pictures are unlike normal ones, at their own size.

        Parameters
        ----------
        X : array-like, (n, height, width) or (n, height, width, channels)
        level : int, optional
            The map of one level, 0 for the image itself; by default the mean over all levels by ``level_weights``.

        Returns
        -------
        ndarray, (n, height, width) float32
            Units are standard deviations of the error over normal pictures, the same for every picture: "pooled" the
            root mean square, about 1 where all is as usual; "relative" the same over the picture's own typical one;
            "pattern" the same of whitened patterns; "sum" the mean magnitude, about 0.8.
        """
        settings, (height, width, _) = self.settings, self.picture_shape
        n_levels = len(self.levels)
        weights = settings.weights(n_levels)
        if level is not None:
            weights = np.eye(n_levels)[validation.check_integer(level, "level", 0, n_levels - 1)]
        weights /= weights.sum()
        centres, maps = settings.centres(), []
        if self.patterns:
            centres = [own.centres(*place) for own, place in zip(self.patterns, centres, strict=False)]
        for batch, levels in self._positions(X):
            total = np.zeros((len(batch), height, width), np.float32)
            for number, positions in enumerate(levels):
                if weights[number] > 0:
                    own = in_deviations(positions, self.levels[number].shape[2], settings.energy)
                    total += np.float32(weights[number]) * enlarged(own, *centres[number], height, width)
            maps.append(total)
        return np.concatenate(maps)

    def scores_and_maps(self, X: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], Array]:
        """Those of :meth:`score_samples` and :meth:`energy_map`."""
        return self.score_samples(X), self.energy_map(X)

    # ---- files ----

    def save(self, path: Any) -> None:
        """Write a model file (.cbn) that :func:`cbn.load` reads; complete or not at all.

        Raises
        ------
        CbnError
            The file cannot be written; an earlier file of that name is then unchanged.
        """
        writing.save(self, path)
