# SPDX-License-Identifier: BSD-3-Clause
"""The NumPy twin of the engine: the same functions, names and argument order as ``cbn._engine``, written to be read.

One file per C file of ``src_c``; ``relaxed`` is the oracle of the gradient. Every function fills the arrays that its
caller gives it, as the engine does, and takes ``num_threads`` only to have the same signature. Layers are
``cbn.architecture.Layer``.
"""

from .ancestral import sample_ancestral
from .bitplane import pack_planes, plane_words, unpack_planes
from .counts import count, counts_add, counts_check
from .gibbs import sample_gibbs
from .gibbs_layers import LayerStack, sample_gibbs_layers
from .gradient import kernel_gradient, state_gradient
from .random import philox, uniform
from .relaxed import central_difference, objective_near, relaxed_objective
from .score import score_images, score_nodes
from .structure import bic, relation_gains
from .tables import LOG_PROBABILITY, NORMALIZED, STD_FLOOR, SURPRISE, VARIANCE, probability_table, value_table
from .transition import transition_forward

__all__ = [
    "LOG_PROBABILITY", "LayerStack", "NORMALIZED", "STD_FLOOR", "SURPRISE", "VARIANCE", "bic", "central_difference",
    "count", "counts_add", "counts_check", "kernel_gradient", "objective_near", "pack_planes", "philox",
    "plane_words", "probability_table", "relation_gains", "relaxed_objective", "sample_ancestral", "sample_gibbs",
    "sample_gibbs_layers", "score_images", "score_nodes", "state_gradient", "transition_forward", "uniform",
    "unpack_planes", "value_table",
]  # fmt: skip
