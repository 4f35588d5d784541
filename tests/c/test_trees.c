/* SPDX-License-Identifier: BSD-3-Clause */
/* Trees: malformed ones are refused; growth, counts, scores and samples with workspaces of exactly the size that is
 * asked for, for any number of threads. */
#include "harness.h"

#define LISTS(begin, node, required) (&(cbn_candidates){begin, node, required})
#define GROWTH(penalty, max_leaves, min_leaf) (&(cbn_growth){penalty, max_leaves, min_leaf})
#define SMOOTHING(pseudocount, shrinkage) ((cbn_smoothing){pseudocount, shrinkage})

/* Three pixels in a row: a leaf, a leaf, and a tree that splits on pixel 1 and, where it is 1, on pixel 0. */
typedef struct {
    int32_t channels, height, width;
    int64_t begin[4];
    int32_t split[7], child[7], required[3];
} three_pixels;

static const three_pixels sound = {
    1, 1, 3, {0, 1, 2, 7}, {-1, -1, 1, -1, 0, -1, -1}, {0, 0, 1, 0, 3, 0, 0}, {-1, -1, -1}};

static int check_three(const three_pixels *t) {
    /* exactly the arrays that begin promises, so that the sanitizer sees every read beyond them */
    const int64_t n = t->begin[3] >= 0 && t->begin[3] <= 7 ? t->begin[3] : 0;
    int32_t *split = allocate(4 * n), *child = allocate(4 * n);
    memcpy(split, t->split, (size_t)(4 * n)), memcpy(child, t->child, (size_t)(4 * n));
    const cbn_trees trees = {{t->channels, t->height, t->width}, t->begin, split, child, t->required};
    const int status = cbn_trees_check(&trees);
    free(split), free(child);
    return status;
}

#define REFUSED(code, field, value)                                                                                    \
    do {                                                                                                               \
        three_pixels t = sound;                                                                                        \
        t.field = value;                                                                                               \
        CHECK(check_three(&t) == (code));                                                                              \
    } while (0)

static void malformed(void) {
    CHECK(check_three(&sound) == CBN_OK);
    CHECK(cbn_trees_check(NULL) == CBN_E_NULL);
    cbn_trees trees = {{1, 1, 3}, sound.begin, sound.split, NULL, NULL};
    CHECK(cbn_trees_check(&trees) == CBN_E_NULL);
    trees.child = sound.child;
    CHECK(cbn_trees_check(&trees) == CBN_OK);
    REFUSED(CBN_E_SIZE, channels, 0);
    REFUSED(CBN_E_SIZE, height, -1);
    REFUSED(CBN_E_SIZE, width, 0);
    three_pixels large = sound;
    large.channels = large.height = large.width = INT32_MAX;
    CHECK(check_three(&large) == CBN_E_SIZE);
    REFUSED(CBN_E_TREE, begin[0], 1);
    REFUSED(CBN_E_TREE, begin[0], -1);
    REFUSED(CBN_E_TREE, begin[1], 0);
    REFUSED(CBN_E_TREE, begin[1], 6);
    REFUSED(CBN_E_TREE, begin[1], INT64_MIN);
    REFUSED(CBN_E_TREE, begin[1], INT64_MAX);
    REFUSED(CBN_E_TREE, begin[2], 1);
    REFUSED(CBN_E_TREE, begin[3], 2);
    REFUSED(CBN_E_TREE, begin[3], 4);
    REFUSED(CBN_E_TREE, begin[3], 6);
    REFUSED(CBN_E_TREE, begin[3], 2 * CBN_MAX_LEAVES + 2);
    REFUSED(CBN_E_TREE, begin[3], INT64_MAX);
    REFUSED(CBN_E_TREE, split[0], 0);
    REFUSED(CBN_E_TREE, split[0], 2);
    REFUSED(CBN_E_TREE, split[2], -1);
    REFUSED(CBN_E_TREE, split[2], 2);
    REFUSED(CBN_E_TREE, split[2], 3);
    REFUSED(CBN_E_TREE, split[2], INT32_MAX);
    REFUSED(CBN_E_TREE, split[3], -2);
    REFUSED(CBN_E_TREE, split[3], INT32_MIN);
    REFUSED(CBN_E_TREE, split[4], -1);
    REFUSED(CBN_E_TREE, split[5], 0);
    REFUSED(CBN_E_TREE, split[6], 0);
    REFUSED(CBN_E_TREE, child[0], 1);
    REFUSED(CBN_E_TREE, child[2], 3);
    REFUSED(CBN_E_TREE, child[3], 3);
    REFUSED(CBN_E_TREE, child[4], 0);
    REFUSED(CBN_E_TREE, child[4], 1);
    REFUSED(CBN_E_TREE, child[4], 5);
    REFUSED(CBN_E_TREE, child[4], INT32_MAX);
    REFUSED(CBN_E_TREE, child[4], -3);
    REFUSED(CBN_E_TREE, required[0], 0);
    REFUSED(CBN_E_TREE, required[1], 0);
    REFUSED(CBN_E_TREE, required[2], 0);
    REFUSED(CBN_E_TREE, required[2], 3);
    REFUSED(CBN_E_TREE, required[0], -2);
    REFUSED(CBN_E_TREE, required[2], INT32_MIN);
    REFUSED(CBN_OK, required[2], 1);
    three_pixels wrong_side = {1, 1, 3, {0, 1, 2, 7}, {-1, -1, 1, 0, -1, -1, -1}, {0, 0, 1, 3, 0, 0, 0}, {-1, -1, 1}};
    CHECK(check_three(&wrong_side) == CBN_E_TREE);
    wrong_side.required[2] = -1;
    CHECK(check_three(&wrong_side) == CBN_OK);
}

