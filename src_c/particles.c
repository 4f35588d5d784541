/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The raster pass, and sequential Monte Carlo over it: the bootstrap filter of Gordon, Salmond, Smith (1993), with
 * resampling only when the effective sample size asks for it (Doucet, Johansen 2009, section 3.5).
 *
 * Known nodes whose CPD asks for no missing node have one probability in all particles, and are left out. Threads own
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

void cbn_sample_raster(const cbn_raster_network *network, uint64_t seed, const uint8_t *clamped, cbn_chains chains,
                       uint64_t *state, int num_threads) {
    const int64_t n_groups = cbn_particle_groups(chains.n), n_nodes = cbn_grid_nodes(network->grid);
    CBN_PARALLEL_FOR(num_threads, n_groups, static)
    for (int64_t g = 0; g < n_groups; g++) {
        cbn_pack_group(chains, n_nodes, g, n_groups, state);
        cbn_raster_pass(network, seed, g, n_groups, clamped, state);
        cbn_unpack_group(state, n_nodes, g, n_groups, chains);
    }
}

/* ---- weights ---- */

/* weight[i] = exp(log_weight[i] - largest); their sum, and the effective sample size. */
typedef struct {
    double largest, sum, effective;
} weight_sums;

static weight_sums weights_of(const cbn_kernels *kernels, const double *log_weight, int64_t n, double *weight) {
    weight_sums s = {log_weight[0], 0.0, 0.0};
    double sums[2];
    for (int64_t i = 1; i < n; i++) s.largest = log_weight[i] > s.largest ? log_weight[i] : s.largest;
    if (s.largest == -INFINITY) return s;
    kernels->weights_of_logs(log_weight, n, s.largest, weight, sums);
    s.sum = sums[0];
    s.effective = s.sum * s.sum / sums[1];
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

/* ---- the filter ---- */

/* What a node is to the filter. */
enum { MISSING, EVIDENCE, CONSTANT };

/* The parts of a workspace. */
typedef struct {
    uint64_t *state;       /* (nodes, groups) */
    uint64_t *by_particle; /* (threads, 64 groups) */
    double *log_weight;    /* (64 groups), like the next two */
    double *uniform;
    uint32_t *ancestor;
    int64_t *missing; /* (nodes): the missing nodes in raster order */
    uint8_t *role;    /* (nodes) by place in raster order */
} filter_parts;

static int take_parts(cbn_arena *arena, int64_t n_nodes, int64_t n_particles, int num_threads, filter_parts *parts) {
    if (n_nodes < 1 || n_particles < 1 || n_particles > UINT32_MAX) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    const int64_t n_groups = cbn_particle_groups(n_particles);
    parts->state = cbn_take_rows(arena, n_nodes, n_groups, sizeof *parts->state);
    parts->by_particle = cbn_take_rows(arena, num_threads, 64 * n_groups, sizeof *parts->by_particle);
    parts->log_weight = cbn_take(arena, 64 * n_groups, sizeof *parts->log_weight);
    parts->uniform = cbn_take(arena, 64 * n_groups, sizeof *parts->uniform);
    parts->ancestor = cbn_take(arena, 64 * n_groups, sizeof *parts->ancestor);
    parts->missing = cbn_take(arena, n_nodes, sizeof *parts->missing);
    parts->role = cbn_take(arena, n_nodes, sizeof *parts->role);
    return CBN_OK;
}

int cbn_inpaint_workspace_size(int64_t n_nodes, int64_t n_particles, int num_threads, int64_t *bytes) {
    filter_parts parts;
    cbn_arena arena = cbn_counting_arena();
    CBN_TRY(take_parts(&arena, n_nodes, n_particles, num_threads, &parts));
    return cbn_arena_size(&arena, bytes);
}

static double resampling_uniform(uint64_t seed, int64_t step) {
    double u;
    cbn_uniform(seed, CBN_RANDOM_RESAMPLE, 1, (uint64_t)step, 1, &u);
    return u;
}

/* Fills missing and role, and the states of all particles: missing nodes 0. Returns the log-probability of the known
 * nodes whose CPD asks for no missing one, which is the same in all particles. */
static double prepare(const cbn_raster_network *network, const uint8_t *known, const uint8_t *states, int64_t n_groups,
                      const filter_parts *parts) {
    const int64_t n_nodes = cbn_grid_nodes(network->grid);
    double constant = 0.0, p[2][64];
    for (int64_t v = 0; v < n_nodes; v++)
        for (int64_t g = 0; g < n_groups; g++)
            parts->state[v * n_groups + g] = known[v] && states[v] ? ~(uint64_t)0 : 0;
    for (int64_t step = 0, n_missing = 0; step < n_nodes; step++) {
        const int64_t node = cbn_raster_node(network->grid, step);
        if (!known[node]) {
            parts->role[step] = MISSING;
            parts->missing[n_missing++] = node;
            continue;
        }
        parts->role[step] = n_missing && network->asks_unknown(network->network, node, known) ? EVIDENCE : CONSTANT;
        if (parts->role[step] == EVIDENCE) continue;
        network->conditional(network->network, node, parts->state, n_groups, p);
        const double own = p[states[node] != 0][0];
        constant += own > 0.0 ? cbn_log(own) : -INFINITY;
    }
    return constant;
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
    double *weight = particles->weight;
    double constant = prepare(network, known, states, n_groups, &parts); /* of all log weights */
    int resample = 0;
    for (int64_t i = 0; i < 64 * n_groups; i++) parts.log_weight[i] = 0.0;

    CBN_PARALLEL(cbn_worth(num_threads, 300.0 * (double)n_groups), n_groups) /* work of a step */
    {
        int64_t n_drawn = 0; /* missing nodes so far, the same in all threads */
        for (int64_t step = 0; step < n_nodes; step++) {
            if (parts.role[step] == CONSTANT) continue;
            const int64_t node = cbn_raster_node(network->grid, step);
            const int prepared = step > 0 && parts.role[step - 1] == MISSING;
            CBN_FOR(static)
            for (int64_t g = 0; g < n_groups; g++) {
                double p[2][64];
                network->conditional(network->network, node, parts.state + g, n_groups, p);
                if (parts.role[step] == EVIDENCE)
                    kernels->weigh_word(p[states[node] != 0], parts.log_weight + 64 * g);
                else
                    parts.state[node * n_groups + g] = kernels->draw_in_turn(
                        p[1], seed, (uint32_t)(64 * g), (uint64_t)step, prepared, parts.uniform + 64 * g);
            }
            if (parts.role[step] == MISSING) {
                n_drawn++;
                continue;
            }
            CBN_SINGLE
            {
                const weight_sums s = weights_of(kernels, parts.log_weight, n, weight);
                resample = s.sum > 0.0 && s.effective < 0.5 * (double)n;
                if (resample) {
                    constant += s.largest + cbn_log(s.sum / (double)n);
                    draw_ancestors(weight, n, s.sum, resampling_uniform(seed, step), parts.ancestor);
                    for (int64_t i = 0; i < 64 * n_groups; i++) parts.log_weight[i] = 0.0;
                }
            }
            if (!resample) continue;
            CBN_FOR(static)
            for (int64_t first = 0; first < n_drawn; first += 64) {
                const int moved = n_drawn - first < 64 ? (int)(n_drawn - first) : 64;
                kernels->take_ancestors(parts.state, parts.missing + first, moved, n, n_groups, parts.ancestor,
                                        parts.by_particle + 64 * n_groups * cbn_thread());
            }
        }
    }
    const weight_sums s = weights_of(kernels, parts.log_weight, n, weight);
    if (!(s.sum > 0.0) || constant == -INFINITY) return CBN_E_IMPOSSIBLE;
    for (int64_t i = 0; i < n; i++) weight[i] /= s.sum;
    *log_marginal = constant + s.largest + cbn_log(s.sum / (double)n);
    const cbn_chains chains = {n, states};
    for (int64_t g = 0; g < n_groups; g++) cbn_unpack_group(parts.state, n_nodes, g, n_groups, chains);
    return CBN_OK;
}
