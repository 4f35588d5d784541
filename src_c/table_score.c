/* SPDX-License-Identifier: BSD-3-Clause */
/* Scores under tables: a node contributes the entry of its table for its row and state. */
#include "score.h"

typedef struct {
    const cbn_layer *layer;
    const double *values;
} table_network;

static void contribution(const void *network, const cbn_kernels *kernels, int64_t node, cbn_planes planes,
                         int64_t first_word, int n_words, double *sums) {
    const table_network *own = network;
    const cbn_place place = cbn_place_of(own->layer, node);
    cbn_variables variables;
    cbn_variables_of(own->layer, &place, node, planes.words, cbn_plane_words(planes.n_images), &variables);
    kernels->score_block(&variables, place.k + 1, first_word, n_words, own->values + 2 * place.table, sums);
}

/* Every variable of a table takes its part. */
static double work_of(const cbn_layer *layer) {
    double variables = 0.0;
    for (int c = 0; c < layer->grid.channels; c++) variables += 1.0 + cbn_parent_count(layer, c);
    return 5.0 * variables * (double)cbn_grid_positions(layer->grid);
}

int cbn_score_images(const cbn_layer *layer, cbn_planes planes, const double *values, double *scores, int num_threads) {
    CBN_TRY(cbn_layer_check(layer));
    if (!values) return CBN_E_NULL;
    const table_network own = {layer, values};
    const cbn_scored_network scored = {layer->grid, contribution, &own, work_of(layer)};
    return cbn_score_sums(&scored, planes, scores, num_threads);
}

int cbn_score_nodes(const cbn_layer *layer, cbn_planes planes, const double *values, double *contributions,
                    int num_threads) {
    CBN_TRY(cbn_layer_check(layer));
    if (!values) return CBN_E_NULL;
    const table_network own = {layer, values};
    const cbn_scored_network scored = {layer->grid, contribution, &own, work_of(layer)};
    return cbn_score_each(&scored, planes, contributions, num_threads);
}
