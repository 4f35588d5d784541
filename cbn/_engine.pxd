# SPDX-License-Identifier: BSD-3-Clause
# cython: language_level=3
"""What _engine.pyx uses of src_c/cbn.h."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "cbn.h" nogil:
    enum:
        CBN_E_OVERFLOW
        CBN_LOG_PROBABILITY
        CBN_SURPRISE
        CBN_VARIANCE
        CBN_NORMALIZED
        CBN_RANDOM_START
        CBN_RANDOM_RESAMPLE
        CBN_MAX_PARENTS
        CBN_MAX_SEARCH_PARENTS
        CBN_MAX_LAYERS
        CBN_MAX_KERNELS
        CBN_MAX_KERNEL_SIZE
        CBN_WEIGHT_ONE
        CBN_MAX_LEAVES
        CBN_LOG_ODDS_ONE
        CBN_MAX_ROUNDS
        CBN_MAX_BOOSTED_LEAVES
        CBN_MAX_LEAF_VALUE
        CBN_BARREN_ROUNDS
        CBN_MAX_RADIUS
        CBN_MAX_CUTS
        CBN_MAX_FEATURES
        CBN_MAX_PROFILE_SIDE
        CBN_PROFILE_STATISTICS
        CBN_ROW_BITS
        CBN_MAX_TIED_TREES
        CBN_TIED_STEP
        CBN_MAX_TAPS
        CBN_MAX_BLOCKS
        CBN_MAX_PICTURE
        CBN_MAX_ROUNDED
        CBN_MAX_DIRECTIONS
        CBN_MAX_POOL
        CBN_MAX_HIDDEN
        CBN_MAX_UNITS
    const double CBN_STD_FLOOR
    const double CBN_SMALLEST_P

    ctypedef struct cbn_grid:
        int32_t channels, height, width

    ctypedef struct cbn_planes:
        const uint64_t *words
        int64_t n_images

    ctypedef struct cbn_workspace:
        void *memory
        int64_t bytes

    ctypedef struct cbn_chains:
        int64_t n
        uint8_t *states

    ctypedef struct cbn_steps:
        uint64_t seed, first
        int64_t n
        const int64_t *sites
        int64_t n_sites

    ctypedef struct cbn_layer:
        cbn_grid grid
        const int64_t *relation_begin
        const int32_t *parent_channel
        const int32_t *dy
        const int32_t *dx
        const uint8_t *required

    ctypedef struct cbn_relations:
        int64_t n
        const int32_t *child
        const int32_t *parent
        const int32_t *dy
        const int32_t *dx

    ctypedef struct cbn_transition:
        int32_t in_channels, in_height, in_width
        int32_t out_channels
        int32_t kernel_size
        int32_t pool
        const int32_t *weights
        const int32_t *bias

    ctypedef struct cbn_objective:
        const cbn_layer *layer
        const int64_t *counts
        double pseudocount
        double sharpness

    ctypedef struct cbn_trees:
        cbn_grid grid
        const int64_t *begin
        const int32_t *split
        const int32_t *child
        const int32_t *required

    ctypedef struct cbn_candidates:
        const int64_t *begin
        const int32_t *node
        const int32_t *required

    ctypedef struct cbn_growth:
        double penalty
        int32_t max_leaves
        int64_t min_leaf

    ctypedef struct cbn_open_vertices:
        const int64_t *begin
        const int64_t *way_begin
        const int32_t *way
        const int64_t *useful_begin
        const int32_t *useful
    ctypedef struct cbn_known_trees:
        int64_t n_trees
        const int64_t *root
        int64_t n_vertices
        const int64_t *child
        const double *gain
    ctypedef struct cbn_counted_vertices:
        int64_t n
        const int64_t *totals
        const int64_t *useful_begin
        const int64_t *counts
    ctypedef struct cbn_grown_trees:
        int32_t *n_vertices
        int32_t *split
        int32_t *child
        int64_t *counts

    ctypedef struct cbn_smoothing:
        double pseudocount
        double shrinkage

    ctypedef struct cbn_boosted:
        cbn_grid grid
        const int64_t *begin
        const int64_t *tree_begin
        const int32_t *split
        const int32_t *value
        const int32_t *base
        const int32_t *required

    ctypedef struct cbn_boosting:
        int32_t rounds
        int32_t max_leaves
        int32_t n_candidates
        double rate
        double l2
        double min_gain
        double min_hessian
        double pseudocount
        uint64_t seed

    ctypedef struct cbn_grown_boosted:
        int64_t first_node, n_nodes
        int32_t *base
        int32_t *n_trees
        int32_t *n_vertices
        int32_t *split
        int32_t *value
        const int32_t *start

    ctypedef struct cbn_causal:
        cbn_grid grid
        int32_t radius, place, profile

    ctypedef struct cbn_profile_thresholds:
        int32_t begin[25]
        int32_t threshold[512]

    ctypedef struct cbn_row_sampling:
        uint64_t seed, below
        int32_t thinning, nested
        int64_t first

    ctypedef struct cbn_rows:
        int64_t n_blocks, n_features
        uint64_t *features
        uint64_t *target
        uint64_t *members
        uint64_t *quiet

    ctypedef struct cbn_forest_growth:
        int32_t max_leaves, n_candidates
        double share, rate, l2, min_gain, min_hessian
        uint64_t seed
        uint32_t stream

    ctypedef struct cbn_grown_forest:
        int32_t first_round, n_rounds
        int32_t *odds
        int32_t *n_vertices
        int32_t *split
        int32_t *value

    ctypedef struct cbn_tied:
        cbn_causal causal
        const int64_t *begin
        const int64_t *tree_begin
        const int32_t *split
        const int32_t *value
        const int32_t *base
        int32_t nested
        const cbn_boosted *corrections

    ctypedef struct cbn_particles:
        int64_t n
        const uint8_t *known
        uint8_t *states
        double *weight

    ctypedef struct cbn_stack:
        int32_t n_layers
        const cbn_layer *layers
        const cbn_transition *transitions

    ctypedef struct cbn_energy:
        const int64_t *values
        double unit
        const double *inverse_temperature

    ctypedef struct cbn_convolution:
        int64_t n_images
        int32_t in_height, in_width, in_channels
        int32_t height, width, out_channels
        int32_t stride
        int64_t n_taps
        const int32_t *taps

    ctypedef struct cbn_pooling:
        int64_t n_images
        int32_t height, width, channels
        int32_t size, stride

    ctypedef struct cbn_mobile:
        int32_t n_blocks
        const int32_t *blocks

    ctypedef struct cbn_pictures:
        int64_t n_images
        int32_t height, width, channels
        const float *values
        float scale, shift

    ctypedef struct cbn_sidewards:
        int64_t n_images
        int32_t height, width, kernels
        int32_t in_height, in_width, in_channels
        int64_t n_taps
        const int32_t *taps
        int32_t n_extra
        int32_t n_layers
        const int32_t *units
        int32_t own_last

    ctypedef struct cbn_sidewards_weights:
        const float *first
        const float *first_extra
        const float *hidden
        const float *last

    ctypedef struct cbn_sidewards_gradients:
        float *first
        float *first_extra
        float *hidden
        float *last
        float *error
        float *sums

    const char *cbn_strerror(int status)
    const char *cbn_version()
    const char *cbn_instruction_set()
    int cbn_has_openmp()
    int cbn_max_threads()
    int cbn_layer_check(const cbn_layer *layer)
    int cbn_layer_rows(const cbn_layer *layer, int64_t *rows)
    int64_t cbn_plane_words(int64_t n_images)
    int cbn_pack_planes(const uint8_t *images, int64_t n_images, int64_t n_pixels, int cutoff, uint64_t *planes,
                        int num_threads)
    int cbn_unpack_planes(cbn_planes planes, int64_t n_nodes, uint8_t *states, int num_threads)
    int cbn_planes_select_workspace_size(int64_t n_images, int64_t *bytes)
    int cbn_planes_select(cbn_planes planes, int64_t n_nodes, const uint8_t *keep, int64_t out_words, uint64_t *out,
                          cbn_workspace workspace, int num_threads)
    int cbn_count(const cbn_layer *layer, cbn_planes planes, int64_t *counts, int num_threads)
    int cbn_counts_add(const int64_t *counts, int64_t size, int64_t *total)
    int cbn_counts_check(const cbn_layer *layer, const int64_t *counts, int64_t n_images)
    int cbn_bic(const cbn_layer *layer, const int64_t *counts, double *log_likelihood, int64_t *n_parameters,
                double *bic)
    ctypedef struct cbn_kept_tables:
        int32_t *count
        int64_t entries
        int of_last_step
    int cbn_relation_gains_workspace_size(const cbn_layer *layer, int64_t n_images, int64_t n_candidates,
                                          int num_threads, int64_t *bytes)
    int cbn_relation_gains(const cbn_layer *layer, cbn_planes planes, const cbn_relations *candidates,
                           cbn_kept_tables *kept, double *bic_change, cbn_workspace workspace, int num_threads)
    int cbn_planes_digest(cbn_planes planes, int64_t n_nodes, uint64_t *digest, int num_threads)
    int cbn_relation_counts_size(const cbn_layer *layer, const cbn_relations *candidates, int64_t *size)
    int cbn_relation_counts(const cbn_layer *layer, cbn_planes planes, const cbn_relations *candidates, int64_t *with_,
                            int num_threads)
    int cbn_relation_gains_of_counts(const cbn_layer *layer, const int64_t *counts, const cbn_relations *candidates,
                                     const int64_t *with_, double *bic_change, int num_threads)
    int cbn_probability_table(const cbn_layer *layer, const int64_t *counts, double pseudocount, double *probability,
                              int num_threads)
    int cbn_value_table(const cbn_layer *layer, const int64_t *counts, double pseudocount, int kind, int leave_one_out,
                        double *values, int num_threads)
    int cbn_transition_check(const cbn_transition *transition)
    int cbn_transition_workspace_size(const cbn_transition *transition, int num_threads, int64_t *bytes)
    int cbn_transition_forward(const cbn_transition *transition, cbn_planes planes_in, uint64_t *planes_out,
                               cbn_workspace workspace, int num_threads)
    int cbn_transition_sums(const cbn_transition *transition, cbn_planes planes_in, int32_t *sums,
                            cbn_workspace workspace, int num_threads)
    int cbn_kernel_gradient_workspace_size(const cbn_transition *transition, const cbn_layer *layer, int64_t n_images,
                                           int num_threads, int64_t *bytes)
    int cbn_kernel_gradient(const cbn_transition *transition, const cbn_objective *objective, cbn_planes planes_in,
                            const uint64_t *planes_out, double *weights, double *bias, cbn_workspace workspace,
                            int num_threads)
    int cbn_trees_check(const cbn_trees *trees)
    int cbn_tree_grow_workspace_size(cbn_grid grid, int64_t n_images, const cbn_candidates *candidates,
                                     const cbn_growth *growth, int num_threads, int64_t *bytes)
    int cbn_tree_grow(cbn_grid grid, cbn_planes planes, const cbn_candidates *candidates, const cbn_growth *growth,
                      const cbn_grown_trees *grown, cbn_workspace workspace, int num_threads)
    int cbn_count_vertices_workspace_size(cbn_grid grid, int64_t n_images, const cbn_candidates *candidates,
                                          const cbn_open_vertices *vertices, int num_threads, int64_t *bytes)
    int cbn_count_vertices(cbn_grid grid, cbn_planes planes, const uint64_t *members, const cbn_candidates *candidates,
                           const cbn_open_vertices *vertices, int64_t *totals, int64_t *counts,
                           cbn_workspace workspace, int num_threads)
    int cbn_choose_splits_workspace_size(const cbn_known_trees *trees, int32_t max_leaves, int num_threads,
                                         int64_t *bytes)
    int cbn_choose_splits(const cbn_known_trees *trees, int32_t max_leaves, uint8_t *taken, uint8_t *chosen,
                          cbn_workspace workspace, int num_threads)
    int cbn_best_splits(const cbn_counted_vertices *vertices, double penalty, int64_t n_images,
                        int64_t min_leaf, double *gain, int32_t *best, uint8_t *pays, int num_threads)
    int cbn_tree_count_workspace_size(const cbn_trees *trees, int64_t n_images, int num_threads, int64_t *bytes)
    int cbn_tree_count(const cbn_trees *trees, cbn_planes planes, int64_t *counts, cbn_workspace workspace,
                       int num_threads)
    int cbn_tree_counts_check(const cbn_trees *trees, const int64_t *counts, int64_t n_images)
    int cbn_tree_bic(const cbn_trees *trees, const int64_t *counts, double *log_likelihood, int64_t *n_parameters,
                     double *bic)
    int cbn_tree_probability(const cbn_trees *trees, const int64_t *counts, cbn_smoothing smoothing,
                             double *probability, int num_threads)
    int cbn_tree_values(const cbn_trees *trees, const int64_t *counts, const double *probability,
                        cbn_smoothing smoothing, int kind, int leave_one_out, double *values, int num_threads)
    int cbn_tree_score_images(const cbn_trees *trees, cbn_planes planes, const double *values, double *scores,
                              int num_threads)
    int cbn_tree_score_nodes(const cbn_trees *trees, cbn_planes planes, const double *values, double *contributions,
                             int num_threads)
    int cbn_boosted_check(const cbn_boosted *boosted)
    int cbn_boosted_grow_workspace_size(cbn_grid grid, int64_t n_images, const cbn_candidates *candidates,
                                        const cbn_boosting *boosting, int num_threads, int64_t *bytes)
    int cbn_boosted_grow(cbn_grid grid, cbn_planes planes, const cbn_candidates *candidates,
                         const cbn_boosting *boosting, const cbn_grown_boosted *grown, cbn_workspace workspace,
                         int num_threads)
    int cbn_boosted_log_odds(const cbn_boosted *boosted, cbn_planes planes, int32_t *odds, int num_threads)
    int cbn_boosted_score_images(const cbn_boosted *boosted, cbn_planes planes, int kind, double *scores,
                                 int num_threads)
    int cbn_boosted_score_nodes(const cbn_boosted *boosted, cbn_planes planes, int kind, double *contributions,
                                int num_threads)
    int cbn_boosted_sample_workspace_size(const cbn_boosted *boosted, int64_t n_chains, int64_t *bytes)
    int cbn_boosted_sample(const cbn_boosted *boosted, uint64_t seed, const uint8_t *clamped, cbn_chains chains,
                           cbn_workspace workspace, int num_threads)
    int cbn_inpaint_workspace_size(int64_t n_nodes, int64_t n_particles, int num_threads, int64_t *bytes)
    int cbn_boosted_inpaint(const cbn_boosted *boosted, uint64_t seed, const cbn_particles *particles,
                            double *log_marginal, cbn_workspace workspace, int num_threads)
    int cbn_tree_inpaint(const cbn_trees *trees, const double *probability, uint64_t seed,
                         const cbn_particles *particles, double *log_marginal, cbn_workspace workspace, int num_threads)
    int cbn_table_inpaint(const cbn_layer *layer, const double *probability, uint64_t seed,
                          const cbn_particles *particles, double *log_marginal, cbn_workspace workspace, int num_threads)
    int cbn_score_images(const cbn_layer *layer, cbn_planes planes, const double *values, double *scores,
                         int num_threads)
    int cbn_score_nodes(const cbn_layer *layer, cbn_planes planes, const double *values, double *contributions,
                        int num_threads)
    void cbn_philox(const uint32_t *counter, const uint32_t *key, uint32_t *out)
    int cbn_uniform(uint64_t seed, uint32_t purpose, int64_t n_chains, uint64_t first_step, int64_t n_steps,
                    double *out)
    int cbn_sampler_workspace_size(const cbn_layer *layer, int64_t n_chains, int64_t *bytes)
    int cbn_sample_ancestral(const cbn_layer *layer, const double *probability, uint64_t seed, const uint8_t *clamped,
                             cbn_chains chains, cbn_workspace workspace, int num_threads)
    int cbn_sample_gibbs(const cbn_layer *layer, const double *probability, const cbn_steps *steps, cbn_chains chains,
                         cbn_workspace workspace, int num_threads)
    int cbn_gibbs_layers_workspace_size(const cbn_stack *stack, int64_t n_chains, int num_threads, int64_t *bytes)
    int cbn_sample_gibbs_layers(const cbn_stack *stack, const cbn_energy *energy, const cbn_steps *steps,
                                cbn_chains chains, cbn_workspace workspace, int num_threads)
    int cbn_tree_sampler_workspace_size(const cbn_trees *trees, int64_t n_chains, int num_threads, int64_t *bytes)
    int cbn_tree_sample_ancestral(const cbn_trees *trees, const double *probability, uint64_t seed,
                                  const uint8_t *clamped, cbn_chains chains, cbn_workspace workspace, int num_threads)
    int cbn_tree_sample_gibbs(const cbn_trees *trees, const double *probability, const cbn_steps *steps,
                              cbn_chains chains, cbn_workspace workspace, int num_threads)
    int cbn_convolve_workspace_size(const cbn_convolution *c, int num_threads, int64_t *bytes)
    int cbn_convolve_weight_gradient_workspace_size(const cbn_convolution *c, int num_threads, int64_t *bytes)
    int cbn_convolve(const cbn_convolution *c, const float *x, const float *weights, const float *bias, float *out,
                     cbn_workspace workspace, int num_threads)
    int cbn_convolve_weight_gradient(const cbn_convolution *c, const float *x, const float *d_out, float *d_weights,
                                     float *d_bias, cbn_workspace workspace, int num_threads)
    int cbn_max_pool(const cbn_pooling *p, const float *x, float *out, uint8_t *which, int num_threads)
    int cbn_max_pool_gradient(const cbn_pooling *p, const float *d_out, const uint8_t *which, float *d_x,
                              int num_threads)
    int cbn_sidewards_predict_workspace_size(const cbn_sidewards *s, int num_threads, int64_t *bytes)
    int cbn_sidewards_gradient_workspace_size(const cbn_sidewards *s, int num_threads, int64_t *bytes)
    int cbn_sidewards_predict(const cbn_sidewards *s, const float *x, const float *extra,
                              const cbn_sidewards_weights *weights, float *out, cbn_workspace workspace,
                              int num_threads)
    int cbn_sidewards_gradient(const cbn_sidewards *s, const float *x, const float *extra,
                               const cbn_sidewards_weights *weights, const float *target,
                               const cbn_sidewards_gradients *out, cbn_workspace workspace, int num_threads)
    ctypedef struct cbn_gaussians:
        int32_t height, width, size
        int64_t n
        double unit, strength, ridge, prior
        int32_t reach, without_own

    int cbn_mobile_check(const cbn_mobile *m)
    int cbn_mobile_weights(const cbn_mobile *m, int64_t *n)
    int cbn_mobile_pack(const cbn_mobile *m, const float *weights, float *packed)
    int cbn_mobile_workspace_size(const cbn_mobile *m, const cbn_pictures *pictures, int num_threads, int64_t *bytes)
    int cbn_mobile_features(const cbn_mobile *m, const float *packed, const cbn_pictures *pictures, float **out,
                            cbn_workspace workspace, int num_threads)
    int64_t cbn_factor_floats(int32_t size)
    int cbn_gaussians_check(const cbn_gaussians *g)
    int cbn_eigenvectors_workspace_size(int32_t size, int64_t *bytes)
    int cbn_eigenvectors(int32_t size, const double *matrix, double *values, double *vectors, cbn_workspace workspace)
    int cbn_moments_workspace_size(const cbn_gaussians *g, int num_threads, int64_t *bytes)
    int cbn_moments_add(const cbn_gaussians *g, const int16_t *x, int64_t n_images, int64_t *sums, int64_t *products,
                        cbn_workspace workspace, int num_threads)
    ctypedef struct cbn_whitening:
        int32_t inputs
        const double *basis
        const double *offset

    int cbn_gaussian_factors_workspace_size(const cbn_gaussians *g, const cbn_whitening *whitening, int num_threads,
                                            int64_t *bytes)
    int cbn_gaussian_factors(const cbn_gaussians *g, const cbn_whitening *whitening, const int64_t *sums,
                             const int64_t *products, float *mean, float *factors, cbn_workspace workspace,
                             int num_threads)
    int cbn_gaussian_energies_workspace_size(const cbn_gaussians *g, int64_t n_images, int num_threads, int64_t *bytes)
    int cbn_gaussian_energies(const cbn_gaussians *g, const int16_t *x, int64_t n_images, const float *mean,
                              const float *factors, float *energies, cbn_workspace workspace, int num_threads)

    int cbn_causal_count(const cbn_causal *causal, int64_t *n_features)
    void cbn_profile_thresholds_get(cbn_profile_thresholds *out)
    int cbn_causal_features(const cbn_causal *causal, cbn_planes planes, int64_t node, uint64_t *bits, int num_threads)
    int cbn_rows_count(const cbn_causal *causal, cbn_planes planes, int32_t channel, const cbn_row_sampling *sampling,
                       int64_t *counts, int num_threads)
    int cbn_rows_take_workspace_size(const cbn_causal *causal, int num_threads, int64_t *bytes)
    int cbn_rows_take(const cbn_causal *causal, cbn_planes planes, int32_t channel, const cbn_row_sampling *sampling,
                      const int64_t *begin, const cbn_rows *rows, cbn_workspace workspace, int num_threads)
    int cbn_forest_grow_workspace_size(const cbn_rows *rows, int64_t n_learning, const cbn_forest_growth *growth,
                                       int64_t n_usable, int num_threads, int64_t *bytes)
    int cbn_forest_grow(const cbn_rows *rows, int64_t n_learning, const cbn_forest_growth *growth,
                        const int32_t *usable, int64_t n_usable, const cbn_grown_forest *grown,
                        cbn_workspace workspace, int num_threads)
    int cbn_tied_check(const cbn_tied *tied)
    int cbn_tied_score_workspace_size(const cbn_tied *tied, int64_t n_images, int64_t *bytes)
    int cbn_tied_log_odds(const cbn_tied *tied, cbn_planes planes, int32_t *odds, cbn_workspace workspace,
                          int num_threads)
    int cbn_tied_node_odds(const cbn_tied *tied, cbn_planes planes, int64_t first_node, int64_t n_nodes, int32_t *odds,
                           int num_threads)
    int cbn_tied_score_images(const cbn_tied *tied, cbn_planes planes, int kind, double *scores,
                              cbn_workspace workspace, int num_threads)
    int cbn_tied_score_nodes(const cbn_tied *tied, cbn_planes planes, int kind, double *contributions,
                             cbn_workspace workspace, int num_threads)
    int cbn_tied_sample_workspace_size(const cbn_tied *tied, int64_t n_chains, int64_t *bytes)
    int cbn_tied_sample(const cbn_tied *tied, uint64_t seed, const uint8_t *clamped, cbn_chains chains,
                        cbn_workspace workspace, int num_threads)
    int cbn_tied_inpaint(const cbn_tied *tied, uint64_t seed, const cbn_particles *particles, double *log_marginal,
                         cbn_workspace workspace, int num_threads)
