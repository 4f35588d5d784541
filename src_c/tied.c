/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tied networks: soundness, log-odds and scores. Threads own blocks of words of images; within a block all nodes are
 * visited in node order, features once for all trees of a node.
 */
#include <math.h>

#include "boosted.h"
#include "tied.h"

/* Fewer words than this are worked on one by one, more as a whole block. */
#define WORDS_TOGETHER 3

static int same_grid(cbn_grid a, cbn_grid b) {
    return a.channels == b.channels && a.height == b.height && a.width == b.width;
}

int cbn_tied_plan(const cbn_tied *tied, cbn_causal_plan *plan) {
    if (!tied || !tied->begin || !tied->tree_begin || !tied->base) return CBN_E_NULL;
    CBN_TRY(cbn_causal_plan_of(&tied->causal, plan));
    const int channels = tied->causal.grid.channels;
    if (tied->nested < 0 || tied->nested > 1) return CBN_E_PARAMETER;
    if (tied->begin[0] != 0 || tied->tree_begin[0] != 0) return CBN_E_TREE;
    /* all begins rise, so that none leads beyond the arrays, before any vertex is read */
    for (int c = 0; c < channels; c++) {
        /* sums of log-odds fit 32 bits, with those of corrections */
        if (tied->begin[c + 1] < tied->begin[c] || tied->begin[c + 1] - tied->begin[c] > CBN_MAX_TIED_TREES)
            return CBN_E_TREE;
        if (tied->base[c] < -CBN_MAX_LEAF_VALUE || tied->base[c] > CBN_MAX_LEAF_VALUE) return CBN_E_TREE;
    }
    for (int64_t tree = 0; tree < tied->begin[channels]; tree++) {
        const int64_t at = tied->tree_begin[tree], end = tied->tree_begin[tree + 1];
        if (end <= at || end > INT64_MAX / 64) return CBN_E_TREE;
        if (!tied->split || !tied->value) return CBN_E_NULL;
        CBN_TRY(cbn_vertices_check(tied->split + at, tied->value + at, end - at, plan->n_features));
    }
    if (!tied->corrections) return CBN_OK;
    if (!same_grid(tied->corrections->grid, tied->causal.grid) || tied->corrections->required) return CBN_E_TREE;
    return cbn_boosted_check(tied->corrections);
}

int cbn_tied_check(const cbn_tied *tied) {
    cbn_causal_plan plan;
    return cbn_tied_plan(tied, &plan);
}

static void add_corrections(const cbn_tied *tied, const cbn_kernels *kernels, int64_t node, const uint64_t *column,
                            int64_t stride, int32_t odds[64]) {
    int32_t own[64];
    if (!tied->corrections) return;
    kernels->log_odds(tied->corrections, node, column, stride, own);
    for (int i = 0; i < 64; i++) odds[i] += own[i];
}

void cbn_tied_odds(const cbn_tied *tied, const cbn_kernels *kernels, int64_t node, const uint64_t *bits,
                   const uint64_t *column, int64_t stride, int32_t odds[64]) {
    const int64_t channel = node / cbn_grid_positions(tied->causal.grid);
    for (int i = 0; i < 64; i++) odds[i] = tied->base[channel];
    for (int64_t tree = tied->begin[channel]; tree < tied->begin[channel + 1]; tree++) {
        const int64_t at = tied->tree_begin[tree];
        kernels->add_tree(tied->split + at, tied->value + at, tied->tree_begin[tree + 1] - at, bits, 1, odds);
    }
    add_corrections(tied, kernels, node, column, stride, odds);
}

/* ---- all nodes of all images ---- */

/* What is done with the log-odds of a node in the words of a block; column: of its first word. */
typedef void visitor(const cbn_tied *tied, const cbn_kernels *kernels, int64_t node, const uint64_t *column,
                     int64_t stride, int n_words, const int32_t *odds, void *to);

typedef struct {
    const cbn_tied *tied;
    cbn_causal_plan plan;
    cbn_planes planes;
    visitor *visit;
    const cbn_sliced_tree *trees;
} walk;

static int words_of(int64_t n_words, int64_t block) {
    const int64_t left = n_words - block * CBN_SCORE_WORDS;
    return left < CBN_SCORE_WORDS ? (int)left : CBN_SCORE_WORDS;
}

static void block_odds(const walk *own, const cbn_kernels *kernels, int64_t node, const cbn_causal_above *above,
                       const uint64_t *column, int n_words, uint64_t *bits, int32_t *odds) {
    const cbn_tied *tied = own->tied;
    const cbn_grid grid = own->plan.causal.grid;
    const int64_t stride = cbn_plane_words(own->planes.n_images), inside = node % cbn_grid_positions(grid);
    const int channel = (int)(node / cbn_grid_positions(grid));
    const int y = (int)(inside / grid.width), x = (int)(inside % grid.width), step = own->trees ? CBN_SCORE_WORDS : 1;
    for (int w = 0; w < n_words; w++) {
        uint64_t *to = own->trees ? bits + w : bits;
        cbn_causal_bits(&own->plan, &above[w], channel, y, x, column + w, stride, to, step);
        if (!own->trees) cbn_tied_odds(tied, kernels, node, bits, column + w, stride, odds + 64 * w);
    }
    if (!own->trees) return;
    for (int i = 0; i < CBN_SCORE_BLOCK; i++) odds[i] = tied->base[channel];
    kernels->sum_trees(own->trees + tied->begin[channel], tied->begin[channel + 1] - tied->begin[channel], bits, odds);
    for (int w = 0; w < n_words; w++) add_corrections(tied, kernels, node, column + w, stride, odds + 64 * w);
}

