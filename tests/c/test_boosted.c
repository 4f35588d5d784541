/* SPDX-License-Identifier: BSD-3-Clause */
/* Boosted trees: the same bytes for any thread count and cutting of the nodes; workspaces and arrays of exactly the
 * size that is asked for; every refusal that the header promises. */
#include <math.h>

#include "harness.h"

enum { HEIGHT = 4, WIDTH = 5, NODES = HEIGHT * WIDTH, IMAGES = 200, ROUNDS = 6, LEAVES = 5, CAPACITY = 2 * LEAVES - 1 };

typedef struct {
    int32_t *base, *n_trees, *n_vertices, *split, *value;
} grown;

static const cbn_boosting how = {ROUNDS, LEAVES, 7, 0.3, 1.0, 0.05, 0.25, 1.0, 12345};
static int64_t candidate_begin[NODES + 1];
static int32_t candidate[NODES * NODES];
static uint64_t planes[NODES * 4];

static grown allocate_grown(int64_t n_nodes) {
    const int64_t trees = n_nodes * ROUNDS;
    const grown g = {allocate(4 * n_nodes), allocate(4 * n_nodes), allocate(4 * trees), allocate(4 * trees * CAPACITY),
                     allocate(4 * trees * CAPACITY)};
    memset(g.n_vertices, 0, (size_t)(4 * trees)); /* rows are not written to their ends */
    memset(g.split, 0, (size_t)(4 * trees * CAPACITY));
    memset(g.value, 0, (size_t)(4 * trees * CAPACITY));
    return g;
}

static void free_grown(grown g) {
    free(g.base), free(g.n_trees), free(g.n_vertices), free(g.split), free(g.value);
}

static int grow(const cbn_boosting *boosting, int64_t first, int64_t n, grown g, int threads) {
    int64_t bytes = 0;
    const cbn_candidates candidates = {candidate_begin, candidate, NULL};
    const cbn_grown_boosted to = {first, n, g.base, g.n_trees, g.n_vertices, g.split, g.value, NULL};
    CHECK(cbn_boosted_grow_workspace_size(GRID(1, HEIGHT, WIDTH), IMAGES, &candidates, &how, threads, &bytes) == CBN_OK);
    void *workspace = allocate(bytes);
    const int status = cbn_boosted_grow(GRID(1, HEIGHT, WIDTH), PLANES(planes, IMAGES), &candidates, boosting, &to,
                                        ROOM(workspace, bytes), threads);
    free(workspace);
    return status;
}

static int same(const void *a, const void *b, int64_t bytes) { return memcmp(a, b, (size_t)bytes) == 0; }

/* Rows without their unused ends. */
static cbn_boosted assemble(grown g, int64_t **begin, int64_t **tree_begin, int32_t **split, int32_t **value) {
    int64_t trees = 0, vertices = 0;
    for (int v = 0; v < NODES; v++)
        for (int t = 0; t < g.n_trees[v]; t++) trees++, vertices += g.n_vertices[v * ROUNDS + t];
    *begin = allocate(8 * (NODES + 1)), *tree_begin = allocate(8 * (trees + 1));
    *split = allocate(4 * vertices), *value = allocate(4 * vertices);
    trees = vertices = 0;
    for (int v = 0; v < NODES; v++) {
        (*begin)[v] = trees;
        for (int t = 0; t < g.n_trees[v]; t++) {
            const int row = v * ROUNDS + t, n = g.n_vertices[row];
            memcpy(*split + vertices, g.split + row * CAPACITY, (size_t)n * 4);
            memcpy(*value + vertices, g.value + row * CAPACITY, (size_t)n * 4);
            (*tree_begin)[trees++] = vertices;
            vertices += n;
        }
    }
    (*begin)[NODES] = trees;
    (*tree_begin)[trees] = vertices;
    const cbn_boosted boosted = {{1, HEIGHT, WIDTH}, *begin, *tree_begin, *split, *value, g.base, NULL};
    return boosted;
}

