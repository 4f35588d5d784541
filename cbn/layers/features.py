# SPDX-License-Identifier: BSD-3-Clause
"""Parameters of hidden layers: how many, of what shape, and how their kernels and relations are learned."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from .. import _validation as validation
from .._engine import MAX_SEARCH_PARENTS
from .._params import Checked, Choice, Flag, Parameters, Real, Whole, parameter, parameters
from ..cpd.grid import Relation
from ..exceptions import DataError
from .geometry import HiddenLayer, LayerGeometry
from .kernels import INITIALIZATIONS, Kernels, check_kernels, load_kernels


def check_layers(layers: Any, name: str = "layers") -> tuple[HiddenLayer, ...]:
    """HiddenLayer of every entry: one already, or (kernels, kernel_size, pool)."""
    try:
        entries = tuple(layers)
    except TypeError:
        raise ValueError(f"{name}: {layers!r}; give one (kernels, kernel_size, pool) for each layer") from None
    found = []
    for entry in entries:
        if not isinstance(entry, HiddenLayer):
            try:
                kernels, kernel_size, pool = entry
            except (TypeError, ValueError):
                raise ValueError(f"{name}: {entry!r}; give (kernels, kernel_size, pool), such as (5, 3, 2)") from None
            try:
                entry = HiddenLayer(kernels, kernel_size, pool)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        found.append(entry)
    return tuple(found)


def check_activation(activation: Any, name: str = "activation") -> tuple[float, float]:
    """(low, high) between 0 and 1. Raises ValueError."""
    try:
        low, high = activation
    except (TypeError, ValueError):
        raise ValueError(f"{name}: {activation!r}; give (low, high), such as (0.3, 0.6)") from None
    low, high = (validation.check_real(v, name, 0, 1, open_ends=True) for v in (low, high))
    if low > high:
        raise ValueError(f"{name}: low {low:g} is above high {high:g}")
    return low, high


def check_momentum(momentum: Any, name: str = "momentum") -> float:
    value = validation.check_real(momentum, name, 0, 1)
    if value == 1:
        raise ValueError(f"{name}: 1 never forgets a step; give a number below 1, such as 0.9")
    return value


def check_layer_weights(weights: Any, n_layers: int) -> tuple[float, ...]:
    """One weight for each layer; None is 1 for each. Raises ValueError."""
    if weights is None:
        return (1.0,) * n_layers
    try:
        values = tuple(validation.check_real(w, "layer_weights", 0, 1e9) for w in weights)
    except (TypeError, ValueError):
        values = ()
    if len(values) != n_layers or not any(values):
        raise ValueError(
            f"layer_weights: {weights!r}; give {n_layers} numbers from 0 to 1e9, not all 0, the pixels' first"
        )
    return values


def parse_layers(text: str) -> tuple[tuple[int, ...], ...]:
    """Hidden layers as a program's option has them: "5,3,2;5,3,2". Raises ValueError."""
    return tuple(_whole_numbers(layer, 3, "KERNELS,SIZE,POOL;... such as 5,3,2;5,3,2") for layer in text.split(";"))


def parse_relation(text: str) -> tuple[int, ...]:
    """One relation as a program's option has it: "1,0,2,-2,0". Raises ValueError."""
    return _whole_numbers(text, 5, "LAYER,CHILD,PARENT,DY,DX such as 1,0,2,-2,0")


def parse_numbers(text: str) -> tuple[float, ...]:
    """Numbers as a program's option has them: "0.3,0.6". Raises ValueError."""
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise ValueError("give numbers such as 0.3,0.6") from None


def parse_number(text: str) -> float:
    """One number. Raises ValueError."""
    try:
        return float(text)
    except ValueError:
        raise ValueError("give a number such as 0.9") from None


