# SPDX-License-Identifier: BSD-3-Clause
"""Names of types that all parts of a model share."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Shape = tuple[int, int, int]  # (height, width, channels)
Weights = dict[str, Array]  # of one step, or of the sidewards models, by name
