# SPDX-License-Identifier: BSD-3-Clause
"""What cbn-iem-train assumes: the line that it prints before it trains."""

import argparse
from typing import TYPE_CHECKING

from ..iem.names import EMBEDDED
from . import _common as common
from ._assumed import of_out, of_threads, unless

if TYPE_CHECKING:
    from ..datasets import InspectionSet
    from ..iem.parameters import Arguments


def tell_of_training(arguments: argparse.Namespace, chosen: "Arguments", dataset: "InspectionSet") -> None:
    """Says what was assumed of the first model of a job, which holds for all."""
    given, gaussian = arguments.given, chosen.sidewards == "gaussian"
    height, width, channels = *dataset.image_shape, dataset.channels
    kind = "Gaussian models because no option of neural ones is given" if gaussian else "neural models by their options"
    kernels = f"features of {EMBEDDED}" if gaussian else "kernels that are learned"
    rate = unless("false-alarm-rate" in given, f"false-alarm rate {arguments.false_alarm_rate:g} (--false-alarm-rate)")
    own = "the training pictures set the threshold (--calibration)"
    if arguments.calibration is None:
        rate = own if rate is None else f"{rate}, for which {own}"
    common.assume(
        arguments,
        unless("sidewards" in given, f"{kind} (--sidewards)"),
        unless("backbone" in given, f"{kernels} (--backbone)"),
        unless("size" in given, f"{height} x {width} pixels (--size)"),
        unless("color" in given, f"{'grey' if channels == 1 else 'RGB'} (--color)"),
        rate,
        "no test pictures to judge by" if dataset.test is None else f"judged on {len(dataset.test):,} test pictures",
        of_out(arguments, arguments.categories is not None),
        of_threads(arguments),
    )
    common.tell_assumed(arguments)
