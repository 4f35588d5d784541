# SPDX-License-Identifier: BSD-3-Clause
"""Tied trees as conditional distributions: a convolutional Bayesian network.

All positions share one sum of small trees over causal features, which are functions of the pixels before a pixel in
raster order: those in a window, its place, and a profile of everything before (distances, runs, edges, amounts of ink). So
what is learned at one place holds at all, as the kernels of a convolution do, and the network stays a normalized
distribution that is exact to score and to sample.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _engine
from .. import _validation as validation
from ..bits.alignment import aligned
from ..bits.planes import BitPlanes
from ..bits.shards import LayerImages
from ..explain.surprise import Place
from ..explain.tied import TiedSurprise, influences
from ..io.archive import read_array
from . import boosted
from .base import Field, Floats, Outline, Source, States, Task
from .boosted import MAX_NODES, MAX_VERTICES, VERTEX_BYTES, Boosted, BoostedLayer
from .candidates import candidates, no_required, required_nodes
from .files import read_begins
from .forest import Rows, Tied, TiedLayer, grow_forest, start_odds
from .grid import Grid
from .nodeshares import boosted_by_nodes
from .odds import BLOCK_IMAGES, OddsCPD, check_moments
from .pairs import rows_of_shards
from .shape import depths

Integers = npt.NDArray[np.int64]
Nodes = npt.NDArray[np.int32]

N_INFLUENCES = 3  # features that an explanation names
# How single pixels' own trees are grown: they see the window, and take small steps.
CORRECTION = Boosted(max_leaves=4, n_candidates=40, rate=0.05, l2=10.0, min_gain=2.0, min_hessian=2.0)


def _causal(grid: Grid, tied: Tied) -> tuple[tuple[int, int, int], int, bool, bool]:
    return (grid.channels, grid.height, grid.width), tied.radius, tied.places, tied.profile


def _trees_of(
    grid: Grid, tied: Tied, nested: bool, rows_of: Callable[[int, int], Rows], *, seed: int, num_threads: int,
    progress: Callable[[int, int], None] | None = None,
) -> TiedLayer:  # fmt: skip
    """The trees of all channels; ``rows_of`` a channel and a seed are those that they learn from."""
    n_channels = grid.channels
    in_all = n_channels * tied.networks * tied.rounds
    split: list[npt.NDArray[np.int32]] = []
    value: list[npt.NDArray[np.int32]] = []
    begin, base = [0], []
    for channel in range(n_channels):
        bases = []
        for number in range(tied.networks):
            stream = number * n_channels + channel
            earlier = (channel * tied.networks + number) * tied.rounds
            rows = rows_of(channel, seed + number)
            one, odds = start_odds(rows, tied.thinning)
            trees = grow_forest(
                rows, tied, odds, seed=seed, stream=stream, num_threads=num_threads,
                progress=_counted(progress, earlier, in_all),
            )  # fmt: skip
            bases.append(one)
            split += [tree[0] for tree in trees]
            value += [shared(tree[1], tied.networks) for tree in trees]
        base.append(round(sum(bases) / len(bases)))
        begin.append(len(split))
    none = np.zeros(0, np.int32)
    return TiedLayer(
        n_channels, grid.height, grid.width, tied.radius, tied.places, tied.profile, np.array(begin, np.int64),
        np.cumsum([0] + [len(tree) for tree in split], dtype=np.int64),
        np.concatenate([none, *split]), np.concatenate([none, *value]), np.array(base, np.int32), nested,
    )  # fmt: skip


def shared(value: Nodes, n: int) -> Nodes:
    """Values of leaves when the log-odds of n networks are averaged, in steps as those of one are."""
    step = _engine.TIED_STEP
    return (step * np.rint(value / (n * step))).astype(np.int32)


def _counted(progress: Callable[[int, int], None] | None, earlier: int, in_all: int) -> Callable[[int], None] | None:
    return None if progress is None else lambda done: progress(earlier + done, in_all)


@dataclass(frozen=True, eq=False)
class _SharedOdds:
    """The log-odds that the shared trees give, which those of single nodes correct."""

    layer: TiedLayer

    def __call__(self, planes: BitPlanes, first: int, n: int, num_threads: int) -> npt.NDArray[np.int32]:
        odds = np.empty((n, 64 * planes.words.shape[1]), np.int32)
        _engine.tied_node_odds(_engine.Tied(self.layer), planes.words, planes.n_images, first, odds, num_threads)
        return odds


def _correct(layer: TiedLayer, task: Task, tied: Tied) -> BoostedLayer:
    """Trees of single nodes over the nodes in the window, which correct the shared ones."""
    return boosted.grow(
        task.grid, task.planes, candidates(task.grid, task.distance, tied.radius),
        required_nodes(task.grid, layer.nested), CORRECTION.replaced(rounds=tied.corrections),
        seed=task.seed, num_threads=task.num_threads, start=_SharedOdds(layer),
    )  # fmt: skip


class TiedCPD(OddsCPD):
    """A layer of tied trees."""

    name = "tied"
    nouns = "tied trees"
    parameter_class = Tied
    engine_class = _engine.Tied
    engine_prefix = "tied"
    distributes = True
    since = 10

    layer: TiedLayer

    # ---- learning ----

    @classmethod
    def check_size(cls, parameters: Tied, field: Field, pixels: bool) -> None:
        grid, p = field.grid(), parameters
        side = max(grid.height, grid.width)
        if p.profile and side > _engine.MAX_PROFILE_SIDE:
            raise ValueError(
                f"profile: images of {grid.height} x {grid.width} pixels; it needs sides of at most "
                f"{_engine.MAX_PROFILE_SIDE}: use smaller images, or profile=False"
            )
        n_features = 2 * p.radius * (p.radius + 1) * grid.channels
        if n_features > _engine.MAX_FEATURES - 1024:
            raise ValueError(
                f"radius: {p.radius} gives {n_features:,} pixels in a window of {grid.channels} thresholds, more than "
                f"{_engine.MAX_FEATURES - 1024:,}; reduce it"
            )
        if p.networks * p.rounds > _engine.MAX_TIED_TREES:
            raise ValueError(
                f"networks, rounds: {p.networks} networks of {p.rounds} trees are more than {_engine.MAX_TIED_TREES} "
                "trees; reduce one of them"
            )

    @classmethod
    def most(cls, parameters: Tied, field: Field, pixels: bool, n_relations: int) -> tuple[int, int]:
        p, grid = parameters, field.grid()
        n_trees, n_own = grid.channels * p.networks * p.rounds, grid.n_nodes * p.corrections
        n_parameters = n_trees * p.max_leaves + grid.channels + n_own * CORRECTION.max_leaves
        n_vertices = n_trees * (2 * p.max_leaves - 1) + n_own * (2 * CORRECTION.max_leaves - 1)
        return n_parameters, n_vertices * VERTEX_BYTES

    @classmethod
    def steps(cls, parameters: Tied, n_pixels: int) -> tuple[int, str]:
        return max(1, parameters.networks * parameters.rounds), "tree"

    @classmethod
    def quick(cls, parameters: Tied) -> Tied:
        p = parameters
        return p.replaced(
            rounds=min(p.rounds, 160),
            rate=max(p.rate, 0.25),
            pairs=min(p.pairs, 1_000_000),
            max_leaves=min(p.max_leaves, 64),
        )

    @classmethod
    def learn(cls, parameters: Tied, task: Task) -> "TiedCPD":
        nested = task.pixels and task.grid.channels > 1
        causal, threads = _causal(task.grid, parameters), task.num_threads

        def rows_of(channel: int, seed: int) -> Rows:
            return Rows.sampled(task.planes, causal, channel, parameters, nested, seed, threads)

        layer = _trees_of(
            task.grid, parameters, nested, rows_of, seed=task.seed, num_threads=threads, progress=task.progress
        )  # fmt: skip
        if parameters.corrections:
            own = _correct(layer, task, parameters)
            layer = layer.corrected(own) if own.n_trees else layer
        return cls.of_images(layer, task.planes, task.num_threads)

    @classmethod
    def learn_from(cls, parameters: Tied, outline: Outline, images: LayerImages) -> "TiedCPD":
        nested = outline.pixels and outline.grid.channels > 1
        shards, causal = aligned(images.chosen(), BLOCK_IMAGES), _causal(outline.grid, parameters)

        def rows_of(channel: int, seed: int) -> Rows:
            return rows_of_shards(shards, images.number, causal, channel, parameters, nested, seed)

        layer = _trees_of(
            outline.grid, parameters, nested, rows_of, seed=outline.seed, num_threads=outline.num_threads
        )  # fmt: skip
        if parameters.corrections:
            own = boosted_by_nodes(
                shards, images.number, outline.grid, outline.distance, parameters.radius, nested,
                CORRECTION.replaced(rounds=parameters.corrections), outline.seed, _SharedOdds(layer),
            )  # fmt: skip
            layer = layer.corrected(own) if own.n_trees else layer
        return cls.of_shards(layer, shards, images.number)

    def _required(self) -> npt.NDArray[np.int32]:
        return no_required(self.layer, required_nodes(self.layer, self.layer.nested))

    # ---- what it is ----

    @property
    def particle_cost(self) -> float:
        return max(1.0, self.layer.n_trees / self.layer.channels / 8)

    def _n_parameters(self) -> int:
        own = self.layer.corrections
        return self.layer.n_leaves + self.layer.channels + (0 if own is None else own.n_leaves)

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"trees": self.describe_trees()}

    def describe_trees(self) -> dict[str, Any]:
        """Sizes of the trees, and the share of splits that ask for the window, the place and the profile."""
        layer, depth = self.layer, depths(self.layer)
        asked = layer.split[layer.split >= 0]
        window, place, profile = (int(((asked >= low) & (asked < high)).sum()) for low, high in layer.groups())
        return {
            "trees": layer.n_trees,
            "leaves": layer.n_leaves,
            "mean_depth": float(depth.mean()) if len(depth) else 0.0,
            "asked": {"window": window, "place": place, "profile": profile},
            "trees_of_single_pixels": 0 if layer.corrections is None else layer.corrections.n_trees,
        }

    @classmethod
    def growth_facts(cls, parameters: Any) -> dict[str, Any]:
        return dict(parameters.get_params())

    def pictures(self) -> list[tuple[str, Floats, str, float, float | None]]:
        """How often trees ask for each pixel of the window, as seen from the pixel in the middle (grey: never)."""
        layer = self.layer
        asked = layer.split[(layer.split >= 0) & (layer.split < layer.groups()[0][1])]
        found = np.bincount(asked // layer.channels, minlength=len(layer.offsets()) + 1)
        counts, (y, x) = np.full((layer.height, layer.width), np.nan), (layer.height // 2, layer.width // 2)
        for (dy, dx), n in zip(layer.offsets(), found):
            if 0 <= y + dy and 0 <= x + dx < layer.width:
                counts[y + dy, x + dx] = n
        return [("what trees see of the pixel in the middle", counts, "splits that ask for a pixel", 0.0, None)]

    def explain(self, place: Place, node: int, states: States, num_threads: int) -> TiedSurprise:
        """The features whose other state would change the node's log-odds most."""
        layer = self.layer
        below = node - layer.n_positions
        if layer.nested and below >= 0 and not states[below]:  # whatever the trees say
            return TiedSurprise.certain(place, self.n_images)
        bits = np.empty((_engine.causal_count(layer.causal), 1), np.uint64)
        planes = BitPlanes.of_states(np.asarray(states, np.uint8)[None], num_threads)
        _engine.causal_features(layer.causal, planes.words, 1, node, bits, num_threads)
        own = float(self.log_odds(np.asarray(states, np.uint8)[None], num_threads)[0, node])
        changes = influences(layer, node // layer.n_positions, bits[:, 0] != 0)
        largest = [f for f in np.argsort(-np.abs(changes), kind="stable")[:N_INFLUENCES] if changes[f]]
        given = tuple((layer.feature_name(int(f), node), bool(bits[f, 0]), float(changes[f])) for f in largest)
        return TiedSurprise.of(place, given, own, self.n_images)

    # ---- files ----

    def describe(self) -> dict[str, Any]:
        """``layer`` has sizes, ``radius``, ``places``, ``profile``, ``n_trees`` and ``n_vertices``, and ``n_own_trees`` and
        ``n_own_vertices`` of single pixels' trees, 0 where there are none."""
        layer, own = self.layer, self.layer.corrections
        shape = {"radius": layer.radius, "places": layer.places, "profile": layer.profile}
        amount = {"n_trees": layer.n_trees, "n_vertices": len(layer.split)}
        amount |= {
            "n_own_trees": own.n_trees if own else 0, "n_own_vertices": len(own.split) if own else 0
        }  # fmt: skip
        return {"cpd": self.name, "layer": layer.sizes() | shape | amount}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """``trees`` int32 (channels,), ``sizes`` int32 (trees,), ``split`` and ``value`` int32 (vertices,), ``base`` int32
        (channels,), ``counts`` int64 (nodes, 2), ``moments`` float64 (nodes, 2); with corrections ``own_trees`` int32
        (nodes,), ``own_sizes``, ``own_split`` and ``own_value``."""
        layer, own = self.layer, self.layer.corrections
        arrays = _tree_arrays(layer, "") | {"base": layer.base, "counts": self.counts, "moments": self.moments}
        return arrays if own is None else arrays | _tree_arrays(own, "own_")

    @classmethod
    def read(cls, source: Source) -> "TiedCPD":
        grid, described = source.grid, source.description["layer"]
        if grid.n_nodes > MAX_NODES:
            raise ValueError(f"trees of {grid.n_nodes} nodes")
        sizes = grid.channels, grid.height, grid.width
        radius = validation.check_integer(described["radius"], "radius", 1, _engine.MAX_RADIUS)
        places, profile = described["places"], described["profile"]
        if not (type(places) is type(profile) is bool):
            raise ValueError("places and profile are no truth values")
        nested = source.pixels and grid.channels > 1
        base = read_array(source.archive, source.array_name("base"), np.int32, (grid.channels,))
        begin, tree_begin, split, value = _read_trees(source, "", grid.channels)
        layer = TiedLayer(*sizes, radius, places, profile, begin, tree_begin, split, value, base, nested)
        if described["n_own_trees"] != 0:
            none = np.zeros(grid.n_nodes, np.int32)
            begin, tree_begin, split, value = _read_trees(source, "own_", grid.n_nodes)
            layer = layer.corrected(
                BoostedLayer(*sizes, begin, tree_begin, split, value, none, no_required(grid, None))
            )
        counts = read_array(source.archive, source.array_name("counts"), np.int64, (grid.n_nodes, 2))
        moments = read_array(source.archive, source.array_name("moments"), np.float64, (grid.n_nodes, 2))
        return cls(layer, counts, check_moments(moments))


def _tree_arrays(layer: TiedLayer | BoostedLayer, prefix: str) -> dict[str, npt.NDArray[Any]]:
    return {
        f"{prefix}trees": np.diff(layer.begin).astype(np.int32),
        f"{prefix}sizes": np.diff(layer.tree_begin).astype(np.int32),
        f"{prefix}split": layer.split,
        f"{prefix}value": layer.value,
    }


def _read_trees(source: Source, prefix: str, n_owners: int) -> tuple[Integers, Integers, Nodes, Nodes]:
    """begin, tree_begin, split, value."""
    described = source.description["layer"]

    def number(name: str, least: int) -> int:
        return validation.check_integer(described[name], name, least, MAX_VERTICES)

    n_trees = number(f"n_{prefix}trees", 0)
    n_vertices = number(f"n_{prefix}vertices", n_trees)
    begin = read_begins(source, f"{prefix}trees", n_owners, n_trees)
    tree_begin = read_begins(source, f"{prefix}sizes", n_trees, n_vertices)
    split, value = (
        read_array(source.archive, source.array_name(prefix + name), np.int32, (n_vertices,))
        for name in ("split", "value")
    )
    return begin, tree_begin, split, value
