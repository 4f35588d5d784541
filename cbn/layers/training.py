# SPDX-License-Identifier: BSD-3-Clause
"""Training of hidden layers: structure and kernels in turn, layer by layer (thesis section 3.2).

Every iteration makes the bits of the layer, searches its relations from scratch (Algorithm 2), records how good it is,
and moves the kernels one step up the gradient of the objective (eq. 8, 9)

    gain = [ log P(D | BN) - log P(D | BN') ] / n        nats per image, at maximum likelihood

BN' being the same nodes without relations. All that an iteration needs is in :class:`TrainingState`, so training can
stop after any iteration and go on from its state to the same bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from .. import _engine
from ..bits.planes import BitPlanes
from ..cpd.grid import Layer, Relation
from .geometry import HiddenLayer, LayerGeometry
from .kernels import MAX_WEIGHT_SUM, ActivationMeter, Draws, Kernels, forward, initial_kernels, replacement
from .relations import RelationStep, search_relations

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

# Steepness of the sigmoid whose derivative stands for the threshold's (thesis eq. 9: 1 / (1 + exp(-8 x))).
SHARPNESS = 8.0


@dataclass(frozen=True)
class TrainingOptions:
    """How hidden layers are trained; see ConvolutionalBayesianNetwork for the meaning of each."""

    iterations: int = 50
    learning_rate: float = 0.008
    momentum: float = 0.9
    normalize: bool = True
    keep_activation: bool = True
    initialization: str = "random"
    activation: tuple[float, float] = (0.3, 0.6)
    replace_worst: int = 0
    max_parents: int = 6
    pseudocount: float = 1.0
    seed: int = 0
    forced: Sequence[Sequence[Relation]] = ()  # one collection of Relation per hidden layer, or none at all
    forbidden: Sequence[Sequence[Relation]] = ()


@dataclass(frozen=True)
class CurvePoint:
    """What one iteration saw, before its kernel step.

    Attributes
    ----------
    gain : float
        Objective (thesis eq. 8), nats per image.
    bic : float
        BIC of the layer with its relations.
    activation : tuple of float
        Share of active nodes of every kernel.
    relations : int
        Number of tied relations.
    """

    gain: float
    bic: float
    activation: tuple[float, ...]
    relations: int


@dataclass(frozen=True, eq=False)
class TrainedLayer:
    """A hidden layer: kernels, relations, and how they came about.

    Attributes
    ----------
    kernels : cbn.layers.kernels.Kernels
    layer : cbn.cpd.grid.Layer
    steps : tuple of RelationStep
        The search that made the relations.
    curve : tuple of CurvePoint
    best : int
        The iteration, an index into ``curve``, whose kernels and relations these are.
    """

    kernels: Kernels
    layer: Layer
    steps: tuple[RelationStep, ...]
    curve: tuple[CurvePoint, ...]
    best: int


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Training after some whole number of iterations.

    Attributes
    ----------
    finished : tuple of TrainedLayer
        Hidden layers that are done.
    iteration : int
        Iterations done in the layer that comes next.
    kernels : Kernels or None
        Of that layer, for its next iteration; None before the first.
    velocity : tuple of two ndarray
        Momentum of the weights and biases.
    target : ndarray, (kernels,)
        Share of active nodes that is kept.
    best : TrainedLayer or None
        The best iteration so far of the layer that comes next, with the curve so far.
    """

    finished: tuple[TrainedLayer, ...] = ()
    iteration: int = 0
    kernels: Kernels | None = None
    velocity: tuple[Floats, ...] = ()
    target: Floats = field(default_factory=lambda: np.empty(0))
    best: TrainedLayer | None = None

    def layers(self) -> tuple[TrainedLayer, ...]:
        """The finished layers, and the best so far of the one under way."""
        return self.finished if self.best is None else (*self.finished, self.best)


