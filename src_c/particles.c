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

void cbn_pack_group(const uint8_t *states, int64_t n, int64_t n_nodes, int64_t group, int64_t n_groups,
                    uint64_t *state) {
    for (int64_t v = 0; v < n_nodes; v++) state[v * n_groups + group] = 0;
    for (int64_t i = 0; i < 64 && 64 * group + i < n; i++)
        for (int64_t v = 0; v < n_nodes; v++)
            state[v * n_groups + group] |= (uint64_t)(states[(64 * group + i) * n_nodes + v] != 0) << i;
}

void cbn_unpack_group(const uint64_t *state, int64_t n, int64_t n_nodes, int64_t group, int64_t n_groups,
                      uint8_t *states) {
    for (int64_t i = 0; i < 64 && 64 * group + i < n; i++)
        for (int64_t v = 0; v < n_nodes; v++)
            states[(64 * group + i) * n_nodes + v] = (uint8_t)(state[v * n_groups + group] >> i & 1);
}

void cbn_raster_pass(const cbn_raster_network *network, uint64_t seed, int64_t group, int64_t n_groups,
                     const uint8_t *clamped, uint64_t *state) {
    const cbn_kernels *kernels = cbn_kernels_select();
    for (int64_t step = 0; step < network->channels * network->positions; step++) {
        const int64_t node = cbn_raster_node(network, step);
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

int cbn_inpaint_workspace_size(int64_t n_nodes, int64_t n_particles, int num_threads, int64_t *bytes) {
    int64_t rows;
    if (!bytes) return CBN_E_NULL;
    if (n_nodes < 1 || n_particles < 1 || n_particles > UINT32_MAX) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    /* words of all nodes and of a row for each thread; log weight and ancestor of each particle */
    CBN_TRY(cbn_multiply(n_nodes + num_threads + 64 + 32, cbn_particle_groups(n_particles), &rows));
    return cbn_multiply(rows, 8, bytes);
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

int cbn_particle_filter(const cbn_raster_network *network, uint64_t seed, int64_t n, const uint8_t *known,
                        uint8_t *states, double *weight, double *log_marginal, void *workspace, int num_threads) {
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_nodes = network->channels * network->positions, n_groups = cbn_particle_groups(n);
    uint64_t *state = (uint64_t *)workspace, *scratch = state + n_nodes * n_groups;
    double *log_weight = (double *)(scratch + num_threads * n_groups);
    uint32_t *ancestor = (uint32_t *)(log_weight + 64 * n_groups);
    double constant = 0.0; /* of all log weights */
    int resample = 0;
    for (int64_t v = 0; v < n_nodes; v++)
        for (int64_t g = 0; g < n_groups; g++) state[v * n_groups + g] = known[v] && states[v] ? ~(uint64_t)0 : 0;
    for (int64_t i = 0; i < 64 * n_groups; i++) log_weight[i] = 0.0;
    int64_t first_missing = 0;
    while (first_missing < n_nodes && known[cbn_raster_node(network, first_missing)]) first_missing++;
    for (int64_t step = 0; step < first_missing; step++) {
        const int64_t node = cbn_raster_node(network, step);
        weigh_group(network, node, 0, n_groups, states[node] != 0, state, log_weight);
    }
    constant = log_weight[0];
    for (int i = 0; i < 64; i++) log_weight[i] = 0.0;

    CBN_PARALLEL(num_threads, n_groups)
    {
        const int64_t thread = cbn_thread();
        for (int64_t step = first_missing; step < n_nodes; step++) {
            const int64_t node = cbn_raster_node(network, step);
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
                const int64_t moved = cbn_raster_node(network, earlier);
                if (!known[moved])
                    permute(state + moved * n_groups, n, n_groups, ancestor, scratch + thread * n_groups);
            }
        }
    }
    const weight_sums s = weights_of(log_weight, n, weight);
    if (!(s.sum > 0.0) || constant == -INFINITY) return CBN_E_IMPOSSIBLE;
    for (int64_t i = 0; i < n; i++) weight[i] /= s.sum;
    *log_marginal = constant + s.largest + cbn_log(s.sum / (double)n);
    for (int64_t g = 0; g < n_groups; g++) cbn_unpack_group(state, n, n_nodes, g, n_groups, states);
    return CBN_OK;
}
