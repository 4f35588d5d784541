/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From counts to tables: probabilities (thesis eq. 2) and what each (row, state) contributes to a score. Everything is
 * a function of the counts of one node, so the score of an image is a sum of table entries, and a leave-one-out score
 * is the sum of entries of other tables: those from the counts with 1 subtracted at the image's own (row, state).
 */
#include "rows.h"

/* Thesis eq. 2. can_be_one == 0: a required parent is 0, so the state is 0 for certain. */
static void row_probability(int64_t n0, int64_t n1, double pseudocount, int can_be_one, double p[2]) {
    const double total = (double)(n0 + n1) + 2.0 * pseudocount;
    p[0] = can_be_one ? ((double)n0 + pseudocount) / total : 1.0;
    p[1] = can_be_one ? ((double)n1 + pseudocount) / total : 0.0;
}

static cbn_row row_from_counts(int64_t n0, int64_t n1, double pseudocount, int can_be_one) {
    double p[2];
    row_probability(n0, n1, pseudocount, can_be_one, p);
    return cbn_row_of(p[0], p[1]);
}

static void node_values(const cbn_layer *layer, int64_t node, const int64_t *counts, double pseudocount, int kind,
                        int leave_one_out, double *values) {
    const cbn_place place = cbn_place_of(layer, node);
    const uint32_t required = cbn_required_bits(layer, place.channel);
    const int64_t *table = counts + 2 * place.table;
    const int64_t n_rows = (int64_t)1 << place.k;
    double *out = values + 2 * place.table;
    cbn_moments moments = {0.0, 0.0, 0.0};
    if (kind == CBN_NORMALIZED)
        for (int64_t r = 0; r < n_rows; r++) {
            const cbn_row row =
                row_from_counts(table[2 * r], table[2 * r + 1], pseudocount, ((uint32_t)r & required) == required);
            cbn_add_moments(&moments, &row, table[2 * r], table[2 * r + 1], 1.0);
        }
    for (int64_t r = 0; r < n_rows; r++) {
        const int64_t n0 = table[2 * r], n1 = table[2 * r + 1];
        const int can_be_one = ((uint32_t)r & required) == required;
        const cbn_row row = row_from_counts(n0, n1, pseudocount, can_be_one);
        for (int x = 0; x < 2; x++) {
            if (!leave_one_out || (x == 0 ? n0 : n1) < 1) {
                out[2 * r + x] = cbn_row_value(&row, x, kind, &moments);
                continue;
            }
            const int64_t m0 = n0 - (x == 0), m1 = n1 - (x == 1);
            const cbn_row without = row_from_counts(m0, m1, pseudocount, can_be_one);
            cbn_moments others = moments;
            if (kind == CBN_NORMALIZED) {
                cbn_add_moments(&others, &row, n0, n1, -1.0);
                cbn_add_moments(&others, &without, m0, m1, 1.0);
            }
            out[2 * r + x] = cbn_row_value(&without, x, kind, &others);
        }
    }
}

static int check_arguments(const cbn_layer *layer, const int64_t *counts, double pseudocount, const double *out,
                           int num_threads) {
    CBN_TRY(cbn_layer_check(layer));
    if (!counts || !out) return CBN_E_NULL;
    if (!(pseudocount >= 1e-9 && pseudocount <= 1e9) || num_threads < 1) return CBN_E_PARAMETER;
    return CBN_OK;
}

int cbn_probability_table(const cbn_layer *layer, const int64_t *counts, double pseudocount, double *probability,
                          int num_threads) {
    CBN_TRY(check_arguments(layer, counts, pseudocount, probability, num_threads));
    const int64_t n_nodes = cbn_nodes(layer);
    CBN_PARALLEL_FOR(num_threads, n_nodes, static)
    for (int64_t node = 0; node < n_nodes; node++) {
        const cbn_place place = cbn_place_of(layer, node);
        const uint32_t required = cbn_required_bits(layer, place.channel);
        for (int64_t r = 0; r < (int64_t)1 << place.k; r++) {
            const int64_t *n = counts + 2 * (place.table + r);
            row_probability(n[0], n[1], pseudocount, ((uint32_t)r & required) == required,
                            probability + 2 * (place.table + r));
        }
    }
    return CBN_OK;
}

int cbn_value_table(const cbn_layer *layer, const int64_t *counts, double pseudocount, int kind, int leave_one_out,
                    double *values, int num_threads) {
    CBN_TRY(check_arguments(layer, counts, pseudocount, values, num_threads));
    if (kind < CBN_LOG_PROBABILITY || kind > CBN_NORMALIZED) return CBN_E_PARAMETER;
    const int64_t n_nodes = cbn_nodes(layer);
    CBN_PARALLEL_FOR(num_threads, n_nodes, static)
    for (int64_t node = 0; node < n_nodes; node++)
        node_values(layer, node, counts, pseudocount, kind, leave_one_out, values);
    return CBN_OK;
}
