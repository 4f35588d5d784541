# SPDX-License-Identifier: BSD-3-Clause
"""The introspective energy model: every region of an image is predicted from its surroundings by small networks."""

import importlib

from .nn.architecture import TABLE_4, Architecture, Level
from .nn.steps import Conv, Fire, LocalResponseNorm, Pool, Relu

__all__ = [
    "TABLE_4",
    "Architecture",
    "Conv",
    "Fire",
    "IntrospectiveEnergyModel",
    "Level",
    "LocalResponseNorm",
    "Pool",
    "Relu",
]


def __getattr__(name):
    if name == "IntrospectiveEnergyModel":  # the estimator lives above this folder: the package knows where
        return getattr(importlib.import_module("cbn"), name)
    raise AttributeError(f"module 'cbn.iem' has no attribute {name!r}")
