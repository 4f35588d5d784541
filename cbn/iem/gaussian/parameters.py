# SPDX-License-Identifier: BSD-3-Clause
"""The parameter object of Gaussian sidewards models."""

from ..._engine import MAX_DIRECTIONS
from ..._params import Parameters, Real, Whole, parameter, parameters


@parameters
class Gaussian(Parameters):
    """How Gaussian models of positions are made of features, and how energies are read off them.

    The defaults are those of a study on other sets of pictures; see docs/INSPECTION.md. Raises nothing when it is made;
    ``fit`` checks it.
    """

    directions: int = parameter(
        default=128,
        rule=Whole(1, MAX_DIRECTIONS),
        help="Whitened directions of the features that are kept, those of the largest variance first.",
    )
    strength: float = parameter(
        default=20.0,
        rule=Real(0, 1e9),
        help="So many pictures' worth of the covariance that all positions share goes into the one of each position.",
    )
    ridge: float = parameter(
        default=0.01, rule=Real(1e-6, 1e6), help="Added to every variance, in units of a whitened feature's."
    )
    reach: int = parameter(
        default=1,
        rule=Whole(0, 1),
        help="1: a position's energy is the least over the Gaussians of the 3 x 3 positions around it; 0: its own.",
    )
    top: float = parameter(
        default=0.01,
        rule=Real(1e-6, 1),
        help="Share of the positions whose mean energy, the largest ones', is the energy of the picture.",
    )
