# SPDX-License-Identifier: BSD-3-Clause
"""Synthetic categories in the manner of MVTec AD: a woven texture and a machined flange, with defects and masks.

Good pictures vary as real ones do: in lighting, gain, phase or pose, threads, grain. So neither the brightness of a
picture nor that of a single pixel tells a defect. Defects are local, lighter or darker alike.

Only +, -, *, / and square roots make the pictures, because sines and exponentials may differ in the last bit between
instruction sets: the same seed gives the same bytes everywhere. A picture is a function of the seed, its part and its
number, so that a larger set begins with the pictures of a smaller one.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from .._validation import RandomState
from .inspection import GOOD, InspectionSet

Kind = Literal["texture", "object"]
Field = npt.NDArray[np.float64]  # a value for every place of the canvas, or of the picture

KINDS: tuple[Kind, ...] = ("texture", "object")
DEFECTS = ("scratch", "spot", "missing", "misplaced")

_OVERSAMPLING = 2  # rows and columns of the canvas for each of the picture: edges without stairs
_PIXELS = 2**20  # of pictures that are made at a time: each takes 400 bytes
_TINTS = {"texture": (1.0, 0.94, 0.82), "object": (0.92, 0.97, 1.0)}  # red, green, blue: linen, steel
_SPOT_TINT = (1.0, 0.72, 0.5)  # rust
_GRAIN = 2.5  # standard deviation of the sensor's noise, grey levels
# Holes of the flange: the corners of a hexagon of this radius, in halves of the shorter side like all lengths here.
_CORNERS = tuple((c, s) for c, s in ((1, 0), (0.5, 1), (-0.5, 1), (-1, 0), (-0.5, -1), (0.5, -1)))
_HOLES_AT, _HOLE = 0.6, 0.08
_OUTSIDE, _INSIDE, _GROOVE = 0.8, 0.24, (0.38, 0.44)


def make_category(
    kind: Kind = "texture",
    n_train: int = 60,
    n_good: int = 20,
    n_defects: int = 10,
    size: int | tuple[int, int] = 64,
    color: Literal["grey", "rgb"] = "grey",
    random_state: RandomState = 0,
    *,
    n_jobs: int | None = None,
) -> InspectionSet:
    """Make a small inspection task: good pictures to learn from, good and defective ones to judge.

    Parameters
    ----------
    kind : {"texture", "object"}
        A woven fabric of varying phase, threads and lighting; or a flange with six holes that varies in pose.
    n_train : int
        Good pictures to learn from.
    n_good : int
        Good test pictures.
    n_defects : int
        Test pictures of every kind of defect: "scratch", "spot", "missing" (a piece of thread, a hole) and "misplaced"
        (a patch out of step with the weave, a hole off its place).
    size : int or (height, width)
        Pixels, at least 32 either way.
    color : {"grey", "rgb"}
    random_state : int
        The same integer gives the same bytes.
    n_jobs : int, optional
        Threads that make pictures, as many as have room; None is all cores. The pictures do not depend on it.

    Returns
    -------
    InspectionSet

    Raises
    ------
    ValueError
        An argument outside its range.

    Examples
    --------
    >>> made = make_category("object", n_train=2, n_good=1, n_defects=1, size=32)
    >>> made.describe()
    'synthetic object: 2 training and 5 test pictures of 32x32, grey, 4 with defects'
    >>> made.defects
    ('good', 'scratch', 'spot', 'missing', 'misplaced')
    """
    validation.check_choice(kind, "kind", KINDS)
    validation.check_choice(color, "color", ("grey", "rgb"))
    n_train = validation.check_integer(n_train, "n_train", 1, 10**6)
    n_good = validation.check_integer(n_good, "n_good", 1, 10**6)
    n_defects = validation.check_integer(n_defects, "n_defects", 1, 10**6)
    shape = validation.check_shape((size, size) if np.ndim(size) == 0 else size, "size")
    for side in shape:
        validation.check_integer(side, "size", 32, 4096)
    seed = validation.check_seed(random_state)
    defects = (GOOD,) * n_good + tuple(np.repeat(DEFECTS, n_defects).tolist())
    numbers = [*range(n_good), *(list(range(n_defects)) * len(DEFECTS))]
    parts = {name: part for part, name in enumerate((GOOD, *DEFECTS), start=1)}  # 0: training
    places = [(GOOD, 0, i) for i in range(n_train)] + [(d, parts[d], i) for d, i in zip(defects, numbers)]

    def made(place: tuple[str, int, int]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_] | None]:
        defect, part, number = place
        picture, mask = _picture(kind, defect, shape, color, (seed, part, number))
        return picture, mask if part else None

    with ThreadPoolExecutor(min(validation.check_threads(n_jobs), max(1, _PIXELS // (shape[0] * shape[1])))) as threads:
        pictures = list(threads.map(made, places))
    train, test = [picture for picture, _ in pictures[:n_train]], pictures[n_train:]
    return InspectionSet(
        f"synthetic {kind}",
        np.stack(train),
        np.stack([picture for picture, _ in test]),
        np.array([defect != GOOD for defect in defects], dtype=np.int64),
        defects,
        np.stack([mask for _, mask in test if mask is not None]),
        tuple(f"{i:03}.png" for i in range(n_train)),
        tuple(f"{defect}/{i:03}.png" for defect, i in zip(defects, numbers)),
    )


def _picture(
    kind: Kind, defect: str, shape: tuple[int, int], color: Literal["grey", "rgb"], entropy: tuple[int, int, int]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """One picture and its mask."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))
    y, x = _canvas(shape)
    surface = _Weave(rng, y, x) if kind == "texture" else _Flange(rng, y, x)
    value, mask = surface.draw(defect)
    value = value * surface.lighting
    rusty = np.zeros_like(value)
    if defect in ("scratch", "spot"):
        cover = (_scratch if defect == "scratch" else _spot)(rng, y, x, *surface.place())
        value = value + cover * rng.choice((-1, 1)) * rng.uniform(45, 70)
        mask, rusty = cover > 0.4, cover * (defect == "spot")
    gain, offset = rng.uniform(0.82, 1.18), rng.uniform(-12, 12)
    value = _reduced(gain * value + offset, shape)
    if color == "rgb":
        share = _reduced(rusty, shape)[..., None]
        value = value[..., None] * ((1 - share) * _TINTS[kind] + share * _SPOT_TINT)
    value = value + _GRAIN * rng.standard_normal(value.shape)
    return np.clip(np.rint(value), 0, 255).astype(np.uint8), _reduced(mask.astype(float), shape) > 0.3