static void walk_block(const walk *own, const cbn_kernels *kernels, int64_t block, void *to) {
    const cbn_grid grid = own->plan.causal.grid;
    const int64_t stride = cbn_plane_words(own->planes.n_images);
    const uint64_t *column = own->planes.words + block * CBN_SCORE_WORDS;
    const int n_words = words_of(stride, block);
    cbn_causal_above above[CBN_SCORE_WORDS];
    uint64_t bits[CBN_MAX_FEATURES * CBN_SCORE_WORDS];
    int32_t odds[CBN_SCORE_BLOCK];
    if (n_words < CBN_SCORE_WORDS) memset(bits, 0, sizeof *bits * (size_t)(own->plan.n_features * CBN_SCORE_WORDS));
    int64_t node = 0;
    for (int c = 0; c < grid.channels; c++)
        for (int y = 0; y < grid.height; y++) {
            for (int w = 0; w < n_words; w++) cbn_causal_look_above(&own->plan, c, y, column + w, stride, &above[w]);
            for (int x = 0; x < grid.width; x++, node++) {
                block_odds(own, kernels, node, above, column, n_words, bits, odds);
                own->visit(own->tied, kernels, node, column, stride, n_words, odds, to);
            }
        }
}

/* Trees are sliced if there are images enough. */
static int walk_of(const cbn_tied *tied, cbn_planes planes, const void *out, visitor *visit, cbn_workspace workspace,
                   int num_threads, walk *own) {
    int64_t entries;
    *own = (walk){.tied = tied, .planes = planes, .visit = visit};
    CBN_TRY(cbn_tied_plan(tied, &own->plan));
    if (!planes.words || !out) return CBN_E_NULL;
    if (planes.n_images < 1) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    CBN_TRY(cbn_multiply(planes.n_images, cbn_grid_nodes(tied->causal.grid), &entries));
    if (cbn_plane_words(planes.n_images) < WORDS_TOGETHER) return CBN_OK;
    cbn_arena counted = cbn_counting_arena(), arena = cbn_arena_of(workspace);
    cbn_slice_trees(tied, &counted);
    CBN_TRY(cbn_arena_fits(&counted, workspace));
    own->trees = cbn_slice_trees(tied, &arena);
    return CBN_OK;
}

int cbn_tied_score_workspace_size(const cbn_tied *tied, int64_t n_images, int64_t *bytes) {
    CBN_TRY(cbn_tied_check(tied));
    if (n_images < 1) return CBN_E_SIZE;
    cbn_arena arena = cbn_counting_arena();
    if (cbn_plane_words(n_images) >= WORDS_TOGETHER) cbn_slice_trees(tied, &arena);
    return cbn_arena_size(&arena, bytes);
}

static int64_t blocks_of(cbn_planes planes) {
    return (cbn_plane_words(planes.n_images) + CBN_SCORE_WORDS - 1) / CBN_SCORE_WORDS;
}

/* Images of a block. */
static int64_t images_in(int64_t n_images, int64_t block) {
    const int64_t left = n_images - block * CBN_SCORE_BLOCK;
    return left < CBN_SCORE_BLOCK ? left : CBN_SCORE_BLOCK;
}

/* Where a block's numbers go: (images, nodes), or sums. */
typedef struct {
    int32_t *odds;
    double *contributions, *sums;
    int64_t n_images, n_nodes;
    int kind;
} output;

static void visit_odds(const cbn_tied *tied, const cbn_kernels *kernels, int64_t node, const uint64_t *column,
                       int64_t stride, int n_words, const int32_t *odds, void *to) {
    (void)tied, (void)kernels, (void)column, (void)stride, (void)n_words;
    const output *own = to;
    for (int64_t i = 0; i < own->n_images; i++) own->odds[i * own->n_nodes + node] = odds[i];
}

static void visit_values(const cbn_tied *tied, const cbn_kernels *kernels, int64_t node, const uint64_t *column,
                         int64_t stride, int n_words, const int32_t *odds, void *to) {
    const output *own = to;
    double values[CBN_SCORE_BLOCK];
    for (int w = 0; w < n_words; w++) {
        const uint64_t state = column[node * stride + w];
        kernels->odds_values(odds + 64 * w, state, own->kind, values + 64 * w);
        /* where a lower channel is 0, 0 is certain: nothing to be surprised about, and 1 cannot be */
        for (uint64_t left = ~cbn_tied_possible(tied, node, column + w, stride); left; left &= left - 1) {
            const int i = __builtin_ctzll(left), impossible = (int)(state >> i & 1) && own->kind != CBN_VARIANCE;
            values[64 * w + i] = !impossible ? 0.0 : own->kind == CBN_SURPRISE ? INFINITY : -INFINITY;
        }
    }
    if (own->sums)
        for (int i = 0; i < 64 * n_words; i++) own->sums[i] += values[i];
    else
        for (int64_t i = 0; i < own->n_images; i++) own->contributions[i * own->n_nodes + node] = values[i];
}

