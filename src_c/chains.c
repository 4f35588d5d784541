/* SPDX-License-Identifier: BSD-3-Clause */
/* States of chains (one byte per chain and node) to groups of 32 chains (one bit per chain and node) and back. */
#include "chains.h"
#include "workspace.h"

static uint32_t *take_state(cbn_arena *arena, const cbn_layer *layer, int64_t n_chains) {
    return cbn_take_rows(arena, cbn_groups(n_chains), cbn_grid_nodes(layer->grid), sizeof(uint32_t));
}

static int check_chains(const cbn_layer *layer, int64_t n_chains) {
    int64_t cells;
    CBN_TRY(cbn_layer_check(layer));
    if (n_chains < 1 || n_chains > UINT32_MAX) return CBN_E_SIZE;
    return cbn_multiply(cbn_groups(n_chains) * CBN_GROUP, cbn_grid_nodes(layer->grid), &cells);
}

int cbn_sampler_workspace_size(const cbn_layer *layer, int64_t n_chains, int64_t *bytes) {
    CBN_TRY(check_chains(layer, n_chains));
    cbn_arena arena = cbn_counting_arena();
    take_state(&arena, layer, n_chains);
    return cbn_arena_size(&arena, bytes);
}

int cbn_sampler_check(const cbn_layer *layer, const double *probability, cbn_chains chains, cbn_workspace workspace,
                      int num_threads, uint32_t **state) {
    CBN_TRY(check_chains(layer, chains.n));
    if (!probability || !chains.states) return CBN_E_NULL;
    if (num_threads < 1) return CBN_E_PARAMETER;
    cbn_arena arena = cbn_arena_of(workspace);
    *state = take_state(&arena, layer, chains.n);
    return cbn_arena_fits(&arena, workspace);
}

int cbn_steps_check(const cbn_steps *steps, int64_t n_nodes) {
    if (!steps || !steps->sites) return CBN_E_NULL;
    if (steps->n_sites < 1 || steps->n_sites > UINT32_MAX || steps->n < 0) return CBN_E_SIZE;
    for (int64_t i = 0; i < steps->n_sites; i++)
        if (steps->sites[i] < 0 || steps->sites[i] >= n_nodes) return CBN_E_SITE;
    return CBN_OK;
}

void cbn_gather_group(cbn_chains chains, int64_t n_nodes, int64_t first_chain, uint32_t *state) {
    memset(state, 0, sizeof *state * (size_t)n_nodes);
    for (int64_t i = 0; i < CBN_GROUP && first_chain + i < chains.n; i++) {
        const uint8_t *from = chains.states + (first_chain + i) * n_nodes;
        for (int64_t v = 0; v < n_nodes; v++) state[v] |= (uint32_t)(from[v] != 0) << i;
    }
}

void cbn_scatter_group(const uint32_t *state, int64_t n_nodes, int64_t first_chain, cbn_chains chains) {
    for (int64_t i = 0; i < CBN_GROUP && first_chain + i < chains.n; i++) {
        uint8_t *to = chains.states + (first_chain + i) * n_nodes;
        for (int64_t v = 0; v < n_nodes; v++) to[v] = (uint8_t)(state[v] >> i & 1);
    }
}
