# SPDX-License-Identifier: BSD-3-Clause
"""The methods of the estimator that judge pictures: energies of levels, scores, maps."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import _validation as validation
from .energy import combined, enlarged, image_energies, in_deviations
from .nn.network import batches
from .settings import resolve


class JudgingMixin:
    """Scores and maps for an estimator with fitted levels."""

    def _positions(self, X):
        """Yields, batch by batch, indices of pictures and an iterator over the levels' energies of positions."""
        check_is_fitted(self, "calibration_scores_")
        settings, threads = resolve(self, self.backbone_), validation.check_threads(self.n_jobs)
        pictures = validation.as_pictures(X, picture_shape=self.picture_shape_)
        for batch in batches(np.arange(len(pictures)), self.picture_shape_):
            passes = self._network.passes(settings.prepare(pictures[batch]), threads)
            levels = zip(self.node_scales_, passes)
            yield batch, (scale.position_energies(errors, settings.energy) for scale, (_, errors) in levels)

    def level_energies(self, X):
        """Energy of every level before they are combined: (n, levels) float64, the image's first.

        "pooled": the largest mean squared normalized error of 3 x 3 positions; "sum": eq. 15.
        """
        check_is_fitted(self, "calibration_scores_")
        energy, rows = resolve(self, self.backbone_).energy, []
        for _, levels in self._positions(X):
            columns = [image_energies(positions, energy) for positions in levels]
            rows.append(np.stack(columns, axis=1))
        return np.concatenate(rows)

    def score_samples(self, X):
        """Minus the energy of every picture (n,) float64; higher is more normal.

        Parameters
        ----------
        X : array-like, (n, height, width) or (n, height, width, channels)
            Pictures of the size that was trained on.
        """
        energies = self.level_energies(X)
        settings = resolve(self, self.backbone_)
        return -combined(energies, self.level_scales_, settings.weights(len(self.levels_)), settings.energy)

    def energy_map(self, X, level=None):
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
            "sum" the mean magnitude, about 0.8.
        """
        check_is_fitted(self, "calibration_scores_")
        settings, height, width = resolve(self, self.backbone_), *self.picture_shape_[:2]
        weights = settings.weights(len(self.levels_))
        if level is not None:
            level = validation.check_integer(level, "level", 0, len(self.levels_) - 1)
            weights = np.eye(len(self.levels_))[level]
        weights /= weights.sum()
        maps = []
        for batch, levels in self._positions(X):
            total = np.zeros((len(batch), height, width), np.float32)
            for number, positions in enumerate(levels):
                if weights[number] > 0:
                    own = in_deviations(positions, self.levels_[number].shape[2], settings.energy)
                    first, stride = settings.architecture.centres()[number]
                    total += np.float32(weights[number]) * enlarged(own, first, stride, height, width)
            maps.append(total)
        return np.concatenate(maps)
