# SPDX-License-Identifier: BSD-3-Clause
"""What a fitted network is, as a dictionary."""

from dataclasses import asdict

from ..cpd.shape import describe_trees
from .presets import OF_CPD, resolve

DENSITY_PIXELS = "normalized over the binarized images"
DENSITY_LAYERS = "an unnormalized energy, because hidden nodes are functions of the pixels"


def describe(model):
    """The facts of a fitted ConvolutionalBayesianNetwork: a dict that JSON can hold.

    Likelihoods and the BIC are those of the counted images, summed over the layers where there are hidden ones.
    """
    log_likelihood, n_parameters, bic = model.bic_terms()
    n_layers = 1 + len(model.hidden_layers_)
    setting = resolve(model)
    return {
        "preset": model.preset,
        "image_shape": list(model.image_shape_),
        "binarization": model.binarization_,
        "density": {"pixels": DENSITY_PIXELS} | ({"all_layers": DENSITY_LAYERS} if n_layers > 1 else {}),
        "n_images": model.n_images_,
        "cpd": setting["cpd"],
        "pseudocount": getattr(model._network.pixels, "pseudocount", None),
        "relations": [[r.child, r.parent, r.dy, r.dx] for r in getattr(model.layer_, "relations", ())],
        "growth": growth_setting(setting),
        "trees": [describe_trees(own.layer) for own in model._network.networks if not own.leaves_one_out],
        "hidden_layers": [describe_hidden(model, number) for number in range(1, n_layers)],
        "n_parameters": n_parameters,
        "log_likelihood": log_likelihood,
        "bic": bic,
        "score": model.score_,
        "layer_weights": list(setting["layer_weights"][:n_layers]),
        "scales": {name: list(scale) for name, scale in model._network.scales.items()},
        "calibration": model.calibration_,
        "n_calibration": len(model.calibration_scores_),
        "threshold": model.offset_,
        "false_alarm_rate": model.false_alarm_rate,
        "heat_map_scale": model.heat_map_scale(),
        "provenance": model.provenance_,
    }


def growth_setting(setting):
    """The arguments by which trees were grown, as JSON can hold them; empty for tables."""
    if setting["cpd"] == "table":
        return {}
    # folds belong to the calibration
    names = [name for name, kinds in OF_CPD.items() if setting["cpd"] in kinds and name != "folds"]
    return {name: asdict(setting[name]) if name == "boosting" else setting[name] for name in names}


def describe_hidden(model, number):
    """The facts of hidden layer ``number``, 1 being the first: a dict that JSON can hold.

    Relations are in the order of what they gain: (child, parent, dy, dx, change of the BIC). Gains are those of thesis
    eq. 8 in nats per image, by iteration, the first before any kernel step.
    """
    trained, geometry = model.hidden_layers_[number - 1], model.layer_geometries()[number]
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
