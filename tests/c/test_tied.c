/* SPDX-License-Identifier: BSD-3-Clause */
/* Tied networks in C: rows, growth, scores and samples are the same for any threads; what is refused; no byte is touched
 * that is not the caller's (sanitizers). */
#include "harness.h"

enum { IMAGES = 300, H = 6, W = 7, POSITIONS = H * W, CHANNELS = 2, NODES = CHANNELS * POSITIONS, ROUNDS = 6, LEAVES = 9 };
enum { CAPACITY = 2 * LEAVES - 1, CHAINS = 70 };

static uint64_t words[NODES * 5]; /* 300 images: 5 words */
static const cbn_causal causal = {{CHANNELS, H, W}, 2, 1, 1};
static const cbn_row_sampling sampling = {77, (uint64_t)1 << 32, 3, 1, 0};
static const cbn_forest_growth growth = {LEAVES, 40, 0.5, 0.5, 1.0, 0.1, 0.5, 99, 1};

static int same(const void *a, const void *b, int64_t bytes) { return memcmp(a, b, (size_t)bytes) == 0; }

static void fill(void) {
    uint8_t *images = allocate(IMAGES * POSITIONS);
    fill_images(images, IMAGES * POSITIONS, 5);
    for (int64_t v = 0; v < NODES; v++)
        for (int64_t i = 0; i < IMAGES; i++) {
            const int on = images[i * POSITIONS + v % POSITIONS] > (v < POSITIONS ? 100 : 180);
            words[v * 5 + i / 64] |= (uint64_t)on << i % 64;
        }
    free(images);
}

typedef struct {
    cbn_rows rows;
    int32_t *odds, *n_vertices, *split, *value;
} grown;

static grown grow(int threads) {
    int64_t counts[5], begin[6] = {0}, bytes, n_features;
    CHECK(cbn_causal_count(&causal, &n_features) == CBN_OK);
    CHECK(cbn_rows_count(&causal, PLANES(words, IMAGES), 1, &sampling, counts, threads) == CBN_OK);
    for (int w = 0; w < 5; w++) begin[w + 1] = begin[w] + (counts[w] + 63) / 64;
    const int64_t n = begin[5];
    grown g = {{n, n_features, allocate(8 * n * n_features), allocate(8 * n), allocate(8 * n), allocate(8 * n)},
               calloc((size_t)(64 * n), 4), allocate(4 * ROUNDS), allocate(4 * ROUNDS * CAPACITY),
               allocate(4 * ROUNDS * CAPACITY)};
    CHECK(cbn_rows_take_workspace_size(&causal, threads, &bytes) == CBN_OK);
    void *memory = allocate(bytes);
    CHECK(cbn_rows_take(&causal, PLANES(words, IMAGES), 1, &sampling, begin, &g.rows, ROOM(memory, bytes), threads) == CBN_OK);
    CHECK(cbn_rows_take(&causal, PLANES(words, IMAGES), 1, &sampling, begin, &g.rows, ROOM(memory, bytes - 1), threads) ==
          CBN_E_WORKSPACE);
    begin[5]++;
    CHECK(cbn_rows_take(&causal, PLANES(words, IMAGES), 1, &sampling, begin, &g.rows, ROOM(memory, bytes), threads) ==
          CBN_E_SIZE);
    free(memory);
    int32_t *usable = allocate(4 * n_features);
    for (int32_t f = 0; f < n_features; f++) usable[f] = f;
    const cbn_grown_forest to = {0, ROUNDS, g.odds, g.n_vertices, g.split, g.value};
    CHECK(cbn_forest_grow_workspace_size(&g.rows, n, &growth, n_features, threads, &bytes) == CBN_OK);
    memory = allocate(bytes);
    CHECK(cbn_forest_grow(&g.rows, n, &growth, usable, n_features, &to, ROOM(memory, bytes), threads) == CBN_OK);
    CHECK(cbn_forest_grow(&g.rows, n, &growth, usable, n_features, &to, ROOM(memory, bytes - 1), threads) ==
          CBN_E_WORKSPACE);
    CHECK(cbn_forest_grow(&g.rows, n + 1, &growth, usable, n_features, &to, ROOM(memory, bytes), threads) == CBN_E_SIZE);
    usable[0] = (int32_t)n_features;
    CHECK(cbn_forest_grow(&g.rows, n, &growth, usable, n_features, &to, ROOM(memory, bytes), threads) ==
          CBN_E_PARAMETER);
    free(memory), free(usable);
    return g;
}

