# SPDX-License-Identifier: BSD-3-Clause
"""Hidden layers: the whole training of one digit, and the steps that it is made of."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
import numpy_layers
from arrays import Counts, Facts, Images, Planes, Reals, States
from context import DIGIT, Context
from engines import SIDE, estimator, generic, reference
from measure import Engine, goal, interleave, ratio_of, rows

import cbn
from cbn import _engine
from cbn.bits.planes import BitPlanes
from cbn.cpd.grid import Layer
from cbn.fit.presets import PRESETS
from cbn.layers.features import check_layers
from cbn.layers.geometry import LayerGeometry, geometry
from cbn.layers.kernels import Kernels
from cbn.layers.relations import search_relations
from cbn.layers.training import SHARPNESS

Gradient = tuple[Reals, Reals]  # by weights and by biases

MAX_PARENTS = 6  # the estimator's default
ITERATIONS = 10  # of the training that makes the kernels of single steps
TWIN_IMAGES = 256  # on which the gradient is compared with the twin's
DIFFERENCE_IMAGES = 64  # on which it is compared with finite differences


def hidden_geometries() -> tuple[LayerGeometry, ...]:
    return geometry(SIDE, SIDE, 1, check_layers(PRESETS["hidden"].features.layers))


class Step:
    """What one training step of a hidden layer works on, and the calls that it consists of.

    Parameters
    ----------
    number : int
        1 is the first hidden layer.
    kernels : cbn.layers.kernels.Kernels
    planes : ndarray, (nodes below, words) uint64
    n_images, threads : int
    """

    def __init__(self, number: int, kernels: Kernels, planes: Planes, n_images: int, threads: int) -> None:
        geometries = hidden_geometries()
        # the number of kernels need not be the preset's
        self.geometry = replace(geometries[number], channels=len(kernels.bias))
        self.transition = kernels.transition(geometries[number - 1])
        self.engine_transition = _engine.Transition(self.transition)
        self.below, self.n_images, self.threads = planes, n_images, threads
        self.above = np.empty((self.engine_transition.n_nodes_out, planes.shape[1]), np.uint64)
        self.forward(threads)

    @cached_property
    def layer(self) -> Layer:
        return self.search(self.threads)[0]

    @cached_property
    def engine_layer(self) -> _engine.Layer:
        return _engine.Layer(self.layer)

    @cached_property
    def counts(self) -> Counts:
        return self.count(self.n_images)

    def count(self, n_images: int) -> Counts:
        """Of the first images, a multiple of 64 or all."""
        counts = np.empty((self.layer.n_rows, 2), np.int64)
        _engine.count(self.engine_layer, self.words(self.above, n_images), n_images, counts, self.threads)
        return counts

    @staticmethod
    def words(planes: Planes, n_images: int) -> Planes:
        return np.ascontiguousarray(planes[:, : _engine.plane_words(n_images)])

    def states(self, planes: Planes) -> States:
        states = np.empty((self.n_images, len(planes)), np.uint8)
        _engine.unpack_planes(planes, states, self.threads)
        return states

    def forward(self, threads: int) -> None:
        _engine.transition_forward(self.engine_transition, self.below, self.n_images, self.above, threads)

    def search(self, threads: int) -> tuple[Layer, Any]:
        return search_relations(self.geometry, BitPlanes(self.above, self.n_images), MAX_PARENTS, num_threads=threads)

    def gradient(self, threads: int) -> Gradient:
        weights, bias = np.empty(self.transition.weights.shape), np.empty(len(self.transition.bias))
        _engine.kernel_gradient(
            self.engine_transition, (self.engine_layer, self.counts, 1.0, SHARPNESS), self.below, self.above,
            self.n_images, (weights, bias), threads,
        )  # fmt: skip
        return weights, bias

    def gradient_of(self, module: ModuleType, n_images: int) -> Gradient:
        """The gradient of the first images alone (a multiple of 64), by the engine or by its twin."""
        transition, layer = self.engine_transition, self.engine_layer
        if module is reference:
            transition, layer = self.transition, self.layer
        weights, bias = np.empty(self.transition.weights.shape), np.empty(len(self.transition.bias))
        module.kernel_gradient(
            transition, (layer, self.count(n_images), 1.0, SHARPNESS), self.words(self.below, n_images),
            self.words(self.above, n_images), n_images, (weights, bias), 1,
        )  # fmt: skip
        return weights, bias


def steps_of(images: Images, threads: int) -> list[Step]:
    """The Step of both hidden layers, with kernels after a few iterations."""
    model = estimator(threads, preset="hidden", iterations=ITERATIONS).fit(images)
    planes, steps = model.binarizer_.planes(images, threads).words, []
    for number, trained in enumerate(model.hidden_layers_, start=1):
        steps.append(Step(number, trained.kernels, planes, len(images), threads))
        planes = steps[-1].above
    return steps


def _table(per_layer: list[list[Engine]], rounds: int) -> list[Facts]:
    """One table of two layers; the ratios are to cbn's row of the same layer."""
    seconds = interleave([engine for engines in per_layer for engine in engines], rounds)
    return [row for engines in per_layer for row in rows(engines, seconds, engines[0].name)]


