# SPDX-License-Identifier: BSD-3-Clause
"""The figure that shows what a model looks like: maps, tiles, curves, and the relations of a node (matplotlib).

Wrong panels raise ValueError in one line; a file that cannot be written raises CbnError and leaves an earlier one as it was.
"""

import math
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..io.files import atomic_write
from .colours import ABOUT_ZERO, SERIES, VALUES, series

if TYPE_CHECKING:  # matplotlib is loaded with the first figure
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Labels = Sequence[Sequence[str | None]]
Curve = tuple[str | None, npt.NDArray[np.float64]]


class RelationPanel(NamedTuple):
    """Made by :func:`relation_panel`."""

    relations: tuple[tuple[int, ...], ...]
    title: str


class TilePanel(NamedTuple):
    """Made by :func:`tile_panel`."""

    tiles: npt.NDArray[np.float64]
    labels: Labels | None
    title: str
    unit: str
    vmin: float
    vmax: float
    xlabel: str
    ylabel: str


class CurvePanel(NamedTuple):
    """Made by :func:`curve_panel`."""

    curves: list[Curve]
    title: str
    ylabel: str
    kept: int | None
    right: tuple[str, npt.NDArray[np.float64]] | None
    limits: tuple[float, float] | None


class MapPanel(NamedTuple):
    """Made of a tuple or dict."""

    title: str
    array: "np.ma.MaskedArray[tuple[int, ...], np.dtype[np.float64]]"
    unit: str
    vmin: float
    vmax: float


ReadPanel = RelationPanel | TilePanel | CurvePanel | MapPanel
# What users give: a map is a tuple or dict of what a MapPanel holds, in which the ends of the scale may be None.
GivenMap = tuple[str, npt.ArrayLike, str, float | None, float | None] | dict[str, Any]
Panel = RelationPanel | TilePanel | CurvePanel | GivenMap


class Section(NamedTuple):
    """Made by :func:`section`."""

    title: str
    panels: list[Panel]


_COLUMNS = 4  # panels beside each other
_PANEL_WIDTH = 4.2  # inches
_CELL, _GAP = 4, 3  # side of a cell of a tile, and the space between tiles, in units of the drawing
_LABEL_SPACE = 5  # more space above tiles that have labels


def relation_panel(relations: Sequence[Sequence[int]], title: str = "relations") -> RelationPanel:
    """Return a RelationPanel: arrows from the parents of a node to the node, which is drawn at (0, 0), rows downwards.

    Parameters
    ----------
    relations : sequence of (child_channel, parent_channel, dy, dx)
        Whole numbers: the child channel's node at (y, x) has the parent channel's node at (y + dy, x + dx) as a parent.
    title : str
    """
    array = np.asarray(relations) if len(relations) else np.empty((0, 4), dtype=np.int64)
    if array.ndim != 2 or array.shape[1] != 4 or array.dtype.kind not in "iu":
        raise ValueError("relations must be a sequence of (child_channel, parent_channel, dy, dx) of whole numbers")
    return RelationPanel(tuple(map(tuple, array.tolist())), str(title))


def tile_panel(
    tiles: npt.ArrayLike,
    title: str,
    unit: str,
    *,
    labels: Labels | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    xlabel: str = "",
    ylabel: str = "",
) -> TilePanel:
    """Return a TilePanel: small matrices in a grid, all on one colour scale.

    Parameters
    ----------
    tiles : (rows, columns, height, width) array
        Infinity and NaN are drawn light grey.
    title, unit : str
    labels : sequence of rows of str or None, optional
        Drawn above the tiles; a tile whose label is None is left out. Without labels the axes number rows and columns.
    vmin, vmax : float, optional
        Ends of the colour scale; by default symmetric about 0, up to the largest magnitude.
    xlabel, ylabel : str
        What columns and rows are.
    """
    tiles = np.asarray(tiles)
    if tiles.ndim != 4 or 0 in tiles.shape or tiles.dtype.kind not in "fiub":
        raise ValueError(f"tiles must be a real array (rows, columns, height, width), got {tiles.dtype} {tiles.shape}")
    tiles = np.where(np.isfinite(tiles), tiles, np.nan).astype(np.float64)
    if labels is not None and [len(row) for row in labels] != [tiles.shape[1]] * tiles.shape[0]:
        raise ValueError(f"labels must be {tiles.shape[0]} rows of {tiles.shape[1]}")
    largest = float(np.nanmax(np.abs(tiles), initial=0.0)) or 1.0
    vmin, vmax = -largest if vmin is None else float(vmin), largest if vmax is None else float(vmax)
    if not (math.isfinite(vmin) and math.isfinite(vmax) and vmin < vmax):
        raise ValueError(f"vmin and vmax must be finite, vmin below vmax, got {vmin:g} and {vmax:g}")
    return TilePanel(tiles, labels, str(title), str(unit), vmin, vmax, str(xlabel), str(ylabel))


