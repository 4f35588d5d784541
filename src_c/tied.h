/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of tied networks share. */
#ifndef CBN_TIED_PRIVATE_H
#define CBN_TIED_PRIVATE_H

#include "causal.h"
#include "trees.h"

/* Checks of a network, and the plan of its features. */
int cbn_tied_plan(const cbn_tied *tied, cbn_causal_plan *plan);

/* The images of a word of a plane in which a node can be 1. */
static inline uint64_t cbn_tied_possible(const cbn_tied *tied, int64_t node, const uint64_t *column, int64_t stride) {
    const int64_t positions = cbn_grid_positions(tied->causal.grid);
    return tied->nested && node >= positions ? column[(node - positions) * stride] : ~(uint64_t)0;
}

/* odds[64 w + i]: log-odds of a node in 1 or CBN_SCORE_WORDS words of images, from feature f's words bits[n_words f + w]
 * and, for corrections, the states of node v: words column[v * stride + w], of which there are `there`. */
void cbn_tied_odds(const cbn_tied *tied, const cbn_kernels *kernels, int64_t node, const uint64_t *bits, int n_words,
                   const uint64_t *column, int64_t stride, int there, int32_t *odds);

#endif
