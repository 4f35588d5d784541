/* SPDX-License-Identifier: BSD-3-Clause */
/* Ancestral sampling: one raster pass per group of chains; threads own groups. */
#include "chains.h"

int cbn_sample_ancestral(const cbn_layer *layer, const double *probability, uint64_t seed, const uint8_t *clamped,
                         cbn_chains chains, cbn_workspace workspace, int num_threads) {
    uint32_t *states;
    CBN_TRY(cbn_sampler_check(layer, probability, chains, workspace, num_threads, &states));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_nodes = cbn_grid_nodes(layer->grid), n_groups = cbn_groups(chains.n);
    CBN_PARALLEL_FOR(cbn_worth(num_threads, 230.0 * (double)n_groups * (double)n_nodes), n_groups, static)
    for (int64_t g = 0; g < n_groups; g++) {
        uint32_t *state = states + g * n_nodes;
        cbn_gather_group(chains, n_nodes, g * CBN_GROUP, state);
        kernels->ancestral_group(layer, probability, seed, clamped, (uint32_t)(g * CBN_GROUP), state);
        cbn_scatter_group(state, n_nodes, g * CBN_GROUP, chains);
    }
    return CBN_OK;
}
