# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of images, samples and surprise: Pillow for pixels, matplotlib for colour maps.

Every picture is a pure function of its arguments. The surprise scale is an argument, never taken from the picture,
so that two pictures of one model can be compared: a normal image stays dark.

Every function raises ValueError (DataError for arrays) in one line that names the argument of wrong shape, type or
value; those that write a file raise CbnError when it cannot be written, and leave an earlier file as it was.
"""

import math
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from ..exceptions import DataError
from ..io.files import atomic_write
from .colours import coloured, overlaid
from .focus import focused

if TYPE_CHECKING:  # Pillow is loaded with the first picture
    from PIL import Image, ImageFont

_GREY = 128  # between tiles: neither of the two values of a binary image
_BLUE = (66, 120, 220)  # hole of an inpainting: no grey value can be mistaken for it
_RED = (214, 60, 46)
_PAPER = (255, 255, 255)
_PEN = (32, 32, 32)
_WIDTH = 900  # pixels; small pictures are enlarged by the largest whole factor that stays within it
_HEIGHT = 3600  # the same for tall pictures, generous because pages scroll
_LAST_FRAME = 1500  # milliseconds that the final frame of a GIF stays at least, before it starts again


def _check_count(value: object, name: str, lowest: int, highest: int = 10_000) -> int:
    """Return a whole number from `lowest` to `highest`."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not lowest <= value <= highest:
        raise ValueError(f"{name} must be a whole number from {lowest} to {highest}, got {value!r}")
    return int(value)


def _check_images(images: npt.ArrayLike, full_scale: int, name: str, ndim: Literal[2, 3]) -> npt.NDArray[np.uint8]:
    """Return the images as uint8 grey levels 0..255; raise one line that names the argument otherwise."""
    full_scale = _check_count(full_scale, "full_scale", 1, 255)
    shape = "(n, height, width)" if ndim == 3 else "(height, width)"
    images = np.asarray(images)
    if images.ndim != ndim or 0 in images.shape:
        raise DataError(f"{name} must have shape {shape} and not be empty, got shape {images.shape}")
    if images.dtype != np.uint8 and images.dtype != np.bool_:
        raise DataError(f"{name} must be uint8, got dtype {images.dtype}")
    if images.max() > full_scale:
        raise DataError(f"{name} must be at most full_scale={full_scale}, got {images.max()}; give full_scale=255")
    return np.rint(images * (255.0 / full_scale)).astype(np.uint8)


