# SPDX-License-Identifier: BSD-3-Clause
"""Presets of the estimator, and the check of its constructor arguments."""

import numpy as np

from .. import _validation as validation
from ..cpd.base import SCORES
from ..cpd.boostedlayer import Boosting, check_boosting
from ..cpd.grid import MAX_SEARCH_PARENTS, Relation
from ..cpd.treelayer import MAX_LEAVES
from ..exceptions import DataError
from ..layers.geometry import HiddenLayer
from ..layers.kernels import INITIALIZATIONS, Kernels, check_kernels, load_kernels

NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1))  # north-west, north, north-east, west: thesis section 3.1
CPDS = ("table", "tree", "boosted")
# Arguments that only some conditional distributions have.
OF_CPD = {
    "offsets": ("table",),
    "reach": ("tree", "boosted"),
    "penalty": ("tree",),
    "max_leaves": ("tree",),
    "min_leaf": ("tree",),
    "shrinkage": ("tree",),
    "boosting": ("boosted",),
    "folds": ("tree", "boosted"),
}
COMMON = {
    "cpd": "table",
    "offsets": NEIGHBOURS,
    "reach": 6,
    "penalty": 0.5,
    "max_leaves": 200,
    "min_leaf": 1,
    "shrinkage": 10.0,
    "boosting": Boosting(),
    "folds": 3,
    "threshold": 0.3,
    "pseudocount": 1.0,
    "score": "surprise",
    "hidden": (),
    "iterations": 50,
    "activation": (0.3, 0.6),
}
# A preset is a name for constructor arguments: what an argument left at None becomes.
PRESETS = {
    # thesis section 3.1: parents north-west, north, north-east and west, own table at every pixel
    "pixel": COMMON | {"score": "log_probability"},
    # thesis section 3.2: two transitions of five 3 x 3 kernels with 2 x 2 pooling above the same pixels
    "hidden": COMMON | {"hidden": (HiddenLayer(5, 3, 2), HiddenLayer(5, 3, 2))},
    # pixels alone, each with a decision tree over earlier pixels
    "tree": COMMON | {"cpd": "tree", "penalty": 0.4, "shrinkage": 35.0},
    # pixels alone, the log-odds of each a sum of small trees over all earlier pixels in reach
    "boosted": COMMON | {"cpd": "boosted", "reach": 28, "folds": 2},
    # trees over pixels and two layers of random features
    "best": COMMON
    | {
        "cpd": "tree",
        "threshold": "auto",
        "penalty": 1.0,
        "max_leaves": 32,
        "shrinkage": 1.0,
        "folds": 2,
        "score": "standardized",
        "hidden": (HiddenLayer(32, 2, 2), HiddenLayer(24, 3, 2)),
        "iterations": 0,
        "activation": (0.5, 0.9),
    },
}


