# SPDX-License-Identifier: BSD-3-Clause
"""Models of the same settings, fitted on different images, made one: counts of images add exactly."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..bits.digest import KEY as DIGEST
from ..bits.digest import Digest
from ..cpd.base import CPD
from ..layers.stack import LayeredNetwork
from .fitted import Fitted
from .settings import Settings

# Settings that leave what was counted as it is.
_FREE = {"false_alarm_rate", "random_state"}


def merged(fitted: Fitted, others: Sequence[Fitted]) -> Fitted:
    """The model of the images of all.

    The network has the sums of all counts: the same as of one fit of all images, whose kernels, relations and trees were
    the same. No image is at hand to calibrate it by, so verdicts stay those of the model with the most images, which is
    kept beside the sums: scores are compared under networks of one size. ``calibrate`` with normal images gives the whole
    network a threshold of its own.

    Raises
    ------
    ValueError
        Models of other settings or structures, or such as cannot be merged. It says which and what to do.
    """
    for other in others:
        check_mergeable(fitted, other)
    models = (fitted, *others)
    digests = [Digest.recorded(model.provenance) for model in models]
    # whatever the order in which they come
    ranked = sorted(zip(models, digests), key=lambda own: (-own[0].n_images, str(own[1])))
    largest = ranked[0][0]
    networks = [_sum([model.network.networks[layer] for model in models]) for layer in range(len(fitted.network))]
    network = LayeredNetwork(networks, largest.network.transitions, largest.network.geometries, largest.network.scales)
    network.freeze()
    return replace(
        largest,
        network=network,
        judge=largest.judge or largest.network,
        n_images=sum(model.n_images for model in models),
        provenance={DIGEST: str(sum(digests[1:], digests[0])), "merged": len(models)},
        n_jobs=fitted.n_jobs,
    )


def check_mergeable(fitted: Fitted, other: Fitted) -> None:
    """Raises ValueError where the sums of two models' counts would be no model's."""
    pixels = fitted.network.pixels
    if not pixels.adds_counts:
        raise ValueError(
            f"merge: {pixels.nouns} are no counts that could be added; fit all images at once, or average densities"
        )
    if pixels.learns_structure:
        raise ValueError(
            f"merge: the {pixels.nouns} were grown of the images of each; fit all images at once, in chunks if need be"
        )
    if fitted.settings.contrast is not None or other.settings.contrast is not None:
        raise ValueError(
            "merge: a contrast is no counts that could be added; fit with contrast=False, or all images at once"
        )
    for what, ours, theirs in (
        ("image_shape", fitted.image_shape, other.image_shape),
        ("binarization", fitted.rule, other.rule),
        *_settings(fitted.settings, other.settings),
    ):
        if ours != theirs:
            raise ValueError(
                f"merge: {what} {theirs} of one model, {ours} of the other; models must be of the same settings"
            )
    if len(fitted.network) != len(other.network) or any(
        not np.array_equal(ours.kernels.weights, theirs.kernels.weights)
        or not np.array_equal(ours.kernels.bias, theirs.kernels.bias)
        for ours, theirs in zip(fitted.hidden_layers, other.hidden_layers)
    ):
        raise ValueError(
            "merge: models of other kernels; give both the same, by features=cbn.Features(kernels=...) (--kernels)"
        )
    for number, (ours, theirs) in enumerate(zip(fitted.network.networks, other.network.networks)):
        if _structure(ours) != _structure(theirs):
            raise ValueError(
                f"merge: other relations in layer {number}; they were chosen by the images of each: add the images to one model "
                "by partial_fit (--add)"
            )


def _settings(ours: Settings, theirs: Settings) -> list[tuple[str, object, object]]:
    return [(name, repr(value), repr(vars(theirs)[name])) for name, value in vars(ours).items() if name not in _FREE]


def _structure(cpd: CPD) -> tuple[object, ...]:
    """All of it but the counts, to be compared."""
    arrays = sorted((name, own.tobytes()) for name, own in cpd.arrays().items() if name != "counts")
    return type(cpd), repr(cpd.describe()), arrays


def _sum(networks: Sequence[CPD]) -> CPD:
    make: Any = type(networks[0])
    layer, counts, *rest = networks[0].parts()
    total: CPD = make(layer, counts.copy(), *rest)
    for other in networks[1:]:
        total.add(other.counts)
    return total
