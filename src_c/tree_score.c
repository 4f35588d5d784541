/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scores of images under trees. Threads own runs of 64 images: the set of a vertex's images is one word, and at a leaf
 * its value is added to each of them. Nodes are visited in node order, so an image's sum has one order of additions.
 */
#include "trees.h"

static int check_arguments(const cbn_trees *trees, const uint64_t *planes, int64_t n_images, const double *values,
                           const double *out, int num_threads) {
    int64_t entries;
    CBN_TRY(cbn_trees_check(trees));
    if (!planes || !values || !out) return CBN_E_NULL;
    if (n_images < 1) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    return cbn_multiply(n_images, cbn_tree_nodes(trees), &entries);
}

/* sums[i * stride] += value of the node in image i of the word, for the images of `members`. */
static void score_node_word(const cbn_trees *trees, const uint64_t *planes, int64_t n_words, int64_t word,
                            int64_t node, uint64_t members, const double *values, double *sums, int64_t stride) {
    const int64_t first = trees->begin[node], n = trees->begin[node + 1] - first;
    const int32_t *split = trees->split + first, *child = trees->child + first;
    const uint64_t *column = planes + word;
    const uint64_t state = column[node * n_words];
    uint64_t set[2 * CBN_MAX_LEAVES];
    set[0] = members;
    for (int64_t t = 0; t < n; t++) {
        if (split[t] >= 0) {
            const uint64_t decides = column[split[t] * n_words];
            set[child[t]] = set[t] & ~decides;
            set[child[t] + 1] = set[t] & decides;
            continue;
        }
        const double *value = values + 2 * (first + t);
        for (uint64_t left = set[t]; left; left &= left - 1) {
            const int i = __builtin_ctzll(left);
            sums[i * stride] += value[state >> i & 1];
        }
    }
}

static uint64_t members_of_word(int64_t n_images, int64_t word) {
    const int64_t n = n_images - 64 * word;
    return n < 64 ? ((uint64_t)1 << n) - 1 : ~(uint64_t)0;
}

int cbn_tree_score_images(const cbn_trees *trees, const uint64_t *planes, int64_t n_images, const double *values,
                          double *scores, int num_threads) {
    CBN_TRY(check_arguments(trees, planes, n_images, values, scores, num_threads));
    const int64_t n_words = cbn_plane_words(n_images), n_nodes = cbn_tree_nodes(trees);
    memset(scores, 0, sizeof *scores * (size_t)n_images);
    CBN_PRAGMA(omp parallel for schedule(static) num_threads(cbn_useful_threads(num_threads, n_words)))
    for (int64_t word = 0; word < n_words; word++)
        for (int64_t node = 0; node < n_nodes; node++)
            score_node_word(trees, planes, n_words, word, node, members_of_word(n_images, word), values,
                            scores + 64 * word, 1);
    return CBN_OK;
}

int cbn_tree_score_nodes(const cbn_trees *trees, const uint64_t *planes, int64_t n_images, const double *values,
                         double *contributions, int num_threads) {
    CBN_TRY(check_arguments(trees, planes, n_images, values, contributions, num_threads));
    const int64_t n_words = cbn_plane_words(n_images), n_nodes = cbn_tree_nodes(trees);
    memset(contributions, 0, sizeof *contributions * (size_t)(n_images * n_nodes));
    CBN_PRAGMA(omp parallel for schedule(static) num_threads(cbn_useful_threads(num_threads, n_words)))
    for (int64_t word = 0; word < n_words; word++)
        for (int64_t node = 0; node < n_nodes; node++)
            score_node_word(trees, planes, n_words, word, node, members_of_word(n_images, word), values,
                            contributions + 64 * word * n_nodes + node, n_nodes);
    return CBN_OK;
}