def _check_reals(values: npt.ArrayLike, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Return a float64 copy of real values (height, width) of the given shape without NaN; infinity is allowed."""
    values = np.asarray(values)
    if values.shape != shape or values.dtype.kind not in "fiub":
        raise DataError(f"{name} must be real, of the image's shape {shape}, got {values.dtype} and {values.shape}")
    values = values.astype(np.float64)
    if np.isnan(values).any():
        raise DataError(f"{name} must not hold NaN")
    return values


def _tile(tiles: npt.NDArray[np.uint8], columns: int | None, scale: int | None, gap: int) -> "Image.Image":
    """Lay (n, h, w) or (n, h, w, 3) uint8 tiles on grey, row by row, and enlarge all, gaps too; return a PIL.Image."""
    from PIL import Image

    n, h, w = tiles.shape[:3]
    # Columns such that the picture, not the number of tiles, is about square.
    columns = min(n, _check_count(columns, "columns", 1) if columns is not None else math.ceil(math.sqrt(n * h / w)))
    gap = _check_count(gap, "gap", 0)
    rows = -(-n // columns)
    height, width = rows * (h + gap) - gap, columns * (w + gap) - gap
    scale = _check_count(scale, "scale", 1) if scale is not None else max(1, min(_WIDTH // width, _HEIGHT // height))
    canvas = np.full((height, width) + tiles.shape[3:], _GREY, dtype=np.uint8)
    for i, tile in enumerate(tiles):
        top, left = i // columns * (h + gap), i % columns * (w + gap)
        canvas[top : top + h, left : left + w] = tile
    return Image.fromarray(canvas).resize((width * scale, height * scale), Image.Resampling.NEAREST)


def grid(
    images: npt.ArrayLike, full_scale: int = 1, columns: int | None = None, scale: int | None = None, gap: int = 1
) -> "Image.Image":
    """Lay images in a grid.

    Parameters
    ----------
    images : (n, height, width) uint8 or bool array, 0 (black) to `full_scale` (white)
    full_scale : int, 1 to 255
    columns : int or None
        Images per row; by default as many as make the picture about square.
    scale : int or None
        Nearest-neighbour enlargement; by default the largest that keeps the picture within 900 pixels of width (and
        3600 of height), so 600 to 900 pixels wide for small images.
    gap : int
        Mid-grey space between images, in image pixels (enlarged with them).

    Returns
    -------
    picture : PIL.Image.Image of mode "L"
    """
    return _tile(_check_images(images, full_scale, "images", 3), columns, scale, gap)


def save_png(image: "Image.Image", path: str | os.PathLike[str]) -> None:
    """Write a PIL.Image.Image as PNG to a path (str or path-like), whole or not at all."""
    with atomic_write(path) as file:
        image.save(file, format="PNG")


def save_gif(frames: Iterable["Image.Image"], path: str | os.PathLike[str], milliseconds: int = 80) -> None:
    """Write PIL images as an endless GIF, whole or not at all.

    Parameters
    ----------
    frames : list of PIL.Image.Image
        At least one, all of the same size. Equal successive frames are stored once and shown as long as all of them.
    path : str or path-like
    milliseconds : int
        Time of each frame, 20 (viewers slow down faster ones) to 65000, in the format's steps of 10; the last stays
        1.5 seconds or ten times as long, whichever is more.
    """
    frames = list(frames)
    if not frames:
        raise ValueError("frames must hold at least one picture, got none")
    sizes = {frame.size for frame in frames}
    if len(sizes) > 1:
        raise ValueError(f"frames must all have the same size, got {sorted(sizes)}")
    # Ten times the highest just fits the format's 16-bit hundredths of seconds.
    milliseconds = _check_count(milliseconds, "milliseconds", 20, 65_000)
    durations = [milliseconds] * (len(frames) - 1) + [max(_LAST_FRAME, 10 * milliseconds)]
    with atomic_write(path) as file:
        frames[0].save(file, format="GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)


def _font(size: int) -> "ImageFont.FreeTypeFont":
    """Return matplotlib's own font at a size in pixels: the same on every machine, whatever fonts it has."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(matplotlib.get_data_path() + "/fonts/ttf/DejaVuSans.ttf", size)


def _ticks(vmax: float) -> list[float]:
    """Return at most 6 round tick values from 0 to below vmax, none so near that its label would touch vmax's."""
    step = 10.0 ** math.floor(math.log10(vmax / 5))
    step *= next(m for m in (1, 2, 5, 10) if m * step >= vmax / 5 * (1 - 1e-9))
    return [i * step for i in range(6) if i * step <= 0.9 * vmax]


def heat_map(
    image: npt.ArrayLike,
    surprise: npt.ArrayLike,
    vmax: float,
    full_scale: int = 1,
    title: str | None = None,
    contrast: tuple[npt.ArrayLike, float] | None = None,
) -> "Image.Image":
    """Draw an image, its surprise map over it, the map alone, and a colour bar.

    Parameters
    ----------
    image : (height, width) uint8 or bool array, 0 to `full_scale`
        Best the image as it was given: the map says where the network, which may see fewer grey levels, is surprised.
    surprise : (height, width) float array
        Surprise of each pixel, in nats. Values below 0 (less surprising than expected) are drawn as 0, those above
        `vmax` as `vmax`.
    vmax : float
        Top of the colour scale, in nats. Give the same for all pictures of a model: it is never taken from the picture.
    full_scale : int, 1 to 255
    title : str or None
    contrast : ((height, width) float array, float), optional
        What speaks against the class, in nats, and the top of its own scale: one more panel.

    Returns
    -------
    picture : PIL.Image.Image of mode "RGB"; small images are enlarged by a whole factor, large ones never shrunk
    """
    grey = _check_images(image, full_scale, "image", 2)
    surprise = _check_reals(surprise, "surprise", grey.shape)
    vmax = _check_scale(vmax, "nats")
    rgb, shares = np.repeat(grey[..., None], 3, axis=2), surprise / vmax
    panels = {"image": rgb, "overlay": overlaid(rgb, shares), "surprise (nats)": coloured(shares)}
    if contrast is not None:
        against, top = _check_reals(contrast[0], "contrast", grey.shape), _check_scale(contrast[1], "nats")
        panels[f"contrast (brightest: {top:.2g} nats)"] = coloured(against / top)
    return _beside_bar(panels, vmax, title)


def energy_map(
    image: npt.ArrayLike,
    energy: npt.ArrayLike,
    vmax: float,
    title: str | None = None,
    mask: npt.ArrayLike | None = None,
    blur: float | None = None,
    original: npt.ArrayLike | None = None,
) -> "Image.Image":
    """Draw a picture, its energy map over it, the map alone, and a colour bar.

    Parameters
    ----------
    image : (height, width) or (height, width, 3) uint8 array
    energy : (height, width) float array
        Energy of each pixel, in standard deviations of the errors on normal pictures.
    vmax : float
        Top of the colour scale. Give the same for all pictures of a model: it is never taken from the picture.
    title : str or None
    mask : (height, width) bool array, optional
        Where the picture is known to be defective: outlined in blue.
    blur : float, optional
        Pixels by which the method blurs (``map_blur`` of a fitted model): what the blur of peaks explains is not drawn,
        see :func:`cbn.plots.focus.focused`. By default the map is drawn as it is.
    original : (h, w) or (h, w, 3) uint8 array, optional
        The picture before it was brought to the size of the map: drawn in place of ``image``, the map enlarged over it.

    Returns
    -------
    picture : PIL.Image.Image of mode "RGB"; small images are enlarged by a whole factor, large ones never shrunk
    """
    image = _check_picture(image, "image")
    energy = _check_reals(energy, "energy", image.shape[:2])
    vmax = _check_scale(vmax, "standard deviations")
    if blur is not None:
        if not (math.isfinite(blur) and blur > 0):
            raise ValueError(f"blur must be finite and positive (pixels), got {blur}")
        energy = focused(energy, blur)
    if mask is not None:
        mask = np.asarray(mask)
        if mask.dtype != np.bool_ or mask.shape != image.shape[:2]:
            raise DataError(f"mask must be bool of shape {image.shape[:2]}, got {mask.dtype} {mask.shape}")
    if original is not None:
        image = _check_picture(original, "original")
        energy, mask = _enlarged(energy, mask, vmax, image.shape[:2])
    rgb = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    heat, over = coloured(energy / vmax), overlaid(rgb, energy / vmax, power=2)
    if mask is not None:
        padded = np.pad(mask, 1)
        around = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
        rgb = np.where((around & ~mask)[..., None], np.array(_BLUE, np.uint8), rgb)
    return _beside_bar({"picture": rgb, "overlay": over, "energy (std. dev.)": heat}, vmax, title)


def _check_picture(picture: npt.ArrayLike, name: str) -> npt.NDArray[np.uint8]:
    picture = np.asarray(picture)
    if (
        picture.dtype != np.uint8
        or 0 in picture.shape
        or picture.ndim not in (2, 3)
        or picture.shape[2:] not in ((), (3,))
    ):
        found = f"{picture.dtype} {picture.shape}"
        raise DataError(f"{name} must be uint8, (height, width) or (height, width, 3), got {found}")
    return picture


def _enlarged(
    energy: npt.NDArray[np.float64], mask: npt.NDArray[np.bool_] | None, vmax: float, shape: tuple[int, ...]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_] | None]:
    """A map, of which nothing above vmax is drawn, and a mask in another size."""
    from PIL import Image

    size, values = (shape[1], shape[0]), np.clip(energy, 0, vmax).astype(np.float32)
    larger = np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR), np.float64)
    if mask is None:
        return larger, None
    return larger, np.asarray(Image.fromarray(mask.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)) > 0