def train(context: Context) -> Facts:
    images, threads = context.digit(), context.threads

    def gains(model: "cbn.ConvolutionalBayesianNetwork") -> Facts:
        return {
            f"gain of layer {number}, nats per image": layer.curve[layer.best].gain
            for number, layer in enumerate(model.hidden_layers_, start=1)
        }

    def fit_with(n: int) -> "cbn.ConvolutionalBayesianNetwork":
        return estimator(n, preset="hidden").fit(images)

    model = fit_with(threads)
    slow = 1 if context.quick else 3
    engines = [
        Engine("cbn", lambda: fit_with(threads), max_rounds=slow, accuracy=gains(model)),
        Engine("cbn, 1 thread", lambda: fit_with(1), max_rounds=1, accuracy=gains(fit_with(1))),
    ]
    table = rows(engines, interleave(engines, context.rounds), "cbn")
    seconds = table[0]["median"]
    return {
        "title": f"Training with two hidden layers: {len(images):,} images of digit {DIGIT}",
        "about": "The whole `fit` with the preset `hidden`: 5 + 5 kernels, 50 iterations of structure search and "
        "kernel step for each layer. The gain is the objective (thesis eq. 8) of the best iteration.",
        "rows": table,
        "goals": [
            goal("at most 20 s", f"{seconds:.1f} s", seconds <= 20),
            goal("at most 5 s", f"{seconds:.1f} s", seconds <= 5, stretch=True),
        ],
    }


def search(context: Context) -> Facts:
    images, threads = context.digit(), context.threads
    step = steps_of(images, threads)[0]
    states = step.states(step.above)
    found, change = numpy_layers.search(step.geometry, states, MAX_PARENTS)

    def accuracy(result: tuple[Any, Any]) -> Facts:
        layer, steps = result
        return {
            "relations": len(layer.relations),
            "relations that NumPy has not found": len(set(layer.relations) - set(found)),
            "BIC change": sum(s.bic_change for s in steps),
        }

    engines = [
        Engine("cbn", lambda: step.search(threads), accuracy=accuracy(step.search(threads))),
        Engine("cbn, 1 thread", lambda: step.search(1), accuracy=accuracy(step.search(1))),
        Engine(
            "cbn generic",
            generic(lambda: step.search(threads)),
            accuracy=accuracy(generic(lambda: step.search(threads))()),
        ),
        Engine(
            "numpy",
            lambda: numpy_layers.search(step.geometry, states, MAX_PARENTS),
            max_rounds=1,
            accuracy={"relations": len(found), "BIC change": change},
        ),
    ]
    table = rows(engines, interleave(engines, context.rounds), "cbn")
    seconds, ratio = table[0]["median"], ratio_of(table, "numpy")
    same = set(step.layer.relations) == set(found)
    return {
        "title": f"Structure search of hidden layer 1: {len(images):,} images of digit {DIGIT}",
        "about": "Greedy search by BIC among 100 tied relations, at most 6 parents. NumPy (64-bit indices, one "
        "bincount per candidate, one thread) searches the same states by the same rule.",
        "rows": table,
        "goals": [
            goal("at most 0.3 s", f"{seconds:.3f} s ({ratio:.0f} times faster than NumPy)", seconds <= 0.3),
            goal("the relations that NumPy finds", "the same" if same else "others", same),
        ],
    }


def _largest_difference(found: Gradient, expected: Gradient) -> float:
    """Relative to the largest component of the gradient."""
    found, expected = (np.concatenate([part.ravel() for part in parts]) for parts in (found, expected))
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def _by_differences(step: Step, n_images: int) -> Gradient:
    """The gradient of the relaxed objective by central differences: all weights of the first kernel, all biases."""
    t, first = step.transition, step.words
    objective = reference.objective_near(
        t, step.layer, first(step.below, n_images), first(step.above, n_images), n_images, 1.0, SHARPNESS
    )
    start = t.weights / numpy_layers.WEIGHT_ONE, t.bias / numpy_layers.WEIGHT_ONE
    places = [(0, *place) for place in np.ndindex(t.weights.shape[1:])]
    weights = np.array([reference.central_difference(objective, *start, place) for place in places])
    bias = np.array([reference.central_difference(objective, *start, (k,)) for k in range(t.out_channels)])
    return weights.reshape(t.weights[:1].shape), bias


