/* SPDX-License-Identifier: BSD-3-Clause */
/* Private parts of networks of inverted residuals: what their kernels are told. */
#ifndef CBN_MOBILE_H
#define CBN_MOBILE_H

#include "internal.h"

/* Channels come in panels of this many; the last panel of a projection may be half as wide. */
#define CBN_LANE_PANEL 16

/* Sums of products for many positions and one panel of outputs. */
typedef struct {
    int64_t n_runs, run, run_step; /* inputs of a position: n_runs times `run` floats, run_step floats apart */
    int64_t x_step;                /* floats between the inputs of two positions */
    int64_t positions;
    int half;                      /* the panel has 8 outputs, not 16 */
    int clip;                      /* to [0, 6] */
    int64_t out_step;              /* floats between the outputs of two positions ... */
    const int32_t *place;          /* ... or, if it is not NULL, where the outputs of every position begin */
} cbn_sums_plan;

/* A row of outputs of a depthwise convolution, for one panel. */
typedef struct {
    int64_t width;
    int rows, size, stride; /* rows and columns of the window */
    int64_t row_step;       /* floats between two rows of the input, whose positions are CBN_LANE_PANEL floats apart */
} cbn_depth_plan;

#endif
