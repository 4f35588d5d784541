# SPDX-License-Identifier: BSD-3-Clause
"""cbn-show for an introspective energy model with Gaussian sidewards models: its facts, and where pictures vary."""

import math

import numpy as np

from ..iem.gaussian.positions import diagonals
from ..iem.names import EMBEDDED
from ..plots import figures
from . import _common as common
from ._show_command import print_command, told_of_command
from ._too_few import threshold_line


def show_fitted(arguments, fitted):
    """Facts, and a picture."""
    facts = describe(fitted) | {"model": arguments.model, "picture": arguments.out}
    facts |= told_of_command(arguments, fitted)
    figures.model_summary_figure(panels(fitted), arguments.out)
    common.print_json(facts) if arguments.json else print_facts(facts)


def describe(fitted):
    """The facts of a FittedGaussianModel: a dict that JSON can hold."""
    calibration, gaussians = fitted.calibration, fitted.gaussians
    return {
        "kind": "gaussian",
        "sidewards": "gaussian",
        "picture_shape": list(fitted.picture_shape),
        "n_images": fitted.n_images,
        "backbone": None if fitted.backbone is None else EMBEDDED,
        "brightness": fitted.brightness,
        "positions": list(gaussians.shape),
        "n_directions": gaussians.mean.shape[1],
        "gaussian": gaussians.gaussian.get_params(),
        "n_parameters": int(gaussians.mean.size + gaussians.factors.size),
        "calibration": calibration.source,
        "n_calibration": len(calibration.scores),
        "threshold": -calibration.offset,
        "false_alarm_rate": calibration.false_alarm_rate,
        "provenance": fitted.provenance,
    }


def panels(fitted):
    """Where pictures vary: the share of a whitened feature's deviation; how far positions differ."""
    gaussians = fitted.gaussians
    size = gaussians.mean.shape[1]
    # the geometric mean of deviations is the reciprocal of that of the inverse factor's diagonal
    deviation = np.exp(-np.log(diagonals(gaussians.factors, size)).mean(axis=1)).reshape(gaussians.shape)
    away = np.sqrt((gaussians.mean.astype(np.float64) ** 2).mean(axis=1)).reshape(gaussians.shape)
    drawn = [
        ("how much pictures vary", deviation, "standard deviation, mean over directions", 0.0, None),
        ("how far from the mean of all positions", away, "root mean square over directions", 0.0, None),
    ]
    return [
        figures.section(
            f"Gaussians of {size} directions at {gaussians.shape[0]} x {gaussians.shape[1]} positions", drawn
        )
    ]


def print_facts(facts):
    height, width, channels = facts["picture_shape"]
    color = "grey" if channels == 1 else "RGB"
    rows, columns = facts["positions"]
    print(f"model            {facts['model']}, an introspective energy model of {color} pictures, {height} x {width}")
    print(
        f"trained on       {facts['n_images']:,} pictures ({facts['provenance'].get('source') or 'source not recorded'})"
    )
    print(f"sidewards        Gaussian, {facts['n_directions']} directions at {rows} x {columns} positions")
    print(f"kernels          {'principal components of patches' if facts['backbone'] is None else facts['backbone']}")
    if facts["brightness"] is not None:
        print(f"brightness       divided by the {facts['brightness']}")
    print(f"parameters       {facts['n_parameters']:,}")
    shown, decides = f"energy {facts['threshold']:.6g} ({common.ENERGY})", math.isfinite(facts["threshold"])
    print(threshold_line(shown, facts["n_calibration"], facts["calibration"], facts["false_alarm_rate"], decides))
    print_command(facts)
    print(f"picture          {facts['picture']}")
