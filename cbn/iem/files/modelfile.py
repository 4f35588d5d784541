# SPDX-License-Identifier: BSD-3-Clause
"""Model files of introspective energy models: kind "energy" of :mod:`cbn.fit.modelfile`, in format version 4.

Header beside ``format``, ``version``, ``kind`` and ``package``
--------------------------------------------------------------
arguments      constructor arguments; ``architecture`` as Architecture.to_dict writes it
backbone       of a pretrained network: its ``architecture`` and ``preparation`` (order, scale, mean, deviation); its
               kernels are those of the levels
picture_shape  [height, width, channels]
epochs         epochs that each level was trained for; fewer levels than the architecture has after an interruption
n_images       pictures that the model was fitted on
n_measured     pictures that errors were measured on
calibration    where the scores of normal pictures come from
provenance     free-form record

Arrays: for level l those of levelfile.py with the prefix ``level<l>``, and ``level<l>_error_mean`` and
``level<l>_error_deviation`` float32 (height, width, kernels); ``level_scales`` float64 (levels, 2); ``largest_typical``
and ``dead_kernels`` float64 (levels,); ``calibration`` float64 (n,). None is compressed.
"""

from dataclasses import asdict

import numpy as np

from ... import _validation as validation
from ..._version import __version__
from ...estimators.iem import IntrospectiveEnergyModel
from ...fit.modelfile import FORMAT, VERSION, plain
from ...io.archive import read_array, write_archive
from ..energy import NodeScale
from ..nn.architecture import Architecture
from ..nn.network import Network
from ..pretrained.backbone import Backbone, Preparation
from ..settings import MAX_EPOCHS, resolve
from .levelfile import kernel_arrays, level_arrays, read_finite, read_kernels, read_level

KIND = "energy"
# The number of threads and a path belong to the machine; the backbone itself has an entry of its own.
NOT_KEPT = ("n_jobs", "backbone", "backbone_weights")
CALIBRATIONS = ("training images", "held-out images", "separate images")


def save(model, path):
    """Write a fitted estimator to ``path``, complete or not at all. Raises CbnError where it cannot be written."""
    arguments = {name: value for name, value in model.get_params(deep=False).items() if name not in NOT_KEPT}
    if arguments["architecture"] is not None:
        arguments["architecture"] = arguments["architecture"].to_dict()
    header = {
        "format": FORMAT,
        "version": VERSION,
        "kind": KIND,
        "package": __version__,
        "arguments": {name: value if isinstance(value, dict) else plain(value) for name, value in arguments.items()},
        "backbone": _describe_backbone(model.backbone_),
        "picture_shape": list(model.picture_shape_),
        "epochs": [len(level.curve) for level in model.levels_],
        "n_images": model.n_images_,
        "n_measured": model.node_scales_[0].n,
        "calibration": model.calibration_,
        "provenance": model.provenance_,
    }
    arrays = {
        "level_scales": model.level_scales_,
        "largest_typical": np.array([scale.largest_typical for scale in model.node_scales_]),
        "dead_kernels": model.dead_kernels_,
        "calibration": model.calibration_scores_,
    }
    for number, (level, scale) in enumerate(zip(model.levels_, model.node_scales_)):
        arrays |= level_arrays(level, f"level{number}")
        arrays |= {f"level{number}_error_mean": scale.mean, f"level{number}_error_deviation": scale.deviation}
    if model.backbone_ is not None:  # levels that an interruption left out have kernels all the same
        for number in range(len(model.levels_), len(model.backbone_.parameters)):
            arrays |= kernel_arrays(model.backbone_.parameters[number], f"level{number}")
    write_archive(path, header, arrays, stored=set(arrays))


