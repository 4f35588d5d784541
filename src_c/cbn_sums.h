/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is a sum over images and so can be added up from several places, beside the counts of networks. Included by
 * cbn.h, whose conventions hold.
 */
#ifndef CBN_SUMS_H
#define CBN_SUMS_H

#include "cbn.h"

/*
 * A digest of a set of images: two 64-bit hashes of every image's states, each summed over the images modulo 2^64. So it
 * does not depend on the order of images, digests of disjoint sets add, and an image that comes twice counts twice.
 * Images of all zeros count too. It tells sets apart, and does not resist somebody who makes images to deceive it.
 */
int cbn_planes_digest(cbn_planes planes, int64_t n_nodes, uint64_t digest[2], int num_threads);

/*
 * What cbn_relation_gains() needs of the images, for images in several places: beside the counts (rows, 2) of the layer
 * for every candidate and every position of its child channel, in this order, the child's table (2^k rows, 2) of those
 * images alone in which the candidate parent is 1; zeros where that is absent. size: entries of all tables.
 */
int cbn_relation_counts_size(const cbn_layer *layer, const cbn_relations *candidates, int64_t *size);
int cbn_relation_counts(const cbn_layer *layer, cbn_planes planes, const cbn_relations *candidates, int64_t *with,
                        int num_threads);
/* bic_change: as cbn_relation_gains() would give it for all images together, to the last bit. CBN_E_COUNTS where tables
 * hold more images than the counts do. */
int cbn_relation_gains_of_counts(const cbn_layer *layer, const int64_t *counts, const cbn_relations *candidates,
                                 const int64_t *with, double *bic_change, int num_threads);

#endif
