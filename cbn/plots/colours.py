# SPDX-License-Identifier: BSD-3-Clause
"""The colours of all pictures, which readers who tell red from green badly, or not at all, can use.

Values have the colour maps of matplotlib whose lightness rises evenly, so that order is seen without hue; values about 0
one from blue over white to red. Curves have the eight colours of M. Okabe and K. Ito, "Color universal design" (2008),
but for their yellow, which is too light on white. tests/plots/test_colours.py holds all of them to a formula.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

HEAT = "inferno"  # of maps: what is usual is dark
VALUES = "viridis"
ABOUT_ZERO = "RdBu_r"
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_DASHES = "-", "--", "-.", ":"

# How much of a picture an overlay shows, and how much of it the hottest colour hides: a defect stays visible below.
_DIMMED, _HIDDEN = 0.6, 0.8


def series(index: int) -> dict[str, Any]:
    """Colour and dashes of a curve as matplotlib takes them; after seven the colours come again with other dashes."""
    return {
        "color": SERIES[index % len(SERIES)],
        "linestyle": _DASHES[index // len(SERIES) % len(_DASHES)],
    }


def coloured(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Shares of the scale of maps as (..., 3) uint8; those outside [0, 1] have the colours of its ends."""
    import matplotlib

    return np.ascontiguousarray(matplotlib.colormaps[HEAT](np.clip(shares, 0.0, 1.0), bytes=True)[..., :3])


def overlaid(rgb: npt.NDArray[np.uint8], shares: npt.NDArray[np.float64], power: float = 1) -> npt.NDArray[np.uint8]:
    """A picture (h, w, 3) under the colours of shares (h, w) of the scale of maps.

    The picture is dimmed, so that no white of its own outshines the scale. The higher the share, to a power, the less of
    it shows: with 2 shares that are not 0 where all is as usual hardly hide it.
    """
    opacity = _HIDDEN * np.clip(shares, 0.0, 1.0)[..., None] ** power
    return np.rint((1 - opacity) * _DIMMED * rgb + opacity * coloured(shares)).astype(np.uint8)
