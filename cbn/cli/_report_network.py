# SPDX-License-Identifier: BSD-3-Clause
"""The reports on a network and on a classifier."""

import numpy as np

from ..fit.classifier import log_sum_exp
from ..report.content import Content, Facts, Shot, Words, chosen_shots
from . import _common as common
from . import _images as images_of
from . import _report_common as shared
from ._report_figures import class_figures, network_figures
from ._score_classifier import judged
from ._score_images import BATCH

# Certainty below which a classifier's answer is referred to a person, before the threshold is moved: 95 % sure.
_SURE = float(np.log(0.95 / 0.05))
_CLASSIFIER = Words(
    normal="right", others="wrong", alarm="referred", alarms="referred", quiet="answered", found="wrong, referred",
    missed="wrong, answered", false_alarm="right, referred", false_alarms="right, but referred",
    false_alarm_rate="rate", kind="Label", score="certainty", direction="log-odds of the class found, in nats",
    threshold="Pictures of a certainty below the threshold are referred to a person.",
)  # fmt: skip


def network(arguments, fitted, clock):
    """The Content of a fitted network."""
    calibration = fitted.calibration
    if arguments.false_alarm_rate is not None:
        calibration = calibration.at(arguments.false_alarm_rate)
    settings, (height, width) = fitted.settings, fitted.image_shape
    images = _images(arguments, fitted, fitted.provenance.get("source"), clock)
    scored, shots, seen = None, (), ()
    if images is not None:
        with clock.part("score"):
            scores = _in_batches(arguments, fitted.judged_scores, images.read)
        normal = shared.normal_of(arguments, images.kinds, fitted.provenance.get("label"))
        scored = shared.scored_of(images.names, scores, images.kinds, normal, calibration.offset)
        chosen = chosen_shots(scored, arguments.pictures)
        with clock.part("maps"):
            maps = _in_batches(arguments, fitted.surprise_map, images.read[chosen]) if len(chosen) else []
        p_values = calibration.p_values(scored.scores)
        shots = tuple(
            Shot(
                index=i, picture=images.shown(i), map=own, note=f"p = {p_values[i]:.3g}, surprise {own.sum():.4g} nats"
            )
            for i, own in zip(chosen.tolist(), maps, strict=True)
        )
        seen = (shared.data_facts(scored, images.source, images.report),)
    with clock.part("figures"):
        facts, figures = _network_facts(fitted), network_figures(fitted)
    label = fitted.provenance.get("label")
    of_label = "" if label is None else f" of label {label}"
    return Content(
        title=shared.title_of(arguments, None if images is None else images.short),
        subtitle=f"Bayesian network (preset {settings.preset}) of {fitted.n_images:,} images{of_label}, {height} x {width} "
        f"pixels, {fitted.rule}{shared.judged_in_words(scored)}",
        facts=(
            facts,
            shared.threshold_facts(
                calibration, f"{settings.score}: higher is more normal", arguments.false_alarm_rate is not None
            ),
            *seen, shared.record_facts(arguments, fitted.provenance),
        ),
        scored=scored,
        reference=shared.reference_of(calibration),
        shots=shots,
        map_top=fitted.heat_map_scale(),
        map_unit="nats a pixel",
        map_name="Surprise:",
        figures=figures,
        notes=tuple(shared.notes_of(scored, calibration, trained_on=images is not None and images.trained_on)),
        footer=shared.footer(arguments),
    )  # fmt: skip


def classifier(arguments, fitted, clock):
    """The Content of a classifier: its certainty takes the place of a score, wrong answers that of anomalies."""
    if arguments.false_alarm_rate is not None or arguments.normal is not None:
        name = "--normal" if arguments.normal is not None else "--false-alarm-rate"
        raise common.UsageError(f"{name}: is for a model of normal pictures; {arguments.model!r} is a classifier")
    first, classes = fitted.network(0), [str(name) for name in fitted.classes.tolist()]
    images = _images(arguments, first, first.provenance.get("source"), clock)
    scored, shots, seen, cards, confusion, words = None, (), (), (), None, _CLASSIFIER
    if images is not None:
        with clock.part("score"):
            joint = _in_batches(arguments, fitted.joint_log_probability, images.read)
        found = joint.argmax(axis=1)
        others = np.where(np.arange(joint.shape[1]) == found[:, None], -np.inf, joint)
        certainty = joint.max(axis=1) - log_sum_exp(others)
        kinds, normal = images.kinds, None
        if kinds[0] is None:
            kinds, words = [classes[i] for i in found], Words(**_CLASSIFIER.__dict__ | {"kind": "Class found"})
        else:
            normal = np.array([classes[i] == str(kind) for i, kind in zip(found, kinds, strict=True)])
            summary = judged(kinds, [classes[i] for i in found], classes)
            confusion = (
                tuple(classes),
                tuple((label, tuple(row[name] for name in classes)) for label, row in summary["confusion"].items()),
            )
            cards = (("Accuracy", f"{summary['accuracy']:.2f} %", f"{int(normal.sum()):,} of {len(normal):,} right"),)
        scored = shared.scored_of(images.names, certainty, kinds, normal, _SURE)
        chosen, shots = chosen_shots(scored, arguments.pictures), []
        with clock.part("maps"):
            maps = {}
            for number in np.unique(found[chosen]).tolist():
                own = chosen[found[chosen] == number]
                maps |= zip(own.tolist(), fitted.network(number).surprise_map(images.read[own]), strict=True)
        probability = 1 / (1 + np.exp(-np.clip(certainty, -700, 700)))
        for i in chosen.tolist():
            note = f"found as {classes[found[i]]}, p = {probability[i]:.4g}"
            shots.append(Shot(index=i, picture=images.shown(i), map=maps[i], note=note))
        seen = (shared.data_facts(scored, images.source, images.report, "Right by label"),)
    with clock.part("figures"):
        top = max(fitted.network(i).heat_map_scale() for i in range(len(classes)))
        facts, figures = _classifier_facts(fitted), class_figures(fitted)
    height, width = fitted.image_shape
    n_images = sum(own.n_images for own in fitted.networks)
    return Content(
        title=shared.title_of(arguments, None if images is None else images.short),
        subtitle=f"Classifier of {len(classes)} classes by Bayes' rule, of {n_images:,} images, {height} x {width} pixels, "
        f"{fitted.rule}{shared.judged_in_words(scored)}",
        facts=(facts, *seen, shared.record_facts(arguments, first.provenance | {"label": None})),
        words=words,
        scored=scored,
        shots=tuple(shots),
        cards=cards,
        map_top=top,
        map_unit="nats a pixel",
        map_name="Surprise to the class found:",
        figures=figures,
        notes=(shared.TRAINED_ON,) if images is not None and images.trained_on else (),
        confusion=confusion,
        footer=shared.footer(arguments),
    )


