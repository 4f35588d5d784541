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

typedef struct {
    const cbn_trees *trees;
    const double *probability;
} tree_network;

static void tree_conditional(const void *network, int64_t node, const uint64_t *column, int64_t stride,
                             double p[2][64]) {
    const tree_network *own = network;
    const int64_t first = own->trees->begin[node];
    const int32_t *split = own->trees->split + first, *child = own->trees->child + first;
    for (int i = 0; i < 64; i++) {
        int64_t t = 0;
        while (split[t] >= 0) t = child[t] + (int64_t)(column[split[t] * stride] >> i & 1);
        for (int x = 0; x < 2; x++) p[x][i] = own->probability[2 * (first + t) + x];
    }
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
    const cbn_raster_network network = {boosted->grid, boosted_conditional, &own};
    const int64_t n_groups = cbn_particle_groups(chains.n), n_nodes = cbn_grid_nodes(boosted->grid);
    CBN_PARALLEL_FOR(num_threads, n_groups, static)
    for (int64_t g = 0; g < n_groups; g++) {
        cbn_pack_group(chains, n_nodes, g, n_groups, state);
        cbn_raster_pass(&network, seed, g, n_groups, clamped, state);
        cbn_unpack_group(state, n_nodes, g, n_groups, chains);
    }
    return CBN_OK;
}

int cbn_boosted_inpaint(const cbn_boosted *boosted, uint64_t seed, const cbn_particles *particles,
                        double *log_marginal, cbn_workspace workspace, int num_threads) {
    CBN_TRY(cbn_boosted_check(boosted));
    const boosted_network own = {boosted, cbn_kernels_select()};
    const cbn_raster_network network = {boosted->grid, boosted_conditional, &own};
    return cbn_particle_filter(&network, seed, particles, log_marginal, workspace, num_threads);
}

int cbn_tree_inpaint(const cbn_trees *trees, const double *probability, uint64_t seed, const cbn_particles *particles,
                     double *log_marginal, cbn_workspace workspace, int num_threads) {
    CBN_TRY(cbn_trees_check(trees));
    if (!probability) return CBN_E_NULL;
    const tree_network own = {trees, probability};
    const cbn_raster_network network = {trees->grid, tree_conditional, &own};
    return cbn_particle_filter(&network, seed, particles, log_marginal, workspace, num_threads);
}
