/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of tree CPDs and of boosted trees share. */
#ifndef CBN_TREES_H
#define CBN_TREES_H

#include "kernels/kernels.h"

/* The required node of a node, -1 for none; required: as in cbn_trees. */
static inline int64_t cbn_required_node(const int32_t *required, int64_t node) {
    return required ? required[node] : -1;
}

/* Least words of n that so many images can be in. */
static inline int64_t cbn_least_words(int64_t n_images, int64_t n_words) {
    const int64_t least = (n_images + 63) / 64;
    return least < n_words ? least : n_words;
}

/* Words of n that have members: their number, and at [], members and those of them with the node at 1, of these alone. */
static inline int64_t cbn_squeeze(const uint64_t *members, const uint64_t *on, int64_t n_words, int32_t *at,
                                  uint64_t *few, uint64_t *few_on) {
    int64_t n = 0;
    for (int64_t w = 0; w < n_words; w++) {
        at[n] = (int32_t)w;
        few[n] = members[w];
        few_on[n] = on[w];
        n += members[w] != 0;
    }
    return n;
}

/* Lists of candidates (tree.c): the most that a node has; candidates and required nodes must come earlier. */
int cbn_most_candidates(cbn_grid grid, const cbn_candidates *candidates, int64_t *most);
int cbn_candidates_check(cbn_grid grid, const cbn_candidates *candidates);

#endif
