# SPDX-License-Identifier: BSD-3-Clause
"""Types of arrays, and of what a case gives to the JSON."""

from typing import Any

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]  # (n, height, width)
States = npt.NDArray[np.uint8]  # (n, nodes) of 0 and 1
Planes = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]
Reals = npt.NDArray[np.float64]
Rounded = npt.NDArray[np.int16]  # features, in units of their own
Singles = npt.NDArray[np.float32]
Bits = npt.NDArray[np.bool_]

Facts = dict[str, Any]  # what JSON can hold
Times = dict[int, float]  # seconds by round
