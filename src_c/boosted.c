/* SPDX-License-Identifier: BSD-3-Clause */
/* Boosted trees: soundness, log-odds and scores. Threads own blocks of images. */
#include <math.h>

#include "boosted.h"

static int check_tree(const cbn_trees *grid, int64_t node, const int32_t *split, const int32_t *value, int64_t n) {
    const int64_t n_nodes = cbn_tree_nodes(grid), own = cbn_raster_order(grid, node);
    int64_t next = 1; /* first vertex that is nobody's child yet */
    if (n < 1 || n > 2 * CBN_MAX_BOOSTED_LEAVES - 1) return CBN_E_TREE;
    for (int64_t t = 0; t < n; t++) {
        if (t >= next) return CBN_E_TREE;
        if (split[t] < 0) {
            if (split[t] != -1 || value[t] < -CBN_MAX_LEAF_VALUE || value[t] > CBN_MAX_LEAF_VALUE) return CBN_E_TREE;
            continue;
        }
        if (value[t] != 0 || next + 1 >= n || split[t] >= n_nodes) return CBN_E_TREE;
        if (cbn_raster_order(grid, split[t]) >= own) return CBN_E_TREE;
        next += 2;
    }
    return next == n ? CBN_OK : CBN_E_TREE;
}

int cbn_boosted_check(const cbn_boosted *boosted) {
    if (!boosted || !boosted->begin || !boosted->tree_begin || !boosted->base) return CBN_E_NULL;
    CBN_TRY(cbn_grid_check(boosted->channels, boosted->height, boosted->width));
    const cbn_trees grid = cbn_boosted_grid(boosted);
    const int64_t n_nodes = cbn_tree_nodes(&grid);
    if (boosted->begin[0] != 0 || boosted->tree_begin[0] != 0) return CBN_E_TREE;
    /* all begins rise, so that none leads beyond the arrays, before any vertex is read */
    for (int64_t node = 0; node < n_nodes; node++)
        if (boosted->begin[node + 1] < boosted->begin[node]) return CBN_E_TREE;
    for (int64_t tree = 0; tree < boosted->begin[n_nodes]; tree++)
        if (boosted->tree_begin[tree + 1] <= boosted->tree_begin[tree]) return CBN_E_TREE;
    for (int64_t node = 0; node < n_nodes; node++) {
        const int64_t first = boosted->begin[node], n = boosted->begin[node + 1] - first;
        const int64_t required = cbn_required_node(&grid, node);
        if (n < 0 || n > CBN_MAX_ROUNDS) return CBN_E_TREE;
        if (boosted->base[node] < -CBN_MAX_LEAF_VALUE || boosted->base[node] > CBN_MAX_LEAF_VALUE) return CBN_E_TREE;
        if (required < -1 || required >= n_nodes) return CBN_E_TREE;
        if (required >= 0 && cbn_raster_order(&grid, required) >= cbn_raster_order(&grid, node)) return CBN_E_TREE;
        for (int64_t tree = first; tree < first + n; tree++) {
            const int64_t at = boosted->tree_begin[tree];
            if (boosted->tree_begin[tree + 1] > INT64_MAX / 64) return CBN_E_TREE;
            if (!boosted->split || !boosted->value) return CBN_E_NULL;
            CBN_TRY(check_tree(&grid, node, boosted->split + at, boosted->value + at,
                               boosted->tree_begin[tree + 1] - at));
        }
    }
    return CBN_OK;
}

static int check_arguments(const cbn_boosted *boosted, const uint64_t *planes, int64_t n_images, const void *out,
                           int num_threads) {
    int64_t entries;
    CBN_TRY(cbn_boosted_check(boosted));
    if (!planes || !out) return CBN_E_NULL;
    if (n_images < 1) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    return cbn_multiply(n_images, cbn_boosted_nodes(boosted), &entries);
}

static int images_in_word(int64_t n_images, int64_t word) {
    return n_images - 64 * word < 64 ? (int)(n_images - 64 * word) : 64;
}

