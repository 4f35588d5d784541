/* SPDX-License-Identifier: BSD-3-Clause */
/* Samples of boosted trees and of trees: ancestral passes, and inpainting by the particle filter. */
#include "boosted.h"
#include "particles.h"
#include "workspace.h"

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
    const int64_t required = cbn_required_node(boosted->required, node);
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

static uint64_t *take_state(cbn_arena *arena, const cbn_boosted *boosted, int64_t n_chains) {
    return cbn_take_rows(arena, cbn_particle_groups(n_chains), cbn_grid_nodes(boosted->grid), sizeof(uint64_t));
}

int cbn_boosted_sample_workspace_size(const cbn_boosted *boosted, int64_t n_chains, int64_t *bytes) {
    CBN_TRY(cbn_boosted_check(boosted));
    if (n_chains < 1 || n_chains > UINT32_MAX) return CBN_E_SIZE;
    cbn_arena arena = cbn_counting_arena();
    take_state(&arena, boosted, n_chains);
    return cbn_arena_size(&arena, bytes);
}

int cbn_boosted_sample(const cbn_boosted *boosted, uint64_t seed, const uint8_t *clamped, cbn_chains chains,
                       cbn_workspace workspace, int num_threads) {
    CBN_TRY(cbn_boosted_check(boosted));
    if (chains.n < 1 || chains.n > UINT32_MAX) return CBN_E_SIZE;
    if (!chains.states) return CBN_E_NULL;
    if (num_threads < 1) return CBN_E_PARAMETER;
    cbn_arena arena = cbn_arena_of(workspace);
    uint64_t *state = take_state(&arena, boosted, chains.n);
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    const boosted_network own = {boosted, cbn_kernels_select()};
    const cbn_raster_network network = {boosted->grid, boosted_conditional, boosted_asks_unknown, &own};
    cbn_sample_raster(&network, seed, clamped, chains, state, num_threads);
    return CBN_OK;
}

int cbn_boosted_inpaint(const cbn_boosted *boosted, uint64_t seed, const cbn_particles *particles,
                        double *log_marginal, cbn_workspace workspace, int num_threads) {
    CBN_TRY(cbn_boosted_check(boosted));
    const boosted_network own = {boosted, cbn_kernels_select()};
    const cbn_raster_network network = {boosted->grid, boosted_conditional, boosted_asks_unknown, &own};
    return cbn_particle_filter(&network, seed, particles, log_marginal, workspace, num_threads);
}

int cbn_tree_inpaint(const cbn_trees *trees, const double *probability, uint64_t seed, const cbn_particles *particles,
                     double *log_marginal, cbn_workspace workspace, int num_threads) {
    CBN_TRY(cbn_trees_check(trees));
    if (!probability) return CBN_E_NULL;
    const tree_network own = {trees, probability, cbn_kernels_select()};
    const cbn_raster_network network = {trees->grid, tree_conditional, tree_asks_unknown, &own};
    return cbn_particle_filter(&network, seed, particles, log_marginal, workspace, num_threads);
}
