/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scores of images under trees: sums of the values of the leaves that an image reaches. Threads own blocks of 512
 * images; within a block nodes are visited in node order, so an image's sum has one order of additions, always.
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

static inline int64_t blocks_of(int64_t n_words) {
    return n_words / CBN_SCORE_WORDS + (n_words % CBN_SCORE_WORDS != 0);
}

/* sums (CBN_SCORE_BLOCK) of the images of a block; contributions (n_images, nodes) of all images, or NULL. */
static void score_block_of_images(const cbn_kernels *kernels, const cbn_trees *trees, const uint64_t *planes,
                                  int64_t n_images, int64_t first_word, const double *values, double *sums,
                                  double *contributions) {
    const int64_t n_words = cbn_plane_words(n_images), n_nodes = cbn_tree_nodes(trees), first = 64 * first_word;
    const int words = n_words - first_word < CBN_SCORE_WORDS ? (int)(n_words - first_word) : CBN_SCORE_WORDS;
    const int64_t n = n_images - first < CBN_SCORE_BLOCK ? n_images - first : CBN_SCORE_BLOCK;
    memset(sums, 0, sizeof *sums * CBN_SCORE_BLOCK);
    for (int64_t node = 0; node < n_nodes; node++) {
        const cbn_tree tree = cbn_tree_of(trees, node, values);
        kernels->score_tree(&tree, planes, n_words, first_word, words, sums);
        if (contributions) {
            for (int64_t i = 0; i < n; i++) contributions[(first + i) * n_nodes + node] = sums[i];
            memset(sums, 0, sizeof *sums * CBN_SCORE_BLOCK);
        }
    }
}

int cbn_tree_score_images(const cbn_trees *trees, const uint64_t *planes, int64_t n_images, const double *values,
                          double *scores, int num_threads) {
    CBN_TRY(check_arguments(trees, planes, n_images, values, scores, num_threads));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_words = cbn_plane_words(n_images);
    CBN_PARALLEL_FOR(num_threads, blocks_of(n_words), dynamic)
    for (int64_t word = 0; word < n_words; word += CBN_SCORE_WORDS) {
        double sums[CBN_SCORE_BLOCK];
        const int64_t n = n_images - 64 * word < CBN_SCORE_BLOCK ? n_images - 64 * word : CBN_SCORE_BLOCK;
        score_block_of_images(kernels, trees, planes, n_images, word, values, sums, NULL);
        memcpy(scores + 64 * word, sums, sizeof *sums * (size_t)n);
    }
    return CBN_OK;
}

int cbn_tree_score_nodes(const cbn_trees *trees, const uint64_t *planes, int64_t n_images, const double *values,
                         double *contributions, int num_threads) {
    CBN_TRY(check_arguments(trees, planes, n_images, values, contributions, num_threads));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_words = cbn_plane_words(n_images);
    CBN_PARALLEL_FOR(num_threads, blocks_of(n_words), dynamic)
    for (int64_t word = 0; word < n_words; word += CBN_SCORE_WORDS) {
        double sums[CBN_SCORE_BLOCK];
        score_block_of_images(kernels, trees, planes, n_images, word, values, sums, contributions);
    }
    return CBN_OK;
}
