# SPDX-License-Identifier: BSD-3-Clause
"""The estimator: an introspective energy model (thesis section 4)."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, Self

import numpy.typing as npt
from sklearn.base import BaseEstimator, OutlierMixin

from .. import _validation as validation
from ..distributed import is_dask
from ..exceptions import DataError
from ..iem import fitting
from ..iem.fitted import FittedEnergyModel
from ..iem.gaussian import fitting as gaussian_fitting
from ..iem.gaussian import further
from ..iem.gaussian.fitted import FittedGaussianModel
from ..iem.gaussian.parameters import Gaussian
from ..iem.nn.architecture import Architecture
from ..iem.parameters import Arguments, Training, sidewards_of
from ..iem.pretrained.backbone import Backbone
from ..iem.pretrained.embedded import EmbeddedBackbone
from ._delegation import delegated, fitted_of, learned


class IntrospectiveEnergyModel(OutlierMixin, BaseEstimator):
    """Outlier detector for pictures: where features of a region are unlike what normal pictures have there.

    Features are those of levels of convolution kernels above the picture; *sidewards models* say what is usual at every
    position. By default they are Gaussian: a mean and a covariance of whitened features at every position, in closed form
    (PaDiM: Defard, Setkov, Loesch & Audigier 2021; with a covariance shrunk to the one of all positions), on the features
    of a network that was trained on ImageNet and comes with the package. Neural ones are those of the thesis: small
    networks that predict each node from the nodes around it (eq. 10), trained level by level on normal pictures alone
    (Algorithm 3), on kernels that are learned as well or come from a file.

    Arguments are those of the next ``fit``: setting them changes nothing of a fitted model but its threads.

    Parameters
    ----------
    architecture : cbn.iem.Architecture, optional
        Neural: levels, their kernels, distances of neighbours, sizes of the sidewards models; ``TABLE_4`` by default.
    sidewards : {"gaussian", "neural"}, optional
        The kind of sidewards models. By default "neural" where one of their arguments is given (architecture, another
        backbone, sharing, training, energy, level_weights, floor, held_out), else "gaussian".
    gaussian : cbn.iem.Gaussian, optional
        Directions, shrinkage and the like of Gaussian models; ``Gaussian()`` by default. Its fields can be set and searched
        over by names such as ``gaussian__directions``.
    backbone : str, Backbone or EmbeddedBackbone, optional
        One of "efficientnet_lite0", "none", "alexnet", "caffe_alexnet" and "squeezenet1_1", or an object.
        A pretrained network: its kernels stay as they are, only sidewards models are fitted (section 5). Gaussian models
        have "efficientnet_lite0", which comes with the package, or with "none" filters that are principal components of
        patches of the training pictures; neural ones learn kernels by default and with "none", or take any other. For
        "efficientnet_lite0" and "none" alone, ``sidewards`` says which; neural models on the former have one level, of
        whitened features, see :mod:`cbn.iem.pretrained.embedded`.
    backbone_weights : path, optional
        File with the weights of a backbone that is named: .npz, .safetensors, .pth; see :mod:`cbn.iem.pretrained.weights`.
    sharing : {"a", "b", "c", "d", "e", "f"}
        Neural: what the sidewards models of different nodes share (Figure 15); see :mod:`cbn.iem.nn.sidewards`. "b" has last
        layers of its own at every position, "a" has not and 1/40 of the parameters; "d" shares nothing and is slow.
    training : cbn.iem.Training, optional
        Neural: optimizer, learning rate, batch size and epochs; ``Training()`` by default. Its fields can be set and searched
        over by names such as ``training__epochs``, also where there is none yet.
    energy : {"pooled", "relative", "pattern", "sum"}
        Neural: "pooled": squared normalized errors, mean over the kernels of a position and 3 x 3 positions, the largest of a
        level; levels are added after bringing the fourth root of each to mean 0 and deviation 1 over normal pictures.
        "relative": the same in units of the picture's own typical error, as far as those of normal pictures reach.
        "pattern": which kernels err how much around a position, and which do usually; also finds what is smoother than the
        rest, and defects of textures that are not aligned; see :mod:`cbn.iem.patterns`.
        "sum": the sum of all normalized errors' magnitudes as in the thesis (eq. 14 to 16), for which ``floor`` should
        be 0.
    level_weights : sequence of float, optional
        Neural: weight of every level in the energy and the map (w_l of eq. 16). By default 1 each, but with a backbone 0 for
        the image itself, unless ``energy`` is "sum".
    floor : float
        Neural: the deviation of a node's error counts as at least this share of the mean over its kernel's nodes: nodes that
        hardly ever change would raise an alarm at the slightest noise.
    held_out : float in [0, 0.5], optional
        Neural: share of the pictures that is not trained on, and from which errors' means and deviations and the threshold
        come. By default a fifth, or as many as an alarm at ``false_alarm_rate`` needs, at most a third; none of fewer
        than four pictures. 0: all pictures serve for both; models of few pictures then raise more false alarms than
        asked for.
    brightness : {None, "median"}
        "median" divides every picture by its own median and subtracts 1 (for a backbone: brings the median to 0.5), so
        that its brightness as a whole says nothing.
    false_alarm_rate : float in (0, 1)
        Share of normal pictures that :meth:`predict` may call outliers.
    n_jobs : int, optional
        Threads; None is all cores. Results do not depend on it.
    random_state : int, NumPy generator or None
        Seed of kernels, sidewards models and the order of pictures.

    Attributes
    ----------
    fitted_ : cbn.iem.FittedGaussianModel or cbn.iem.FittedEnergyModel
        What was learned; the attributes below are parts of it. Levels, scales and dead kernels are of neural models.
    levels_ : tuple of cbn.iem.nn.network.LevelModel
        Kernels, sidewards models and learning curve of every level, the image itself first.
    node_scales_ : tuple of cbn.iem.energy.NodeScale
        Mean and deviation of every node's error over normal pictures.
    level_scales_ : ndarray, (levels, 2)
        Mean and deviation over normal pictures of the fourth root of every level's energy; 0 and 1 for "sum".
    dead_kernels_ : ndarray, (levels,) float64
        Share of the kernels of each level whose activations are constant over the pictures that errors are measured on
        (those held out, if any); 0 for the image itself.
    calibration_scores_, calibration_, offset_
        Scores of normal pictures in increasing order, where they come from ("training images", "held-out images",
        "separate images", or of Gaussian models "leave-one-out"), and the threshold of :meth:`decision_function`.
    backbone_ : cbn.iem.pretrained.backbone.Backbone, cbn.iem.pretrained.embedded.EmbeddedBackbone or None
        The pretrained network that was used.
    picture_shape_ : (height, width, channels)
    n_images_ : int
    n_features_in_ : int
    provenance_ : dict
        Free-form record kept in the model file; ``data_sha256`` is the hash of the training pictures, and of models that
        keep their sums ``pictures_digest``, which knows no order of them.

    Examples
    --------
    >>> import numpy as np, cbn
    >>> from cbn.iem import TABLE_4, Architecture, Training
    >>> pictures = np.random.default_rng(0).integers(0, 256, (12, 24, 24), dtype=np.uint8)
    >>> small = Architecture(TABLE_4.levels[:2])
    >>> model = cbn.IntrospectiveEnergyModel(small, training=Training(epochs=1), false_alarm_rate=0.2).fit(pictures)
    >>> model.score_samples(pictures).shape, model.energy_map(pictures[:2]).shape
    ((12,), (2, 24, 24))
    >>> cbn.IntrospectiveEnergyModel(false_alarm_rate=0.2).fit(pictures).calibration_
    'leave-one-out'
    """

    fitted_: FittedEnergyModel | FittedGaussianModel

    def __init__(
        self,
        architecture: Architecture | None = None,
        *,
        sidewards: str | None = None,
        gaussian: Gaussian | None = None,
        backbone: Backbone | EmbeddedBackbone | str | None = None,
        backbone_weights: Any = None,
        sharing: str = "b",
        training: Training | None = None,
        energy: str = "relative",
        level_weights: float | Sequence[float] | None = None,
        floor: float = 0.25,
        held_out: float | None = None,
        brightness: str | None = None,
        false_alarm_rate: float = 0.05,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.architecture = architecture
        self.sidewards = sidewards
        self.gaussian = gaussian
        self.backbone = backbone
        self.backbone_weights = backbone_weights
        self.sharing = sharing
        self.training = training
        self.energy = energy
        self.level_weights = level_weights
        self.floor = floor
        self.held_out = held_out
        self.brightness = brightness
        self.false_alarm_rate = false_alarm_rate
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def set_params(self, **params: Any) -> Self:
        """Sets arguments of the next fit, ``training__epochs`` and the like among them.

        Where there is no ``training`` or ``gaussian`` yet, naming one of its fields begins with the defaults of the others.
        """
        for own, kind in (("training", Training), ("gaussian", Gaussian)):
            if params.get(own, getattr(self, own)) is None and any(name.startswith(f"{own}__") for name in params):
                params = {**params, own: kind()}
        return super().set_params(**params)

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        progress: Callable[..., object] | None = None,
        checkpoint: Any = None,
        resume: bool = False,
    ) -> Self:
        """Learn from normal pictures, and take the threshold from them.

        Parameters
        ----------
        X
            See :func:`cbn.iem.fitting.fit`.
        progress, checkpoint, resume
            As there for neural sidewards models; for Gaussian ones progress as for
            :func:`cbn.iem.gaussian.fitting.fit`, and no checkpoint.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        DataError, ModelFileError, ValueError
            See :func:`cbn.iem.fitting.fit`.
        KeyboardInterrupt
            The model is fitted with what the last complete epoch left, unless the first one was not complete.
        """
        if hasattr(y, "__len__"):
            X = X if is_dask(X) else validation.as_array(X, "X")
            if X.ndim and len(y) != len(X):
                raise DataError(f"y: {len(y)} labels for {len(X)} pictures")
        arguments = Arguments(**{own.name: getattr(self, own.name) for own in fields(Arguments)})
        fitted: FittedEnergyModel | FittedGaussianModel
        if sidewards_of(arguments) == "gaussian":
            if checkpoint is not None:
                raise ValueError(
                    "checkpoint: Gaussian sidewards models are fitted in seconds and keep none; leave it out"
                )
            fitted = gaussian_fitting.fit(X, arguments, n_jobs=self.n_jobs, progress=progress)
            self.fitted_ = fitted
            return self
        try:
            fitted = fitting.fit(
                X, arguments, n_jobs=self.n_jobs, progress=progress, checkpoint=checkpoint, resume=resume
            )
        except fitting.Interrupted as stop:
            self.fitted_ = stop.fitted
            raise KeyboardInterrupt from None
        self.fitted_ = fitted
        return self

    @property
    def partial_fit(self) -> Callable[..., Self]:
        """Learn from more normal pictures (X; y is ignored). The model is the one that a fit of all together would give.

        With Gaussian sidewards models that keep their sums, ``gaussian=Gaussian(keep_sums=True)``, and without a checkpoint;
        others have no such method (AttributeError). The first call fits. Batches, their order and threads make no
        difference to a byte. The threshold comes from at most 128 of all pictures, each scored by the model without it.
        Raises DataError for pictures that cannot be used. Returns the estimator.
        """
        if not (isinstance(self.gaussian, Gaussian) and self.gaussian.keep_sums):
            raise AttributeError(
                "partial_fit: the model keeps no sums; give gaussian=Gaussian(keep_sums=True) to its fit"
            )
        return self._fit_further

    def _fit_further(self, X: Any, y: Any = None) -> Self:
        if not hasattr(self, "fitted_"):
            return self.fit(X, y)
        self.fitted_ = further.with_more(self._of_gaussians("partial_fit"), X)
        return self

    def merge(self, other: "IntrospectiveEnergyModel") -> Self:
        """Learn what another model has learned, both with ``gaussian=Gaussian(keep_sums=True)`` and the same settings.

        Returns
        -------
        self
            The model that a fit of the pictures of both together would give, to the last byte.

        Raises
        ------
        ValueError
            Models that keep no sums, or differ in a setting.
        """
        if not isinstance(other, IntrospectiveEnergyModel):
            raise ValueError(f"merge: {other!r:.60}; give another IntrospectiveEnergyModel")
        self.fitted_ = further.merged(self._of_gaussians("merge"), [other._of_gaussians("merge")])
        return self

    def _of_gaussians(self, what: str) -> FittedGaussianModel:
        fitted = fitted_of(self)
        if not isinstance(fitted, FittedGaussianModel):
            raise ValueError(f"{what}: neural sidewards models keep no sums; fit Gaussian ones, with keep_sums=True")
        return replace(fitted, n_jobs=self.n_jobs)

    @classmethod
    def _of(cls, fitted: FittedEnergyModel | FittedGaussianModel) -> Self:
        """The estimator of a fitted model, as :func:`cbn.load` returns it."""
        arguments = fitted.arguments.kept()  # the model's own stay as they are, whatever happens to these
        model = cls(**{own.name: getattr(arguments, own.name) for own in fields(arguments)}, n_jobs=fitted.n_jobs)
        model.fitted_ = fitted
        return model

    score_samples = delegated(FittedEnergyModel.score_samples)
    level_energies = delegated(FittedEnergyModel.level_energies)
    energy_map = delegated(FittedEnergyModel.energy_map)
    judged_scores = delegated(FittedEnergyModel.judged_scores)
    verdicts = delegated(FittedEnergyModel.verdicts)
    discoveries = delegated(FittedEnergyModel.discoveries)
    decision_function = delegated(FittedEnergyModel.decision_function)
    predict = delegated(FittedEnergyModel.predict)
    p_values = delegated(FittedEnergyModel.p_values)
    p_values_of = delegated(FittedEnergyModel.p_values_of)
    threshold_at = delegated(FittedEnergyModel.threshold_at)
    save = delegated(FittedEnergyModel.save)

    def calibrate(self, X: npt.ArrayLike) -> Self:
        """Take the threshold from normal pictures that had no part in training: p-values are then exactly valid.

        Returns
        -------
        self
        """
        self.fitted_ = fitted_of(self).calibrate(X)
        return self

    picture_shape_ = learned(lambda fitted: fitted.picture_shape, "(height, width, channels) of the pictures.")
    backbone_ = learned(lambda fitted: fitted.backbone, "The pretrained network that was used, or None.")
    levels_ = learned(lambda fitted: fitted.levels, "Kernels, sidewards models and learning curve of every level.")
    node_scales_ = learned(lambda fitted: fitted.node_scales, "Mean and deviation of every node's error.")
    level_scales_ = learned(lambda fitted: fitted.level_scales, "Mean and deviation of every level's evened energy.")
    dead_kernels_ = learned(lambda fitted: fitted.dead_kernels, "Share of the kernels of each level that are constant.")
    calibration_scores_ = learned(lambda fitted: fitted.calibration.scores, "Scores of normal pictures, increasing.")
    calibration_ = learned(lambda fitted: fitted.calibration.source, "Where the scores of normal pictures come from.")
    offset_ = learned(lambda fitted: fitted.calibration.offset, "The score below which pictures are outliers.")
    n_images_ = learned(lambda fitted: fitted.n_images, "Pictures of the fit.")
    n_features_in_ = learned(lambda fitted: fitted.n_features, "Values of a picture.")

    def _set_provenance(self, record: dict[str, Any]) -> None:
        self.fitted_ = replace(fitted_of(self), provenance=record)

    provenance_ = learned(lambda fitted: fitted.provenance, "Free-form record kept in the model file.").setter(
        _set_provenance
    )