enum { HEIGHT = 5, WIDTH = 6, LEVELS = 2, NODES = LEVELS * HEIGHT * WIDTH, CHAINS = 70 };
enum { LEAVES = 9, MOST = 2 * LEAVES - 1 };

/* Everything with thermometer codes of two thresholds, candidates being all nodes of the rows above and to the left. */
static void whole(int64_t n) {
    const int64_t words = cbn_plane_words(n), positions = HEIGHT * WIDTH;
    int64_t begin[NODES + 1] = {0}, bytes, n_candidates = 0;
    int32_t *candidate = allocate(4 * NODES * NODES), required[NODES], n_vertices[NODES];
    for (int v = 0; v < NODES; v++) {
        required[v] = v < positions ? -1 : (int32_t)(v - positions);
        for (int p = 0; p < v % positions; p++)
            for (int c = 0; c < LEVELS; c++) candidate[n_candidates++] = (int32_t)(c * positions + p);
        begin[v + 1] = n_candidates;
    }
    uint8_t *images = allocate(n * positions);
    uint64_t *planes = allocate(8 * NODES * words);
    fill_images(images, n * positions, 11);
    for (int c = 0; c < LEVELS; c++)
        CHECK(cbn_pack_planes(images, n, positions, 76 + 100 * c, planes + c * positions * words, 1) == CBN_OK);
    int32_t *split = allocate(4 * NODES * MOST), *again = allocate(4 * NODES * MOST);
    int32_t *child = allocate(4 * NODES * MOST);
    int64_t *counts = allocate(16 * NODES * MOST), *recount = allocate(16 * NODES * MOST);
    for (int threads = 1; threads <= 3; threads++) {
        int32_t *to = threads == 1 ? split : again;
        const cbn_grid grid = {LEVELS, HEIGHT, WIDTH};
        const cbn_candidates candidates = {begin, candidate, required};
        const cbn_growth growth = {0.1, LEAVES, 1};
        const cbn_grown_trees grown = {n_vertices, to, child, counts};
        CHECK(cbn_tree_grow_workspace_size(grid, n, &candidates, &growth, threads, &bytes) == CBN_OK);
        void *workspace = allocate(bytes);
        for (int missing = 1; missing >= 0; missing--)
            CHECK(cbn_tree_grow(grid, PLANES(planes, n), &candidates, &growth, &grown, ROOM(workspace, bytes - missing),
                                threads) == (missing ? CBN_E_WORKSPACE : CBN_OK));
        free(workspace);
        int same = 1;
        for (int v = 0; v < NODES; v++)
            same &= memcmp(split + v * MOST, to + v * MOST, 4 * (size_t)n_vertices[v]) == 0;
        CHECK(same);
    }
    /* the vertices one behind the other */
    int64_t total = 0, place[NODES + 1];
    for (int v = 0; v < NODES; v++) {
        place[v] = total;
        memmove(split + total, split + v * MOST, 4 * (size_t)n_vertices[v]);
        memmove(child + total, child + v * MOST, 4 * (size_t)n_vertices[v]);
        memmove(counts + 2 * total, counts + 2 * v * MOST, 16 * (size_t)n_vertices[v]);
        total += n_vertices[v];
    }
    place[NODES] = total;
    const cbn_trees trees = {{LEVELS, HEIGHT, WIDTH}, place, split, child, required};
    CHECK(cbn_trees_check(&trees) == CBN_OK);
    CHECK(cbn_tree_counts_check(&trees, counts, n) == CBN_OK);
    CHECK(cbn_tree_counts_check(&trees, counts, n + 1) == CBN_E_COUNTS);
    CHECK(cbn_tree_count_workspace_size(&trees, n, 2, &bytes) == CBN_OK);
    void *workspace = allocate(bytes);
    CHECK(cbn_tree_count(&trees, PLANES(planes, n), recount, ROOM(workspace, bytes - 1), 2) == CBN_E_WORKSPACE);
    CHECK(cbn_tree_count(&trees, PLANES(planes, n), recount, ROOM(workspace, bytes), 2) == CBN_OK);
    CHECK(memcmp(counts, recount, 16 * (size_t)total) == 0);
    free(workspace);

    double *probability = allocate(16 * total), *values = allocate(16 * total), *scores = allocate(16 * n);
    CHECK(cbn_tree_probability(&trees, counts, SMOOTHING(1.0, 1.0), probability, 2) == CBN_OK);
    CHECK(cbn_tree_values(&trees, counts, probability, SMOOTHING(1.0, 1.0), CBN_LOG_PROBABILITY, 1, values, 2) == CBN_OK);
    CHECK(cbn_tree_score_images(&trees, PLANES(planes, n), values, scores, 1) == CBN_OK);
    CHECK(cbn_tree_score_images(&trees, PLANES(planes, n), values, scores + n, 3) == CBN_OK);
    CHECK(memcmp(scores, scores + n, 8 * (size_t)n) == 0);
    double likelihood, bic;
    int64_t parameters;
    CHECK(cbn_tree_bic(&trees, counts, &likelihood, &parameters, &bic) == CBN_OK);
    CHECK(likelihood <= 0.0 && parameters == (total + NODES) / 2 - positions);

    static uint8_t first[CHAINS * NODES], second[CHAINS * NODES];
    int64_t sites[NODES];
    for (int v = 0; v < NODES; v++) sites[v] = v;
    memset(first, 0, sizeof first), memset(second, 0, sizeof second);
    for (int threads = 1; threads <= 3; threads += 2) {
        uint8_t *states = threads == 1 ? first : second;
        CHECK(cbn_tree_sampler_workspace_size(&trees, CHAINS, threads, &bytes) == CBN_OK);
        workspace = allocate(bytes);
        CHECK(cbn_tree_sample_ancestral(&trees, probability, 3, NULL, SAMPLED(CHAINS, states), ROOM(workspace, bytes - 1), threads) ==
              CBN_E_WORKSPACE);
        CHECK(cbn_tree_sample_ancestral(&trees, probability, 3, NULL, SAMPLED(CHAINS, states), ROOM(workspace, bytes), threads) ==
              CBN_OK);
        const int64_t cut = threads == 1 ? 0 : 101;
        CHECK(cbn_tree_sample_gibbs(&trees, probability, STEPS_OF(4, 7, cut, sites, NODES), SAMPLED(CHAINS, states),
                                    ROOM(workspace, bytes), threads) == CBN_OK);
        CHECK(cbn_tree_sample_gibbs(&trees, probability, STEPS_OF(4, 7 + (uint64_t)cut, 400 - cut, sites, NODES),
                                    SAMPLED(CHAINS, states), ROOM(workspace, bytes), threads) == CBN_OK);
        free(workspace);
    }
    CHECK(memcmp(first, second, sizeof first) == 0);
    int legal = 1;
    for (int i = 0; i < CHAINS; i++)
        for (int64_t v = positions; v < NODES; v++) legal &= first[i * NODES + v] <= first[i * NODES + v - positions];
    CHECK(legal);
    free(candidate), free(images), free(planes), free(split), free(child), free(again), free(counts), free(recount);
    free(probability), free(values), free(scores);
}

