# SPDX-License-Identifier: BSD-3-Clause
"""cbn: Bayesian networks for images. Train, score, explain, fill in and sample."""

import importlib
from typing import Any

from ._version import __version__
from ._waiting import load_engine
from .exceptions import CalibrationWarning, CbnError, DataError, MixingWarning, ModelFileError

__all__ = [
    "Boosted",
    "CalibrationWarning",
    "CbnError",
    "Contrast",
    "ConvolutionalBayesianNetwork",
    "ConvolutionalBayesianNetworkClassifier",
    "DataError",
    "Features",
    "IntrospectiveEnergyModel",
    "MixingWarning",
    "ModelFileError",
    "Table",
    "Tied",
    "Tree",
    "__version__",
    "datasets",
    "iem",
    "load",
    "show_versions",
]

load_engine()  # before any other module does

# Loaded on first use: the estimators inherit from scikit-learn, whose import costs most of a second.
_LAZY = {
    "ConvolutionalBayesianNetwork": "estimators.network",
    "ConvolutionalBayesianNetworkClassifier": "estimators.classifier",
    "IntrospectiveEnergyModel": "estimators.iem",
    "Boosted": "cpd.boosted",
    "Contrast": "layers.contrast",
    "Features": "layers.features",
    "Table": "cpd.table",
    "Tied": "cpd.forest",
    "Tree": "cpd.tree",
    "load": "loading",
    "show_versions": "_environment",
}


def __getattr__(name: str) -> Any:
    if name in ("datasets", "iem"):
        return importlib.import_module(f".{name}", __name__)
    if name not in _LAZY:
        raise AttributeError(f"module 'cbn' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
