# SPDX-License-Identifier: BSD-3-Clause
"""The parameter object of Gaussian sidewards models."""

from collections.abc import Sequence
from typing import Any, Self

from ... import _validation as validation
from ..._engine import MAX_DIRECTIONS
from ..._params import Checked, Flag, Parameters, Real, Whole, numbers_from, parameter, parameters
from ..names import N_BLOCKS, WANTED

# Defaults with and without a pretrained network.
DIRECTIONS = {True: 160, False: 256}
STRENGTH = {True: 20.0, False: 5.0}
REACH = {True: 0, False: 1}
# What model files before version 12 were fitted with where they name nothing else.
BEFORE = {"smooth": 0, "reach": 1, "relative": 0}
# And those before version 13.
SHARPEN_BEFORE = 0.0
DIRECTIONS_BEFORE = {True: 128, False: 256}


def _optional(rule: Whole | Real, metavar: str) -> Checked:
    """A rule that also allows None."""

    def check(value: Any, name: str) -> Any:
        return None if value is None else rule.check(value, name)

    return Checked(check, f"{rule}, or None", parse=rule.kind, metavar=metavar)


def _check_blocks(value: Any, name: str) -> tuple[int, ...] | None:
    if value is None:
        return None
    if isinstance(value, str) or not hasattr(value, "__len__"):
        value = (value,)
    if not len(value):
        raise ValueError(f"{name}: {value!r:.80}; give numbers of blocks such as {WANTED}")
    blocks = tuple(validation.check_integer(own, name, 0, N_BLOCKS - 1) for own in value)
    if list(blocks) != sorted(set(blocks)):
        raise ValueError(f"{name}: {blocks!r:.80}; give each block once, in increasing order")
    return blocks


@parameters
class Gaussian(Parameters):
    """How Gaussian models of positions are made of features, and how energies are read off them.

    The defaults are those of a study on other sets of pictures; see docs/INSPECTION.md. Raises nothing when it is made;
    ``fit`` checks it.
    """

    smooth: int = parameter(
        default=1,
        rule=Whole(0, 1),
        help="1: features are averaged with those of the positions beside them, weights 1, 2, 1 in both directions; 0: they "
        "are not.",
    )
    directions: int | None = parameter(
        default=None,
        rule=_optional(Whole(1, MAX_DIRECTIONS), "N"),
        help="Whitened directions of the features that are kept, those of the largest variance first; by default "
        f"{DIRECTIONS[True]}, or {DIRECTIONS[False]} without a pretrained network.",
    )
    strength: float | None = parameter(
        default=None,
        rule=_optional(Real(0, 1e9), "X"),
        help="So many pictures' worth of the covariance that all positions share goes into the one of each position; "
        f"by default {STRENGTH[True]:g}, or {STRENGTH[False]:g} without a pretrained network.",
    )
    ridge: float = parameter(
        default=0.01, rule=Real(1e-6, 1e6), help="Added to every variance, in units of a whitened feature's."
    )
    reach: int | None = parameter(
        default=None,
        rule=_optional(Whole(0, 1), "N"),
        help="1: a position's energy is the least over the Gaussians of the 3 x 3 positions around it; 0: its own. By "
        f"default {REACH[True]}, or {REACH[False]} without a pretrained network.",
    )
    relative: int = parameter(
        default=1,
        rule=Whole(0, 1),
        help="1: the energy of a picture is taken from energies in units of what is usual at their position, from 20 "
        "pictures on; 0: from energies as they are.",
    )
    top: float = parameter(
        default=0.01,
        rule=Real(1e-6, 1),
        help="Share of the positions whose mean energy, the largest ones', is the energy of the picture.",
    )
    sharpen: float = parameter(
        default=2.0,
        rule=Real(0, 10),
        help="So many times what smoothing takes away is added to maps, as averaged features blur them; 0: they are as they "
        "are.",
    )
    keep_sums: bool = parameter(
        default=False,
        rule=Flag(),
        help="Keep sums of the features at every position, which make models large: they can then be fitted further with "
        "more pictures, and merged.",
    )
    blocks: Sequence[int] | None = parameter(
        default=None,
        rule=Checked(
            _check_blocks,
            "int, sequence of int, or None",
            parse=numbers_from(int, "numbers of blocks"),
            metavar="N[,N...]",
        ),
        help="Blocks of the pretrained network whose outputs are features; those from 11 to 15 need a file with the weights of "
        f"all; by default {','.join(map(str, WANTED))}.",
    )

    def resolved(self, pretrained: bool) -> Self:
        """A checked copy with a number in place of every None. Raises ValueError."""
        own = self.checked()
        own.directions = DIRECTIONS[pretrained] if own.directions is None else own.directions
        if pretrained:
            own.blocks = WANTED if own.blocks is None else own.blocks
        elif own.blocks is not None:
            raise ValueError(f"blocks: {own.blocks}; without a pretrained network there are none; leave it out")
        own.strength = STRENGTH[pretrained] if own.strength is None else own.strength
        own.reach = REACH[pretrained] if own.reach is None else own.reach
        return own
