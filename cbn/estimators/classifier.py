# SPDX-License-Identifier: BSD-3-Clause
"""A classifier of one Bayesian network per class."""

from collections.abc import Sequence
from dataclasses import replace
from numbers import Number
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from .. import _validation as validation
from .._params import Parameters
from ..exceptions import DataError
from ..fit.classifier import ClassifierArguments, FittedClassifier, fit_classifier
from ..fit.settings import materialized, snapshot, unknown_argument
from ._delegation import delegated, helpful_new, learned
from .network import ConvolutionalBayesianNetwork


class ConvolutionalBayesianNetworkClassifier(ClassifierMixin, BaseEstimator):
    """Bayes' rule over one :class:`ConvolutionalBayesianNetwork` per class.

    p(class | image) is proportional to p(class) p(image | class); both factors are normalized, so the probabilities are
    those of a proper model, although an over-confident one where pixels depend on each other beyond the parents.
    p(image), the sum over the classes, is the density of a mixture: :meth:`log_probability`.

    Parameters
    ----------
    preset, cpd, threshold, image_shape, full_scale, n_jobs, random_state
        As in :class:`ConvolutionalBayesianNetwork`; presets without hidden layers. The networks are not calibrated on
        images held out: a classifier raises no alarms.
    class_prior : sequence of float, optional
        p(class) in the order of ``classes_``; the class shares of the training images by default.

    Attributes
    ----------
    fitted_ : cbn.fit.classifier.FittedClassifier
        All that was learned; the other attributes are parts of it.
    classes_ : ndarray
    networks_ : list of ConvolutionalBayesianNetwork, in the order of ``classes_``
    class_log_prior_ : ndarray, (n_classes,)
    image_shape_ : (height, width)
    """

    def __init__(
        self,
        preset: str = "pixel",
        *,
        cpd: Parameters | str | None = None,
        threshold: float | Sequence[float] | str | None = None,
        class_prior: Sequence[float] | None = None,
        image_shape: tuple[int, int] | None = None,
        full_scale: int | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.preset = preset
        self.cpd = cpd
        self.threshold = threshold
        self.class_prior = class_prior
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
        """Change arguments; ``cpd__penalty`` reaches into the object, the preset's if it is None."""
        return super().set_params(**materialized(self, params, ("cpd",)))

    def arguments(self) -> ClassifierArguments:
        """The constructor arguments as programs and files know them."""
        return ClassifierArguments(**self.get_params(deep=False))

    def fit(self, X: Any, y: Any) -> Self:
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
        self.fitted_ = fit_classifier(self.arguments(), X, _labels(y))
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Add images; counts add exactly. A label that was not there before becomes a new class.

        Trees of any kind cannot add images to a class (ValueError).

        Parameters
        ----------
        X, y : as in :meth:`fit`
        classes : array-like, optional
            The labels that are allowed; any other in y is refused. None allows all.
        """
        known = getattr(self, "fitted_", None)
        if classes is not None:
            strange = np.setdiff1d(validation.as_array(y, "y"), classes)
            if len(strange):
                raise DataError(f"y: label {strange[0]!r} is not one of `classes`")
        # what was learned keeps its own arguments; those of the constructor are read by fit alone
        arguments = self.arguments() if known is None else replace(known.arguments, n_jobs=self.n_jobs)
        self.fitted_ = fit_classifier(arguments, X, _labels(y), known)
        return self

    @classmethod
    def _of(cls, fitted: FittedClassifier) -> Self:
        """The estimator of a fitted classifier: constructed as it was, and fitted."""
        model = cls(**vars(replace(snapshot(fitted.arguments), n_jobs=fitted.n_jobs)))
        model.fitted_ = fitted
        return model

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of images whose class is predicted.

        Parameters
        ----------
        X : array-like, (n, height, width) or flat
        y : array-like, (n,) of labels
        sample_weight : array-like, (n,), optional
        """
        return super().score(X, _labels(y), sample_weight)

    joint_log_probability = delegated(FittedClassifier.joint_log_probability)
    log_probability = delegated(FittedClassifier.log_probability)
    predict_log_proba = delegated(FittedClassifier.predict_log_proba)
    predict_proba = delegated(FittedClassifier.predict_proba)
    predict = delegated(FittedClassifier.predict)
    save = delegated(FittedClassifier.save)

    classes_ = learned(lambda fitted: fitted.classes, "Labels in increasing order.")
    class_log_prior_ = learned(lambda fitted: fitted.log_prior, "log p(class), (n_classes,)")
    image_shape_ = learned(lambda fitted: fitted.image_shape, "(height, width)")
    n_features_in_ = learned(lambda fitted: fitted.n_features, "Pixels of an image.")
    networks_ = learned(
        lambda fitted: [ConvolutionalBayesianNetwork._of(fitted.network(i)) for i in range(len(fitted.networks))],
        "One estimator for every class, in the order of ``classes_``.",
    )

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """Constructor arguments that are not the defaults; of a fitted estimator what it was fitted on as well."""
        text = super().__repr__(N_CHAR_MAX)
        return (
            f"{text[:-1]}{', ' if text[-2] != '(' else ''}fitted={self.fitted_!r})"
            if hasattr(self, "fitted_")
            else text
        )


def _labels(y: Any) -> Any:
    _check_types(y)
    labels = column_or_1d(y, warn=True)
    check_classification_targets(labels)
    return labels


def _check_types(y: Any) -> None:
    """Refuses labels of different types, which arrays would turn into text or could not order. Raises DataError."""
    if not isinstance(y, (list, tuple)) and getattr(y, "dtype", None) != object:
        return
    labels = [label[0] if isinstance(label, (list, tuple)) and len(label) == 1 else label for label in y]
    kinds = {"text" if isinstance(label, str) else "a number" if isinstance(label, Number) else "" for label in labels}
    for label in labels:
        if not isinstance(label, (str, Number, list, tuple, np.ndarray)):
            raise DataError(
                f"y: a label of type {type(label).__name__} is neither text nor a number; give one of the two"
            )
    if len(kinds) > 1:
        raise DataError("y: labels of different types cannot be ordered; use numbers or text for all")