static void growth_is_the_same(grown all) {
    CHECK(grow(&how, 0, NODES, all, 1) == CBN_OK);
    for (int threads = 1; threads <= 3; threads++) {
        int64_t row = 0;
        for (int64_t first = 0; first < NODES; first += 7, row = first) {
            const int64_t n = NODES - first < 7 ? NODES - first : 7;
            const grown part = allocate_grown(n);
            CHECK(grow(&how, first, n, part, threads) == CBN_OK);
            CHECK(same(part.base, all.base + row, 4 * n) && same(part.n_trees, all.n_trees + row, 4 * n));
            CHECK(same(part.n_vertices, all.n_vertices + row * ROUNDS, 4 * n * ROUNDS));
            CHECK(same(part.split, all.split + row * ROUNDS * CAPACITY, 4 * n * ROUNDS * CAPACITY));
            CHECK(same(part.value, all.value + row * ROUNDS * CAPACITY, 4 * n * ROUNDS * CAPACITY));
            free_grown(part);
        }
    }
}

static void scores_are_the_same(const cbn_boosted *boosted) {
    double *one = allocate(8 * IMAGES), *other = allocate(8 * IMAGES), *nodes = allocate(8 * IMAGES * NODES);
    int32_t *odds = allocate(4 * IMAGES * NODES);
    for (int kind = CBN_LOG_PROBABILITY; kind <= CBN_VARIANCE; kind++) {
        CHECK(cbn_boosted_score_images(boosted, PLANES(planes, IMAGES), kind, one, 1) == CBN_OK);
        CHECK(cbn_boosted_score_images(boosted, PLANES(planes, IMAGES), kind, other, 3) == CBN_OK);
        CHECK(same(one, other, 8 * IMAGES));
        CHECK(cbn_boosted_score_nodes(boosted, PLANES(planes, IMAGES), kind, nodes, 2) == CBN_OK);
        int sums = 1;
        for (int i = 0; i < IMAGES; i++) {
            double sum = 0.0;
            for (int v = 0; v < NODES; v++) sum += nodes[i * NODES + v];
            sums &= sum == one[i];
        }
        CHECK(sums);
    }
    CHECK(cbn_boosted_log_odds(boosted, PLANES(planes, IMAGES), odds, 2) == CBN_OK);
    CHECK(odds[0] == boosted->base[0]);
    CHECK(cbn_boosted_score_images(boosted, PLANES(planes, IMAGES), CBN_NORMALIZED, one, 1) == CBN_E_PARAMETER);
    CHECK(cbn_boosted_score_images(boosted, PLANES(planes, 0), 0, one, 1) == CBN_E_SIZE);
    CHECK(cbn_boosted_score_nodes(boosted, PLANES(NULL, 1), 0, nodes, 1) == CBN_E_NULL);
    CHECK(cbn_boosted_log_odds(boosted, PLANES(planes, 1), odds, 0) == CBN_E_PARAMETER);
    free(one), free(other), free(nodes), free(odds);
}

