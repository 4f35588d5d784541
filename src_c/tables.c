/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From counts to tables: probabilities (thesis eq. 2) and what each (row, state) contributes to a score. Everything is
 * a function of the counts of one node, so the score of an image is a sum of table entries, and a leave-one-out score
 * is the sum of entries of other tables: those from the counts with 1 subtracted at the image's own (row, state).
 */
#include "kernels/kernels.h"
#include "rows.h"

/* Thesis eq. 2. can_be_one == 0: a required parent is 0, so the state is 0 for certain. */
static void row_probability(int64_t n0, int64_t n1, double pseudocount, int can_be_one, double p[2]) {
    const double total = (double)(n0 + n1) + 2.0 * pseudocount;
    p[0] = can_be_one ? ((double)n0 + pseudocount) / total : 1.0;
    p[1] = can_be_one ? ((double)n1 + pseudocount) / total : 0.0;
}

/* Rows whose logarithms are taken together. */
#define CHUNK 16

/* The rows of a chunk, as they are and, for leave-one-out, without one image of each state. */
typedef struct {
    cbn_row row[CHUNK], without[2][CHUNK];
} row_chunk;

static void rows_from_counts(const cbn_kernels *kernels, const int64_t *n, int64_t n_rows, int left_out,
                             double pseudocount, uint32_t first_row, uint32_t required, cbn_row *rows) {
    double p[2 * CHUNK] = {0.0}, log_p[2 * CHUNK];
    for (int64_t r = 0; r < n_rows; r++) { /* where there is no image to leave out, the numbers are of no use */
        const int64_t n0 = n[2 * r] - (left_out == 0 && n[2 * r] > 0);
        const int64_t n1 = n[2 * r + 1] - (left_out == 1 && n[2 * r + 1] > 0);
        row_probability(n0, n1, pseudocount, 1, p + 2 * r);
    }
    kernels->logs(p, 2 * n_rows, log_p);
    for (int64_t r = 0; r < n_rows; r++)
        rows[r] = ((first_row + (uint32_t)r) & required) == required ? cbn_row_of_logs(p + 2 * r, log_p + 2 * r)
                                                                     : cbn_row_certain();
}

/* values of CBN_LOG_PROBABILITY: one logarithm for each entry. */
static void node_log_probability(const cbn_kernels *kernels, const int64_t *n, int64_t n_rows, double pseudocount,
                                 uint32_t required, int leave_one_out, double *values) {
    for (int64_t i = 0; i < 2 * n_rows; i++) {
        const double out = leave_one_out && n[i] > 0; /* 1: an image is left out */
        values[i] = ((double)n[i] - out + pseudocount) / ((double)(n[i] + n[i ^ 1]) - out + 2.0 * pseudocount);
    }
    kernels->logs(values, 2 * n_rows, values);
    if (required)
        for (int64_t r = 0; r < n_rows; r++)
            if (((uint32_t)r & required) != required) values[2 * r] = 0.0, values[2 * r + 1] = -INFINITY;
}

static void node_values(const cbn_kernels *kernels, const cbn_layer *layer, int64_t node, const int64_t *counts,
                        double pseudocount, int kind, int leave_one_out, double *values) {
    const cbn_place place = cbn_place_of(layer, node);
    const uint32_t required = cbn_required_bits(layer, place.channel);
    const int64_t *table = counts + 2 * place.table, n_rows = (int64_t)1 << place.k;
    double *out = values + 2 * place.table;
    if (kind == CBN_LOG_PROBABILITY) {
        node_log_probability(kernels, table, n_rows, pseudocount, required, leave_one_out, out);
        return;
    }
    row_chunk chunk;
    cbn_moments moments = {0.0, 0.0, 0.0};
    for (int pass = kind == CBN_NORMALIZED ? 0 : 1; pass < 2; pass++) /* the first one sums the moments of all rows */
        for (int64_t first = 0; first < n_rows; first += CHUNK) {
            const int64_t in_chunk = n_rows - first < CHUNK ? n_rows - first : CHUNK, *n = table + 2 * first;
            rows_from_counts(kernels, n, in_chunk, -1, pseudocount, (uint32_t)first, required, chunk.row);
            if (pass == 0) {
                for (int64_t r = 0; r < in_chunk; r++)
                    cbn_add_moments(&moments, chunk.row + r, n[2 * r], n[2 * r + 1], 1.0);
                continue;
            }
            for (int x = 0; x < 2 && leave_one_out; x++)
                rows_from_counts(kernels, n, in_chunk, x, pseudocount, (uint32_t)first, required, chunk.without[x]);
            for (int64_t i = 0; i < 2 * in_chunk; i++) {
                const int64_t r = i / 2, n0 = n[2 * r], n1 = n[2 * r + 1];
                const int x = (int)(i % 2);
                if (!leave_one_out || n[i] < 1) {
                    out[2 * first + i] = cbn_row_value(chunk.row + r, x, kind, &moments);
                    continue;
                }
                cbn_moments others = moments;
                if (kind == CBN_NORMALIZED) {
                    cbn_add_moments(&others, chunk.row + r, n0, n1, -1.0);
                    cbn_add_moments(&others, chunk.without[x] + r, n0 - (x == 0), n1 - (x == 1), 1.0);
                }
                out[2 * first + i] = cbn_row_value(chunk.without[x] + r, x, kind, &others);
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
    const int64_t n_nodes = cbn_grid_nodes(layer->grid);
    CBN_PARALLEL_FOR(cbn_worth(num_threads, 3.0 * (double)cbn_channel_row(layer, layer->grid.channels)), n_nodes, static)
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
    const cbn_kernels *kernels = cbn_kernels_select();
    const int64_t n_nodes = cbn_grid_nodes(layer->grid);
    const double each = kind == CBN_LOG_PROBABILITY ? 8.0 : leave_one_out ? 40.0 : 12.0; /* nanoseconds of a row */
    const double work = each * (double)cbn_channel_row(layer, layer->grid.channels);
    CBN_PARALLEL_FOR(cbn_worth(num_threads, work), n_nodes, static)
    for (int64_t node = 0; node < n_nodes; node++)
        node_values(kernels, layer, node, counts, pseudocount, kind, leave_one_out, values);
    return CBN_OK;
}
