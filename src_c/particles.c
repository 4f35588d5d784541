/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The raster pass, and sequential Monte Carlo over it: the bootstrap filter of Gordon, Salmond, Smith (1993), with
 * resampling only when the effective sample size asks for it (Doucet, Johansen 2009, section 3.5).
 *
 * Known nodes before the first missing one are the same in all particles: one group of them is enough. Threads own
 * groups of particles at every node; sums over particles are made by one thread, in order.
 */
#include <math.h>

#include "particles.h"
#include "workspace.h"

void cbn_pack_group(cbn_chains chains, int64_t n_nodes, int64_t group, int64_t n_groups, uint64_t *state) {
    for (int64_t v = 0; v < n_nodes; v++) state[v * n_groups + group] = 0;
    for (int64_t i = 0; i < 64 && 64 * group + i < chains.n; i++)
        for (int64_t v = 0; v < n_nodes; v++)
            state[v * n_groups + group] |= (uint64_t)(chains.states[(64 * group + i) * n_nodes + v] != 0) << i;
}

void cbn_unpack_group(const uint64_t *state, int64_t n_nodes, int64_t group, int64_t n_groups, cbn_chains chains) {
    for (int64_t i = 0; i < 64 && 64 * group + i < chains.n; i++)
        for (int64_t v = 0; v < n_nodes; v++)
            chains.states[(64 * group + i) * n_nodes + v] = (uint8_t)(state[v * n_groups + group] >> i & 1);
}

void cbn_raster_pass(const cbn_raster_network *network, uint64_t seed, int64_t group, int64_t n_groups,
                     const uint8_t *clamped, uint64_t *state) {
    const cbn_kernels *kernels = cbn_kernels_select();
    for (int64_t step = 0; step < cbn_grid_nodes(network->grid); step++) {
        const int64_t node = cbn_raster_node(network->grid, step);
        if (clamped && clamped[node]) continue;
        double p[2][64];
        network->conditional(network->network, node, state + group, n_groups, p);
        state[node * n_groups + group] = kernels->draw_word(p[1], seed, (uint32_t)(64 * group), (uint64_t)step);
    }
}

/* ---- weights ---- */

/* weight[i] = exp(log_weight[i] - largest); their sum, and the effective sample size. */
typedef struct {
    double largest, sum, effective;
} weight_sums;

static weight_sums weights_of(const double *log_weight, int64_t n, double *weight) {
    weight_sums s = {log_weight[0], 0.0, 0.0};
    double squares = 0.0;
    for (int64_t i = 1; i < n; i++)
        if (log_weight[i] > s.largest) s.largest = log_weight[i];
    if (s.largest == -INFINITY) return s;
    for (int64_t i = 0; i < n; i++) {
        weight[i] = log_weight[i] == -INFINITY ? 0.0 : cbn_exp_negative(log_weight[i] - s.largest);
        s.sum += weight[i];
        squares += weight[i] * weight[i];
    }
    s.effective = s.sum * s.sum / squares;
    return s;
}

/* ancestor[i]: the particle at (i + u) / n of the cumulated weights (systematic resampling). */
static void draw_ancestors(const double *weight, int64_t n, double sum, double u, uint32_t *ancestor) {
    double passed = weight[0];
    int64_t j = 0;
    for (int64_t i = 0; i < n; i++) {
        const double at = ((double)i + u) * sum / (double)n;
        while (passed <= at && j < n - 1) passed += weight[++j];
        ancestor[i] = (uint32_t)j;
    }
}

static void permute(uint64_t *words, int64_t n, int64_t n_groups, const uint32_t *ancestor, uint64_t *scratch) {
    memset(scratch, 0, sizeof *scratch * (size_t)n_groups);
    for (int64_t i = 0; i < n; i++)
        scratch[i / 64] |= (words[ancestor[i] / 64] >> ancestor[i] % 64 & 1) << i % 64;
    memcpy(words, scratch, sizeof *words * (size_t)n_groups);
}

/* ---- the filter ---- */

/* The parts of a workspace. */
typedef struct {
    uint64_t *state, *scratch; /* (nodes, groups); (threads, groups) */
    double *log_weight;        /* (64 groups), like the next one */
    uint32_t *ancestor;
} filter_parts;

static int take_parts(cbn_arena *arena, int64_t n_nodes, int64_t n_particles, int num_threads, filter_parts *parts) {
    if (n_nodes < 1 || n_particles < 1 || n_particles > UINT32_MAX) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    const int64_t n_groups = cbn_particle_groups(n_particles);
    parts->state = cbn_take_rows(arena, n_nodes, n_groups, sizeof *parts->state);
    parts->scratch = cbn_take_rows(arena, num_threads, n_groups, sizeof *parts->scratch);
    parts->log_weight = cbn_take(arena, 64 * n_groups, sizeof *parts->log_weight);
    parts->ancestor = cbn_take(arena, 64 * n_groups, sizeof *parts->ancestor);
    return CBN_OK;
}

