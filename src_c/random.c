/* SPDX-License-Identifier: BSD-3-Clause */
/* Uniform random numbers for callers of the engine: the same stream that the samplers use. */
#include "rng.h"

#include "internal.h"

void cbn_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    for (int i = 0; i < 4; i++) out[i] = counter[i];
    cbn_philox_block(&out[0], &out[1], &out[2], &out[3], key[0], key[1]);
}

int cbn_uniform(uint64_t seed, uint32_t purpose, int64_t n_chains, uint64_t first_step, int64_t n_steps, double *out) {
    int64_t entries;
    if (!out) return CBN_E_NULL;
    if (n_chains < 1 || n_chains > UINT32_MAX || n_steps < 1) return CBN_E_SIZE;
    CBN_TRY(cbn_multiply(n_chains, n_steps, &entries));
    for (int64_t chain = 0; chain < n_chains; chain++)
        for (int64_t i = 0; i < n_steps; i++) {
            const uint64_t step = first_step + (uint64_t)i, block = step >> 1;
            const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)chain, purpose};
            const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
            uint32_t w[4];
            cbn_philox(counter, key, w);
            out[chain * n_steps + i] = step & 1 ? cbn_to_unit(w[2], w[3]) : cbn_to_unit(w[0], w[1]);
        }
    return CBN_OK;
}