def restore(archive, header):
    """The estimator of an open model file. Anything that cannot be one raises one of the exceptions in DAMAGE."""
    arguments = header["arguments"]
    if not isinstance(arguments, dict) or any(name in arguments for name in NOT_KEPT):
        raise ValueError("the header names no arguments, or one that model files do not hold")
    if arguments["architecture"] is not None:
        arguments["architecture"] = Architecture.from_dict(arguments["architecture"])
    for name in ("epochs", "level_weights"):
        if isinstance(arguments[name], list):
            arguments[name] = tuple(arguments[name])
    model = IntrospectiveEnergyModel(**arguments)
    backbone = _read_backbone(header["backbone"])
    settings = resolve(model, backbone)
    if model.random_state is not None:
        validation.check_seed(model.random_state)
    height, width, channels = (validation.check_integer(side, "picture_shape", 1, 2**20) for side in _shape(header))
    if channels not in (1, 3):
        raise ValueError(f"pictures of {channels} channels")
    shapes = settings.level_shapes((height, width, channels))
    epochs = header["epochs"]
    if not isinstance(epochs, list) or not 1 <= len(epochs) <= len(shapes):
        raise ValueError(f"{len(shapes)} levels at most, one at least")
    n_images = validation.check_integer(header["n_images"], "n_images", 2, 2**40)
    n_measured = validation.check_integer(header["n_measured"], "n_measured", 2, n_images)
    source = validation.check_choice(header["calibration"], "calibration", CALIBRATIONS)
    if not isinstance(header["provenance"], dict):
        raise ValueError("provenance of another type")
    # errors first: they have a value for every node, so no later array can claim more nodes than the file has
    scales = tuple(_read_scale(archive, number, shapes[number], n_measured, settings) for number in range(len(epochs)))
    levels = [
        read_level(
            archive, f"level{number}", settings.architecture.levels[number], shapes[number],
            shapes[max(number - 1, 0)][2], settings.sharing,
            validation.check_integer(n_epochs, "epochs", 1, settings.epochs[number] or MAX_EPOCHS),
        )
        for number, n_epochs in enumerate(epochs)
    ]  # fmt: skip
    level_scales = read_finite(archive, "level_scales", (len(levels), 2), np.float64)
    largest = read_finite(archive, "largest_typical", (len(levels),), np.float64)
    for scale, value in zip(scales, largest.tolist()):
        scale.largest_typical = value
    dead = read_finite(archive, "dead_kernels", (len(levels),), np.float64)
    if not (level_scales[:, 1] > 0).all() or (largest < 0).any() or not ((dead >= 0) & (dead <= 1)).all():
        raise ValueError("a spread that is not above 0, or a share outside [0, 1]")
    calibration = read_array(archive, "calibration", np.float64, (None,))
    if len(calibration) < 1 or not np.isfinite(calibration).all() or (np.diff(calibration) < 0).any():
        raise ValueError("calibration scores are not finite numbers in increasing order")
    if backbone is not None:
        backbone.parameters.extend(level.kernels for level in levels)
        for number in range(len(levels), len(shapes)):
            own = settings.architecture.levels[number]
            backbone.parameters.append(read_kernels(archive, f"level{number}", own, shapes[number - 1][2]))
    model.backbone = model.backbone_ = backbone
    model.picture_shape_, model.n_images_ = (height, width, channels), n_images
    model.dead_kernels_, model.provenance_ = dead, header["provenance"]
    model._set_network(Network(levels, frozen=backbone is not None), scales, level_scales)
    model._set_calibration(calibration, source)
    return model


def _describe_backbone(backbone):
    if backbone is None:
        return None
    preparation = {name: plain(value) for name, value in asdict(backbone.preparation).items()}
    return {"architecture": backbone.architecture.to_dict(), "preparation": preparation}


def _read_backbone(description):
    """A Backbone whose parameters are still missing, or None."""
    if description is None:
        return None
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


def _shape(header):
    shape = header["picture_shape"]
    if not isinstance(shape, list) or len(shape) != 3:
        raise ValueError(f"picture_shape {shape!r:.40}")
    return shape


def _read_scale(archive, number, shape, n, settings):
    mean = read_finite(archive, f"level{number}_error_mean", shape)
    deviation = read_finite(archive, f"level{number}_error_deviation", shape)
    if (deviation < 0).any():
        raise ValueError(f"level{number}_error_deviation is below 0")
    return NodeScale(mean, deviation, n, settings.floor)
