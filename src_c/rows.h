/* SPDX-License-Identifier: BSD-3-Clause */
/* What one distribution over the states of a node (a table row, a leaf of a tree) contributes to the scores. */
#ifndef CBN_ROWS_H
#define CBN_ROWS_H

#include <math.h>

#include "internal.h"

/* p[x], log p[x], entropy, variance of -log p. */
typedef struct {
    double p[2], log_p[2], entropy, variance;
} cbn_row;

static inline cbn_row cbn_row_of(double p0, double p1) {
    cbn_row row = {{p0, p1}, {0.0, -INFINITY}, 0.0, 0.0};
    if (p1 <= 0.0) return row; /* state 0 for certain: a required parent is 0 */
    row.log_p[0] = cbn_log(p0);
    row.log_p[1] = cbn_log(p1);
    row.entropy = -(p0 * row.log_p[0]) - p1 * row.log_p[1];
    const double difference = row.log_p[0] - row.log_p[1];
    row.variance = p0 * p1 * (difference * difference);
    return row;
}

/* Sums of -log p and its square over the images counted in a row. Empty entries are left out: their -log p may be
 * infinite. */
typedef struct {
    double n, first, second;
} cbn_moments;

static inline void cbn_add_moments(cbn_moments *moments, const cbn_row *row, int64_t n0, int64_t n1, double sign) {
    const int64_t n[2] = {n0, n1};
    for (int x = 0; x < 2; x++) {
        if (n[x] <= 0) continue;
        const double weight = sign * (double)n[x];
        moments->n += weight;
        moments->first += weight * row->log_p[x];
        moments->second += weight * (row->log_p[x] * row->log_p[x]);
    }
}

static inline double cbn_normalized(const cbn_moments *moments, double log_p) {
    if (moments->n < 0.5) return 0.0; /* the only image left itself out: nothing to compare with */
    const double mean = moments->first / moments->n;
    const double variance = moments->second / moments->n - mean * mean;
    const double deviation = variance > CBN_STD_FLOOR * CBN_STD_FLOOR ? sqrt(variance) : CBN_STD_FLOOR;
    return fabs(log_p - mean) / deviation;
}

/* The value of the given kind (CBN_LOG_PROBABILITY, ...) for state x. */
static inline double cbn_row_value(const cbn_row *row, int x, int kind, const cbn_moments *moments) {
    switch (kind) {
        case CBN_SURPRISE: return -row->log_p[x] - row->entropy;
        case CBN_VARIANCE: return row->variance;
        case CBN_NORMALIZED: return cbn_normalized(moments, row->log_p[x]);
        default: return row->log_p[x];
    }
}

#endif
