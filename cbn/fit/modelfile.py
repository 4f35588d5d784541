# SPDX-License-Identifier: BSD-3-Clause
"""Model files: a zip of ``header.json`` and plain ``.npy`` arrays.

Header, version 1
-----------------
format       "cbn-model"
version      1
kind         "network" or "classifier"
arguments    constructor arguments of the estimator
networks     one description per network: layer (sizes, relations), thresholds, full scale, pseudo-count, score,
             number of images, where the calibration comes from, binarization, provenance; of a classifier the class
package      version of cbn that wrote the file

Arrays: ``counts_<i>.npy`` int64 (rows, 2) and, uncompressed, ``calibration_<i>.npy`` float64 (n,) of network i. The
same model gives the same bytes: no times, fixed order, sorted keys.

Version 2, written for networks with hidden layers, and for presets and arguments that version 1 does not know: a
network's description may have ``hidden``, a list of layers (layerfile.py; their arrays begin with ``hidden_<i>_<l>_``,
l from 1, and have ``counts``), ``scales`` (score name to one factor for every layer) and ``heat_map_scale``.

Version 3, written for trees, and for presets, arguments and values of arguments that version 2 does not know
(``iterations`` and ``activation`` null, ``threshold`` "auto"): a network, or the entry ``network`` of a hidden layer,
has ``cpd`` and the arrays of networkfile.py; ``scales`` and ``heat_map_scale`` stand also without hidden layers. All
layers of a network have one ``cpd``; boosted trees have no hidden layers and no pseudo-count in the description.

Version 4, written for introspective energy models: kind "energy"; see iem/modelfile.py.
"""

import numbers
from dataclasses import asdict
from pathlib import Path

import numpy as np

from .. import _validation as validation
from .._version import __version__
from ..bits.binarization import Binarization, check_thresholds
from ..cpd.base import SCORES
from ..cpd.boostedlayer import Boosting
from ..cpd.files import cpd_of, describe_network, network_arrays, read_network
from ..cpd.grid import Layer
from ..estimators.classifier import ConvolutionalBayesianNetworkClassifier
from ..estimators.network import ConvolutionalBayesianNetwork
from ..io.archive import read_archive, read_array, write_archive
from ..layers.files import describe_trained, read_trained, trained_arrays
from ..layers.geometry import HiddenLayer, geometry
from ..layers.stack import LayeredNetwork
from .presets import resolve, weights_of_layers

FORMAT, VERSION = "cbn-model", 5
# Constructor arguments that files of version 1 have; those of version 2 have all but those of trees.
V1_ARGUMENTS = (
    "preset", "offsets", "threshold", "pseudocount", "score", "false_alarm_rate", "image_shape", "full_scale",
    "random_state", "class_prior",
)  # fmt: skip
V1_PRESET = "pixel"
V2_PRESETS = ("pixel", "hidden")
# Left to the preset since version 3; a number each before.
V3_NONE = ("iterations", "activation")
V3_ARGUMENTS = {"cpd", "reach", "penalty", "max_leaves", "min_leaf", "shrinkage", "boosting", "folds"}
# The number of threads belongs to the machine, not to the model; the kernels to start from may be a file of elsewhere.
NOT_KEPT = ("n_jobs", "kernels")
CALIBRATIONS = ("leave-one-out", "cross-validation", "separate images", "training images")


def save(model, path):
    """Write a fitted estimator or classifier to ``path``, complete or not at all.

    Raises
    ------
    CbnError
        The file cannot be written; an earlier file of that name is then unchanged.
    """
    if isinstance(model, ConvolutionalBayesianNetworkClassifier):
        kind, networks = "classifier", model.networks_
        labels = [{"class": label} for label in model.classes_.tolist()]
    else:
        kind, networks, labels = "network", [model], [{}]
    descriptions = [{**_describe(network), **label} for network, label in zip(networks, labels)]
    version = _version(model, descriptions)
    header = {
        "format": FORMAT,
        "version": version,
        "kind": kind,
        "package": __version__,
        "arguments": _arguments(model, version),
        "networks": descriptions,
    }
    arrays, stored = {}, set()
    for i, network in enumerate(networks):
        layers = network._network.networks
        arrays |= {f"{name}_{i}": array for name, array in network_arrays(layers[0]).items()}
        arrays[f"calibration_{i}"] = network.calibration_scores_
        stored.add(f"calibration_{i}")
        for number, trained in enumerate(network.hidden_layers_, start=1):
            prefix = f"hidden_{i}_{number}"
            stored.add(f"{prefix}_curve")
            arrays |= trained_arrays(trained, prefix)
            arrays |= {f"{prefix}_{name}": array for name, array in network_arrays(layers[number]).items()}
    write_archive(path, header, arrays, stored)


