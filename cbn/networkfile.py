# SPDX-License-Identifier: BSD-3-Clause
"""One layer's network in a model file: a description for the header, and arrays.

Tables: ``layer`` (sizes, relations); ``counts`` int64 (rows, 2). The other kinds, with ``cpd`` in the description, have
``layer`` (channels, height, width, and how much there is):

- tree: ``sizes`` int32 (nodes,) vertices of every tree, ``split`` int32 (vertices,), ``counts`` int64 (vertices, 2), and
  ``shrinkage`` in the description. Vertices are numbered breadth first, so the children follow from the splits.
- boosted: ``trees`` int32 (nodes,), ``sizes`` int32 (trees,), ``split`` and ``value`` int32 (vertices,), ``base`` int32
  (nodes,), ``counts`` int64 (nodes, 2), ``moments`` float64 (nodes, 2).
"""

import numpy as np

from . import _validation as validation
from ._archive import read_array
from .architecture import Layer, check_table_size
from .boosted import BoostedLayer
from .boostednetwork import BoostedNetwork
from .scoring import CountedNetwork
from .treenetwork import TreeNetwork
from .trees import TreeLayer

# Far more than any network of images needs; bounds what a damaged file can ask for.
MAX_NODES, MAX_VERTICES = 2**26, 2**28


def describe_network(network):
    """The description of a layer's network."""
    layer = network.layer
    if isinstance(network, BoostedNetwork):
        amount = {"n_trees": layer.n_trees, "n_vertices": len(layer.split)}
        return {"cpd": "boosted", "layer": _sizes(layer) | amount}
    if isinstance(network, TreeNetwork):
        return {
            "cpd": "tree",
            "layer": _sizes(layer) | {"n_vertices": len(layer.split)},
            "shrinkage": network.shrinkage,
        }
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
        return {
            "sizes": np.diff(layer.begin).astype(np.int32), "split": layer.split, "counts": network.counts
        }  # fmt: skip
    return {"counts": network.counts}


def read_network(archive, description, name, n_images, pseudocount, required_of):
    """The network of a description and arrays; anything else raises one of the exceptions in DAMAGE.

    Parameters
    ----------
    archive, description
    name : callable, name of an array above -> its name in the archive
    n_images : int
    pseudocount : float
    required_of : callable, (channels, height, width) -> the nodes without which each is never 1, or None
    """
    cpd = description.get("cpd", "table")
    if cpd == "table":
        layer = Layer.from_dict(description["layer"])
        check_table_size(layer, "relations")
        counts = read_array(archive, name("counts"), np.int64, (layer.n_rows, 2))
        network = CountedNetwork(layer, counts, pseudocount)
    else:
        validation.check_choice(cpd, "cpd", ("tree", "boosted"))
        sizes = description["layer"]
        shape = tuple(validation.check_integer(sizes[key], key, 1, MAX_NODES) for key in ("channels", "height", "width"))
        n_nodes = shape[0] * shape[1] * shape[2]
        if n_nodes > MAX_NODES:
            raise ValueError(f"{n_nodes} nodes")
        required = required_of(shape)
        required = np.full(n_nodes, -1, np.int32) if required is None else required
        n_vertices = validation.check_integer(sizes["n_vertices"], "n_vertices", 1, MAX_VERTICES)
        read = _read_tree if cpd == "tree" else _read_boosted
        network = read(archive, description, name, shape, n_nodes, n_vertices, required, pseudocount)
    network.check_counts(n_images)
    return network


def _begins(archive, name, n, total):
    """(n + 1,) int64 begins of n runs whose lengths are stored and sum to total."""
    sizes = read_array(archive, name, np.int32, (n,))
    if (sizes < 0).any() or sizes.sum(dtype=np.int64) != total:
        raise ValueError(f"{name} does not sum to {total}")
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


def _read_tree(archive, description, name, shape, n_nodes, n_vertices, required, pseudocount):
    begin = _begins(archive, name("sizes"), n_nodes, n_vertices)
    if (np.diff(begin) < 1).any():
        raise ValueError("a node without a tree")
    split = read_array(archive, name("split"), np.int32, (n_vertices,))
    counts = read_array(archive, name("counts"), np.int64, (n_vertices, 2))
    shrinkage = validation.check_real(description["shrinkage"], "shrinkage", 1e-9, 1e9)
    return TreeNetwork(TreeLayer(*shape, begin, split, required), counts, pseudocount, shrinkage)


def _read_boosted(archive, description, name, shape, n_nodes, n_vertices, required, pseudocount):
    n_trees = validation.check_integer(description["layer"]["n_trees"], "n_trees", 0, MAX_VERTICES)
    begin = _begins(archive, name("trees"), n_nodes, n_trees)
    tree_begin = _begins(archive, name("sizes"), n_trees, n_vertices)
    split, value = (read_array(archive, name(key), np.int32, (n_vertices,)) for key in ("split", "value"))
    base = read_array(archive, name("base"), np.int32, (n_nodes,))
    counts = read_array(archive, name("counts"), np.int64, (n_nodes, 2))
    moments = read_array(archive, name("moments"), np.float64, (n_nodes, 2))
    if not (np.isfinite(moments).all() and (moments >= 0).all()):
        raise ValueError("moments of -log p that cannot be")
    layer = BoostedLayer(*shape, begin, tree_begin, split, value, base, required)
    return BoostedNetwork(layer, counts, moments)
