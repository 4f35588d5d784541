# SPDX-License-Identifier: BSD-3-Clause
"""Trees that all positions of a channel share, grown on a sample of (image, position) pairs; ``cbn_tied.h``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .. import _engine
from .._params import Flag, Parameters, Real, Whole, parameter, parameters
from ..bits.planes import BitPlanes
from .boosted import BoostedLayer
from .grid import Grid

BELOW_ALL = 2**32  # random numbers of pairs are below it
# Rounds between two returns to Python.
BATCH_ROUNDS = 25
# What the profile tells, in the order of cbn_causal.
STATISTICS = (
    "distance to ink on the left", "distance to ink above", "distance to ink on the left in the row above",
    "distance to ink on the right in the row above", "run of ink on the left", "run of ink above",
    "runs of ink in the row so far", "runs of ink in the row above", "ink in the row above", "ink so far",
    *(
        f"column less the {edge} one with ink {where}"
        for where in ("1 row above", "2 rows above", "3 rows above", "5 rows above", "in all rows above")
        for edge in ("first", "last")
    ),
    "rows since the first ink", "column less the mean one of ink above", "column less the mean one of ink in 4 rows above",
    "twice the mean width of runs of ink so far",
)  # fmt: skip
Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Sampling = tuple[int, int, int, bool, int]  # seed, below, thinning, nested, first: ``cbn_row_sampling`` in cbn_tied.h


@parameters
class Tied(Parameters):
    """Sums of small trees that all positions share, over causal features; ``cbn_tied.h``.

    The defaults were chosen on training images of MNIST, by the nats of those held out.
    """

    step_fields: ClassVar = ("rounds", "corrections")
    sample_fields: ClassVar = ("pairs",)

    radius: int = parameter(
        Whole(1, _engine.MAX_RADIUS), "Trees see the earlier pixels within this Chebyshev distance.", default=6
    )
    places: bool = parameter(Flag(), "Let trees ask for the row and column of a pixel.", default=True)
    profile: bool = parameter(
        Flag(),
        "Let trees ask for distances to ink, lengths of runs, edges and amounts of ink among all earlier pixels.",
        default=True,
    )
    pairs: int = parameter(
        Whole(64, 2**27), "Pairs of image and pixel to learn from, at most; drawn at random.", default=2_000_000
    )
    thinning: int = parameter(
        Whole(1, 2**20),
        "Of the pairs in which a pixel and the 12 before it are empty one in so many is kept; trees are told.",
        default=8,
    )
    rounds: int = parameter(Whole(0, _engine.MAX_TIED_TREES), "Trees of a network.", default=500, option="tied-rounds")
    max_leaves: int = parameter(
        Whole(2, _engine.MAX_BOOSTED_LEAVES), "Most leaves of a tree.", default=96, option="tied-leaves"
    )
    n_candidates: int = parameter(
        Whole(1, _engine.ROW_BITS), "Features that a tree may split on, drawn at random for each.", default=128
    )
    share: float = parameter(
        Real(1e-6, 1), "Share of the pairs that a tree is learned from, drawn at random for each.", default=0.3
    )
    rate: float = parameter(
        Real(1e-9, 1), "Step length: the share of a Newton step that a leaf takes, in (0, 1].", default=0.1
    )
    l2: float = parameter(Real(0, 1e9), "Ridge penalty on leaf values, added to the Hessian of a leaf.", default=10.0)
    min_gain: float = parameter(Real(0, 1e9), "A split must gain more log-likelihood than this, in nats.", default=0.5)
    min_hessian: float = parameter(Real(1e-3, 1e9), "Least sum of p (1 - p) on each side of a split.", default=1.0)
    networks: int = parameter(
        Whole(1, 100),
        "Networks of other pairs and draws whose log-odds are averaged; time grows in proportion.",
        default=1,
        option="tied-networks",
    )
    corrections: int = parameter(
        Whole(0, _engine.MAX_ROUNDS),
        "Rounds in which every single pixel may get a small tree of its own that corrects the shared ones.",
        default=0,
    )


@dataclass(frozen=True, eq=False)
class TiedLayer(Grid):
    """A grid of binary nodes with trees that all positions of a channel share; the layout of ``cbn_tied`` in cbn_tied.h.

    Attributes
    ----------
    channels, height, width : int
    radius : int
    places, profile : bool
    begin : ndarray, (channels + 1,) int64
        The trees of channel c are ``begin[c]`` to ``begin[c + 1] - 1``.
    tree_begin : ndarray, (trees + 1,) int64
        The vertices of tree t are ``tree_begin[t]`` to ``tree_begin[t + 1] - 1``, numbered breadth first.
    split : ndarray, (vertices,) int32
        The feature that decides at a vertex, -1 at a leaf.
    value : ndarray, (vertices,) int32
        What a leaf adds to the log-odds, in units of 1 / 65536; 0 at an inner vertex.
    base : ndarray, (channels,) int32
        Log-odds without trees, in the same unit.
    nested : bool
        A node is never 1 where that of the next lower channel at its position is 0.
    corrections : BoostedLayer, optional
        Trees of single nodes, whose log-odds are added.
    """

    radius: int
    places: bool
    profile: bool
    begin: Integers
    tree_begin: Integers
    split: npt.NDArray[np.int32]
    value: npt.NDArray[np.int32]
    base: npt.NDArray[np.int32]
    nested: bool
    corrections: BoostedLayer | None = None

    @property
    def causal(self) -> tuple[tuple[int, int, int], int, bool, bool]:
        """The features, as the engine's ``causal``."""
        return (self.channels, self.height, self.width), self.radius, self.places, self.profile

    @property
    def n_trees(self) -> int:
        return len(self.tree_begin) - 1

    @property
    def n_leaves(self) -> int:
        return int((self.split < 0).sum())

    def arrays(self) -> tuple[npt.NDArray[Any], ...]:
        """begin, tree_begin, split, value, base, as ``cbn_tied`` has them."""
        return self.begin, self.tree_begin, self.split, self.value, self.base

    def corrected(self, corrections: BoostedLayer) -> "TiedLayer":
        """The same trees with others of single nodes."""
        return replace(self, corrections=corrections)

    # ---- features ----

    def offsets(self) -> list[tuple[int, int]]:
        """(dy, dx) of the pixels of the window, in the order of its features."""
        return window_offsets(self.radius)

    def groups(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """First feature, and the one after the last, of window (with lower thresholds), place and profile."""
        n = _engine.causal_count(self.causal)
        window = len(self.offsets()) * self.channels + self.channels - 1
        profile = n - sum(map(len, _engine.profile_thresholds())) if self.profile else n
        return (0, window), (window, profile), (profile, n)

    def feature_name(self, feature: int, node: int) -> str:
        """A feature of a node in words."""
        (_, window), (_, profile), _ = self.groups()
        _, row, column = self.place(node)
        if feature < len(self.offsets()) * self.channels:
            (dy, dx), channel = self.offsets()[feature // self.channels], feature % self.channels
            return f"({row + dy}, {column + dx}){self._above(channel)} on"
        if feature < window:
            return f"({row}, {column}){self._above(feature - len(self.offsets()) * self.channels)} on"
        if feature < profile:
            cuts = min(self.height - 1, _engine.MAX_CUTS)
            kind, number, side, n = "row", feature - window, self.height, cuts
            if number >= cuts:
                kind, number, side, n = "column", number - cuts, self.width, min(self.width - 1, _engine.MAX_CUTS)
            return f"{kind} >= {-(-(number + 1) * side // (n + 1))}"
        number = feature - profile
        for name, thresholds in zip(STATISTICS, _engine.profile_thresholds()):
            if number < len(thresholds):
                return f"{name} >= {thresholds[number]}"
            number -= len(thresholds)
        raise ValueError(f"feature {feature}")

    def _above(self, channel: int) -> str:
        return f" threshold {channel}" if self.channels > 1 else ""


def window_offsets(radius: int) -> list[tuple[int, int]]:
    """(dy, dx) of the earlier positions within a Chebyshev distance, nearest first; the order of cbn_causal."""
    offsets = [(dy, dx) for dy in range(-radius, 1) for dx in range(-radius, radius + 1) if (dy, dx) < (0, 0)]
    return sorted(offsets, key=lambda o: (max(-o[0], abs(o[1])), -o[0], abs(o[1]), *o))


@dataclass(frozen=True, eq=False)
class Rows:
    """A sample of the pairs of a channel; ``cbn_rows`` in cbn_tied.h.

    Attributes
    ----------
    features : ndarray, (blocks, features) uint64
    target, members, quiet : ndarray, (blocks,) uint64
    """

    features: Words
    target: Words
    members: Words
    quiet: Words

    @classmethod
    def sampled(
        cls, planes: BitPlanes, causal: Any, channel: int, tied: Tied, nested: bool, seed: int, num_threads: int
    ) -> "Rows":
        """About ``tied.pairs`` pairs, or all that thinning leaves."""
        how = seed, BELOW_ALL, tied.thinning, nested, 0
        counts = pairs_of_words(planes, causal, channel, how, num_threads)
        if (below := below_for(tied.pairs, int(counts.sum()))) < BELOW_ALL:
            how = seed, below, tied.thinning, nested, 0
            counts = pairs_of_words(planes, causal, channel, how, num_threads)
        return cls.taken(planes, causal, channel, how, counts, num_threads)

    @classmethod
    def taken(
        cls, planes: BitPlanes, causal: Any, channel: int, how: Sampling, counts: Integers, num_threads: int
    ) -> "Rows":
        """The pairs of every word of images, of which there are ``counts``."""
        begin = np.concatenate([[0], np.cumsum(-(-counts // 64))])
        n_blocks = max(1, int(begin[-1]))  # arrays of nothing have no address
        target, members, quiet = (np.zeros(n_blocks, np.uint64) for _ in range(3))
        features = np.zeros((n_blocks, _engine.causal_count(causal)), np.uint64)
        if begin[-1]:
            rows = features, target, members, quiet
            _engine.rows_take(causal, planes.words, planes.n_images, channel, how, begin, rows, num_threads)
        return cls(features, target, members, quiet)

    @classmethod
    def joined(cls, parts: Sequence["Rows"]) -> "Rows":
        """Those of consecutive images, cut at multiples of 64, as they would have been taken of all."""
        some = [own for own in parts if own.n] or parts[:1]  # where there are none there is a block without members
        return cls(*(np.concatenate([getattr(own, one.name) for own in some]) for one in fields(cls)))

    def __sizeof__(self) -> int:  # by which clusters know what they send
        return super().__sizeof__() + sum(getattr(self, own.name).nbytes for own in fields(self))

    @property
    def n(self) -> int:
        return int(np.bitwise_count(self.members).sum())


def pairs_of_words(planes: BitPlanes, causal: Any, channel: int, how: Sampling, num_threads: int) -> Integers:
    """(words,) pairs that are taken of the images of each word."""
    counts = np.empty(planes.words.shape[1], np.int64)
    _engine.rows_count(causal, planes.words, planes.n_images, channel, how, counts, num_threads)
    return counts


def below_for(pairs: int, n: int) -> int:
    """Below what random numbers must be so that of n pairs about so many are left, or all."""
    return BELOW_ALL * pairs // n if n > pairs else BELOW_ALL


def bits_of(words: Words) -> npt.NDArray[np.bool_]:
    """(64 blocks,) the bits of one word a block."""
    return np.unpackbits(words.astype("<u8").view(np.uint8), bitorder="little").view(np.bool_)


def grow_forest(
    rows: Rows, tied: Tied, odds: npt.NDArray[np.int32], *, seed: int, stream: int, num_threads: int,
    n_learning: int | None = None, progress: Callable[[int], None] | None = None,
) -> list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]]:  # fmt: skip
    """Trees (split, value) on rows, whose log-odds ``odds`` (64 blocks,) they raise."""
    ones = np.bitwise_count(rows.features & rows.members[:, None]).sum(axis=0, dtype=np.int64)
    least = 4 * tied.min_hessian  # a row's Hessian is at most 1/4
    usable = np.flatnonzero((ones >= least) & (rows.n - ones >= least)).astype(np.int32)
    growth = (
        tied.max_leaves, tied.n_candidates, tied.share, tied.rate, tied.l2, tied.min_gain, tied.min_hessian, seed, stream
    )  # fmt: skip
    trees = []
    for first in range(0, tied.rounds, BATCH_ROUNDS):
        n = min(BATCH_ROUNDS, tied.rounds - first)
        n_vertices = np.empty(n, np.int32)
        split, value = (np.empty((n, 2 * tied.max_leaves - 1), np.int32) for _ in range(2))
        _engine.forest_grow(
            rows.features, rows.target, rows.members, n_learning or len(rows.target), growth, usable,
            (first, odds, n_vertices, split, value), num_threads,
        )  # fmt: skip
        trees += [(split[i, :size].copy(), value[i, :size].copy()) for i, size in enumerate(n_vertices) if size]
        if progress is not None:
            progress(first + n)
    return trees


def start_odds(rows: Rows, thinning: int) -> tuple[int, npt.NDArray[np.int32]]:
    """Base (log-odds of a pair, as if none had been thinned), and the log-odds of all rows before any tree."""
    one = _engine.LOG_ODDS_ONE
    members, quiet, target = (bits_of(words) for words in (rows.members, rows.quiet, rows.target))
    n1 = int((members & target).sum())
    n0 = int((members & ~target & ~quiet).sum()) + thinning * int((members & ~target & quiet).sum())
    base = round(float(np.log((n1 + 1) / (n0 + 1))) * one)
    return base, base + np.where(quiet, round(float(np.log(thinning)) * one), 0).astype(np.int32)
