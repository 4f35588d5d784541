# SPDX-License-Identifier: BSD-3-Clause
"""A contact sheet: pictures of any size and colour in cells of one size, each above its caption."""

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..exceptions import DataError
from .pictures import _font

if TYPE_CHECKING:  # Pillow is loaded with the first picture
    from PIL import Image

_SIDE = 256  # pixels of a picture's longer side at most
_NARROWEST = 176  # of a cell: a caption of some twenty letters
_TEXT, _LINE, _PAD, _FRAME = 14, 18, 10, 3
_PAPER, _PEN, _FAINT = (255, 255, 255), (32, 32, 32), (200, 200, 200)
_MARK = (213, 94, 0)  # vermilion, which colour-blind readers tell from grey by its darkness
_OUTLINE, _HALO = (255, 176, 0), (0, 0, 0)  # amber within black is seen on any ground


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture of a sheet and what is said of it.

    Attributes
    ----------
    picture : (height, width) or (height, width, 3) ndarray, uint8 or bool
    caption : sequence of str
        Lines. The first, which is the name, takes two where it is long; those that are too long for the cell even so are
        shortened in the middle.
    marked : bool
        Framed in colour.
    outline : (height, width) bool ndarray, optional
        Regions to draw a line around.
    """

    picture: npt.NDArray[np.uint8] | npt.NDArray[np.bool_]
    caption: Sequence[str]
    marked: bool = False
    outline: npt.NDArray[np.bool_] | None = None


def contact_sheet(tiles: Sequence[Tile], title: str = "", columns: int | None = None) -> "Image.Image":
    """Lay pictures in a grid, row by row, with a caption below each.

    Parameters
    ----------
    tiles : sequence of Tile
        At least one. Pictures smaller than 256 pixels are enlarged by the largest whole factor that keeps the longer side
        within that, each pixel a square; larger ones are reduced, every pixel of theirs having its share.
    title : str
        Above all of them.
    columns : int, optional
        Pictures in a row; by default about as many as rows.

    Returns
    -------
    sheet : PIL.Image.Image of mode "RGB"

    Raises
    ------
    ValueError
        No tiles, or no columns. DataError for a picture or an outline of another type or shape.
    """
    from PIL import Image, ImageDraw

    if not tiles:
        raise ValueError("tiles must hold at least one picture, got none")
    if columns is not None and not 1 <= columns <= 10_000:
        raise ValueError(f"columns must be a whole number from 1 to 10000, got {columns}")
    columns = min(len(tiles), columns or min(12, math.ceil(math.sqrt(1.2 * len(tiles)))))
    shown = [_shown(tile, number) for number, tile in enumerate(tiles)]
    inner = max(_NARROWEST, *(picture.width for picture in shown))
    cell = inner + 2 * (_FRAME + _PAD)
    picture_height = max(picture.height for picture in shown)
    font, title_font = _font(_TEXT), _font(_TEXT + 2)
    captions = [_fitted(tile.caption, font.getlength, inner) for tile in tiles]
    cell_height = picture_height + 2 * (_FRAME + _PAD) + max(map(len, captions)) * _LINE
    rows = -(-len(tiles) // columns)
    width = columns * cell + _PAD
    titles = _wrapped(_one_line(title), title_font.getlength, width - 2 * _PAD)
    top = _PAD + len(titles) * (_LINE + 4) + (_PAD if titles else 0)
    sheet = Image.new("RGB", (width, top + rows * cell_height + _PAD), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(titles):
        draw.text((_PAD + _FRAME, _PAD + number * (_LINE + 4)), line, fill=_PEN, font=title_font)
    for i, (tile, picture, caption) in enumerate(zip(tiles, shown, captions)):
        left, upper = _PAD + i % columns * cell, top + i // columns * cell_height
        x, y = left + _FRAME + (inner - picture.width) // 2, upper + _FRAME + picture_height - picture.height
        _frame(draw, x, y, picture, tile.marked)
        sheet.paste(picture, (x, y))
        below = upper + 2 * _FRAME + picture_height + _PAD // 2
        for number, line in enumerate(caption):
            draw.text((left + _FRAME, below + number * _LINE), line, fill=_PEN, font=font)
    return sheet


def _fitted(caption: Sequence[str], length: Callable[[str], float], most: float) -> list[str]:
    """Lines of at most a length."""
    name, *others = map(_one_line, caption or [""])
    stem = re.sub(r"(?<=\w)\.\w{2,5}$", "", name)
    if length(name) > most >= length(stem):
        name = stem
    end = bisect_left(range(len(name)), True, key=lambda kept: length(name[: kept + 1]) > most)
    end = _natural_end(name, end)
    parts = [name[:end], name[end:]] if 0 < end < len(name) else [name]
    return [shortened(line, length, most) for line in (*parts, *others)]


def _natural_end(name: str, most: int) -> int:
    """Where to break a name whose first line has at most so many letters: behind the last separator of its second half."""
    if most >= len(name):
        return most
    return next((end for end in range(most, most // 2, -1) if name[end - 1] in "/_- "), most)


def shortened(text: str, length: Callable[[str], float], most: float) -> str:
    """Text of at most a length; of a longer one the middle is left out, as both ends of a file's name tell it."""
    if length(text) <= most:
        return text
    low, high = 0, len(text)  # letters kept: low fit, high do not
    while high - low > 1:
        kept = (low + high) // 2
        if length(_without_middle(text, kept)) <= most:
            low = kept
        else:
            high = kept
    return _without_middle(text, low)