def measured(layer: Layer, counts: Counts, n_images: int) -> CurvePoint:
    """The point of the learning curve that counts give."""
    log_likelihood, _, bic = _engine.bic(_engine.Layer(layer), counts)
    ones = np.add.reduceat(counts[:, 1], layer.table_begins())
    alone = Layer(layer.channels, layer.height, layer.width)
    marginal = np.ascontiguousarray(np.stack([n_images - ones, ones], axis=1))
    without = _engine.bic(_engine.Layer(alone), marginal)[0]
    share = ones.reshape(layer.channels, -1).sum(axis=1) / (layer.n_positions * n_images)
    return CurvePoint((log_likelihood - without) / n_images, bic, tuple(share.tolist()), len(layer.relations))


class HiddenTraining:
    """Trains the hidden layers above given pixels.

    Parameters
    ----------
    hidden : sequence of HiddenLayer
    geometries : sequence of LayerGeometry
        Of the pixels and of every hidden layer.
    planes : BitPlanes
        Of the pixels.
    options : TrainingOptions
    num_threads : int
    start : sequence of Kernels, optional
        Kernels to start from in place of drawn ones, for the first layers.
    """

    def __init__(
        self,
        hidden: Sequence[HiddenLayer],
        geometries: Sequence[LayerGeometry],
        planes: BitPlanes,
        options: TrainingOptions,
        num_threads: int,
        start: Sequence[Kernels] = (),
    ) -> None:
        self.hidden, self.geometries, self.planes = hidden, geometries, planes
        self.options, self.num_threads, self.start = options, num_threads, start

    def run(self, state: TrainingState | None = None) -> Iterator[TrainingState]:
        """Yields the state after every iteration, from the one after ``state`` on."""
        state = TrainingState() if state is None else state
        planes = self.planes
        for number, layer in enumerate(state.finished):
            planes = forward(layer.kernels, self.geometries[number], planes, self.num_threads)
        for number in range(len(state.finished), len(self.hidden)):
            task = _LayerTask(self, number, planes)
            if state.kernels is None:
                state = task.begin(state)
            while state.iteration <= self.options.iterations:
                state = task.iterate(state)
                if state.iteration <= self.options.iterations:
                    yield state
            done = state.best
            assert done is not None  # the loop ran at least once
            planes = forward(done.kernels, self.geometries[number], planes, self.num_threads)
            state = TrainingState(finished=(*state.finished, done))
            yield state


