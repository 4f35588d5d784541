# SPDX-License-Identifier: BSD-3-Clause
"""Grey pictures of garment-like objects, drawn from random shapes, tones and textures.

They stand in for photographs of objects where no data set is at hand: ten kinds, 28 x 28 pixels, a dark background,
bodies of grey whose brightness, folds and prints vary more within a kind than between kinds. Several kinds share their
outline (T-shirt and shirt, pullover and coat), so that their interior has to tell them apart.

    python python/analysis/garments.py --out garments.png
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from cbn.plots import pictures

Point = tuple[float, float]  # (x, y)
Shape = tuple[list[Point], float]  # polygon and tone

SIDE = 28
FINE = 4  # pictures are drawn so many times larger and averaged down
KINDS = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")


def draw_garments(
    n: int, random_state: int | np.random.Generator
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Pictures of every kind.

    Parameters
    ----------
    n : int
        Pictures of each kind.
    random_state : int or numpy.random.Generator

    Returns
    -------
    images : ndarray, (10 n, 28, 28) uint8
    labels : ndarray, (10 n,) int64
        Numbers of ``KINDS``.
    """
    random = np.random.default_rng(random_state)
    images = [_picture(SHAPES[kind], random) for kind in KINDS for _ in range(n)]
    return np.stack(images), np.repeat(np.arange(len(KINDS)), n)


# ---- shapes: lists of (polygon, tone); coordinates (x, y) within -1..1, y downwards; tones multiply the body's ----


def _mirrored(half: list[Point]) -> list[Point]:
    """A polygon of its right half, given from top to bottom."""
    return [*half, *[(-x, y) for x, y in reversed(half)]]


def _top(
    random: np.random.Generator,
    sleeve: float,
    length: tuple[float, float],
    width: tuple[float, float] = (0.42, 0.52),
    flare: tuple[float, float] = (0.95, 1.1),
) -> tuple[list[Point], float, float]:
    """Body with two sleeves; ``sleeve`` is the y where they end."""
    body, cuff = random.uniform(*width), random.uniform(0.16, 0.24)
    reach = random.uniform(0.78, 0.95) if sleeve < 0 else random.uniform(0.72, 0.92)
    armpit, bottom = random.uniform(-0.42, -0.3), random.uniform(*length)
    neck = random.uniform(0.14, 0.26)
    outline = _mirrored([
        (neck, -0.92), (body + 0.08, -0.82), (reach, sleeve - 0.05), (reach - cuff, sleeve + 0.05), (body, armpit),
        (body * random.uniform(*flare), bottom),
    ])  # fmt: skip
    return outline, neck, bottom


def _collar(neck: float, depth: float) -> list[Point]:
    return [(neck, -0.95), (0, -0.92 + depth), (-neck, -0.95)]


def _t_shirt(random: np.random.Generator) -> list[Shape]:
    outline, neck, _ = _top(random, random.uniform(-0.45, -0.25), (0.8, 0.95))
    return [(outline, 1.0), (_collar(neck, random.uniform(0.12, 0.3)), random.choice([0.0, 0.5]))]


def _pullover(random: np.random.Generator) -> list[Shape]:
    outline, neck, bottom = _top(random, random.uniform(0.55, 0.85), (0.7, 0.95))
    hem = [(-0.5, bottom - 0.12), (0.5, bottom - 0.12), (0.5, bottom - 0.06), (-0.5, bottom - 0.06)]
    return [(outline, 1.0), (_collar(neck, 0.08), 0.6), (hem, random.uniform(0.8, 1.1))]


def _coat(random: np.random.Generator) -> list[Shape]:
    outline, neck, bottom = _top(random, random.uniform(0.5, 0.8), (0.88, 0.98), (0.4, 0.5), (1.0, 1.25))
    gap = random.uniform(0.02, 0.06)
    opening = [(-gap, -0.9), (gap, -0.9), (gap, bottom), (-gap, bottom)]
    lapels = [(neck + 0.08, -0.9), (0, random.uniform(-0.45, -0.1)), (-neck - 0.08, -0.9)]
    return [(outline, 1.0), (lapels, random.uniform(0.4, 0.75)), (opening, random.uniform(0.2, 0.6))]


