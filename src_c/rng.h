/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011. Ten rounds of two 32 x 32 -> 64 bit products; the key grows by the Weyl constants.
 *
 * The counter is (step low, step high, chain, purpose), the key is the seed. One block gives two 53-bit uniforms, so
 * the uniform of step s is number (s & 1) of block (s >> 1).
 */
#ifndef CBN_RNG_H
#define CBN_RNG_H

#include <stdint.h>

#define CBN_PHILOX_M0 0xD2511F53u
#define CBN_PHILOX_M1 0xCD9E8D57u
#define CBN_PHILOX_W0 0x9E3779B9u /* golden ratio */
#define CBN_PHILOX_W1 0xBB67AE85u /* sqrt(3) - 1 */

/* One block, in place. A static inline so that the loops over chains vectorize. */
static inline void cbn_philox_block(uint32_t *c0, uint32_t *c1, uint32_t *c2, uint32_t *c3, uint32_t k0, uint32_t k1) {
    uint32_t a = *c0, b = *c1, c = *c2, d = *c3;
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)CBN_PHILOX_M0 * a, p1 = (uint64_t)CBN_PHILOX_M1 * c;
        const uint32_t next_a = (uint32_t)(p1 >> 32) ^ b ^ k0, next_c = (uint32_t)(p0 >> 32) ^ d ^ k1;
        a = next_a;
        b = (uint32_t)p1;
        c = next_c;
        d = (uint32_t)p0;
        k0 += CBN_PHILOX_W0;
        k1 += CBN_PHILOX_W1;
    }
    *c0 = a;
    *c1 = b;
    *c2 = c;
    *c3 = d;
}

/* 64 random bits, high word first, to a double in [0, 1): the 53 highest bits, an exact multiple of 2^-53. */
static inline double cbn_to_unit(uint32_t high, uint32_t low) {
    /* through a signed integer: its conversion is one instruction where that of an unsigned one is several */
    return (double)(int64_t)((((uint64_t)high << 32) | low) >> 11) * 0x1.0p-53;
}

#endif
