# SPDX-License-Identifier: BSD-3-Clause
"""Pictures and maps as bytes that stand in a page: few of each where there are many."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from .content import Bools, Pictures, Shot, Tile

# Bytes of image files in a report, all together; as text in the page they take a third more. Of one picture at most, and of
# all where the page has little room.
BYTES, MOST_BYTES, LEAST_BYTES = 1_900_000, 60_000, 400_000
# Of the bytes of a picture with a map, those that are the map's.
MAP_SHARE = 0.3
# What is this small is shown pixel by pixel, and kept without loss.
TINY = 64
# Sides and qualities that are tried, best first, until pictures are small enough.
SIDES, QUALITIES = (640, 512, 400, 320, 256, 192, 144, 112, 80, 56), (82, 64)
MAP_SIDES = (224, 160, 112, 80, 56, 40, 28)
# Pictures that are encoded to see how large all will be.
TRIALS = 8
# Values of a map from nothing to the top of the scale: place, red, green, blue, opacity. Luminance rises all the way, so
# that the order of colours is plain to every eye, and in grey print.
SCALE = (
    (0.0, 20, 11, 52, 0.0),
    (0.25, 87, 15, 109, 0.0),
    (0.4, 143, 36, 105, 0.3),
    (0.55, 207, 68, 70, 0.65),
    (0.7, 241, 116, 30, 0.8),
    (0.85, 251, 182, 30, 0.88),
    (1.0, 252, 240, 120, 0.94),
)
LEVELS = 64
# Red, green and blue of the outline of known defects, which no map has, and the side it is drawn at.
OUTLINE, OUTLINE_SIDE = (0, 229, 255), 192


@dataclass(frozen=True)
class Encoded:
    """Data addresses of a picture, of its map and of the outline of its defect, the size they have, and whether they are tiny."""

    picture: str
    map: str | None
    outline: str | None
    width: int
    height: int
    tiny: bool


def data_address(data: bytes, kind: str) -> str:
    """Bytes of an image file as an address that needs no network."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def colours() -> npt.NDArray[np.uint8]:
    """(LEVELS, 4): red, green, blue and opacity of the levels of a map."""
    stops = np.array(SCALE)
    at = np.linspace(0, 1, LEVELS)
    channels = [np.interp(at, stops[:, 0], stops[:, c]) for c in range(1, 5)]
    channels[3] *= 255
    return np.stack(channels, axis=1).round().astype(np.uint8)


