/* SPDX-License-Identifier: BSD-3-Clause */
/* Geometry shared by the files of boosted trees. */
#ifndef CBN_BOOSTED_H
#define CBN_BOOSTED_H

#include "trees.h"

static inline int64_t cbn_boosted_nodes(const cbn_boosted *boosted) {
    return (int64_t)boosted->channels * boosted->height * boosted->width;
}

/* The grid alone, for cbn_raster_order and cbn_required_node. */
static inline cbn_trees cbn_boosted_grid(const cbn_boosted *boosted) {
    const cbn_trees grid = {boosted->channels, boosted->height, boosted->width, NULL, NULL, NULL, boosted->required};
    return grid;
}

/* To the nearest whole log-odds unit, at most CBN_MAX_LEAF_VALUE in size. */
static inline int32_t cbn_round_odds(double odds) {
    if (odds > CBN_MAX_LEAF_VALUE) return CBN_MAX_LEAF_VALUE;
    if (odds < -CBN_MAX_LEAF_VALUE) return -CBN_MAX_LEAF_VALUE;
    return odds < 0.0 ? -(int32_t)(0.5 - odds) : (int32_t)(odds + 0.5);
}

/* The images of a word of a plane in which node v can be 1: those with its required node, all without one. */
static inline uint64_t cbn_boosted_possible(const cbn_boosted *boosted, int64_t node, const uint64_t *column,
                                            int64_t stride) {
    const int64_t required = boosted->required ? boosted->required[node] : -1;
    return required < 0 ? ~(uint64_t)0 : column[required * stride];
}

#endif