int cbn_boosted_log_odds(const cbn_boosted *boosted, const uint64_t *planes, int64_t n_images, int32_t *odds,
                         int num_threads) {
    CBN_TRY(check_arguments(boosted, planes, n_images, odds, num_threads));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_words = cbn_plane_words(n_images), n_nodes = cbn_boosted_nodes(boosted);
    CBN_PARALLEL_FOR(num_threads, n_words, dynamic)
    for (int64_t word = 0; word < n_words; word++)
        for (int64_t node = 0; node < n_nodes; node++) {
            int32_t own[64];
            kernels->log_odds(boosted, node, planes + word, n_words, own);
            for (int i = 0; i < images_in_word(n_images, word); i++) odds[(64 * word + i) * n_nodes + node] = own[i];
        }
    return CBN_OK;
}

/* Contributions of one node to the images of a word. */
static void value_word(const cbn_kernels *kernels, const cbn_boosted *boosted, int64_t node, const uint64_t *column,
                       int64_t stride, int kind, double values[64]) {
    int32_t odds[64];
    const uint64_t state = column[node * stride];
    kernels->log_odds(boosted, node, column, stride, odds);
    kernels->odds_values(odds, state, kind, values);
    /* without its required node, 0 is certain: nothing to be surprised about, and 1 cannot be */
    for (uint64_t left = ~cbn_boosted_possible(boosted, node, column, stride); left; left &= left - 1) {
        const int i = __builtin_ctzll(left), impossible = (int)(state >> i & 1) && kind != CBN_VARIANCE;
        values[i] = !impossible ? 0.0 : kind == CBN_SURPRISE ? INFINITY : -INFINITY;
    }
}

static int check_kind(int kind) {
    return kind == CBN_LOG_PROBABILITY || kind == CBN_SURPRISE || kind == CBN_VARIANCE ? CBN_OK : CBN_E_PARAMETER;
}

int cbn_boosted_score_images(const cbn_boosted *boosted, const uint64_t *planes, int64_t n_images, int kind,
                             double *scores, int num_threads) {
    CBN_TRY(check_arguments(boosted, planes, n_images, scores, num_threads));
    CBN_TRY(check_kind(kind));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_words = cbn_plane_words(n_images), n_nodes = cbn_boosted_nodes(boosted);
    const int64_t n_blocks = (n_words + CBN_SCORE_WORDS - 1) / CBN_SCORE_WORDS;
    memset(scores, 0, sizeof *scores * (size_t)n_images);
    /* the trees of a node stay in the cache for a block of words */
    CBN_PARALLEL_FOR(num_threads, n_blocks, dynamic)
    for (int64_t block = 0; block < n_blocks; block++)
        for (int64_t node = 0; node < n_nodes; node++)
            for (int64_t word = block * CBN_SCORE_WORDS; word < n_words && word < (block + 1) * CBN_SCORE_WORDS;
                 word++) {
                double values[64];
                value_word(kernels, boosted, node, planes + word, n_words, kind, values);
                for (int i = 0; i < images_in_word(n_images, word); i++) scores[64 * word + i] += values[i];
            }
    return CBN_OK;
}

int cbn_boosted_score_nodes(const cbn_boosted *boosted, const uint64_t *planes, int64_t n_images, int kind,
                            double *contributions, int num_threads) {
    CBN_TRY(check_arguments(boosted, planes, n_images, contributions, num_threads));
    CBN_TRY(check_kind(kind));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_words = cbn_plane_words(n_images), n_nodes = cbn_boosted_nodes(boosted);
    CBN_PARALLEL_FOR(num_threads, n_words, dynamic)
    for (int64_t word = 0; word < n_words; word++)
        for (int64_t node = 0; node < n_nodes; node++) {
            double values[64];
            value_word(kernels, boosted, node, planes + word, n_words, kind, values);
            for (int i = 0; i < images_in_word(n_images, word); i++)
                contributions[(64 * word + i) * n_nodes + node] = values[i];
        }
    return CBN_OK;
}
