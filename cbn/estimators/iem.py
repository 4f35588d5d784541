# SPDX-License-Identifier: BSD-3-Clause
"""The estimator: an introspective energy model (thesis section 4)."""

from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from ..iem.judging import JudgingMixin
from ..iem.learning import LearningMixin
from .calibration import CalibrationMixin


class IntrospectiveEnergyModel(LearningMixin, JudgingMixin, CalibrationMixin, OutlierMixin, BaseEstimator):
    """Outlier detector for pictures: every region is predicted from its surroundings, on several levels of features.

    Convolution kernels make levels of activations above the image. At every level small networks, the sidewards models,
    predict each node from the nodes around it (thesis eq. 10). Where the prediction is further off than it was for
    normal pictures is the outlier. Kernels and sidewards models are trained level by level on normal pictures alone
    (Algorithm 3).

    Parameters
    ----------
    architecture : cbn.iem.nn.architecture.Architecture, optional
        Levels, their kernels, distances of neighbours, sizes of the sidewards models; ``TABLE_4`` by default.
    backbone : {"alexnet", "caffe_alexnet", "squeezenet1_1"} or cbn.iem.pretrained.backbone.Backbone, optional
        A pretrained network in place of an architecture: its kernels stay as they are, only sidewards models are
        trained (section 5).
    backbone_weights : path, optional
        File with the weights of a backbone that is named: .npz, .safetensors, .pth; see :mod:`cbn.iem.pretrained.weights`.
    sharing : {"a", "b", "c", "d", "e", "f"}
        What the sidewards models of different nodes share (Figure 15); see :mod:`cbn.iem.nn.sidewards`. "b" has last
        layers of its own at every position, "a" has not and 1/40 of the parameters; "d" shares nothing and is slow.
    optimizer : {"adam", "sgd"}
        SGD is along mean squared errors; see :class:`cbn.iem.nn.optimizers.SGD`.
    learning_rate : float
    batch_size : int
        Pictures of a training step.
    epochs : int or sequence of int, optional
        Passes over the training pictures, for all levels or one number for each; by default as many as make 400
        steps, or up to 800 for pictures that are smaller than 300 x 300.
    energy : {"pooled", "relative", "sum"}
        "pooled": squared normalized errors, mean over the kernels of a position and 3 x 3 positions, the largest of a
        level; levels are added after bringing the fourth root of each to mean 0 and deviation 1 over normal pictures.
        "relative": the same in units of the picture's own typical error, as far as those of normal pictures reach.
        "sum": the sum of all normalized errors' magnitudes as in the thesis (eq. 14 to 16), for which ``floor`` should
        be 0.
    level_weights : sequence of float, optional
        Weight of every level in the energy and the map (w_l of eq. 16). By default 1 each, but with a backbone 0 for
        the image itself, unless ``energy`` is "sum".
    floor : float
        The deviation of a node's error counts as at least this share of the mean over its kernel's nodes: nodes that
        hardly ever change would raise an alarm at the slightest noise.
    held_out : float in [0, 0.5], optional
        Share of the pictures that is not trained on, and from which errors' means and deviations and the threshold
        come. By default a fifth, or as many as an alarm at ``false_alarm_rate`` needs, at most a third; none of fewer
        than four pictures. 0: all pictures serve for both; models of few pictures then raise more false alarms than asked for.
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
        Scores of normal pictures in increasing order, where they come from ("training images", "held-out images" or
        "separate images"), and the threshold of :meth:`decision_function`.
    backbone_ : cbn.iem.pretrained.backbone.Backbone or None
        The pretrained network that was used.
    picture_shape_ : (height, width, channels)
    n_images_ : int
    provenance_ : dict
        Free-form record kept in the model file; ``data_sha256`` is the hash of the training pictures.

    Examples
    --------
    >>> import numpy as np, cbn
    >>> from cbn.iem import TABLE_4, Architecture
    >>> pictures = np.random.default_rng(0).integers(0, 256, (12, 24, 24), dtype=np.uint8)
    >>> model = cbn.IntrospectiveEnergyModel(Architecture(TABLE_4.levels[:2]), epochs=1, false_alarm_rate=0.2).fit(pictures)
    >>> model.score_samples(pictures).shape, model.energy_map(pictures[:2]).shape
    ((12,), (2, 24, 24))
    """

    def __init__(
        self,
        architecture=None,
        *,
        backbone=None,
        backbone_weights=None,
        sharing="b",
        optimizer="adam",
        learning_rate=0.001,
        batch_size=8,
        epochs=None,
        energy="relative",
        level_weights=None,
        floor=0.25,
        held_out=None,
        brightness=None,
        false_alarm_rate=0.01,
        n_jobs=None,
        random_state=None,
    ):
        self.architecture = architecture
        self.backbone = backbone
        self.backbone_weights = backbone_weights
        self.sharing = sharing
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs
        self.energy = energy
        self.level_weights = level_weights
        self.floor = floor
        self.held_out = held_out
        self.brightness = brightness
        self.false_alarm_rate = false_alarm_rate
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def save(self, path):
        """Write a model file (.cbn) that :func:`cbn.load` reads; complete or not at all."""
        from ..iem.files.modelfile import save

        check_is_fitted(self, "calibration_scores_")
        save(self, path)