int cbn_inpaint_workspace_size(int64_t n_nodes, int64_t n_particles, int num_threads, int64_t *bytes) {
    filter_parts parts;
    cbn_arena arena = cbn_counting_arena();
    CBN_TRY(take_parts(&arena, n_nodes, n_particles, num_threads, &parts));
    return cbn_arena_size(&arena, bytes);
}

/* Log-probabilities of a known node's state are added to the weights of a group. */
static void weigh_group(const cbn_raster_network *network, int64_t node, int64_t group, int64_t n_groups, int state_of,
                        const uint64_t *state, double *log_weight) {
    double p[2][64];
    network->conditional(network->network, node, state + group, n_groups, p);
    for (int i = 0; i < 64; i++) {
        const double own = p[state_of][i];
        log_weight[64 * group + i] += own > 0.0 ? cbn_log(own) : -INFINITY;
    }
}

static double resampling_uniform(uint64_t seed, int64_t step) {
    double u;
    cbn_uniform(seed, CBN_RANDOM_RESAMPLE, 1, (uint64_t)step, 1, &u);
    return u;
}

int cbn_particle_filter(const cbn_raster_network *network, uint64_t seed, const cbn_particles *particles,
                        double *log_marginal, cbn_workspace workspace, int num_threads) {
    if (!particles || !particles->known || !particles->states || !particles->weight || !log_marginal)
        return CBN_E_NULL;
    const int64_t n = particles->n, n_nodes = cbn_grid_nodes(network->grid), n_groups = cbn_particle_groups(n);
    filter_parts parts;
    cbn_arena arena = cbn_arena_of(workspace);
    CBN_TRY(take_parts(&arena, n_nodes, n, num_threads, &parts));
    CBN_TRY(cbn_arena_fits(&arena, workspace));
    const cbn_kernels *kernels = cbn_kernels_select();
    const uint8_t *known = particles->known;
    uint8_t *states = particles->states;
    double *weight = particles->weight, *log_weight = parts.log_weight;
    uint64_t *state = parts.state;
    uint32_t *ancestor = parts.ancestor;
    double constant = 0.0; /* of all log weights */
    int resample = 0;
    for (int64_t v = 0; v < n_nodes; v++)
        for (int64_t g = 0; g < n_groups; g++) state[v * n_groups + g] = known[v] && states[v] ? ~(uint64_t)0 : 0;
    for (int64_t i = 0; i < 64 * n_groups; i++) log_weight[i] = 0.0;
    int64_t first_missing = 0;
    while (first_missing < n_nodes && known[cbn_raster_node(network->grid, first_missing)]) first_missing++;
    for (int64_t step = 0; step < first_missing; step++) {
        const int64_t node = cbn_raster_node(network->grid, step);
        weigh_group(network, node, 0, n_groups, states[node] != 0, state, log_weight);
    }
    constant = log_weight[0];
    for (int i = 0; i < 64; i++) log_weight[i] = 0.0;

    CBN_PARALLEL(num_threads, n_groups)
    {
        for (int64_t step = first_missing; step < n_nodes; step++) {
            const int64_t node = cbn_raster_node(network->grid, step);
            CBN_FOR(static)
            for (int64_t g = 0; g < n_groups; g++) {
                if (known[node]) {
                    weigh_group(network, node, g, n_groups, states[node] != 0, state, log_weight);
                    continue;
                }
                double p[2][64];
                network->conditional(network->network, node, state + g, n_groups, p);
                state[node * n_groups + g] = kernels->draw_word(p[1], seed, (uint32_t)(64 * g), (uint64_t)step);
            }
            if (!known[node]) continue;
            CBN_SINGLE
            {
                const weight_sums s = weights_of(log_weight, n, weight);
                resample = s.sum > 0.0 && s.effective < 0.5 * (double)n;
                if (resample) {
                    constant += s.largest + cbn_log(s.sum / (double)n);
                    draw_ancestors(weight, n, s.sum, resampling_uniform(seed, step), ancestor);
                    for (int64_t i = 0; i < 64 * n_groups; i++) log_weight[i] = 0.0;
                }
            }
            if (!resample) continue;
            CBN_FOR(static)
            for (int64_t earlier = first_missing; earlier < step; earlier++) {
                const int64_t moved = cbn_raster_node(network->grid, earlier);
                if (!known[moved])
                    permute(state + moved * n_groups, n, n_groups, ancestor, parts.scratch + cbn_thread() * n_groups);
            }
        }
    }
    const weight_sums s = weights_of(log_weight, n, weight);
    if (!(s.sum > 0.0) || constant == -INFINITY) return CBN_E_IMPOSSIBLE;
    for (int64_t i = 0; i < n; i++) weight[i] /= s.sum;
    *log_marginal = constant + s.largest + cbn_log(s.sum / (double)n);
    const cbn_chains chains = {n, states};
    for (int64_t g = 0; g < n_groups; g++) cbn_unpack_group(state, n_nodes, g, n_groups, chains);
    return CBN_OK;
}
