/* SPDX-License-Identifier: BSD-3-Clause */
/* Inpainting under tables by the particle filter. */
#include "particles.h"

typedef struct {
    const cbn_layer *layer;
    const double *probability;
    const cbn_kernels *kernels;
} table_network;

static void table_conditional(const void *network, int64_t node, const uint64_t *column, int64_t stride,
                              double p[2][64]) {
    const table_network *own = network;
    const cbn_place place = cbn_place_of(own->layer, node);
    int64_t parent[CBN_MAX_PARENTS];
    cbn_parents_of(own->layer, &place, parent);
    own->kernels->table_probabilities(own->probability + 2 * place.table, parent, place.k, column, stride, p);
}

static int table_asks_unknown(const void *network, int64_t node, const uint8_t *known) {
    const cbn_layer *layer = ((const table_network *)network)->layer;
    const cbn_place place = cbn_place_of(layer, node);
    int64_t parent[CBN_MAX_PARENTS];
    cbn_parents_of(layer, &place, parent);
    for (int j = 0; j < place.k; j++)
        if (parent[j] >= 0 && !known[parent[j]]) return 1;
    return 0;
}

int cbn_table_inpaint(const cbn_layer *layer, const double *probability, uint64_t seed, const cbn_particles *particles,
                      double *log_marginal, cbn_workspace workspace, int num_threads) {
    CBN_TRY(cbn_layer_check(layer));
    if (!probability) return CBN_E_NULL;
    const table_network own = {layer, probability, cbn_kernels_select()};
    const cbn_raster_network network = {layer->grid, table_conditional, table_asks_unknown, &own};
    return cbn_particle_filter(&network, seed, particles, log_marginal, workspace, num_threads);
}
