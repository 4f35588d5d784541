/* SPDX-License-Identifier: BSD-3-Clause */
/* Samples of boosted trees and of trees: ancestral passes, and inpainting by the particle filter. */
#include "boosted.h"
#include "particles.h"

typedef struct {
    const cbn_boosted *boosted;
    const cbn_kernels *kernels;
} boosted_network;

static void boosted_conditional(const void *network, int64_t node, const uint64_t *column, int64_t stride,
                                double p[2][64]) {
    const boosted_network *own = network;
    int32_t odds[64];
    own->kernels->log_odds(own->boosted, node, column, stride, odds);
    own->kernels->odds_probability(odds, p);
    for (uint64_t left = ~cbn_boosted_possible(own->boosted, node, column, stride); left; left &= left - 1) {
        p[0][__builtin_ctzll(left)] = 1.0;
        p[1][__builtin_ctzll(left)] = 0.0;
    }
}

static int asks_unknown(const int32_t *split, int64_t begin, int64_t end, const uint8_t *known) {
    for (int64_t t = begin; t < end; t++)
        if (split[t] >= 0 && !known[split[t]]) return 1;
    return 0;
}

static int boosted_asks_unknown(const void *network, int64_t node, const uint8_t *known) {
    const cbn_boosted *boosted = ((const boosted_network *)network)->boosted;
    const int64_t begin = boosted->tree_begin[boosted->begin[node]], end = boosted->tree_begin[boosted->begin[node + 1]];
    const int64_t required = boosted->required ? boosted->required[node] : -1;
    return (required >= 0 && !known[required]) || asks_unknown(boosted->split, begin, end, known);
}

typedef struct {
    const cbn_trees *trees;
    const double *probability;
    const cbn_kernels *kernels;
} tree_network;

static void tree_conditional(const void *network, int64_t node, const uint64_t *column, int64_t stride,
                             double p[2][64]) {
    const tree_network *own = network;
    const cbn_tree tree = cbn_tree_of(own->trees, node, own->probability);
    own->kernels->tree_probabilities(&tree, column, stride, p);
}

static int tree_asks_unknown(const void *network, int64_t node, const uint8_t *known) {
    const cbn_trees *trees = ((const tree_network *)network)->trees;
    return asks_unknown(trees->split, trees->begin[node], trees->begin[node + 1], known);
}

static cbn_raster_network raster_network(const cbn_trees *grid, cbn_conditional *conditional,
                                         cbn_asks_unknown *unknown, const void *network) {
    const cbn_raster_network raster = {grid->channels, (int64_t)grid->height * grid->width, conditional, unknown,
                                       network};
    return raster;
}

int cbn_boosted_sample_workspace_size(const cbn_boosted *boosted, int64_t n_chains, int64_t *bytes) {
    CBN_TRY(cbn_boosted_check(boosted));
    if (!bytes) return CBN_E_NULL;
    if (n_chains < 1 || n_chains > UINT32_MAX) return CBN_E_SIZE;
    int64_t words;
    CBN_TRY(cbn_multiply(cbn_particle_groups(n_chains), cbn_boosted_nodes(boosted), &words));
    return cbn_multiply(words, 8, bytes);
}

int cbn_boosted_sample(const cbn_boosted *boosted, uint64_t seed, int64_t n_chains, const uint8_t *clamped,
                       uint8_t *states, void *workspace, int64_t workspace_bytes, int num_threads) {
    int64_t needed;
    CBN_TRY(cbn_boosted_sample_workspace_size(boosted, n_chains, &needed));
    if (!states || !workspace) return CBN_E_NULL;
    if (num_threads < 1) return CBN_E_PARAMETER;
    if (workspace_bytes < needed) return CBN_E_WORKSPACE;
    const cbn_trees grid = cbn_boosted_grid(boosted);
    const boosted_network own = {boosted, cbn_kernels_select()};
    const cbn_raster_network network = raster_network(&grid, boosted_conditional, boosted_asks_unknown, &own);
    const int64_t n_groups = cbn_particle_groups(n_chains), n_nodes = cbn_tree_nodes(&grid);
    uint64_t *state = (uint64_t *)workspace;
    CBN_PARALLEL_FOR(num_threads, n_groups, static)
    for (int64_t g = 0; g < n_groups; g++) {
        cbn_pack_group(states, n_chains, n_nodes, g, n_groups, state);
        cbn_raster_pass(&network, seed, g, n_groups, clamped, state);
        cbn_unpack_group(state, n_chains, n_nodes, g, n_groups, states);
    }
    return CBN_OK;
}

int cbn_boosted_inpaint(const cbn_boosted *boosted, uint64_t seed, int64_t n_particles, const uint8_t *known,
                        uint8_t *states, double *weight, double *log_marginal, void *workspace,
                        int64_t workspace_bytes, int num_threads) {
    CBN_TRY(cbn_boosted_check(boosted));
    CBN_TRY(cbn_filter_check(cbn_boosted_nodes(boosted), n_particles, known, states, weight, log_marginal,
                             workspace, workspace_bytes, num_threads));
    const cbn_trees grid = cbn_boosted_grid(boosted);
    const boosted_network own = {boosted, cbn_kernels_select()};
    const cbn_raster_network network = raster_network(&grid, boosted_conditional, boosted_asks_unknown, &own);
    return cbn_particle_filter(&network, seed, n_particles, known, states, weight, log_marginal, workspace,
                               num_threads);
}

int cbn_tree_inpaint(const cbn_trees *trees, const double *probability, uint64_t seed, int64_t n_particles,
                     const uint8_t *known, uint8_t *states, double *weight, double *log_marginal, void *workspace,
                     int64_t workspace_bytes, int num_threads) {
    CBN_TRY(cbn_trees_check(trees));
    CBN_TRY(cbn_filter_check(cbn_tree_nodes(trees), n_particles, known, states, weight, log_marginal, workspace,
                             workspace_bytes, num_threads));
    if (!probability) return CBN_E_NULL;
    const tree_network own = {trees, probability, cbn_kernels_select()};
    const cbn_raster_network network = raster_network(trees, tree_conditional, tree_asks_unknown, &own);
    return cbn_particle_filter(&network, seed, n_particles, known, states, weight, log_marginal, workspace,
                               num_threads);
}
