/* SPDX-License-Identifier: BSD-3-Clause */
/* Set-up shared by the transition and its gradient: sizes, and look-up tables of window sums. */
#ifndef CBN_WINDOWS_H
#define CBN_WINDOWS_H

#include "kernels/kernels.h"

/* Sizes of a plan; sums and fire are left NULL. The transition has passed cbn_transition_check. */
cbn_window_plan cbn_window_plan_of(const cbn_transition *transition);
/* 32-bit sums of all chunk tables together. */
int64_t cbn_window_sums_size(const cbn_window_plan *plan);
/* Fills plan->sums and, where it is not NULL, plan->fire. */
void cbn_window_fill(cbn_window_plan *plan);
/* 16-bit numbers that window_runs fills. */
int64_t cbn_window_runs_size(const cbn_window_plan *plan);

/* Nanoseconds that a word of images takes: look-ups for every image, window and chunk. */
static inline double cbn_window_work(const cbn_window_plan *plan) {
    const double chunks = (double)plan->chunks * plan->transition->in_channels * plan->lanes / CBN_LANES;
    const double windows = (double)plan->height * plan->width * plan->transition->pool * plan->transition->pool;
    return 1.5 * 64.0 * chunks * windows;
}

#endif
