# SPDX-License-Identifier: BSD-3-Clause
"""Presets: recipes of whole objects. An object that is given replaces the preset's."""

from dataclasses import dataclass

from .._params import Parameters
from ..cpd.boosted import Boosted
from ..cpd.forest import Tied
from ..cpd.table import Table
from ..cpd.tree import Tree
from ..layers.contrast import Contrast
from ..layers.features import Features

# Networks that are grown without a part of the images to calibrate the threshold, where a preset says nothing else.
FOLDS = 3


@dataclass(frozen=True)
class Preset:
    """What arguments become that are left out.

    With a contrast the score is "contrast", without it ``score``.
    """

    cpd: Parameters
    features: Features
    threshold: float | str = 0.3
    score: str = "surprise"
    folds: int = FOLDS
    contrast: Contrast | None = None


PRESETS = {
    # thesis section 3.1: parents north-west, north, north-east and west, own table at every pixel
    "pixel": Preset(Table(), Features(), score="log_probability"),
    # thesis section 3.2: two transitions of five 3 x 3 kernels with 2 x 2 pooling above the same pixels
    "hidden": Preset(Table(), Features(layers=((5, 3, 2), (5, 3, 2)))),
    # pixels alone, each with a decision tree over earlier pixels
    "tree": Preset(Tree(penalty=0.4, shrinkage=35.0), Features()),
    # pixels alone, the log-odds of each a sum of small trees over all earlier pixels in reach
    "boosted": Preset(Boosted(), Features(), folds=2),
    # pixels alone, all of which share one sum of trees over features of earlier pixels: a convolution
    "tied": Preset(Tied(), Features(), folds=2),
    # trees over pixels and two layers of random features, and the contrast of tied trees with a background
    "best": Preset(
        Tree(penalty=1.0, max_leaves=32, shrinkage=1.0),
        Features(layers=((32, 2, 2), (24, 3, 2)), iterations=0, activation=(0.5, 0.9)),
        threshold="auto",
        score="standardized",
        folds=2,
        contrast=Contrast(),
    ),
}
