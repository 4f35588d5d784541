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

static cbn_raster_network raster_network(const cbn_trees *grid, cbn_conditional *conditional, const void *network) {
    const cbn_raster_network raster = {grid->channels, (int64_t)grid->height * grid->width, conditional, network};
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
    const cbn_raster_network network = raster_network(&grid, boosted_conditional, &own);
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

static int check_filter(int64_t n_nodes, int64_t n_particles, const uint8_t *known, const uint8_t *states,
                        const double *weight, const double *log_marginal, const void *workspace,
                        int64_t workspace_bytes, int num_threads) {
    int64_t needed;
    CBN_TRY(cbn_inpaint_workspace_size(n_nodes, n_particles, num_threads, &needed));
    if (!known || !states || !weight || !log_marginal || !workspace) return CBN_E_NULL;
    return workspace_bytes < needed ? CBN_E_WORKSPACE : CBN_OK;
}

int cbn_boosted_inpaint(const cbn_boosted *boosted, uint64_t seed, int64_t n_particles, const uint8_t *known,
                        uint8_t *states, double *weight, double *log_marginal, void *workspace,
                        int64_t workspace_bytes, int num_threads) {
    CBN_TRY(cbn_boosted_check(boosted));
    CBN_TRY(check_filter(cbn_boosted_nodes(boosted), n_particles, known, states, weight, log_marginal, workspace,
                         workspace_bytes, num_threads));
    const cbn_trees grid = cbn_boosted_grid(boosted);
    const boosted_network own = {boosted, cbn_kernels_select()};
    const cbn_raster_network network = raster_network(&grid, boosted_conditional, &own);
    return cbn_particle_filter(&network, seed, n_particles, known, states, weight, log_marginal, workspace,
                               num_threads);
}

int cbn_tree_inpaint(const cbn_trees *trees, const double *probability, uint64_t seed, int64_t n_particles,
                     const uint8_t *known, uint8_t *states, double *weight, double *log_marginal, void *workspace,
                     int64_t workspace_bytes, int num_threads) {
    CBN_TRY(cbn_trees_check(trees));
    CBN_TRY(check_filter(cbn_tree_nodes(trees), n_particles, known, states, weight, log_marginal, workspace,
                         workspace_bytes, num_threads));
    if (!probability) return CBN_E_NULL;
    const tree_network own = {trees, probability};
    const cbn_raster_network network = raster_network(trees, tree_conditional, &own);
    return cbn_particle_filter(&network, seed, n_particles, known, states, weight, log_marginal, workspace,
                               num_threads);
}
