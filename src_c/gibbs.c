/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gibbs sampling, thesis Algorithm 1. Flipping node v changes only the factors of v and of its children, so the
 * acceptance P' / (P + P') is a ratio of products of table entries: no logarithm, no exponential. Threads own groups
 * of chains.
 */
#include "chains.h"

int cbn_sample_gibbs(const cbn_layer *layer, const double *probability, uint64_t seed, uint64_t first_step,
                     int64_t n_steps, const int64_t *sites, int64_t n_sites, int64_t n_chains, uint8_t *states,
                     void *workspace, int64_t workspace_bytes, int num_threads) {
    CBN_TRY(cbn_sampler_check(layer, probability, n_chains, states, workspace, workspace_bytes, num_threads));
    if (!sites) return CBN_E_NULL;
    if (n_sites < 1 || n_sites > UINT32_MAX || n_steps < 0) return CBN_E_SIZE;
    const int64_t n_nodes = cbn_nodes(layer), n_groups = cbn_groups(n_chains);
    for (int64_t i = 0; i < n_sites; i++)
        if (sites[i] < 0 || sites[i] >= n_nodes) return CBN_E_SITE;
    const cbn_kernels *kernels = cbn_kernels_select();
    const cbn_gibbs_plan plan = {layer, probability, seed, first_step, n_steps, sites, (uint64_t)n_sites};
    CBN_PARALLEL_FOR(num_threads, n_groups, static)
    for (int64_t g = 0; g < n_groups; g++) {
        uint32_t *state = (uint32_t *)workspace + g * n_nodes;
        cbn_gather_group(states, n_chains, n_nodes, g * CBN_GROUP, state);
        kernels->gibbs_group(&plan, (uint32_t)(g * CBN_GROUP), state);
        cbn_scatter_group(state, n_chains, n_nodes, g * CBN_GROUP, states);
    }
    return CBN_OK;
}
