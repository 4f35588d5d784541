/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Growth of trees in rounds: for images that are in several places, or too many to hold their sets by leaf. Included by
 * cbn.h, whose conventions hold.
 *
 * In a round vertices are counted, of many nodes at once; the counts of all places are added, and the best splits
 * follow from the sums. A vertex is known by the way from its root, so that nothing has to be remembered where the
 * images are. The caller decides which vertices are worth counting; cbn/cpd/rounds.py does it so that the trees are
 * those of cbn_tree_grow().
 */
#ifndef CBN_ROUNDS_H
#define CBN_ROUNDS_H

#include "cbn.h"

/* Vertices to count, by node. */
typedef struct {
    const int64_t *begin;        /* (nodes + 1): those of node v are begin[v] .. begin[v + 1] - 1 */
    const int64_t *way_begin;    /* (vertices + 1): the way from the root to vertex i is ... */
    const int32_t *way;          /* ... way[way_begin[i]] ..: an earlier node u, or -1 - u where it is 0 on the way */
    const int64_t *useful_begin; /* (vertices + 1): the candidates that may split vertex i are ... */
    const int32_t *useful;       /* ... useful[useful_begin[i]] ..: places in the list of its node's candidates */
} cbn_open_vertices;

/*
 * totals (vertices, 2): images that reach a vertex with the node at 0 and at 1. counts (useful, 2): of those images the
 * ones in which the candidate is 1, and those of them with the node at 1 too.
 * members (words), or NULL for all images: the images that are counted, as bits.
 */
int cbn_count_vertices_workspace_size(cbn_grid grid, int64_t n_images, const cbn_candidates *candidates,
                                      const cbn_open_vertices *vertices, int num_threads, int64_t *bytes);
int cbn_count_vertices(cbn_grid grid, cbn_planes planes, const uint64_t *members, const cbn_candidates *candidates,
                       const cbn_open_vertices *vertices, int64_t *totals, int64_t *counts, cbn_workspace workspace,
                       int num_threads);

/* Trees as far as they are known. A vertex whose split is counted has children, though the tree may not come to it. */
typedef struct {
    int64_t n_trees;
    const int64_t *root;  /* (trees): a vertex */
    int64_t n_vertices;   /* of all trees */
    const int64_t *child; /* (vertices): the first of two children, one behind the other; -1 where it has none yet */
    const double *gain;   /* (vertices): of its split; 0 where it stays a leaf */
} cbn_known_trees;

/*
 * Follows the order of cbn_tree_grow(): the leaf of the largest gain is split next, of equal ones the oldest, until a
 * tree has max_leaves leaves. taken (vertices): 1 where a vertex is split in its tree; chosen (vertices): 1 where a
 * vertex without children would be split, if nothing came of the others: to be counted next. None is chosen when all
 * trees are grown.
 */
int cbn_choose_splits_workspace_size(const cbn_known_trees *trees, int32_t max_leaves, int num_threads, int64_t *bytes);
int cbn_choose_splits(const cbn_known_trees *trees, int32_t max_leaves, uint8_t *taken, uint8_t *chosen,
                      cbn_workspace workspace, int num_threads);

/* What is known of vertices: sums of what cbn_count_vertices() counts. */
typedef struct {
    int64_t n;                   /* vertices */
    const int64_t *totals;       /* (n, 2) */
    const int64_t *useful_begin; /* (n + 1) */
    const int64_t *counts;       /* (useful, 2) */
} cbn_counted_vertices;

/*
 * gain (n): nats that the best split of a vertex gains, 0 where it is not more than penalty * ln(n_images); best (n):
 * its place among the candidates of the vertex, -1 where none gains; pays (n): 1 where a split could pay that price, if
 * both of its sides were pure. min_leaf: images that each side holds, 1 or more.
 */
int cbn_best_splits(const cbn_counted_vertices *vertices, double penalty, int64_t n_images, int64_t min_leaf,
                    double *gain, int32_t *best, uint8_t *pays, int num_threads);

#endif
