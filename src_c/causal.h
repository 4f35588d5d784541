/* SPDX-License-Identifier: BSD-3-Clause */
/* Causal features of one position in the 64 images of a word. */
#ifndef CBN_CAUSAL_H
#define CBN_CAUSAL_H

#include "internal.h"

/* What follows from the settings alone. */
typedef struct {
    cbn_causal causal;
    int64_t n_features;
    int n_offsets; /* of the window */
    int8_t dy[2 * CBN_MAX_RADIUS * (CBN_MAX_RADIUS + 1)], dx[2 * CBN_MAX_RADIUS * (CBN_MAX_RADIUS + 1)];
    int row_cuts, column_cuts;
    int row_cut[CBN_MAX_CUTS], column_cut[CBN_MAX_CUTS];
    cbn_profile_thresholds thresholds;
} cbn_causal_plan;

int cbn_causal_plan_of(const cbn_causal *causal, cbn_causal_plan *plan);

/* What the rows above row y say of the pixels of a channel; the same for all positions of the row. */
typedef struct {
    int32_t ink[64], moment[64], runs[64]; /* ones, sum of their columns, runs of ones within rows */
    int32_t near_ink[64], near_moment[64]; /* of the last four rows */
    uint64_t column[CBN_MAX_PROFILE_SIDE]; /* any 1 in the column */
    uint64_t begun[CBN_MAX_PROFILE_SIDE];  /* any 1 in the rows up to this one */
} cbn_causal_above;

/* The state of node v is the word column[v * stride]. Nothing where there is no profile. */
void cbn_causal_look_above(const cbn_causal_plan *plan, int channel, int y, const uint64_t *column, int64_t stride,
                           cbn_causal_above *above);
/* bits[f * step]: feature f. `above` must be of the row and channel. */
void cbn_causal_bits(const cbn_causal_plan *plan, const cbn_causal_above *above, int channel, int y, int x,
                     const uint64_t *column, int64_t stride, uint64_t *bits, int64_t step);

/* Whether the window of distance 2 before a position has no 1 in a channel: a word. */
uint64_t cbn_causal_quiet(cbn_grid grid, int channel, int y, int x, const uint64_t *column, int64_t stride);

#endif
