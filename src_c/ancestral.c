/* SPDX-License-Identifier: BSD-3-Clause */
/* Ancestral sampling: one raster pass per group of chains; threads own groups. */
#include "chains.h"

int cbn_sample_ancestral(const cbn_layer *layer, const double *probability, uint64_t seed, int64_t n_chains,
                         const uint8_t *clamped, uint8_t *states, void *workspace, int64_t workspace_bytes,
                         int num_threads) {
    CBN_TRY(cbn_sampler_check(layer, probability, n_chains, states, workspace, workspace_bytes, num_threads));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_nodes = cbn_nodes(layer), n_groups = cbn_groups(n_chains);
    CBN_PARALLEL_FOR(num_threads, n_groups, static)
    for (int64_t g = 0; g < n_groups; g++) {
        uint32_t *state = (uint32_t *)workspace + g * n_nodes;
        cbn_gather_group(states, n_chains, n_nodes, g * CBN_GROUP, state);
        kernels->ancestral_group(layer, probability, seed, clamped, (uint32_t)(g * CBN_GROUP), state);
        cbn_scatter_group(state, n_chains, n_nodes, g * CBN_GROUP, states);
    }
    return CBN_OK;
}