class _LayerTask:
    """The iterations of one hidden layer."""

    def __init__(self, training: HiddenTraining, number: int, planes_below: BitPlanes) -> None:
        self.options, self.number, self.n_images = training.options, number, planes_below.n_images
        self.hidden = training.hidden[number]
        self.below, self.geometry = training.geometries[number], training.geometries[number + 1]
        self.planes_below, self.num_threads = planes_below, training.num_threads
        self.given = training.start[number] if number < len(training.start) else None
        self.forced = self.options.forced[number] if self.options.forced else ()
        self.forbidden = self.options.forbidden[number] if self.options.forbidden else ()
        self.meter = ActivationMeter(self.below, planes_below, self.num_threads)

    def draws(self, iteration: int) -> Draws:
        """Random numbers that depend on seed, layer and iteration only, so that a state need not remember any."""
        return Draws(self.options.seed, self.number, iteration)

    def begin(self, state: TrainingState) -> TrainingState:
        o = self.options
        kernels = self.given
        if kernels is None:
            kernels = initial_kernels(self.hidden, self.meter, o.initialization, o.activation, self.draws(0))
        velocity = np.zeros_like(kernels.weights), np.zeros_like(kernels.bias)
        return replace(state, kernels=kernels, velocity=velocity, target=self.meter.shares(kernels))

    def iterate(self, state: TrainingState) -> TrainingState:
        """Structure step, record, kernel step. The last iteration has no kernel step."""
        assert state.kernels is not None  # begin() made them
        planes = forward(state.kernels, self.below, self.planes_below, self.num_threads)
        layer, steps = search_relations(
            self.geometry, planes, self.options.max_parents,
            forced=self.forced, forbidden=self.forbidden, num_threads=self.num_threads,
        )  # fmt: skip
        engine_layer = _engine.Layer(layer)
        counts = np.empty((layer.n_rows, 2), np.int64)
        _engine.count(engine_layer, planes.words, self.n_images, counts, self.num_threads)
        point = measured(layer, counts, self.n_images)
        curve = (*(state.best.curve if state.best else ()), point)
        if state.best is None or point.gain > state.best.curve[state.best.best].gain:
            best = TrainedLayer(state.kernels, layer, tuple(steps), curve, len(curve) - 1)
        else:
            best = replace(state.best, curve=curve)
        state = replace(state, best=best, iteration=state.iteration + 1)
        if state.iteration > self.options.iterations:
            return state
        return self.step(state, planes, layer, engine_layer, counts)

    def step(
        self, state: TrainingState, planes: BitPlanes, layer: Layer, engine_layer: _engine.Layer, counts: Counts
    ) -> TrainingState:
        """Moves the kernels; every now and then replaces the worst."""
        o, kernels = self.options, state.kernels
        assert kernels is not None
        weights, bias = np.empty_like(kernels.weights), np.empty_like(kernels.bias)
        _engine.kernel_gradient(
            _engine.Transition(kernels.transition(self.below)), (engine_layer, counts, o.pseudocount, SHARPNESS),
            self.planes_below.words, planes.words, self.n_images, (weights, bias), self.num_threads,
        )  # fmt: skip
        scale = o.learning_rate / self.n_images
        velocity = o.momentum * state.velocity[0] + scale * weights, o.momentum * state.velocity[1] + scale * bias
        kernels = self.checked(Kernels(kernels.weights + velocity[0], kernels.bias + velocity[1], kernels.pool))
        target = state.target
        if self.replaces_after(state.iteration):
            worst = self.worst_kernel(layer, counts)
            kernels = replacement(kernels, worst, self.hidden, self.meter, o.activation, self.draws(state.iteration))
            target = target.copy()
            target[worst] = self.meter.shares(kernels)[worst]
            for v in velocity:
                v[worst] = 0.0
        if o.normalize:
            kernels = kernels.normalized()
        if o.keep_activation:
            kernels = self.meter.with_shares(kernels, target)
        return replace(state, kernels=kernels, velocity=velocity, target=target)

    def checked(self, kernels: Kernels) -> Kernels:
        """The kernels; refused where the engine could not hold them. Raises ValueError."""
        if not kernels.usable():
            raise ValueError(
                f"learning_rate: {self.options.learning_rate:g} lets the weights of a kernel of hidden layer "
                f"{self.number + 1} sum to {MAX_WEIGHT_SUM:,} or more; give a smaller one"
            )
        return kernels

    def replaces_after(self, iteration: int) -> bool:
        """Replacements are spread evenly over the first half, so that the last ones can still be trained."""
        n, half = self.options.replace_worst, self.options.iterations // 2
        return any(iteration == max(1, half * i // n) for i in range(1, n + 1)) if half else False

    def worst_kernel(self, layer: Layer, counts: Counts) -> int:
        """The kernel whose nodes gain least from their parents, nats."""
        gains = []
        for channel in range(layer.channels):
            # the layer without the relations of all others: log-likelihoods of the engine are the same on any machine
            own = Layer(layer.channels, layer.height, layer.width, tuple(layer.parents(channel)))
            kept = [
                table if node // layer.n_positions == channel else table.sum(axis=0, keepdims=True)
                for node, table in enumerate(_tables(layer, counts))
            ]
            gains.append(_engine.bic(_engine.Layer(own), np.concatenate(kept))[0])
        return int(np.argmin(gains))


def _tables(layer: Layer, counts: Counts) -> list[Counts]:
    """The table of every node, views of (rows, 2)."""
    return np.split(counts, [layer.table_begin(node) for node in range(1, layer.n_nodes)])