def _shirt(random: np.random.Generator) -> list[Shape]:
    long = random.random() < 0.7
    sleeve = random.uniform(0.5, 0.85) if long else random.uniform(-0.4, -0.15)
    outline, neck, bottom = _top(random, sleeve, (0.8, 0.95))
    parts = [(outline, 1.0), (_collar(neck, random.uniform(0.1, 0.25)), random.uniform(0.5, 1.3))]
    for y in np.arange(-0.6, bottom - 0.1, random.uniform(0.2, 0.3)):
        parts.append(([(-0.05, y), (0.05, y), (0.05, y + 0.08), (-0.05, y + 0.08)], random.choice([0.4, 1.5])))
    return parts


def _dress(random: np.random.Generator) -> list[Shape]:
    shoulder, waist, hem = random.uniform(0.2, 0.35), random.uniform(0.16, 0.3), random.uniform(0.3, 0.65)
    outline = _mirrored([
        (shoulder * 0.5, -0.95), (shoulder, -0.9), (shoulder * 0.9, -0.5), (waist, random.uniform(-0.3, -0.05)),
        (hem, random.uniform(0.85, 0.97)),
    ])  # fmt: skip
    return [(outline, 1.0), (_collar(shoulder * 0.5, random.uniform(0.1, 0.3)), 0.0)]


def _trousers(random: np.random.Generator) -> list[Shape]:
    hip, cuff, inner = random.uniform(0.26, 0.38), random.uniform(0.16, 0.24), random.uniform(0.03, 0.14)
    outline = _mirrored([
        (hip * 0.85, -0.95), (hip, -0.5), (inner + cuff, 0.95), (inner, 0.95), (0.01, random.uniform(-0.5, -0.25)),
    ])  # fmt: skip
    return [(outline, 1.0)]


def _sole(low: float, high: float) -> list[Point]:
    return [(-0.92, low), (0.92, low), (0.9, high), (-0.9, high)]


def _sandal(random: np.random.Generator) -> list[Shape]:
    heel = random.uniform(0.0, 0.5)
    sole = [(-0.92, 0.5 - heel), (-0.3, 0.45 - heel / 2), (0.3, 0.4), (0.92, 0.42), (0.92, 0.56), (0.3, 0.56),
            (-0.3, 0.58 - heel / 2), (-0.72, 0.62), (-0.92, 0.62)]  # fmt: skip
    parts = [(sole, 1.0)]
    for _ in range(random.integers(2, 5)):
        x, width, lean = random.uniform(-0.75, 0.65), random.uniform(0.05, 0.12), random.uniform(-0.35, 0.35)
        top = random.uniform(-0.45, 0.15)
        parts.append(([(x, 0.5), (x + width, 0.5), (x + width + lean, top), (x + lean, top)], random.uniform(0.6, 1.2)))
    return parts


def _sneaker(random: np.random.Generator) -> list[Shape]:
    ankle, toe = random.uniform(-0.2, -0.02), random.uniform(0.12, 0.28)
    upper = [(-0.92, 0.5), (-0.9, ankle), (-0.45, ankle + 0.05), (0.1, 0.08), (0.8, toe), (0.93, 0.4), (0.92, 0.5)]
    laces = [(-0.35, ankle + 0.1), (0.05, 0.1), (0.1, 0.22), (-0.3, ankle + 0.25)]
    return [(upper, 1.0), (_sole(0.42, 0.58), random.uniform(0.5, 1.6)), (laces, random.uniform(0.5, 1.5))]


def _boot(random: np.random.Generator) -> list[Shape]:
    shaft, width = random.uniform(-0.95, -0.6), random.uniform(0.05, 0.25)
    heel = random.uniform(0.0, 0.25)
    upper = [(-0.85, 0.8), (-0.8, shaft), (width - 0.1, shaft), (width, 0.2), (0.75, 0.4), (0.92, 0.7), (0.9, 0.82)]
    under = [(-0.85, 0.78), (0.92, 0.78), (0.92, 0.92), (0, 0.9), (-0.3, 0.86 - heel / 2), (-0.4, 0.95), (-0.85, 0.95)]
    return [(upper, 1.0), (under, random.uniform(0.4, 1.2))]


def _bag(random: np.random.Generator) -> list[Shape]:
    width, top, bottom = random.uniform(0.7, 0.95), random.uniform(-0.4, 0.0), random.uniform(0.6, 0.9)
    body = _mirrored([(width * random.uniform(0.8, 1.0), top), (width, bottom)])
    grip, height, thick = random.uniform(0.25, 0.6), random.uniform(0.3, 0.55), random.uniform(0.07, 0.14)
    outer = _mirrored([(grip * 0.7, top - height), (grip, top)])
    inner = _mirrored([(grip * 0.7 - thick, top - height + thick), (grip - thick, top)])
    flap = _mirrored([(width * 0.8, top + 0.05), (width * 0.8, top + random.uniform(0.1, 0.5))])
    return [(outer, 0.9), (inner, 0.0), (body, 1.0), (flap, random.uniform(0.7, 1.3))]