def _check_scale(vmax: float, unit: str) -> float:
    vmax = float(vmax)
    if not (math.isfinite(vmax) and vmax > 0):
        raise ValueError(f"vmax must be finite and positive ({unit}), got {vmax}")
    return vmax


def _beside_bar(panels: dict[str, npt.NDArray[np.uint8]], vmax: float, title: str | None) -> "Image.Image":
    """Panels of one size, {caption: (height, width) or (height, width, 3) uint8}, beside the colour bar 0 to vmax."""
    from PIL import Image, ImageDraw

    h, w = next(iter(panels.values())).shape[:2]
    scale = max(1, 336 // max(h, w))  # 336 = 12 * 28
    size = (w * scale, h * scale)

    # All lengths follow from the height of the panels. A strip one pixel high still gets a bar with room for labels.
    bar_height = max(size[1], 160)
    text = min(40, max(14, bar_height // 26))
    font, pad, bar_width = _font(text), text, text + text // 2
    labels = [(value, f"{value:g}") for value in _ticks(vmax)] + [(vmax, f">= {vmax:.4g}")]
    label_width = math.ceil(max(font.getlength(label) for _, label in labels))
    # a narrow panel's cell is as wide as the widest caption
    cell = max(size[0], math.ceil(max(font.getlength(caption) for caption in panels)))
    bar_left = (len(panels) + 1) * pad + len(panels) * cell
    width = bar_left + bar_width + pad // 2 + label_width + pad
    top = pad + (2 * text if title else 0)
    title = " ".join(str(title or "").split())  # one line
    width = max(width, math.ceil(font.getlength(title)) + 2 * pad)
    # Besides the bar: half a label sticks out above and below, and a line of captions.
    picture = Image.new("RGB", (width, top + bar_height + pad // 2 + text + pad), _PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((pad, pad), title, fill=_PEN, font=font, anchor="lt")
    for i, (caption, pixels) in enumerate(panels.items()):
        x = pad + i * (pad + cell)
        corner = (x + (cell - size[0]) // 2, top + (bar_height - size[1]) // 2)
        # A thin frame: a white image would have no border on white paper.
        draw.rectangle((corner[0] - 1, corner[1] - 1, corner[0] + size[0], corner[1] + size[1]), outline=(_GREY,) * 3)
        picture.paste(Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST), corner)
        draw.text((x + cell // 2, top + bar_height + pad // 2), caption, fill=_PEN, font=font, anchor="mt")
    ramp = coloured(np.linspace(1.0, 0.0, bar_height))[:, None]
    picture.paste(Image.fromarray(np.repeat(ramp, bar_width, axis=1)), (bar_left, top))
    draw.rectangle((bar_left - 1, top - 1, bar_left + bar_width, top + bar_height), outline=(_GREY,) * 3)
    for value, label in labels:
        y = top + round((1 - value / vmax) * (bar_height - 1))
        draw.line((bar_left + bar_width, y, bar_left + bar_width + pad // 4, y), fill=_PEN)
        draw.text((bar_left + bar_width + pad // 2, y), label, fill=_PEN, font=font, anchor="lm")
    return picture


def inpainting(
    image: npt.ArrayLike, mask: npt.ArrayLike, samples: npt.ArrayLike, mean: npt.ArrayLike, full_scale: int = 1
) -> "Image.Image":
    """Draw an image with a hole, the posterior mean, then posterior samples, in rows.

    Parameters
    ----------
    image : (height, width) uint8 or bool array
        Values 0 to `full_scale`; those in the hole are not shown, because the model does not see them.
    mask : (height, width) bool array, True in the hole
    samples : (n, height, width) uint8 or bool array of filled-in images; n may be 0
    mean : (height, width) float array, posterior mean from 0 to `full_scale`
    full_scale : int, 1 to 255

    Returns
    -------
    picture : PIL.Image.Image of mode "RGB"; the hole is blue; at most 10 pictures per row, all enlarged alike
    """
    return _tile(_inpainting_tiles(image, mask, samples, mean, full_scale), columns=10, scale=None, gap=1)


def _inpainting_tiles(
    image: npt.ArrayLike, mask: npt.ArrayLike, samples: npt.ArrayLike, mean: npt.ArrayLike, full_scale: int
) -> npt.NDArray[np.uint8]:
    """The pictures of :func:`inpainting`, (2 + n, height, width, 3)."""
    grey = _check_images(image, full_scale, "image", 2)
    mask = np.asarray(mask)
    if mask.shape != grey.shape or mask.dtype != np.bool_:
        raise DataError(f"mask must be bool, of the image's shape {grey.shape}, got {mask.dtype} and {mask.shape}")
    mean = _check_reals(mean, "mean", grey.shape)
    # A mean of many values may miss the bounds by a rounding error.
    if mean.min() < -1e-6 * full_scale or mean.max() > (1 + 1e-6) * full_scale:
        raise DataError(f"mean must lie between 0 and full_scale={full_scale}, got {mean.min():g} to {mean.max():g}")
    samples = np.asarray(samples)
    if samples.ndim != 3 or samples.shape[1:] != grey.shape:
        raise DataError(f"samples must have shape (n, {grey.shape[0]}, {grey.shape[1]}), got shape {samples.shape}")
    grey_samples = _check_images(samples, full_scale, "samples", 3) if len(samples) else samples.astype(np.uint8)
    grey_mean = np.rint(np.clip(mean, 0, full_scale) * (255.0 / full_scale)).astype(np.uint8)
    tiles = np.repeat(np.concatenate([grey[None], grey_mean[None], grey_samples])[..., None], 3, axis=3)
    tiles[0][mask] = _BLUE
    return tiles


def repair(image: npt.ArrayLike, repaired: npt.ArrayLike, full_scale: int = 1) -> "Image.Image":
    """Draw an image, the repaired one and the difference: red where pixels were added, blue where they were removed.

    Parameters
    ----------
    image, repaired : (height, width) uint8 or bool arrays
        Values 0 to `full_scale`.
    full_scale : int, 1 to 255

    Returns
    -------
    picture : PIL.Image.Image of mode "RGB"
    """
    before = _check_images(image, full_scale, "image", 2)
    after = _check_images(repaired, full_scale, "repaired", 2)
    if before.shape != after.shape:
        raise DataError(f"repaired must have the image's shape {before.shape}, got {after.shape}")
    tiles = np.repeat(np.stack([before, after, after // 3])[..., None], 3, axis=3)
    tiles[2][after > before] = _RED
    tiles[2][after < before] = _BLUE
    return _tile(tiles, columns=3, scale=None, gap=1)
