# SPDX-License-Identifier: BSD-3-Clause
"""Model files of networks and classifiers: how they are written. What they hold is said in modelfile.py, which reads them."""

import os
from collections.abc import Sequence
from dataclasses import astuple, fields
from typing import Any, Protocol

import numpy.typing as npt

from .._params import Parameters
from .._version import __version__
from ..cpd.kinds import kind_of
from ..io.archive import write_archive
from ..io.modelformat import FORMAT, plain
from ..layers.contrast import Contrast
from ..layers.features import Features
from ..layers.files import describe_trained, trained_arrays
from .state import FittedState

VERSION = 6
CONTRAST_VERSION = 11  # of files that say anything of a contrast


class Classes(Protocol):
    """A fitted classifier as far as a file keeps it."""

    @property
    def arguments(self) -> Any: ...
    @property
    def networks(self) -> Sequence[FittedState]: ...
    @property
    def classes(self) -> npt.NDArray[Any]: ...


# Arguments that are not kept: threads belong to the machine, and kernels to start from may be a file of elsewhere.
NOT_KEPT = ("n_jobs", "kernels")


def save_network(fitted: FittedState, path: str | os.PathLike[str]) -> None:
    """Write a fitted network, complete or not at all.

    Raises
    ------
    CbnError
        The file cannot be written; an earlier file of that name is then unchanged.
    """
    header = {"kind": "network", "arguments": as_json(fitted.arguments), "settings": as_json(fitted.settings)}
    _save(path, header, [fitted], [{}])


def save_classifier(fitted: Classes, path: str | os.PathLike[str]) -> None:
    """Write a fitted classifier, complete or not at all. Raises CbnError as :func:`save_network`."""
    settings = as_json(fitted.networks[0].settings)
    header = {"kind": "classifier", "arguments": as_json(fitted.arguments), "settings": settings}
    _save(path, header, fitted.networks, [{"class": label} for label in fitted.classes.tolist()])


def _save(
    path: str | os.PathLike[str],
    header: dict[str, Any],
    networks: Sequence[FittedState],
    labels: Sequence[dict[str, Any]],
) -> None:
    version = max(VERSION, *(own.network.pixels.since for own in networks))
    if "contrast" in header["arguments"] or any(own.network.contrast for own in networks):
        version = CONTRAST_VERSION
    header |= {"format": FORMAT, "version": version, "package": __version__}
    header["networks"] = [{**_describe(network), **label} for network, label in zip(networks, labels)]
    arrays: dict[str, npt.NDArray[Any]] = {}
    stored = set()
    for i, fitted in enumerate(networks):
        layers = fitted.network.networks
        arrays |= {f"{name}_{i}": array for name, array in layers[0].arrays().items()}
        arrays[f"calibration_{i}"] = fitted.calibration.scores
        stored.add(f"calibration_{i}")
        if fitted.network.contrast:
            arrays |= {f"contrast_{i}_{name}": array for name, array in fitted.network.contrast.arrays().items()}
        for number, own in enumerate(fitted.judge.networks if fitted.judge else ()):
            arrays |= {f"judge_{i}_{number}_{name}": array for name, array in own.arrays().items()}
        for number, trained in enumerate(fitted.hidden_layers, start=1):
            prefix = f"hidden_{i}_{number}"
            stored.add(f"{prefix}_curve")
            arrays |= trained_arrays(trained, prefix)
            arrays |= {f"{prefix}_{name}": array for name, array in layers[number].arrays().items()}
    write_archive(path, header, arrays, stored)


def _describe(fitted: FittedState) -> dict[str, Any]:
    hidden = [
        describe_trained(trained) | {"network": own.describe()}
        for trained, own in zip(fitted.hidden_layers, fitted.network.networks[1:])
    ]
    contrast = fitted.network.contrast
    return {
        **fitted.network.pixels.describe(),
        "thresholds": list(fitted.binarization.thresholds),
        "full_scale": fitted.binarization.full_scale,
        "n_images": fitted.n_images,
        "calibration": fitted.calibration.source,
        "binarization": fitted.rule,
        "provenance": fitted.provenance,
        "hidden": hidden,
        "scales": {name: list(scale) for name, scale in fitted.network.scales.items()},
        "heat_map_scale": fitted.measured_heat_map_scale,
        "judge": _describe_judge(fitted),
    } | ({"contrast": contrast.describe()} if contrast else {})


def _describe_judge(fitted: FittedState) -> dict[str, Any] | None:
    if fitted.judge is None:
        return None
    networks = [own.describe() for own in fitted.judge.networks]
    return {"n_images": fitted.judge.pixels.n_images, "networks": networks}


def as_json(arguments: Any) -> dict[str, Any]:
    """Arguments or Settings by name; a parameter object as its fields, that of CPDs with the name of its kind."""
    found: dict[str, Any] = {}
    for own in fields(arguments):
        value = getattr(arguments, own.name)
        if own.name in NOT_KEPT or (own.name == "contrast" and value is None):
            continue
        if isinstance(value, Features):
            checked = value.checked()
            given = checked.get_params() | {"layers": [astuple(layer) for layer in checked.layers]}
            value = {name: plain(v) for name, v in given.items() if name not in NOT_KEPT}
        elif isinstance(value, Contrast):
            value = plain(value.checked())
        elif isinstance(value, Parameters):
            value = {"kind": kind_of(value).name} | plain(value.checked())
        found[own.name] = plain(value) if not isinstance(value, dict) else value
    return found