def curve_panel(
    curves: Iterable[tuple[str | None, npt.ArrayLike]],
    title: str,
    ylabel: str,
    *,
    kept: int | None = None,
    right: tuple[str, npt.ArrayLike] | None = None,
    limits: tuple[float, float] | None = None,
) -> CurvePanel:
    """Return a CurvePanel: values by iteration.

    Parameters
    ----------
    curves : sequence of (label, values)
        At least one; label None for no key.
    title, ylabel : str
    kept : int, optional
        The iteration to mark.
    right : (label, values), optional
        One more curve, on an axis of its own at the right.
    limits : (low, high), optional
        Of the axis at the left.
    """
    left: list[Curve] = [(label, np.asarray(values, np.float64)) for label, values in curves]
    other = None if right is None else (str(right[0]), np.asarray(right[1], np.float64))
    every = [values for _, values in left] + ([other[1]] if other else [])
    if not left or any(v.ndim != 1 or len(v) != len(every[0]) or not len(v) for v in every):
        raise ValueError("curves must be at least one (label, values), all of the same length above 0")
    if kept is not None and not 0 <= kept < len(every[0]):
        raise ValueError(f"kept must be an iteration from 0 to {len(every[0]) - 1}, got {kept}")
    return CurvePanel(left, str(title), str(ylabel), kept, other, limits)


def section(title: str, panels: Iterable[Panel]) -> Section:
    """Return a Section: panels under a heading, on rows of their own."""
    return Section(str(title), list(panels))