def resolve(model):
    """The constructor arguments of an estimator checked, those at None taken from its preset.

    ``kernels`` is not among them: only a fit reads that file, see :func:`starting_kernels`.

    Raises
    ------
    ValueError
        Names the argument, its value and what it may be.
    """
    preset = PRESETS[validation.check_choice(model.preset, "preset", PRESETS)]
    chosen = {name: getattr(model, name) if getattr(model, name) is not None else preset[name] for name in preset}
    _check_cpd(model, chosen)
    chosen["offsets"] = validation.check_offsets(chosen["offsets"])
    chosen["pseudocount"] = validation.check_real(chosen["pseudocount"], "pseudocount", 1e-9, 1e9)
    if isinstance(chosen["threshold"], str):
        validation.check_choice(chosen["threshold"], "threshold", ("auto",))
    validation.check_choice(chosen["score"], "score", SCORES)
    validation.check_real(model.false_alarm_rate, "false_alarm_rate", 0, 1, open_ends=True)
    validation.check_threads(model.n_jobs)
    if isinstance(model.full_scale, bool | np.ndarray) or model.full_scale not in (None, 1, 255):
        raise ValueError(f"full_scale: {model.full_scale!r}; give 1, 255 or None")
    if model.image_shape is not None:
        validation.check_shape(model.image_shape)
    chosen["hidden"] = _hidden_layers(chosen["hidden"])
    chosen["layer_weights"] = check_layer_weights(model.layer_weights, 1 + len(chosen["hidden"]))
    chosen["max_parents"] = validation.check_integer(model.max_parents, "max_parents", 0, MAX_SEARCH_PARENTS)
    chosen["iterations"] = validation.check_integer(chosen["iterations"], "iterations", 0, 10**6)
    chosen["learning_rate"] = validation.check_real(model.learning_rate, "learning_rate", 0, 1e6)
    momentum = validation.check_real(model.momentum, "momentum", 0, 1)
    if momentum == 1:
        raise ValueError("momentum: 1 never forgets a step; give a number below 1, such as 0.9")
    chosen["momentum"] = momentum
    for name in ("normalize_kernels", "keep_activation"):
        if not isinstance(getattr(model, name), bool | np.bool_):
            raise ValueError(f"{name}: {getattr(model, name)!r}; give True or False")
        chosen[name] = bool(getattr(model, name))
    chosen["initialization"] = validation.check_choice(model.initialization, "initialization", INITIALIZATIONS)
    chosen["activation"] = _activation(chosen["activation"])
    chosen["replace_worst"] = validation.check_integer(model.replace_worst, "replace_worst", 0, 10**6)
    chosen["shift"] = validation.check_integer(model.shift, "shift", 0, 8)
    for name in ("forced_relations", "forbidden_relations"):
        chosen[name] = _relations(getattr(model, name), name, chosen["hidden"])
    return chosen


def _check_cpd(model, chosen):
    """The conditional distributions and the arguments that belong to them."""
    cpd = validation.check_choice(chosen["cpd"], "cpd", CPDS)
    for name, kinds in OF_CPD.items():
        if getattr(model, name) is not None and cpd not in kinds:
            raise ValueError(
                f"{name}: {getattr(model, name)!r} is for cpd {' or '.join(map(repr, kinds))}; leave it out"
            )
    chosen["reach"] = validation.check_integer(chosen["reach"], "reach", 1, 2**20)
    chosen["penalty"] = validation.check_real(chosen["penalty"], "penalty", 0, 1e9)
    chosen["max_leaves"] = validation.check_integer(chosen["max_leaves"], "max_leaves", 2, MAX_LEAVES)
    chosen["min_leaf"] = validation.check_integer(chosen["min_leaf"], "min_leaf", 1, 2**40)
    chosen["shrinkage"] = validation.check_real(chosen["shrinkage"], "shrinkage", 1e-9, 1e9)
    chosen["folds"] = validation.check_integer(chosen["folds"], "folds", 2, 1000)
    check_boosting(chosen["boosting"])
    if cpd == "boosted" and chosen["hidden"]:
        raise ValueError("hidden: boosted trees are for pixels alone; use cpd='tree', or hidden=()")


def _hidden_layers(hidden):
    """HiddenLayer of every entry: one already, or (kernels, kernel_size, pool)."""
    try:
        entries = tuple(hidden)
    except TypeError:
        raise ValueError(f"hidden: {hidden!r}; give one (kernels, kernel_size, pool) for each layer") from None
    layers = []
    for entry in entries:
        if not isinstance(entry, HiddenLayer):
            try:
                kernels, kernel_size, pool = entry
            except (TypeError, ValueError):
                raise ValueError(f"hidden: {entry!r}; give (kernels, kernel_size, pool), such as (5, 3, 2)") from None
            entry = HiddenLayer(kernels, kernel_size, pool)
        layers.append(entry)
    return tuple(layers)


def check_layer_weights(weights, n_layers):
    """One weight for each layer; None is 1 for each. Raises ValueError."""
    if weights is None:
        return (1.0,) * n_layers
    try:
        values = tuple(validation.check_real(w, "layer_weights", 0, 1e9) for w in weights)
    except (TypeError, ValueError):
        values = ()
    if len(values) != n_layers or not any(values):
        raise ValueError(
            f"layer_weights: {weights!r}; give {n_layers} numbers from 0 to 1e9, not all 0, the pixels' first"
        )
    return values


