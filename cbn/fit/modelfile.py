# SPDX-License-Identifier: BSD-3-Clause
"""Model files of networks and classifiers: what they hold, and how they are read.

A zip of ``header.json`` and plain ``.npy`` arrays. The same model gives the same bytes: no times, fixed order, sorted keys.

Header, versions 6, 10 and 11
-----------------------------
format       "cbn-model"
version      11 where there is, or could be, a contrast; else 10 where CPDs are tied trees, else 6
kind         "network" or "classifier"; "energy" is read by cbn.iem.files
arguments    what the user said (settings.Arguments, or classifier.ClassifierArguments), null where it was left open;
             ``cpd`` is null, the name of a kind, or the fields of its parameters with ``kind``; ``features`` is null or
             fields; ``contrast`` true, false or fields, or left out. Threads, and kernels to start from, are not kept.
settings     the same resolved (settings.Settings)
networks     one description per network: ``layer`` (sizes and what the kind says of its structure), ``cpd`` (its name;
             tables have none) and what belongs to the kind, ``thresholds``, ``full_scale``, ``n_images``,
             ``calibration`` (where its scores come from), ``binarization`` (the rule in words), ``provenance``,
             ``hidden`` (a list of layers, see cbn.layers.files, each with ``network``, the description of its CPDs),
             ``scales`` (score name to one factor for every layer), ``heat_map_scale`` or null, ``judge`` (null, or
             ``n_images`` and ``networks``, the descriptions of the CPDs of every layer of the network by whose scores
             images are judged); of a classifier ``class``; ``contrast`` where there is one (see cbn.layers.contrast)
package      version of cbn that wrote the file

Arrays: those of the pixels' CPDs of network i, named ``<name>_<i>``; ``calibration_<i>`` float64 (n,), uncompressed; those
of hidden layer l, from 1, begin with ``hidden_<i>_<l>_``, those of layer l of the judging network, from 0, with
``judge_<i>_<l>_``, those of the contrast with ``contrast_<i>_``. What they are is said in each kind's file in cbn.cpd.

Version 5 has no ``judge``: images are judged by the network itself. Versions 1 to 3 have flat ``arguments`` (see
flat.py) and no ``settings``; ``pseudocount`` and ``score`` stand in the network's description. Version 1: tables on
pixels. Version 2: hidden layers, whose tables are described by the layer itself. Version 3: trees; hidden layers of
trees have ``network``. ``scales`` and ``heat_map_scale`` stand only where there are hidden layers or trees. Version 4
has introspective energy models only.
"""

from dataclasses import replace
from functools import partial
from typing import Any
from zipfile import ZipFile

import numpy as np

from .. import _validation as validation
from ..bits.binarization import Binarization, check_thresholds
from ..cpd.base import CPD, SCORES, Source
from ..cpd.grid import Grid
from ..cpd.kinds import cpd_of, kind_named, read_cpd
from ..io.archive import read_array
from ..layers.contrast import NAME as CONTRAST
from ..layers.contrast import PARTS, Contrast, LogRatio
from ..layers.features import Features
from ..layers.files import read_trained
from ..layers.geometry import HiddenLayer, geometry
from ..layers.stack import LayeredNetwork
from ..metrics.calibration import Calibration
from .classifier import ClassifierArguments, FittedClassifier, assembled_classifier
from .fitted import Fitted
from .flat import classifier_from_flat, from_flat
from .settings import Arguments, Settings, resolve
from .writing import CONTRAST_VERSION, NOT_KEPT

NEWEST = 6, 10, 11  # the versions that are described above; those between are of energy models
NESTED = 5  # the version since which arguments hold parameter objects
CALIBRATIONS = ("leave-one-out", "cross-validation", "separate images", "training images")
Header = dict[str, Any]


def restore_network(archive: ZipFile, header: Header) -> Fitted:
    """The fitted network of a file; anything that cannot be raises one of cbn.io.archive.DAMAGE."""
    descriptions = _descriptions(header)
    if len(descriptions) != 1:
        raise ValueError(f"{len(descriptions)} networks in a file for one")
    if header["version"] >= NESTED:
        arguments = Arguments(**_nested(header["arguments"]))
        resolve(arguments)
        settings = _settings(header["settings"])
    else:
        arguments = from_flat(_flat(header))
        settings = resolve(replace(arguments, contrast=False))
    return _network(archive, descriptions[0], 0, arguments, settings)


def restore_classifier(archive: ZipFile, header: Header) -> FittedClassifier:
    """The fitted classifier of a file; anything that cannot be raises one of cbn.io.archive.DAMAGE."""
    descriptions = _descriptions(header)
    if header["version"] >= NESTED:
        arguments = ClassifierArguments(**_nested(header["arguments"]))
        arguments.resolve()
        settings = _settings(header["settings"])
    else:
        arguments = classifier_from_flat(_flat(header))
        settings = arguments.resolve()
    own = arguments.of_networks()
    networks = [_network(archive, description, i, own, settings) for i, description in enumerate(descriptions)]
    classes = [description["class"] for description in descriptions]
    if classes != sorted(set(classes)) or len({type(label) for label in classes}) != 1:
        raise ValueError("classes are not different labels of one type in increasing order")
    if any(_images_of(n) != _images_of(networks[0]) for n in networks):
        raise ValueError("networks of different shapes in one classifier")
    if any(n.hidden_layers for n in networks):
        raise ValueError("a classifier of networks with hidden layers, whose product is no probability")
    return assembled_classifier(arguments, classes, networks)