def gradient(context: Context) -> Facts:
    images, threads = context.digit(), context.threads
    per_layer, from_differences = [], []
    for number, step in enumerate(steps_of(images, threads), start=1):
        below, above = step.states(step.below), step.states(step.above)
        expected = numpy_layers.kernel_gradient(step.transition, step.layer, below, above, step.counts)
        weights, bias = step.gradient_of(_engine, DIFFERENCE_IMAGES)
        from_differences.append(_largest_difference((weights[:1], bias), _by_differences(step, DIFFERENCE_IMAGES)))
        from_twin = _largest_difference(
            step.gradient_of(_engine, TWIN_IMAGES), step.gradient_of(reference, TWIN_IMAGES)
        )

        def accuracy(found: Gradient, expected: Gradient = expected) -> Facts:
            return {"relative difference from NumPy": _largest_difference(found, expected)}

        def by_numpy(step: Step = step, below: States = below, above: States = above) -> Gradient:
            return numpy_layers.kernel_gradient(step.transition, step.layer, below, above, step.counts)

        own = generic(lambda step=step: step.gradient(threads))
        more = {
            f"from the twin, {TWIN_IMAGES} images": from_twin,
            f"from finite differences, {DIFFERENCE_IMAGES} images": from_differences[-1],
        }
        per_layer.append([
            Engine(
                f"cbn, layer {number}",
                lambda step=step: step.gradient(threads),
                accuracy={**accuracy(step.gradient(threads)), **more},
            ),
            Engine(
                f"cbn, layer {number}, 1 thread",
                lambda step=step: step.gradient(1),
                accuracy=accuracy(step.gradient(1)),
            ),
            Engine(f"cbn generic, layer {number}", own, accuracy=accuracy(own())),
            Engine(f"numpy, layer {number}", by_numpy, max_rounds=2),
        ])  # fmt: skip
    table = _table(per_layer, context.rounds)
    seconds = table[0]["median"]
    worst = max(from_differences)
    return {
        "title": f"Kernel gradient: {len(images):,} images of digit {DIGIT}",
        "about": "One surrogate gradient of all kernels of a layer. Differences are relative to the largest component; "
        "finite differences are those of the relaxed objective, for the weights of one kernel and all biases. NumPy "
        "(im2col and matrix products, in batches of 512 images) does the same from bytes; its products use the threads "
        "of its BLAS. The ratio is to cbn's row of the same layer.",
        "rows": table,
        "goals": [
            goal("layer 1 at most 60 ms", f"{1e3 * seconds:.1f} ms", seconds <= 0.06),
            goal("layer 1 at most 20 ms", f"{1e3 * seconds:.1f} ms", seconds <= 0.02, stretch=True),
            goal("finite differences within 1e-4", f"{worst:.1e}", worst < 1e-4),
        ],
    }


def transition(context: Context) -> Facts:
    images, threads = context.digit(), context.threads
    per_layer, wrong = [], 0
    for number, step in enumerate(steps_of(images, threads), start=1):
        below = step.states(step.below)
        expected = numpy_layers.forward(step.transition, below)

        def accuracy(call: Callable[..., Any], step: Step = step, expected: Any = expected) -> Facts:
            call()
            return {"bits that differ from NumPy's": int((step.states(step.above) != expected).sum())}

        calls = {
            f"cbn, layer {number}": lambda step=step: step.forward(threads),
            f"cbn, layer {number}, 1 thread": lambda step=step: step.forward(1),
            f"cbn generic, layer {number}": generic(lambda step=step: step.forward(threads)),
        }
        engines = [Engine(name, call, accuracy=accuracy(call)) for name, call in calls.items()]
        wrong += sum(sum(engine.accuracy.values()) for engine in engines)

        def by_numpy(step: Step = step, below: States = below) -> States:
            return numpy_layers.forward(step.transition, below)

        per_layer.append([*engines, Engine(f"numpy, layer {number}", by_numpy, max_rounds=3)])
    return {
        "title": f"Convolution, pooling and threshold: {len(images):,} images of digit {DIGIT}",
        "about": "From the bits of a layer to those of the layer above. NumPy (im2col and matrix products) works from "
        "bytes; its products use the threads of its BLAS. The ratio is to cbn's row of the same layer.",
        "rows": _table(per_layer, context.rounds),
        "goals": [goal("bits identical to NumPy's", "identical" if not wrong else "different", not wrong)],
    }
