/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of tree CPDs and of boosted trees share. */
#ifndef CBN_TREES_H
#define CBN_TREES_H

#include "kernels/kernels.h"

/* The required node of a node, -1 for none; required: as in cbn_trees. */
static inline int64_t cbn_required_node(const int32_t *required, int64_t node) {
    return required ? required[node] : -1;
}

/* Lists of candidates (tree.c): the most that a node has; candidates and required nodes must come earlier. */
int cbn_most_candidates(cbn_grid grid, const cbn_candidates *candidates, int64_t *most);
int cbn_candidates_check(cbn_grid grid, const cbn_candidates *candidates);

#endif