def _descriptions(header: Header) -> list[dict[str, Any]]:
    version = header["version"]
    if version > min(NEWEST) and version not in NEWEST:
        raise ValueError(f"version {version} of a network")
    descriptions = header["networks"]
    if not isinstance(descriptions, list) or not descriptions:
        raise ValueError("the header lists no networks")
    for description in descriptions:
        if cpd_of(description).since > version:
            raise ValueError(f"{cpd_of(description).nouns} in version {version}")
        if CONTRAST in description and version < CONTRAST_VERSION:
            raise ValueError(f"a contrast in version {version}")
    return descriptions


def _images_of(fitted: Fitted) -> tuple[Any, ...]:
    """What the networks of a classifier have in common: the images that they are densities of, and how."""
    pixels = fitted.network.pixels
    return pixels.name, pixels.layer.grid(), pixels.tied_relations, fitted.binarization


# ---- arguments and settings ----


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(own) for own in value) if isinstance(value, list) else value


def _nested(found: Any) -> dict[str, Any]:
    """Arguments of versions 5 and 6 as they were given."""
    if not isinstance(found, dict):
        raise ValueError("the header names no arguments")
    if any(name in found for name in NOT_KEPT):
        raise ValueError("an argument that model files do not hold")
    arguments = {name: _as_tuples(value) for name, value in found.items()}
    if arguments.get("random_state") is not None:
        validation.check_seed(arguments["random_state"])
    if isinstance(arguments.get("cpd"), dict):
        own = {name: _as_tuples(value) for name, value in arguments["cpd"].items() if name != "kind"}
        arguments["cpd"] = kind_named(arguments["cpd"].get("kind")).parameter_class(**own)
    if isinstance(arguments.get(CONTRAST), dict):
        arguments[CONTRAST] = Contrast(**arguments[CONTRAST])
    if arguments.get("features") is not None:
        if not isinstance(arguments["features"], dict):
            raise ValueError(f"features: {arguments['features']!r} has no fields")
        if any(name in arguments["features"] for name in NOT_KEPT):
            raise ValueError("features that begin with kernels of elsewhere")
        arguments["features"] = Features(**{n: _as_tuples(v) for n, v in arguments["features"].items()})
    return arguments


def _settings(found: Any) -> Settings:
    """Settings of versions 5 and 6: arguments of which none is left open, checked as arguments are."""
    arguments = Arguments(**({CONTRAST: False} | _nested(found)))
    if isinstance(arguments.cpd, str) or any(
        getattr(arguments, name) is None for name in ("cpd", "features", "threshold", "score", "folds")
    ):
        raise ValueError("settings that leave something open")
    folds, settings = arguments.folds, resolve(replace(arguments, folds=None))
    return replace(settings, folds=validation.check_integer(folds, "folds", 2, 1000))


def _flat(header: Header) -> dict[str, Any]:
    """The flat arguments of versions 1 to 3."""
    arguments = header["arguments"]
    if not isinstance(arguments, dict):
        raise ValueError("the header names no arguments")
    if any(arguments.get(name) is not None for name in NOT_KEPT):
        raise ValueError("an argument that model files do not hold")
    boosting = arguments.get("boosting")
    if boosting is not None and not isinstance(boosting, dict):
        raise ValueError(f"boosting: {boosting!r} has no fields")
    if arguments.get("random_state") is not None:
        validation.check_seed(arguments["random_state"])
    return {name: value if isinstance(value, dict) else _as_tuples(value) for name, value in arguments.items()}


# ---- networks ----