static void free_grown(grown g) {
    free(g.rows.features), free(g.rows.target), free(g.rows.members), free(g.rows.quiet);
    free(g.odds), free(g.n_vertices), free(g.split), free(g.value);
}

static void network(const grown *g) {
    int64_t begin[CHANNELS + 1] = {0, 0, 0}, tree_begin[ROUNDS + 1] = {0}, bytes;
    int32_t split[ROUNDS * CAPACITY], value[ROUNDS * CAPACITY], base[CHANNELS] = {-1000, 500};
    int n_trees = 0;
    for (int r = 0; r < ROUNDS; r++) {
        if (!g->n_vertices[r]) continue;
        memcpy(split + tree_begin[n_trees], g->split + r * CAPACITY, 4 * (size_t)g->n_vertices[r]);
        memcpy(value + tree_begin[n_trees], g->value + r * CAPACITY, 4 * (size_t)g->n_vertices[r]);
        tree_begin[n_trees + 1] = tree_begin[n_trees] + g->n_vertices[r];
        n_trees++;
    }
    CHECK(n_trees > 0);
    begin[2] = n_trees;
    cbn_tied tied = {causal, begin, tree_begin, split, value, base, 1, NULL};
    CHECK(cbn_tied_check(&tied) == CBN_OK);
    for (int n = 1; n <= IMAGES; n += n == 1 ? 63 : 118) { /* with and without sliced trees */
        int64_t n_words = (n + 63) / 64;
        uint64_t *part = allocate(8 * NODES * n_words);
        for (int64_t v = 0; v < NODES; v++)
            for (int64_t w = 0; w < n_words; w++) {
                const int64_t left = n - 64 * w;
                part[v * n_words + w] = words[v * 5 + w] & (left < 64 ? ((uint64_t)1 << left) - 1 : ~(uint64_t)0);
            }
        double *nodes = allocate(8 * (int64_t)n * NODES), *sums = allocate(8 * n), *again = allocate(8 * n);
        int32_t *odds = allocate(4 * (int64_t)n * NODES);
        CHECK(cbn_tied_score_workspace_size(&tied, n, &bytes) == CBN_OK);
        void *memory = allocate(bytes);
        CHECK(cbn_tied_score_nodes(&tied, PLANES(part, n), CBN_LOG_PROBABILITY, nodes, ROOM(memory, bytes), 2) == CBN_OK);
        CHECK(cbn_tied_score_images(&tied, PLANES(part, n), CBN_LOG_PROBABILITY, sums, ROOM(memory, bytes), 1) == CBN_OK);
        CHECK(cbn_tied_score_images(&tied, PLANES(part, n), CBN_LOG_PROBABILITY, again, ROOM(memory, bytes), 3) == CBN_OK);
        CHECK(same(sums, again, 8 * n));
        CHECK(cbn_tied_log_odds(&tied, PLANES(part, n), odds, ROOM(memory, bytes), 2) == CBN_OK);
        double first = 0.0;
        for (int v = 0; v < NODES; v++) first += nodes[v];
        CHECK(first - sums[0] < 1e-9 && sums[0] - first < 1e-9);
        int32_t *own = allocate(4 * 64 * n_words * 3);
        CHECK(cbn_tied_node_odds(&tied, PLANES(part, n), NODES - 3, 3, own, 2) == CBN_OK);
        for (int i = 0; i < n; i++) CHECK(own[64 * n_words + i] == odds[(int64_t)i * NODES + NODES - 2]);
        CHECK(cbn_tied_node_odds(&tied, PLANES(part, n), NODES - 3, 4, own, 2) == CBN_E_SIZE);
        free(memory), free(nodes), free(sums), free(again), free(odds), free(part), free(own);
    }
    uint8_t *one = calloc(CHAINS * NODES, 1), *other = calloc(CHAINS * NODES, 1);
    CHECK(cbn_tied_sample_workspace_size(&tied, CHAINS, &bytes) == CBN_OK);
    void *memory = allocate(bytes);
    CHECK(cbn_tied_sample(&tied, 5, NULL, SAMPLED(CHAINS, one), ROOM(memory, bytes), 1) == CBN_OK);
    CHECK(cbn_tied_sample(&tied, 5, NULL, SAMPLED(CHAINS, other), ROOM(memory, bytes), 2) == CBN_OK);
    CHECK(same(one, other, CHAINS * NODES));
    for (int i = 0; i < CHAINS; i++)
        for (int v = 0; v < POSITIONS; v++) CHECK(one[i * NODES + POSITIONS + v] <= one[i * NODES + v]);
    free(memory), free(one), free(other);
    struct {
        int32_t *at, bad;
    } changes[] = {{split, -2}, {split, 1 << 20}, {value + tree_begin[1] - 1, INT32_MAX}, {base, INT32_MIN}, {value, 1}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const int32_t before = *changes[i].at;
        *changes[i].at = changes[i].bad;
        CHECK(cbn_tied_check(&tied) == CBN_E_TREE);
        *changes[i].at = before;
    }
    tied.nested = 2;
    CHECK(cbn_tied_check(&tied) == CBN_E_PARAMETER);
}

