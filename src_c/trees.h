/* SPDX-License-Identifier: BSD-3-Clause */
/* Geometry shared by the files of tree CPDs. */
#ifndef CBN_TREES_H
#define CBN_TREES_H

#include "kernels/kernels.h"

/* Sizes positive, and nodes that fit the 32-bit numbers of splits. */
static inline int cbn_grid_check(int32_t channels, int32_t height, int32_t width) {
    if (channels < 1 || height < 1 || width < 1) return CBN_E_SIZE;
    return (int64_t)height * width > INT32_MAX / channels ? CBN_E_SIZE : CBN_OK;
}

static inline int64_t cbn_tree_nodes(const cbn_trees *trees) {
    return (int64_t)trees->channels * trees->height * trees->width;
}

/* Place of a node in the order rows, columns, channels, in which parents come before children. */
static inline int64_t cbn_raster_order(const cbn_trees *trees, int64_t node) {
    const int64_t positions = (int64_t)trees->height * trees->width;
    return node % positions * trees->channels + node / positions;
}

static inline int64_t cbn_required_node(const cbn_trees *trees, int64_t node) {
    return trees->required ? trees->required[node] : -1;
}

/* Lists of candidates (tree.c): the most that a node has; candidates and required nodes must come earlier. */
int cbn_most_candidates(int64_t n_nodes, const int64_t *begin, int64_t *most);
int cbn_candidates_check(const cbn_trees *grid, const int64_t *begin, const int32_t *candidate);

#endif
