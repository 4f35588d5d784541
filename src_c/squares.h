/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Planes have 64 images a word; squares of 64 x 64 bits are transposed (Warren, Hacker's Delight, 7-3) to read 64 nodes
 * of an image a word. Eight squares side by side, because eight words of a plane are one cache line and the same
 * operation.
 */
#ifndef CBN_SQUARES_H
#define CBN_SQUARES_H

#include <stdint.h>

#define CBN_SQUARES 8

/* Bit c of m[r][j] and bit r of m[c][j] change places, in all squares j. */
static inline void cbn_transpose_squares(uint64_t m[64][CBN_SQUARES]) {
    uint64_t mask = 0x00000000ffffffffULL;
    for (int shift = 32; shift; shift >>= 1, mask ^= mask << shift)
        for (int r = 0; r < 64; r = (r + shift + 1) & ~shift)
            for (int j = 0; j < CBN_SQUARES; j++) {
                const uint64_t t = (m[r][j] >> shift ^ m[r + shift][j]) & mask;
                m[r + shift][j] ^= t;
                m[r][j] ^= t << shift;
            }
}

#endif