int cbn_tied_log_odds(const cbn_tied *tied, cbn_planes planes, int32_t *odds, cbn_workspace workspace,
                      int num_threads) {
    walk own;
    CBN_TRY(walk_of(tied, planes, odds, visit_odds, workspace, num_threads, &own));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_blocks = blocks_of(planes), n_nodes = cbn_grid_nodes(tied->causal.grid);
    CBN_PARALLEL_FOR(num_threads, n_blocks, dynamic)
    for (int64_t block = 0; block < n_blocks; block++) {
        output to = {.odds = odds + block * CBN_SCORE_BLOCK * n_nodes, .n_images = images_in(planes.n_images, block),
                     .n_nodes = n_nodes};
        walk_block(&own, kernels, block, &to);
    }
    return CBN_OK;
}

int cbn_tied_node_odds(const cbn_tied *tied, cbn_planes planes, int64_t first_node, int64_t n_nodes, int32_t *odds,
                       int num_threads) {
    cbn_causal_plan plan;
    int64_t entries;
    CBN_TRY(cbn_tied_plan(tied, &plan));
    const cbn_grid grid = tied->causal.grid;
    if (!planes.words || !odds) return CBN_E_NULL;
    if (planes.n_images < 1 || planes.n_images > INT64_MAX - 64) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    if (first_node < 0 || n_nodes < 1 || n_nodes > cbn_grid_nodes(grid) - first_node) return CBN_E_SIZE;
    CBN_TRY(cbn_multiply(planes.n_images + 63, n_nodes, &entries));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_words = cbn_plane_words(planes.n_images), positions = cbn_grid_positions(grid);
    cbn_tied plain = *tied;
    plain.corrections = NULL;
    CBN_PARALLEL_FOR(num_threads, n_words, static)
    for (int64_t word = 0; word < n_words; word++) {
        cbn_causal_above above;
        uint64_t bits[CBN_MAX_FEATURES];
        const uint64_t *column = planes.words + word;
        for (int64_t node = first_node; node < first_node + n_nodes; node++) {
            const int channel = (int)(node / positions), x = (int)(node % positions % grid.width);
            const int y = (int)(node % positions / grid.width);
            if (node == first_node || x == 0) cbn_causal_look_above(&plan, channel, y, column, n_words, &above);
            cbn_causal_bits(&plan, &above, channel, y, x, column, n_words, bits, 1);
            cbn_tied_odds(&plain, kernels, node, bits, column, n_words,
                          odds + 64 * ((node - first_node) * n_words + word));
        }
    }
    return CBN_OK;
}

static int check_kind(int kind) {
    return kind == CBN_LOG_PROBABILITY || kind == CBN_SURPRISE || kind == CBN_VARIANCE ? CBN_OK : CBN_E_PARAMETER;
}

int cbn_tied_score_images(const cbn_tied *tied, cbn_planes planes, int kind, double *scores,
                          cbn_workspace workspace, int num_threads) {
    walk own;
    CBN_TRY(walk_of(tied, planes, scores, visit_values, workspace, num_threads, &own));
    CBN_TRY(check_kind(kind));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_blocks = blocks_of(planes);
    CBN_PARALLEL_FOR(num_threads, n_blocks, dynamic)
    for (int64_t block = 0; block < n_blocks; block++) {
        double sums[CBN_SCORE_BLOCK] = {0.0};
        output to = {.sums = sums, .n_images = images_in(planes.n_images, block), .kind = kind};
        walk_block(&own, kernels, block, &to);
        memcpy(scores + block * CBN_SCORE_BLOCK, sums, sizeof *sums * (size_t)to.n_images);
    }
    return CBN_OK;
}

int cbn_tied_score_nodes(const cbn_tied *tied, cbn_planes planes, int kind, double *contributions,
                         cbn_workspace workspace, int num_threads) {
    walk own;
    CBN_TRY(walk_of(tied, planes, contributions, visit_values, workspace, num_threads, &own));
    CBN_TRY(check_kind(kind));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_blocks = blocks_of(planes), n_nodes = cbn_grid_nodes(tied->causal.grid);
    CBN_PARALLEL_FOR(num_threads, n_blocks, dynamic)
    for (int64_t block = 0; block < n_blocks; block++) {
        output to = {.contributions = contributions + block * CBN_SCORE_BLOCK * n_nodes,
                     .n_images = images_in(planes.n_images, block), .n_nodes = n_nodes, .kind = kind};
        walk_block(&own, kernels, block, &to);
    }
    return CBN_OK;
}
