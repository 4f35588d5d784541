# SPDX-License-Identifier: BSD-3-Clause
"""One layer's network in a model file: a description for the header, and arrays.

Tables: ``layer`` (sizes, relations); ``counts`` int64 (rows, 2). The other kinds, with ``cpd`` in the description, have
``layer`` (channels, height, width, and how much there is):

- tree: ``sizes`` int32 (nodes,) vertices of every tree, ``split`` int32 (vertices,), ``counts`` int64 (vertices, 2),
  and ``shrinkage`` in the description. Vertices are numbered breadth first, so the children follow from the splits.
- boosted: ``trees`` int32 (nodes,), ``sizes`` int32 (trees,), ``split`` and ``value`` int32 (vertices,), ``base`` int32
  (nodes,), ``counts`` int64 (nodes, 2), ``moments`` float64 (nodes, 2).

The nodes that others require follow from the thresholds.
"""

import numpy as np

from .. import _engine
from .. import _validation as validation
from ..io.archive import read_array
from . import boostedlayer as boosted
from . import treelayer as trees
from .boosted import BoostedNetwork
from .boostedlayer import BoostedLayer
from .candidates import required_nodes
from .grid import Layer, check_table_size
from .table import CountedNetwork
from .tree import TreeNetwork
from .treelayer import TreeLayer

# nats; log-odds are 32-bit numbers of units of 2^-16, so that no -log p of boosted trees is above 2^15
MAX_SURPRISE = 2.0**16


def cpd_of(description):
    """The kind of conditional distributions that a description names: "table", "tree" or "boosted"."""
    return validation.check_choice(description.get("cpd", "table"), "cpd", ("table", "tree", "boosted"))


def describe_network(network):
    """The description of a layer's network."""
    layer = network.layer
    if isinstance(network, BoostedNetwork):
        amount = {"n_trees": layer.n_trees, "n_vertices": len(layer.split)}
        return {"cpd": "boosted", "layer": _sizes(layer) | amount}
    if isinstance(network, TreeNetwork):
        amount = {"n_vertices": len(layer.split)}
        return {"cpd": "tree", "layer": _sizes(layer) | amount, "shrinkage": network.shrinkage}
    return {"layer": layer.to_dict()}


def _sizes(layer):
    return {"channels": layer.channels, "height": layer.height, "width": layer.width}


def network_arrays(network):
    """The arrays of a layer's network by the names above."""
    layer = network.layer
    if isinstance(network, BoostedNetwork):
        return {
            "trees": np.diff(layer.begin).astype(np.int32), "sizes": np.diff(layer.tree_begin).astype(np.int32),
            "split": layer.split, "value": layer.value, "base": layer.base,
            "counts": network.counts, "moments": network.moments,
        }  # fmt: skip
    if isinstance(network, TreeNetwork):
        return {"sizes": np.diff(layer.begin).astype(np.int32), "split": layer.split, "counts": network.counts}
    return {"counts": network.counts}


def read_network(archive, description, name, geometry, n_images, pseudocount, *, pixels):
    """The network of a description and arrays; anything else raises one of the exceptions in DAMAGE.

    Parameters
    ----------
    archive : zipfile.ZipFile
    description : dict
    name : callable, name of an array above -> its name in the archive
    geometry : cbn.layers.geometry.LayerGeometry
        That the layer must have.
    n_images : int
    pseudocount : float or None
        None for boosted trees, which have none.
    pixels : bool
        Whether the channels are thresholds; those of hidden layers are kernels, of which none requires another.
    """
    cpd, described = cpd_of(description), description["layer"]
    grid = Layer(geometry.channels, geometry.height, geometry.width)
    if any(described[key] != size for key, size in _sizes(grid).items()):
        raise ValueError(f"a layer of other sizes than {grid.channels} x {grid.height} x {grid.width} nodes")
    if cpd == "table":
        layer = Layer.from_dict(described)
        check_table_size(layer, "relations")
        counts = read_array(archive, name("counts"), np.int64, (layer.n_rows, 2))
        network = CountedNetwork(layer, counts, pseudocount)
    else:
        if grid.n_nodes > trees.MAX_VERTICES:
            raise ValueError(f"trees of {grid.n_nodes} nodes")
        read = _read_tree if cpd == "tree" else _read_boosted
        network = read(archive, description, name, grid, geometry.distance, pseudocount, pixels)
    network.check_counts(n_images)
    return network


