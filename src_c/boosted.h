/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of boosted trees share. */
#ifndef CBN_BOOSTED_H
#define CBN_BOOSTED_H

#include "rng.h"
#include "trees.h"

/* To the nearest whole log-odds unit, at most CBN_MAX_LEAF_VALUE in size. */
static inline int32_t cbn_round_odds(double odds) {
    if (odds > CBN_MAX_LEAF_VALUE) return CBN_MAX_LEAF_VALUE;
    if (odds < -CBN_MAX_LEAF_VALUE) return -CBN_MAX_LEAF_VALUE;
    return odds < 0.0 ? -(int32_t)(0.5 - odds) : (int32_t)(odds + 0.5);
}

/* Whether the vertices of a tree are numbered breadth first, ask for numbers below n_asked, and have values in range
 * (boosted.c). */
int cbn_vertices_check(const int32_t *split, const int32_t *value, int64_t n, int64_t n_asked);

/* The first n places of a Fisher-Yates shuffle of n_all numbers. Random numbers are functions of (seed, purpose, owner,
 * round). */
static inline void cbn_draw_first(int32_t *number, int64_t n_all, int64_t n, uint64_t seed, uint32_t purpose,
                                  uint32_t owner, uint32_t round) {
    uint32_t word[4];
    for (int64_t c = 0; c < n; c++) {
        if (c % 4 == 0) {
            word[0] = (uint32_t)(c / 4), word[1] = round, word[2] = owner, word[3] = purpose;
            cbn_philox_block(&word[0], &word[1], &word[2], &word[3], (uint32_t)seed, (uint32_t)(seed >> 32));
        }
        const int64_t other = c + (int64_t)(word[c % 4] * (uint64_t)(n_all - c) >> 32);
        const int32_t kept = number[c];
        number[c] = number[other];
        number[other] = kept;
    }
}

/* order[t]: the vertex, in the order of growth, that is number t breadth first; split[t] is what it asks. The children of a
 * grown vertex are grown_child[vertex] and the next one. */
static inline void cbn_number_breadth_first(int32_t n_leaves, const int32_t *grown_split, const int32_t *grown_child,
                                            int32_t *order, int32_t *split) {
    int32_t next = 1;
    order[0] = 0;
    for (int32_t t = 0; t < 2 * n_leaves - 1; t++) {
        const int32_t grown = order[t];
        split[t] = grown_split[grown];
        if (split[t] < 0) continue;
        order[next++] = grown_child[grown];
        order[next++] = grown_child[grown] + 1;
    }
}

/* The images of a word of a plane in which node v can be 1: those with its required node, all without one. */
static inline uint64_t cbn_boosted_possible(const cbn_boosted *boosted, int64_t node, const uint64_t *column,
                                            int64_t stride) {
    const int64_t required = cbn_required_node(boosted->required, node);
    return required < 0 ? ~(uint64_t)0 : column[required * stride];
}

/* Nanoseconds that the log-odds of all nodes take of a word of images. */
static inline double cbn_boosted_work(const cbn_boosted *boosted) {
    return 5.0 * (double)boosted->tree_begin[boosted->begin[cbn_grid_nodes(boosted->grid)]];
}

#endif
