# SPDX-License-Identifier: BSD-3-Clause
"""The introspective energy model: every region of an image is predicted from its surroundings by small networks."""

from .architecture import TABLE_4, Architecture, Level
from .model import IntrospectiveEnergyModel
from .steps import Conv, Fire, LocalResponseNorm, Pool, Relu

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
