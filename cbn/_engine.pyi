# SPDX-License-Identifier: BSD-3-Clause
"""Types of the engine's boundary; every array is C-contiguous. The meaning is in src_c/cbn.h."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .cpd import boosted as boostedcpd
from .cpd import forest, grid, tree
from .layers import geometry

_Causal: TypeAlias = tuple[tuple[int, int, int], int, bool, bool]
_Sampling: TypeAlias = tuple[int, int, int, bool, int]
_Candidates: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32] | None]
_SidewardsWeights: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]

LOG_PROBABILITY: int
SURPRISE: int
VARIANCE: int
NORMALIZED: int
RANDOM_START: int
RANDOM_RESAMPLE: int
MAX_PARENTS: int
MAX_SEARCH_PARENTS: int
MAX_LAYERS: int
MAX_KERNELS: int
MAX_KERNEL_SIZE: int
WEIGHT_ONE: int
MAX_LEAVES: int
LOG_ODDS_ONE: int
MAX_ROUNDS: int
MAX_BOOSTED_LEAVES: int
MAX_RADIUS: int
MAX_CUTS: int
MAX_FEATURES: int
MAX_PROFILE_SIDE: int
ROW_BITS: int
MAX_TIED_TREES: int
TIED_STEP: int
MAX_LEAF_VALUE: int
BARREN_ROUNDS: int
MAX_TAPS: int
MAX_PICTURE: int
MAX_ROUNDED: int
MAX_DIRECTIONS: int
MAX_POOL: int
MAX_HIDDEN: int
MAX_UNITS: int
STD_FLOOR: float
SMALLEST_P: float

class Layer:
    n_nodes: int
    n_rows: int
    def __init__(self, layer: grid.Layer) -> None: ...

def version() -> str: ...
def instruction_set() -> str: ...
def has_openmp() -> bool: ...
def max_threads() -> int: ...
def plane_words(n_images: int) -> int: ...
def pack_planes(images: NDArray[np.uint8], cutoff: int, planes: NDArray[np.uint64], num_threads: int = 1) -> None: ...
def unpack_planes(planes: NDArray[np.uint64], states: NDArray[np.uint8], num_threads: int = 1) -> None: ...
def planes_select(
    planes: NDArray[np.uint64],
    n_images: int,
    keep: NDArray[np.uint8],
    out: NDArray[np.uint64],
    num_threads: int = 1,
) -> None: ...
def count(
    layer: Layer, planes: NDArray[np.uint64], n_images: int, counts: NDArray[np.int64], num_threads: int = 1
) -> None: ...
def counts_add(counts: NDArray[np.int64], total: NDArray[np.int64]) -> None: ...
def counts_check(layer: Layer, counts: NDArray[np.int64], n_images: int) -> None: ...
def bic(layer: Layer, counts: NDArray[np.int64]) -> tuple[float, int, float]: ...
def relation_gains(
    layer: Layer,
    planes: NDArray[np.uint64],
    n_images: int,
    candidates: NDArray[np.int32],
    bic_change: NDArray[np.float64],
    num_threads: int = 1,
    kept: tuple[NDArray[np.int32], bool] | None = None,
) -> None: ...
def planes_digest(
    planes: NDArray[np.uint64], n_images: int, digest: NDArray[np.uint64], num_threads: int = 1
) -> None: ...
def relation_counts_size(layer: Layer, candidates: NDArray[np.int32]) -> int: ...
def relation_counts(
    layer: Layer,
    planes: NDArray[np.uint64],
    n_images: int,
    candidates: NDArray[np.int32],
    part: NDArray[np.int64],
    num_threads: int = 1,
) -> None: ...
def relation_gains_of_counts(
    layer: Layer,
    counts: NDArray[np.int64],
    candidates: NDArray[np.int32],
    part: NDArray[np.int64],
    bic_change: NDArray[np.float64],
    num_threads: int = 1,
) -> None: ...

class Transition:
    n_nodes_in: int
    n_nodes_out: int
    def __init__(self, transition: geometry.Transition) -> None: ...

def transition_forward(
    transition: Transition,
    planes_in: NDArray[np.uint64],
    n_images: int,
    planes_out: NDArray[np.uint64],
    num_threads: int = 1,
) -> None: ...
def transition_sums(
    transition: Transition,
    planes_in: NDArray[np.uint64],
    n_images: int,
    sums: NDArray[np.int32],
    num_threads: int = 1,
) -> None: ...
def kernel_gradient(
    transition: Transition,
    objective: tuple[Layer, NDArray[np.int64], float, float],
    planes_in: NDArray[np.uint64],
    planes_out: NDArray[np.uint64],
    n_images: int,
    gradient: tuple[NDArray[np.float64], NDArray[np.float64]],
    num_threads: int = 1,
) -> None: ...
def probability_table(
    layer: Layer,
    counts: NDArray[np.int64],
    pseudocount: float,
    probability: NDArray[np.float64],
    num_threads: int = 1,
) -> None: ...
def value_table(
    layer: Layer,
    counts: NDArray[np.int64],
    pseudocount: float,
    kind: int,
    leave_one_out: bool,
    values: NDArray[np.float64],
    num_threads: int = 1,
) -> None: ...

class Trees:
    n_nodes: int
    n_vertices: int
    def __init__(self, trees: tree.TreeLayer) -> None: ...

def tree_grow(
    grid: tuple[int, int, int],
    planes: NDArray[np.uint64],
    n_images: int,
    candidates: _Candidates,
    growth: tuple[float, int, int],
    grown: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]],
    num_threads: int = 1,
) -> None: ...
def count_vertices(
    grid: tuple[int, int, int],
    planes: NDArray[np.uint64],
    n_images: int,
    members: NDArray[np.uint64] | None,
    candidates: _Candidates,
    vertices: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]],
    totals: NDArray[np.int64],
    counts: NDArray[np.int64],
    num_threads: int = 1,
) -> None: ...
def choose_splits(
    root: NDArray[np.int64],
    child: NDArray[np.int64],
    gain: NDArray[np.float64],
    max_leaves: int,
    found: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    num_threads: int = 1,
) -> None: ...
def best_splits(
    totals: NDArray[np.int64],
    useful_begin: NDArray[np.int64],
    counts: NDArray[np.int64],
    how: tuple[float, int, int],
    found: tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.uint8]],
    num_threads: int = 1,
) -> None: ...
def tree_count(
    trees: Trees, planes: NDArray[np.uint64], n_images: int, counts: NDArray[np.int64], num_threads: int = 1
) -> None: ...
def tree_counts_check(trees: Trees, counts: NDArray[np.int64], n_images: int) -> None: ...
def tree_bic(trees: Trees, counts: NDArray[np.int64]) -> tuple[float, int, float]: ...
def tree_probability(
    trees: Trees,
    counts: NDArray[np.int64],
    pseudocount: float,
    shrinkage: float,
    probability: NDArray[np.float64],
    num_threads: int = 1,
) -> None: ...
def tree_values(
    trees: Trees,
    counts: NDArray[np.int64],
    probability: NDArray[np.float64],
    pseudocount: float,
    shrinkage: float,
    kind: int,
    leave_one_out: bool,
    values: NDArray[np.float64],
    num_threads: int = 1,
) -> None: ...
def tree_score_images(
    trees: Trees,
    planes: NDArray[np.uint64],
    n_images: int,
    values: NDArray[np.float64],
    scores: NDArray[np.float64],
    num_threads: int = 1,
) -> None: ...
def tree_score_nodes(
    trees: Trees,
    planes: NDArray[np.uint64],
    n_images: int,
    values: NDArray[np.float64],
    contributions: NDArray[np.float64],
    num_threads: int = 1,
) -> None: ...
def causal_count(causal: _Causal) -> int: ...
def profile_thresholds() -> tuple[tuple[int, ...], ...]: ...
def causal_features(
    causal: _Causal,
    planes: NDArray[np.uint64],
    n_images: int,
    node: int,
    bits: NDArray[np.uint64],
    num_threads: int = 1,
) -> None: ...
def rows_count(
    causal: _Causal,
    planes: NDArray[np.uint64],
    n_images: int,
    channel: int,
    sampling: _Sampling,
    counts: NDArray[np.int64],
    num_threads: int = 1,
) -> None: ...
def rows_take(
    causal: _Causal,
    planes: NDArray[np.uint64],
    n_images: int,
    channel: int,
    sampling: _Sampling,
    begin: NDArray[np.int64],
    rows: tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64]],
    num_threads: int = 1,
) -> None: ...
def forest_grow(
    features: NDArray[np.uint64],
    target: NDArray[np.uint64],
    members: NDArray[np.uint64],
    n_learning: int,
    growth: tuple[int, int, float, float, float, float, float, int, int],
    usable: NDArray[np.int32],
    grown: tuple[int, NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]],
    num_threads: int = 1,
) -> None: ...

class Tied:
    n_nodes: int
    def __init__(self, tied: forest.TiedLayer) -> None: ...

def tied_log_odds(
    tied: Tied, planes: NDArray[np.uint64], n_images: int, odds: NDArray[np.int32], num_threads: int = 1
) -> None: ...
def tied_node_odds(
    tied: Tied,
    planes: NDArray[np.uint64],
    n_images: int,
    first_node: int,
    odds: NDArray[np.int32],
    num_threads: int = 1,
) -> None: ...
def tied_score_images(
    tied: Tied,
    planes: NDArray[np.uint64],
    n_images: int,
    kind: int,
    scores: NDArray[np.float64],
    num_threads: int = 1,
) -> None: ...
def tied_score_nodes(
    tied: Tied,
    planes: NDArray[np.uint64],
    n_images: int,
    kind: int,
    contributions: NDArray[np.float64],
    num_threads: int = 1,
) -> None: ...
def tied_sample(
    tied: Tied,
    seed: int,
    clamped: NDArray[np.uint8] | None,
    states: NDArray[np.uint8],
    num_threads: int = 1,
) -> None: ...
def tied_inpaint(
    tied: Tied,
    seed: int,
    known: NDArray[np.uint8],
    states: NDArray[np.uint8],
    weight: NDArray[np.float64],
    num_threads: int = 1,
) -> float: ...

class Boosted:
    n_nodes: int
    def __init__(self, boosted: boostedcpd.BoostedLayer) -> None: ...

def boosted_grow(
    grid: tuple[int, int, int],
    planes: NDArray[np.uint64],
    n_images: int,
    candidates: _Candidates,
    boosting: boostedcpd.Boosted,
    seed: int,
    grown: tuple[
        int,
        NDArray[np.int32],
        NDArray[np.int32],
        NDArray[np.int32],
        NDArray[np.int32],
        NDArray[np.int32],
        NDArray[np.int32] | None,
    ],
    num_threads: int = 1,
) -> None: ...
def boosted_log_odds(
    boosted: Boosted, planes: NDArray[np.uint64], n_images: int, odds: NDArray[np.int32], num_threads: int = 1
) -> None: ...
def boosted_score_images(
    boosted: Boosted,
    planes: NDArray[np.uint64],
    n_images: int,
    kind: int,
    scores: NDArray[np.float64],
    num_threads: int = 1,
) -> None: ...
def boosted_score_nodes(
    boosted: Boosted,
    planes: NDArray[np.uint64],
    n_images: int,
    kind: int,
    contributions: NDArray[np.float64],
    num_threads: int = 1,
) -> None: ...
def boosted_sample(
    boosted: Boosted,
    seed: int,
    clamped: NDArray[np.uint8] | None,
    states: NDArray[np.uint8],
    num_threads: int = 1,
) -> None: ...
def boosted_inpaint(
    boosted: Boosted,
    seed: int,
    known: NDArray[np.uint8],
    states: NDArray[np.uint8],
    weight: NDArray[np.float64],
    num_threads: int = 1,
) -> float: ...
def tree_inpaint(
    trees: Trees,
    probability: NDArray[np.float64],
    seed: int,
    known: NDArray[np.uint8],
    states: NDArray[np.uint8],
    weight: NDArray[np.float64],
    num_threads: int = 1,
) -> float: ...
def table_inpaint(
    layer: Layer,
    probability: NDArray[np.float64],
    seed: int,
    known: NDArray[np.uint8],
    states: NDArray[np.uint8],
    weight: NDArray[np.float64],
    num_threads: int = 1,
) -> float: ...
def score_images(
    layer: Layer,
    planes: NDArray[np.uint64],
    n_images: int,
    values: NDArray[np.float64],
    scores: NDArray[np.float64],
    num_threads: int = 1,
) -> None: ...
def score_nodes(
    layer: Layer,
    planes: NDArray[np.uint64],
    n_images: int,
    values: NDArray[np.float64],
    contributions: NDArray[np.float64],
    num_threads: int = 1,
) -> None: ...
def philox(counter: Sequence[int], key: Sequence[int]) -> tuple[int, int, int, int]: ...
def uniform(seed: int, purpose: int, first_step: int, out: NDArray[np.float64]) -> None: ...
def sampler_workspace_size(layer: Layer, n_chains: int) -> int: ...
def sample_ancestral(
    layer: Layer,
    probability: NDArray[np.float64],
    seed: int,
    clamped: NDArray[np.uint8] | None,
    states: NDArray[np.uint8],
    num_threads: int = 1,
) -> None: ...
def sample_gibbs(
    layer: Layer,
    probability: NDArray[np.float64],
    seed: int,
    first_step: int,
    n_steps: int,
    sites: NDArray[np.int64],
    states: NDArray[np.uint8],
    num_threads: int = 1,
) -> None: ...

class LayerStack:
    n_nodes: int
    n_rows: int
    def __init__(self, layers: Sequence[Layer], transitions: Sequence[Transition]) -> None: ...

def sample_gibbs_layers(
    stack: LayerStack,
    values: NDArray[np.int64],
    unit: float,
    inverse_temperature: NDArray[np.float64],
    seed: int,
    first_step: int,
    sites: NDArray[np.int64],
    states: NDArray[np.uint8],
    num_threads: int = 1,
) -> None: ...
def tree_sample_ancestral(
    trees: Trees,
    probability: NDArray[np.float64],
    seed: int,
    clamped: NDArray[np.uint8] | None,
    states: NDArray[np.uint8],
    num_threads: int = 1,
) -> None: ...
def tree_sample_gibbs(
    trees: Trees,
    probability: NDArray[np.float64],
    seed: int,
    first_step: int,
    n_steps: int,
    sites: NDArray[np.int64],
    states: NDArray[np.uint8],
    num_threads: int = 1,
) -> None: ...

class Sidewards:
    def __init__(
        self,
        x: NDArray[np.float32],
        taps: NDArray[np.int32],
        extra: NDArray[np.float32],
        units: NDArray[np.int32],
        weights: _SidewardsWeights,
    ) -> None: ...

def convolve(
    x: NDArray[np.float32],
    taps: NDArray[np.int32],
    weights: NDArray[np.float32],
    bias: NDArray[np.float32],
    stride: int,
    out: NDArray[np.float32],
    num_threads: int = 1,
) -> None: ...
def convolve_weight_gradient(
    x: NDArray[np.float32],
    taps: NDArray[np.int32],
    d_out: NDArray[np.float32],
    stride: int,
    d_weights: NDArray[np.float32],
    d_bias: NDArray[np.float32],
    num_threads: int = 1,
) -> None: ...
def max_pool(
    x: NDArray[np.float32],
    size: int,
    stride: int,
    out: NDArray[np.float32],
    which: NDArray[np.uint8],
    num_threads: int = 1,
) -> None: ...
def max_pool_gradient(
    d_out: NDArray[np.float32],
    which: NDArray[np.uint8],
    size: int,
    stride: int,
    d_x: NDArray[np.float32],
    num_threads: int = 1,
) -> None: ...
def sidewards_predict(
    x: NDArray[np.float32],
    taps: NDArray[np.int32],
    extra: NDArray[np.float32],
    units: NDArray[np.int32],
    weights: _SidewardsWeights,
    out: NDArray[np.float32],
    num_threads: int = 1,
) -> None: ...
def sidewards_gradient(
    x: NDArray[np.float32],
    taps: NDArray[np.int32],
    extra: NDArray[np.float32],
    units: NDArray[np.int32],
    weights: _SidewardsWeights,
    target: NDArray[np.float32],
    gradients: tuple[
        NDArray[np.float32],
        NDArray[np.float32],
        NDArray[np.float32],
        NDArray[np.float32],
        NDArray[np.float32],
        NDArray[np.float32] | None,
    ],
    num_threads: int = 1,
) -> None: ...
def mobile_weights(blocks: NDArray[np.int32]) -> int: ...
def mobile_pack(blocks: NDArray[np.int32], weights: NDArray[np.float32], packed: NDArray[np.float32]) -> None: ...
def mobile_features(
    blocks: NDArray[np.int32],
    packed: NDArray[np.float32],
    pictures: NDArray[np.float32],
    scale: float,
    shift: float,
    out: tuple[NDArray[np.float32] | None, ...],
    num_threads: int = 1,
) -> None: ...
def eigenvectors(matrix: NDArray[np.float64], values: NDArray[np.float64], vectors: NDArray[np.float64]) -> None: ...
def factor_floats(size: int) -> int: ...
def moments_add(
    x: NDArray[np.int16], sums: NDArray[np.int64], products: NDArray[np.int64], num_threads: int = 1
) -> None: ...
def gaussian_factors(
    sums: NDArray[np.int64],
    products: NDArray[np.int64],
    law: tuple[int, float, float, float, float],
    mean: NDArray[np.float32],
    factors: NDArray[np.float32],
    num_threads: int = 1,
    basis: NDArray[np.float64] | None = None,
    offset: NDArray[np.float64] | None = None,
) -> None: ...
def gaussian_energies(
    x: NDArray[np.int16],
    mean: NDArray[np.float32],
    factors: NDArray[np.float32],
    law: tuple[int, float, float, float, float],
    reach: int,
    without_own: bool,
    energies: NDArray[np.float32],
    num_threads: int = 1,
) -> None: ...
