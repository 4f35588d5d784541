/* SPDX-License-Identifier: BSD-3-Clause */
/* Scores under trees: a node contributes the value of the leaf that an image reaches, for its state. */
#include "score.h"
#include "trees.h"

typedef struct {
    const cbn_trees *trees;
    const double *values;
} tree_network;

static void contribution(const void *network, const cbn_kernels *kernels, int64_t node, cbn_planes planes,
                         int64_t first_word, int n_words, double *sums) {
    const tree_network *own = network;
    const cbn_tree tree = cbn_tree_of(own->trees, node, own->values);
    kernels->score_tree(&tree, planes.words, cbn_plane_words(planes.n_images), first_word, n_words, sums);
}

static double work_of(const cbn_trees *trees) { return 3.0 * (double)trees->begin[cbn_grid_nodes(trees->grid)]; }

int cbn_tree_score_images(const cbn_trees *trees, cbn_planes planes, const double *values, double *scores,
                          int num_threads) {
    CBN_TRY(cbn_trees_check(trees));
    if (!values) return CBN_E_NULL;
    const tree_network own = {trees, values};
    const cbn_scored_network scored = {trees->grid, contribution, &own, work_of(trees)};
    return cbn_score_sums(&scored, planes, scores, num_threads);
}

int cbn_tree_score_nodes(const cbn_trees *trees, cbn_planes planes, const double *values, double *contributions,
                         int num_threads) {
    CBN_TRY(cbn_trees_check(trees));
    if (!values) return CBN_E_NULL;
    const tree_network own = {trees, values};
    const cbn_scored_network scored = {trees->grid, contribution, &own, work_of(trees)};
    return cbn_score_each(&scored, planes, contributions, num_threads);
}