def load(path):
    """Read a model file.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    ConvolutionalBayesianNetwork, ConvolutionalBayesianNetworkClassifier or cbn.iem.IntrospectiveEnergyModel

    Raises
    ------
    ModelFileError
        "not a cbn model", "newer than this version" or "damaged: ...".
    """
    missing = "train a model first, for example with cbn-train or cbn-iem-train"
    return read_archive(Path(path), "a cbn model", missing, FORMAT, VERSION, _restore)


def _version(model, descriptions):
    """The oldest version that can hold a model: a reader that knows no later one then says so, not "damaged"."""
    default = type(model)().get_params(deep=False)

    def at_defaults(names):
        return all(_same(getattr(model, name), default[name]) for name in default.keys() & names)

    if any("cpd" in d for d in descriptions) or not at_defaults(V3_ARGUMENTS) or model.preset not in V2_PRESETS:
        return 3
    if isinstance(model.threshold, str):
        return 3
    hidden = any("hidden" in description for description in descriptions)
    later = default.keys() - {*V1_ARGUMENTS, *NOT_KEPT}
    if model.preset == V1_PRESET and at_defaults(later) and not hidden:
        return 1
    return 3 if any(getattr(model, name, 0) is None for name in V3_NONE) else 2


def _arguments(model, version):
    """Constructor arguments as JSON: those that the version knows, all of them, as defaults may change one day."""
    return {
        name: plain(value)
        for name, value in model.get_params(deep=False).items()
        if name not in NOT_KEPT and (version == 3 or name not in V3_ARGUMENTS) and (version > 1 or name in V1_ARGUMENTS)
    }


def _same(value, default):
    comparable = type(value) is type(default) and isinstance(value, str | int | float | tuple)
    return value is default or (comparable and value == default)


def plain(value):
    """A constructor argument as JSON; generators, which are no argument to keep, as null."""
    if isinstance(value, np.ndarray | tuple | list):
        return [plain(v) for v in value]
    if isinstance(value, HiddenLayer):
        return [value.kernels, value.kernel_size, value.pool]
    if isinstance(value, Boosting):
        return {name: plain(field) for name, field in asdict(value).items()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, str | int | float | bool | None):
        return value
    return float(value) if isinstance(value, numbers.Real) else None


def _describe(network):
    description = {
        **describe_network(network._network.pixels),
        "thresholds": list(network.binarizer_.thresholds),
        "full_scale": network.binarizer_.full_scale,
        "score": network.score_,
        "n_images": network.n_images_,
        "calibration": network.calibration_,
        "binarization": network.binarization_,
        "provenance": network.provenance_,
    }
    if hasattr(network._network.pixels, "pseudocount"):
        description["pseudocount"] = network._network.pixels.pseudocount
    if network.hidden_layers_:
        description["hidden"] = [describe_trained(trained) for trained in network.hidden_layers_]
        for entry, own in zip(description["hidden"], network._network.networks[1:]):
            if not own.leaves_one_out:  # beside the relations that the kernels were trained with
                entry["network"] = describe_network(own)
    if network.hidden_layers_ or network.heat_map_scale_ is not None:
        description["scales"] = {name: list(scale) for name, scale in network._network.scales.items()}
        description["heat_map_scale"] = network.heat_map_scale_
    return description


def _restore(archive, header):
    if header["kind"] == "energy" and header["version"] >= 4:
        from ..estimators.iem import IntrospectiveEnergyModel
        from ..iem.files.modelfile import restore

        return IntrospectiveEnergyModel._of(restore(archive, header))
    arguments = header["arguments"]
    if not isinstance(arguments, dict):
        raise ValueError("the header names no arguments")
    if any(arguments.get(name) is not None for name in NOT_KEPT):
        raise ValueError("an argument that model files do not hold")
    if arguments.get("offsets") is not None:
        arguments["offsets"] = tuple(tuple(pair) for pair in arguments["offsets"])
    for name in ("hidden", "forced_relations", "forbidden_relations"):
        if arguments.get(name) is not None:
            arguments[name] = tuple(tuple(entry) for entry in arguments[name])
    if arguments.get("boosting") is not None:
        if not isinstance(arguments["boosting"], dict):
            raise ValueError(f"boosting: {arguments['boosting']!r} has no fields")
        arguments["boosting"] = Boosting(**arguments["boosting"])
    for name in ("threshold", "image_shape", "class_prior", "layer_weights", "activation"):
        if isinstance(arguments.get(name), list):
            arguments[name] = tuple(arguments[name])
    descriptions = header["networks"]
    if not isinstance(descriptions, list):
        raise ValueError("the header lists no networks")
    if header["kind"] == "network":
        if len(descriptions) != 1:
            raise ValueError(f"{len(descriptions)} networks in a file for one")
        return _restore_network(archive, descriptions[0], 0, arguments)
    if header["kind"] == "classifier":
        classifier = ConvolutionalBayesianNetworkClassifier(**arguments)
        networks = [
            _restore_network(archive, description, i, classifier.network_arguments())
            for i, description in enumerate(descriptions)
        ]
        classes = [description["class"] for description in descriptions]
        if classes != sorted(set(classes)) or len({type(label) for label in classes}) != 1:
            raise ValueError("classes are not different labels of one type in increasing order")
        if any(_images_of(n) != _images_of(networks[0]) for n in networks):
            raise ValueError("networks of different shapes in one classifier")
        if any(n.hidden_layers_ for n in networks):
            raise ValueError("a classifier of networks with hidden layers, whose product is no probability")
        classifier._set_networks(classes, networks)
        return classifier
    raise ValueError(f"kind {header['kind']!r}")


