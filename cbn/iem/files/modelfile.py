# SPDX-License-Identifier: BSD-3-Clause
"""Model files of introspective energy models: kind "energy" of :mod:`cbn.io.modelformat`, in versions 4, 5 and 8.

Header beside ``format``, ``version``, ``kind`` and ``package``
--------------------------------------------------------------
arguments      of the fit, all but the backbone; ``architecture`` as Architecture.to_dict writes it, ``training`` null or
               the fields of cbn.iem.Training, which in version 4 stand among the others
backbone       of a pretrained network: its ``architecture`` and ``preparation`` (order, scale, mean, deviation); its
               kernels are those of the levels. Of the embedded network (version 8): ``architecture``, ``network``, the
               hash of its weights, and ``directions``, the whitened features of a position
picture_shape  [height, width, channels]
epochs         epochs that each level was trained for; fewer levels than the architecture has after an interruption
n_images       pictures that the model was fitted on
n_measured     pictures that errors were measured on
calibration    where the scores of normal pictures come from
provenance     free-form record

Arrays: for level l those of levelfile.py with the prefix ``level<l>``, and ``level<l>_error_mean`` and
``level<l>_error_deviation`` float32 (height, width, kernels); ``level_scales`` float64 (levels, 2); ``largest_typical``
and ``dead_kernels`` float64 (levels,); ``calibration`` float64 (n,). For energy "pattern" (version 8)
``level<l>_pattern_low``, ``_high``, ``_mean``, ``_basis`` and ``_usual`` float32, as :class:`cbn.iem.patterns.PatternScale` has
them. With the embedded network ``basis`` float32 (features, directions) and ``offset`` float32 (directions,) of the whitening,
and ``weights`` float32 where the network's are not those of the package. None is compressed.
"""

from dataclasses import replace
from typing import Any
from zipfile import ZipFile

import numpy as np

from ... import _validation as validation
from ...io.archive import read_array
from ...metrics.calibration import Calibration
from ..energy import NodeScale
from ..fitted import FittedEnergyModel
from ..gaussian.features import PretrainedFeatures
from ..gaussian.whitening import Whitening
from ..nn.architecture import Architecture
from ..nn.arrays import Shape
from ..nn.network import Network
from ..parameters import MAX_EPOCHS, Arguments, Training, sidewards_of
from ..patterns import PATTERN, PatternScale, positions_of, reach_of, variance_of
from ..pretrained.backbone import Backbone, Preparation
from ..pretrained.efficientnet import EfficientNetLite0
from ..pretrained.embedded import EmbeddedBackbone
from ..settings import resolve
from .levelfile import read_finite, read_kernels, read_level
from .writing import KIND, NOT_KEPT, save

__all__ = ["KIND", "restore", "save"]

FIRST_VERSION = 4
CALIBRATIONS = ("training images", "held-out images", "separate images")


def restore(archive: ZipFile, header: dict[str, Any]) -> FittedEnergyModel:
    """The fitted model of an open model file. Anything that cannot be one raises one of the exceptions in DAMAGE."""
    if header["version"] < FIRST_VERSION:
        raise ValueError(f"kind {KIND!r} in version {header['version']}")
    arguments, backbone = _read_arguments(header), _read_backbone(archive, header["backbone"])
    shape = read_shape(header)
    n_images = validation.check_integer(header["n_images"], "n_images", 2, 2**40)
    n_measured = validation.check_integer(header["n_measured"], "n_measured", 2, n_images)
    source = validation.check_choice(header["calibration"], "calibration", CALIBRATIONS)
    settings = resolve(arguments, backbone, n_images, shape)
    shapes = settings.level_shapes(shape)
    epochs = header["epochs"]
    if not isinstance(epochs, list) or not 1 <= len(epochs) <= len(shapes):
        raise ValueError(f"{len(shapes)} levels at most, one at least")
    provenance = dict(header["provenance"])
    if provenance != header["provenance"]:
        raise ValueError("provenance of another type")
    given = arguments.training is not None and arguments.training.epochs is not None
    most = settings.epochs if given else (MAX_EPOCHS,) * len(shapes)  # the default may change one day
    # errors first: they have a value for every node, so no later array can claim more nodes than the file has
    scales = tuple(
        _read_scale(archive, number, shapes[number], n_measured, settings.floor) for number in range(len(epochs))
    )
    levels = [
        read_level(
            archive, f"level{number}", settings.architecture.levels[number], shapes[number],
            shapes[max(number - 1, 0)][2], settings.sharing,
            validation.check_integer(n_epochs, "epochs", 1, most[number]),
        )
        for number, n_epochs in enumerate(epochs)
    ]  # fmt: skip
    level_scales = read_finite(archive, "level_scales", (len(levels), 2), np.float64)
    largest = read_finite(archive, "largest_typical", (len(levels),), np.float64)
    for scale, value in zip(scales, largest.tolist(), strict=True):
        scale.largest_typical = value
    dead = read_finite(archive, "dead_kernels", (len(levels),), np.float64)
    if not (level_scales[:, 1] > 0).all() or (largest < 0).any() or not ((dead >= 0) & (dead <= 1)).all():
        raise ValueError("a spread that is not above 0, or a share outside [0, 1]")
    of_patterns: tuple[PatternScale, ...] = ()
    if settings.energy == PATTERN:
        strides = [stride for _, stride in settings.centres()]
        of_patterns = tuple(
            _read_patterns(archive, f"level{number}_pattern", level.shape, strides[number], scale)
            for number, (level, scale) in enumerate(zip(levels, scales, strict=True))
        )
    scores = read_array(archive, "calibration", np.float64, (None,))
    if isinstance(backbone, Backbone):
        backbone.parameters.extend(level.kernels for level in levels)
        for number in range(len(levels), len(shapes)):
            own = settings.architecture.levels[number]
            backbone.parameters.append(read_kernels(archive, f"level{number}", own, shapes[number - 1][2]))
    return FittedEnergyModel(
        settings=settings,
        picture_shape=shape,
        backbone=backbone,
        network=Network(levels, frozen=backbone is not None),
        node_scales=scales,
        level_scales=level_scales,
        calibration=Calibration.restored(scores, source, settings.false_alarm_rate),
        dead_kernels=dead,
        n_images=n_images,
        provenance=provenance,
        arguments=replace(arguments, backbone=backbone),
        patterns=of_patterns,
    )


