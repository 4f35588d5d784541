/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From counts to tables: probabilities (thesis eq. 2) and what each (row, state) contributes to a score. Everything is
 * a function of the counts of one node, so the score of an image is a sum of table entries, and a leave-one-out score
 * is the sum of entries of other tables: those from the counts with 1 subtracted at the image's own (row, state).
 */
#include <math.h>

#include "internal.h"

/* One table row: p[x], log p[x], entropy, variance of -log p. */
typedef struct {
    double p[2], log_p[2], entropy, variance;
} cbn_row;

/* Thesis eq. 2. can_be_one == 0: a required parent is 0, so the state is 0 for certain. */
static void row_probability(int64_t n0, int64_t n1, double pseudocount, int can_be_one, double p[2]) {
    const double total = (double)(n0 + n1) + 2.0 * pseudocount;
    p[0] = can_be_one ? ((double)n0 + pseudocount) / total : 1.0;
    p[1] = can_be_one ? ((double)n1 + pseudocount) / total : 0.0;
}

static cbn_row row_from_counts(int64_t n0, int64_t n1, double pseudocount, int can_be_one) {
    cbn_row row;
    row_probability(n0, n1, pseudocount, can_be_one, row.p);
    if (!can_be_one) {
        row.log_p[0] = 0.0, row.log_p[1] = -INFINITY;
        row.entropy = row.variance = 0.0;
        return row;
    }
    row.log_p[0] = cbn_log(row.p[0]);
    row.log_p[1] = cbn_log(row.p[1]);
    row.entropy = -(row.p[0] * row.log_p[0]) - row.p[1] * row.log_p[1];
    const double difference = row.log_p[0] - row.log_p[1];
    row.variance = row.p[0] * row.p[1] * (difference * difference);
    return row;
}

/* Sums of -log p and its square over the images counted in a row. Empty entries are left out: their -log p may be
 * infinite. */
typedef struct {
    double n, first, second;
} cbn_moments;

static void add_moments(cbn_moments *moments, const cbn_row *row, int64_t n0, int64_t n1, double sign) {
    const int64_t n[2] = {n0, n1};
    for (int x = 0; x < 2; x++) {
        if (n[x] <= 0) continue;
        const double weight = sign * (double)n[x];
        moments->n += weight;
        moments->first += weight * row->log_p[x];
        moments->second += weight * (row->log_p[x] * row->log_p[x]);
    }
}

static double normalized(const cbn_moments *moments, double log_p) {
    if (moments->n < 0.5) return 0.0; /* the only image left itself out: nothing to compare with */
    const double mean = moments->first / moments->n;
    const double variance = moments->second / moments->n - mean * mean;
    const double deviation = variance > CBN_STD_FLOOR * CBN_STD_FLOOR ? sqrt(variance) : CBN_STD_FLOOR;
    return fabs(log_p - mean) / deviation;
}

static double value_of(const cbn_row *row, int x, int kind, const cbn_moments *moments) {
    switch (kind) {
        case CBN_SURPRISE: return -row->log_p[x] - row->entropy;
        case CBN_VARIANCE: return row->variance;
        case CBN_NORMALIZED: return normalized(moments, row->log_p[x]);
        default: return row->log_p[x];
    }
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
            add_moments(&moments, &row, table[2 * r], table[2 * r + 1], 1.0);
        }
    for (int64_t r = 0; r < n_rows; r++) {
        const int64_t n0 = table[2 * r], n1 = table[2 * r + 1];
        const int can_be_one = ((uint32_t)r & required) == required;
        const cbn_row row = row_from_counts(n0, n1, pseudocount, can_be_one);
        for (int x = 0; x < 2; x++) {
            if (!leave_one_out || (x == 0 ? n0 : n1) < 1) {
                out[2 * r + x] = value_of(&row, x, kind, &moments);
                continue;
            }
            const int64_t m0 = n0 - (x == 0), m1 = n1 - (x == 1);
            const cbn_row without = row_from_counts(m0, m1, pseudocount, can_be_one);
            cbn_moments others = moments;
            if (kind == CBN_NORMALIZED) {
                add_moments(&others, &row, n0, n1, -1.0);
                add_moments(&others, &without, m0, m1, 1.0);
            }
            out[2 * r + x] = value_of(&without, x, kind, &others);
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
    CBN_PRAGMA(omp parallel for schedule(static) num_threads(num_threads))
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
    CBN_PRAGMA(omp parallel for schedule(static) num_threads(num_threads))
    for (int64_t node = 0; node < n_nodes; node++)
        node_values(layer, node, counts, pseudocount, kind, leave_one_out, values);
    return CBN_OK;
}
