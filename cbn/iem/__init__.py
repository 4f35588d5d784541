# SPDX-License-Identifier: BSD-3-Clause
"""The introspective energy model: every region of an image is predicted from its surroundings by small networks."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .fitted import FittedEnergyModel
    from .gaussian.fitted import FittedGaussianModel
    from .gaussian.parameters import Gaussian
    from .nn.architecture import TABLE_4, Architecture, Level
    from .nn.steps import Conv, Fire, LocalResponseNorm, Pool, Relu
    from .parameters import Training

# Loaded on first use, so that programs that only read their command line do not wait for what they do not need.
_LAZY = {
    "TABLE_4": "nn.architecture",
    "Architecture": "nn.architecture",
    "Level": "nn.architecture",
    "Conv": "nn.steps",
    "Fire": "nn.steps",
    "LocalResponseNorm": "nn.steps",
    "Pool": "nn.steps",
    "Relu": "nn.steps",
    "FittedEnergyModel": "fitted",
    "FittedGaussianModel": "gaussian.fitted",
    "Gaussian": "gaussian.parameters",
    "Training": "parameters",
}

__all__ = [
    "TABLE_4",
    "Architecture",
    "Conv",
    "Fire",
    "FittedEnergyModel",
    "FittedGaussianModel",
    "Gaussian",
    "Level",
    "LocalResponseNorm",
    "Pool",
    "Relu",
    "Training",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'cbn.iem' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
