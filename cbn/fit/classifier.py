# SPDX-License-Identifier: BSD-3-Clause
"""Bayes' rule over one fitted network per class: the fit, and what it leaves."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from .._params import Parameters
from ..bits.binarization import Binarization, check_thresholds, chosen_thresholds, refuse_flat, refuse_flat_counts
from ..bits.planes import BitPlanes
from ..bits.stream import Streamed
from ..exceptions import DataError
from .adding import added, check_adds
from .fitted import Fitted
from .recipe import fit
from .settings import Arguments, Settings, resolve, snapshot
from .writing import save_classifier

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ClassifierArguments:
    """What a user may say of a classifier before it is fitted; see :class:`cbn.ConvolutionalBayesianNetworkClassifier`."""

    preset: str = "pixel"
    cpd: Parameters | str | None = None
    threshold: float | Sequence[float] | str | None = None
    class_prior: Sequence[float] | None = None
    image_shape: tuple[int, int] | None = None
    full_scale: int | None = None
    n_jobs: int | None = None
    random_state: "int | np.random.Generator | None" = None

    def of_networks(self) -> Arguments:
        """The arguments of the network of every class."""
        return Arguments(
            preset=self.preset,
            cpd=self.cpd,
            threshold=self.threshold,
            image_shape=self.image_shape,
            full_scale=self.full_scale,
            n_jobs=self.n_jobs,
            random_state=self.random_state,
        )

    def resolve(self) -> Settings:
        """The settings of the networks. Raises ValueError for hidden layers too."""
        settings = resolve(self.of_networks())
        if settings.features.layers:
            raise ValueError(
                f"preset: {self.preset!r} has hidden layers, whose product is no probability as Bayes' rule needs it; "
                "use 'pixel', 'tree', 'boosted' or 'tied'"
            )
        return settings


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedClassifier:
    """A network for every class, and the probability of each class.

    Attributes
    ----------
    arguments : ClassifierArguments
    classes : ndarray
        Labels in increasing order.
    networks : tuple of Fitted
        In the order of ``classes``.
    log_prior : ndarray, (n_classes,)
    n_jobs : int or None
        Threads; not kept in files.
    """

    arguments: ClassifierArguments
    classes: npt.NDArray[Any]
    networks: tuple[Fitted, ...]
    log_prior: Floats = field(repr=False)
    n_jobs: int | None = None

    @property
    def image_shape(self) -> tuple[int, int]:
        return self.networks[0].image_shape

    @property
    def n_features(self) -> int:
        return self.networks[0].n_features

    @property
    def rule(self) -> str:
        """The rule that makes bits of grey values, in words; one for all classes."""
        return self.networks[0].rule

    def network(self, number: int) -> Fitted:
        """The network of a class by its number, with the threads of this object."""
        return replace(self.networks[number], n_jobs=self.n_jobs)

    def joint_log_probability(self, X: Any) -> Floats:
        """log p(image, class) in nats: (n, n_classes) float64."""
        first = self.network(0)
        return self.joint_of_bits(first.pixel_planes(first.validated(X)))  # one rule makes the bits of all classes

    def joint_of_bits(self, pixels: BitPlanes) -> Floats:
        """The same of images that are bits."""
        planes = self.network(0).network.planes(pixels, self.network(0).threads)
        numbers = range(len(self.networks))
        return np.stack([self.network(i).combined(planes, "log_probability") for i in numbers], axis=1) + self.log_prior

    def log_probability(self, X: Any) -> Floats:
        """log p(image) in nats: (n,) float64, the log of the sum over classes of p(class) p(image | class).

        The normalized density of the mixture of all classes, over the images that the rule
        ``networks_[0].binarization_`` makes: p of all such images sums to 1.
        """
        return log_sum_exp(self.joint_log_probability(X))

    def predict_log_proba(self, X: Any) -> Floats:
        """log p(class | image): (n, n_classes) float64."""
        joint = self.joint_log_probability(X)
        shifted = joint - joint.max(axis=1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))

    def predict_proba(self, X: Any) -> Floats:
        """p(class | image): (n, n_classes) float64, rows sum to 1."""
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The most probable class of every image: (n,)."""
        return self.classes[np.argmax(self.joint_log_probability(X), axis=1)]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a model file (.cbn) that :func:`cbn.load` reads; complete or not at all."""
        save_classifier(self, path)

    def __repr__(self) -> str:
        height, width = self.image_shape
        n_images = sum(network.n_images for network in self.networks)
        return (
            f"<{type(self).__name__} {self.arguments.preset!r}: {len(self.classes)} classes of {n_images:,} images "
            f"{height} x {width}, {self.rule}>"
        )


def log_sum_exp(values: Floats) -> Floats:
    """log of the sum of exp over the last axis; -inf where all are.

    Of values near each other log1p of the sum of the others is more exact than the log of the whole (as in scipy).
    """
    highest = values.max(axis=-1, keepdims=True)
    at_highest = values == highest
    n = at_highest.sum(axis=-1)
    shift = np.where(np.isfinite(highest), highest, 0.0)
    others = np.where(at_highest, 0.0, np.exp(np.where(at_highest, -np.inf, values) - shift)).sum(axis=-1)
    return np.log1p(others / n) + np.log(n) + highest[..., 0]


def fit_classifier(
    arguments: ClassifierArguments,
    images: Any,
    labels: npt.NDArray[Any],
    known: FittedClassifier | None = None,
    *,
    progress: Callable[[Any, int, int], None] | None = None,
) -> FittedClassifier:
    """Learn one network from the images of each class, or add images to known ones.

    Parameters
    ----------
    arguments : ClassifierArguments
    images : array-like
    labels : ndarray, (n,)
    known : FittedClassifier, optional
        To whose networks images are added; labels that it has not become new classes.
    progress : callable, optional
        Called with (label, steps done, steps in all) by the network of each class, at its end at least.

    Raises
    ------
    DataError, ValueError
        Images, labels or arguments that cannot be used; ``known`` stays as it is.
    """
    arguments = snapshot(arguments)
    settings = arguments.resolve()
    images = validation.as_images(
        images,
        image_shape=known.image_shape if known else settings.image_shape,
        full_scale=known.networks[0].binarization.full_scale if known else settings.full_scale,
    )
    if len(labels) != len(images):
        raise DataError(f"y: {len(labels)} labels for {len(images)} images")
    own = arguments.of_networks()
    if known:  # the rule of all classes is one, or their densities could not be compared
        binarization = known.networks[0].binarization
        validation.check_full_scale(images, binarization.full_scale)
        own = replace(own, full_scale=binarization.full_scale, threshold=binarization.thresholds)
    else:  # one scale for all classes, even one whose images are all dark
        full_scale = validation.full_scale_of(images) if settings.full_scale is None else settings.full_scale
        thresholds = check_thresholds(chosen_thresholds(settings.threshold, images, full_scale), full_scale)
        rule = Binarization(thresholds, full_scale)
        refuse_flat(rule.planes(images, validation.check_threads(arguments.n_jobs)), rule, images)
        own = replace(own, full_scale=full_scale, threshold=thresholds)
    present = np.unique(labels).tolist()
    return _learned(arguments, own, present, lambda label: images[labels == label], known, progress)


def fit_classifier_of_bits(
    arguments: ClassifierArguments,
    members: Mapping[Any, Streamed],
    *,
    progress: Callable[[Any, int, int], None] | None = None,
) -> FittedClassifier:
    """The same of images that came in chunks, by label, all of them bits by one rule: that of the arguments."""
    arguments = snapshot(arguments)
    arguments.resolve()  # refuses hidden layers
    rule = next(iter(members.values())).binarization
    ones = np.sum([own.planes.ones() for own in members.values()], axis=0)
    n_images = sum(own.planes.n_images for own in members.values())
    extremes = np.concatenate([own.extremes for own in members.values()])
    refuse_flat_counts(ones, n_images, rule, extremes)
    own = replace(arguments.of_networks(), full_scale=rule.full_scale, threshold=rule.thresholds)
    return _learned(arguments, own, sorted(members), members.__getitem__, None, progress)


def _learned(
    arguments: ClassifierArguments,
    own: Arguments,
    present: Sequence[Any],
    images_of: Callable[[Any], Any],
    known: FittedClassifier | None,
    progress: Callable[[Any, int, int], None] | None,
) -> FittedClassifier:
    """A network of the images of each label, which are asked for when its turn comes; ``own`` are its arguments."""
    networks = dict(zip(known.classes.tolist(), known.networks)) if known else {}
    try:
        classes = sorted({*networks, *present})
    except TypeError:
        raise DataError("y: labels of different types cannot be ordered; use numbers or text for all") from None
    for label in networks.keys() & set(present):  # before anything is grown
        check_adds(networks[label].network.pixels)
    for label in present:
        images = images_of(label)
        with warnings.catch_warnings():
            # a classifier raises no alarms, and the images of one class may be dark
            warnings.simplefilter("ignore", UserWarning)
            if label in networks:
                earlier = replace(networks[label], n_jobs=arguments.n_jobs)
                networks[label] = added(earlier, images)
            else:
                report = None if progress is None else partial(progress, label)
                networks[label] = fit(own, images, held_out=False, progress=report)
        if progress is not None:
            progress(label, 1, 1)
    return assembled_classifier(arguments, classes, [networks[label] for label in classes])


def assembled_classifier(
    arguments: ClassifierArguments, classes: Sequence[Any], networks: Sequence[Fitted]
) -> FittedClassifier:
    """The classifier of fitted networks, in the order of the sorted classes. Raises ValueError for a wrong prior."""
    return FittedClassifier(
        arguments=arguments,
        classes=np.asarray(classes),
        networks=tuple(networks),
        log_prior=_log_prior(arguments.class_prior, networks),
        n_jobs=arguments.n_jobs,
    )


def _log_prior(class_prior: Any, networks: Sequence[Fitted]) -> Floats:
    if class_prior is None:
        n = np.array([network.n_images for network in networks], float)
        return np.log(n / n.sum())
    try:
        prior = np.asarray(class_prior)
    except ValueError:
        prior = np.empty(0)
    good = prior.shape == (len(networks),) and prior.dtype.kind in "iuf"
    if not good or not (prior > 0).all() or not np.isclose(prior.sum(), 1):
        raise ValueError(f"class_prior: {class_prior!r}; give {len(networks)} positive numbers that sum to 1")
    return np.log(prior)