static void samples_are_the_same(const cbn_boosted *boosted) {
    enum { CHAINS = 70 };
    int64_t bytes;
    uint8_t *first = allocate(CHAINS * NODES), *second = allocate(CHAINS * NODES), known[NODES] = {0};
    double weight[CHAINS], again[CHAINS], log_marginal, log_again;
    CHECK(cbn_boosted_sample_workspace_size(boosted, CHAINS, &bytes) == CBN_OK);
    void *workspace = allocate(bytes);
    memset(first, 0, CHAINS * NODES);
    memset(second, 0, CHAINS * NODES);
    CHECK(cbn_boosted_sample(boosted, 5, NULL, SAMPLED(CHAINS, first), ROOM(workspace, bytes), 1) == CBN_OK);
    CHECK(cbn_boosted_sample(boosted, 5, NULL, SAMPLED(CHAINS, second), ROOM(workspace, bytes), 3) == CBN_OK);
    CHECK(same(first, second, CHAINS * NODES));
    CHECK(cbn_boosted_sample(boosted, 5, NULL, SAMPLED(CHAINS, second), ROOM(workspace, bytes - 1), 3) == CBN_E_WORKSPACE);
    free(workspace);
    for (int v = 0; v < NODES; v++) known[v] = v % 3 == 1 || v > 15;
    for (int threads = 1; threads <= 3; threads++) {
        CHECK(cbn_inpaint_workspace_size(NODES, CHAINS, threads, &bytes) == CBN_OK);
        workspace = allocate(bytes);
        uint8_t *states = threads == 1 ? first : second;
        memcpy(states, first, NODES);
        const cbn_particles particles = {CHAINS, known, states, threads == 1 ? weight : again};
        double *log_found = threads == 1 ? &log_marginal : &log_again;
        CHECK(cbn_boosted_inpaint(boosted, 8, &particles, log_found, ROOM(workspace, bytes), threads) == CBN_OK);
        if (threads > 1)
            CHECK(same(first, second, CHAINS * NODES) && same(weight, again, sizeof weight) &&
                  log_marginal == log_again);
        CHECK(cbn_boosted_inpaint(boosted, 8, &particles, log_found, ROOM(workspace, bytes - 1), threads) ==
              CBN_E_WORKSPACE);
        const cbn_particles nothing_known = {CHAINS, NULL, states, weight};
        CHECK(cbn_boosted_inpaint(boosted, 8, &nothing_known, log_found, ROOM(workspace, bytes), threads) == CBN_E_NULL);
        free(workspace);
    }
    CHECK(log_marginal < 0.0 && isfinite(log_marginal));
    CHECK(cbn_inpaint_workspace_size(NODES, 0, 1, &bytes) == CBN_E_SIZE);
    CHECK(cbn_inpaint_workspace_size(INT64_MAX / 2, 1000, 1, &bytes) == CBN_E_SIZE);
    free(first), free(second);
}