def weights_of_layers(layer_weights, n_layers):
    """The weights of the layers that a network has: fewer than asked for if training was interrupted.

    Raises
    ------
    ValueError
        The network has more layers than there are weights: the arguments were changed after the fit.
    """
    if len(layer_weights) < n_layers:
        raise ValueError(
            f"hidden: {len(layer_weights) - 1} layers, but the model was fitted with {n_layers - 1}; set it back, or "
            "fit again"
        )
    used = layer_weights[:n_layers]
    return used if any(used) else (1.0,) * n_layers


def _activation(activation):
    try:
        low, high = activation
    except (TypeError, ValueError):
        raise ValueError(f"activation: {activation!r}; give (low, high), such as (0.3, 0.6)") from None
    low, high = (validation.check_real(v, "activation", 0, 1, open_ends=True) for v in (low, high))
    if low > high:
        raise ValueError(f"activation: low {low:g} is above high {high:g}")
    return low, high


def _relations(relations, name, hidden):
    """One tuple of Relation for every hidden layer, from (layer, child, parent, dy, dx); layers count from 1."""
    by_layer = tuple([] for _ in hidden)
    try:
        entries = () if relations is None else tuple(relations)
    except TypeError:
        raise ValueError(f"{name}: {relations!r}; give a sequence of (layer, child, parent, dy, dx)") from None
    if entries and not hidden:
        raise ValueError(f"{name}: {entries[0]!r}; there are no hidden layers: use preset='hidden', or leave it out")
    for entry in entries:
        try:
            layer, child, parent, dy, dx = (validation.check_integer(v, name, -(2**20), 2**20) for v in entry)
        except (TypeError, ValueError):
            layer = 0
        if not 1 <= layer <= len(hidden):
            raise ValueError(
                f"{name}: {entry!r}; give (layer, child, parent, dy, dx), whole numbers, layers from 1 to {len(hidden)}"
            )
        channels = hidden[layer - 1].kernels
        if not (0 <= child < channels and 0 <= parent < channels):
            raise ValueError(f"{name}: {entry!r}; layer {layer} has kernels 0 to {channels - 1}")
        if (dy, dx) >= (0, 0):
            raise ValueError(
                f"{name}: {entry!r}; a parent is in a row above (dy < 0), or left in the same row (dy = 0, dx < 0)"
            )
        if Relation(child, parent, dy, dx) in by_layer[layer - 1]:
            raise ValueError(f"{name}: {entry!r} is given twice")
        by_layer[layer - 1].append(Relation(child, parent, dy, dx))
    return tuple(tuple(layer) for layer in by_layer)


def starting_kernels(kernels, hidden, geometries):
    """Kernels to start from, for the first layers: a tuple of Kernels, of a file name or of Kernels; () for None.

    Raises
    ------
    ValueError, DataError
        Names the argument and what is wrong: no such file, other shapes than the layers have.
    """
    if kernels is None:
        return ()
    if isinstance(kernels, str) or hasattr(kernels, "__fspath__"):
        try:
            found = load_kernels(kernels)
        except DataError as error:
            raise DataError(f"kernels: {error}") from None
    else:
        try:
            found = tuple(kernels)
        except TypeError:
            found = (kernels,)
        if not all(isinstance(k, Kernels) for k in found):
            raise ValueError(
                f"kernels: {type(kernels).__name__}; give the name of a file of kernels, or a sequence of "
                "cbn.layers.kernels.Kernels"
            )
        found = check_kernels(found, "kernels")
    if len(found) > len(hidden):
        raise ValueError(f"kernels: for {len(found)} hidden layers, but there are {len(hidden)}: set `hidden`")
    for number, (given, wanted, below) in enumerate(zip(found, hidden, geometries), start=1):
        needed = wanted.kernels, below.channels, wanted.kernel_size, wanted.kernel_size
        if given.weights.shape != needed or given.pool != wanted.pool:
            raise ValueError(
                f"kernels: those of layer {number} have shape {given.weights.shape} and pooling {given.pool}, but "
                f"{needed} and {wanted.pool} are needed: give the same `hidden`, or other kernels"
            )
    return found
