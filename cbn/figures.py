# SPDX-License-Identifier: BSD-3-Clause
"""The figure that shows what a model looks like: maps with colour bars, and the relations of a node (matplotlib).

Wrong panels raise ValueError in one line; a file that cannot be written raises CbnError and leaves an earlier one as it was.
"""

import math
from collections import namedtuple

import numpy as np

from ._files import atomic_write

RelationPanel = namedtuple("RelationPanel", ("relations", "title"))  # made by `relation_panel`


def relation_panel(relations, title="relations"):
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


def _draw_relations(axes, panel):
    """Draw one arrow per relation from parent to child, one colour per pair of channels."""
    from matplotlib import colormaps

    pairs = sorted({relation[:2] for relation in panel.relations})
    reach = max([1, *(max(abs(dy), abs(dx)) for _, _, dy, dx in panel.relations)])
    for i, pair in enumerate(pairs):
        colour = colormaps["tab10"](i % 10)
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


def _read_panel(panel, index):
    """Return (title, array, unit, vmin, vmax) of a tuple or dict panel, checked."""
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
    return str(title), array, str(unit), vmin, vmax if vmax > vmin else vmin + 1.0


def model_summary_figure(panels, path):
    """Write a figure of what a model looks like, as PNG, whole or not at all.

    Parameters
    ----------
    panels : sequence
        Each a `relation_panel`, or a tuple or dict (title, array (height, width), unit, vmin, vmax), drawn with a
        colour bar. None: the array's own extreme. A scale symmetric about 0 is blue, white, red; NaN and infinity grey.
    path : str or path-like
    """
    # Figure and the Agg canvas directly: pyplot would pick a window system and keep every figure in a global list.
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [panel if isinstance(panel, RelationPanel) else _read_panel(panel, i) for i, panel in enumerate(panels)]
    if not panels:
        raise ValueError("panels must hold at least one panel, got none")
    columns = min(4, math.ceil(math.sqrt(len(panels))))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4.0 * columns, 3.5 * rows), layout="constrained")  # inches
    FigureCanvasAgg(figure)
    for i, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, i + 1)
        if isinstance(panel, RelationPanel):
            axes.set_title(panel.title, fontsize="medium")
            _draw_relations(axes, panel)
            continue
        title, array, unit, vmin, vmax = panel
        colours = colormaps["RdBu_r" if vmin == -vmax else "viridis"].with_extremes(bad="0.85")
        drawn = axes.imshow(array, cmap=colours, vmin=vmin, vmax=vmax, interpolation="nearest")
        axes.set_title(title, fontsize="medium")
        for axis, length in ((axes.xaxis, array.shape[1]), (axes.yaxis, array.shape[0])):
            # Fewer ticks along the short side, whose labels would touch.
            axis.get_major_locator().set_params(integer=True, nbins=max(1, round(6 * length / max(array.shape))))
        figure.colorbar(drawn, ax=axes, label=unit, shrink=0.85)
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)
