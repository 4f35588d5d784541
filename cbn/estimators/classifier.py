# SPDX-License-Identifier: BSD-3-Clause
"""A classifier of one Bayesian network per class."""

import copy
import warnings

import numpy as np
from scipy.special import log_softmax, logsumexp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from .. import _validation as validation
from ..bits.binarization import chosen_thresholds
from ..exceptions import DataError
from ..fit.presets import resolve
from .network import ConvolutionalBayesianNetwork


class ConvolutionalBayesianNetworkClassifier(ClassifierMixin, BaseEstimator):
    """Bayes' rule over one :class:`ConvolutionalBayesianNetwork` per class.

    p(class | image) is proportional to p(class) p(image | class); both factors are normalized, so the probabilities are
    those of a proper model, although an over-confident one where pixels depend on each other beyond the parents.
    p(image), the sum over the classes, is the density of a mixture: :meth:`log_probability`.

    Parameters
    ----------
    preset, cpd, offsets, reach, penalty, max_leaves, min_leaf, shrinkage, boosting, threshold, pseudocount, \
    image_shape, full_scale, n_jobs, random_state
        As in :class:`ConvolutionalBayesianNetwork`; presets and arguments without hidden layers. The networks are not
        calibrated on images held out: a classifier raises no alarms.
    class_prior : sequence of float, optional
        p(class) in the order of ``classes_``; the class shares of the training images by default.

    Attributes
    ----------
    classes_ : ndarray
    networks_ : list of ConvolutionalBayesianNetwork, in the order of ``classes_``
    class_log_prior_ : ndarray, (n_classes,)
    """

    def __init__(
        self,
        preset="pixel",
        *,
        cpd=None,
        offsets=None,
        reach=None,
        penalty=None,
        max_leaves=None,
        min_leaf=None,
        shrinkage=None,
        boosting=None,
        threshold=None,
        pseudocount=None,
        class_prior=None,
        image_shape=None,
        full_scale=None,
        n_jobs=None,
        random_state=None,
    ):
        self.preset = preset
        self.cpd = cpd
        self.offsets = offsets
        self.reach = reach
        self.penalty = penalty
        self.max_leaves = max_leaves
        self.min_leaf = min_leaf
        self.shrinkage = shrinkage
        self.boosting = boosting
        self.threshold = threshold
        self.pseudocount = pseudocount
        self.class_prior = class_prior
        self.image_shape = image_shape
        self.full_scale = full_scale
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def network_arguments(self):
        """Constructor arguments of the networks."""
        arguments = self.get_params(deep=False)
        del arguments["class_prior"]
        return arguments

    def fit(self, X, y):
        """Learn one network from the images of each class.

        Parameters
        ----------
        X : array-like, (n, height, width) or flat (n, height * width)
        y : array-like, (n,) of labels

        Returns
        -------
        self

        Raises
        ------
        DataError
            Images or labels that cannot be used.
        """
        return self._learn(X, y, {})

    def partial_fit(self, X, y, classes=None):
        """Add images; counts add exactly, trees stay. A label that was not there before becomes a new class.

        Boosted trees cannot add images to a class (ValueError).

        Parameters
        ----------
        X, y : as in :meth:`fit`
        classes : array-like, optional
            The labels that are allowed; any other in y is refused. None allows all.
        """
        known = dict(zip(self.classes_.tolist(), self.networks_)) if hasattr(self, "networks_") else {}
        if classes is not None:
            strange = np.setdiff1d(validation.as_array(y, "y"), classes)
            if len(strange):
                raise DataError(f"y: label {strange[0]!r} is not one of `classes`")
        return self._learn(X, y, known)

    def _learn(self, X, y, known):
        """Adds images to the known networks (label -> network), which stay as they are if anything is refused."""
        setting = resolve(ConvolutionalBayesianNetwork(**self.network_arguments()))
        if setting["hidden"]:
            raise ValueError(
                f"preset: {self.preset!r} has hidden layers, whose product is no probability as Bayes' rule needs it; "
                "use 'pixel', 'tree' or 'boosted'"
            )
        if self.image_shape is not None:
            validation.check_shape(self.image_shape)
        images = validation.as_images(X, image_shape=self.image_shape_ if known else self.image_shape)
        labels = column_or_1d(y, warn=True)
        check_classification_targets(labels)
        if len(labels) != len(images):
            raise DataError(f"y: {len(labels)} labels for {len(images)} images")
        arguments = self.network_arguments()
        if known:
            arguments["full_scale"] = next(iter(known.values())).binarizer_.full_scale
            validation.check_full_scale(images, arguments["full_scale"])
        elif arguments["full_scale"] is None:  # one scale for all classes, even one whose images are all dark
            arguments["full_scale"] = validation.full_scale_of(images)
        if known:  # the rule of all classes is one, or their densities could not be compared
            arguments["threshold"] = next(iter(known.values())).binarizer_.thresholds
        else:
            arguments["threshold"] = chosen_thresholds(setting["threshold"], images, arguments["full_scale"])
        networks = dict(known)
        for label in np.unique(labels).tolist():
            own = images[labels == label]
            with warnings.catch_warnings():
                # a classifier raises no alarms, and the images of one class may be dark
                warnings.simplefilter("ignore", UserWarning)
                if label in known:
                    networks[label] = copy.copy(known[label]).partial_fit(own)
                else:
                    networks[label] = ConvolutionalBayesianNetwork(**arguments)._fit(own, held_out=False)
        try:
            classes = sorted(networks)
        except TypeError:
            raise DataError("y: labels of different types cannot be ordered; use numbers or text for all") from None
        self._set_networks(classes, [networks[label] for label in classes])
        return self

    def _set_networks(self, classes, networks):
        """Takes the fitted networks, in the order of the sorted classes."""
        log_prior = self._log_prior(networks)  # may refuse: nothing is changed before
        self.classes_ = np.asarray(classes)
        self.networks_ = networks
        self.class_log_prior_ = log_prior
        self.n_features_in_ = networks[0].n_features_in_
        self.image_shape_ = networks[0].image_shape_

    def _log_prior(self, networks):
        if self.class_prior is None:
            n = np.array([network.n_images_ for network in networks], float)
            return np.log(n / n.sum())
        try:
            prior = np.asarray(self.class_prior)
        except ValueError:
            prior = np.empty(0)
        good = prior.shape == (len(networks),) and prior.dtype.kind in "iuf"
        if not good or not (prior > 0).all() or not np.isclose(prior.sum(), 1):
            raise ValueError(f"class_prior: {self.class_prior!r}; give {len(networks)} positive numbers that sum to 1")
        return np.log(prior)

    def joint_log_probability(self, X):
        """log p(image, class) in nats: (n, n_classes) float64."""
        check_is_fitted(self, "networks_")
        columns = [network.score_samples(X, score="log_probability") for network in self.networks_]
        return np.stack(columns, axis=1) + self.class_log_prior_

    def log_probability(self, X):
        """log p(image) in nats: (n,) float64, the log of the sum over classes of p(class) p(image | class).

        The normalized density of the mixture of all classes, over the images that the rule
        ``networks_[0].binarization_`` makes: p of all such images sums to 1.
        """
        return logsumexp(self.joint_log_probability(X), axis=1)

    def predict_log_proba(self, X):
        """log p(class | image): (n, n_classes) float64."""
        return log_softmax(self.joint_log_probability(X), axis=1)

    def predict_proba(self, X):
        """p(class | image): (n, n_classes) float64, rows sum to 1."""
        return np.exp(self.predict_log_proba(X))

    def predict(self, X):
        """The most probable class of every image: (n,)."""
        check_is_fitted(self, "networks_")
        return self.classes_[np.argmax(self.joint_log_probability(X), axis=1)]

    def save(self, path):
        """Write a model file (.cbn) that :func:`cbn.load` reads; complete or not at all."""
        from ..fit.modelfile import save

        check_is_fitted(self, "networks_")
        save(self, path)