SHAPES = dict(zip(KINDS, (_t_shirt, _trousers, _pullover, _dress, _coat, _sandal, _shirt, _sneaker, _bag, _boot)))


# ---- from shapes to a picture ----


def _picture(
    shapes: Callable[[np.random.Generator], list[Shape]], random: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """One 28 x 28 picture: outline with a pose, brightness, folds, texture, noise of the body."""
    size = FINE * SIDE
    turn, lean = random.normal(0, 0.06), random.normal(0, 0.06)
    scale = random.uniform(0.8, 1.0, 2)
    shift = random.normal(0, 0.03, 2)
    pose = np.array([[np.cos(turn), lean - np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * scale
    canvas = Image.new("F", (size, size))
    pen = ImageDraw.Draw(canvas)
    # some pictures of a kind are odd: their corners move several times as far
    spread = 0.025 * min(4.0, 1 + 0.4 * random.exponential() ** 2)
    for polygon, tone in shapes(random):
        points = np.asarray(polygon) + random.normal(0, spread, (len(polygon), 2))
        points = (points @ pose.T + shift + 1) * size / 2
        pen.polygon([tuple(point) for point in points], fill=float(tone))
    tones = np.asarray(canvas)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    body = random.beta(4, 2) * _folds(x, y, random) * _texture(x, y, random)
    fine = np.clip(0.12 * (tones > 0) + 0.88 * tones * body, 0, 1)
    picture = fine.reshape(SIDE, FINE, SIDE, FINE).mean(axis=(1, 3))
    noise = random.normal(0, 0.025, picture.shape) * (picture > 0)
    return np.rint(255 * np.clip(picture + noise, 0, 1)).astype(np.uint8)


def _folds(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], random: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Smooth shading: light from a side, and a few slanted waves."""
    shade = 1 + random.normal(0, 0.12) * x + random.normal(0, 0.12) * y
    for _ in range(3):
        angle, waves = random.normal(0, 0.5), random.uniform(1, 5)
        along = x * np.cos(angle) + y * np.sin(angle)
        shade = shade + random.uniform(0, 0.1) * np.sin(waves * np.pi * along + random.uniform(0, 2 * np.pi))
    return shade


def _texture(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], random: np.random.Generator
) -> npt.NDArray[np.float64] | float:
    """Plain, stripes, checks, a print on the chest, or a pattern of blobs."""
    kind = random.choice(["plain", "rows", "columns", "checks", "print", "blobs"], p=[0.4, 0.15, 0.1, 0.1, 0.15, 0.1])
    depth, waves, phase = random.uniform(0.1, 0.45), random.uniform(3, 7), random.uniform(0, 2 * np.pi)
    rows, columns = np.sin(waves * np.pi * y + phase) > 0, np.sin(waves * np.pi * x + phase) > 0
    if kind == "print":
        centre, radius = random.normal(0, 0.1, 2), random.uniform(0.15, 0.35)
        marked = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2
        return 1 + random.choice([-1, 0.6]) * depth * marked
    if kind == "blobs":
        cells = random.random((9, 9)) < 0.35
        marked = np.kron(cells, np.ones((13, 13)))[: len(x), : len(x)]
        return 1 - depth * marked
    marked = {"plain": 0.0, "rows": rows, "columns": columns, "checks": rows ^ columns}[kind]
    return 1 - depth * marked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=16, help="pictures of each kind (default: 16)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="garments.png", help="picture to write (default: garments.png)")
    arguments = parser.parse_args()
    if arguments.n < 1:
        parser.error(f"--n {arguments.n}: give at least 1")
    if not Path(arguments.out).absolute().parent.is_dir():
        parser.error(f"--out {arguments.out}: its folder does not exist; create it or give another path")
    images, _ = draw_garments(arguments.n, arguments.seed)
    pictures.save_png(pictures.grid(images, 255, columns=arguments.n), arguments.out)
    print(f"{arguments.out}: a row of each of {', '.join(KINDS)}")


if __name__ == "__main__":
    main()
