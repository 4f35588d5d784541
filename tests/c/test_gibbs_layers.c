/* SPDX-License-Identifier: BSD-3-Clause */
/* Gibbs sampling through all layers: splitting, threads, workspaces of exactly the size that is asked for, refusals. */
#include <math.h>

#include "harness.h"

enum { CHAINS = 70, STEPS = 400 };

static int32_t small(uint64_t *state) { return (int32_t)(next_random(state) % 2000001) - 1000000; }

/* A transition with random kernels; *weights is to be freed. */
static cbn_transition make_transition(int channels, int height, int width, int kernels, int size, int pool,
                                      int32_t **weights) {
    const int64_t n = (int64_t)kernels * channels * size * size;
    uint64_t state = (uint64_t)(width + kernels);
    *weights = allocate(4 * (n + kernels));
    for (int64_t i = 0; i < n + kernels; i++) (*weights)[i] = small(&state);
    const cbn_transition t = {channels, height, width, kernels, size, pool, *weights, *weights + n};
    return t;
}

/* Three layers on height x width pixels; the hidden nodes have the parents of the thesis at distance 1. */
static void check_shape(int height, int width, int size, int pool) {
    enum { KERNELS = 3 };
    const int64_t begin[KERNELS + 1] = {0, 4, 8, 12};
    int32_t parent[4 * KERNELS], dy[4 * KERNELS], dx[4 * KERNELS], *weights[2];
    uint8_t required[4 * KERNELS] = {0};
    for (int r = 0; r < 4 * KERNELS; r++)
        parent[r] = (r / 4 + r) % KERNELS, dy[r] = thesis_dy[r % 4], dx[r] = thesis_dx[r % 4];
    cbn_transition t[2];
    t[0] = make_transition(1, height, width, KERNELS, size, pool, weights);
    const int h1 = (height - size + 1) / pool, w1 = (width - size + 1) / pool;
    t[1] = make_transition(KERNELS, h1, w1, KERNELS, 2, 1, weights + 1);
    const cbn_layer layers[3] = {thesis_layer(height, width),
                                 {{KERNELS, h1, w1}, begin, parent, dy, dx, required},
                                 {{KERNELS, h1 - 1, w1 - 1}, begin, parent, dy, dx, required}};
    int64_t rows = 0, own, bytes;
    for (int l = 0; l < 3; l++) {
        CHECK(cbn_layer_rows(layers + l, &own) == CBN_OK);
        rows += own;
    }
    const int64_t n_nodes = (int64_t)height * width;
    int64_t *values = allocate(16 * rows), *sites = allocate(8 * n_nodes);
    uint64_t state = 1;
    for (int64_t i = 0; i < 2 * rows; i++) values[i] = -(int64_t)(next_random(&state) % 3000);
    for (int64_t i = 0; i < n_nodes; i++) sites[i] = i;
    double schedule[STEPS];
    for (int i = 0; i < STEPS; i++) schedule[i] = i % 7 == 0 ? INFINITY : i % 5 * 0.5;
    const cbn_stack stack = {3, layers, t};
    const cbn_energy energy = {values, 0.001, schedule};
    uint8_t *first = allocate(CHAINS * n_nodes), *second = allocate(CHAINS * n_nodes);
    uint8_t *start = allocate(CHAINS * n_nodes);
    fill_images(start, CHAINS * n_nodes, 2);
    for (int64_t i = 0; i < CHAINS * n_nodes; i++) start[i] &= 1;

    for (int threads = 1; threads <= 4; threads++) {
        uint8_t *to = threads == 1 ? first : second;
        memcpy(to, start, (size_t)(CHAINS * n_nodes));
        CHECK(cbn_gibbs_layers_workspace_size(&stack, CHAINS, threads, &bytes) == CBN_OK);
        void *workspace = allocate(bytes);
        CHECK(cbn_sample_gibbs_layers(&stack, &energy, STEPS_OF(4, 9, STEPS, sites, n_nodes), SAMPLED(CHAINS, to),
                                      ROOM(workspace, bytes - 1), threads) == CBN_E_WORKSPACE);
        const int cuts[] = {0, threads, threads, 37 * threads, STEPS}; /* cut differently for each number of threads */
        for (int i = 0; i < 4; i++) {
            const cbn_energy part = {values, 0.001, schedule + cuts[i]};
            const cbn_steps steps = {4, 9 + (uint64_t)cuts[i], cuts[i + 1] - cuts[i], sites, n_nodes};
            CHECK(cbn_sample_gibbs_layers(&stack, &part, &steps, SAMPLED(CHAINS, to), ROOM(workspace, bytes),
                                          threads) == CBN_OK);
        }
        free(workspace);
        CHECK(memcmp(first, to, (size_t)(CHAINS * n_nodes)) == 0);
    }
    CHECK(memcmp(first, start, (size_t)(CHAINS * n_nodes)) != 0);
    free(weights[0]), free(weights[1]), free(values), free(sites), free(first), free(second), free(start);
}

