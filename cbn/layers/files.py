# SPDX-License-Identifier: BSD-3-Clause
"""Trained hidden layers as part of a model file or checkpoint: a description for its header, and arrays.

Description: ``layer`` (sizes, relations), ``kernel_size``, ``pool``, ``steps`` (the search: child, parent, dy, dx,
change of the BIC), ``best`` (iteration). Arrays, all float64: ``<prefix>_weights`` (kernels, channels, size, size),
``<prefix>_bias`` (kernels,) and, uncompressed, ``<prefix>_curve`` (iterations, 3 + kernels): gain, BIC, relations,
share of active nodes.
"""

import math
from typing import Any
from zipfile import ZipFile

import numpy as np
import numpy.typing as npt

from ..cpd.grid import Grid, Layer, Relation
from ..io.archive import read_array
from .geometry import HiddenLayer, LayerGeometry
from .kernels import Kernels, check_kernels
from .relations import RelationStep
from .training import CurvePoint, TrainedLayer


def describe_trained(trained: TrainedLayer) -> dict[str, Any]:
    """The description of a TrainedLayer."""
    relations = [(step.relation, step.bic_change) for step in trained.steps]
    return {
        "layer": trained.layer.to_dict(),
        "kernel_size": trained.kernels.weights.shape[2],
        "pool": trained.kernels.pool,
        "steps": [[r.child, r.parent, r.dy, r.dx, change] for r, change in relations],
        "best": trained.best,
    }


def trained_arrays(trained: TrainedLayer, prefix: str) -> dict[str, npt.NDArray[np.float64]]:
    """The arrays of a TrainedLayer by name."""
    curve = [(p.gain, p.bic, p.relations, *p.activation) for p in trained.curve]
    return {
        f"{prefix}_weights": trained.kernels.weights,
        f"{prefix}_bias": trained.kernels.bias,
        f"{prefix}_curve": np.array(curve, np.float64).reshape(len(curve), -1),
    }


def read_trained(
    archive: ZipFile, description: dict[str, Any], prefix: str, hidden: HiddenLayer, below: Grid, own: LayerGeometry
) -> TrainedLayer:
    """The TrainedLayer of a description and arrays, as a HiddenLayer and the geometries below and of its own have it.

    Anything else raises one of the exceptions in DAMAGE.
    """
    layer = Layer.from_dict(description["layer"])
    if (layer.channels, layer.height, layer.width) != (own.channels, own.height, own.width):
        raise ValueError(
            f"a hidden layer of {layer.channels} x {layer.height} x {layer.width} nodes where {own.channels} x "
            f"{own.height} x {own.width} fit"
        )
    for relation in layer.relations:  # none is required: those have offset (0, 0), where nodes share pixels
        own.check_offset(relation.dy, relation.dx)
    if (_integer(description["kernel_size"]), _integer(description["pool"])) != (hidden.kernel_size, hidden.pool):
        raise ValueError("kernels or pooling of another size")
    kernels = read_kernels(archive, prefix, hidden, below)
    curve = read_array(archive, f"{prefix}_curve", np.float64, (None, 3 + own.channels))
    if not np.isfinite(curve).all():
        raise ValueError("a learning curve holds NaN or infinity")
    if (curve[:, 2] != curve[:, 2].clip(0, 2**30).astype(int)).any():
        raise ValueError("a learning curve of numbers of relations that are no whole numbers")
    points = tuple(CurvePoint(gain, bic, tuple(shares), int(n)) for gain, bic, n, *shares in curve.tolist())
    steps = tuple(_step(*entry) for entry in description["steps"])
    if sorted(step.relation for step in steps) != sorted(layer.relations):
        raise ValueError("the steps of the search are not the relations")
    best = _integer(description["best"])
    if not 0 <= best < len(points):
        raise ValueError(f"iteration {best} of a learning curve of {len(points)}")
    return TrainedLayer(kernels, layer, steps, points, best)


def read_kernels(archive: ZipFile, prefix: str, hidden: HiddenLayer, below: Grid) -> Kernels:
    """Kernels of a HiddenLayer from <prefix>_weights and <prefix>_bias."""
    size = hidden.kernel_size
    weights = read_array(archive, f"{prefix}_weights", np.float64, (hidden.kernels, below.channels, size, size))
    bias = read_array(archive, f"{prefix}_bias", np.float64, (hidden.kernels,))
    return check_kernels([Kernels(weights, bias, hidden.pool)], prefix)[0]


def _step(child: object, parent: object, dy: object, dx: object, change: object) -> RelationStep:
    if not isinstance(change, float | int) or isinstance(change, bool) or not math.isfinite(change):
        raise ValueError(f"a step of the search that changes the BIC by {change!r}")
    relation = Relation(_integer(child), _integer(parent), _integer(dy), _integer(dx))
    return RelationStep(relation, float(change))


def _integer(value: object) -> int:
    if type(value) is not int or abs(value) > 2**30:
        raise ValueError(f"{value!r} is not a whole number below 2^30")
    return value
