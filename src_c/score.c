/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scores of images: sums of table entries. Threads own blocks of 512 images; within a block all nodes are visited in
 * node order with the block's sums in cache, so an image's sum has one order of additions, always.
 */
#include "kernels/kernels.h"

static int check_arguments(const cbn_layer *layer, const uint64_t *planes, int64_t n_images, const double *values,
                           const double *out, int num_threads) {
    int64_t entries;
    CBN_TRY(cbn_layer_check(layer));
    if (!planes || !values || !out) return CBN_E_NULL;
    if (n_images < 1) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    return cbn_multiply(n_images, cbn_nodes(layer), &entries);
}

/* sums (CBN_SCORE_BLOCK) of the images of a block; contributions (n_images, nodes) of all images, or NULL. */
static void score_images_of_block(const cbn_kernels *kernels, const cbn_layer *layer, const uint64_t *planes,
                                  int64_t n_images, int64_t first_word, const double *values, double *sums,
                                  double *contributions) {
    const int64_t n_words = cbn_plane_words(n_images), n_nodes = cbn_nodes(layer), first = 64 * first_word;
    const int words = n_words - first_word < CBN_SCORE_WORDS ? (int)(n_words - first_word) : CBN_SCORE_WORDS;
    const int64_t n = n_images - first < CBN_SCORE_BLOCK ? n_images - first : CBN_SCORE_BLOCK;
    memset(sums, 0, sizeof *sums * CBN_SCORE_BLOCK);
    for (int64_t node = 0; node < n_nodes; node++) {
        const cbn_place place = cbn_place_of(layer, node);
        cbn_variables variables;
        cbn_variables_of(layer, &place, node, planes, n_words, &variables);
        kernels->score_block(&variables, place.k + 1, first_word, words, values + 2 * place.table, sums);
        if (contributions) {
            for (int64_t i = 0; i < n; i++) contributions[(first + i) * n_nodes + node] = sums[i];
            memset(sums, 0, sizeof *sums * CBN_SCORE_BLOCK);
        }
    }
}

int cbn_score_images(const cbn_layer *layer, const uint64_t *planes, int64_t n_images, const double *values,
                     double *scores, int num_threads) {
    CBN_TRY(check_arguments(layer, planes, n_images, values, scores, num_threads));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_words = cbn_plane_words(n_images);
    CBN_PARALLEL_FOR(num_threads, (n_words + CBN_SCORE_WORDS - 1) / CBN_SCORE_WORDS, dynamic)
    for (int64_t word = 0; word < n_words; word += CBN_SCORE_WORDS) {
        double sums[CBN_SCORE_BLOCK];
        const int64_t n = n_images - 64 * word < CBN_SCORE_BLOCK ? n_images - 64 * word : CBN_SCORE_BLOCK;
        score_images_of_block(kernels, layer, planes, n_images, word, values, sums, NULL);
        memcpy(scores + 64 * word, sums, sizeof *sums * (size_t)n);
    }
    return CBN_OK;
}

int cbn_score_nodes(const cbn_layer *layer, const uint64_t *planes, int64_t n_images, const double *values,
                    double *contributions, int num_threads) {
    CBN_TRY(check_arguments(layer, planes, n_images, values, contributions, num_threads));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_words = cbn_plane_words(n_images);
    CBN_PARALLEL_FOR(num_threads, (n_words + CBN_SCORE_WORDS - 1) / CBN_SCORE_WORDS, dynamic)
    for (int64_t word = 0; word < n_words; word += CBN_SCORE_WORDS) {
        double sums[CBN_SCORE_BLOCK];
        score_images_of_block(kernels, layer, planes, n_images, word, values, sums, contributions);
    }
    return CBN_OK;
}