static void refusals(void) {
    int32_t weights[9] = {1}, bias[1] = {0};
    const int64_t begin[2] = {0, 0}, site = 0, bad_site = 16, values[2 * 256 + 8] = {0};
    const int64_t two_begin[3] = {0, 0, 1};
    const int32_t zero = 0;
    const uint8_t yes = 1;
    cbn_layer layers[2] = {thesis_layer(4, 4), {{1, 2, 2}, begin, NULL, NULL, NULL, NULL}};
    cbn_transition t = {1, 4, 4, 1, 3, 1, weights, bias};
    const double one = 1.0, negative = -1.0, nan = NAN;
    uint8_t states[16] = {0};
    int64_t bytes;
#define SIZE(n, layers, t, chains, threads, bytes)                                                                     \
    cbn_gibbs_layers_workspace_size(&(cbn_stack){n, layers, t}, chains, threads, bytes)
    CHECK(cbn_gibbs_layers_workspace_size(NULL, 1, 1, &bytes) == CBN_E_NULL);
    CHECK(SIZE(2, NULL, &t, 1, 1, &bytes) == CBN_E_NULL);
    CHECK(SIZE(2, layers, NULL, 1, 1, &bytes) == CBN_E_NULL);
    CHECK(SIZE(2, layers, &t, 1, 1, NULL) == CBN_E_NULL);
    CHECK(SIZE(0, layers, &t, 1, 1, &bytes) == CBN_E_SIZE);
    CHECK(SIZE(CBN_MAX_LAYERS + 1, layers, &t, 1, 1, &bytes) == CBN_E_SIZE);
    CHECK(SIZE(2, layers, &t, 0, 1, &bytes) == CBN_E_SIZE);
    CHECK(SIZE(2, layers, &t, 1, 0, &bytes) == CBN_E_PARAMETER);
    CHECK(SIZE(1, layers, NULL, 1, 1, &bytes) == CBN_OK);
    layers[1].grid.height = 3; /* not what the transition makes */
    CHECK(SIZE(2, layers, &t, 1, 1, &bytes) == CBN_E_SIZE);
    layers[1].grid.height = 2;
    t.in_width = 5;
    CHECK(SIZE(2, layers, &t, 1, 1, &bytes) == CBN_E_SIZE);
    t.in_width = 4, t.pool = 3;
    CHECK(SIZE(2, layers, &t, 1, 1, &bytes) == CBN_E_TRANSITION);
    t.pool = 1;
    const cbn_layer required = {{2, 2, 2}, two_begin, &zero, &zero, &zero, &yes}, good = layers[1];
    cbn_transition two = t;
    int32_t two_weights[18] = {0}, two_bias[2] = {0};
    two.out_channels = 2, two.weights = two_weights, two.bias = two_bias;
    layers[1] = required;
    CHECK(SIZE(2, layers, &two, 1, 1, &bytes) == CBN_E_RELATION);
    layers[1] = good;
    const cbn_layer huge = {{1, 5000, 5000}, begin, NULL, NULL, NULL, NULL};
    CHECK(SIZE(1, &huge, NULL, UINT32_MAX, 1024, &bytes) == CBN_OK); /* 32 chains a thread at a time */
    CHECK(bytes < (int64_t)1024 * 5000 * 5000 * 64);
    CHECK(SIZE(2, layers, &t, 1, 1, &bytes) == CBN_OK);
    void *workspace = allocate(bytes);
#define RUN(values, unit, schedule, steps, site, n_sites, chains, states)                                              \
    cbn_sample_gibbs_layers(&(cbn_stack){2, layers, &t}, &(cbn_energy){values, unit, schedule},                        \
                            STEPS_OF(1, 0, steps, site, n_sites), SAMPLED(chains, states), ROOM(workspace, bytes), 1)
    CHECK(RUN(values, 1.0, &one, 1, &site, 1, 1, states) == CBN_OK);
    CHECK(RUN(values, 1.0, NULL, 0, &site, 1, 1, states) == CBN_OK);
    CHECK(RUN(NULL, 1.0, &one, 1, &site, 1, 1, states) == CBN_E_NULL);
    CHECK(RUN(values, 1.0, NULL, 1, &site, 1, 1, states) == CBN_E_NULL);
    CHECK(RUN(values, 1.0, &one, 1, NULL, 1, 1, states) == CBN_E_NULL);
    CHECK(RUN(values, 1.0, &one, 1, &site, 1, 1, NULL) == CBN_E_NULL);
    CHECK(RUN(values, 0.0, &one, 1, &site, 1, 1, states) == CBN_E_PARAMETER);
    CHECK(RUN(values, INFINITY, &one, 1, &site, 1, 1, states) == CBN_E_PARAMETER);
    CHECK(RUN(values, NAN, &one, 1, &site, 1, 1, states) == CBN_E_PARAMETER);
    CHECK(RUN(values, 1.0, &negative, 1, &site, 1, 1, states) == CBN_E_PARAMETER);
    CHECK(RUN(values, 1.0, &nan, 1, &site, 1, 1, states) == CBN_E_PARAMETER);
    CHECK(RUN(values, 1.0, &one, -1, &site, 1, 1, states) == CBN_E_SIZE);
    CHECK(RUN(values, 1.0, &one, 1, &site, 0, 1, states) == CBN_E_SIZE);
    CHECK(RUN(values, 1.0, &one, 1, &site, 1, 0, states) == CBN_E_SIZE);
    CHECK(RUN(values, 1.0, &one, 1, &bad_site, 1, 1, states) == CBN_E_SITE);
    free(workspace);
}

int main(void) {
    check_shape(12, 13, 3, 2);
    check_shape(9, 10, 2, 3);
    check_shape(8, 70, 4, 1);
    check_shape(5, 5, 2, 2); /* one position on top: nothing left to be a parent */
    refusals();
    return report(__FILE__);
}