def _images_of(network):
    """What the networks of a classifier have in common: the images that they are densities of; tables the relations."""
    layer = network.layer_
    own = layer if isinstance(layer, Layer) else (type(layer), layer.channels, layer.height, layer.width)
    return own, network.binarizer_


def _restore_network(archive, description, i, arguments):
    model = ConvolutionalBayesianNetwork(**arguments)
    model.check_arguments()
    if model.random_state is not None:
        validation.check_seed(model.random_state)
    full_scale = description["full_scale"]
    if type(full_scale) is not int or full_scale not in (1, 255):
        raise ValueError(f"full scale {full_scale!r}")
    binarization = Binarization(check_thresholds(description["thresholds"], full_scale), full_scale)
    n_images = validation.check_integer(description["n_images"], "n_images", 1, 2**62)
    score = validation.check_choice(description["score"], "score", SCORES)
    network, trained, heat_map_scale = _restore_layers(archive, description, i, binarization.channels, n_images, model)
    source = validation.check_choice(description["calibration"], "calibration", CALIBRATIONS)
    calibration = read_array(archive, f"calibration_{i}", np.float64, (None,))
    if source != "separate images" and len(calibration) > n_images:
        raise ValueError(f"{len(calibration)} {source} scores of {n_images} images")
    if len(calibration) < 1 or not np.isfinite(calibration).all() or (np.diff(calibration) < 0).any():
        raise ValueError("calibration scores are not finite numbers in increasing order")
    if not isinstance(description["binarization"], str) or not isinstance(description["provenance"], dict):
        raise ValueError("binarization or provenance of another type")
    model._set_network(network, trained, binarization, n_images, score)
    model.heat_map_scale_ = heat_map_scale
    model.binarization_ = description["binarization"]
    model.provenance_ = description["provenance"]
    model._set_calibration(calibration, source)
    return model


def _restore_layers(archive, description, i, n_thresholds, n_images, model):
    """(LayeredNetwork, trained layers, heat-map scale) of a description with or without hidden layers."""
    cpd, described = cpd_of(description), description.get("hidden", [])
    if not isinstance(described, list):
        raise ValueError("the hidden layers are no list")
    if cpd == "boosted" and described:
        raise ValueError("hidden layers above boosted trees")
    pseudocount = None
    if cpd != "boosted":
        pseudocount = validation.check_real(description["pseudocount"], "pseudocount", 1e-9, 1e9)
    sizes = description["layer"]
    channels, height, width = (
        validation.check_integer(sizes[name], name, 1, 2**30) for name in ("channels", "height", "width")
    )
    if n_thresholds != channels:
        raise ValueError(f"{n_thresholds} thresholds for {channels} channels")
    wanted = tuple(HiddenLayer(d["layer"]["channels"], d["kernel_size"], d["pool"]) for d in described)
    geometries = geometry(height, width, channels, wanted)
    networks = [
        read_network(
            archive, description, lambda name: f"{name}_{i}", geometries[0], n_images, pseudocount, pixels=True
        )
    ]
    transitions, trained = [], []
    for number, entry in enumerate(described, start=1):
        prefix = f"hidden_{i}_{number}"
        below, own = geometries[number - 1 : number + 1]
        found = read_trained(archive, entry, prefix, wanted[number - 1], below, own)
        # beside the relations that the kernels were trained with, trees have a description of their own
        own_network = entry["network"] if cpd != "table" else entry
        if cpd_of(own_network) != cpd:
            raise ValueError(f"hidden layer {number} of another cpd than the pixels")
        networks.append(
            read_network(
                archive, own_network, lambda name: f"{prefix}_{name}", own, n_images, pseudocount, pixels=False
            )
        )
        transitions.append(found.kernels.transition(below))
        trained.append(found)
    if not trained and cpd == "table":
        weights = weights_of_layers(resolve(model)["layer_weights"], 1)
        return LayeredNetwork(networks, [], geometries, dict.fromkeys(SCORES, weights)), (), None
    scales = {}
    for name in SCORES:
        scales[name] = tuple(validation.check_real(v, "scales", 0, 1e300) for v in description["scales"][name])
        if len(scales[name]) != len(networks):
            raise ValueError(f"{len(scales[name])} scales for {len(networks)} layers")
    heat_map_scale = validation.check_real(description["heat_map_scale"], "heat_map_scale", -1e300, 1e300)
    return LayeredNetwork(networks, transitions, geometries, scales), tuple(trained), heat_map_scale
