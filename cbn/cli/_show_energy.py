# SPDX-License-Identifier: BSD-3-Clause
"""cbn-show for an introspective energy model: its levels, its threshold, and a picture of errors and kernels."""

import math

from ..plots import figures
from ..plots import model as summary
from . import _common as common
from ._show_command import print_command, told_of_command
from ._too_few import threshold_line

# Kernels in the picture.
MOST_KERNELS = 64


def show_fitted(arguments, fitted):
    """Facts of all levels, and a picture."""
    facts = describe(fitted) | {"model": arguments.model, "picture": arguments.out}
    facts |= told_of_command(arguments, fitted)
    figures.model_summary_figure(panels(fitted), arguments.out)
    common.print_json(facts) if arguments.json else print_energy_model(facts)


def describe(fitted):
    """The facts of a FittedEnergyModel: a dict that JSON can hold."""
    settings, calibration = fitted.settings, fitted.calibration
    sizes = settings.sizes(fitted.picture_shape)
    weights = settings.weights(len(fitted.levels)).tolist()
    levels = [
        {"level": size.level, "shape": [size.height, size.width, size.channels],
         "receptive_field": size.receptive_field, "distance": size.distance, "neighbours": 8 * size.distance,
         "inputs": size.inputs, "hidden": list(size.hidden),
         "kernel_parameters": size.kernel_parameters, "sidewards_parameters": size.sidewards_parameters,
         "weight": weight, "scale": scale, "dead_kernels": dead, "epochs": len(level.curve), "curve": level.curve}
        for size, level, weight, scale, dead in zip(
            sizes, fitted.levels, weights, fitted.level_scales.tolist(), fitted.dead_kernels.tolist()
        )
    ]  # fmt: skip
    return {
        "kind": "energy",
        "picture_shape": list(fitted.picture_shape),
        "n_images": fitted.n_images,
        "sharing": settings.sharing,
        "energy": settings.energy,
        "brightness": settings.brightness,
        "floor": settings.floor,
        "backbone": fitted.backbone is not None,
        "levels": levels,
        "n_parameters": sum(level["kernel_parameters"] + level["sidewards_parameters"] for level in levels),
        "calibration": calibration.source,
        "n_calibration": len(calibration.scores),
        "threshold": -calibration.offset,
        "false_alarm_rate": settings.false_alarm_rate,
        "provenance": fitted.provenance,
    }


def panels(fitted):
    """By level: how large errors are on normal pictures, and the learning curve; kernels of the first learned level."""
    drawn = []
    for number, (level, scale) in enumerate(zip(fitted.levels, fitted.node_scales)):
        title = f"level {number}: usual error"
        own = [(title, scale.deviation.mean(axis=2), "standard deviation, mean over kernels", 0.0, None)]
        if level.curve:
            own.append(figures.curve_panel([(None, level.curve)], f"level {number}: learning", "mean squared error"))
        kernels = first_kernels(level)
        if kernels is not None:
            own.append(summary.kernel_panel(kernels[:MOST_KERNELS]))
        size = level.shape
        drawn.append(figures.section(f"level {number}: {size[2]} kernels, {size[0]} x {size[1]} positions", own))
    return drawn


def first_kernels(level):
    """(kernels, channels, size, size) weights of the first convolution of a level that looks at 1 or 3 channels."""
    for step, values in zip(level.level.steps, level.kernels):
        weights = values.get("weights")
        if weights is not None and weights.ndim == 3 and weights.shape[1] in (1, 3):
            side = round(weights.shape[0] ** 0.5)
            return weights.transpose(2, 1, 0).reshape(weights.shape[2], weights.shape[1], side, side)
        return None
    return None


def print_energy_model(facts):
    height, width, channels = facts["picture_shape"]
    color = "grey" if channels == 1 else "RGB"
    kernels = "of a pretrained network" if facts["backbone"] else "learned"
    print(f"model            {facts['model']}, an introspective energy model of {color} pictures, {height} x {width}")
    print(
        f"trained on       {facts['n_images']:,} pictures ({facts['provenance'].get('source', 'source not recorded')})"
    )
    print(f"kernels          {kernels}; sidewards models share {facts['sharing']!r} (thesis Figure 15)")
    brightness = "" if facts["brightness"] is None else f", brightness divided by the {facts['brightness']}"
    print(f"energy           {facts['energy']}{brightness}")
    print(f"{'level':5} {'nodes':>12} {'field':>6} {'distance':>9} {'neighbours':>11} {'inputs':>7}  {'networks':14} "
          f"{'parameters':>11} {'weight':>7} {'epochs':>7} {'error':>8}")  # fmt: skip
    for level in facts["levels"]:
        nodes = "x".join(map(str, level["shape"]))
        networks = "-".join(map(str, (level["inputs"], *level["hidden"], 1)))
        n_parameters = level["kernel_parameters"] + level["sidewards_parameters"]
        error = f"{level['curve'][-1]:8.4f}" if level["curve"] else f"{'-':>8}"
        print(
            f"{level['level']:5} {nodes:>12} {level['receptive_field']:6} {level['distance']:9} "
            f"{level['neighbours']:11} {level['inputs']:7,}  {networks:14} {n_parameters:11,} "
            f"{level['weight']:7g} {level['epochs']:7,} {error}"
        )
    print(f"parameters       {facts['n_parameters']:,}")
    shown, decides = f"energy {facts['threshold']:.6g} ({common.ENERGY})", math.isfinite(facts["threshold"])
    print(threshold_line(shown, facts["n_calibration"], facts["calibration"], facts["false_alarm_rate"], decides))
    print_command(facts)
    print(f"picture          {facts['picture']}")