def _read_patterns(archive: ZipFile, prefix: str, shape: Shape, stride: int, scale: NodeScale) -> PatternScale:
    reach, kernels = reach_of(shape, stride), shape[2]
    rows, columns = (len(positions_of(side, reach)) for side in shape[:2])
    usual = read_finite(archive, f"{prefix}_usual", (rows, columns))
    if not (usual > 0).all():
        raise ValueError(f"{prefix}_usual is not above 0")
    return PatternScale(
        variance_of(scale),
        reach,
        read_finite(archive, f"{prefix}_low", (kernels,)),
        read_finite(archive, f"{prefix}_high", (kernels,)),
        read_finite(archive, f"{prefix}_mean", (rows, columns, kernels)),
        read_finite(archive, f"{prefix}_basis", (kernels, kernels)),
        usual,
    )


def _read_arguments(header: dict[str, Any]) -> Arguments:
    given = header["arguments"]
    if not isinstance(given, dict) or any(name in given for name in NOT_KEPT):
        raise ValueError("the header names no arguments, or one that model files do not hold")
    given = _with_tuples(given)
    if header["version"] == FIRST_VERSION:
        names = Training().get_params()
        given["training"] = {name: given.pop(name) for name in names}
    training = given["training"]
    if training is not None:
        given["training"] = Training().set_params(**_with_tuples(training))
    if given["architecture"] is not None:
        given["architecture"] = Architecture.from_dict(given["architecture"])
    if given["random_state"] is not None:
        validation.check_seed(given["random_state"])
    arguments = Arguments(**given)
    if header["backbone"] is None and sidewards_of(arguments) != "neural":  # defaults, which were neural once
        return replace(arguments, sidewards="neural")
    return arguments


def _with_tuples(given: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def _read_backbone(archive: ZipFile, description: dict[str, Any] | None) -> Backbone | EmbeddedBackbone | None:
    """A Backbone whose parameters are still missing, the embedded one, or None."""
    if description is None:
        return None
    if "network" in description:
        return _read_embedded(archive, description)
    given = description["preparation"]
    order = validation.check_choice(given["order"], "order", ("rgb", "bgr"))
    scale = validation.check_real(given["scale"], "scale", 1e-6, 1e6)
    mean, deviation = (tuple(given[name]) for name in ("mean", "deviation"))
    if len(mean) != 3 or len(deviation) != 3:
        raise ValueError("a preparation of another number of channels than 3")
    for value in mean:
        validation.check_real(value, "mean", -1e6, 1e6)
    for value in deviation:
        validation.check_real(value, "deviation", 1e-6, 1e6)
    return Backbone(Architecture.from_dict(description["architecture"]), [], Preparation(order, scale, mean, deviation))


def _read_embedded(archive: ZipFile, description: dict[str, Any]) -> EmbeddedBackbone:
    if "weights.npy" in archive.namelist():
        network = EfficientNetLite0.of_packed(read_array(archive, "weights", np.float32, (None,)))
    else:
        network = EfficientNetLite0()
    if network.digest() != description["network"]:
        raise ValueError("made with other weights of the pretrained network than those of this version")
    levels = Architecture.from_dict(description["architecture"]).levels
    if len(levels) != 1:
        raise ValueError(f"{len(levels)} levels of the embedded network")
    n_features = PretrainedFeatures.n_features
    size = validation.check_integer(description["directions"], "directions", 1, n_features)
    basis, offset = read_finite(archive, "basis", (n_features, size)), read_finite(archive, "offset", (size,))
    return EmbeddedBackbone(network, size, levels[0], Whitening(basis, offset))


def read_shape(header: dict[str, Any]) -> Shape:
    shape = header["picture_shape"]
    if not isinstance(shape, list) or len(shape) != 3:
        raise ValueError(f"picture_shape {shape!r:.40}")
    height, width, channels = (validation.check_integer(side, "picture_shape", 1, 2**20) for side in shape)
    if channels not in (1, 3):
        raise ValueError(f"pictures of {channels} channels")
    return height, width, channels


def _read_scale(archive: ZipFile, number: int, shape: Shape, n: int, floor: float) -> NodeScale:
    mean = read_finite(archive, f"level{number}_error_mean", shape)
    deviation = read_finite(archive, f"level{number}_error_deviation", shape)
    if (deviation < 0).any():
        raise ValueError(f"level{number}_error_deviation is below 0")
    return NodeScale(mean, deviation, n, floor)
