# SPDX-License-Identifier: BSD-3-Clause
"""The temperature of Gibbs chains, step by step: constant, strict climbing, or falling geometrically."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Temperatures:
    """At temperature T the chains follow P^(1/T): 1 is the model's own distribution, 0 accepts only what raises P.

    Parameters
    ----------
    first, last : float
        Temperature of step 0 and of step ``n_steps - 1``, geometrically between them, and ``last`` from then on. Both 0
        for strict climbing.
    n_steps : int

    Examples
    --------
    >>> Temperatures(4.0, 1.0, 3).inverse(0, 4).tolist()
    [0.25, 0.5, 1.0, 1.0]
    """

    first: float = 1.0
    last: float = 1.0
    n_steps: int = 1

    @property
    def stationary(self) -> bool:
        """bool: whether the chains have a distribution to settle in, so that their mixing can be judged."""
        return self.first == self.last > 0

    @property
    def plain(self) -> bool:
        """bool: whether the chains follow the model's own distribution."""
        return self.first == self.last == 1

    def inverse(self, step: int, n: int) -> npt.NDArray[np.float64]:
        """(n,) float64: 1 / T of steps step .. step + n - 1, a function of the step alone."""
        if self.first == self.last:
            return np.full(n, 1 / self.last if self.last > 0 else np.inf)
        share = np.minimum((step + np.arange(n)) / max(1, self.n_steps - 1), 1.0)
        return (1 / self.first) * (self.first / self.last) ** share
