# SPDX-License-Identifier: BSD-3-Clause
"""The engine's logarithm, bit for bit: where gains are compared, a rounding more or less would choose another split."""

import numpy as np
import numpy.typing as npt

from .arguments import Reals


def log(x: npt.ArrayLike) -> Reals:
    """Natural logarithm of positive normal numbers; the steps are those of cbn_log in src_c/internal.h."""
    m, e = np.frexp(np.asarray(x, float))
    m, e = 2 * m, e - 1
    large = m > 1.4142135623730951
    m, e = np.where(large, 0.5 * m, m), e + large
    f = m - 1.0
    s = f / (m + 1.0)
    z = s * s
    t = 1.0 / 21.0
    for n in range(19, 1, -2):
        t = t * z + 1.0 / n
    tail = 2.0 * s * (t * z) - s * f
    return e * 6.93147180369123816490e-01 + (f + (tail + e * 1.90821492927058770002e-10))
