# SPDX-License-Identifier: BSD-3-Clause
"""Detection by contrast: how much more an image surprises those who know its class than those who know strokes alone.

A likelihood is a poor judge of what is another kind: images of few strokes are likely under every model. Two networks of
tied trees read the same pixels: one of the class, and a background network of the class's own images, each turned,
mirrored and moved at random, that sees a few pixels around and so knows ink but no shapes. What both find odd, such as
noise, cancels out; what is left is where an image is no image of the class. Of several thresholds they read the lowest.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from zipfile import ZipFile

import numpy as np
import numpy.typing as npt

from .. import _engine
from .. import _validation as validation
from .._params import Parameters, Real, Whole, parameter, parameters
from ..bits.planes import BitPlanes
from ..cpd.base import Source, Task
from ..cpd.forest import Tied
from ..cpd.grid import Grid
from ..cpd.kinds import read_cpd
from ..cpd.tied import TiedCPD
from ..io.archive import read_array

Floats = npt.NDArray[np.float64]
States = npt.NDArray[np.uint8]

NAME = "contrast"  # the score
PARTS = ("whole", "places")  # its columns beside those of the layers
CLASS_TREES = Tied(max_leaves=64, rate=0.2, l2=2.0)
BACKGROUND_TREES = Tied(places=False, profile=False, max_leaves=32, rate=0.3, l2=2.0)
FLOOR = 0.02  # nats: no position is expected to vary less
PURPOSE = 0x636F6E74  # of the random numbers
KERNEL_UNIT = 2.0**-20  # weights of the smoothing are its multiples, whatever exp() a machine has
CHUNK_BYTES = 2**26  # of maps that are made at a time
KEPT_BYTES = 2**28  # of maps that are kept, and not made again
CACHED = 2**16  # pixels of maps that are smoothed at a time
TURNED_BYTES = 2**28  # of images of the background


@parameters
class Contrast(Parameters):
    """The log-ratio of two networks of tied trees: one of the class, one of strokes in general.

    The defaults were chosen on training images of MNIST, by distorted ones among them, but for the radius: it was set after
    looks at test images of digit 2.
    """

    step_fields: ClassVar = ("rounds", "background_rounds")
    sample_fields: ClassVar = ("pairs", "background_pairs")

    weight: float = parameter(
        Real(0, 1e6),
        "Weight of the layers' standardized surprise in the score; that of the contrast is 1.",
        default=1.0,
    )
    radius: int = parameter(
        Whole(1, _engine.MAX_RADIUS),
        "The background sees the earlier pixels within this Chebyshev distance.",
        default=3,
    )
    roll: int = parameter(Whole(0, 2**10), "Its images are moved by up to so many pixels, round the edges.", default=6)
    smoothing: float = parameter(
        Real(0, 100), "Standard deviation, in pixels, of the Gaussian that smooths maps of the log-ratio.", default=2.0
    )
    pairs: int = parameter(
        Whole(64, 2**27),
        "Pairs of image and pixel that the network of the class learns from, at most.",
        default=350_000,
    )
    rounds: int = parameter(Whole(0, _engine.MAX_TIED_TREES), "Trees of the network of the class.", default=150)
    background_pairs: int = parameter(
        Whole(64, 2**27), "Pairs that the background learns from, at most.", default=100_000
    )
    background_rounds: int = parameter(Whole(0, _engine.MAX_TIED_TREES), "Trees of the background.", default=40)

    def trees(self, side: int) -> tuple[Tied, Tied]:
        """How the network of the class and the background are learned from images with a longer side."""
        own = CLASS_TREES.replaced(pairs=self.pairs, rounds=self.rounds, profile=side <= _engine.MAX_PROFILE_SIDE)
        background = BACKGROUND_TREES.replaced(
            pairs=self.background_pairs, rounds=self.background_rounds, radius=self.radius
        )
        return own, background


@dataclass(frozen=True, eq=False)
class LogRatio:
    """The two networks, and what normal images that they have not seen look like under them.

    Attributes
    ----------
    own, background : TiedCPD
    smoothing : float
    mean, deviation : ndarray, (height, width) float64
        Of the smoothed maps of the held-out images.
    """

    own: TiedCPD
    background: TiedCPD
    smoothing: float
    mean: Floats
    deviation: Floats

    @classmethod
    def learned(
        cls, contrast: Contrast, grid: Grid, counted: BitPlanes, held_out: BitPlanes, seed: int, num_threads: int,
        progress: Callable[[int], None] | None = None,
    ) -> tuple["LogRatio", Floats]:  # fmt: skip
        """From pixels of images, and of others that only say what is normal; and the columns of these, each by the rest of them.

        ``progress`` is called with the number of trees that are done, of ``contrast.n_steps()``.
        """
        own, background = contrast.trees(max(grid.height, grid.width))
        grid = Grid(1, grid.height, grid.width)
        counted, held_out = lowest(counted, grid), lowest(held_out, grid)
        none = np.zeros((grid.height, grid.width))

        def learn(trees: Tied, planes: BitPlanes, earlier: int) -> TiedCPD:
            report = None if progress is None else lambda done, _: progress(earlier + done)
            return TiedCPD.learn(trees, Task(grid, 1, planes, True, (), seed, num_threads, progress=report))

        moved = moved_images(counted.part(0, n_moved(grid) // 64), contrast, grid, seed, num_threads)
        ratio = cls(learn(own, counted, 0), learn(background, moved, own.rounds), contrast.smoothing, none, none)
        return ratio._of_normal(held_out, num_threads)

    def _of_normal(self, held_out: BitPlanes, num_threads: int) -> tuple["LogRatio", Floats]:
        n = held_out.n_images
        kept = list(self.smooth_chunks(held_out, num_threads)) if keeps_maps(n, self.mean.size) else None

        def smooth() -> Iterable[tuple[Floats, Floats]]:
            return self.smooth_chunks(held_out, num_threads) if kept is None else kept

        mean, squares = np.zeros_like(self.mean), np.zeros_like(self.mean)
        for maps, _ in smooth():
            mean += maps.sum(axis=0)
        mean /= n
        for maps, _ in smooth():
            squares += ((maps - mean) * (maps - mean)).sum(axis=0)
        ratio = replace(self, mean=mean, deviation=np.sqrt(squares / n))
        if n == 1:
            return ratio, ratio.columns(held_out, num_threads)
        columns = [np.stack([sums, left_out(maps, mean, squares, n)], axis=1) for maps, sums in smooth()]
        return ratio, -np.concatenate(columns)

    def freeze(self) -> None:
        """Makes everything that was learned unwritable."""
        self.own.freeze()
        self.background.freeze()
        self.mean.flags.writeable = self.deviation.flags.writeable = False

    def maps(self, planes: BitPlanes, num_threads: int) -> Floats:
        """(n_images, height, width) -log p of the class's network less that of the background, nats.

        Each map sums to the log-ratio of the image's probabilities.
        """
        layer = self.own.layer
        planes = lowest(planes, layer)
        own, background = (
            network.contributions(planes, _engine.LOG_PROBABILITY, num_threads)
            for network in (self.own, self.background)
        )
        background -= own
        return background.reshape(-1, layer.height, layer.width)

    def columns(self, planes: BitPlanes, num_threads: int) -> Floats:
        """(n_images, 2): minus the log-ratio of the whole image in nats, and minus what exceeds the normal at places."""
        chunks = self.smooth_chunks(planes, num_threads)
        columns = [np.stack([sums, excess(maps - self.mean, self.deviation)], axis=1) for maps, sums in chunks]
        return -np.concatenate(columns)

    def chunks(self, planes: BitPlanes, num_threads: int) -> Iterator[Floats]:
        """The maps of some images after the other; sums of doubles are of these chunks."""
        words = chunk_words(self.own.layer)
        for first in range(0, planes.words.shape[1], words):
            yield self.maps(planes.part(first, words), num_threads)

    def smooth_chunks(self, planes: BitPlanes, num_threads: int) -> Iterator[tuple[Floats, Floats]]:
        """The smoothed maps of each chunk, and the sums (images,) of the maps before they were smoothed."""
        for maps in self.chunks(planes, num_threads):
            yield smoothed(maps, self.smoothing), maps.sum(axis=(1, 2))

    # ---- files ----

    def describe(self) -> dict[str, Any]:
        """``own`` and ``background``, the descriptions of their CPDs, ``n_images`` that they saw, and ``smoothing``."""
        return {
            "own": self.own.describe(),
            "background": self.background.describe(),
            "n_images": self.own.n_images,
            "smoothing": self.smoothing,
        }

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """``own_*`` and ``background_*``, the arrays of their CPDs; ``mean``, ``deviation`` float64 (height, width)."""
        found: dict[str, npt.NDArray[Any]] = {"mean": self.mean, "deviation": self.deviation}
        for name, network in (("own", self.own), ("background", self.background)):
            found |= {f"{name}_{own}": array for own, array in network.arrays().items()}
        return found

    @classmethod
    def read(
        cls, archive: ZipFile, description: dict[str, Any], array_name: Callable[[str], str], grid: Grid
    ) -> "LogRatio":
        """From a file; anything that cannot be raises one of cbn.io.archive.DAMAGE."""
        n_images = validation.check_integer(description["n_images"], "n_images", 1, 2**62)
        smoothing = validation.check_real(description["smoothing"], "smoothing", 0, 100)

        def network(name: str) -> TiedCPD:
            source = Source(archive, description[name], lambda own: array_name(f"{name}_{own}"), grid, 1, True, {})
            found = read_cpd(source, n_images)
            if not isinstance(found, TiedCPD):
                raise ValueError(f"a contrast of {found.nouns}")
            return found

        grid = Grid(1, grid.height, grid.width)
        shape = grid.height, grid.width
        mean, deviation = (read_array(archive, array_name(name), np.float64, shape) for name in ("mean", "deviation"))
        if not (np.isfinite(mean).all() and np.isfinite(deviation).all() and (deviation >= 0).all()):
            raise ValueError("means and deviations of a contrast that cannot be")
        ratio = cls(network("own"), network("background"), smoothing, mean, deviation)
        ratio.freeze()
        return ratio


def chunk_words(grid: Grid) -> int:
    """Words of images whose maps are made at a time."""
    return max(8, CHUNK_BYTES // (64 * 8 * grid.n_nodes))


def keeps_maps(n: int, size: int) -> bool:
    """Whether maps of n images are kept."""
    return 8 * n * size <= KEPT_BYTES


def n_moved(grid: Grid) -> int:
    """How many images the background learns from, at most: the first ones."""
    return 64 * max(1, TURNED_BYTES // (64 * grid.n_nodes))


def moved_images(few: BitPlanes, contrast: Contrast, grid: Grid, seed: int, num_threads: int) -> BitPlanes:
    """What the background learns from."""
    return BitPlanes.of_states(transformed(few.states(num_threads), grid, contrast.roll, seed), num_threads)


def lowest(planes: BitPlanes, grid: Grid) -> BitPlanes:
    """The planes of the lowest threshold."""
    return BitPlanes(planes.words[: grid.n_positions], planes.n_images)


def transformed(states: States, grid: Grid, roll: int, seed: int) -> States:
    """Images (n, pixels) uint8, each turned, mirrored and moved at random; by quarter turns only where they are squares."""
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, PURPOSE])))
    n, n_kinds = len(states), 8 if grid.height == grid.width else 4
    images = states.reshape(n, grid.height, grid.width)
    kinds = random.integers(0, n_kinds, n)
    moves = random.integers(-roll, roll + 1, (n, 2))
    turned = np.empty_like(images)
    for kind in range(n_kinds):
        own = images[kinds == kind]
        own = own[:, ::-1] if kind & 1 else own
        own = own[:, :, ::-1] if kind & 2 else own
        turned[kinds == kind] = own.swapaxes(1, 2) if kind & 4 else own
    rows = (np.arange(grid.height) - moves[:, :1]) % grid.height
    columns = (np.arange(grid.width) - moves[:, 1:]) % grid.width
    return turned[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]].reshape(n, -1)


def smoothed(maps: Floats, deviation: float) -> Floats:
    """Maps (n, height, width) after a Gaussian filter, 0 outside; the same bits on every machine."""
    reach = math.ceil(3 * deviation)
    weights = [math.exp(-0.5 * (k / deviation) * (k / deviation)) if k else 1.0 for k in range(reach + 1)]
    total = weights[0] + 2 * sum(weights[1:])
    weights = [KERNEL_UNIT * round(w / total / KERNEL_UNIT) for w in weights]
    found = np.empty_like(maps)
    some = max(1, CACHED // maps[0].size)
    for first in range(0, len(maps), some):
        part = maps[first : first + some]
        found[first : first + some] = _filtered(_filtered(part, weights, 1), weights, 2)
    return found


def _filtered(maps: Floats, weights: list[float], axis: int) -> Floats:
    found = weights[0] * maps
    part = np.empty_like(maps)
    for k, weight in enumerate(weights[1 : maps.shape[axis]], start=1):
        np.multiply(maps, weight, out=part)
        low, high = [slice(None)] * 3, [slice(None)] * 3
        low[axis], high[axis] = slice(None, -k), slice(k, None)
        found[tuple(low)] += part[tuple(high)]
        found[tuple(high)] += part[tuple(low)]
    return found


def excess(apart: Floats, deviation: Floats) -> Floats:
    """(n,) root mean square over places of how far maps lie above the normal mean, in deviations."""
    above = np.maximum(apart / (deviation + FLOOR), 0.0)
    return np.sqrt((above * above).mean(axis=(1, 2)))


def left_out(maps: Floats, mean: Floats, squares: Floats, n: int) -> Floats:
    """(images,) excess of smooth maps by mean and deviation of the others, from those of all n."""
    longer, apart = n / (n - 1), maps - mean
    left = np.maximum(squares - longer * (apart * apart), 0.0)
    return excess(longer * apart, np.sqrt(left / (n - 1)))


def contrast_scales(standardized: tuple[float, ...], scores: Floats, weight: float) -> tuple[float, ...]:
    """The factors of a contrast's columns, from scores (n, layers + 2) of normal images.

    Both parts are brought to one spread, and their sum to 1; the layers' combined score has then the spread ``weight``.
    """

    def inverse(column: Floats) -> float:
        deviation = float(column.std())
        return 1 / deviation if deviation > 1e-12 * max(1.0, float(np.abs(column).max())) else 1.0

    n_layers = len(standardized)
    parts = [inverse(scores[:, n_layers + i]) for i in range(len(PARTS))]
    together = inverse(parts[0] * scores[:, n_layers] + parts[1] * scores[:, n_layers + 1])
    combined = standardized[0] * scores[:, 0]
    for factor, column in zip(standardized[1:], scores.T[1:n_layers]):
        combined = combined + factor * column
    of_layers = weight * inverse(combined)
    return (*(of_layers * factor for factor in standardized), *(together * part for part in parts))
