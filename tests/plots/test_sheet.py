# SPDX-License-Identifier: BSD-3-Clause
"""Contact sheets: every pixel of small pictures a square, captions in their cells."""

import numpy as np
import pytest
from PIL import Image

from cbn.exceptions import DataError
from cbn.plots import sheet as own
from cbn.plots.pictures import _font
from cbn.plots.sheet import Tile, contact_sheet, shortened

RNG = np.random.default_rng(3)
MARK, AMBER = (213, 94, 0), (255, 176, 0)


def boxes_of(sheet, color):
    """(left, top, right, bottom) of what has a colour."""
    rows, columns = np.nonzero((np.asarray(sheet) == color).all(axis=2))
    return (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if len(rows) else None


@pytest.mark.parametrize("size", [(28, 28), (1, 1), (256, 3), (60, 100), (200, 256)])
@pytest.mark.parametrize("kind", ["bool", "grey", "colour"])
def test_small_pictures_are_enlarged_by_a_whole_factor(size, kind):
    pixels = RNG.integers(0, 256, (*size, *((3,) if kind == "colour" else ())), np.uint8)
    pixels = pixels > 127 if kind == "bool" else pixels
    left, top, right, bottom = boxes_of(contact_sheet([Tile(pixels, ("1. x",), marked=True)]), MARK)
    found = np.asarray(contact_sheet([Tile(pixels, ("1. x",), marked=True)]))[
        top + 3 : bottom - 3, left + 3 : right - 3
    ]
    factor = 256 // max(size)
    assert found.shape == (size[0] * factor, size[1] * factor, 3)
    grey = pixels * np.uint8(255) if kind == "bool" else pixels
    grey = grey if kind == "colour" else grey[..., None]
    np.testing.assert_array_equal(found, np.broadcast_to(grey, (*size, 3)).repeat(factor, 0).repeat(factor, 1))


def test_large_pictures_are_reduced_by_all_their_pixels():
    """A checkerboard becomes grey, whatever pixels are left out."""
    board = (np.indices((1500, 2000)).sum(axis=0) % 2 * 255).astype(np.uint8)
    picture = own._shown(Tile(board, ()), 0)
    assert picture.size == (256, 192)
    assert np.abs(np.asarray(picture)[5:-5, 5:-5].astype(int) - 127.5).max() < 12
    assert own._shown(Tile(np.zeros((3000, 2), np.uint8), ()), 0).size == (1, 256)


def test_captions_stay_in_their_cells():
    """Sheets with and without captions differ in the bands below the pictures alone, and between no two cells."""
    text = "1. " + "long_name_ёß_" * 30, "outlier, p = 0.0001", "x" * 500, "new\nline\ttab \udcff"
    tiles = [Tile(np.full((20, 30), 90, np.uint8), text) for _ in range(7)]
    written = np.asarray(contact_sheet(tiles, columns=3)).astype(int)
    blank = np.asarray(contact_sheet([Tile(tile.picture, (" ",) * 5) for tile in tiles], columns=3)).astype(int)
    assert written.shape == blank.shape
    inked = (written != blank).any(axis=2)
    columns = np.flatnonzero(inked.any(axis=0))
    gaps = np.diff(columns)
    assert (gaps > 8).sum() == 2  # three columns of text with white between them
    rows = np.flatnonzero(inked.any(axis=1))
    assert rows[-1] < written.shape[0] - 4 and columns[-1] < written.shape[1] - 4


def test_a_sheet_grows_with_its_captions_alone():
    tiles = [Tile(np.zeros((8, 8), np.uint8), ("a",) * n) for n in (1, 4)]
    heights = [contact_sheet([tile]).height for tile in tiles]
    assert heights[1] - heights[0] == 3 * 18


@pytest.mark.parametrize("most", [30, 80, 300])
def test_names_are_shortened_in_the_middle(most):
    length = _font(14).getlength
    name = "camera_07/2026-11-28/picture_000123.png"
    found = shortened(name, length, most)
    assert length(found) <= most
    if found != name:
        head, tail = found.split("…")
        assert name.startswith(head) and name.endswith(tail) and 0 <= len(head) - len(tail) <= 1
        longer = f"{name[: len(head) + 1]}…{name[len(name) - len(tail) - 1 :]}"
        assert length(longer) > most
    assert shortened("a.png", length, 300) == "a.png"


def test_a_name_takes_two_lines_before_it_is_shortened():
    length = _font(14).getlength
    name = "1. " + "camera_07_" * 3 + "000123.png"
    lines = own._fitted((name, "normal"), length, 200)
    assert "".join(lines[:2]) == name and lines[2:] == ["normal"]
    assert own._fitted(("1. a", "b"), length, 200) == ["1. a", "b"]
    assert all(length(line) <= 200 for line in own._fitted((name * 9,), length, 200))


def test_names_are_broken_where_they_have_parts():
    length = _font(14).getlength
    assert own._fitted(("3. scratch/scratch_001.png",), length, 176) == ["3. scratch/scratch_001"]
    lines = own._fitted(("3. scratch/deep_scratch_001.png",), length, 176)
    assert lines == ["3. scratch/deep_scratch_", "001.png"]


def test_titles_are_wrapped():
    tile = Tile(np.zeros((8, 8), np.uint8), ("a",))
    short, long = contact_sheet([tile], "one"), contact_sheet([tile], "many words " * 20)
    assert short.width == long.width and long.height > short.height > contact_sheet([tile]).height


def test_outlines_surround_their_region():
    """The region itself stays as it is; the line is around it, also where it is a pixel of a large picture."""
    pixels = np.full((32, 32), 120, np.uint8)
    region = np.zeros((32, 32), bool)
    region[10:14, 20:22] = True
    picture = own._shown(Tile(pixels, (), outline=region), 0)
    left, top, right, bottom = boxes_of(picture, AMBER)
    assert (left, top, right, bottom) == (20 * 8 - 3, 10 * 8 - 3, 22 * 8 + 3, 14 * 8 + 3)
    assert (np.asarray(picture)[80:112, 160:176] == 120).all()
    large = np.zeros((2000, 2000), bool)
    large[1234, 567] = True
    assert boxes_of(own._shown(Tile(np.zeros((2000, 2000, 3), np.uint8), (), outline=large), 0), AMBER)
    assert boxes_of(own._shown(Tile(pixels, (), outline=np.zeros((32, 32), bool)), 0), AMBER) is None


@pytest.mark.parametrize("n", [1, 2, 3, 7, 20, 200])
def test_columns(n):
    tiles = [Tile(np.zeros((4, 4), np.uint8), ("a",))] * n
    sheet = contact_sheet(tiles)
    assert isinstance(sheet, Image.Image) and sheet.mode == "RGB"
    one = contact_sheet(tiles[:1])
    assert sheet.width <= 12 * one.width
    assert contact_sheet(tiles, columns=1).height > n * 256


def test_a_tile_may_have_no_caption():
    assert contact_sheet([Tile(np.zeros((4, 4), np.uint8), ())]).width > 0


def test_wrong_arguments():
    tile = Tile(np.zeros((4, 4), np.uint8), ("a",))
    with pytest.raises(ValueError, match="tiles must hold at least one"):
        contact_sheet([])
    with pytest.raises(ValueError, match="columns"):
        contact_sheet([tile], columns=0)
    for wrong in (np.zeros((4, 4)), np.zeros((0, 4), np.uint8), np.zeros((4, 4, 2), np.uint8), np.zeros(4, np.uint8)):
        with pytest.raises(DataError, match=r"tiles\[1\].picture must be uint8"):
            contact_sheet([tile, Tile(wrong, ("b",))])
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 5), bool)):
        with pytest.raises(DataError, match=r"tiles\[0\].outline must be bool of shape \(4, 4\)"):
            contact_sheet([Tile(tile.picture, ("b",), outline=wrong)])
