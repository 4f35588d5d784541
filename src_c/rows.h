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

/* State 0 for certain: a required parent is 0. */
static inline cbn_row cbn_row_certain(void) {
    const cbn_row row = {{1.0, 0.0}, {0.0, -INFINITY}, 0.0, 0.0};
    return row;
}

static inline cbn_row cbn_row_of_logs(const double p[2], const double log_p[2]) {
    cbn_row row = {{p[0], p[1]}, {log_p[0], log_p[1]}, 0.0, 0.0};
    row.entropy = -(p[0] * log_p[0]) - p[1] * log_p[1];
    const double difference = log_p[0] - log_p[1];
    row.variance = p[0] * p[1] * (difference * difference);
    return row;
}

static inline cbn_row cbn_row_of(double p0, double p1) {
    if (p1 <= 0.0) return cbn_row_certain();
    const double p[2] = {p0, p1}, log_p[2] = {cbn_log(p0), cbn_log(p1)};
    return cbn_row_of_logs(p, log_p);
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
