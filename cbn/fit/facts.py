# SPDX-License-Identifier: BSD-3-Clause
"""What a fitted network is, as a dictionary."""

from typing import Any

from .fitted import Fitted

DENSITY_PIXELS = "normalized over the binarized images"
DENSITY_LAYERS = "an unnormalized energy, because hidden nodes are functions of the pixels"


def describe(fitted: Fitted) -> dict[str, Any]:
    """The facts of a fitted network: a dict that JSON can hold.

    Likelihoods and the BIC are those of the counted images, summed over the layers where there are hidden ones.
    """
    log_likelihood, n_parameters, bic = fitted.bic_terms()
    network, settings = fitted.network, fitted.settings
    n_layers, structures = len(network), [own.facts() for own in network.networks]
    return {
        "preset": settings.preset,
        "image_shape": list(fitted.image_shape),
        "binarization": fitted.rule,
        "density": {"pixels": DENSITY_PIXELS} | ({"all_layers": DENSITY_LAYERS} if n_layers > 1 else {}),
        "n_images": fitted.n_images,
        "cpd": network.pixels.name,
        "pseudocount": structures[0]["pseudocount"],
        "relations": [[r.child, r.parent, r.dy, r.dx] for r in network.pixels.tied_relations or ()],
        "growth": network.pixels.growth_facts(settings.cpd),
        "trees": [own["trees"] for own in structures if "trees" in own],
        "hidden_layers": [describe_hidden(fitted, number) for number in range(1, n_layers)],
        "n_parameters": n_parameters,
        "log_likelihood": log_likelihood,
        "bic": bic,
        "contrast": None if settings.contrast is None else settings.contrast.get_params(),
        "score": settings.score,
        "layer_weights": list(settings.features.weights(n_layers)),
        "scales": {name: list(scale) for name, scale in network.scales.items()},
        "calibration": fitted.calibration.source,
        "n_calibration": len(fitted.calibration.scores),
        "threshold": fitted.calibration.offset,
        "false_alarm_rate": settings.false_alarm_rate,
        "heat_map_scale": fitted.heat_map_scale(),
        "provenance": fitted.provenance,
    }


def describe_hidden(fitted: Fitted, number: int) -> dict[str, Any]:
    """The facts of hidden layer ``number``, 1 being the first: a dict that JSON can hold.

    Relations are in the order of what they gain: (child, parent, dy, dx, change of the BIC). Gains are those of thesis
    eq. 8 in nats per image, by iteration, the first before any kernel step.
    """
    trained, geometry = fitted.hidden_layers[number - 1], fitted.network.geometries[number]
    kept = trained.curve[trained.best]
    steps = sorted(trained.steps, key=lambda step: step.bic_change)
    relations = [(step.relation, step.bic_change) for step in steps]
    return {
        "layer": number,
        "shape": [geometry.channels, geometry.height, geometry.width],
        "kernels": geometry.channels,
        "kernel_size": trained.kernels.weights.shape[2],
        "in_channels": trained.kernels.weights.shape[1],
        "pool": trained.kernels.pool,
        "receptive_field": geometry.receptive_field,
        "stride": geometry.stride,
        "distance": geometry.distance,
        "relations": [[r.child, r.parent, r.dy, r.dx, change] for r, change in relations],
        "n_iterations": len(trained.curve) - 1,
        "kept_iteration": trained.best,
        "gain_at_start": trained.curve[0].gain,
        "gain": kept.gain,
        "bic_at_start": trained.curve[0].bic,
        "bic": kept.bic,
        "activation": list(kept.activation),
        "curve": {
            "gain": [point.gain for point in trained.curve],
            "bic": [point.bic for point in trained.curve],
            "relations": [point.relations for point in trained.curve],
            "activation": [list(point.activation) for point in trained.curve],
        },
    }
