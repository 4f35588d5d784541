# SPDX-License-Identifier: BSD-3-Clause
"""Gradient descent on named arrays, in place: Adam, and plain SGD as in the thesis (Algorithm 3).

Where every position has weights of its own beside shared hidden layers, they are W_position = W_common +
delta_position, and both parts learn: the gradient of W_common is the sum over positions. Begun at delta = 0, positions
then share what they have in common from the first step on. Only the sums W are stored; a step of the common part moves
all of them.
"""

import math

import numpy as np

from .arrays import Array, Weights

# Values that are worked on at a time, so that the dozen passes of a step stay in the processor's cache.
CHUNK = 16384


class Optimizer:
    """What the optimizers share: the walk over the parameters.

    Parameters
    ----------
    learning_rate : float
    parameters : dict of str to ndarray
        C-contiguous; changed in place by :meth:`step`.
    terms : dict of str to float
        How many squared errors of one image each value of a parameter takes part in.
    positions : dict of str to int
        Parameters that are own at every position, and the axis of the positions.
    factors : dict of str to float, optional
        What the learning rate of a parameter is multiplied by; 1 where it is not named.

    Attributes
    ----------
    n_steps : int
    state : dict of str to ndarray
        What is remembered between steps beside their number; changed in place.
    """

    moments: tuple[str, ...] = ()

    def __init__(
        self,
        learning_rate: float,
        parameters: Weights,
        terms: dict[str, float],
        positions: dict[str, int],
        factors: dict[str, float] | None = None,
    ) -> None:
        self.learning_rate, self.parameters, self.terms, self.positions = learning_rate, parameters, terms, positions
        self.factors = factors or {}
        self.n_steps = 0
        self.state: Weights = {}
        for name, values in parameters.items():
            for moment in self.moments:
                self.state[f"{name}_{moment}"] = np.zeros_like(values)
                if name in positions:
                    self.state[f"{name}_common_{moment}"] = np.zeros_like(values.take([0], positions[name]))

    def step(self, gradients: Weights, n_images: int) -> None:
        """Move the parameters against the gradients of a sum of squared errors over n_images images."""
        self.n_steps += 1
        for name, values in self.parameters.items():
            values, gradient = self._rows(name, values), self._rows(name, gradients[name])
            state = [self._rows(name, self.state[f"{name}_{moment}"]) for moment in self.moments]
            terms, rate = n_images * self.terms[name], self.learning_rate * self.factors.get(name, 1.0)
            common = None
            if name in self.positions:
                summed = gradient.sum(axis=1, keepdims=True)
                kept = [self.state[f"{name}_common_{moment}"].reshape(summed.shape) for moment in self.moments]
                common = self.change(summed, rate, terms * gradient.shape[1], *kept)
            length = max(1, CHUNK // max(1, values.shape[2]))
            for block in range(len(values)):
                for begin in range(0, values.shape[1], length):
                    index = block, slice(begin, begin + length)
                    values[index] -= self.change(gradient[index], rate, terms, *(moment[index] for moment in state))
                    if common is not None:
                        values[index] -= common[block]

    def _rows(self, name: str, values: Array) -> Array:
        """An array as (blocks, positions, values of a position); all of it one block where no position has its own."""
        if name not in self.positions:
            return values.reshape(1, -1, 1)
        axis = self.positions[name]
        return values.reshape(math.prod(values.shape[:axis]), values.shape[axis], -1)

    def change(self, gradient: Array, rate: float, terms: float, *moments: Array) -> Array:
        """What to subtract at a learning rate, given the gradient of a sum of so many terms; changes moments."""
        raise NotImplementedError


class SGD(Optimizer):
    """Plain gradient descent, every value along the mean over the squared errors that it takes part in.

    The thesis descends along the sum (Algorithm 3), whose steps grow with the number of nodes: at its learning rate of
    0.001 the first levels of a 300 x 300 image diverge within an epoch. Means converge, but slowly: use Adam.
    """

    def change(self, gradient: Array, rate: float, terms: float, *moments: Array) -> Array:
        return gradient * (rate / terms)


class Adam(Optimizer):
    """Adam (Kingma, Ba 2015, algorithm 1) with its published constants; sums and means make no difference to it."""

    moments = ("mean", "square")
    decay_mean, decay_square, epsilon = 0.9, 0.999, 1e-8

    def step(self, gradients: Weights, n_images: int) -> None:
        # a product of t factors has the same bits everywhere; a power goes through the machine's library
        done = self.n_steps + 1
        mean_bias, square_bias = (1 - math.prod([decay] * done) for decay in (self.decay_mean, self.decay_square))
        self._scale = math.sqrt(square_bias) / mean_bias
        self._epsilon = self.epsilon * math.sqrt(square_bias)
        super().step(gradients, n_images)

    def change(self, gradient: Array, rate: float, terms: float, *moments: Array) -> Array:
        mean, square = moments
        out = gradient - mean
        out *= 1 - self.decay_mean
        mean += out
        np.multiply(gradient, gradient, out=out)
        out -= square
        out *= 1 - self.decay_square
        square += out
        np.sqrt(square, out=out)
        out += self._epsilon
        np.divide(mean, out, out=out)
        out *= rate * self._scale
        return out


OPTIMIZERS: dict[str, type[Optimizer]] = {"adam": Adam, "sgd": SGD}
