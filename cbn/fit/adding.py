# SPDX-License-Identifier: BSD-3-Clause
"""Images that are added to what was learned, where that is a function of counts."""

import warnings
from dataclasses import replace
from typing import Any

from .. import _validation as validation
from ..bits.digest import Digest
from ..bits.stream import Streamed
from ..cpd.base import CPD
from ..exceptions import CalibrationWarning
from .assembling import Learned, Normal, assembled, score_names, scores_of
from .fitted import Fitted
from .preparing import check_labels, packed, refuse_shift


def added(fitted: Fitted, X: Any, y: Any = None) -> Fitted:
    """Images added to what was learned; kernels and relations stay. See ConvolutionalBayesianNetwork.partial_fit.

    ``X`` may also be Streamed, by the rule of the network, which must not be of shifted images then.

    Raises
    ------
    ValueError
        The kind of CPDs is no function of counts, or learns what is counted.
    """
    settings, pixels = fitted.settings, fitted.network.pixels
    check_adds(pixels)
    threads = fitted.threads
    if isinstance(X, Streamed):
        refuse_shift(settings)
        validation.check_full_scale(X.extremes, fitted.binarization.full_scale)
        own = counted = X.planes
    else:
        images = fitted.validated(X)
        check_labels(y, len(images))
        own, counted = packed(fitted.binarization, images, settings.shift, threads)
    network, names = fitted.network, score_names(settings, fitted.network)
    planes = network.planes(own, threads)
    more = network.recounted(counted, threads)
    for new, known in zip(more.networks, network.networks):
        new.add(known.counts)
    normal = Normal("leave-one-out", scores_of(more, planes, names, threads, leave_one_out=True))
    earlier, own_digest = Digest.recorded(fitted.provenance), Digest.of(counted, threads)
    if own_digest == earlier:
        warnings.warn(
            "X: the images that the model was trained on are counted again: each is in the model when it is left out, so "
            "that the threshold makes more false alarms than asked for; give others",
            CalibrationWarning,
            stacklevel=3,
        )
    digest = earlier + own_digest
    learned = Learned(more, fitted.hidden_layers, fitted.binarization, fitted.n_images + counted.n_images, digest)
    result = assembled(replace(fitted.arguments, n_jobs=fitted.n_jobs), settings, learned, planes, normal)
    result.calibration.threshold_at(settings.false_alarm_rate, stacklevel=3)  # warns of too few images
    return result


def check_adds(cpd: CPD | type[CPD]) -> None:
    """Refuses to add images where counts do not hold what was learned, or what they count. Raises ValueError."""
    if not cpd.adds_counts:
        raise ValueError(
            f"partial_fit: {cpd.nouns} are no counts, to which images could be added; fit all images at once"
        )
    if cpd.learns_structure:
        raise ValueError(
            f"partial_fit: the {cpd.nouns} would stay those of the first images, and the model depend on how images are cut "
            "into batches; give all of them to one fit, in chunks if need be: fit(iter(chunks))"
        )