def _draw_tiles(axes: "Axes", panel: TilePanel) -> None:
    """Draw all tiles as one picture, with a colour bar."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    rows, columns, height, width = panel.tiles.shape
    above = _LABEL_SPACE if panel.labels is not None else 0
    step_y, step_x = height * _CELL + _GAP + above, width * _CELL + _GAP
    norm = Normalize(panel.vmin, panel.vmax)
    colours = colormaps[ABOUT_ZERO if panel.vmin == -panel.vmax else VALUES].with_extremes(bad="0.9")
    canvas = np.ones((rows * step_y - _GAP, columns * step_x - _GAP, 4))
    for i in range(rows):
        for j in range(columns):
            label = panel.labels[i][j] if panel.labels is not None else ""
            if label is None:
                continue
            tile = colours(norm(np.ma.masked_invalid(panel.tiles[i, j])))
            top, left = i * step_y + above, j * step_x
            block = tile.repeat(_CELL, axis=0).repeat(_CELL, axis=1)
            canvas[top : top + height * _CELL, left : left + width * _CELL] = block
            if label:
                place = left + width * _CELL / 2 - 0.5, top - 1.2
                axes.text(*place, label, ha="center", va="bottom", fontsize="x-small")
    axes.imshow(canvas, interpolation="nearest")
    axes.set(title=panel.title, xlabel=panel.xlabel, ylabel=panel.ylabel, xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if panel.labels is None:
        longer = max(columns * step_x, rows * step_y)
        for axis, n, step, side in ((axes.xaxis, columns, step_x, width), (axes.yaxis, rows, step_y, height)):
            fit = max(1, round(12 * n * step / longer))  # more numbers would touch
            shown = range(0, n, -(-n // fit))
            axis.set_ticks([i * step + side * _CELL / 2 - 0.5 for i in shown], [str(i) for i in shown])
        axes.tick_params(length=0)
    axes.figure.colorbar(ScalarMappable(norm, colours), ax=axes, label=panel.unit, shrink=0.85)


def _draw_curves(axes: "Axes", panel: CurvePanel) -> None:
    """Draw curves by iteration; the kept iteration is a dotted line."""
    from matplotlib.ticker import MaxNLocator

    single = len(panel.curves[0][1]) == 1
    style: dict[str, Any] = {"marker": "o", "markersize": 4} if single else {}
    for i, (label, values) in enumerate(panel.curves):
        axes.plot(values, label=label, **series(i), **style)
    axes.set(title=panel.title, xlabel="iteration", ylabel=panel.ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
    if single:
        axes.set_xlim(-0.5, 0.5)
    axes.grid(color="0.9", linewidth=0.8)
    if panel.limits is not None:
        axes.set_ylim(*panel.limits)
    if panel.right is not None:
        axes.yaxis.label.set_color(SERIES[0])
        other = axes.twinx()
        colour = SERIES[1]
        other.plot(panel.right[1], color=colour, linestyle="--", **style)
        other.set_ylabel(panel.right[0], color=colour)
    if panel.kept is not None:
        axes.axvline(panel.kept, color="0.3", linestyle=":", linewidth=1.2, label=f"kept: {panel.kept}")
    names = axes.get_legend_handles_labels()[1]
    if 0 < len(names) <= 13:  # more would not fit
        axes.legend(fontsize="x-small", ncols=1 if len(names) <= 3 else 3, loc="best", framealpha=0.85)


def _draw_relations(axes: "Axes", panel: RelationPanel) -> None:
    """Draw one arrow per relation from parent to child, one colour per pair of channels."""
    pairs = sorted({relation[:2] for relation in panel.relations})
    reach = max([1, *(max(abs(dy), abs(dx)) for _, _, dy, dx in panel.relations)])
    for i, pair in enumerate(pairs):
        colour = SERIES[i % len(SERIES)]
        # Pairs that share an offset would cover each other: each bends its arrows differently, with ever smaller dots.
        bend = 0.0 if len(pairs) == 1 else 0.4 * (i / (len(pairs) - 1) - 0.5)
        points = [(dx, dy) for child, parent, dy, dx in panel.relations if (child, parent) == pair]
        for dx, dy in points:
            if (dx, dy) == (0, 0):  # another layer's node at the same place: a ring, an arrow would have no length
                axes.plot(0, 0, "o", markersize=20 + 4 * min(i, 9), fillstyle="none", color=colour, markeredgewidth=1.6)
                continue
            style = {"arrowstyle": "-|>", "shrinkB": 8, "connectionstyle": f"arc3,rad={bend}"}  # 8: beside the square
            axes.annotate("", xy=(0, 0), xytext=(dx, dy), arrowprops=style | {"color": colour})
        size = 6 + min(3 * (len(pairs) - 1 - i), 12)
        axes.plot(*zip(*points, strict=True), "o", color=colour, markersize=size, label=f"{pair[1]} → {pair[0]}")
    axes.plot(0, 0, "s", color="0.125", markersize=10)
    edge = reach + 0.6
    axes.set(xlim=(-edge, edge), ylim=(edge, -edge), aspect="equal")  # rows downwards, as in images
    step = max(1, reach // 3)
    marks = range(-(reach // step) * step, reach + 1, step)
    axes.set(xticks=marks, yticks=marks, xlabel="column offset", ylabel="row offset", axisbelow=True)
    axes.grid(color="0.88", linewidth=0.8)
    if 1 < len(pairs) <= 12:  # more would not fit; one pair needs no key
        axes.legend(title="parent → child", fontsize="x-small", title_fontsize="x-small", markerscale=0.6)


def _read_panel(panel: object, index: int) -> MapPanel:
    """Return the MapPanel of a tuple or dict, checked."""
    name = f"panels[{index}]"
    keys = ("title", "array", "unit", "vmin", "vmax")
    if isinstance(panel, dict):
        panel = [panel[key] for key in keys] if set(panel) == set(keys) else None
    if not isinstance(panel, (tuple, list)) or len(panel) != 5:
        raise ValueError(f"{name} must be a relation_panel, or a dict or tuple of {', '.join(keys)}")
    title, array, unit, vmin, vmax = panel
    array = np.asarray(array)
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold a real array (height, width), got {array.dtype} of shape {array.shape}")
    array = np.ma.masked_invalid(array.astype(np.float64))
    # An array of equal values, or without any finite value, still needs a scale.
    vmin = float(array.min() if array.count() else 0.0) if vmin is None else float(vmin)
    vmax = float(array.max() if array.count() else 1.0) if vmax is None else float(vmax)
    if not (math.isfinite(vmin) and math.isfinite(vmax) and vmin <= vmax):
        raise ValueError(f"{name} must have finite vmin <= vmax, got {vmin:g} and {vmax:g}")
    return MapPanel(str(title), array, str(unit), vmin, vmax if vmax > vmin else vmin + 1.0)


def model_summary_figure(panels: Iterable[Panel] | Iterable[Section], path: str | os.PathLike[str]) -> None:
    """Write a figure of what a model looks like, as PNG, whole or not at all.

    Parameters
    ----------
    panels : sequence
        Each a `relation_panel`, `tile_panel` or `curve_panel`, or a tuple or dict (title, array (height, width), unit,
        vmin, vmax), drawn with a colour bar. None: the array's own extreme. A scale symmetric about 0 is blue, white,
        red; NaN and infinity grey. Or every entry is a `section` of such panels: they go below each other.
    path : str or path-like
    """
    figure = _figure(list(panels))
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)


def _figure(given: Sequence[Panel | Section]) -> "Figure":
    """The figure of panels, laid out."""
    # Figure and the Agg canvas directly: pyplot would pick a window system and keep every figure in a global list.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not given:
        raise ValueError("panels must hold at least one panel, got none")
    under_headings = [entry for entry in given if isinstance(entry, Section)]
    if len(under_headings) == len(given):
        sections = [(s.title, [_read(p, i) for i, p in enumerate(s.panels)]) for s in under_headings]
        columns = min(_COLUMNS, max(len(own) for _, own in sections))
    else:
        sections = [("", [_read(panel, i) for i, panel in enumerate(given)])]
        columns = min(_COLUMNS, math.ceil(math.sqrt(len(given))))
    rows = [-(-len(own) // columns) for _, own in sections]
    heights = [3.5 * n + (0.35 if title else 0.0) for n, (title, _) in zip(rows, sections)]
    figure = Figure(figsize=(_PANEL_WIDTH * columns, sum(heights)), layout="constrained")  # inches
    FigureCanvasAgg(figure)
    parts = figure.subfigures(len(sections), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, (title, own), n in zip(parts, sections, rows):
        if title:
            part.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize="large")
        # Every panel has a figure of its own: what is beside a picture of fixed proportions stays in the panel's cell.
        cells = part.subfigures(n, columns, squeeze=False).ravel()
        for cell, panel in zip(cells, own):
            _draw(cell.add_subplot(), panel)
    return figure


def _read(panel: object, index: int) -> ReadPanel:
    return panel if isinstance(panel, RelationPanel | TilePanel | CurvePanel) else _read_panel(panel, index)


def _draw(axes: "Axes", panel: ReadPanel) -> None:
    """Draw a panel of any kind."""
    if isinstance(panel, RelationPanel):
        _draw_relations(axes, panel)
    elif isinstance(panel, TilePanel):
        _draw_tiles(axes, panel)
    elif isinstance(panel, CurvePanel):
        _draw_curves(axes, panel)
    else:
        _draw_map(axes, panel)
    axes.set_title(panel.title, fontsize="medium")


def _draw_map(axes: "Axes", panel: MapPanel) -> None:
    """Draw values with a colour bar."""
    from matplotlib import colormaps
    from matplotlib.ticker import MaxNLocator

    array, unit, vmin, vmax = panel[1:]
    colours = colormaps[ABOUT_ZERO if vmin == -vmax else VALUES].with_extremes(bad="0.85")
    drawn = axes.imshow(array, cmap=colours, vmin=vmin, vmax=vmax, interpolation="nearest")
    for axis, length in ((axes.xaxis, array.shape[1]), (axes.yaxis, array.shape[0])):
        # Fewer ticks along the short side, whose labels would touch.
        locator = axis.get_major_locator()
        assert isinstance(locator, MaxNLocator)  # matplotlib's default
        locator.set_params(integer=True, nbins=max(1, round(6 * length / max(array.shape))))
    axes.figure.colorbar(drawn, ax=axes, label=unit, shrink=0.85)
