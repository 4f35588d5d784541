/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Images as rows of bits, beside the planes, for trees: where a leaf has few images, spread over many words of the
 * planes, it is cheaper to add up the rows of these images (kernels: count_columns), all candidates of a vector at
 * once, than to count the bits of every candidate's plane.
 *
 * Rows of many images hold no more than a window: the candidates of consecutive nodes in raster order (all channels of a
 * position together), as many as fit. They are near these nodes, hence shared by most of them, and a window is a vector
 * or a few, so that what is grown at one time has its rows in the caches. Columns of a window are in raster order too.
 */
#ifndef CBN_IMAGE_ROWS_H
#define CBN_IMAGE_ROWS_H

#include "internal.h"
#include "kernels/kernels.h"
#include "workspace.h"

typedef struct {
    uint64_t *words; /* (images of n_words words of planes + 1, stride); the last row is 0 */
    int32_t *place;  /* (nodes): the column of a node; -1: not in the window */
    int32_t *column; /* (64 stride): the node of a column */
    int64_t n_columns, stride;
    int32_t none; /* the row that is 0 */
} cbn_image_rows;

/* What one thread has to itself. */
typedef struct {
    int32_t *chosen;       /* the images that are counted, with the node at 1 and at 0 */
    int32_t *at;           /* (stride): where the counts of a word of the rows are; -1: not counted */
    int32_t *begin;        /* (stride): the first words of the vectors */
    uint32_t *counts[2];   /* node at 1, at 0: (vectors, columns) */
    int64_t n_begin;
} cbn_column_counts;

/* Places the rows of n_words words of planes of n_nodes nodes, with a window for any node of at most most_candidates; the
 * same for a thread. */
void cbn_take_image_rows(cbn_arena *arena, int64_t n_nodes, int64_t n_words, int64_t most_candidates, int column_words,
                         int num_threads, cbn_image_rows *rows);
void cbn_take_column_counts(cbn_arena *arena, const cbn_image_rows *rows, int64_t n_words, cbn_column_counts *own);

/* Chooses the window of the nodes from place `first` of the raster order on; the place after the last of them. */
int64_t cbn_choose_window(cbn_grid grid, const cbn_candidates *candidates, int64_t first, cbn_image_rows *rows);

/* Fills its rows from planes of n_words words each, a multiple of CBN_LINE_WORDS; bits beyond the last image are 0. */
void cbn_fill_image_rows(const uint64_t *planes, int64_t n_words, const cbn_image_rows *rows, int num_threads);

/* Chooses vectors that cover the candidates, all of them in the window; their number. */
int64_t cbn_cover_candidates(const cbn_image_rows *rows, const int32_t *candidate, int64_t n, int column_words,
                             cbn_column_counts *own);

/* As the kernel count_candidates, or with `at` count_candidates_at, by the vectors that cbn_cover_candidates() has just
 * chosen. */
void cbn_count_by_rows(const cbn_kernels *kernels, const cbn_image_rows *rows, const int32_t *candidate, int64_t n,
                       const uint64_t *members, const uint64_t *members_on, const int32_t *at, int64_t n_words,
                       cbn_column_counts *own, uint32_t (*counts)[2]);

#endif
