/* SPDX-License-Identifier: BSD-3-Clause */
/* The Bayesian information criterion of a layer: thesis eq. 3, k ln n - 2 ln P(D | B*), B* at maximum likelihood. */
#include "internal.h"

int cbn_bic(const cbn_layer *layer, const int64_t *counts, double *log_likelihood, int64_t *n_parameters, double *bic) {
    CBN_TRY(cbn_layer_check(layer));
    if (!counts || !log_likelihood || !n_parameters || !bic) return CBN_E_NULL;
    const int64_t n_nodes = cbn_nodes(layer);
    int64_t parameters = 0, n_images = 0;
    double total = 0.0;
    for (int64_t node = 0; node < n_nodes; node++) {
        const cbn_place place = cbn_place_of(layer, node);
        int64_t parent[CBN_MAX_PARENTS];
        const uint32_t present = cbn_parents_of(layer, &place, parent);
        const uint32_t required = cbn_required_bits(layer, place.channel);
        const int64_t *table = counts + 2 * place.table;
        int64_t sum = 0;
        double own = 0.0;
        for (uint32_t row = 0; row < (uint32_t)1 << place.k; row++) {
            const int64_t n0 = table[2 * (int64_t)row], n1 = table[2 * (int64_t)row + 1], n = n0 + n1;
            if (n0 < 0 || n1 < 0) return CBN_E_COUNTS;
            /* a free parameter is a row that can occur and does not fix the state */
            if (!(row & ~present) && (row & required) == required) parameters++;
            if (n0 > 0) own += (double)n0 * cbn_log((double)n0 / (double)n);
            if (n1 > 0) own += (double)n1 * cbn_log((double)n1 / (double)n);
            sum += n;
        }
        if (node == 0) n_images = sum;
        if (sum != n_images || sum < 1) return CBN_E_COUNTS;
        total += own;
    }
    *log_likelihood = total;
    *n_parameters = parameters;
    *bic = (double)parameters * cbn_log((double)n_images) - 2.0 * total;
    return CBN_OK;
}