def _canvas(shape: tuple[int, int]) -> tuple[Field, Field]:
    """Coordinates (y, x) of the fine canvas; the shorter side reaches from -1 to 1."""
    n_rows, n_columns = (side * _OVERSAMPLING for side in shape)
    unit = 2 / min(n_rows, n_columns)
    y, x = ((np.arange(n) + 0.5 - n / 2) * unit for n in (n_rows, n_columns))
    return np.broadcast_to(y[:, None], (n_rows, n_columns)), np.broadcast_to(x, (n_rows, n_columns))


def _reduced(fine: Field, shape: tuple[int, int]) -> Field:
    return fine.reshape(shape[0], _OVERSAMPLING, shape[1], _OVERSAMPLING).mean(axis=(1, 3))


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], radius: int) -> Field:
    """Random field of mean about 0 and deviation 1 that varies over `radius` pixels."""
    from scipy.ndimage import uniform_filter

    field = rng.standard_normal(shape)
    for _ in range(3):  # three box filters are nearly a Gaussian one
        field = uniform_filter(field, 2 * radius + 1, mode="wrap")
    return field / np.sqrt(np.mean(field * field))


def _rotated(y: Field, x: Field, slope: float) -> tuple[Field, Field]:
    """Coordinates turned by the angle whose half has this tangent."""
    cosine, sine = (1 - slope**2) / (1 + slope**2), 2 * slope / (1 + slope**2)
    return cosine * y - sine * x, sine * y + cosine * x


def _direction(rng: np.random.Generator) -> tuple[float, float]:
    """A random unit vector (dy, dx)."""
    while True:
        dy, dx = rng.uniform(-1, 1, 2)
        length = np.sqrt(dy * dy + dx * dx)
        if 0.1 < length <= 1:
            return dy / length, dx / length


def _ramp(distance: Field, width: float) -> Field:
    """1 inside (distance below 0), 0 beyond `width`, a smooth step between."""
    t = np.clip(1 - distance / width, 0, 1)
    return t * t * (3 - 2 * t)


