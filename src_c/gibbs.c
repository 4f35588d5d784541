/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gibbs sampling, thesis Algorithm 1. Flipping node v changes only the factors of v and of its children, so the
 * acceptance P' / (P + P') is a ratio of products of table entries: no logarithm, no exponential. Threads own groups
 * of chains.
 */
#include "chains.h"

int cbn_sample_gibbs(const cbn_layer *layer, const double *probability, const cbn_steps *steps, cbn_chains chains,
                     cbn_workspace workspace, int num_threads) {
    uint32_t *states;
    CBN_TRY(cbn_sampler_check(layer, probability, chains, workspace, num_threads, &states));
    const int64_t n_nodes = cbn_grid_nodes(layer->grid), n_groups = cbn_groups(chains.n);
    CBN_TRY(cbn_steps_check(steps, n_nodes));
    const cbn_kernels *kernels = cbn_kernels_select();
    const cbn_gibbs_plan plan = {layer, probability, steps};
    CBN_PARALLEL_FOR(cbn_worth(num_threads, 500.0 * (double)n_groups * (double)steps->n), n_groups, static)
    for (int64_t g = 0; g < n_groups; g++) {
        uint32_t *state = states + g * n_nodes;
        cbn_gather_group(chains, n_nodes, g * CBN_GROUP, state);
        kernels->gibbs_group(&plan, (uint32_t)(g * CBN_GROUP), state);
        cbn_scatter_group(state, n_nodes, g * CBN_GROUP, chains);
    }
    return CBN_OK;
}
