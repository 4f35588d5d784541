# SPDX-License-Identifier: BSD-3-Clause
"""What hidden nodes respond to: the mean pixels below them, and pictures of their states beside the image."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..exceptions import DataError
from ..explain.networks import Geometry
from . import pictures
from .colours import ABOUT_ZERO

if TYPE_CHECKING:  # Pillow is loaded with the first picture
    from PIL import Image

_OUTSIDE = 176  # of a map: pixels that are the centre of no node
_WIDTH = 1200  # pixels; small pictures are enlarged by the largest whole factor that stays within about this,
_SMALLEST, _LARGEST = 44, 120  # and gives tiles between these sizes
_TEXT = 13


def response_picture(
    images: npt.ArrayLike,
    names: Sequence[str],
    states: Sequence[npt.NDArray[np.uint8]],
    patches: Sequence[npt.NDArray[np.float64]],
    geometries: Sequence[Geometry],
    full_scale: int = 1,
) -> "Image.Image":
    """Draw images, one a row, beside the maps of all kernels of all hidden layers.

    The head of the picture shows every kernel's mean pixels where it is on, and by how much they differ from those
    where it is off (red: brighter where it is on). A map lies on the same pixels as its image: every node is a square
    at the centre of its receptive field.

    Parameters
    ----------
    images : (n, height, width) uint8 array, 0 to `full_scale`
    names : sequence of str
        One for every image.
    states : list of (n, kernels, rows, columns) uint8 arrays, one for every hidden layer
    patches : list of (kernels, 2, field, field) float arrays
        As of `mean_patches`, but as a share of full scale.
    geometries : sequence of cbn.layers.geometry.LayerGeometry
        Of the hidden layers.
    full_scale : int, 1 to 255

    Returns
    -------
    picture : PIL.Image.Image of mode "RGB"
    """
    import matplotlib
    from PIL import Image, ImageDraw

    grey = pictures._check_images(images, full_scale, "images", 3)
    n, height, width = grey.shape
    if len(names) != n or len(states) != len(geometries) or len(patches) != len(geometries) or not geometries:
        raise DataError(
            f"{n} images with {len(names)} names, {len(states)} layers of states, {len(patches)} of patches and "
            f"{len(geometries)} geometries: give one name for each image, and one of the others for each hidden layer"
        )
    tiles_across = 1 + sum(geometry.channels for geometry in geometries)
    scale = min(_WIDTH // (tiles_across * (width + 2)), _LARGEST // max(height, width))
    scale = max(scale, -(-_SMALLEST // max(height, width)), 1)
    tile = width * scale, height * scale
    font, gap = pictures._font(_TEXT), max(3, scale)
    names = [" ".join(str(name).split())[:24] for name in names]
    captions = "mean pixels where on", "minus where off (red: +)"
    left = math.ceil(max(font.getlength(text) for text in (*names, *captions))) + 2 * _TEXT
    top = 4 * _TEXT
    # columns: the image, then the kernels of every layer after a wider gap
    differences = [patch[:, 1] - patch[:, 0] for patch in patches]
    largest = [float(np.nanmax(np.abs(difference), initial=0.0)) or 1.0 for difference in differences]
    headings = [
        f"layer {number}: {g.receptive_field} x {g.receptive_field} pixels a node, differences to ±{top_value:.2f}"
        for number, (g, top_value) in enumerate(zip(geometries, largest), start=1)
    ]
    starts, x = [], left + tile[0] + 4 * gap
    for geometry, heading in zip(geometries, headings):
        starts.append(x)
        x += max(geometry.channels * (tile[0] + gap), math.ceil(font.getlength(heading)) + _TEXT) + 3 * gap
    head = 2 * (tile[1] + gap) + 2 * gap
    picture = Image.new("RGB", (x, top + head + n * (tile[1] + gap) + _TEXT), pictures._PAPER)
    draw = ImageDraw.Draw(picture)

    def paste(colours: npt.NDArray[np.uint8], x: int, y: int) -> None:
        """A picture of (h, w, 3) uint8 in the middle of the tile at (x, y), as large as fits."""
        factor = max(1, min(tile[0] // colours.shape[1], tile[1] // colours.shape[0]))
        large = np.ascontiguousarray(colours).repeat(factor, axis=0).repeat(factor, axis=1)[: tile[1], : tile[0]]
        corner = x + (tile[0] - large.shape[1]) // 2, y + (tile[1] - large.shape[0]) // 2
        draw.rectangle((corner[0] - 1, corner[1] - 1, corner[0] + large.shape[1], corner[1] + large.shape[0]),
                       outline=(pictures._GREY,) * 3)  # fmt: skip
        picture.paste(Image.fromarray(large), corner)

    diverging = matplotlib.colormaps[ABOUT_ZERO].with_extremes(bad="0.9")
    rows = [top + head + i * (tile[1] + gap) for i in range(n)]
    for i, y in enumerate(rows):
        draw.text((left - _TEXT, y + tile[1] // 2), names[i], fill=pictures._PEN, font=font, anchor="rm")
        paste(_rgb(grey[i]), left, y)
    for i, caption in enumerate(captions):
        place = left - _TEXT, top + i * (tile[1] + gap) + tile[1] // 2
        draw.text(place, caption, fill=pictures._PEN, font=font, anchor="rm")
    for number, (geometry, own, patch, start) in enumerate(zip(geometries, states, patches, starts)):
        draw.text((start, _TEXT // 2), headings[number], fill=pictures._PEN, font=font)
        for kernel in range(geometry.channels):
            x = start + kernel * (tile[0] + gap)
            draw.text((x + tile[0] // 2, 2 * _TEXT), f"{kernel}", fill=pictures._PEN, font=font, anchor="mt")
            on = np.where(np.isfinite(patch[kernel, 1]), patch[kernel, 1], _OUTSIDE / 255)
            paste(_rgb(np.rint(255 * on).astype(np.uint8)), x, top)
            share = 0.5 + differences[number][kernel] / (2 * largest[number])
            colours = diverging(np.ma.masked_invalid(share), bytes=True)
            paste(colours[..., :3], x, top + tile[1] + gap)
            for i, y in enumerate(rows):
                paste(_rgb(_node_map(own[i, kernel], geometry, (height, width), scale)), x, y)
    return picture


def _rgb(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.repeat(grey[..., None], 3, axis=2)


def _node_map(
    states: npt.NDArray[np.uint8], geometry: Geometry, shape: tuple[int, int], scale: int
) -> npt.NDArray[np.uint8]:
    """States (rows, columns) as grey pixels: every node where the centre of its receptive field is."""
    large = np.full((shape[0] * scale, shape[1] * scale), _OUTSIDE, np.uint8)
    margin = (geometry.receptive_field - geometry.stride) * scale // 2
    side = geometry.stride * scale
    block = (255 * states).astype(np.uint8).repeat(side, axis=0).repeat(side, axis=1)
    large[margin : margin + len(block), margin : margin + block.shape[1]] = block
    return large
