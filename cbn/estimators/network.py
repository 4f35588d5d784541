# SPDX-License-Identifier: BSD-3-Clause
"""The estimator: a Bayesian network over the pixels of images."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

from sklearn.base import BaseEstimator, OutlierMixin

from .._params import Parameters
from ..fit.adding import added, check_adds
from ..fit.fitted import Fitted
from ..fit.merging import merged
from ..fit.recipe import FitInterrupted, fit
from ..fit.settings import Arguments, materialized, resolve, snapshot, unknown_argument
from ..layers.contrast import Contrast
from ..layers.features import Features
from ._delegation import delegated, fitted_of, helpful_new, learned


class ConvolutionalBayesianNetwork(OutlierMixin, BaseEstimator):
    """Bayesian network of binarized images: pixels, and layers of convolution features above them.

    The probability of an image is the product over its pixels of p(pixel | parents), parents being earlier pixels in
    raster order, so it is normalized over the binarized images (thesis section 3.1, eq. 1 and 2). Images that are
    unlikely, or that surprise more than their pixels' entropy explains, are outliers.

    Hidden layers (thesis section 3.2) are binary features: convolution of the layer below, max pooling, threshold.
    Their kernels are learned so that features predict each other, and the relations between features are found by BIC.
    They see further than pixels do and find outliers better. They are functions of the pixels, so all layers together
    give an energy, not a normalized probability.

    What is learned is frozen: arguments that are changed after a fit count for the next one. ``n_jobs`` alone is read
    at every call, as no result depends on it.

    Parameters
    ----------
    preset : {"pixel", "hidden", "tree", "boosted", "tied", "best"}
        A recipe: what arguments become that are left at None. "pixel" has tables over the pixels north-west, north,
        north-east and west, threshold 0.3 and score "log_probability"; "hidden" has two hidden layers of five 3 x 3
        kernels with 2 x 2 pooling, and score "surprise". "tree", "boosted" and "tied" are pixels alone with other
        conditional distributions, proper densities all; "best" has trees over pixels, two layers of random features and
        a contrast, threshold "auto" and score "contrast", and is made for finding outliers.
    cpd : cbn.Table, cbn.Tree, cbn.Boosted, cbn.Tied or {"table", "tree", "boosted", "tied"}, optional
        Conditional distributions: a table over all states of the parents, a decision tree over earlier nodes, a log-odds
        that is a sum of small trees, or one that is such a sum of trees that all pixels share. An object replaces the
        preset's as a whole; a word stands for the preset's
        own if that is of its kind, else for the kind's defaults.
    features : cbn.Features, optional
        Hidden layers and how they are learned; replaces the preset's as a whole.
    contrast : cbn.Contrast or bool, optional
        Two networks of tied trees beside the layers, one of the class and one of strokes in general, whose log-ratio
        finds images of another kind; for trees of any kind. True is the preset's own or the defaults, False none.
    threshold : float, increasing sequence of floats in [0, 1), or "auto", optional
        A pixel is 1 where its value exceeds threshold x full scale. Several thresholds keep grey levels as a
        thermometer code, one channel each; the lower one at the same pixel is then a parent of the higher one. "auto"
        chooses by the training images: 0.3 for binary images and for drawings whose ink is mostly full; where at least
        two thirds of the pixels above 0.1 are grey (below 0.9), 0.1 and the quartiles of these pixels; by the first 10,000,
        so that images in an order of their own should be shuffled.
    outlier_score : {"log_probability", "surprise", "standardized", "normalized", "contrast"}, optional
        What :meth:`score_samples` returns and verdicts are made of; see there.
    folds : int, optional
        Parts of the images; networks are grown without one after the other, to calibrate the threshold, until 2,500
        images (25 / ``false_alarm_rate``, if that is more) or all are scored. For trees (3 by default, 2 with "best"),
        boosted and tied trees (2).
    shift : int
        Train also on copies of the images moved by up to this many pixels, (2 shift + 1)^2 images in place of one. The
        leave-one-out scores leave out the image but not its copies, so alarms are then more frequent than
        ``false_alarm_rate`` says: use :meth:`calibrate` with other images.
    false_alarm_rate : float in (0, 1)
        Share of normal images that :meth:`predict` may call outliers.
    image_shape : (height, width), optional
        How to read flat images (n, height * width) that are not square.
    full_scale : int, optional
        What integer images hold where a pixel is white, such as 16 or 4095. None: 1 if the training images hold only 0
        and 1, else 255; integers that are too small for that are refused.
    n_jobs : int, optional
        Threads; None is all cores. Results do not depend on it.
    random_state : int, NumPy generator or None
        Seed of the kernels, and of :meth:`sample` and :meth:`inpaint` when they are given none.

    Attributes
    ----------
    fitted_ : cbn.fit.fitted.Fitted
        All that was learned; the other attributes are parts of it.
    counts_ : ndarray, (rows, 2) int64
        Images by table row and state of the pixel layer; its probabilities are a function of them. For trees the rows
        are the vertices of all trees; for boosted trees the nodes, and probabilities do not follow from them.
    n_images_ : int
        Images counted, shifted copies included.
    image_shape_ : (height, width)
    layer_ : cbn.cpd.grid.Layer, cbn.cpd.tree.TreeLayer, cbn.cpd.boosted.BoostedLayer or cbn.cpd.forest.TiedLayer
        The pixel layer and its relations, or its trees.
    hidden_layers_ : tuple of cbn.layers.training.TrainedLayer
        Kernels, relations with their BIC changes, and learning curve of every hidden layer.
    binarizer_ : cbn.bits.binarization.Binarization
        Thresholds and full scale.
    binarization_ : str
        The rule that made bits of grey values; a likelihood means nothing without it.
    score_ : str
        The score of :meth:`score_samples`.
    calibration_scores_ : ndarray
        Scores of normal images in increasing order, from which p-values and the threshold come.
    calibration_ : {"leave-one-out", "cross-validation", "separate images", "training images"}
        Where they come from; see :meth:`p_values` for what each guarantees. Trees of a single image, and those of a
        classifier, have only the training images' own scores, which are too high: alarms are then too frequent.
    offset_ : float
        Threshold of :meth:`decision_function`; -inf when there are too few calibration images for the rate.
    provenance_ : dict
        Free-form record kept in the model file; ``data_digest`` tells the binarized training images from
        others, whatever their order; see :mod:`cbn.bits.digest`.

    traffic_ : cbn.distributed.traffic.Traffic or None
        After a fit of a dask array: what went over the network, by rounds. Not kept in files.

    Examples
    --------
    >>> import cbn
    >>> train, test = cbn.datasets.load_mnist()
    >>> model = cbn.ConvolutionalBayesianNetwork().fit(train.select(2).images)
    >>> model.score_samples(test.images).shape
    (10000,)
    >>> cbn.ConvolutionalBayesianNetwork(cpd=cbn.Tree(penalty=1.0), threshold=(0.25, 0.5))
    ConvolutionalBayesianNetwork(cpd=Tree(penalty=1.0), threshold=(0.25, 0.5))
    """

    def __init__(
        self,
        preset: str = "pixel",
        *,
        cpd: Parameters | str | None = None,
        features: Features | None = None,
        contrast: Contrast | bool | None = None,
        threshold: float | Sequence[float] | str | None = None,
        outlier_score: str | None = None,
        folds: int | None = None,
        shift: int = 0,
        false_alarm_rate: float = 0.01,
        image_shape: tuple[int, int] | None = None,
        full_scale: int | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.preset = preset
        self.cpd = cpd
        self.features = features
        self.contrast = contrast
        self.threshold = threshold
        self.outlier_score = outlier_score
        self.folds = folds
        self.shift = shift
        self.false_alarm_rate = false_alarm_rate
        self.image_shape = image_shape
        self.full_scale = full_scale
        self.n_jobs = n_jobs
        self.random_state = random_state

    __new__ = helpful_new(__init__, unknown_argument)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def set_params(self, **params: Any) -> Self:
        """Change arguments; ``cpd__penalty`` and ``features__iterations`` reach into the objects, the preset's if None."""
        return super().set_params(**materialized(self, params, ("cpd", "features", "contrast")))

    def arguments(self) -> Arguments:
        """The constructor arguments as programs and files know them."""
        given = self.get_params(deep=False)
        return Arguments(score=given.pop("outlier_score"), **given)

    @classmethod
    def of_arguments(cls, arguments: Arguments) -> Self:
        """The estimator that is constructed with these arguments."""
        given = vars(arguments).copy()
        return cls(outlier_score=given.pop("score"), **given)

    def fit(self, X: Any, y: Any = None, *, progress: Any = None, checkpoint: Any = None, resume: bool = False) -> Self:
        """Learn from normal images, and calibrate the threshold on them.

        Tables are calibrated by leave-one-out scores of the training images, which counts allow exactly. Trees were
        chosen with the images in view, so each image is scored by a network grown without its fold.

        Parameters
        ----------
        X : array-like, iterator of such, or dask array; (n, height, width) or flat (n, height * width)
            bool, integers 0..255, or floats in [0, 1]; flat images are square unless ``image_shape`` says otherwise. The
            blocks of a dask array stay on the workers of the cluster to which a dask.distributed Client is connected;
            the result has the same bytes.
        y : ignored
        progress : callable, optional
            Called with a :class:`cbn.layers.training.TrainingState` after every iteration of a hidden layer, and with
            (done, in all) while boosted or tied trees and those of a contrast grow: nodes or trees, those of cross-validation
            included.
        checkpoint : path, optional
            File to write after every iteration of a hidden layer. It is still there when fit returns, so that nothing
            is lost before the model is saved: delete it then.
        resume : bool
            Go on from ``checkpoint`` if it is there; the result has the same bytes as that of an uninterrupted fit.

        Returns
        -------
        self

        Raises
        ------
        DataError
            Images that cannot be used: shape, type, range, NaN.
        ModelFileError
            A checkpoint of other images, arguments or seed, or a damaged one.
        ValueError
            A constructor argument outside its range, or a hidden layer that does not fit the images.
        KeyboardInterrupt
            While hidden layers were trained: the model is fitted with the best ones so far. At any other time it is
            not.
        """
        try:
            self.fitted_ = fit(self.arguments(), X, y, progress=progress, checkpoint=checkpoint, resume=resume)
        except FitInterrupted as stop:
            self.fitted_ = stop.fitted
            raise KeyboardInterrupt from None
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Add images to what was learned; kernels and relations stay as they are.

        With tables and without hidden layers ``fit(A).partial_fit(B)`` has exactly the counts of ``fit(A and B)``. The
        threshold is calibrated again on the images of this call, by their leave-one-out scores under all counts. The first
        call is the same as :meth:`fit`; parameters and errors are those of :meth:`fit`. Trees cannot add images, as their
        splits would be those of the first ones: the first call says so too (ValueError); ``fit`` takes chunks.
        """
        if not hasattr(self, "fitted_"):
            check_adds(resolve(self.arguments()).kind)
            return self.fit(X, y)
        self.fitted_ = added(fitted_of(self), X, y)
        return self

    def merge(self, other: "ConvolutionalBayesianNetwork") -> Self:
        """Learn what another network has learned from other images, with the same settings: counts are added.

        For tables, and hidden layers of the same kernels and relations. The network is that of
        all images; verdicts stay those of the one with more images, which is kept beside the sums, until :meth:`calibrate`
        or :meth:`partial_fit` sets another threshold. See :func:`cbn.fit.merging.merged`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Networks that are no counts, or differ in a setting or structure.
        """
        if not isinstance(other, ConvolutionalBayesianNetwork):
            raise ValueError(f"merge: {other!r:.60}; give another ConvolutionalBayesianNetwork")
        if other is self:
            raise ValueError("merge: the network itself; its images would count twice: give another")
        self.fitted_ = merged(fitted_of(self), [fitted_of(other)])
        return self

    def calibrate(self, X: Any) -> Self:
        """Take the threshold from normal images that had no part in training: p-values are then exactly valid.

        Returns
        -------
        self
        """
        self.fitted_ = fitted_of(self).calibrated(X)
        return self

    @classmethod
    def _of(cls, fitted: Fitted) -> Self:
        """The estimator of a fitted network: constructed as it was, and fitted."""
        model = cls.of_arguments(replace(snapshot(fitted.arguments), n_jobs=fitted.n_jobs))
        model.fitted_ = fitted
        return model

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log-probability of images, nats: of the pixels, whose distribution is normalized. Higher is better.

        What ``cross_val_score`` and ``GridSearchCV`` take where no ``scoring`` is given. To search for the best detector,
        give a ``scoring`` that knows outliers.

        Parameters
        ----------
        X : array-like, (n, height, width) or flat
        y : ignored
        """
        return fitted_of(self).mean_log_probability(X)

    score_samples = delegated(Fitted.score_samples)
    judged_scores = delegated(Fitted.judged_scores)
    verdicts = delegated(Fitted.verdicts)
    discoveries = delegated(Fitted.discoveries)
    layer_scores = delegated(Fitted.layer_scores)
    decision_function = delegated(Fitted.decision_function)
    predict = delegated(Fitted.predict)
    p_values = delegated(Fitted.p_values)
    p_values_of = delegated(Fitted.p_values_of)
    threshold_at = delegated(Fitted.threshold_at)
    surprise_map = delegated(Fitted.surprise_map)
    contrast_map = delegated(Fitted.contrast_map)
    contrast_map_scale = delegated(Fitted.contrast_map_scale)
    heat_map_scale = delegated(Fitted.heat_map_scale)
    explain = delegated(Fitted.explain)
    repair = delegated(Fitted.repair)
    node_statistics = delegated(Fitted.node_statistics)
    layer_geometries = delegated(Fitted.layer_geometries)
    hidden_states = delegated(Fitted.hidden_states)
    mean_patches = delegated(Fitted.mean_patches)
    markov_report = delegated(Fitted.markov_report)
    binarized_pictures = delegated(Fitted.binarized_pictures)
    bic_terms = delegated(Fitted.bic_terms)
    bic = delegated(Fitted.bic)
    sample = delegated(Fitted.sample)
    gibbs_chains = delegated(Fitted.gibbs_chains)
    inpaint = delegated(Fitted.inpaint)
    save = delegated(Fitted.save)
    export = delegated(Fitted.export)
    save_kernels = delegated(Fitted.save_kernels)

    counts_ = learned(lambda fitted: fitted.network.pixels.counts, "Images by row and state of the pixel layer.")
    layer_ = learned(lambda fitted: fitted.network.pixels.layer, "The structure of the pixel layer.")
    n_images_ = learned(lambda fitted: fitted.n_images, "Images counted.")
    image_shape_ = learned(lambda fitted: fitted.image_shape, "(height, width)")
    n_features_in_ = learned(lambda fitted: fitted.n_features, "Pixels of an image.")
    hidden_layers_ = learned(lambda fitted: fitted.hidden_layers, "Kernels and relations of every hidden layer.")
    binarizer_ = learned(lambda fitted: fitted.binarization, "Thresholds and full scale.")
    binarization_ = learned(lambda fitted: fitted.rule, "The rule that made bits of grey values.")
    score_ = learned(lambda fitted: fitted.settings.score, "The score of score_samples.")
    calibration_ = learned(lambda fitted: fitted.calibration.source, "Where the calibration scores come from.")
    calibration_scores_ = learned(lambda fitted: fitted.calibration.scores, "Scores of normal images, increasing.")
    offset_ = learned(lambda fitted: fitted.calibration.offset, "Threshold of decision_function.")

    traffic_ = learned(lambda fitted: fitted.traffic, "What went over the network in a fit of a dask array, or None.")

    @property
    def provenance_(self) -> dict[str, Any]:
        """Free-form record kept in the model file."""
        return learned(lambda fitted: fitted.provenance, "").fget(self)

    @provenance_.setter
    def provenance_(self, record: dict[str, Any]) -> None:
        self.fitted_ = replace(fitted_of(self), provenance=record)

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """Constructor arguments that are not the defaults; of a fitted estimator what it was fitted on as well."""
        text = super().__repr__(N_CHAR_MAX)
        return (
            f"{text[:-1]}{', ' if text[-2] != '(' else ''}fitted={self.fitted_!r})"
            if hasattr(self, "fitted_")
            else text
        )
