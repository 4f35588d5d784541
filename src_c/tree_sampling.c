/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sampling under trees. Ancestral: one raster pass. Gibbs: flipping node v changes its own factor and those of the
 * chains that come to a vertex which splits on v. These vertices are listed once a call; from each, one goes up to the
 * root to see which chains come, and down both sides to see what they find. Threads own groups of chains, one after the
 * other in the same memory.
 */
#include "chains.h"
#include "trees.h"

/* A workspace: the states of a group for every thread, then the lists. */
typedef struct {
    int64_t n_nodes, n_vertices, threads, per_group;
    int64_t bytes;
} sampler_sizes;

static int sizes_of(const cbn_trees *trees, int64_t n_chains, int num_threads, sampler_sizes *sizes) {
    CBN_TRY(cbn_trees_check(trees));
    if (n_chains < 1 || n_chains > UINT32_MAX) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    sizes->n_nodes = cbn_tree_nodes(trees);
    sizes->n_vertices = trees->begin[sizes->n_nodes];
    sizes->per_group = cbn_chains_per_group(n_chains, num_threads, CBN_TREE_GROUP);
    sizes->threads = cbn_useful_threads(num_threads, (n_chains + sizes->per_group - 1) / sizes->per_group);
    int64_t states;
    CBN_TRY(cbn_multiply(8 * sizes->n_nodes, sizes->threads, &states)); /* 2^3 2^31 2^31 at most */
    const int64_t lists = 8 * (sizes->n_nodes + 1) + (int64_t)(sizeof(cbn_vertex) + 4) * sizes->n_vertices;
    if (states > INT64_MAX - lists) return CBN_E_SIZE;
    sizes->bytes = states + lists;
    return CBN_OK;
}

int cbn_tree_sampler_workspace_size(const cbn_trees *trees, int64_t n_chains, int num_threads, int64_t *bytes) {
    sampler_sizes sizes;
    if (!bytes) return CBN_E_NULL;
    CBN_TRY(sizes_of(trees, n_chains, num_threads, &sizes));
    *bytes = sizes.bytes;
    return CBN_OK;
}

static int check_arguments(const cbn_trees *trees, const double *probability, int64_t n_chains, const uint8_t *states,
                           const void *workspace, int64_t workspace_bytes, int num_threads, sampler_sizes *sizes) {
    CBN_TRY(sizes_of(trees, n_chains, num_threads, sizes));
    if (!probability || !states || !workspace) return CBN_E_NULL;
    return workspace_bytes < sizes->bytes ? CBN_E_WORKSPACE : CBN_OK;
}

/* plan == NULL: ancestral sampling. */
static void sample_groups(const cbn_tree_gibbs_plan *plan, const cbn_trees *trees, const double *probability,
                          uint64_t seed, int64_t n_chains, const uint8_t *clamped, uint8_t *states, void *workspace,
                          const sampler_sizes *sizes) {
    const cbn_kernels *kernels = cbn_kernels_select();
    CBN_PARALLEL_FOR((int)sizes->threads, sizes->threads, static)
    for (int64_t first = 0; first < n_chains; first += sizes->per_group) {
        const int64_t thread = cbn_thread();
        const int64_t n_nodes = sizes->n_nodes;
        const int n = (int)(n_chains - first < sizes->per_group ? n_chains - first : sizes->per_group);
        uint64_t *state = (uint64_t *)workspace + thread * n_nodes;
        uint8_t *own = states + first * n_nodes;
        kernels->pack_word(own, n, n_nodes, 0, state, 1);
        if (plan)
            kernels->gibbs_trees(plan, (uint32_t)first, n, state);
        else
            kernels->ancestral_trees(trees, probability, seed, clamped, (uint32_t)first, n, state);
        for (int64_t i = 0; i < n; i++)
            for (int64_t v = 0; v < n_nodes; v++) own[i * n_nodes + v] = (uint8_t)(state[v] >> i & 1);
    }
}

int cbn_tree_sample_ancestral(const cbn_trees *trees, const double *probability, uint64_t seed, int64_t n_chains,
                              const uint8_t *clamped, uint8_t *states, void *workspace, int64_t workspace_bytes,
                              int num_threads) {
    sampler_sizes sizes;
    CBN_TRY(check_arguments(trees, probability, n_chains, states, workspace, workspace_bytes, num_threads, &sizes));
    /* full groups: a pass is over sooner than another thread wakes up; never more threads than there is room for */
    sizes.per_group = CBN_TREE_GROUP;
    sizes.threads = cbn_useful_threads(num_threads, (n_chains + CBN_TREE_GROUP - 1) / CBN_TREE_GROUP);
    sample_groups(NULL, trees, probability, seed, n_chains, clamped, states, workspace, &sizes);
    return CBN_OK;
}

/* Fills what a plan says of vertices: begin (nodes + 1), asked (vertices), above (vertices). */
static void list_vertices(const cbn_trees *trees, int64_t *begin, cbn_vertex *asked, int32_t *above) {
    const int64_t n_nodes = cbn_tree_nodes(trees), n_vertices = trees->begin[n_nodes];
    memset(begin, 0, sizeof *begin * (size_t)(n_nodes + 1));
    for (int64_t t = 0; t < n_vertices; t++)
        if (trees->split[t] >= 0) begin[trees->split[t] + 1]++;
    for (int64_t v = 0; v < n_nodes; v++) begin[v + 1] += begin[v];
    for (int64_t node = 0; node < n_nodes; node++) {
        const cbn_tree tree = cbn_tree_of(trees, node, NULL);
        int32_t *own = above + trees->begin[node];
        own[0] = -1;
        for (int32_t t = 0; t < tree.n_vertices; t++) {
            if (tree.split[t] < 0) continue;
            for (int side = 0; side < 2; side++) own[tree.child[t] + side] = 2 * t + side;
            asked[begin[tree.split[t]]++] = (cbn_vertex){tree.node, t};
        }
    }
    for (int64_t v = n_nodes; v > 0; v--) begin[v] = begin[v - 1]; /* entering has moved every begin to its end */
    begin[0] = 0;
}

int cbn_tree_sample_gibbs(const cbn_trees *trees, const double *probability, uint64_t seed, uint64_t first_step,
                          int64_t n_steps, const int64_t *sites, int64_t n_sites, int64_t n_chains, uint8_t *states,
                          void *workspace, int64_t workspace_bytes, int num_threads) {
    sampler_sizes sizes;
    CBN_TRY(check_arguments(trees, probability, n_chains, states, workspace, workspace_bytes, num_threads, &sizes));
    if (!sites) return CBN_E_NULL;
    if (n_sites < 1 || n_sites > UINT32_MAX || n_steps < 0) return CBN_E_SIZE;
    for (int64_t i = 0; i < n_sites; i++)
        if (sites[i] < 0 || sites[i] >= sizes.n_nodes) return CBN_E_SITE;
    int64_t *begin = (int64_t *)workspace + sizes.threads * sizes.n_nodes;
    cbn_vertex *asked = (cbn_vertex *)(begin + sizes.n_nodes + 1);
    int32_t *above = (int32_t *)(asked + sizes.n_vertices);
    list_vertices(trees, begin, asked, above);
    const cbn_tree_gibbs_plan plan = {trees, probability, seed, first_step, n_steps, sites, (uint64_t)n_sites,
                                      begin, asked, above};
    sample_groups(&plan, trees, probability, seed, n_chains, NULL, states, workspace, &sizes);
    return CBN_OK;
}