def _lighting(rng: np.random.Generator, y: Field, x: Field, strength: float) -> Field:
    """A slope of light in a random direction, times slow unevenness."""
    dy, dx = _direction(rng)
    return 1 + strength * rng.uniform(0.3, 1) * (dy * y + dx * x) + 0.02 * _smooth_noise(rng, y.shape, len(y) // 8)


def _scratch(rng: np.random.Generator, y: Field, x: Field, centre: Sequence[float], unit: float) -> Field:
    """Cover of a bent line, thin at its ends."""
    dy, dx = _direction(rng)
    length, bend = rng.uniform(0.22, 0.4), rng.uniform(-0.25, 0.25)
    along = (y - centre[0]) * dy + (x - centre[1]) * dx
    across = (x - centre[1]) * dy - (y - centre[0]) * dx - bend * along * along / length
    width = unit * rng.uniform(1.0, 1.6)
    taper = np.sqrt(np.clip(1 - (along / length) ** 2, 0, 1))
    return _ramp(np.abs(across) - width * taper, unit) * (taper > 0)


def _spot(rng: np.random.Generator, y: Field, x: Field, centre: Sequence[float], unit: float) -> Field:
    """Cover of a stain of uneven outline."""
    radius = max(rng.uniform(0.09, 0.15), 2 * unit)
    distance = np.sqrt((y - centre[0]) ** 2 + (x - centre[1]) ** 2)
    outline = radius * (1 + 0.15 * _smooth_noise(rng, y.shape, max(1, int(radius * len(y) / 8))))
    return _ramp(distance - outline, 0.4 * radius)


class _Weave:
    """A plain weave; coordinates (v, u) count threads."""

    def __init__(self, rng: np.random.Generator, y: Field, x: Field) -> None:
        self.rng, self.y, self.x = rng, y, x
        self.unit = _OVERSAMPLING * 2 / min(y.shape)  # a pixel of the picture
        # eight pixels a thread, or less where that leaves fewer than eight threads
        self.period = min(8 * self.unit, 0.25) * rng.uniform(0.97, 1.03)
        v, u = _rotated(y / self.period, x / self.period, rng.uniform(-0.015, 0.015))
        wander = len(y) // 6
        self.v = v + rng.uniform(0, 2) + 0.06 * _smooth_noise(rng, y.shape, wander)
        self.u = u + rng.uniform(0, 2) + 0.06 * _smooth_noise(rng, y.shape, wander)
        # brightness of every thread
        self.n_threads = 2 * int(np.ceil(np.abs([self.u, self.v]).max())) + 8
        self.shades = rng.uniform(-6, 6, (2, self.n_threads))
        self.fibres = 3 * _smooth_noise(rng, y.shape, 1)
        self.lighting = _lighting(rng, y, x, 0.1)

    def place(self) -> tuple[Sequence[float], float]:
        """Somewhere for a defect, and the size of a pixel."""
        reach = [0.75 * side / min(self.y.shape) for side in self.y.shape]
        return [self.rng.uniform(-r, r) for r in reach], self.unit

    def draw(self, defect: str) -> tuple[Field, npt.NDArray[np.bool_]]:
        v, u = self.v, self.u
        mask = np.zeros(v.shape, bool)
        if defect == "misplaced":
            centre, _ = self.place()
            dy, dx = self.rng.uniform(0.16, 0.26, 2)
            mask = ((self.y - centre[0]) / dy) ** 2 + ((self.x - centre[1]) / dx) ** 2 < 1
            v, u = v + 0.5 * mask, u + 0.5 * mask
        value = self._threads(v, u) + self.fibres
        if defect == "missing":
            centre, _ = self.place()
            distance = (self.y - centre[0]) ** 2 + (self.x - centre[1]) ** 2
            nearest = np.unravel_index(np.argmin(distance), v.shape)
            row, column = np.floor(self.v[nearest]), np.floor(self.u[nearest])
            half = self.rng.integers(1, 3)
            mask = (np.floor(v) == row) & (np.abs(np.floor(u) - column) <= half)
            # what lies below: the crossing threads, in the shade, and the ground
            below = 40 + 26 * _bulge(u) + self.fibres
            value = np.where(mask, below, value)
        return value, mask

    def _threads(self, v: Field, u: Field) -> Field:
        row, column = np.floor(v), np.floor(u)
        warp_on_top = (row + column) % 2 == 0
        half = self.n_threads // 2
        warp = 128 + self.shades[0][column.astype(int) + half]
        weft = 118 + self.shades[1][row.astype(int) + half]
        across = np.where(warp_on_top, _bulge(u), _bulge(v))
        along = np.where(warp_on_top, _bulge(v), _bulge(u))
        return np.where(warp_on_top, warp, weft) * (0.5 + 0.35 * across + 0.2 * along * across)


def _bulge(position: Field) -> Field:
    """Height of a round thread: 0 at its borders, 1 in its middle."""
    t = 2 * (position - np.floor(position)) - 1
    return 1 - t * t


class _Flange:
    """A turned disc with a bore, a groove and six holes."""

    def __init__(self, rng: np.random.Generator, y: Field, x: Field) -> None:
        self.rng, self.unit = rng, _OVERSAMPLING * 2 / min(y.shape)
        shift = rng.uniform(-0.03, 0.03, 2)
        self.scale = rng.uniform(0.98, 1.02)
        self.shift, self.slope = shift, rng.uniform(-0.035, 0.035)  # turned by up to 4 degrees
        self.y, self.x = _rotated((y - shift[0]) / self.scale, (x - shift[1]) / self.scale, self.slope)
        self.light = _direction(rng)
        self.metal, self.ground = rng.uniform(150, 164), rng.uniform(58, 70)
        self.depth = rng.uniform(24, 32)  # grey level in holes
        self.fibres = 2.5 * _smooth_noise(rng, y.shape, 1) + 3 * _smooth_noise(rng, y.shape, len(y) // 16)
        self.lighting = _lighting(rng, y, x, 0.12)

    def place(self) -> tuple[Sequence[float], float]:
        """Somewhere on the metal, in coordinates of the picture, and the size of a pixel."""
        dy, dx = _direction(self.rng)
        radius = self.scale * self.rng.uniform(_GROOVE[1] + 0.02, _OUTSIDE - 0.1)
        return (self.shift[0] + radius * dy, self.shift[1] + radius * dx), self.unit

    def draw(self, defect: str) -> tuple[Field, npt.NDArray[np.bool_]]:
        holes = [(_HOLES_AT * np.sqrt(0.75 if c in (0.5, -0.5) else 1) * s, _HOLES_AT * c) for c, s in _CORNERS]
        mask = np.zeros(self.y.shape, bool)
        if defect in ("missing", "misplaced"):
            number = self.rng.integers(len(holes))
            place = holes.pop(number)
            mask = self._distance(place) < _HOLE + self.unit
            if defect == "misplaced":
                dy, dx = _direction(self.rng)
                far = self.rng.uniform(0.7, 1.1) * _HOLE
                moved = place[0] + far * dy, place[1] + far * dx
                holes.append(moved)
                mask |= self._distance(moved) < _HOLE + self.unit
        radius = self._distance((0, 0))
        value = self.metal + self.fibres - 34 * self._ring(radius)
        # bevels: lit on the side of the lamp
        facing = (self.y * self.light[0] + self.x * self.light[1]) / np.maximum(radius, self.unit)
        for edge, sign in ((_OUTSIDE, 1), (_INSIDE, -1)):
            value = value + 30 * sign * facing * _ramp(np.abs(radius - edge), 0.06)
        value = self._cut(value, -(radius - _INSIDE), self.depth)
        for hole in holes:
            value = self._cut(value, _HOLE - self._distance(hole), self.depth)
        return self._cut(value, radius - _OUTSIDE, self.ground + 0.5 * self.fibres), mask

    def _distance(self, centre: Sequence[float]) -> Field:
        return np.sqrt((self.y - centre[0]) ** 2 + (self.x - centre[1]) ** 2)

    def _ring(self, radius: Field) -> Field:
        return _ramp(_GROOVE[0] - radius, self.unit) * _ramp(radius - _GROOVE[1], self.unit)

    def _cut(self, value: Field, depth: Field, other: Field | float) -> Field:
        """`other` where depth is positive, with an edge of a pixel."""
        share = 1 - _ramp(depth + self.unit / 2, self.unit)
        return (1 - share) * value + share * other
