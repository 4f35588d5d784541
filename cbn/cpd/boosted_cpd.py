# SPDX-License-Identifier: BSD-3-Clause
"""Boosted trees as conditional distributions: how they are learned, scored, explained and kept; they grow in `boosted`."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _engine
from .. import _validation as validation
from ..bits.alignment import aligned
from ..bits.shards import LayerImages
from ..explain.surprise import Place, TreeSurprise
from ..io.archive import read_array
from .base import Field, Floats, Outline, Source, States, Task
from .boosted import MAX_NODES, MAX_VERTICES, VERTEX_BYTES, Boosted, BoostedLayer, grow
from .candidates import asking_by_split, candidates, check_candidates_size, check_distance, no_required, required_nodes
from .files import read_begins
from .nodeshares import boosted_by_nodes
from .odds import BLOCK_IMAGES, OddsCPD, check_moments
from .shape import describe_trees, tree_pictures

N_INFLUENCES = 3  # earlier nodes that an explanation names


class BoostedCPD(OddsCPD):
    """A layer of boosted trees."""

    name = "boosted"
    nouns = "boosted trees"
    parameter_class = Boosted
    engine_class = _engine.Boosted
    engine_prefix = "boosted"
    distributes = True

    layer: BoostedLayer

    # ---- learning ----

    @classmethod
    def check_size(cls, parameters: Boosted, field: Field, pixels: bool) -> None:
        p, grid = parameters, field.grid()
        check_candidates_size(grid, p.reach)
        n_vertices = grid.n_nodes * p.rounds * (2 * p.max_leaves - 1)
        if n_vertices > MAX_VERTICES:
            raise ValueError(
                f"rounds, max_leaves: {p.rounds} rounds of {p.max_leaves} leaves for each of {grid.n_nodes:,} nodes are "
                f"{n_vertices:,} vertices, more than {MAX_VERTICES:,}; reduce one of them"
            )

    @classmethod
    def most(cls, parameters: Boosted, field: Field, pixels: bool, n_relations: int) -> tuple[int, int]:
        n_nodes = field.grid().n_nodes
        n_trees = n_nodes * parameters.rounds
        return n_trees * parameters.max_leaves + n_nodes, n_trees * (2 * parameters.max_leaves - 1) * VERTEX_BYTES

    @classmethod
    def learn(cls, parameters: Boosted, task: Task) -> "BoostedCPD":
        layer = grow(
            task.grid, task.planes, candidates(task.grid, task.distance, parameters.reach),
            required_nodes(task.grid, task.pixels), parameters, seed=task.seed, num_threads=task.num_threads,
            progress=task.progress,
        )  # fmt: skip
        return cls.of_images(layer, task.planes, task.num_threads)

    @classmethod
    def learn_from(cls, parameters: Boosted, outline: Outline, images: LayerImages) -> "BoostedCPD":
        shards = aligned(images.chosen(), BLOCK_IMAGES)
        layer = boosted_by_nodes(
            shards, images.number, outline.grid, outline.distance, parameters.reach, outline.pixels, parameters, outline.seed
        )  # fmt: skip
        return cls.of_shards(layer, shards, images.number)

    def _required(self) -> npt.NDArray[np.int32]:
        return self.layer.required

    # ---- scores and draws ----

    def asking(self, nodes: States) -> States:
        required = self.layer.required
        lacking = np.where(required >= 0, nodes[required], 0).astype(np.uint8)
        return asking_by_split(self.layer.split, self.layer.node_begin, nodes) | lacking

    @property
    def particle_cost(self) -> float:
        return max(1.0, self.layer.n_trees / self.layer.n_nodes / 8)  # a step down a tree is shared by many particles

    # ---- what it is ----

    def _n_parameters(self) -> int:
        return self.layer.n_leaves + self.layer.n_nodes

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"trees": describe_trees(self.layer)}

    @classmethod
    def growth_facts(cls, parameters: Any) -> dict[str, Any]:
        own = parameters.get_params()
        return {"reach": own.pop("reach"), "boosting": own}

    def pictures(self) -> list[tuple[str, Floats, str, float, float | None]]:
        return tree_pictures(self.layer)

    def explain(self, place: Place, node: int, states: States, num_threads: int) -> TreeSurprise:
        """The earlier nodes whose other state would change the node's log-odds most."""
        layer = self.layer
        required = int(layer.required[node])
        if required >= 0 and not states[required]:  # whatever the trees say
            given: tuple[tuple[int, int, int, int, float | None], ...] = ((*layer.place(required), 0, None),)
            return self._surprise(place, node, float(not place.state), given, None)
        trees = layer.tree_begin[layer.begin[node]], layer.tree_begin[layer.begin[node + 1]]
        used = np.unique(layer.split[trees[0] : trees[1]])
        used = used[used >= 0]
        variants = np.repeat(np.asarray(states, np.uint8)[None], 1 + len(used), axis=0)
        variants[np.arange(1, len(variants)), used] ^= 1
        log_odds = self.log_odds(variants, num_threads)[:, node]
        influence = log_odds[1:] - log_odds[0]
        largest = [i for i in np.argsort(-np.abs(influence), kind="stable")[:N_INFLUENCES] if influence[i]]
        given = tuple((*layer.place(int(used[i])), int(states[used[i]]), float(influence[i])) for i in largest)
        own = float(log_odds[0])
        return self._surprise(place, node, float(np.exp(-np.logaddexp(0, -own if place.state else own))), given, own)

    def _surprise(
        self, place: Place, node: int, probability: float,
        given: tuple[tuple[int, int, int, int, float | None], ...], log_odds: float | None,
    ) -> TreeSurprise:  # fmt: skip
        return TreeSurprise(
            **place.attributes(),
            probability=probability,
            given=given,
            count=None,
            leaf_count=None,
            n_images=int(self.counts[node].sum()),
            log_odds=log_odds,
            thresholds=place.thresholds,
            threshold=place.threshold,
        )

    # ---- files ----

    def describe(self) -> dict[str, Any]:
        """``layer`` has sizes, ``n_trees`` and ``n_vertices``."""
        amount = {"n_trees": self.layer.n_trees, "n_vertices": len(self.layer.split)}
        return {"cpd": self.name, "layer": self.layer.sizes() | amount}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """``trees`` int32 (nodes,), ``sizes`` int32 (trees,), ``split`` and ``value`` int32 (vertices,), ``base`` int32
        (nodes,), ``counts`` int64 (nodes, 2), ``moments`` float64 (nodes, 2)."""
        layer = self.layer
        return {
            "trees": np.diff(layer.begin).astype(np.int32), "sizes": np.diff(layer.tree_begin).astype(np.int32),
            "split": layer.split, "value": layer.value, "base": layer.base,
            "counts": self.counts, "moments": self.moments,
        }  # fmt: skip

    @classmethod
    def read(cls, source: Source) -> "BoostedCPD":
        grid, described = source.grid, source.description["layer"]
        if grid.n_nodes > MAX_NODES:
            raise ValueError(f"trees of {grid.n_nodes} nodes")
        n_trees = validation.check_integer(described["n_trees"], "n_trees", 0, MAX_VERTICES)
        n_vertices = validation.check_integer(described["n_vertices"], "n_vertices", n_trees, MAX_VERTICES)
        begin = read_begins(source, "trees", grid.n_nodes, n_trees)
        tree_begin = read_begins(source, "sizes", n_trees, n_vertices)

        def array(name: str, dtype: Any, *shape: int) -> npt.NDArray[Any]:
            return read_array(source.archive, source.array_name(name), dtype, shape)

        split, value = (array(name, np.int32, n_vertices) for name in ("split", "value"))
        base, counts = array("base", np.int32, grid.n_nodes), array("counts", np.int64, grid.n_nodes, 2)
        moments = check_moments(array("moments", np.float64, grid.n_nodes, 2))
        required = no_required(grid, required_nodes(grid, source.pixels))
        layer = BoostedLayer(grid.channels, grid.height, grid.width, begin, tree_begin, split, value, base, required)
        network = cls(layer, counts, moments)
        check_distance(layer, split, required, layer.node_begin, source.distance)
        return network
