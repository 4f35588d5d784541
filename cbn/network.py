# SPDX-License-Identifier: BSD-3-Clause
"""The estimator: a Bayesian network over the pixels of images."""

import hashlib
import warnings

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from . import _validation as validation
from . import scoring
from .architecture import check_table_size, pixel_layer
from .binarization import Binarization, check_thresholds
from .drawing import DrawingMixin
from .exceptions import CalibrationWarning, DataError

# A preset is a name for constructor arguments: what an argument left at None becomes.
PRESETS = {
    # thesis section 3.1: parents north-west, north, north-east and west, own table at every pixel
    "pixel": {
        "offsets": ((-1, -1), (-1, 0), (-1, 1), (0, -1)),
        "threshold": 0.3,
        "pseudocount": 1.0,
        "score": "log_probability",
    },
}

# Heat maps reach from 0 to the surprise that this share of the pixels of the training images stays below.
HEAT_MAP_SHARE = 0.999


class ConvolutionalBayesianNetwork(DrawingMixin, OutlierMixin, BaseEstimator):
    """Bayesian network of binarized images with tied parents and a full probability table at every pixel.

    The probability of an image is the product over its pixels of p(pixel | parents), parents being earlier pixels in
    raster order, so it is normalized over the binarized images (thesis section 3.1, eq. 1 and 2). Images that are
    unlikely, or that surprise more than their pixels' entropy explains, are outliers.

    Parameters
    ----------
    preset : {"pixel"}
        Names the values of arguments that are left at None. "pixel" has offsets NW, N, NE and W, threshold 0.3,
        pseudo-count 1 and score "log_probability".
    offsets : sequence of (dy, dx), optional
        Where a pixel's parents are: rows above (dy < 0) or left in the same row (dy = 0, dx < 0); at most 16.
        Tables have 2^parents rows at every pixel.
    threshold : float or increasing sequence of floats in [0, 1), optional
        A pixel is 1 where its value exceeds threshold x full scale. Several thresholds keep grey levels as a
        thermometer code, one channel each; the lower one at the same pixel is then a parent of the higher one.
    pseudocount : float, optional
        Added to every count before probabilities are made (thesis eq. 2).
    score : {"log_probability", "surprise", "standardized", "normalized"}, optional
        What :meth:`score_samples` returns; see there.
    false_alarm_rate : float in (0, 1)
        Share of normal images that :meth:`predict` may call outliers.
    image_shape : (height, width), optional
        How to read flat images (n, height * width) that are not square.
    full_scale : {None, 1, 255}
        What integer images hold where a pixel is white. None: 1 if the training images hold only 0 and 1, else 255.
    n_jobs : int, optional
        Threads; None is all cores. Results do not depend on it.
    random_state : int, NumPy generator or None
        Seed of :meth:`sample` and :meth:`inpaint` when they are given none.

    Attributes
    ----------
    counts_ : ndarray, (rows, 2) int64
        Images by table row and state; all that is learned is a function of them.
    n_images_ : int
    image_shape_ : (height, width)
    layer_ : cbn.architecture.Layer
    binarizer_ : cbn.binarization.Binarization
        Thresholds and full scale.
    binarization_ : str
        The rule that made bits of grey values; a likelihood means nothing without it.
    score_ : str
        The score of :meth:`score_samples`.
    calibration_scores_ : ndarray
        Scores of normal images in increasing order, from which p-values and the threshold come.
    calibration_ : {"leave-one-out", "separate images"}
        Where they come from; see :meth:`p_values` for what each guarantees.
    offset_ : float
        Threshold of :meth:`decision_function`; -inf when there are too few calibration images for the rate.
    provenance_ : dict
        Free-form record kept in the model file; ``data_sha256`` is the hash of the binarized training images.

    Examples
    --------
    >>> import cbn
    >>> train, test = cbn.datasets.load_mnist()
    >>> model = cbn.ConvolutionalBayesianNetwork().fit(train.select(2).images)
    >>> model.score_samples(test.images).shape
    (10000,)
    """

    def __init__(
        self,
        preset="pixel",
        *,
        offsets=None,
        threshold=None,
        pseudocount=None,
        score=None,
        false_alarm_rate=0.01,
        image_shape=None,
        full_scale=None,
        n_jobs=None,
        random_state=None,
    ):
        self.preset = preset
        self.offsets = offsets
        self.threshold = threshold
        self.pseudocount = pseudocount
        self.score = score
        self.false_alarm_rate = false_alarm_rate
        self.image_shape = image_shape
        self.full_scale = full_scale
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    # ---- training ----

    def fit(self, X, y=None):
        """Learn from normal images, and calibrate the threshold on their leave-one-out scores.

        Parameters
        ----------
        X : array-like, (n, height, width) or flat (n, height * width)
            bool, integers 0..255, or floats in [0, 1]; flat images are square unless ``image_shape`` says otherwise.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        DataError
            Images that cannot be used: shape, type, range, NaN.
        ValueError
            A constructor argument outside its range.
        """
        setting = self._resolved()
        images = validation.as_images(X, image_shape=self.image_shape)
        full_scale = validation.full_scale_of(images) if self.full_scale is None else int(self.full_scale)
        if self.full_scale == 1:
            validation.check_full_scale(images, full_scale)
        thresholds = check_thresholds(setting["threshold"], full_scale)
        binarization = Binarization(thresholds, full_scale)
        layer = pixel_layer(*images.shape[1:], setting["offsets"], binarization.channels)
        check_table_size(layer, "offsets")
        return self._learn(images, y, setting, binarization, layer, None)

    def partial_fit(self, X, y=None):
        """Add images to what was learned; ``fit(A).partial_fit(B)`` has exactly the counts of ``fit(A and B)``.

        The threshold is calibrated again, on the leave-one-out scores of the images of this call under all counts.
        The first call is the same as :meth:`fit`; parameters and errors are those of :meth:`fit`.
        """
        if not hasattr(self, "counts_"):
            return self.fit(X, y)
        setting = self._resolved()
        images = self._images(X)
        return self._learn(images, y, setting, self.binarizer_, self.layer_, self.counts_)

    def _learn(self, images, y, setting, binarization, layer, earlier_counts):
        """Counts the images on top of earlier counts (or None), and sets every learned attribute."""
        if hasattr(y, "__len__") and len(y) != len(images):
            raise DataError(f"y: {len(y)} labels for {len(images)} images")
        threads = validation.check_threads(self.n_jobs)
        planes = binarization.planes(images, threads)
        network = scoring.CountedNetwork.from_planes(layer, planes, len(images), setting["pseudocount"], threads)
        digest = hashlib.sha256(planes)
        n_images = len(images)
        if earlier_counts is not None:
            network.add(earlier_counts)
            n_images += self.n_images_
            digest.update(self.provenance_.get("data_sha256", "").encode())
        loo_scores = network.score(planes, len(images), setting["score"], threads, leave_one_out=True)
        self._set_network(network, binarization, layer, n_images, setting["score"])
        self.binarization_ = binarization.describe()
        self.provenance_ = {"data_sha256": digest.hexdigest()}
        self._set_calibration(loo_scores, "leave-one-out")
        self.threshold_at(self.false_alarm_rate)  # warns of too few images
        return self

    def _set_network(self, network, binarization, layer, n_images, score):
        self._network, self.binarizer_, self.score_ = network, binarization, score
        self.layer_, self.counts_, self.n_images_ = layer, network.counts, n_images
        self.image_shape_ = (layer.height, layer.width)
        self.n_features_in_ = layer.n_positions

    def calibrate(self, X):
        """Take the threshold from normal images that had no part in training: p-values are then exactly valid.

        Returns
        -------
        self
        """
        images = self._images(X)
        self._set_calibration(self._scores(images, self.score_), "separate images")
        self.threshold_at(self.false_alarm_rate)  # warns of too few images
        return self

    def _set_calibration(self, scores, source):
        self.calibration_scores_ = np.sort(scores)
        self.calibration_ = source
        self.offset_ = scoring.alarm_threshold(self.calibration_scores_, self.false_alarm_rate)

    def check_arguments(self):
        """Raises ValueError for a constructor argument outside its range, as :meth:`fit` would."""
        check_thresholds(self._resolved()["threshold"], self.full_scale or 255)

    def _resolved(self):
        """The constructor arguments checked, those at None taken from the preset."""
        preset = PRESETS[validation.check_choice(self.preset, "preset", PRESETS)]
        chosen = {name: getattr(self, name) if getattr(self, name) is not None else preset[name] for name in preset}
        chosen["offsets"] = validation.check_offsets(chosen["offsets"])
        chosen["pseudocount"] = validation.check_real(chosen["pseudocount"], "pseudocount", 1e-9, 1e9)
        validation.check_choice(chosen["score"], "score", scoring.SCORES)
        validation.check_real(self.false_alarm_rate, "false_alarm_rate", 0, 1, open_ends=True)
        validation.check_threads(self.n_jobs)
        if isinstance(self.full_scale, bool | np.ndarray) or self.full_scale not in (None, 1, 255):
            raise ValueError(f"full_scale: {self.full_scale!r}; give 1, 255 or None")
        if self.image_shape is not None:
            validation.check_shape(self.image_shape)
        return chosen

    # ---- scores ----

    def _images(self, X, name="X"):
        check_is_fitted(self, "counts_")
        images = validation.as_images(X, name=name, image_shape=self.image_shape_)
        validation.check_full_scale(images, self.binarizer_.full_scale, name)
        return images

    def _scores(self, images, score):
        threads = validation.check_threads(self.n_jobs)
        return self._network.score(self.binarizer_.planes(images, threads), len(images), score, threads)

    def score_samples(self, X, score=None):
        """Score of every image; higher is more normal.

        Parameters
        ----------
        X : array-like, (n, height, width) or flat
        score : str, optional
            One of the scores below; the constructor's (or the preset's) by default.

            - "log_probability": log p(image) in nats (thesis eq. 1), under the rule ``binarization_``.
            - "surprise": minus the sum of (-log p - entropy of the pixel given its parents), nats. Images of few
              strokes are likely under every model; this takes that advantage away.
            - "standardized": minus the surprise divided by the standard deviation that the model expects of it.
            - "normalized": minus the sum of \\|-log p - mean\\| / standard deviation, both of that pixel's -log p over
              the training images, the deviation at least 0.01 nats (thesis eq. 14, 15).

        Returns
        -------
        scores : ndarray, (n,) float64
        """
        images = self._images(X)
        score = self.score_ if score is None else validation.check_choice(score, "score", scoring.SCORES)
        return self._scores(images, score)

    def decision_function(self, X):
        """``score_samples(X) - offset_``: negative for outliers. (n,) float64."""
        return self.score_samples(X) - self.offset_

    def predict(self, X):
        """+1 for normal images, -1 where the conformal p-value is at most the false-alarm rate. (n,) int64."""
        return np.where(self.score_samples(X) < self.offset_, -1, 1)

    def p_values(self, X):
        """Conformal p-values (n,) float64: small for outliers.

        With a separate calibration set (:meth:`calibrate`), a normal image exchangeable with that set has
        P(p <= a) <= a for every a, whatever the data: the false-alarm rate is guaranteed. With the leave-one-out
        scores of the training images (the default) no image is set aside, but the guarantee is only approximate: it
        is close where one image changes the counts little.
        """
        return self.p_values_of(self.score_samples(X))

    def p_values_of(self, scores):
        """Conformal p-values of given scores."""
        check_is_fitted(self, "counts_")
        return scoring.conformal_p_values(scores, self.calibration_scores_)

    def threshold_at(self, false_alarm_rate):
        """The score below which images are outliers at a rate; -inf, with a warning, if too few calibration images."""
        check_is_fitted(self, "counts_")
        rate = validation.check_real(false_alarm_rate, "false_alarm_rate", 0, 1, open_ends=True)
        threshold = scoring.alarm_threshold(self.calibration_scores_, rate)
        if threshold == -np.inf:
            n = len(self.calibration_scores_)
            needed = int(np.ceil(1 / rate)) - 1
            warnings.warn(
                f"{n} calibration images allow no alarm at a false-alarm rate of {rate:g}: at least {needed} are needed, "
                "or a higher rate",
                CalibrationWarning,
                stacklevel=3,
            )
        return threshold

    def surprise_map(self, X):
        """Surprise of every pixel, nats: (n, height, width) float64; each map sums to the image's surprise.

        0 is what the model expects of the pixel; large values are where the image is an outlier. Several thresholds
        are summed into their pixel.
        """
        images = self._images(X)
        threads = validation.check_threads(self.n_jobs)
        maps = self._network.surprise_maps(self.binarizer_.planes(images, threads), len(images), threads)
        return maps.reshape(len(images), self.layer_.channels, *self.image_shape_).sum(axis=1)

    def heat_map_scale(self):
        """Upper end of the heat-map scale, nats: 99.9 % of all node surprises in training lie below. One per model."""
        check_is_fitted(self, "counts_")
        quantile = self._network.surprise_quantile(HEAT_MAP_SHARE, validation.check_threads(self.n_jobs))
        return max(quantile, 0.01)

    def node_statistics(self):
        """What training saw at every node: share of ones, and mean -log p in nats; both (channels, height, width)."""
        check_is_fitted(self, "counts_")
        shape = self.layer_.channels, *self.image_shape_
        ones, nats = self._network.node_means(validation.check_threads(self.n_jobs))
        return ones.reshape(shape), nats.reshape(shape)

    def binarized_pictures(self, X):
        """The images as the model sees them: (n, height, width) uint8, values as :meth:`sample` returns them."""
        images = self._images(X)
        states = self.binarizer_.states(images, validation.check_threads(self.n_jobs))
        return self.binarizer_.pictures(states, self.image_shape_)

    def bic_terms(self):
        """(log-likelihood at maximum likelihood in nats, number of free parameters, BIC) of the training images."""
        check_is_fitted(self, "counts_")
        return self._network.bic()

    def bic(self, X=None):
        """Bayesian information criterion of the training images, or of X under the same parents; smaller is better.

        ``n_parameters * ln(n) - 2 log-likelihood`` at maximum likelihood (thesis eq. 3), float.
        """
        if X is None:
            return self.bic_terms()[2]
        images = self._images(X)
        threads = validation.check_threads(self.n_jobs)
        planes = self.binarizer_.planes(images, threads)
        network = scoring.CountedNetwork.from_planes(
            self.layer_, planes, len(images), self._network.pseudocount, threads
        )
        return network.bic()[2]

    # ---- files ----

    def save(self, path):
        """Write a model file (.cbn) that :func:`cbn.load` reads; complete or not at all."""
        from .modelfile import save

        check_is_fitted(self, "counts_")
        save(self, path)

    def __getstate__(self):
        state = dict(super().__getstate__())
        if "_network" in state:  # tables and the engine's layer are made again from the counts
            state["_network"] = self._network.pseudocount
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "_network" in state:
            self._network = scoring.CountedNetwork(self.layer_, self.counts_, state["_network"])
