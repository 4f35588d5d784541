/* SPDX-License-Identifier: BSD-3-Clause */
/* Samples of tied networks: ancestral passes, and inpainting by the particle filter. */
#include "particles.h"
#include "tied.h"

typedef struct {
    const cbn_tied *tied;
    const cbn_causal_plan *plan;
    const cbn_kernels *kernels;
} tied_network;

static void conditional(const void *network, int64_t node, const uint64_t *column, int64_t stride, double p[2][64]) {
    const tied_network *own = network;
    const cbn_grid grid = own->plan->causal.grid;
    const int64_t inside = node % cbn_grid_positions(grid);
    const int channel = (int)(node / cbn_grid_positions(grid));
    const int y = (int)(inside / grid.width), x = (int)(inside % grid.width);
    cbn_causal_above above;
    uint64_t bits[CBN_MAX_FEATURES];
    int32_t odds[64];
    cbn_causal_look_above(own->plan, channel, y, column, stride, &above);
    cbn_causal_bits(own->plan, &above, channel, y, x, column, stride, bits, 1);
    cbn_tied_odds(own->tied, own->kernels, node, bits, column, stride, odds);
    own->kernels->odds_probability(odds, p);
    for (uint64_t left = ~cbn_tied_possible(own->tied, node, column, stride); left; left &= left - 1) {
        p[0][__builtin_ctzll(left)] = 1.0;
        p[1][__builtin_ctzll(left)] = 0.0;
    }
}

/* Profiles and corrections may ask for any earlier node. */
static int asks_unknown(const void *network, int64_t node, const uint8_t *known) {
    const tied_network *own = network;
    const cbn_grid grid = own->plan->causal.grid;
    const int64_t positions = cbn_grid_positions(grid), step = cbn_raster_order(grid, node);
    const int64_t y = node % positions / grid.width, radius = own->plan->causal.radius;
    const int64_t first_row = own->plan->causal.profile || own->tied->corrections || y < radius ? 0 : y - radius;
    for (int64_t i = first_row * grid.width * grid.channels; i < step; i++)
        if (!known[cbn_raster_node(grid, i)]) return 1;
    return 0;
}

static uint64_t *take_state(cbn_arena *arena, const cbn_tied *tied, int64_t n_chains) {
    return cbn_take_rows(arena, cbn_particle_groups(n_chains), cbn_grid_nodes(tied->causal.grid), sizeof(uint64_t));
}

int cbn_tied_sample_workspace_size(const cbn_tied *tied, int64_t n_chains, int64_t *bytes) {
    CBN_TRY(cbn_tied_check(tied));
    if (n_chains < 1 || n_chains > UINT32_MAX) return CBN_E_SIZE;
    cbn_arena arena = cbn_counting_arena();
    take_state(&arena, tied, n_chains);
    return cbn_arena_size(&arena, bytes);
}

int cbn_tied_sample(const cbn_tied *tied, uint64_t seed, const uint8_t *clamped, cbn_chains chains,
                    cbn_workspace workspace, int num_threads) {
    cbn_causal_plan plan;
    CBN_TRY(cbn_tied_plan(tied, &plan));
    if (chains.n < 1 || chains.n > UINT32_MAX) return CBN_E_SIZE;
    if (!chains.states) return CBN_E_NULL;
    if (num_threads < 1) return CBN_E_PARAMETER;
    cbn_arena arena = cbn_arena_of(workspace);
    uint64_t *state = take_state(&arena, tied, chains.n);
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    const tied_network own = {tied, &plan, cbn_kernels_select()};
    const cbn_raster_network network = {plan.causal.grid, conditional, asks_unknown, &own};
    cbn_sample_raster(&network, seed, clamped, chains, state, num_threads);
    return CBN_OK;
}

int cbn_tied_inpaint(const cbn_tied *tied, uint64_t seed, const cbn_particles *particles, double *log_marginal,
                     cbn_workspace workspace, int num_threads) {
    cbn_causal_plan plan;
    CBN_TRY(cbn_tied_plan(tied, &plan));
    const tied_network own = {tied, &plan, cbn_kernels_select()};
    const cbn_raster_network network = {plan.causal.grid, conditional, asks_unknown, &own};
    return cbn_particle_filter(&network, seed, particles, log_marginal, workspace, num_threads);
}