class _Images:
    """Images that are judged.

    Attributes
    ----------
    read : ndarray, (n, height, width)
        As the network reads them.
    names, kinds : list
        Kinds are labels, or None where there are none.
    source, short : str
        Where they are from, at length and in few words.
    """

    def __init__(self, arguments, fitted):
        chosen, index = images_of.choose_images(arguments)
        self.trained_on = arguments.trained_on and chosen.split in (None, "train")
        self.read = images_of.images_for(arguments, fitted, chosen)[: arguments.n]
        n = len(self.read)
        self._given = chosen.images[:n]
        self._full_scale = 1 if chosen.images.max() <= 1 else np.iinfo(chosen.images.dtype).max
        self.names = list(chosen.names or (str(i) for i in index))[:n]
        self.kinds = [None] * n if chosen.labels is None else chosen.labels[:n].tolist()
        self.source, self.report = chosen.source, chosen.report
        self.short = shared.source_name(arguments, chosen.source)

    def shown(self, i):
        """An image as it was given, (height, width) uint8."""
        return (np.clip(self._given[i] / self._full_scale, 0, 1) * 255).round().astype(np.uint8)


def _images(arguments, fitted, source, clock):
    """The images to judge; None without --data for a model of anything but the embedded ones."""
    if arguments.synthetic is not None:
        raise common.UsageError(f"--synthetic: is for an introspective energy model; {arguments.model!r} is none")
    if arguments.data is None and "MNIST" not in str(source):
        for name in ("labels", "split", "digit", "n"):
            if getattr(arguments, name) is not None:
                raise common.UsageError(f"--{name}: goes with --data")
        return None
    with clock.part("load"):
        return _Images(arguments, fitted)


def _in_batches(arguments, function, images):
    """One array of what a function makes of images, batch by batch."""
    firsts = range(0, len(images), BATCH)
    return np.concatenate(
        [
            function(images[first : first + BATCH])
            for first in common.progress(firsts, arguments, len(firsts), "batch", "scores")
        ]
    )


def _network_facts(fitted):
    pixels, settings, network_ = fitted.network.pixels, fitted.settings, fitted.network
    log_likelihood, n_parameters, bic = fitted.bic_terms()
    rows = [
        ("Kind", f"Bayesian network of {pixels.nouns}"),
        ("Preset", str(settings.preset)),
        ("Binarization", fitted.rule),
        ("Parameters", f"{n_parameters:,}"),
        ("BIC", f"{bic:,.0f}"),
        *_growth(fitted),
        ("Training images", f"{fitted.n_images:,}, {-log_likelihood / max(1, fitted.n_images):.2f} nats each"),
    ]
    for number, geometry in enumerate(network_.geometries[1:], start=1):
        field = geometry.receptive_field
        shape = f"{geometry.channels} kernels, {geometry.height} x {geometry.width} places"
        rows.append((f"Hidden layer {number}", f"{shape}, a node sees {field} x {field} pixels"))
    return Facts(title="Model", rows=tuple(rows))


def _growth(fitted):
    """What the conditional distributions were made with."""
    pixels, settings = fitted.network.pixels, fitted.settings
    rows = list(pixels.growth_facts(settings.cpd).items())
    pseudocount = pixels.facts()["pseudocount"]
    if pseudocount is not None:
        rows.append(("pseudo-count", pseudocount))
    if settings.contrast is not None:
        rows.append(("contrast", settings.contrast.get_params()))
    return [(name.replace("_", " ").capitalize(), shared.in_words(value)) for name, value in rows]


def _classifier_facts(fitted):
    first = fitted.networks[0]
    rows = [
        ("Kind", f"classifier: a network of {first.network.pixels.nouns} for every class"),
        ("Preset", str(first.settings.preset)),
        ("Binarization", fitted.rule),
        *_growth(first),
        ("Parameters", f"{sum(own.bic_terms()[1] for own in fitted.networks):,}"),
    ]
    for label, own, prior in zip(fitted.classes.tolist(), fitted.networks, fitted.log_prior.tolist(), strict=True):
        rows.append((f"Class {label}", f"{own.n_images:,} images, prior {100 * np.exp(prior):.1f} %"))
    return Facts(title="Model", rows=tuple(rows))
