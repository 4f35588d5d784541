/* SPDX-License-Identifier: BSD-3-Clause */
/* The one loop that scores images, whatever the CPDs are. */
#ifndef CBN_SCORE_H
#define CBN_SCORE_H

#include "kernels/kernels.h"

/* sums[i] += what a node contributes to image i, for the 64 n_words images from word first_word on; n_words is at most
 * CBN_SCORE_WORDS. */
typedef void cbn_contribution(const void *network, const cbn_kernels *kernels, int64_t node, cbn_planes planes,
                              int64_t first_word, int n_words, double *sums);

typedef struct {
    cbn_grid grid;
    cbn_contribution *contribution;
    const void *network; /* its first argument */
    double work;         /* nanoseconds of all nodes of a word */
} cbn_scored_network;

/* scores (n_images): sums over nodes, in node order. */
int cbn_score_sums(const cbn_scored_network *scored, cbn_planes planes, double *scores, int num_threads);
/* contributions (n_images, nodes): the same without the sum. */
int cbn_score_each(const cbn_scored_network *scored, cbn_planes planes, double *contributions, int num_threads);

#endif
