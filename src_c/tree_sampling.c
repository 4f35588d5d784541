/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sampling under trees. Ancestral: one raster pass. Gibbs: flipping node v changes its own factor and those of the
 * chains that come to a vertex which splits on v. These vertices are listed once a call; from each, one goes up to the
 * root to see which chains come, and down both sides to see what they find. Threads own groups of chains, one after the
 * other in the same memory.
 */
#include "chains.h"
#include "trees.h"
#include "workspace.h"

/* A workspace: the states of a group for every thread, then the lists. */
typedef struct {
    int64_t n_nodes, n_vertices, threads, per_group;
    uint64_t *states;
    int64_t *begin;
    cbn_vertex *asked;
    int32_t *above;
} sampler_parts;

static int take_parts(cbn_arena *arena, const cbn_trees *trees, int64_t n_chains, int num_threads,
                      sampler_parts *parts) {
    CBN_TRY(cbn_trees_check(trees));
    if (n_chains < 1 || n_chains > UINT32_MAX) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    parts->n_nodes = cbn_grid_nodes(trees->grid);
    parts->n_vertices = trees->begin[parts->n_nodes];
    parts->per_group = cbn_chains_per_group(n_chains, num_threads, CBN_TREE_GROUP);
    parts->threads = cbn_useful_threads(num_threads, (n_chains + parts->per_group - 1) / parts->per_group);
    parts->states = cbn_take_rows(arena, parts->threads, parts->n_nodes, sizeof *parts->states);
    parts->begin = cbn_take(arena, parts->n_nodes + 1, sizeof *parts->begin);
    parts->asked = cbn_take(arena, parts->n_vertices, sizeof *parts->asked);
    parts->above = cbn_take(arena, parts->n_vertices, sizeof *parts->above);
    return CBN_OK;
}

int cbn_tree_sampler_workspace_size(const cbn_trees *trees, int64_t n_chains, int num_threads, int64_t *bytes) {
    sampler_parts parts;
    cbn_arena arena = cbn_counting_arena();
    CBN_TRY(take_parts(&arena, trees, n_chains, num_threads, &parts));
    return cbn_arena_size(&arena, bytes);
}

static int check_arguments(const cbn_trees *trees, const double *probability, cbn_chains chains,
                           cbn_workspace workspace, int num_threads, sampler_parts *parts) {
    cbn_arena arena = cbn_arena_of(workspace);
    CBN_TRY(take_parts(&arena, trees, chains.n, num_threads, parts));
    if (!probability || !chains.states) return CBN_E_NULL;
    return cbn_arena_fits(&arena, workspace);
}

/* What an ancestral pass needs. */
typedef struct {
    const cbn_trees *trees;
    const double *probability;
    uint64_t seed;
    const uint8_t *clamped;
} ancestral_plan;

/* One of the plans is NULL. */
static void sample_groups(const cbn_tree_gibbs_plan *gibbs, const ancestral_plan *ancestral, cbn_chains chains,
                          const sampler_parts *parts) {
    const cbn_kernels *kernels = cbn_kernels_select();
    CBN_PARALLEL_FOR((int)parts->threads, parts->threads, static)
    for (int64_t first = 0; first < chains.n; first += parts->per_group) {
        const int64_t n_nodes = parts->n_nodes;
        const int n = (int)(chains.n - first < parts->per_group ? chains.n - first : parts->per_group);
        uint64_t *state = parts->states + cbn_thread() * n_nodes;
        uint8_t *own = chains.states + first * n_nodes;
        kernels->pack_word(own, n, n_nodes, 0, state, 1);
        if (gibbs)
            kernels->gibbs_trees(gibbs, (uint32_t)first, n, state);
        else
            kernels->ancestral_trees(ancestral->trees, ancestral->probability, ancestral->seed, ancestral->clamped,
                                     (uint32_t)first, n, state);
        for (int64_t i = 0; i < n; i++)
            for (int64_t v = 0; v < n_nodes; v++) own[i * n_nodes + v] = (uint8_t)(state[v] >> i & 1);
    }
}

int cbn_tree_sample_ancestral(const cbn_trees *trees, const double *probability, uint64_t seed, const uint8_t *clamped,
                              cbn_chains chains, cbn_workspace workspace, int num_threads) {
    sampler_parts parts;
    CBN_TRY(check_arguments(trees, probability, chains, workspace, num_threads, &parts));
    /* full groups: a pass is over sooner than another thread wakes up; never more threads than there is room for */
    parts.per_group = CBN_TREE_GROUP;
    const int64_t n_groups = (chains.n + CBN_TREE_GROUP - 1) / CBN_TREE_GROUP;
    num_threads = cbn_worth(num_threads, 25.0 * (double)(n_groups * parts.n_vertices));
    parts.threads = cbn_useful_threads(num_threads, n_groups);
    const ancestral_plan plan = {trees, probability, seed, clamped};
    sample_groups(NULL, &plan, chains, &parts);
    return CBN_OK;
}

/* Fills what a plan says of vertices: begin (nodes + 1), asked (vertices), above (vertices). */
static void list_vertices(const cbn_trees *trees, int64_t *begin, cbn_vertex *asked, int32_t *above) {
    const int64_t n_nodes = cbn_grid_nodes(trees->grid), n_vertices = trees->begin[n_nodes];
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

int cbn_tree_sample_gibbs(const cbn_trees *trees, const double *probability, const cbn_steps *steps, cbn_chains chains,
                          cbn_workspace workspace, int num_threads) {
    sampler_parts parts;
    CBN_TRY(check_arguments(trees, probability, chains, workspace, num_threads, &parts));
    CBN_TRY(cbn_steps_check(steps, parts.n_nodes));
    list_vertices(trees, parts.begin, parts.asked, parts.above);
    const cbn_tree_gibbs_plan plan = {trees, probability, steps, parts.begin, parts.asked, parts.above};
    sample_groups(&plan, NULL, chains, &parts);
    return CBN_OK;
}
