# SPDX-License-Identifier: BSD-3-Clause
"""What a fitted network is, as the panels of a figure."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from . import figures

Floats = npt.NDArray[np.float64]
Panels = list[figures.Panel]


class FittedNetwork(Protocol):
    """What is drawn of a fitted network; see cbn.fit.fitted.Fitted."""

    @property
    def network(self) -> Any: ...
    @property
    def hidden_layers(self) -> Sequence[Any]: ...
    @property
    def binarization(self) -> Any: ...
    def node_statistics(self, layer: int = 0) -> tuple[Floats, Floats]: ...


def count(n: int, noun: str) -> str:
    """One kernel, five kernels: a number with its noun."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def panels(fitted: FittedNetwork, markov: Any = None) -> Panels | list[figures.Section]:
    """Panels of the figure of a model: those of the pixels, and a section for every hidden layer.

    Parameters
    ----------
    fitted : cbn.fit.fitted.Fitted
    markov : cbn.explain.markov.MarkovReport, optional
        Drawn in one more section, where the model has hidden layers.
    """
    pixels = pixel_panels(fitted)
    if not fitted.hidden_layers:
        return pixels
    sections = [figures.section("pixels", pixels)]
    for number, trained in enumerate(fitted.hidden_layers, start=1):
        g = fitted.network.geometries[number]
        title = (
            f"hidden layer {number}: {count(g.channels, 'kernel')}, {g.height} x {g.width} places, "
            f"a node sees {g.receptive_field} x {g.receptive_field} pixels"
        )
        sections.append(figures.section(title, hidden_panels(trained, fitted.network.networks[number])))
    if markov is not None:
        title = f"what nodes tell of each other beyond their parents, {markov.n_images:,} images (0 in a true network)"
        sections.append(figures.section(title, markov_panels(fitted.hidden_layers, markov)))
    return sections


def pixel_panels(fitted: FittedNetwork) -> Panels:
    """Marginal probability and expected surprise per channel, and the relations or the sizes of the trees."""
    probability, nats = fitted.node_statistics()
    drawn: Panels = []
    for c, threshold in enumerate(fitted.binarization.thresholds):
        name = "" if len(probability) == 1 else f", threshold {threshold:g}"
        drawn.append((f"share of ones{name}", probability[c], "probability", 0.0, 1.0))
        drawn.append((f"unpredictability{name}", nats[c], "mean -log p in training, nats", 0.0, None))
    pixels = fitted.network.pixels
    drawn += pixels.pictures()
    if pixels.tied_relations is not None:
        relations = [(r.child, r.parent, r.dy, r.dx) for r in pixels.tied_relations]
        drawn.append(figures.relation_panel(relations, "parents of a pixel"))
    return drawn


def hidden_panels(trained: Any, network: Any) -> Panels:
    """Kernels, learning curves and relations of a TrainedLayer; of trees their sizes, and curves if kernels learned."""
    curve = trained.curve
    gain = figures.curve_panel(
        [("gain", [point.gain for point in curve])], "objective (thesis eq. 8)", "gain, nats per image",
        kept=trained.best, right=("BIC of the layer", [point.bic for point in curve]),
    )  # fmt: skip
    shares = np.array([point.activation for point in curve]).T
    active = figures.curve_panel(
        [(str(kernel), share) for kernel, share in enumerate(shares)], "active nodes of every kernel",
        "share of active nodes", kept=trained.best, limits=(0, 1),
    )  # fmt: skip
    kernels = kernel_panel(trained.kernels.weights)
    if network.tied_relations is not None:
        return [kernels, gain, active, relation_gain_panel(trained)]
    return [kernels, *([gain] if len(curve) > 1 else []), active, *network.pictures()]


def kernel_panel(weights: Floats) -> figures.Panel:
    """Weights (kernels, channels, size, size) on one scale: a row for every kernel, or a grid where channels is 1."""
    kernels, channels = weights.shape[:2]
    if channels > 1:
        return figures.tile_panel(weights, "kernels", "weight", xlabel="channel of the layer below", ylabel="kernel")
    columns = int(np.ceil(np.sqrt(kernels)))
    rows = -(-kernels // columns)
    tiles = np.full((rows * columns, *weights.shape[2:]), np.nan)
    tiles[:kernels] = weights[:, 0]
    labels = [str(i) if i < kernels else None for i in range(rows * columns)]
    return figures.tile_panel(
        tiles.reshape(rows, columns, *weights.shape[2:]), "kernels", "weight",
        labels=[labels[i * columns : (i + 1) * columns] for i in range(rows)],
    )  # fmt: skip


def relation_gain_panel(trained: Any) -> figures.Panel:
    """By how much every relation lowers the BIC: a matrix child x parent for every offset, laid out as offsets are."""
    channels = trained.layer.channels
    offsets = {(step.relation.dy, step.relation.dx) for step in trained.steps}
    if not offsets:
        return figures.relation_panel([], "no relations")
    all_dy, all_dx = (sorted(set(values)) for values in zip(*offsets))
    tiles = np.full((len(all_dy), len(all_dx), channels, channels), np.nan)
    for step in trained.steps:
        r = step.relation
        tiles[all_dy.index(r.dy), all_dx.index(r.dx), r.child, r.parent] = -step.bic_change
    labels = [[f"({dy}, {dx})" if (dy, dx) in offsets else None for dx in all_dx] for dy in all_dy]
    low = min(0.0, float(np.nanmin(tiles)))  # forced relations may raise the BIC
    return figures.tile_panel(
        tiles, "relations by offset of the parent", "decrease of the BIC", labels=labels, vmin=low,
        vmax=max(float(np.nanmax(tiles)), low + 1.0), xlabel="parent kernel", ylabel="child kernel",
    )  # fmt: skip


def markov_panels(hidden_layers: Sequence[Any], report: Any) -> Panels:
    """Mean mutual information of the nodes of every hidden layer with their window, and with kernels at their place."""
    drawn: Panels = []
    for group in report.groups:
        (_, child, y, x), (_, other, other_y, other_x) = group.pairs.transpose(1, 2, 0)
        if group.kind == "window":
            kernels = hidden_layers[group.layer - 1].kernels
            side = kernels.weights.shape[2] + kernels.pool - 1
            at = child, other, other_y - y * kernels.pool, other_x - x * kernels.pool
            tiles = _means(group.nats, at, (*kernels.weights.shape[:2], side, side))
            drawn.append(
                figures.tile_panel(
                    tiles,
                    f"layer {group.layer}: node and its window",
                    "mean nats",
                    vmin=0.0,
                    vmax=max(float(tiles.max()), 1e-3),
                    xlabel="channel of the layer below",
                    ylabel="kernel",
                )
            )
        elif group.kind == "same_place":
            channels = hidden_layers[group.layer - 1].layer.channels
            matrix = _means(group.nats, (child, other), (channels, channels))
            largest = max(float(np.nanmax(matrix)), 1e-3)
            title = f"layer {group.layer}: kernels at one place (row, column)"
            drawn.append((title, matrix, "mean nats", 0.0, largest))
    return drawn


def _means(values: Floats, at: tuple[npt.NDArray[np.int64], ...], shape: tuple[int, ...]) -> Floats:
    """Means of values by index; NaN where there is none."""
    sums, n = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, at, values)
    np.add.at(n, at, 1)
    return np.divide(sums, n, out=np.full(shape, np.nan), where=n > 0)
