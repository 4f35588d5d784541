# SPDX-License-Identifier: BSD-3-Clause
"""The method of the estimator that learns: training, then the errors and energies of normal pictures."""

import hashlib
import math
import os
from dataclasses import asdict
from numbers import Integral

import numpy as np

from .. import _validation as validation
from .._version import __version__
from ..exceptions import DataError, ModelFileError
from ..io.checkpoint import fingerprint
from .energy import ErrorStatistics, combined, level_scales
from .files.checkpoint import load_checkpoint, save_checkpoint
from .nn.network import Network, batches
from .settings import backbone_of, resolve, split
from .training.levelwise import LevelwiseTraining, TrainingOptions

HELD_OUT = 2**16  # purpose of the random numbers that choose the held-out pictures; levels have those below


class LearningMixin:
    """Training for an estimator that has the constructor arguments of settings.resolve."""

    def fit(self, X, y=None, *, progress=None, checkpoint=None, resume=False):
        """Learn from normal pictures, and take the threshold from them.

        Parameters
        ----------
        X : array-like, (n, height, width) or (n, height, width, channels)
            bool, integers 0..255, or floats in [0, 1]; grey, or 1 or 3 channels. Before level 0 reads them, pictures
            are scaled to [0, 1] and ``brightness`` is taken out; levels standardize what they read by the mean and
            deviation of every channel over all training pictures.
        y : ignored
        progress : callable, optional
            Called with a :class:`cbn.iem.training.levelwise.TrainingState` after every epoch.
        checkpoint : path, optional
            File to write after every epoch. It is still there when fit returns: delete it once the model is saved.
        resume : bool
            Go on from ``checkpoint`` if it is there; the result has the same bytes as that of an uninterrupted fit.

        Returns
        -------
        self

        Raises
        ------
        DataError
            Pictures that cannot be used: shape, type, range, NaN, fewer than two.
        DataError
            Weights of a backbone that cannot be used.
        ModelFileError
            A checkpoint of other pictures, arguments or seed, or a damaged one.
        ValueError
            A constructor argument outside its range, or a level that does not fit the pictures.
        KeyboardInterrupt
            The model is fitted with what the last complete epoch left, unless the first one was not complete.
        """
        backbone = backbone_of(self)
        settings = resolve(self, backbone)
        pictures = validation.as_pictures(X)
        if hasattr(y, "__len__") and len(y) != len(pictures):
            raise DataError(f"y: {len(y)} labels for {len(pictures)} pictures")
        if len(pictures) < 2:
            raise DataError("X: 1 picture; the spread of errors needs at least 2")
        settings = settings.for_pictures(len(pictures), pictures.shape[1:])
        shapes = settings.level_shapes(pictures.shape[1:])
        threads = validation.check_threads(self.n_jobs)
        digest = hashlib.sha256(pictures).hexdigest()
        kernels = None if backbone is None else backbone.parameters
        mark = self._marker(settings, pictures, digest, kernels)
        state, seed = self._first_state(settings, shapes, mark, checkpoint if resume else None, kernels is not None)
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, HELD_OUT])))
        trained_on, measured_on = split(len(pictures), settings.n_held_out, rng)
        options = TrainingOptions(
            settings.sharing, settings.optimizer, settings.learning_rate, settings.batch_size, settings.epochs, seed
        )
        training = LevelwiseTraining(
            settings.architecture, pictures, settings.prepare, trained_on, options, kernels, threads
        )  # fmt: skip
        interrupted = False
        try:
            for state in training.run(state):
                if checkpoint is not None:
                    save_checkpoint(checkpoint, state, seed, mark(seed))
                if progress is not None:
                    progress(state)
        except KeyboardInterrupt:
            if state is None:
                raise
            interrupted = True
        del training
        network = Network(state.levels, frozen=backbone is not None)
        self.picture_shape_, self.backbone_ = pictures.shape[1:], backbone
        source = "training images" if measured_on is trained_on else "held-out images"
        self._measure(settings, network, pictures, measured_on, source, threads)
        self.n_images_ = len(pictures)
        self.provenance_ = {"data_sha256": digest}
        if interrupted:
            raise KeyboardInterrupt
        self.threshold_at(self.false_alarm_rate)  # warns of too few pictures
        return self

    @staticmethod
    def _marker(settings, pictures, digest, kernels):
        """From a seed to what a checkpoint belongs to: pictures, and all arguments that training depends on."""
        scoring = ("energy", "level_weights", "floor", "false_alarm_rate", "held_out")  # n_held_out counts
        belongs = {name: value for name, value in asdict(settings).items() if name not in scoring}
        belongs |= {"shape": pictures.shape, "dtype": str(pictures.dtype), "version": __version__}
        frozen = hashlib.sha256()
        for values in (v for level in kernels or () for own in level for v in own.values()):
            frozen.update(np.ascontiguousarray(values))
        return lambda seed: fingerprint(digest, {**belongs, "kernels": frozen.hexdigest(), "seed": seed})

    def _first_state(self, settings, shapes, mark, checkpoint, frozen):
        """(state to go on from or None, seed)."""
        if checkpoint is None or not os.path.exists(checkpoint):
            return None, validation.check_seed(self.random_state)
        state, seed = load_checkpoint(checkpoint, mark, settings, shapes, frozen)
        if isinstance(self.random_state, Integral) and validation.check_seed(self.random_state) != seed:
            raise ModelFileError(
                f"{os.fsdecode(checkpoint)!r}: a checkpoint of random_state {seed}, not {self.random_state}; give the "
                "same one, or delete it to begin anew"
            )
        return state, seed

    def _measure(self, settings, network, pictures, indices, source, threads):
        """Errors, energies and scores of normal pictures; sets what follows from them."""
        levels = network.levels
        statistics = [ErrorStatistics(level.shape) for level in levels]
        low, high = ([np.full(level.shape[2], sign * np.inf, np.float32) for level in levels] for sign in (1, -1))
        for batch in batches(indices, self.picture_shape_):
            passes = network.passes(settings.prepare(pictures[batch]), threads)
            for number, (activations, errors) in enumerate(passes):
                statistics[number].add(errors)
                np.minimum(low[number], activations.min(axis=(0, 1, 2)), out=low[number])
                np.maximum(high[number], activations.max(axis=(0, 1, 2)), out=high[number])
        scales = tuple(own.scale(settings.floor) for own in statistics)
        energies = np.empty((len(indices), len(levels)))
        done, largest = 0, [0.0] * len(levels)
        for batch in batches(indices, self.picture_shape_):
            passes = network.passes(settings.prepare(pictures[batch]), threads)
            for number, (_, errors) in enumerate(passes):
                own, typical = scales[number].energies_without(errors, settings.energy)
                energies[done : done + len(batch), number] = own
                largest[number] = max(largest[number], float(typical.max()))
            done += len(batch)
        for scale, value in zip(scales, largest):
            scale.largest_typical = value
        constant = [float(np.mean(a == b)) if number else 0.0 for number, (a, b) in enumerate(zip(low, high))]
        self.dead_kernels_ = np.array(constant)
        self._set_network(network, scales, level_scales(energies, settings.energy))
        weights = settings.weights(len(levels))
        self._set_calibration(-combined(energies, self.level_scales_, weights, settings.energy), source)

    def _set_network(self, network, node_scales, scales):
        self._network = network
        self.levels_, self.node_scales_, self.level_scales_ = tuple(network.levels), node_scales, scales
        self.n_features_in_ = math.prod(self.picture_shape_)