def _begins(archive, name, n, total):
    """(n + 1,) int64 begins of n runs whose lengths are stored and sum to total."""
    sizes = read_array(archive, name, np.int32, (n,))
    if (sizes < 0).any() or sizes.sum(dtype=np.int64) != total:
        raise ValueError(f"{name} does not sum to {total}")
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


def _required(grid, pixels):
    """(nodes,) the node without which each is never 1."""
    required = required_nodes(grid) if pixels else None
    return np.full(grid.n_nodes, -1, np.int32) if required is None else required


def _read_tree(archive, description, name, grid, distance, pseudocount, pixels):
    n_vertices = validation.check_integer(description["layer"]["n_vertices"], "n_vertices", 1, trees.MAX_VERTICES)
    shrinkage = validation.check_real(description["shrinkage"], "shrinkage", 1e-9, 1e9)
    begin = _begins(archive, name("sizes"), grid.n_nodes, n_vertices)
    if (np.diff(begin) < 1).any():
        raise ValueError("a node without a tree")
    split = read_array(archive, name("split"), np.int32, (n_vertices,))
    layer = TreeLayer(*_sizes(grid).values(), begin, split, _required(grid, pixels))
    _engine.Trees(layer)  # refuses what is no tree, before more is read
    _check_distance(layer, begin, distance)
    counts = read_array(archive, name("counts"), np.int64, (n_vertices, 2))
    return TreeNetwork(layer, counts, pseudocount, shrinkage)


def _read_boosted(archive, description, name, grid, distance, pseudocount, pixels):
    described, n_nodes = description["layer"], grid.n_nodes
    n_trees = validation.check_integer(described["n_trees"], "n_trees", 0, boosted.MAX_VERTICES)
    n_vertices = validation.check_integer(described["n_vertices"], "n_vertices", n_trees, boosted.MAX_VERTICES)
    begin = _begins(archive, name("trees"), n_nodes, n_trees)
    tree_begin = _begins(archive, name("sizes"), n_trees, n_vertices)
    split, value = (read_array(archive, name(key), np.int32, (n_vertices,)) for key in ("split", "value"))
    base = read_array(archive, name("base"), np.int32, (n_nodes,))
    counts = read_array(archive, name("counts"), np.int64, (n_nodes, 2))
    moments = read_array(archive, name("moments"), np.float64, (n_nodes, 2))
    if not ((moments >= 0) & (moments <= MAX_SURPRISE)).all():  # NaN fails it too
        raise ValueError("moments of -log p that cannot be")
    layer = BoostedLayer(*_sizes(grid).values(), begin, tree_begin, split, value, base, _required(grid, pixels))
    network = BoostedNetwork(layer, counts, moments)
    _check_distance(layer, tree_begin[begin], distance)
    return network


def _check_distance(layer, first, distance):
    """Refuses trees in which a node decides for another that sees one of its pixels, but for the required ones.

    ``first`` (nodes + 1,) are the first vertices of the nodes.
    """
    node = np.repeat(np.arange(layer.n_nodes), np.diff(first))
    inner = layer.split >= 0
    node, split = node[inner], layer.split[inner]
    (y, x), (other_y, other_x) = (np.divmod(n % layer.n_positions, layer.width) for n in (node, split))
    near = np.maximum(abs(y - other_y), abs(x - other_x)) < distance
    if (near & (split != layer.required[node])).any():
        raise ValueError(f"nodes less than {distance} positions apart decide for each other")
