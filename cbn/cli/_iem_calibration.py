# SPDX-License-Identifier: BSD-3-Clause
"""--calibration of the programs of introspective energy models: good pictures that set the threshold."""

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..exceptions import DataError
from . import _common as common
from ._reading import naming_reader, reading, tell

if TYPE_CHECKING:
    from ..iem.nn.arrays import Shape

OPTION = "--calibration"


def load_calibration(arguments: argparse.Namespace, picture_shape: "Shape") -> npt.NDArray[np.uint8] | None:
    """The pictures of --calibration, in the size and colour of a model; None without it."""
    if arguments.calibration is None:
        return None
    from ..datasets import load_good_and_test

    height, width, channels = picture_shape
    color = "grey" if channels == 1 else "rgb"
    with naming_reader(OPTION):
        try:
            dataset = load_good_and_test(arguments.calibration, None, (height, width), color, **reading(arguments))
        except DataError as error:  # names the argument of that function
            raise DataError(str(error).removeprefix("good: ")) from None
    tell(arguments, dataset.report, OPTION)
    return dataset.train


def calibrated(fitted: Any, pictures: npt.NDArray[np.uint8], path: str) -> Any:
    """The model with its threshold from these pictures, with a warning of too few for its rate."""
    with common.renaming(X=OPTION):
        fitted = fitted.calibrate(pictures)
    return replace(fitted, provenance=fitted.provenance | {"calibrated_with": path})