def encode(shots: Sequence[Shot], top: float, taken: int = 0) -> list[Encoded]:
    """Data addresses of pictures and of their maps on a scale that ends at ``top``, all within the bytes of a report.

    ``taken``: letters of the page that something else takes, such as the scores of very many pictures.
    """
    if not shots:
        return []
    bytes_each = min(MOST_BYTES, max(LEAST_BYTES, BYTES - taken * 3 // 4) // len(shots))
    maps = [shot.map for shot in shots if shot.map is not None]
    map_bytes = int(bytes_each * MAP_SHARE) if maps else 0
    picture_way = _way([shot.picture for shot in shots], bytes_each - map_bytes)
    map_way = _map_way(maps, map_bytes, top)
    found = []
    for shot in shots:
        height, width = shot.picture.shape[:2]
        own_map = None if shot.map is None else _encode_map(shot.map, top, map_way)
        picture = _encode_picture(shot.picture, *picture_way)
        outline = None if shot.mask is None or not shot.mask.any() else _encode_outline(shot.mask)
        found.append(Encoded(picture[1], own_map and own_map[1], outline, width, height, _is_tiny(shot.picture)))
    return found


def _is_tiny(picture: npt.NDArray[np.generic]) -> bool:
    return max(picture.shape[:2]) <= TINY


def _way(pictures: Sequence[Pictures], most: int) -> tuple[int, int]:
    """The best (side, quality) of which pictures take at most so many bytes each; the smallest if none does."""
    trials = pictures[:: -(-len(pictures) // TRIALS)]
    largest = max(max(picture.shape[:2]) for picture in trials)
    ways = [(side, quality) for side in SIDES if side < 1.4 * largest for quality in QUALITIES]
    for way in ways:
        if sum(len(_encode_picture(picture, *way)[0]) for picture in trials) <= most * len(trials):
            return way
    return ways[-1] if ways else (SIDES[-1], QUALITIES[-1])


def _encode_picture(picture: Pictures, side: int, quality: int) -> tuple[bytes, str]:
    """(bytes, data address)."""
    image, buffer = Image.fromarray(picture), io.BytesIO()
    if _is_tiny(picture):
        two_levels = picture.ndim == 2 and np.isin(picture, (0, 255)).all()
        (image.convert("1") if two_levels else image).save(buffer, "PNG", optimize=True)
        return buffer.getvalue(), data_address(buffer.getvalue(), "png")
    _shrunk(image, side).save(buffer, "WEBP", quality=quality, method=2)
    return buffer.getvalue(), data_address(buffer.getvalue(), "webp")


def _shrunk(image: Image.Image, side: int) -> Image.Image:
    share = side / max(image.size)
    if share >= 1:
        return image
    return image.resize((max(1, round(image.width * share)), max(1, round(image.height * share))), Image.Resampling.BOX)


def _map_way(maps: Sequence[npt.NDArray[np.floating]], most: int, top: float) -> int:
    if not maps:
        return MAP_SIDES[0]
    trials = maps[:: -(-len(maps) // TRIALS)]
    for side in MAP_SIDES:
        if sum(len(_encode_map(own, top, side)[0]) for own in trials) <= most * len(trials):
            return side
    return MAP_SIDES[-1]


def _encode_map(values: npt.NDArray[np.floating], top: float, side: int) -> tuple[bytes, str]:
    """(bytes, data address) of a map that is clear where nothing is unusual."""
    levels = _levels(values, top)
    buffer = io.BytesIO()
    if _is_tiny(values):
        _indexed(levels).save(buffer, "PNG", optimize=True, transparency=colours()[:, 3].tobytes())
        return buffer.getvalue(), data_address(buffer.getvalue(), "png")
    grey = _shrunk(Image.fromarray(levels), side)
    image = Image.fromarray(colours()[np.asarray(grey)])
    image.save(buffer, "WEBP", quality=70, alpha_quality=60, method=2)
    return buffer.getvalue(), data_address(buffer.getvalue(), "webp")


def _encode_outline(mask: Bools) -> str:
    """The data address of a line around what a mask marks, clear elsewhere."""
    small = np.asarray(_shrunk(Image.fromarray(mask.astype(np.uint8) * 255), OUTLINE_SIDE)) > 127
    padded = np.pad(small, 2)
    height, width = small.shape
    grown = np.zeros_like(small)
    for dy, dx in ((-2, 0), (2, 0), (0, -2), (0, 2), (-1, -1), (-1, 1), (1, -1), (1, 1)):
        grown |= padded[2 + dy : 2 + dy + height, 2 + dx : 2 + dx + width]
    image = Image.frombytes("P", (width, height), (grown & ~small).astype(np.uint8).tobytes())
    image.putpalette(bytes((0, 0, 0, *OUTLINE)))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True, transparency=bytes((0, 255)))
    return data_address(buffer.getvalue(), "png")


def _levels(values: npt.NDArray[np.floating], top: float) -> npt.NDArray[np.uint8]:
    return (np.clip(np.nan_to_num(values) / top, 0, 1) * (LEVELS - 1)).round().astype(np.uint8)


def _indexed(levels: npt.NDArray[np.uint8]) -> Image.Image:
    """Levels as an image of a palette."""
    image = Image.frombytes("P", levels.shape[::-1], levels.tobytes())
    image.putpalette(colours()[:, :3].tobytes())
    return image


def picture_tile(picture: Pictures, alt: str, caption: str = "") -> Tile:
    """A small picture, as it is."""
    return Tile(source=_encode_picture(picture, TINY * 4, QUALITIES[0])[1], alt=alt, caption=caption)


def value_tile(values: npt.NDArray[np.floating], top: float, alt: str, caption: str = "") -> Tile:
    """Values (height, width) from 0 to ``top`` in the colours of maps, without opacity; at least 1 pixel a value."""
    buffer = io.BytesIO()
    _indexed(_levels(values, top)).save(buffer, "PNG", optimize=True)
    return Tile(source=data_address(buffer.getvalue(), "png"), alt=alt, caption=caption)


def weight_tile(weights: npt.NDArray[np.floating], top: float, alt: str, caption: str = "") -> Tile:
    """Weights (height, width) from -top, blue, over 0, white, to top, red."""
    shares = np.clip(weights / top, -1, 1)[..., None]
    white, red, blue = np.array((247, 247, 247)), np.array((178, 24, 43)), np.array((33, 102, 172))
    rgb = white + np.where(shares > 0, shares * (red - white), -shares * (blue - white))
    buffer = io.BytesIO()
    Image.fromarray(rgb.round().astype(np.uint8)).save(buffer, "PNG", optimize=True)
    return Tile(source=data_address(buffer.getvalue(), "png"), alt=alt, caption=caption)
