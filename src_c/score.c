/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scores of images: sums of what their nodes contribute. Threads own blocks of 512 images; within a block all nodes are
 * visited in node order with the block's sums in cache, so an image's sum has one order of additions, always.
 */
#include "score.h"

static int check_arguments(const cbn_scored_network *scored, cbn_planes planes, const double *out, int num_threads) {
    int64_t entries;
    if (!planes.words || !out) return CBN_E_NULL;
    if (planes.n_images < 1) return CBN_E_SIZE;
    if (num_threads < 1) return CBN_E_PARAMETER;
    return cbn_multiply(planes.n_images, cbn_grid_nodes(scored->grid), &entries);
}

static int64_t blocks_of(cbn_planes planes) {
    return (cbn_plane_words(planes.n_images) + CBN_SCORE_WORDS - 1) / CBN_SCORE_WORDS;
}

static int threads_for(const cbn_scored_network *scored, cbn_planes planes, int num_threads) {
    return cbn_worth(num_threads, scored->work * (double)cbn_plane_words(planes.n_images));
}

/* Words and images of a block. */
static int words_in(cbn_planes planes, int64_t block) {
    const int64_t left = cbn_plane_words(planes.n_images) - block * CBN_SCORE_WORDS;
    return left < CBN_SCORE_WORDS ? (int)left : CBN_SCORE_WORDS;
}

static int64_t images_in(cbn_planes planes, int64_t block) {
    const int64_t left = planes.n_images - block * CBN_SCORE_BLOCK;
    return left < CBN_SCORE_BLOCK ? left : CBN_SCORE_BLOCK;
}

int cbn_score_sums(const cbn_scored_network *scored, cbn_planes planes, double *scores, int num_threads) {
    CBN_TRY(check_arguments(scored, planes, scores, num_threads));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_blocks = blocks_of(planes), n_nodes = cbn_grid_nodes(scored->grid);
    CBN_PARALLEL_FOR(threads_for(scored, planes, num_threads), n_blocks, dynamic)
    for (int64_t block = 0; block < n_blocks; block++) {
        double sums[CBN_SCORE_BLOCK] = {0.0};
        for (int64_t node = 0; node < n_nodes; node++)
            scored->contribution(scored->network, kernels, node, planes, block * CBN_SCORE_WORDS,
                                 words_in(planes, block), sums);
        memcpy(scores + block * CBN_SCORE_BLOCK, sums, sizeof *sums * (size_t)images_in(planes, block));
    }
    return CBN_OK;
}

int cbn_score_each(const cbn_scored_network *scored, cbn_planes planes, double *contributions, int num_threads) {
    CBN_TRY(check_arguments(scored, planes, contributions, num_threads));
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_blocks = blocks_of(planes), n_nodes = cbn_grid_nodes(scored->grid);
    CBN_PARALLEL_FOR(threads_for(scored, planes, num_threads), n_blocks, dynamic)
    for (int64_t block = 0; block < n_blocks; block++) {
        double *out = contributions + block * CBN_SCORE_BLOCK * n_nodes;
        for (int64_t node = 0; node < n_nodes; node++) {
            double own[CBN_SCORE_BLOCK] = {0.0};
            scored->contribution(scored->network, kernels, node, planes, block * CBN_SCORE_WORDS,
                                 words_in(planes, block), own);
            for (int64_t i = 0; i < images_in(planes, block); i++) out[i * n_nodes + node] = own[i];
        }
    }
    return CBN_OK;
}
