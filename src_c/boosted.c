/* SPDX-License-Identifier: BSD-3-Clause */
/* Boosted trees: soundness, log-odds and scores. Threads own blocks of images. */
#include <math.h>

#include "boosted.h"
#include "score.h"

int cbn_vertices_check(const int32_t *split, const int32_t *value, int64_t n, int64_t n_asked) {
    int64_t next = 1; /* first vertex that is nobody's child yet */
    if (n < 1 || n > 2 * CBN_MAX_BOOSTED_LEAVES - 1) return CBN_E_TREE;
    for (int64_t t = 0; t < n; t++) {
        if (t >= next) return CBN_E_TREE;
        if (split[t] < 0) {
            if (split[t] != -1 || value[t] < -CBN_MAX_LEAF_VALUE || value[t] > CBN_MAX_LEAF_VALUE) return CBN_E_TREE;
            continue;
        }
        if (value[t] != 0 || next + 1 >= n || split[t] >= n_asked) return CBN_E_TREE;
        next += 2;
    }
    return next == n ? CBN_OK : CBN_E_TREE;
}

static int check_tree(cbn_grid grid, int64_t node, const int32_t *split, const int32_t *value, int64_t n) {
    CBN_TRY(cbn_vertices_check(split, value, n, cbn_grid_nodes(grid)));
    for (int64_t t = 0; t < n; t++)
        if (split[t] >= 0 && cbn_raster_order(grid, split[t]) >= cbn_raster_order(grid, node)) return CBN_E_TREE;
    return CBN_OK;
}

int cbn_boosted_check(const cbn_boosted *boosted) {
    if (!boosted || !boosted->begin || !boosted->tree_begin || !boosted->base) return CBN_E_NULL;
    const cbn_grid grid = boosted->grid;
    CBN_TRY(cbn_grid_check(grid));
    const int64_t n_nodes = cbn_grid_nodes(grid);
    if (boosted->begin[0] != 0 || boosted->tree_begin[0] != 0) return CBN_E_TREE;
    /* all begins rise, so that none leads beyond the arrays, before any vertex is read */
    for (int64_t node = 0; node < n_nodes; node++)
        if (boosted->begin[node + 1] < boosted->begin[node]) return CBN_E_TREE;
    for (int64_t tree = 0; tree < boosted->begin[n_nodes]; tree++)
        if (boosted->tree_begin[tree + 1] <= boosted->tree_begin[tree]) return CBN_E_TREE;
    for (int64_t node = 0; node < n_nodes; node++) {
        const int64_t first = boosted->begin[node], n = boosted->begin[node + 1] - first;
        const int64_t required = cbn_required_node(boosted->required, node);
        if (n < 0 || n > CBN_MAX_ROUNDS) return CBN_E_TREE;
        if (boosted->base[node] < -CBN_MAX_LEAF_VALUE || boosted->base[node] > CBN_MAX_LEAF_VALUE) return CBN_E_TREE;
        if (required < -1 || required >= n_nodes) return CBN_E_TREE;
        if (required >= 0 && cbn_raster_order(grid, required) >= cbn_raster_order(grid, node)) return CBN_E_TREE;
        for (int64_t tree = first; tree < first + n; tree++) {
            const int64_t at = boosted->tree_begin[tree];
            if (boosted->tree_begin[tree + 1] > INT64_MAX / 64) return CBN_E_TREE;
            if (!boosted->split || !boosted->value) return CBN_E_NULL;
            CBN_TRY(check_tree(grid, node, boosted->split + at, boosted->value + at,
                               boosted->tree_begin[tree + 1] - at));
        }
    }
    return CBN_OK;
}

static int images_in_word(int64_t n_images, int64_t word) {
    return n_images - 64 * word < 64 ? (int)(n_images - 64 * word) : 64;
}

int cbn_boosted_log_odds(const cbn_boosted *boosted, cbn_planes planes, int32_t *odds, int num_threads) {
    int64_t entries;
    CBN_TRY(cbn_boosted_check(boosted));
    if (!planes.words || !odds) return CBN_E_NULL;
    if (planes.n_images < 1) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    CBN_TRY(cbn_multiply(planes.n_images, cbn_grid_nodes(boosted->grid), &entries));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_words = cbn_plane_words(planes.n_images), n_nodes = cbn_grid_nodes(boosted->grid);
    CBN_PARALLEL_FOR(cbn_worth(num_threads, (double)n_words * cbn_boosted_work(boosted)), n_words, dynamic)
    for (int64_t word = 0; word < n_words; word++)
        for (int64_t node = 0; node < n_nodes; node++) {
            int32_t own[64];
            kernels->log_odds(boosted, node, planes.words + word, n_words, own);
            for (int i = 0; i < images_in_word(planes.n_images, word); i++)
                odds[(64 * word + i) * n_nodes + node] = own[i];
        }
    return CBN_OK;
}

typedef struct {
    const cbn_boosted *boosted;
    int kind;
} boosted_network;

/* The trees of the node stay in the cache for all words. */
static void contribution(const void *network, const cbn_kernels *kernels, int64_t node, cbn_planes planes,
                         int64_t first_word, int n_words, double *sums) {
    const boosted_network *own = network;
    const int64_t stride = cbn_plane_words(planes.n_images);
    for (int w = 0; w < n_words; w++, sums += 64) {
        const uint64_t *column = planes.words + first_word + w, state = column[node * stride];
        int32_t odds[64];
        double values[64];
        kernels->log_odds(own->boosted, node, column, stride, odds);
        kernels->odds_values(odds, state, own->kind, values);
        /* without its required node, 0 is certain: nothing to be surprised about, and 1 cannot be */
        for (uint64_t left = ~cbn_boosted_possible(own->boosted, node, column, stride); left; left &= left - 1) {
            const int i = __builtin_ctzll(left), impossible = (int)(state >> i & 1) && own->kind != CBN_VARIANCE;
            values[i] = !impossible ? 0.0 : own->kind == CBN_SURPRISE ? INFINITY : -INFINITY;
        }
        for (int i = 0; i < 64; i++) sums[i] += values[i];
    }
}

static int check_kind(int kind) {
    return kind == CBN_LOG_PROBABILITY || kind == CBN_SURPRISE || kind == CBN_VARIANCE ? CBN_OK : CBN_E_PARAMETER;
}

int cbn_boosted_score_images(const cbn_boosted *boosted, cbn_planes planes, int kind, double *scores, int num_threads) {
    CBN_TRY(cbn_boosted_check(boosted));
    CBN_TRY(check_kind(kind));
    const boosted_network own = {boosted, kind};
    const cbn_scored_network scored = {boosted->grid, contribution, &own, cbn_boosted_work(boosted)};
    return cbn_score_sums(&scored, planes, scores, num_threads);
}

int cbn_boosted_score_nodes(const cbn_boosted *boosted, cbn_planes planes, int kind, double *contributions,
                            int num_threads) {
    CBN_TRY(cbn_boosted_check(boosted));
    CBN_TRY(check_kind(kind));
    const boosted_network own = {boosted, kind};
    const cbn_scored_network scored = {boosted->grid, contribution, &own, cbn_boosted_work(boosted)};
    return cbn_score_each(&scored, planes, contributions, num_threads);
}
