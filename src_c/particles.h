/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Drawing from networks whose nodes are visited in raster order, 64 chains a word: state[node * n_groups + group], in
 * which chain 64 group + i is bit i.
 */
#ifndef CBN_PARTICLES_H
#define CBN_PARTICLES_H

#include "kernels/kernels.h"

/* p[x][i]: probability that the node is x given the earlier nodes of chain i; state(v) is word column[v * stride]. */
typedef void cbn_conditional(const void *network, int64_t node, const uint64_t *column, int64_t stride,
                             double p[2][64]);

/* Whether that probability may depend on a node that is not known. */
typedef int cbn_asks_unknown(const void *network, int64_t node, const uint8_t *known);

typedef struct {
    cbn_grid grid;
    cbn_conditional *conditional;
    cbn_asks_unknown *asks_unknown; /* for the filter */
    const void *network;            /* their first argument */
} cbn_raster_network;

static inline int64_t cbn_particle_groups(int64_t n) { return (n + 63) / 64; }

/* One raster pass over the chains of a group; clamped may be NULL. */
void cbn_raster_pass(const cbn_raster_network *network, uint64_t seed, int64_t group, int64_t n_groups,
                     const uint8_t *clamped, uint64_t *state);
/* Ancestral sampling of all chains; state: (particle groups, nodes) words of scratch. */
void cbn_sample_raster(const cbn_raster_network *network, uint64_t seed, const uint8_t *clamped, cbn_chains chains,
                       uint64_t *state, int num_threads);
/* The particle filter (cbn_boosted_inpaint in cbn.h). */
int cbn_particle_filter(const cbn_raster_network *network, uint64_t seed, const cbn_particles *particles,
                        double *log_marginal, cbn_workspace workspace, int num_threads);
/* States of bytes to words of a group and back; chains beyond the last are 0, and dropped. */
void cbn_pack_group(cbn_chains chains, int64_t n_nodes, int64_t group, int64_t n_groups, uint64_t *state);
void cbn_unpack_group(const uint64_t *state, int64_t n_nodes, int64_t group, int64_t n_groups, cbn_chains chains);

#endif