static void arguments(void) {
    const cbn_trees trees = {{1, 1, 3}, sound.begin, sound.split, sound.child, NULL};
    const int64_t none[4] = {0, 0, 0, 0}, falls[4] = {0, 2, 1, 2}, two[4] = {0, 0, 1, 2}, far[4] = {0, 0, INT64_MAX, 1};
    const int32_t later[2] = {0, 2}, earlier[2] = {0, 0}, required[3] = {-1, 0, 1};
    uint64_t planes[3] = {1, 1, 0}, workspace[8192];
    int64_t bytes, counts[18], site = 3, parameters;
    int32_t n_vertices[3], split[9], child[9];
    double values[14], likelihood, bic;
    uint8_t states[3] = {0};
    CHECK(cbn_tree_grow_workspace_size(GRID(1, 1, 3), 1, LISTS(two, NULL, NULL), GROWTH(0.5, 2, 1), 1, NULL) == CBN_E_NULL);
    CHECK(cbn_tree_grow_workspace_size(GRID(1, 1, 3), 1, LISTS(NULL, NULL, NULL), GROWTH(0.5, 2, 1), 1, &bytes) == CBN_E_NULL);
    CHECK(cbn_tree_grow_workspace_size(GRID(1, 0, 3), 1, LISTS(two, NULL, NULL), GROWTH(0.5, 2, 1), 1, &bytes) == CBN_E_SIZE);
    CHECK(cbn_tree_grow_workspace_size(GRID(1, 1, 3), 0, LISTS(two, NULL, NULL), GROWTH(0.5, 2, 1), 1, &bytes) == CBN_E_SIZE);
    CHECK(cbn_tree_grow_workspace_size(GRID(1, 1, 3), INT64_MAX, LISTS(two, NULL, NULL), GROWTH(0.5, 2, 1), 1, &bytes) == CBN_E_SIZE);
    CHECK(cbn_tree_grow_workspace_size(GRID(1, 1, 3), UINT32_MAX, LISTS(two, NULL, NULL), GROWTH(0.5, CBN_MAX_LEAVES, 1), INT32_MAX, &bytes) == CBN_E_SIZE);
    CHECK(cbn_tree_grow_workspace_size(GRID(1, 1, 3), 1, LISTS(two, NULL, NULL), GROWTH(0.5, CBN_MAX_LEAVES + 1, 1), 1, &bytes) == CBN_E_PARAMETER);
    CHECK(cbn_tree_grow_workspace_size(GRID(1, 1, 3), 1, LISTS(two, NULL, NULL), GROWTH(0.5, 2, 1), 0, &bytes) == CBN_E_PARAMETER);
    CHECK(cbn_tree_grow_workspace_size(GRID(1, 1, 3), 1, LISTS(falls, NULL, NULL), GROWTH(0.5, 2, 1), 1, &bytes) == CBN_E_TREE);
    CHECK(cbn_tree_grow_workspace_size(GRID(1, 1, 3), 1, LISTS(far, NULL, NULL), GROWTH(0.5, 2, 1), 1, &bytes) == CBN_E_TREE);
    CHECK(cbn_tree_grow_workspace_size(GRID(1, 1, 3), 1, LISTS(two, NULL, NULL), GROWTH(0.5, 2, 1), 1, &bytes) == CBN_OK && bytes <= (int64_t)sizeof workspace);
#define GROW(begin, candidate, required, penalty, leaves, least)                                                       \
    cbn_tree_grow(GRID(1, 1, 3), PLANES(planes, 1), LISTS(begin, candidate, required), GROWTH(penalty, leaves, least), \
                  &(cbn_grown_trees){n_vertices, split, child, counts}, ROOM(workspace, sizeof workspace), 1)
    CHECK(GROW(two, earlier, NULL, 0.5, 2, 1) == CBN_OK);
    CHECK(GROW(two, earlier, NULL, 0.5, 2, INT64_MAX) == CBN_OK);
    CHECK(GROW(none, NULL, NULL, 0.5, 2, 1) == CBN_OK);
    CHECK(GROW(two, NULL, NULL, 0.5, 2, 1) == CBN_E_NULL);
    CHECK(GROW(two, later, NULL, 0.5, 2, 1) == CBN_E_TREE);
    CHECK(GROW(two, earlier, later, 0.5, 2, 1) == CBN_E_TREE);
    CHECK(GROW(two, earlier, required, 0.5, 2, 1) == CBN_OK);
    CHECK(GROW(two, earlier, required, 0.5, 1, 1) == CBN_E_PARAMETER);
    CHECK(GROW(two, earlier, NULL, -1.0, 2, 1) == CBN_E_PARAMETER);
    CHECK(GROW(two, earlier, NULL, 0.5, 2, 0) == CBN_E_PARAMETER);

    CHECK(cbn_tree_count_workspace_size(&trees, 0, 1, &bytes) == CBN_E_SIZE);
    CHECK(cbn_tree_count_workspace_size(&trees, 1, 0, &bytes) == CBN_E_PARAMETER);
    CHECK(cbn_tree_count_workspace_size(&trees, INT64_MAX, INT32_MAX, &bytes) == CBN_OK);
    CHECK(cbn_tree_count(&trees, PLANES(planes, 1), counts, ROOM(workspace, sizeof workspace), 1) == CBN_OK);
    CHECK(cbn_tree_counts_check(&trees, NULL, 1) == CBN_E_NULL);
    CHECK(cbn_tree_counts_check(&trees, counts, -1) == CBN_E_SIZE);
    CHECK(cbn_tree_counts_check(&trees, counts, 1) == CBN_OK);
    CHECK(cbn_tree_bic(&trees, counts, &likelihood, NULL, &bic) == CBN_E_NULL);
    CHECK(cbn_tree_bic(&trees, counts, &likelihood, &parameters, &bic) == CBN_OK && parameters == 5);
    counts[4] = INT64_MIN;
    CHECK(cbn_tree_counts_check(&trees, counts, 1) == CBN_E_COUNTS);
    counts[0] = counts[1] = INT64_MAX;
    CHECK(cbn_tree_bic(&trees, counts, &likelihood, &parameters, &bic) == CBN_E_COUNTS);
    CHECK(cbn_tree_count(&trees, PLANES(planes, 1), counts, ROOM(workspace, sizeof workspace), 1) == CBN_OK);
    CHECK(cbn_tree_probability(&trees, counts, SMOOTHING(1.0, 0.0), values, 1) == CBN_E_PARAMETER);
    CHECK(cbn_tree_probability(&trees, counts, SMOOTHING(0.0, 1.0), values, 1) == CBN_E_PARAMETER);
    CHECK(cbn_tree_probability(&trees, counts, SMOOTHING(1.0, 1.0), NULL, 1) == CBN_E_NULL);
    CHECK(cbn_tree_probability(&trees, counts, SMOOTHING(1.0, 1.0), values, 1) == CBN_OK);
    double other[14];
    CHECK(cbn_tree_values(&trees, counts, NULL, SMOOTHING(1.0, 1.0), CBN_SURPRISE, 0, other, 1) == CBN_E_NULL);
    CHECK(cbn_tree_values(&trees, counts, values, SMOOTHING(1.0, 1.0), CBN_NORMALIZED + 1, 0, other, 1) == CBN_E_PARAMETER);
    CHECK(cbn_tree_score_images(&trees, PLANES(planes, 0), values, other, 1) == CBN_E_SIZE);
    CHECK(cbn_tree_score_nodes(&trees, PLANES(planes, INT64_MAX), values, other, 1) == CBN_E_SIZE);
    CHECK(cbn_tree_score_nodes(&trees, PLANES(planes, 1), values, other, 0) == CBN_E_PARAMETER);
    CHECK(cbn_tree_sampler_workspace_size(&trees, 0, 1, &bytes) == CBN_E_SIZE);
    CHECK(cbn_tree_sampler_workspace_size(&trees, (int64_t)UINT32_MAX + 1, 1, &bytes) == CBN_E_SIZE);
    CHECK(cbn_tree_sampler_workspace_size(&trees, 1, 0, &bytes) == CBN_E_PARAMETER);
    CHECK(cbn_tree_sample_ancestral(&trees, values, 1, NULL, SAMPLED(1, NULL), ROOM(workspace, sizeof workspace), 1) == CBN_E_NULL);
#define GIBBS(n_steps, sites, n_sites)                                                                                 \
    cbn_tree_sample_gibbs(&trees, values, STEPS_OF(1, 0, n_steps, sites, n_sites), SAMPLED(1, states),                 \
                          ROOM(workspace, sizeof workspace), 1)
    CHECK(GIBBS(1, &site, 1) == CBN_E_SITE);
    site = -1;
    CHECK(GIBBS(1, &site, 1) == CBN_E_SITE);
    site = 2;
    CHECK(GIBBS(-1, &site, 1) == CBN_E_SIZE);
    CHECK(GIBBS(1, &site, 0) == CBN_E_SIZE);
    CHECK(GIBBS(1, NULL, 1) == CBN_E_NULL);
    CHECK(GIBBS(1, &site, 1) == CBN_OK);
}

int main(void) {
    malformed();
    arguments();
    whole(1);
    whole(64);
    whole(700);
    whole(4300);
    return report(__FILE__);
}