def _network(archive: ZipFile, description: dict[str, Any], i: int, arguments: Arguments, settings: Settings) -> Fitted:
    full_scale = description["full_scale"]
    if type(full_scale) is not int or not 1 <= full_scale <= validation.MAX_FULL_SCALE:
        raise ValueError(f"full scale {full_scale!r}")
    binarization = Binarization(check_thresholds(description["thresholds"], full_scale), full_scale)
    n_images = validation.check_integer(description["n_images"], "n_images", 1, 2**62)
    if "score" in description:  # before version 5
        settings = replace(settings, score=validation.check_choice(description["score"], "score", SCORES))
    network, trained = _layers(archive, description, i, binarization.channels, n_images, settings)
    judge = _judge(archive, description.get("judge"), i, network)
    if (network.contrast is None) != (settings.contrast is None):
        raise ValueError("a contrast without settings, or settings without a contrast")
    scale = description.get("heat_map_scale")
    if scale is None:
        if len(network) > 1 or not network.pixels.counts_surprises:
            raise ValueError("no heat-map scale of a network whose counts do not tell it")
    else:
        scale = validation.check_real(scale, "heat_map_scale", -1e300, 1e300)
    source = validation.check_choice(description["calibration"], "calibration", CALIBRATIONS)
    scores = read_array(archive, f"calibration_{i}", np.float64, (None,))
    if source != "separate images" and len(scores) > n_images:
        raise ValueError(f"{len(scores)} {source} scores of {n_images} images")
    if not isinstance(description["binarization"], str) or not isinstance(description["provenance"], dict):
        raise ValueError("binarization or provenance of another type")
    return Fitted(
        arguments=arguments,
        settings=settings,
        network=network,
        hidden_layers=trained,
        binarization=binarization,
        n_images=n_images,
        measured_heat_map_scale=scale,
        calibration=Calibration.restored(scores, source, settings.false_alarm_rate),
        judge=judge,
        rule=description["binarization"],
        provenance=description["provenance"],
    )


def _layers(
    archive: ZipFile, description: dict[str, Any], i: int, n_thresholds: int, n_images: int, settings: Settings
) -> tuple[LayeredNetwork, tuple[Any, ...]]:
    """(LayeredNetwork, trained layers) of a description with or without hidden layers."""
    kind, described = cpd_of(description), description.get("hidden", [])
    if not isinstance(described, list):
        raise ValueError("the hidden layers are no list")
    if described and not kind.has_features:
        raise ValueError(f"hidden layers above {kind.nouns}")
    sizes = description["layer"]
    channels, height, width = (
        validation.check_integer(sizes[name], name, 1, 2**30) for name in ("channels", "height", "width")
    )
    if n_thresholds != channels:
        raise ValueError(f"{n_thresholds} thresholds for {channels} channels")
    wanted = tuple(HiddenLayer(d["layer"]["channels"], d["kernel_size"], d["pool"]) for d in described)
    geometries = geometry(height, width, channels, wanted)
    defaults = {name: description[name] for name in ("pseudocount",) if name in description}

    def read(own: dict[str, Any], number: int, array_name: Any) -> CPD:
        grid = Grid(geometries[number].channels, geometries[number].height, geometries[number].width)
        source = Source(archive, own, array_name, grid, geometries[number].distance, number == 0, defaults)
        return read_cpd(source, n_images)

    networks = [read(description, 0, lambda name: f"{name}_{i}")]
    transitions, trained = [], []
    for number, entry in enumerate(described, start=1):
        prefix = f"hidden_{i}_{number}"
        below, own = geometries[number - 1 : number + 1]
        found = read_trained(archive, entry, prefix, wanted[number - 1], below, own)
        # beside the relations that the kernels were trained with; before version 5 tables had only these
        own_network = entry.get("network", entry)
        if cpd_of(own_network) is not kind:
            raise ValueError(f"hidden layer {number} of another cpd than the pixels")
        networks.append(read(own_network, number, lambda name, prefix=prefix: f"{prefix}_{name}"))
        transitions.append(found.kernels.transition(below))
        trained.append(found)
    if "scales" not in description:  # versions 1 to 3, tables on pixels
        if len(networks) > 1:
            raise ValueError("layers without scales")
        return LayeredNetwork(networks, [], geometries, dict.fromkeys(SCORES, settings.features.weights(1))), ()
    contrast = None
    if CONTRAST in description:
        contrast = LogRatio.read(
            archive, description[CONTRAST], lambda name: f"contrast_{i}_{name}", geometries[0].grid()
        )
    scales = {}
    for name in (*SCORES, *((CONTRAST,) if contrast else ())):
        scales[name] = tuple(validation.check_real(v, "scales", 0, 1e300) for v in description["scales"][name])
        if len(scales[name]) != len(networks) + (len(PARTS) if name == CONTRAST else 0):
            raise ValueError(f"{len(scales[name])} scales for {len(networks)} layers")
    return LayeredNetwork(networks, transitions, geometries, scales, contrast), tuple(trained)


def _judge(archive: ZipFile, described: Any, i: int, network: LayeredNetwork) -> LayeredNetwork | None:
    """The network by whose scores images are judged, if the file has one: layers like those of ``network``."""
    if described is None:
        return None
    n_images = validation.check_integer(described["n_images"], "n_images", 1, 2**62)
    if not isinstance(described["networks"], list) or len(described["networks"]) != len(network):
        raise ValueError("a judging network of other layers")
    networks = []
    for number, (own, shape, like) in enumerate(zip(described["networks"], network.geometries, network.networks)):
        if cpd_of(own) is not type(like):
            raise ValueError("a judging network of another cpd")
        source = Source(
            archive, own, partial("judge_{}_{}_{}".format, i, number), shape.grid(), shape.distance,
            number == 0, {},
        )  # fmt: skip
        networks.append(read_cpd(source, n_images))
    return LayeredNetwork(networks, network.transitions, network.geometries, network.scales, network.contrast)
