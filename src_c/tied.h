/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of tied networks share. */
#ifndef CBN_TIED_PRIVATE_H
#define CBN_TIED_PRIVATE_H

#include "causal.h"
#include "trees.h"
#include "workspace.h"

/* Checks of a network, and the plan of its features. */
int cbn_tied_plan(const cbn_tied *tied, cbn_causal_plan *plan);

/* The images of a word of a plane in which a node can be 1. */
static inline uint64_t cbn_tied_possible(const cbn_tied *tied, int64_t node, const uint64_t *column, int64_t stride) {
    const int64_t positions = cbn_grid_positions(tied->causal.grid);
    return tied->nested && node >= positions ? column[(node - positions) * stride] : ~(uint64_t)0;
}

/* odds (64): log-odds of a node in a word of images from its features' words, and the states of node v, word
 * column[v * stride]. */
void cbn_tied_odds(const cbn_tied *tied, const cbn_kernels *kernels, int64_t node, const uint64_t *bits,
                   const uint64_t *column, int64_t stride, int32_t odds[64]);

/* All trees as they are added in many images at once, in the arena. */
cbn_sliced_tree *cbn_slice_trees(const cbn_tied *tied, cbn_arena *arena);

#endif
