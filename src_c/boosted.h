/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of boosted trees share. */
#ifndef CBN_BOOSTED_H
#define CBN_BOOSTED_H

#include "trees.h"

/* To the nearest whole log-odds unit, at most CBN_MAX_LEAF_VALUE in size. */
static inline int32_t cbn_round_odds(double odds) {
    if (odds > CBN_MAX_LEAF_VALUE) return CBN_MAX_LEAF_VALUE;
    if (odds < -CBN_MAX_LEAF_VALUE) return -CBN_MAX_LEAF_VALUE;
    return odds < 0.0 ? -(int32_t)(0.5 - odds) : (int32_t)(odds + 0.5);
}

/* The images of a word of a plane in which node v can be 1: those with its required node, all without one. */
static inline uint64_t cbn_boosted_possible(const cbn_boosted *boosted, int64_t node, const uint64_t *column,
                                            int64_t stride) {
    const int64_t required = cbn_required_node(boosted->required, node);
    return required < 0 ? ~(uint64_t)0 : column[required * stride];
}

#endif