static void refusals(void) {
    int64_t n;
    const cbn_causal bad[] = {{{1, 3, 3}, 0, 0, 0}, {{1, 3, 3}, CBN_MAX_RADIUS + 1, 0, 0}, {{1, 3, 3}, 1, 2, 0},
                              {{1, 3, 3}, 1, 0, -1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(cbn_causal_count(bad + i, &n) == CBN_E_PARAMETER);
    const cbn_causal large = {{1, 3, CBN_MAX_PROFILE_SIDE + 1}, 1, 0, 1}, many = {{1000, 3, 3}, 2, 0, 0};
    CHECK(cbn_causal_count(&large, &n) == CBN_E_SIZE);
    CHECK(cbn_causal_count(&many, &n) == CBN_E_SIZE);
    CHECK(cbn_causal_count(NULL, &n) == CBN_E_NULL);
    cbn_row_sampling how = sampling;
    int64_t counts[5];
    how.thinning = 0;
    CHECK(cbn_rows_count(&causal, PLANES(words, IMAGES), 0, &how, counts, 1) == CBN_E_PARAMETER);
    CHECK(cbn_rows_count(&causal, PLANES(words, IMAGES), CHANNELS, &sampling, counts, 1) == CBN_E_PARAMETER);
    CHECK(cbn_rows_count(&causal, PLANES(NULL, IMAGES), 0, &sampling, counts, 1) == CBN_E_NULL);
    how = sampling, how.first = -1;
    CHECK(cbn_rows_count(&causal, PLANES(words, IMAGES), 0, &how, counts, 1) == CBN_E_PARAMETER);
    how = sampling, how.first = UINT32_MAX - IMAGES;
    CHECK(cbn_rows_count(&causal, PLANES(words, IMAGES), 0, &how, counts, 1) == CBN_OK);
    how.first++;
    CHECK(cbn_rows_count(&causal, PLANES(words, IMAGES), 0, &how, counts, 1) == CBN_E_SIZE);
    how = sampling, how.below = 0;
    CHECK(cbn_rows_count(&causal, PLANES(words, IMAGES), 0, &how, counts, 1) == CBN_OK && counts[0] == 0);
}

int main(void) {
    fill();
    const grown one = grow(1), other = grow(3);
    CHECK(same(one.rows.features, other.rows.features, 8 * one.rows.n_blocks * one.rows.n_features));
    CHECK(same(one.odds, other.odds, 4 * 64 * one.rows.n_blocks));
    CHECK(same(one.n_vertices, other.n_vertices, 4 * ROUNDS));
    network(&one);
    refusals();
    free_grown(one), free_grown(other);
    return report(__FILE__);
}