def _whole_numbers(text: str, n: int, form: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(number) for number in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != n:
        raise ValueError(f"give whole numbers {form}")
    return numbers


def _unchecked(value: Any, name: str) -> Any:
    """Checked with the other fields, by Features.checked."""
    return value


RELATIONS = Checked(
    _unchecked, "sequence of (layer, child, parent, dy, dx)", parse_relation, "LAYER,CHILD,PARENT,DY,DX", repeated=True
)


@parameters
class Features(Parameters):
    """Hidden layers of binary features: convolution of the layer below, max pooling, threshold (thesis section 3.2).

    Kernels are learned by gradient steps so that features predict each other, in turn with a search for relations.
    """

    step_fields: ClassVar = ("iterations",)

    layers: Any = parameter(
        Checked(check_layers, "sequence of (kernels, kernel_size, pool)", parse_layers, "KERNELS,SIZE,POOL;..."),
        "Kernels, their side and the pooling of every hidden layer, the lowest first; empty for none.",
        default=(),
        option="hidden",
    )
    layer_weights: Any = parameter(
        Checked(_unchecked, "sequence of float", parse_numbers, "W,W,..."),
        "Weight of every layer in the scores, the pixels' first; 1 for each by default.",
        default=None,
    )
    max_parents: int = parameter(
        Whole(0, MAX_SEARCH_PARENTS), "At most so many relations for a kernel are searched.", default=6
    )
    forced_relations: Any = parameter(
        RELATIONS,
        "Relations that the search begins with: kernel parent at offset (dy, dx) positions is a parent of kernel child "
        "in hidden layer 1, 2, ... Nodes that see the same pixels cannot be related.",
        default=None,
        option="force-relation",
    )
    forbidden_relations: Any = parameter(
        RELATIONS,
        "Relations that the search never takes.",
        default=None,
        option="forbid-relation",
    )
    kernels: Any = parameter(
        Checked(_unchecked, "path or sequence of cbn.layers.kernels.Kernels", str, "FILE"),
        "Kernels to start from in place of drawn ones, see save_kernels; with iterations=0 they stay.",
        default=None,
    )
    initialization: str = parameter(
        Choice(INITIALIZATIONS),
        "How kernels are drawn: normal weights, or the least correlated of many such kernels.",
        default="random",
    )
    activation: tuple[float, float] = parameter(
        Checked(check_activation, "(low, high)", parse_numbers, "LOW,HIGH"),
        "The share of active nodes of a drawn kernel lies in this range, as far as the images allow.",
        default=(0.3, 0.6),
    )
    iterations: int = parameter(
        Whole(0, 10**6),
        "Training steps of every layer: structure search, then a kernel step; 0 keeps the kernels.",
        default=50,
    )
    learning_rate: float = parameter(
        Real(0, 1e6), "Of the kernel steps: gradient ascent on thesis eq. 8 in nats per image.", default=0.008
    )
    momentum: float = parameter(
        Checked(check_momentum, "float, 0 or more and below 1", parse_number, "X"), "Of the kernel steps.", default=0.9
    )
    normalize_kernels: bool = parameter(Flag(), "Keep every kernel at Euclidean norm 1.", default=True)
    keep_activation: bool = parameter(
        Flag(),
        "Keep every kernel's share of active nodes where it began, by its bias: a kernel that is always on or off "
        "predicts nothing.",
        default=True,
    )
    replace_worst: int = parameter(
        Whole(0, 10**6),
        "So many times during the first half of the training, but at most once an iteration, the kernel that gains "
        "least is replaced by a new one.",
        default=0,
    )
    pseudocount: float = parameter(
        Real(1e-9, 1e9),
        "Added to every count before the probabilities are made by which kernels are trained.",
        default=1.0,
    )

    def checked(self) -> Self:
        found = super().checked()
        weights = check_layer_weights(found.layer_weights, 1 + len(found.layers))
        found.layer_weights = None if found.layer_weights is None else weights
        for name in ("forced_relations", "forbidden_relations"):
            setattr(found, name, _entries(getattr(found, name), name, found.layers))
        return found

    def weights(self, n_layers: int) -> tuple[float, ...]:
        """Weights of the first layers, fewer than asked for if training was interrupted; 1 each where all were 0."""
        used = check_layer_weights(self.layer_weights, 1 + len(self.layers))[:n_layers]
        return used if any(used) else (1.0,) * n_layers

    def relations(self, name: str) -> tuple[tuple[Relation, ...], ...]:
        """``forced_relations`` or ``forbidden_relations`` of checked parameters: one tuple for every hidden layer."""
        entries = getattr(self, name) or ()
        return tuple(
            tuple(Relation(*entry[1:]) for entry in entries if entry[0] == number + 1)
            for number in range(len(self.layers))
        )


def _entries(relations: Any, name: str, layers: Sequence[HiddenLayer]) -> tuple[tuple[int, ...], ...] | None:
    """Relations (layer, child, parent, dy, dx), layers counting from 1, checked. Raises ValueError."""
    if relations is None:
        return None
    try:
        entries = tuple(relations)
    except TypeError:
        raise ValueError(f"{name}: {relations!r}; give a sequence of (layer, child, parent, dy, dx)") from None
    if entries and not layers:
        raise ValueError(f"{name}: {entries[0]!r}; there are no hidden layers: use preset='hidden', or leave it out")
    found: list[tuple[int, ...]] = []
    for entry in entries:
        try:
            layer, child, parent, dy, dx = (validation.check_integer(v, name, -(2**20), 2**20) for v in entry)
        except (TypeError, ValueError):
            layer = 0
        if not 1 <= layer <= len(layers):
            raise ValueError(
                f"{name}: {entry!r}; give (layer, child, parent, dy, dx), whole numbers, layers from 1 to {len(layers)}"
            )
        channels = layers[layer - 1].kernels
        if not (0 <= child < channels and 0 <= parent < channels):
            raise ValueError(f"{name}: {entry!r}; layer {layer} has kernels 0 to {channels - 1}")
        if (dy, dx) >= (0, 0):
            raise ValueError(
                f"{name}: {entry!r}; a parent is in a row above (dy < 0), or left in the same row (dy = 0, dx < 0)"
            )
        if (layer, child, parent, dy, dx) in found:
            raise ValueError(f"{name}: {entry!r} is given twice")
        found.append((layer, child, parent, dy, dx))
    return tuple(found)


def starting_kernels(
    kernels: Any, layers: Sequence[HiddenLayer], geometries: Sequence[LayerGeometry]
) -> tuple[Kernels, ...]:
    """Kernels to start from, for the first layers: a tuple of Kernels, of a file name or of Kernels; () for None.

    Raises
    ------
    ValueError, DataError
        Names the argument and what is wrong: no such file, other shapes than the layers have.
    """
    if kernels is None:
        return ()
    if isinstance(kernels, str) or hasattr(kernels, "__fspath__"):
        try:
            found = load_kernels(kernels)
        except DataError as error:
            raise DataError(f"kernels: {error}") from None
    else:
        try:
            found = tuple(kernels)
        except TypeError:
            found = (kernels,)
        if not all(isinstance(k, Kernels) for k in found):
            raise ValueError(
                f"kernels: {type(kernels).__name__}; give the name of a file of kernels, or a sequence of "
                "cbn.layers.kernels.Kernels"
            )
        found = check_kernels(found, "kernels")
    if len(found) > len(layers):
        raise ValueError(f"kernels: for {len(found)} hidden layers, but there are {len(layers)}: set `layers`")
    for number, (given, wanted, below) in enumerate(zip(found, layers, geometries), start=1):
        needed = wanted.kernels, below.channels, wanted.kernel_size, wanted.kernel_size
        if given.weights.shape != needed or given.pool != wanted.pool:
            raise ValueError(
                f"kernels: those of layer {number} have shape {given.weights.shape} and pooling {given.pool}, but "
                f"{needed} and {wanted.pool} are needed: give the same `layers`, or other kernels"
            )
    return found
