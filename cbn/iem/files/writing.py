# SPDX-License-Identifier: BSD-3-Clause
"""Writes model files; :mod:`cbn.iem.files.modelfile` describes and reads them."""

from dataclasses import fields
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..._version import __version__
from ...io.archive import write_archive
from ...io.modelformat import FORMAT, plain
from ...metrics.calibration import Calibration
from ..energy import NodeScale
from ..nn.arrays import Shape
from ..nn.network import LevelModel
from ..parameters import Arguments
from ..patterns import PatternScale
from ..pretrained.backbone import Backbone
from ..pretrained.efficientnet import EfficientNetLite0
from ..pretrained.embedded import EmbeddedBackbone
from .levelfile import kernel_arrays, level_arrays

KIND, VERSION = "energy", 5
LATER_VERSION = 8  # of models on the embedded network or with energy "pattern", which older programs do not know
# The backbone has an entry of its own; where its weights came from is a matter of the machine. The kind of the file says
# which sidewards models it holds.
NOT_KEPT = ("backbone", "backbone_weights", "sidewards", "gaussian")

# Of a PatternScale; what is not among them follows from others.
PATTERN_ARRAYS = ("low", "high", "mean", "basis", "usual")


class Content(Protocol):
    """What a file holds of a FittedEnergyModel."""

    @property
    def arguments(self) -> Arguments: ...
    @property
    def backbone(self) -> Backbone | EmbeddedBackbone | None: ...
    @property
    def picture_shape(self) -> Shape: ...
    @property
    def levels(self) -> tuple[LevelModel, ...]: ...
    @property
    def node_scales(self) -> tuple[NodeScale, ...]: ...
    @property
    def level_scales(self) -> npt.NDArray[np.float64]: ...
    @property
    def patterns(self) -> tuple[PatternScale, ...]: ...
    @property
    def calibration(self) -> Calibration: ...
    @property
    def dead_kernels(self) -> npt.NDArray[np.float64]: ...
    @property
    def n_images(self) -> int: ...
    @property
    def provenance(self) -> dict[str, Any]: ...


def save(fitted: Content, path: Any) -> None:
    """Write a fitted model, complete or not at all. Raises CbnError where it cannot be written."""
    embedded = fitted.backbone if isinstance(fitted.backbone, EmbeddedBackbone) else None
    header = {
        "format": FORMAT,
        "version": LATER_VERSION if embedded is not None or fitted.patterns else VERSION,
        "kind": KIND,
        "package": __version__,
        "arguments": _describe_arguments(fitted.arguments),
        "backbone": _describe_backbone(fitted.backbone),
        "picture_shape": list(fitted.picture_shape),
        "epochs": [len(level.curve) for level in fitted.levels],
        "n_images": fitted.n_images,
        "n_measured": fitted.node_scales[0].n,
        "calibration": fitted.calibration.source,
        "provenance": fitted.provenance,
    }
    arrays: dict[str, npt.NDArray[Any]] = {
        "level_scales": fitted.level_scales,
        "largest_typical": np.array([scale.largest_typical for scale in fitted.node_scales]),
        "dead_kernels": fitted.dead_kernels,
        "calibration": fitted.calibration.scores,
    }
    for number, (level, scale) in enumerate(zip(fitted.levels, fitted.node_scales, strict=True)):
        arrays |= level_arrays(level, f"level{number}")
        arrays |= {f"level{number}_error_mean": scale.mean, f"level{number}_error_deviation": scale.deviation}
    for number, own in enumerate(fitted.patterns):
        arrays |= {f"level{number}_pattern_{name}": getattr(own, name) for name in PATTERN_ARRAYS}
    if embedded is not None:
        arrays |= _embedded_arrays(embedded)
    elif fitted.backbone is not None:  # levels that an interruption left out have kernels all the same
        for number in range(len(fitted.levels), len(fitted.backbone.parameters)):
            arrays |= kernel_arrays(fitted.backbone.parameters[number], f"level{number}")
    write_archive(path, header, arrays, stored=set(arrays))


def _describe_arguments(arguments: Arguments) -> dict[str, Any]:
    """All that files keep, as defaults may change one day."""
    described = {own.name: plain(getattr(arguments, own.name)) for own in fields(arguments) if own.name not in NOT_KEPT}
    if arguments.architecture is not None:
        described["architecture"] = arguments.architecture.to_dict()
    return described


def _embedded_arrays(backbone: EmbeddedBackbone) -> dict[str, npt.NDArray[Any]]:
    """The whitening, and the network's weights where they are not those of the package."""
    assert backbone.whitening is not None  # the fit has found it
    arrays: dict[str, npt.NDArray[Any]] = {"basis": backbone.whitening.basis, "offset": backbone.whitening.offset}
    if backbone.network.digest() != EfficientNetLite0().digest():
        arrays["weights"] = backbone.network.packed
    return arrays


def _describe_backbone(backbone: Backbone | EmbeddedBackbone | None) -> dict[str, Any] | None:
    if backbone is None:
        return None
    if isinstance(backbone, EmbeddedBackbone):
        described = backbone.architecture.to_dict()
        return {"architecture": described, "network": backbone.network.digest(), "directions": backbone.directions}
    return {"architecture": backbone.architecture.to_dict(), "preparation": plain(backbone.preparation)}
