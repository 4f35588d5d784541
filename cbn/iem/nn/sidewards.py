# SPDX-License-Identifier: BSD-3-Clause
"""The sidewards models of a level: small networks that predict every node from the nodes around it (thesis eq. 10).

What they share with each other is one of six designs (Figure 15):

=======  ===================================  =================================  ===================================
sharing  hidden layers                        last layer                         further inputs
=======  ===================================  =================================  ===================================
a        shared by all nodes                  shared by the nodes of a kernel
b        shared by all nodes                  own at every node
c        shared by the nodes of a kernel      own at every node
d        own at every node                    own at every node
e        shared by all nodes                  shared by the nodes of a kernel    row and column, both in [0, 1]
f        shared by all nodes                  shared by all nodes                row, column, and the kernel (one-hot)
=======  ===================================  =================================  ===================================

The engine evaluates one set of hidden layers with a last layer per position and kernel. Designs with several sets, and
f, whose input differs from kernel to kernel, call it once for each: c and f once a kernel, d once a node (so d is for
small images).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ... import _engine
from .architecture import ring
from .arrays import Array, Shape, Weights
from .layers import input_gradient

WHOLE = slice(None)


@dataclass(frozen=True)
class _Call:
    """One call of the engine: which set of models, for which nodes."""

    model: int
    kernel: int | None = None  # a single kernel
    position: tuple[int, int] | None = None  # (row, column) of a single position

    @property
    def whole(self) -> bool:
        """Whether it is for all nodes of the level."""
        return self.kernel is None and self.position is None

    @property
    def nodes(self) -> tuple[slice, ...]:
        """Index of the nodes among (n, height, width, kernels)."""
        rows, columns = (WHOLE, WHOLE) if self.position is None else (slice(i, i + 1) for i in self.position)
        return WHOLE, rows, columns, WHOLE if self.kernel is None else slice(self.kernel, self.kernel + 1)


# Taps, further inputs, units, and the weights: first layer, those of further inputs, other hidden layers, last layer.
_Models = tuple[npt.NDArray[np.int32], Array, npt.NDArray[np.int32], tuple[Array, Array, Array, Array]]


class SidewardsModels:
    """The sidewards models of all nodes of a level.

    Parameters
    ----------
    shape : (height, width, kernels)
        Of the level.
    distance : int
        Neighbours of a position are those at max(|dy|, |dx|) = distance.
    hidden : sequence of int
        Units of the hidden layers.
    sharing : {"a", "b", "c", "d", "e", "f"}
    parameters : dict of str to ndarray, optional
        With the names and shapes of :meth:`shapes`; zeros by default.
    dtype : dtype
        Of the parameters; the engine knows float32.

    Attributes
    ----------
    parameters : dict of str to ndarray
        ``first``: for every set of models the weights (taps, kernels + 1, U_1) of the neighbours' activations and of
        the flag that says whether the neighbour exists. ``first_extra``: weights of the further inputs; the last row is
        the bias. ``hidden``: the other hidden layers, flat. ``last``: (positions, kernels, U_m + 1), the last weight is
        the bias; for shared weights positions or kernels are 1.
    """

    def __init__(
        self,
        shape: Shape,
        distance: int,
        hidden: Sequence[int],
        sharing: str,
        parameters: Weights | None = None,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        self.shape, self.distance, self.hidden, self.sharing = shape, distance, tuple(hidden), sharing
        self.taps = ring(distance)
        self.units = np.array(self.hidden, np.int32)
        shapes = self.shapes()
        if parameters is None:
            parameters = {name: np.zeros(size, dtype) for name, size in shapes.items()}
        self.parameters = parameters
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.extra = self._coordinates() if sharing in "ef" else np.zeros((*self._span, 0), self.dtype)

    # ---- shapes ----

    @property
    def _span(self) -> tuple[int, ...]:
        """Height and width of what one call predicts."""
        return (1, 1) if self.sharing == "d" else self.shape[:2]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name to shape of every parameter."""
        height, width, kernels = self.shape
        sets = {"c": kernels, "d": height * width * kernels}.get(self.sharing, 1)
        positions = height * width if self.sharing in "bc" else 1
        outputs = 1 if self.sharing in "cdf" else kernels
        extra = {"e": 2, "f": 2 + kernels}.get(self.sharing, 0)
        further = sum((below + 1) * above for below, above in zip(self.hidden, self.hidden[1:]))
        return {
            "first": (sets, len(self.taps), kernels + 1, self.hidden[0]),
            "first_extra": (sets, extra + 1, self.hidden[0]),
            "hidden": (sets, further),
            "last": (sets, positions, outputs, self.hidden[-1] + 1),
        }

    @property
    def own_axes(self) -> dict[str, int]:
        """Name to axis of the parameters that every position has of its own beside shared hidden layers."""
        return {"last": 1} if self.sharing in "bc" else {}

    def terms(self) -> dict[str, float]:
        """Name to the number of nodes of one image that every value of a parameter takes part in."""
        nodes = math.prod(self.shape)
        sets, positions, outputs, _ = self.shapes()["last"]
        return {name: nodes / sets / (positions * outputs if name == "last" else 1) for name in self.parameters}

    def _coordinates(self) -> Array:
        """(height, width, 2): row and column, 0 at the first and 1 at the last."""
        height, width = self.shape[:2]
        grid = np.empty((height, width, 2), self.dtype)
        grid[..., 0] = (np.arange(height) / max(height - 1, 1))[:, None]
        grid[..., 1] = np.arange(width) / max(width - 1, 1)
        return grid

    # ---- start ----

    def draw(self, rng: np.random.Generator) -> Self:
        """Draws all weights for training: uniform, of variance 2 / inputs before a ReLU (He et al. 2015) and 1 / inputs
        in the last layer; biases are 0. Positions that have last layers of their own all begin with the same one.

        Uniform numbers are exact on every machine; normal ones would go through its logarithm.
        """
        p, (_, taps, channels, _) = self.parameters, self.parameters["first"].shape
        n_extra = p["first_extra"].shape[1] - 1
        self._fill(p["first"], rng, 6 / (taps * channels))
        if n_extra:
            self._fill(p["first_extra"][:, :n_extra], rng, 6 / (taps * channels))
        p["first_extra"][:, n_extra] = 0
        begin = 0
        for below, above in zip(self.hidden, self.hidden[1:]):
            self._fill(p["hidden"][:, begin : begin + below * above], rng, 6 / below)
            p["hidden"][:, begin + below * above : begin + (below + 1) * above] = 0
            begin += (below + 1) * above
        last = np.empty((p["last"].shape[0], 1, *p["last"].shape[2:]), self.dtype)
        self._fill(last[..., :-1], rng, 3 / self.hidden[-1])
        last[..., -1] = 0
        p["last"][...] = last
        return self

    def _fill(self, weights: Array, rng: np.random.Generator, square: float) -> None:
        weights[...] = (2 * rng.random(weights.shape) - 1) * math.sqrt(square)

    # ---- the passes ----

    def empty_input(self, n: int) -> Array:
        """Input of the models for n images: (n, height + 2 distance, width + 2 distance, kernels + 1).

        The flags are set; :meth:`inside` is where the activations belong.
        """
        height, width, kernels = self.shape
        x = np.zeros((n, height + 2 * self.distance, width + 2 * self.distance, kernels + 1), self.dtype)
        d = self.distance
        x[:, d : d + height, d : d + width, kernels] = 1
        return x

    def inside(self, x: Array) -> Array:
        """The part of an input that holds the activations, (n, height, width, kernels)."""
        d, (height, width, kernels) = self.distance, self.shape
        return x[:, d : d + height, d : d + width, :kernels]

    def _calls(self) -> Iterable[_Call]:
        height, width, kernels = self.shape
        if self.sharing in "cf":
            return [_Call(k if self.sharing == "c" else 0, k) for k in range(kernels)]
        if self.sharing == "d":
            nodes = ((y, x, k) for y in range(height) for x in range(width) for k in range(kernels))
            return (_Call(index, k, (y, x)) for index, (y, x, k) in enumerate(nodes))
        return [_Call(0)]

    def _seen(self, x: Array, call: _Call) -> Array:
        """The part of an input that a call reads."""
        if call.position is None:
            return x
        (row, column), side = call.position, 2 * self.distance + 1
        return np.ascontiguousarray(x[:, row : row + side, column : column + side])

    def _first_extra(self, call: _Call) -> Array:
        """Weights of the further inputs of a call; in f the kernel's row joins the bias."""
        own = self.parameters["first_extra"][call.model]
        if call.kernel is None or self.sharing != "f":
            return own
        return np.concatenate([own[:2], own[-1:] + own[2 + call.kernel]])

    def _models(self, call: _Call) -> _Models:
        """Arguments of the engine's functions between the input and the outputs."""
        p, model = self.parameters, call.model
        weights = p["first"][model], self._first_extra(call), p["hidden"][model], p["last"][model]
        return self.taps, self.extra, self.units, weights

    def predict(self, x: Array, out: Array, num_threads: int = 1) -> None:
        """Predicted activations.

        Parameters
        ----------
        x : ndarray, (n, height + 2 distance, width + 2 distance, kernels + 1)
            As :meth:`empty_input` makes it.
        out : ndarray, (n, height, width, kernels)
            Filled.
        """
        for call in self._calls():
            part = out if call.whole else np.empty(out[call.nodes].shape, out.dtype)
            _engine.sidewards_predict(self._seen(x, call), *self._models(call), part, num_threads)
            if part is not out:
                out[call.nodes] = part

    def gradient(
        self,
        x: Array,
        target: Array,
        error: Array,
        gradients: Weights,
        d_activations: Array | None = None,
        num_threads: int = 1,
    ) -> None:
        """Errors (eq. 11), and gradients of the sum of their squares (eq. 12), the target held constant (eq. 13).

        Parameters
        ----------
        x : ndarray
            As in :meth:`predict`.
        target : ndarray, (n, height, width, kernels)
            The activations to be predicted.
        error : ndarray, (n, height, width, kernels)
            Prediction minus target. Filled.
        gradients : dict of str to ndarray
            Shaped like the parameters. Filled.
        d_activations : ndarray, (n, height, width, kernels), optional
            Gradient with respect to the activations as inputs. Filled.
        """
        if self.sharing == "f":  # its calls add up, those of the others fill parts of their own
            for values in gradients.values():
                values[...] = 0
        if d_activations is None:
            for call in self._calls():
                self._call_gradient(call, x, target, error, gradients, None, num_threads)
            return
        d_activations[...] = 0
        d_padded = np.zeros((*x.shape[:3], self.shape[2]), x.dtype) if self.sharing == "d" else None
        sums = None  # of f: all its calls have the same first layer
        for call in self._calls():
            height, width = target[call.nodes].shape[1:3]
            d_sums = np.empty((len(x), height, width, self.hidden[0]), x.dtype)
            self._call_gradient(call, x, target, error, gradients, d_sums, num_threads)
            first = self.parameters["first"][call.model][:, :-1]
            if d_padded is not None and call.position is not None:
                row, column = call.position
                d_seen = np.sum(d_sums * first, axis=-1)  # (n, taps, kernels)
                d_padded[:, row + self.taps[:, 0], column + self.taps[:, 1]] += d_seen
            elif self.sharing == "f":
                sums = d_sums if sums is None else sums + d_sums
            else:
                d_activations += self._to_activations(d_sums, first, num_threads)
        if d_padded is not None:
            d = self.distance
            d_activations += d_padded[:, d : d + self.shape[0], d : d + self.shape[1]]
        elif sums is not None:
            d_activations += self._to_activations(sums, self.parameters["first"][0][:, :-1], num_threads)

    def _to_activations(self, d_sums: Array, first: Array, num_threads: int) -> Array:
        return input_gradient(d_sums, self.taps, first, self.shape[:2], 1, self.distance, num_threads)

    def _call_gradient(
        self,
        call: _Call,
        x: Array,
        target: Array,
        error: Array,
        gradients: Weights,
        d_sums: Array | None,
        num_threads: int,
    ) -> None:
        """Adds one call's part to the gradients; fills its errors and, if wanted, the gradient of the first sums."""
        own_target = target if call.whole else np.ascontiguousarray(target[call.nodes])
        own_error = error if call.whole else np.empty(own_target.shape, error.dtype)
        own = {name: values[call.model] for name, values in gradients.items()}
        if call.kernel is not None and self.sharing == "f":
            own = {name: np.empty_like(values) for name, values in own.items()}
            own["first_extra"] = np.empty((3, self.hidden[0]), x.dtype)
        _engine.sidewards_gradient(
            self._seen(x, call), *self._models(call), own_target,
            (own["first"], own["first_extra"], own["hidden"], own["last"], own_error, d_sums), num_threads,
        )  # fmt: skip
        if not call.whole:
            error[call.nodes] = own_error
        if call.kernel is not None and self.sharing == "f":
            for name in ("first", "hidden", "last"):
                gradients[name][0] += own[name]
            extra, bias = gradients["first_extra"][0], own["first_extra"][2]
            extra[:2] += own["first_extra"][:2]
            extra[2 + call.kernel] += bias
            extra[-1] += bias
