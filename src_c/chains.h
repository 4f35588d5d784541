/* SPDX-License-Identifier: BSD-3-Clause */
/* What the samplers share. */
#ifndef CBN_CHAINS_H
#define CBN_CHAINS_H

#include "kernels/kernels.h"

static inline int64_t cbn_groups(int64_t n_chains) { return (n_chains + CBN_GROUP - 1) / CBN_GROUP; }

/* Chains of a group, at most `most`: groups as even as the threads allow. Nothing may depend on it but time. */
static inline int64_t cbn_chains_per_group(int64_t n_chains, int num_threads, int64_t most) {
    const int64_t threads = cbn_useful_threads(num_threads, n_chains), share = (n_chains + threads - 1) / threads;
    const int64_t groups = (share + most - 1) / most;
    return (share + groups - 1) / groups;
}

/* The checks that both samplers begin with; *state: (groups, nodes). */
int cbn_sampler_check(const cbn_layer *layer, const double *probability, cbn_chains chains, cbn_workspace workspace,
                      int num_threads, uint32_t **state);
/* Steps of which every site is one of n_nodes. */
int cbn_steps_check(const cbn_steps *steps, int64_t n_nodes);
/* state[node] bit i = states[first_chain + i][node]; chains beyond the last are 0 */
void cbn_gather_group(cbn_chains chains, int64_t n_nodes, int64_t first_chain, uint32_t *state);
/* the way back; chains beyond the last are dropped */
void cbn_scatter_group(const uint32_t *state, int64_t n_nodes, int64_t first_chain, cbn_chains chains);

#endif
