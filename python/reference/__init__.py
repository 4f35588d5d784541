# SPDX-License-Identifier: BSD-3-Clause
"""The NumPy twin of the engine: the same functions, names and argument order as ``cbn._engine``, written to be read.

One file per C file of ``src_c``; ``relaxed`` is the oracle of the gradient. Every function fills the arrays that its
caller gives it, as the engine does, and takes ``num_threads`` only to have the same signature. Layers are
``cbn.cpd.grid.Layer``, trees ``cbn.cpd.tree.TreeLayer``.
"""

from .ancestral import sample_ancestral
from .bitplane import pack_planes, plane_words, planes_select, unpack_planes
from .boosted import boosted_grow, boosted_log_odds, boosted_score_images, boosted_score_nodes
from .causal import causal_count, causal_features, profile_thresholds, rows_count, rows_take
from .convolution import convolve, convolve_weight_gradient
from .counts import count, counts_add, counts_check
from .digest import planes_digest
from .gaussian import eigenvectors, factor_floats, gaussian_energies, gaussian_factors, moments_add
from .gibbs import sample_gibbs
from .gibbs_layers import LayerStack, sample_gibbs_layers
from .gradient import kernel_gradient, state_gradient
from .mobile import mobile_features, mobile_pack, mobile_weights
from .particles import boosted_inpaint, boosted_sample, table_inpaint, tree_inpaint
from .pooling import max_pool, max_pool_gradient
from .random import RESAMPLE as RANDOM_RESAMPLE
from .random import philox, uniform
from .relaxed import central_difference, objective_near, relaxed_objective
from .score import score_images, score_nodes
from .sidewards import sidewards_gradient, sidewards_predict
from .structure import bic, relation_counts, relation_counts_size, relation_gains, relation_gains_of_counts
from .tables import LOG_PROBABILITY, NORMALIZED, STD_FLOOR, SURPRISE, VARIANCE, probability_table, value_table
from .tied import (
    forest_grow,
    tied_inpaint,
    tied_log_odds,
    tied_sample,
    tied_score_images,
    tied_score_nodes,
)
from .transition import transition_forward, transition_sums
from .tree import tree_count, tree_grow, trees_check
from .tree_rounds import best_splits, choose_splits, count_vertices
from .tree_sampling import tree_sample_ancestral, tree_sample_gibbs
from .tree_score import tree_score_images, tree_score_nodes
from .tree_tables import tree_bic, tree_counts_check, tree_probability, tree_values

__all__ = [
    "LOG_PROBABILITY",
    "NORMALIZED",
    "RANDOM_RESAMPLE",
    "STD_FLOOR",
    "SURPRISE",
    "VARIANCE",
    "LayerStack",
    "best_splits",
    "bic",
    "boosted_grow",
    "boosted_inpaint",
    "boosted_log_odds",
    "boosted_sample",
    "boosted_score_images",
    "boosted_score_nodes",
    "causal_count",
    "causal_features",
    "central_difference",
    "choose_splits",
    "convolve",
    "convolve_weight_gradient",
    "count",
    "count_vertices",
    "counts_add",
    "counts_check",
    "eigenvectors",
    "factor_floats",
    "forest_grow",
    "gaussian_energies",
    "gaussian_factors",
    "kernel_gradient",
    "max_pool",
    "max_pool_gradient",
    "mobile_features",
    "mobile_pack",
    "mobile_weights",
    "moments_add",
    "objective_near",
    "pack_planes",
    "philox",
    "plane_words",
    "planes_digest",
    "planes_select",
    "probability_table",
    "profile_thresholds",
    "relation_counts",
    "relation_counts_size",
    "relation_gains",
    "relation_gains_of_counts",
    "relaxed_objective",
    "rows_count",
    "rows_take",
    "sample_ancestral",
    "sample_gibbs",
    "sample_gibbs_layers",
    "score_images",
    "score_nodes",
    "sidewards_gradient",
    "sidewards_predict",
    "state_gradient",
    "table_inpaint",
    "tied_inpaint",
    "tied_log_odds",
    "tied_sample",
    "tied_score_images",
    "tied_score_nodes",
    "transition_forward",
    "transition_sums",
    "tree_bic",
    "tree_count",
    "tree_counts_check",
    "tree_grow",
    "tree_inpaint",
    "tree_probability",
    "tree_sample_ancestral",
    "tree_sample_gibbs",
    "tree_score_images",
    "tree_score_nodes",
    "tree_values",
    "trees_check",
    "uniform",
    "unpack_planes",
    "value_table",
]
