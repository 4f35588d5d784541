/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two samplers share: argument checks, and states (one byte per chain and node) <-> groups of 32 chains. */
#ifndef CBN_CHAINS_H
#define CBN_CHAINS_H

#include "kernels/kernels.h"

static inline int64_t cbn_groups(int64_t n_chains) { return (n_chains + CBN_GROUP - 1) / CBN_GROUP; }

static inline int cbn_sampler_check(const cbn_layer *layer, const double *probability, int64_t n_chains,
                                    const uint8_t *states, const void *workspace, int64_t workspace_bytes,
                                    int num_threads) {
    int64_t needed;
    CBN_TRY(cbn_sampler_workspace_size(layer, n_chains, &needed));
    if (!probability || !states || !workspace) return CBN_E_NULL;
    if (num_threads < 1) return CBN_E_PARAMETER;
    return workspace_bytes < needed ? CBN_E_WORKSPACE : CBN_OK;
}

/* state[node] bit i = states[first_chain + i][node] */
static inline void cbn_gather_group(const uint8_t *states, int64_t n_chains, int64_t n_nodes, int64_t first_chain,
                                    uint32_t *state) {
    memset(state, 0, sizeof *state * (size_t)n_nodes);
    for (int64_t i = 0; i < CBN_GROUP && first_chain + i < n_chains; i++) {
        const uint8_t *from = states + (first_chain + i) * n_nodes;
        for (int64_t v = 0; v < n_nodes; v++) state[v] |= (uint32_t)(from[v] != 0) << i;
    }
}

static inline void cbn_scatter_group(const uint32_t *state, int64_t n_chains, int64_t n_nodes, int64_t first_chain,
                                     uint8_t *states) {
    for (int64_t i = 0; i < CBN_GROUP && first_chain + i < n_chains; i++) {
        uint8_t *to = states + (first_chain + i) * n_nodes;
        for (int64_t v = 0; v < n_nodes; v++) to[v] = (uint8_t)(state[v] >> i & 1);
    }
}

#endif
