/* SPDX-License-Identifier: BSD-3-Clause */
/* States of chains (one byte per chain and node) to groups of 32 chains (one bit per chain and node) and back. */
#include "chains.h"

int cbn_sampler_workspace_size(const cbn_layer *layer, int64_t n_chains, int64_t *bytes) {
    CBN_TRY(cbn_layer_check(layer));
    if (!bytes) return CBN_E_NULL;
    if (n_chains < 1 || n_chains > UINT32_MAX) return CBN_E_SIZE;
    int64_t cells;
    CBN_TRY(cbn_multiply(cbn_groups(n_chains) * CBN_GROUP, cbn_nodes(layer), &cells));
    *bytes = cells / CBN_GROUP * (int64_t)sizeof(uint32_t);
    return CBN_OK;
}

int cbn_sampler_check(const cbn_layer *layer, const double *probability, int64_t n_chains, const uint8_t *states,
                      const void *workspace, int64_t workspace_bytes, int num_threads) {
    int64_t needed;
    CBN_TRY(cbn_sampler_workspace_size(layer, n_chains, &needed));
    if (!probability || !states || !workspace) return CBN_E_NULL;
    if (num_threads < 1) return CBN_E_PARAMETER;
    return workspace_bytes < needed ? CBN_E_WORKSPACE : CBN_OK;
}

void cbn_gather_group(const uint8_t *states, int64_t n_chains, int64_t n_nodes, int64_t first_chain, uint32_t *state) {
    memset(state, 0, sizeof *state * (size_t)n_nodes);
    for (int64_t i = 0; i < CBN_GROUP && first_chain + i < n_chains; i++) {
        const uint8_t *from = states + (first_chain + i) * n_nodes;
        for (int64_t v = 0; v < n_nodes; v++) state[v] |= (uint32_t)(from[v] != 0) << i;
    }
}

void cbn_scatter_group(const uint32_t *state, int64_t n_chains, int64_t n_nodes, int64_t first_chain, uint8_t *states) {
    for (int64_t i = 0; i < CBN_GROUP && first_chain + i < n_chains; i++) {
        uint8_t *to = states + (first_chain + i) * n_nodes;
        for (int64_t v = 0; v < n_nodes; v++) to[v] = (uint8_t)(state[v] >> i & 1);
    }
}
