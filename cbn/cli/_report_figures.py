# SPDX-License-Identifier: BSD-3-Clause
"""Figures of networks in a report: samples, what training saw, parents, kernels."""

import numpy as np

from ..report import imagery
from ..report.content import Figure

SAMPLES = 24
# Classes of which samples are drawn, and samples of each.
MOST_CLASSES, OF_CLASS = 40, 6
# Kernels of a layer that are drawn.
MOST_KERNELS = 64


def network_figures(fitted):
    """Figures of a fitted network."""
    figures = [_samples(fitted), *_statistics(fitted)]
    relations = fitted.network.pixels.tied_relations
    if relations is not None:
        places = tuple(dict.fromkeys((r.dy, r.dx) for r in relations if r.child == 0 and (r.dy or r.dx)))
        if places:
            figures.append(
                Figure(
                    title="Parents of a pixel",
                    text=f"A pixel (orange) depends on {len(places)} others (blue), the same everywhere.",
                    parents=places,
                )
            )
    figures += [_map(*panel) for panel in fitted.network.pixels.pictures() if _is_map(panel)]
    figures += [_kernels(number, trained.kernels.weights) for number, trained in enumerate(fitted.hidden_layers, 1)]
    return tuple(figures)


def class_figures(classifier):
    """Samples of every class."""
    tiles = []
    for number, label in enumerate(classifier.classes.tolist()[:MOST_CLASSES]):
        own = classifier.network(number)
        scale = 255 // own.binarization.full_scale or 1
        for i, picture in enumerate(own.sample(OF_CLASS, random_state=0)):
            name = f"class {label}, sample {i + 1}"
            tiles.append(imagery.picture_tile(_grey(picture, scale), name, str(label) if i == 0 else ""))
    return (
        Figure(
            title="Samples of every class",
            text="Drawn from the networks of the classes, a row or two for each: what the model holds a class to be.",
            tiles=tuple(tiles),
            columns=2 * OF_CLASS,
        ),
    )


def _samples(fitted):
    drawn = fitted.sample(SAMPLES, random_state=0)
    scale = 255 // fitted.binarization.full_scale or 1
    alone = " by its pixels' network alone; hidden layers have no part in them" if fitted.hidden_layers else ""
    return Figure(
        title="Samples",
        text=f"Drawn from the model{alone}. What it holds to be normal looks like this.",
        tiles=tuple(
            imagery.picture_tile(_grey(picture, scale), f"sample {number}") for number, picture in enumerate(drawn, 1)
        ),
        columns=6,
    )


def _grey(picture, scale):
    return (picture.astype(np.int64) * scale).clip(0, 255).astype(np.uint8)


def _statistics(fitted):
    """What training saw at every pixel."""
    ones, nats = fitted.node_statistics()
    return (
        _map("share of ones", ones.mean(axis=0), "share of training images in which a pixel is 1", 0.0, 1.0),
        _map("unpredictability", nats.sum(axis=0), "mean -log p of a pixel in training, nats", 0.0, None),
    )


def _is_map(panel):
    """Whether a panel of cbn.plots is one of values by place."""
    return isinstance(panel, tuple) and len(panel) == 5 and isinstance(panel[0], str) and np.ndim(panel[1]) == 2


def _map(title, values, unit, low, high):
    top = float(np.nanmax(values)) if high is None else high
    top = max(top, 1e-9)
    tile = imagery.value_tile(np.asarray(values), top, f"{title} at every place, 0 to {top:.3g}: {unit}")
    text = unit[0].upper() + unit[1:] + "."
    return Figure(title=title.capitalize(), text=text, tiles=(tile,), scale=("0", f"{top:.3g}"), columns=1)


def _kernels(number, weights):
    """Weights (kernels, channels, size, size) of a hidden layer; the channels of a kernel beside each other."""
    top, n = max(float(np.abs(weights).max()), 1e-9), len(weights)
    tiles = []
    for kernel, channels in enumerate(weights[:MOST_KERNELS]):
        gap = np.zeros((channels.shape[1], 1))
        joined = np.concatenate([part for own in channels for part in (gap, own)][1:], axis=1)
        tiles.append(imagery.weight_tile(joined, top, f"weights of kernel {kernel} of layer {number}", str(kernel)))
    one = weights.shape[1] == 1
    return Figure(
        title=f"Kernels of hidden layer {number}",
        text=f"Weights from {-top:.3g} (blue) over 0 (white) to {top:.3g} (red)"
        + ("." if one else "; the channels of the layer below are beside each other.")
        + (f" The first {MOST_KERNELS} of {n}." if n > MOST_KERNELS else ""),
        tiles=tuple(tiles),
        columns=min(n, 5) if one else 1,
    )