static void refusals(cbn_boosted good) {
    cbn_boosting bad = how;
    int64_t bytes;
    const grown g = allocate_grown(NODES);
    CHECK(cbn_boosted_check(&good) == CBN_OK);
    CHECK(cbn_boosted_check(NULL) == CBN_E_NULL);
    good.grid.width = 0;
    CHECK(cbn_boosted_check(&good) == CBN_E_SIZE);
    CHECK(grow(&how, 0, NODES + 1, g, 1) == CBN_E_SIZE);
    CHECK(grow(&how, -1, 2, g, 1) == CBN_E_SIZE);
    CHECK(grow(&how, NODES - 1, 2, g, 1) == CBN_E_SIZE);
    bad.rate = NAN;
    CHECK(grow(&bad, 0, NODES, g, 1) == CBN_E_PARAMETER);
    bad = how, bad.max_leaves = CBN_MAX_BOOSTED_LEAVES + 1;
    CHECK(grow(&bad, 0, NODES, g, 1) == CBN_E_PARAMETER);
    bad = how, bad.max_leaves = 2 * LEAVES; /* one more fits what is left of cache lines */
    CHECK(grow(&bad, 0, NODES, g, 1) == CBN_E_WORKSPACE);
#define LISTS(begin) (&(cbn_candidates){begin, NULL, NULL})
    const int64_t none[2] = {0, 0}, endless[2] = {0, INT64_MAX}, backwards[2] = {0, -1};
    CHECK(cbn_boosted_grow_workspace_size(GRID(1, 1, 1), 1, LISTS(none), NULL, 1, &bytes) == CBN_E_NULL);
    CHECK(cbn_boosted_grow_workspace_size(GRID(1, 1, 1), ((int64_t)1 << 28) + 1, LISTS(none), &how, 1, &bytes) == CBN_E_SIZE);
    CHECK(cbn_boosted_grow_workspace_size(GRID(1, 1, 1), 1, LISTS(endless), &how, 1, &bytes) == CBN_E_SIZE);
    CHECK(cbn_boosted_grow_workspace_size(GRID(1, 1, 1), 1, LISTS(backwards), &how, 1, &bytes) == CBN_E_TREE);
    CHECK(cbn_boosted_grow_workspace_size(GRID(1, 1, 1), 1, LISTS(none), &how, 1, &bytes) == CBN_OK);
    const int32_t kept = candidate[0];
    candidate[0] = NODES - 1;
    CHECK(grow(&how, 0, NODES, g, 1) == CBN_E_TREE);
    candidate[0] = kept;
    free_grown(g);
    /* trees: a root with two leaves at node 1 */
    int64_t begin[4] = {0, 0, 1, 1}, tree_begin[2] = {0, 3};
    int32_t split[3] = {0, -1, -1}, value[3] = {0, 5, 6}, base[3] = {0, 0, 0}, required[3] = {-1, 0, -1};
    const cbn_boosted small = {{1, 1, 3}, begin, tree_begin, split, value, base, required};
    CHECK(cbn_boosted_check(&small) == CBN_OK);
    struct {
        int32_t *at, bad;
    } changes[] = {{split, 1}, {split, 3}, {split, -2}, {split, -1}, {split + 1, 0}, {value, 1}, {base, INT32_MAX},
                   {value + 2, CBN_MAX_LEAF_VALUE + 1}, {value + 1, INT32_MIN}, {required, 0}, {required + 1, 3}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const int32_t before = *changes[i].at;
        *changes[i].at = changes[i].bad;
        CHECK(cbn_boosted_check(&small) == CBN_E_TREE);
        *changes[i].at = before;
    }
    tree_begin[1] = 0;
    CHECK(cbn_boosted_check(&small) == CBN_E_TREE);
    tree_begin[1] = INT64_MIN;
    CHECK(cbn_boosted_check(&small) == CBN_E_TREE);
    tree_begin[1] = 3, begin[1] = 1;
    CHECK(cbn_boosted_check(&small) == CBN_E_TREE); /* node 0 has no earlier node */
    begin[1] = -1;
    CHECK(cbn_boosted_check(&small) == CBN_E_TREE);
    /* begins that do not rise are refused before the vertices to which they lead are read */
    int64_t two[4] = {0, 0, 1, 2}, falling[3] = {0, 500, 5};
    int32_t inner[3] = {0, 0, 0}, nothing[3] = {0, 0, 0};
    const cbn_boosted wrong = {{1, 1, 3}, two, falling, inner, nothing, base, NULL};
    CHECK(cbn_boosted_check(&wrong) == CBN_E_TREE);
}

int main(void) {
    static uint8_t images[IMAGES * NODES];
    fill_images(images, sizeof images, 3);
    CHECK(cbn_pack_planes(images, IMAGES, NODES, 127, planes, 1) == CBN_OK);
    for (int v = 0; v < NODES; v++) {
        candidate_begin[v + 1] = candidate_begin[v] + v;
        for (int c = 0; c < v; c++) candidate[candidate_begin[v] + c] = v - 1 - c;
    }
    const grown all = allocate_grown(NODES);
    growth_is_the_same(all);
    int64_t *begin, *tree_begin;
    int32_t *split, *value;
    const cbn_boosted boosted = assemble(all, &begin, &tree_begin, &split, &value);
    CHECK(begin[NODES] > NODES);
    CHECK(cbn_boosted_check(&boosted) == CBN_OK);
    scores_are_the_same(&boosted);
    samples_are_the_same(&boosted);
    refusals(boosted);
    free_grown(all);
    free(begin), free(tree_begin), free(split), free(value);
    return report(__FILE__);
}