def _without_middle(text: str, kept: int) -> str:
    head = -(-kept // 2)
    return f"{text[:head]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - (kept - head) :]}"


def _wrapped(text: str, length: Callable[[str], float], most: float) -> list[str]:
    """Lines of at most a length, broken between words."""
    lines: list[str] = []
    for word in text.split():
        if lines and length(f"{lines[-1]} {word}") <= most:
            lines[-1] += f" {word}"
        else:
            lines.append(shortened(word, length, most))
    return lines


def _one_line(text: str) -> str:
    """Control characters and what is no character escaped, so that a name cannot leave its line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in str(text))


def _shown(tile: Tile, number: int) -> "Image.Image":
    """The picture in the size of the sheet, its outline drawn."""
    from PIL import Image

    pixels = np.asarray(tile.picture)
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    if pixels.dtype != np.uint8 or 0 in pixels.shape or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)):
        raise DataError(
            f"tiles[{number}].picture must be uint8, (height, width) or (height, width, 3), got {pixels.dtype} "
            f"{pixels.shape}"
        )
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    height, width = pixels.shape[:2]
    picture, longer = Image.fromarray(np.ascontiguousarray(pixels)), max(height, width)
    if longer <= _SIDE:
        factor = _SIDE // longer
        picture = picture.resize((width * factor, height * factor), Image.Resampling.NEAREST)
    else:
        size = max(1, round(width * _SIDE / longer)), max(1, round(height * _SIDE / longer))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return picture if tile.outline is None else _outlined(picture, tile.outline, (height, width), number)


def _outlined(picture: "Image.Image", outline: npt.ArrayLike, shape: tuple[int, int], number: int) -> "Image.Image":
    """A line of two pixels around regions, within a line of one that sets it off."""
    from PIL import Image

    inside = np.asarray(outline)
    if inside.dtype != np.bool_ or inside.shape != shape:
        raise DataError(f"tiles[{number}].outline must be bool of shape {shape}, got {inside.dtype} {inside.shape}")
    large = picture.size[0] >= shape[1] and picture.size[1] >= shape[0]
    if large:
        region = np.asarray(Image.fromarray(inside).resize(picture.size, Image.Resampling.NEAREST))
    else:  # a small region must not fall between the pixels that stay
        shares = Image.fromarray(inside.astype(np.uint8) * 255).resize(picture.size, Image.Resampling.BOX)
        region = np.asarray(shares) > 0
    pixels, around = np.array(picture), [region]
    for _ in range(4):
        around.append(_grown(around[-1]))
    pixels[around[4] & ~around[0]] = _HALO
    pixels[around[3] & ~around[1]] = _OUTLINE
    return Image.fromarray(pixels)


def _grown(region: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """A region and its neighbours, diagonal ones too."""
    padded = np.pad(region, 1)
    rows = padded[:-2] | padded[1:-1] | padded[2:]
    return rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]


def _frame(draw: object, x: int, y: int, picture: "Image.Image", marked: bool) -> None:
    """A frame, so that a white picture has a border on white paper."""
    width = _FRAME if marked else 1
    draw.rectangle(  # type: ignore[attr-defined]
        (x - width, y - width, x + picture.width + width - 1, y + picture.height + width - 1),
        outline=_MARK if marked else _FAINT, width=width,
    )  # fmt: skip
